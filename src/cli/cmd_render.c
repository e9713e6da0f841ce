/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd_render.h"

#include "cli/cli_options.h"
#include "cli/eg_config.h"
#include "model/crd.h"
#include "model/reference.h"

#include <stdio.h>

static const char help[] =
        "usage: tailscale-gateway render --crds [KIND]\n"
        "       tailscale-gateway render --reference\n"
        "       tailscale-gateway render --envoy-gateway-config [options]\n\n"
        "Prints what is made of this program alone.\n\n"
        "  --crds [KIND]\n"
        "        the CustomResourceDefinitions, or that of one kind: its name, plural or short\n"
        "        name; for kubectl apply --server-side -f -\n"
        "  --reference\n"
        "        every field of every kind, as Markdown\n"
        "  --envoy-gateway-config\n"
        "        the configuration of Envoy Gateway, of which extensionManager is ours\n"
        "    --namespace NAME\n"
        "        our own namespace (default " EG_CONFIG_NAMESPACE ")\n"
        "    --extension-address ADDRESS\n"
        "        unix:///PATH or tcp://HOST:PORT (default: the Service of the managed extension\n"
        "        server); off this machine calls are mutual TLS\n"
        "    --files DIR\n"
        "        without Kubernetes: what Envoy Gateway reads; may be repeated\n\n"
        "exit code: 0 printed, 2 usage\n";

static bool is_named(const ResourceKind *k, Str name)
{
        return name.n == 0 || str_eq_fold(name, str_of(k->kind)) ||
               str_eq(name, str_of(k->plural)) || str_eq(name, str_of(k->singular)) ||
               str_eq(name, str_of(k->short_name));
}

static int print(const Buf *out)
{
        if (out->failed)
                return cli_usage_fault("render", "too long", (Str){0});
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

static int render_eg_config(int argc, char **argv)
{
        Str files[EG_CONFIG_FILES_MAX], value;
        EgConfig c = {.namespace = STR(EG_CONFIG_NAMESPACE), .files = {files, 0}};
        CLEANUP(buf_done) Buf out;
        Err err;

        for (int i = 2; i < argc; i++) {
                if (cli_flag_value(STR("--namespace"), &i, argc, argv, &c.namespace) ||
                    cli_flag_value(STR("--extension-address"), &i, argc, argv, &c.address))
                        continue;
                if (!cli_flag_value(STR("--files"), &i, argc, argv, &value) ||
                    c.files.n == LENGTH_OF(files))
                        return cli_usage_fault(
                                "render", "unknown option or missing value: ", str_of(argv[i]));
                files[c.files.n++] = value;
        }
        buf_init(&out, EG_CONFIG_BYTES_MAX);
        if (!eg_config_render(&c, &out, &err))
                return cli_usage_fault("render", "", str_of(err.text));
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
        if (str_eq(what, STR("--envoy-gateway-config")))
                return render_eg_config(argc, argv);
        if (what.n == 0) {
                fputs(help, stderr);
                return 2;
        }
        return cli_usage_fault("render", "unknown or too many arguments: ", what);
}
