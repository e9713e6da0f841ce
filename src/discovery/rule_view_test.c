/* SPDX-License-Identifier: Apache-2.0 */
#include "discovery/rule_view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"

#define LIST(...) \
        ((StrList){(const Str[]){__VA_ARGS__}, sizeof((const Str[]){__VA_ARGS__}) / sizeof(Str)})

static Table *some_devices(void)
{
        const void *leaves[] = {
                device_new(&(Device){.node_id = STR("n1"),
                                     .name = STR("api-1.corp.ts.net"),
                                     .short_name = STR("api-1"),
                                     .os = STR("linux"),
                                     .user = STR("ann@example.com"),
                                     .tags = LIST(STR("tag:http-8080"))}),
                device_new(&(Device){.node_id = STR("n2"),
                                     .name = STR("db.corp.ts.net"),
                                     .short_name = STR("db"),
                                     .os = STR("windows"),
                                     .tags = LIST(STR("tag:database"))}),
        };

        return table_new(leaves, LENGTH_OF(leaves), device_order);
}

static Table *some_services(void)
{
        const void *leaves[] = {tailnet_service_new(&(TailnetService){
                .name = STR("svc:api"), .label = STR("api"), .tags = LIST(STR("tag:database"))})};

        return table_new(leaves, LENGTH_OF(leaves), tailnet_service_order);
}

/* "field value n: names" for each rule, a line each. */
static Str told(const RuleView *v, Buf *out)
{
        buf_reset(out);
        for (size_t i = 0; i < v->n; i++) {
                buf_printf(out, "%.*s %.*s %zu:", STR_FMT(v->at[i].field), STR_FMT(v->at[i].value),
                           v->at[i].n);
                for (size_t j = 0; j < v->at[i].names.n; j++)
                        buf_printf(out, " %.*s", STR_FMT(v->at[i].names.at[j]));
                buf_add_char(out, '\n');
        }
        buf_add_char(out, '\0');
        return buf_str(out);
}

static void each_rule_is_taken_by_itself(void **state)
{
        const PortRule ports[] = {{.pattern = STR("d*")}, {.tag = STR("tag:nobody")}};
        const GroupRule groups[] = {{.name = STR("web"), .pattern = STR("api*")}};
        const DiscoveryRules rules = {
                .exclude_patterns = LIST(STR("api-*")),
                .patterns = LIST(STR("*.corp.ts.net"), STR("nothing-*")),
                .tags = LIST(STR("tag:database")),
                .os = LIST(STR("*")),
                .owners = LIST(STR("ann@*")),
                .groups = groups,
                .n_groups = 1,
                .ports = ports,
                .n_ports = 2,
                .default_port = 80,
        };
        CLEANUP(leaf_cleanup) Table *devices = some_devices();
        CLEANUP(leaf_cleanup) Table *services = some_services();
        CLEANUP(arena_done) Arena arena;
        CLEANUP(buf_done) Buf out;
        RuleView v;

        (void)state;
        arena_init(&arena, 0);
        buf_init(&out, 4096);
        v = rule_view(&rules, devices, services, STR("corp.ts.net"), &arena);
        assert_string_equal(
                told(&v, &out).p,
                "excludePatterns[0] api-* 1: api-1.corp.ts.net\n"
                "patterns[0] *.corp.ts.net 3: api-1.corp.ts.net db.corp.ts.net api.corp.ts.net\n"
                "patterns[1] nothing-* 0:\n"
                "tags[0] tag:database 2: db.corp.ts.net api.corp.ts.net\n"
                "os[0] * 2: api-1.corp.ts.net db.corp.ts.net\n"
                "owners[0] ann@* 1: api-1.corp.ts.net\n"
                "groups[0] web: api* 2: api-1.corp.ts.net api.corp.ts.net\n"
                "ports[0] d* 1: db.corp.ts.net\n"
                "ports[1] tag:nobody 0:\n"
                "port tags tag:<protocol>-<port> 1: api-1.corp.ts.net\n"
                "defaultPort 80 3: api-1.corp.ts.net db.corp.ts.net api.corp.ts.net\n");
}

static void nothing_found_is_no_fault(void **state)
{
        const DiscoveryRules rules = {.patterns = LIST(STR("a"))};
        CLEANUP(arena_done) Arena arena;
        RuleView v;

        (void)state;
        arena_init(&arena, 0);
        v = rule_view(&rules, NULL, NULL, (Str){0}, &arena);
        assert_int_equal(v.n, 2);
        assert_int_equal(v.at[0].n, 0);
}

static void all_are_counted_some_are_named(void **state)
{
        const DiscoveryRules rules = {.patterns = LIST(STR("*"))};
        const void *leaves[RULE_VIEW_NAMES_MAX + 50];
        CLEANUP(arena_done) Arena arena;
        RuleView v;
        Table *t;

        (void)state;
        arena_init(&arena, 0);
        for (size_t i = 0; i < LENGTH_OF(leaves); i++) {
                Str id = arena_printf(&arena, "n%03zu", i);

                leaves[i] = device_new(&(Device){.node_id = id, .name = id, .short_name = id});
        }
        t = table_new(leaves, LENGTH_OF(leaves), device_order);
        v = rule_view(&rules, t, NULL, (Str){0}, &arena);
        assert_int_equal(v.at[0].n, LENGTH_OF(leaves));
        assert_int_equal(v.at[0].names.n, RULE_VIEW_NAMES_MAX);
        table_unref(t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_rule_is_taken_by_itself),
                cmocka_unit_test(nothing_found_is_no_fault),
                cmocka_unit_test(all_are_counted_some_are_named),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
