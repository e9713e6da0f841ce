/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * AdminCommand: a command that asks a running gateway one question and shows the answer as tables,
 * JSON or YAML. What is asked and what the tables are is the command's; the rest is the same for
 * all.
 */

#include "base/buf.h"
#include "cli/cli_options.h"
#include "proto/tree.h"

typedef struct AdminCommand {
        const char *argument; /* what is expected, or NULL */
        const char *help;
        /* Appends path and query of the question. */
        void (*ask)(const CliOptions *o, Buf *path);
        /* Appends the tables; true where all is as it should be. */
        bool (*show)(Arena *arena, const Tree *answer, Buf *out);
} AdminCommand;

/* Exit code: 0 all is as it should be, 1 it is not (or nobody answers), 2 usage. */
int admin_command(const AdminCommand *c, int argc, char **argv);
