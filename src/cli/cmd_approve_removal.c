/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two questions: what is held, and then, for each entry of that tailnet, to let exactly this go.
 * The digest is that of the first answer, so what the guard has begun to hold since is not let
 * through unseen.
 */
#include "cli/cmd_approve_removal.h"

#include "cli/admin_get.h"
#include "cli/cli_options.h"
#include "cli/columns.h"
#include "cli/tree_print.h"
#include "proto/json_writer.h"
#include "proto/tree.h"

#include <stdio.h>

enum {
        PATH_BYTES_MAX = 8 << 10,
};

typedef struct Approval {
        const CliOptions *options;
        Arena *arena;
        Columns table;
        Buf json; /* the same for scripts */
        JsonWriter writer;
        unsigned found, held, approved;
} Approval;

typedef struct Held {
        Str gateway, tailnet; /* "namespace/name", tailnets[].name */
        Str n, polls, reason, digest;
} Held;

static Str number(const Tree *t, Str key)
{
        const Tree *v = tree_get(t, key);

        return v != NULL && v->type == TREE_NUMBER ? v->text : STR("0");
}

/* A tailnet is known by its name in the TailscaleGateway, or "namespace/gateway/name". */
static bool is_meant(Approval *a, const Held *h)
{
        Str full = arena_printf(a->arena, "%.*s/%.*s", STR_FMT(h->gateway), STR_FMT(h->tailnet));

        return str_eq(a->options->argument, h->tailnet) || str_eq(a->options->argument, full);
}

static void add_value(Buf *path, const char *name, Str value)
{
        buf_printf(path, "%c%s=", str_find(buf_str(path), '?') >= 0 ? '&' : '?', name);
        admin_get_encode(path, value);
}

static bool approve(Approval *a, const Tree *entry, const Held *h, Err *err)
{
        CLEANUP(buf_done) Buf path;
        CLEANUP(buf_done) Buf answer;

        buf_init(&path, PATH_BYTES_MAX);
        buf_init(&answer, ADMIN_GET_BYTES_MAX);
        buf_add_str(&path, STR("/approve-removal"));
        add_value(&path, "namespace", tree_get_str(entry, STR("namespace")));
        add_value(&path, "gateway", tree_get_str(entry, STR("gateway")));
        add_value(&path, "tailnet", h->tailnet);
        add_value(&path, "digest", h->digest);
        return admin_post(a->options->admin_address, buf_str(&path), &answer, err);
}

static void put(Approval *a, const Held *h, Str result)
{
        columns_row(&a->table,
                    (Str[]){h->gateway, h->tailnet, h->n, h->reason, h->polls, h->digest, result});
        json_object_begin(&a->writer);
        json_key_str(&a->writer, STR("gateway"), h->gateway);
        json_key_str(&a->writer, STR("tailnet"), h->tailnet);
        json_key(&a->writer, STR("endpoints"));
        json_raw(&a->writer, h->n);
        json_key_str(&a->writer, STR("reason"), h->reason);
        json_key_str(&a->writer, STR("digest"), h->digest);
        json_key_str(&a->writer, STR("result"), result);
        json_object_end(&a->writer);
}

static void visit(Approval *a, const Tree *entry)
{
        const Tree *held = tree_get(entry, STR("held"));
        const Held h = {
                .gateway = arena_printf(a->arena, "%.*s/%.*s",
                                        STR_FMT(tree_get_str(entry, STR("namespace"))),
                                        STR_FMT(tree_get_str(entry, STR("gateway")))),
                .tailnet = tree_get_str(entry, STR("tailnet")),
                .n = number(held, STR("endpoints")),
                .polls = number(held, STR("confirmations")),
                .reason = tree_get_str(held, STR("reason")),
                .digest = tree_get_str(held, STR("digest")),
        };
        Err err = {0};

        if (!is_meant(a, &h))
                return;
        a->found++;
        if (h.digest.n == 0)
                return;
        a->held++;
        if (approve(a, entry, &h, &err)) {
                a->approved++;
                put(a, &h, STR("approved"));
        } else {
                put(a, &h, str_of(err.text));
        }
}

static void print(Approval *a)
{
        CLEANUP(buf_done) Buf out;
        const Tree *removals;

        buf_init(&out, ADMIN_GET_BYTES_MAX);
        removals = admin_get_read(a->arena, buf_str(&a->json), NULL);
        if (a->options->output == CLI_JSON)
                tree_print_json(removals, &out);
        else if (a->options->output == CLI_YAML)
                tree_print_yaml(removals, &out);
        else if (a->found == 0)
                buf_printf(&out, "no TailscaleGateway has a tailnet %.*s\n",
                           STR_FMT(a->options->argument));
        else if (a->held == 0)
                buf_printf(&out, "nothing is held for tailnet %.*s\n",
                           STR_FMT(a->options->argument));
        else
                columns_print(&a->table, "Held removals", &out);
        IGNORE(fwrite(out.p, 1, out.n, stdout), "nobody to tell");
}

static void approve_all(Approval *a, const Tree *state)
{
        columns_init(&a->table, "TAILSCALEGATEWAY|TAILNET|ENDPOINTS|REASON|POLLS|DIGEST|RESULT");
        buf_init(&a->json, ADMIN_GET_BYTES_MAX);
        json_writer_init(&a->writer, &a->json);
        json_object_begin(&a->writer);
        json_key_array_begin(&a->writer, STR("removals"));
        TREE_FOREACH (entry, tree_get(state, STR("entries")))
                visit(a, entry);
        json_array_end(&a->writer);
        json_object_end(&a->writer);
        print(a);
        buf_done(&a->json);
        columns_done(&a->table);
}

static const Tree *ask_state(const CliOptions *o, Arena *arena, Err *err)
{
        CLEANUP(buf_done) Buf body;

        buf_init(&body, ADMIN_GET_BYTES_MAX);
        if (!admin_get(o->admin_address, STR("/state"), &body, err))
                return NULL;
        return admin_get_read(arena, buf_str(&body), err);
}

int cmd_approve_removal(int argc, char **argv)
{
        static const char help[] =
                "Lets through the removals that the guard holds back for a tailnet (its name in "
                "tailnets[], or\nNAMESPACE/GATEWAY/NAME where several have one of that name): "
                "exactly those that it shows.\n`status` says what is held and why.";
        CliOptions o;
        int code = cli_options_read(&o, argc, argv, "TAILNET", help);
        CLEANUP(arena_done) Arena arena;
        Approval a = {.options = &o, .arena = &arena};
        Err err = {0};
        const Tree *state;

        if (code >= 0)
                return code;
        arena_init(&arena, ADMIN_GET_MEMORY_MAX);
        state = ask_state(&o, &arena, &err);
        if (state == NULL) {
                fprintf(stderr, "tailscale-gateway %s: %s%s\n", argv[0], err.text,
                        err.kind == ERR_TRANSIENT ? ADMIN_GET_HINT : "");
                return 1;
        }
        approve_all(&a, state);
        return a.held > 0 && a.approved == a.held ? 0 : 1;
}
