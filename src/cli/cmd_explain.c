/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd_explain.h"

#include "cli/admin_command.h"
#include "cli/admin_get.h"
#include "cli/printable.h"

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

static void ask(const CliOptions *o, Buf *path)
{
        buf_add_str(path, STR("/explain?url="));
        admin_get_encode(path, o->argument);
}

static bool show(Arena *arena, const Tree *answer, Buf *out)
{
        (void)arena;
        put_steps(answer, out);
        return tree_get_bool(answer, STR("answers"), false);
}

int cmd_explain(int argc, char **argv)
{
        static const AdminCommand command = {
                .argument = "URL",
                .help = "Follows a request through tailnet, device, filter, port, listener, "
                        "conflict, route, revision,\n"
                        "cluster, endpoint and proxy, and says where it stops.",
                .ask = ask,
                .show = show,
        };
        return admin_command(&command, argc, argv);
}
