/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/admin_command.h"

#include "cli/admin_get.h"
#include "cli/tree_print.h"

#include <stdio.h>

enum {
        PATH_BYTES_MAX = 64 << 10,
};

static const Tree *fetch(const AdminCommand *c, const CliOptions *o, Arena *arena, Err *err)
{
        CLEANUP(buf_done) Buf path;
        CLEANUP(buf_done) Buf body;
        buf_init(&path, PATH_BYTES_MAX);
        buf_init(&body, ADMIN_GET_BYTES_MAX);
        c->ask(o, &path);
        if (!admin_get(o->admin_address, buf_str(&path), &body, err))
                return NULL;
        return admin_get_read(arena, buf_str(&body), err);
}

int admin_command(const AdminCommand *c, int argc, char **argv)
{
        CliOptions o;
        int code = cli_options_read(&o, argc, argv, c->argument, c->help);
        if (code >= 0)
                return code;
        Err err = {0};
        CLEANUP(buf_done) Buf out;
        CLEANUP(arena_done) Arena arena;
        buf_init(&out, ADMIN_GET_BYTES_MAX);
        arena_init(&arena, ADMIN_GET_MEMORY_MAX);
        const Tree *answer = fetch(c, &o, &arena, &err);
        if (answer == NULL) {
                fprintf(stderr, "tailscale-gateway %s: %s%s\n", argv[0], err.text,
                        err.kind == ERR_TRANSIENT ? ADMIN_GET_HINT : "");
                return 1;
        }
        bool well = c->show(&arena, answer, &out); /* in any case: it finds what is wrong */
        if (o.output != CLI_TABLE)
                buf_reset(&out);
        if (o.output == CLI_JSON)
                tree_print_json(answer, &out);
        else if (o.output == CLI_YAML)
                tree_print_yaml(answer, &out);
        IGNORE(fwrite(out.p, 1, out.n, stdout), "nobody to tell");
        return well ? 0 : 1;
}
