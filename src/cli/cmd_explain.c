/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd_explain.h"

#include "cli/admin_get.h"
#include "cli/cli_options.h"
#include "cli/printable.h"
#include "cli/tree_print.h"
#include "proto/json.h"

#include <stdio.h>

static void put_steps(const Tree *root, Buf *out)
{
        TREE_FOREACH (step, tree_get(root, STR("steps"))) {
                bool ok = tree_get_bool(step, STR("ok"), false);
                buf_printf(out, "%s %-12.*s ", ok ? "ok  " : "STOP",
                           STR_FMT(tree_get_str(step, STR("what"))));
                printable_add(out, tree_get_str(step, STR("text")));
                buf_add_char(out, '\n');
        }
        buf_add_char(out, '\n');
        printable_add(out, tree_get_str(root, STR("verdict")));
        buf_add_char(out, '\n');
}

static bool fetch(const CliOptions *o, Buf *body, Err *err)
{
        CLEANUP(buf_done) Buf path;
        buf_init(&path, 64 << 10);
        buf_add_str(&path, STR("/explain?url="));
        admin_get_encode(&path, o->argument);
        return admin_get(o->admin_address, buf_str(&path), body, err);
}

int cmd_explain(int argc, char **argv)
{
        CliOptions o;
        int code = cli_options_read(&o, argc, argv, "URL",
                                    "Follows a request through tailnet, device, filter, port, "
                                    "listener, conflict, route, revision,\n"
                                    "cluster, endpoint and proxy, and says where it stops.");
        if (code >= 0)
                return code;
        Err err = {0};
        CLEANUP(buf_done) Buf body;
        CLEANUP(buf_done) Buf out;
        CLEANUP(arena_done) Arena arena;
        buf_init(&body, ADMIN_GET_BYTES_MAX);
        buf_init(&out, ADMIN_GET_BYTES_MAX);
        arena_init(&arena, ADMIN_GET_BYTES_MAX);
        const Tree *root =
                fetch(&o, &body, &err) ? json_read(&arena, buf_str(&body), NULL, &err) : NULL;
        if (root == NULL) {
                fprintf(stderr, "tailscale-gateway explain: %s%s\n", err.text,
                        err.kind == ERR_TRANSIENT ? ADMIN_GET_HINT : "");
                return 1;
        }
        if (o.output == CLI_TABLE)
                put_steps(root, &out);
        else if (o.output == CLI_JSON)
                tree_print_json(root, &out);
        else
                tree_print_yaml(root, &out);
        IGNORE(fwrite(out.p, 1, out.n, stdout), "nobody to tell");
        return tree_get_bool(root, STR("answers"), false) ? 0 : 1;
}
