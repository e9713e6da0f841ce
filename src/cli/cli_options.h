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

/* Reads argv[1…]. Returns -1 to go on, else the exit code: 0 after --help, 2 after a usage error,
 * both of which it printed. `argument` names what is expected, or is NULL where none is. */
int cli_options_read(CliOptions *o, int argc, char **argv, const char *argument, const char *help);
