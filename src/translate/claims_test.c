/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "translate/claims.h"

#include <stdio.h>

enum {
        OLD_HOSTS = 10,
        SERVICE_NAME_MAX = 16,
};

/* One TailscaleGateway of one entry, with services by name. */
typedef struct Side {
        GatewaySpec spec;
        TailnetEntry entry;
        ServicePort *services;           /* owned */
        char (*names)[SERVICE_NAME_MAX]; /* owned */
} Side;

static const EgListener listener = {
        .name = STR_INIT("http"), .port = 80, .protocol = PROTOCOL_HTTP, .kinds = ~0U};

/* Hosts `letter`00000… */
static EntryPlan side_init(Side *s, Str namespace, int64_t created_ms, char letter, size_t n)
{
        *s = (Side){.spec.meta = {.key = {namespace, STR_INIT("ours")}, .created.ms = created_ms},
                    .entry = {.name = STR_INIT("corp"),
                              .egress = {.protocol = PROTOCOL_HTTP,
                                         .host_pattern = STR_INIT("{service}.ts.local"),
                                         .path_prefix = STR_INIT("/{service}/")}}};
        s->services = mem_new_array(n, sizeof *s->services);
        s->names = mem_new_array(n, sizeof *s->names);
        for (size_t i = 0; i < n; i++) {
                snprintf(s->names[i], SERVICE_NAME_MAX, "%c%05zu", letter, i);
                s->services[i] = (ServicePort){
                        .pack = {.service = str_of(s->names[i]),
                                 .tailnet = s->entry.name,
                                 .port = 80,
                                 .protocol = PROTOCOL_HTTP},
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

static void side_done(Side *s)
{
        mem_free(s->services);
        mem_free(s->names);
}

static size_t n_lost(const Claims *all, const EntryPlan *by, bool is_path)
{
        size_t n = 0;
        for (size_t i = 0; i < all->n; i++) {
                const Claim *c = &all->at[i];
                if (c->by != by || c->is_path != is_path || c->won)
                        continue;
                assert_string_equal(c->reason, "TooManyRoutes");
                n++;
        }
        return n;
}

/* However the names of a latecomer's services sort, it takes what is left. */
static void the_caps_are_spent_by_the_oldest_first(void **state)
{
        (void)state;
        static const Str everywhere[] = {STR_INIT("*")};
        const EgGateway gateway = {.meta.key = {STR_INIT("infra"), STR_INIT("gw")},
                                   .listeners = &listener,
                                   .n_listeners = 1};
        World w = {0};
        Side old, late;
        EntryPlan plans[2];
        Arena a;
        arena_init(&a, 0);
        plans[0] = side_init(&late, STR("a-late"), 2000, 'a', CLAIMS_HOSTS_MAX);
        plans[1] = side_init(&old, STR("z-old"), 1000, 'z', OLD_HOSTS);
        plans[0].rank = 1;
        old.entry.egress.path_hosts = late.entry.egress.path_hosts = (StrList){everywhere, 1};
        Claims all = claims_settle(&a, &w, &gateway, plans, LENGTH_OF(plans));
        assert_int_equal(n_lost(&all, &plans[1], false), 0);
        assert_int_equal(n_lost(&all, &plans[1], true), 0);
        assert_int_equal(n_lost(&all, &plans[0], false), OLD_HOSTS);
        assert_int_equal(n_lost(&all, &plans[0], true),
                         CLAIMS_HOSTS_MAX - CLAIMS_PATHS_MAX + OLD_HOSTS);
        assert_int_equal(plans[1].hosts, OLD_HOSTS);
        assert_int_equal(plans[1].paths, OLD_HOSTS);
        assert_int_equal(plans[0].hosts, CLAIMS_HOSTS_MAX - OLD_HOSTS);
        assert_int_equal(plans[0].paths, CLAIMS_PATHS_MAX - OLD_HOSTS);
        size_t n;
        Claim **at = claims_by_standing(&a, &all, &n);
        assert_int_equal(n, CLAIMS_HOSTS_MAX + CLAIMS_PATHS_MAX);
        assert_ptr_equal(at[0]->by, &plans[1]);
        assert_ptr_equal(at[n - 1]->by, &plans[0]);
        side_done(&old);
        side_done(&late);
        arena_done(&a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_caps_are_spent_by_the_oldest_first),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
