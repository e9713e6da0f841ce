/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* ConfigOptions: the one table that drives flags, environment, file, --help and the checks of each
 * value. */

#include "app/config.h"

typedef struct ConfigOption {
        const char *name;     /* without dashes; also the key of the file */
        const char *value;    /* shown in --help; NULL: true or false, true where only named */
        const char *fallback; /* NULL: none */
        const char *help;
        bool (*set)(Config *c, void *to, Str value, Err *err);
        size_t to;       /* offset in Config, of what `set` writes to */
        unsigned shapes; /* bits 1 << ConfigShape */
        bool repeats;    /* several values; those of the strongest origin count */
} ConfigOption;

enum {
        CONFIG_OPTIONS = 30
};

extern const ConfigOption config_options[CONFIG_OPTIONS];

/* Does this shape have it? */
bool config_option_is_of(const ConfigOption *o, ConfigShape shape);
/* What one option means depends on another: all that is set is checked together. */
bool config_check(const Config *c, Err *err) MUST_USE;
