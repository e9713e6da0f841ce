/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/check_state.h"

static Str name_of(CheckRows *rows, const Tree *object, Str name)
{
        return arena_printf(&rows->arena, "%.*s/%.*s",
                            STR_FMT(tree_get_str(object, STR("namespace"))),
                            STR_FMT(tree_get_str(object, name)));
}

static void check_read(CheckRows *rows, const Tree *state)
{
        static const Str dirs[] = {STR_INIT("resources"), STR_INIT("gatewayResources"),
                                   STR_INIT("generated")};
        size_t before = rows->n;

        for (size_t i = 0; i < LENGTH_OF(dirs); i++) {
                Str error = tree_get_str(tree_get(state, dirs[i]), STR("error"));

                if (error.n > 0)
                        check_rows_add(rows, "Manifests", CHECK_WRONG, "mend it", "%.*s: %.*s",
                                       STR_FMT(dirs[i]), STR_FMT(error));
        }
        if (!tree_get_bool(state, STR("complete"), false))
                check_rows_add(rows, "Manifests", CHECK_WRONG,
                               "tailscale-gateway status tells what is waited for",
                               "not everything has been read yet");
        else if (rows->n == before)
                check_rows_add(rows, "Manifests", CHECK_OK, NULL, "all were read");
}

static void check_tailnet(CheckRows *rows, const Tree *tailnet)
{
        static const char check[] = "Tailnet";
        Str name = name_of(rows, tailnet, STR("name")), sync = tree_get_str(tailnet, STR("sync"));
        Str warning = tree_get_str(tailnet, STR("warning"));
        size_t failing = 0;

        TREE_FOREACH (s, tree_get(tailnet, STR("sources"))) {
                Str reason = tree_get_str(s, STR("reason"));

                if (reason.n == 0)
                        continue;
                failing++;
                check_rows_add(rows, check, CHECK_WRONG, "credentials, apiURL, or the way there",
                               "%.*s: %.*s: %.*s: %.*s", STR_FMT(name),
                               STR_FMT(tree_get_str(s, STR("name"))), STR_FMT(reason),
                               STR_FMT(tree_get_str(s, STR("error"))));
        }
        if (failing == 0 && !str_eq(sync, STR("Synced")))
                check_rows_add(rows, check, CHECK_WRONG, "wait, or look into the log", "%.*s: %.*s",
                               STR_FMT(name), STR_FMT(sync));
        else if (failing == 0)
                check_rows_add(rows, check, warning.n > 0 ? CHECK_WARNING : CHECK_OK, NULL,
                               "%.*s: %.*s%s%.*s", STR_FMT(name), STR_FMT(sync),
                               warning.n > 0 ? ": " : "", STR_FMT(warning));
}

static void check_gateway(CheckRows *rows, const Tree *gateway)
{
        static const char check[] = "Hooks";
        Str name = name_of(rows, gateway, STR("name"));
        Str wanted = tree_get_str(gateway, STR("revisionWanted"));
        Str error = tree_get_str(tree_get(gateway, STR("hook")), STR("error"));
        const Tree *calls = tree_get(tree_get(gateway, STR("hook")), STR("calls"));

        if (!tree_get_bool(gateway, STR("found"), false))
                check_rows_add(rows, check, CHECK_WRONG, "gatewayRef, or --gateway-resources",
                               "%.*s: there is no such Gateway", STR_FMT(name));
        else if (calls == NULL || str_eq(calls->text, STR("0")))
                check_rows_add(rows, check, CHECK_WRONG,
                               "Envoy Gateway's extensionManager: docs/run.md has all of it",
                               "%.*s: Envoy Gateway has not called us", STR_FMT(name));
        else if (error.n > 0)
                check_rows_add(rows, check, CHECK_WRONG, NULL, "%.*s: %.*s", STR_FMT(name),
                               STR_FMT(error));
        else if (!str_eq(wanted, tree_get_str(gateway, STR("revisionServed"))))
                check_rows_add(rows, check, CHECK_WRONG,
                               "--generated: is its envoy-gateway/ one of Envoy Gateway's paths?",
                               "%.*s: revision %.*s was not asked for", STR_FMT(name),
                               STR_FMT(wanted));
        else
                check_rows_add(rows, check, CHECK_OK, NULL, "%.*s: revision %.*s was served",
                               STR_FMT(name), STR_FMT(wanted));
}

static void check_entry(CheckRows *rows, const Tree *entry)
{
        static const char check[] = "TailscaleGateway";
        Str name = name_of(rows, entry, STR("gateway"));
        Str tailnet = tree_get_str(entry, STR("tailnet"));
        Str reason = tree_get_str(entry, STR("reason")), text = tree_get_str(entry, STR("text"));
        bool programmed = tree_get_bool(entry, STR("programmed"), false);

        check_rows_add(rows, check,
                       !programmed    ? CHECK_WRONG
                       : reason.n > 0 ? CHECK_WARNING
                                      : CHECK_OK,
                       programmed ? NULL : "tailscale-gateway status tells what was left out",
                       "%.*s, tailnet %.*s%s%.*s%s%.*s", STR_FMT(name), STR_FMT(tailnet),
                       reason.n > 0 ? ": "
                       : programmed ? ""
                                    : ": nothing is programmed",
                       STR_FMT(reason), text.n > 0 ? ": " : "", STR_FMT(text));
}

void check_state(CheckRows *rows, const Tree *state)
{
        const Tree *entries = tree_get(state, STR("entries"));

        check_read(rows, state);
        if (entries == NULL || entries->n == 0)
                check_rows_add(rows, "TailscaleGateway", CHECK_WARNING,
                               "make one: docs/resources.md", "there is none");
        TREE_FOREACH (t, tree_get(state, STR("tailnets")))
                check_tailnet(rows, t);
        TREE_FOREACH (e, entries)
                check_entry(rows, e);
        TREE_FOREACH (g, tree_get(state, STR("gateways")))
                check_gateway(rows, g);
}
