/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd_render.h"

#include "cli/cli_options.h"
#include "model/crd.h"
#include "model/reference.h"

#include <stdio.h>

static const char help[] =
        "usage: tailscale-gateway render --crds [KIND]\n"
        "       tailscale-gateway render --reference\n\n"
        "Prints what is made of this program's own tables.\n\n"
        "  --crds [KIND]     the CustomResourceDefinitions, or that of one kind: its name, plural\n"
        "                    or short name; to be applied with kubectl apply --server-side -f -\n"
        "  --reference       every field of every kind, as Markdown\n\n"
        "exit code: 0 printed, 2 usage\n";

static bool is_named(const ResourceKind *k, Str name)
{
        return name.n == 0 || str_eq_fold(name, str_of(k->kind)) ||
               str_eq(name, str_of(k->plural)) || str_eq(name, str_of(k->singular)) ||
               str_eq(name, str_of(k->short_name));
}

static int print(const Buf *out)
{
        INSIST(!out->failed);
        IGNORE(fwrite(out->p, 1, out->n, stdout), "nobody to tell");
        return 0;
}

static int render_crds(Str name)
{
        CLEANUP(buf_done) Buf out;

        buf_init(&out, CRD_BYTES_MAX);
        for (size_t i = 0; i < RESOURCE_KINDS; i++)
                if (is_named(&resource_kinds[i], name))
                        crd_render(&resource_kinds[i], &out);
        if (out.n == 0)
                return cli_usage_fault("render", "no kind of ours: ", name);
        return print(&out);
}

static int render_reference(void)
{
        CLEANUP(buf_done) Buf out;

        buf_init(&out, REFERENCE_BYTES_MAX);
        reference_render(&out);
        return print(&out);
}

int cmd_render(int argc, char **argv)
{
        Str what = argc > 1 ? str_of(argv[1]) : (Str){0};

        if (str_eq(what, STR("--help")) || str_eq(what, STR("-h"))) {
                fputs(help, stdout);
                return 0;
        }
        if (str_eq(what, STR("--crds")) && argc <= 3)
                return render_crds(argc > 2 ? str_of(argv[2]) : (Str){0});
        if (str_eq(what, STR("--reference")) && argc == 2)
                return render_reference();
        if (what.n == 0) {
                fputs(help, stderr);
                return 2;
        }
        return cli_usage_fault("render", "unknown or too many arguments: ", what);
}
