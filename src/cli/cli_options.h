/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the commands that ask a running gateway share: --admin-address, -o, --help, and one or no
 * argument. */

#include "base/str.h"

typedef enum CliOutput {
        CLI_TABLE,
        CLI_JSON,
        CLI_YAML
} CliOutput;

typedef struct CliOptions {
        Str admin_address; /* also TSGW_ADMIN_ADDRESS */
        CliOutput output;
        Str argument; /* empty: none was given */
} CliOptions;

/* The value of `flag` at argv[*i]: the rest after "=", or the next argument, which *i then is at.
 */
bool cli_flag_value(Str flag, int *i, int argc, char **argv, Str *ret);
/* The PEM certificates to trust instead of the system's when control servers are asked, by the name
 * that Go's and OpenSSL's programs know them by: SSL_CERT_FILE. NULL: the system's. */
const char *cli_trusted_file(void);
bool cli_output_parse(Str s, CliOutput *ret);
/* Prints what is wrong with the usage of `command`, and where help is; returns exit code 2. */
int cli_usage_fault(const char *command, const char *what, Str found);
/* Reads argv[1…]. Returns -1 to go on, else the exit code: 0 after --help, 2 after a usage error,
 * both of which it printed. `argument` names what is expected, or is NULL where none is. */
int cli_options_read(CliOptions *o, int argc, char **argv, const char *argument, const char *help);
