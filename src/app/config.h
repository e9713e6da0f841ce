/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Config: what `run` is told: one table of options drives flags, TSGW_… environment, keys of
 * --config FILE, --help and the checks. A flag wins over the environment, that over the file, that
 * over the default.
 */

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "io/address.h"

enum {
        CONFIG_EXTENSION_ADDRESSES_MAX = 8,
        CONFIG_FILE_BYTES_MAX = 1 << 20
};

typedef struct Config {
        Arena arena;
        Address extension[CONFIG_EXTENSION_ADDRESSES_MAX];
        size_t n_extension;
        Address admin, metrics, webhook;
        bool has_admin, has_metrics, has_webhook;
        const char *webhook_cert; /* PEM files; both NULL: plain, on a local address */
        const char *webhook_key;
        const char *resources;
        const char *gateway_resources; /* NULL: the same as resources */
        const char *generated;
        LogLevel log_level;
        bool log_json;
        bool help;
} Config;

/* `argv` without program and command name. False: what is wrong, with the option's name, is in
 * `err`. */
bool config_read(Config *c, int argc, char **argv, Err *err) MUST_USE;
void config_done(Config *c);
/* The options with their defaults, as --help shows them. */
void config_help(Buf *out);
