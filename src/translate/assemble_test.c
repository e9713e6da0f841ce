/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "translate/assemble.h"

#include <stdio.h>

enum {
        OLD_SERVICES = 2,
        LATE_SERVICES = 450,
        MEMBERS = 4000, /* of each service: some 0.1 MiB */
        NAME_MAX_HERE = 64,
};

/* One TailscaleGateway of one entry, whose services have many endpoints. */
typedef struct Side {
        GatewaySpec spec;
        TailnetEntry entry;
        ServicePort services[LATE_SERVICES];
        char names[LATE_SERVICES][NAME_MAX_HERE], clusters[LATE_SERVICES][NAME_MAX_HERE];
} Side;

static const EgListener listener = {
        .name = STR_INIT("http"), .port = 80, .protocol = PROTOCOL_HTTP, .kinds = ~0U};
static const EgGateway gateway = {
        .meta.key = {STR_INIT("infra"), STR_INIT("gw")}, .listeners = &listener, .n_listeners = 1};

static EntryPlan side_init(Side *s, Str namespace, int64_t created_ms, char letter, size_t n,
                           const Endpoint *const *members)
{
        *s = (Side){.spec.meta = {.key = {namespace, STR_INIT("ours")}, .created.ms = created_ms},
                    .entry = {.name = STR_INIT("corp"),
                              .egress = {.protocol = PROTOCOL_HTTP,
                                         .host_pattern = STR_INIT("{service}.ts.local")}}};
        for (size_t i = 0; i < n; i++) {
                snprintf(s->names[i], NAME_MAX_HERE, "%c%03zu", letter, i);
                snprintf(s->clusters[i], NAME_MAX_HERE, "tailscale/egress/%c/%03zu", letter, i);
                s->services[i] = (ServicePort){
                        .pack = {.gateway_namespace = namespace,
                                 .gateway = s->spec.meta.key.name,
                                 .tailnet = s->entry.name,
                                 .service = str_of(s->names[i]),
                                 .cluster = str_of(s->clusters[i]),
                                 .port = 80,
                                 .protocol = PROTOCOL_HTTP,
                                 .endpoints = members,
                                 .n_endpoints = MEMBERS},
                        .has_host = true,
                };
        }
        return (EntryPlan){.spec = &s->spec,
                           .entry = &s->entry,
                           .oldest.ms = created_ms,
                           .attached.listener = &listener,
                           .services = s->services,
                           .n_services = n};
}

static size_t n_too_large(const Claims *all, const EntryPlan *by)
{
        size_t n = 0;
        for (size_t i = 0; i < all->n; i++) {
                const Claim *c = &all->at[i];
                if (c->by != by || c->won)
                        continue;
                assert_string_equal(c->reason, "TooLarge");
                n++;
        }
        return n;
}

/* One tenant's services cost nobody else an answer. */
static void the_last_by_standing_is_left_out_of_what_is_too_much(void **state)
{
        (void)state;
        World w = {0};
        static Side old, late;
        static const Endpoint *members[MEMBERS];
        for (size_t i = 0; i < MEMBERS; i++) {
                char ip[24];
                snprintf(ip, sizeof ip, "100.64.%zu.%zu", i / 250, i % 250 + 1);
                members[i] = endpoint_new(&(Endpoint){.service = STR("x"),
                                                      .ip = str_of(ip),
                                                      .port = 8080,
                                                      .protocol = PROTOCOL_HTTP,
                                                      .weight = 1});
        }
        EntryPlan plans[2] = {side_init(&late, STR("a-late"), 2000, 'a', LATE_SERVICES, members),
                              side_init(&old, STR("z-old"), 1000, 'z', OLD_SERVICES, members)};
        plans[0].rank = 1;
        Arena a;
        arena_init(&a, 0);
        Claims all = claims_settle(&a, &w, &gateway, plans, LENGTH_OF(plans));
        AssembleInput in = {.key = gateway.meta.key,
                            .gateway = &gateway,
                            .plans = plans,
                            .n_plans = LENGTH_OF(plans),
                            .claims = &all};
        Contribution *c = assemble(&a, &in);
        size_t left_out = n_too_large(&all, &plans[0]);
        assert_int_equal(n_too_large(&all, &plans[1]), 0);
        assert_in_range(left_out, 1, LATE_SERVICES - 1);
        assert_in_range(c->bytes, ASSEMBLE_BYTES_MAX / 2, ASSEMBLE_BYTES_MAX);
        assert_int_equal(c->n_hosts, OLD_SERVICES + LATE_SERVICES - left_out);
        assert_int_equal(c->n_clusters, c->n_hosts);
        assert_int_equal(plans[0].hosts, LATE_SERVICES - left_out);
        assert_int_equal(plans[1].hosts, OLD_SERVICES);
        leaf_unref(c);
        for (size_t i = 0; i < MEMBERS; i++)
                leaf_unref(members[i]);
        arena_done(&a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_last_by_standing_is_left_out_of_what_is_too_much),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
