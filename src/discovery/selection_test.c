/* SPDX-License-Identifier: Apache-2.0 */
#include "discovery/selection.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/glob.h"

#define LIST(...) \
        ((StrList){(const Str[]){__VA_ARGS__}, sizeof((const Str[]){__VA_ARGS__}) / sizeof(Str)})

static Device web(void)
{
        static const Str tags[] = {STR_INIT("tag:prod"), STR_INIT("tag:web")};

        return (Device){.node_id = STR("7"),
                        .name = STR("api-web.corp.ts.net"),
                        .short_name = STR("api-web"),
                        .os = STR("linux"),
                        .user = STR("alice@example.com"),
                        .tags = {tags, LENGTH_OF(tags)},
                        .authorized = true};
}

typedef struct Case {
        DiscoveryRules rules;
        StrList own_nodes;
        bool taken;
        const char *reason, *text;
} Case;

static void each_rule_says_what_it_did(void **state)
{
        const Case cases[] = {
                {.taken = true, .text = "no pattern"},
                {.rules.patterns = LIST(STR("x-*"), STR("API-*")),
                 .taken = true,
                 .text = "pattern API-*"},
                {.rules.patterns = LIST(STR("*.corp.ts.net")),
                 .taken = true,
                 .text = "pattern *.corp.ts.net"},
                /* With a dot the full name, without one the short name, and the whole of it. */
                {.rules.patterns = LIST(STR("api-web.*.net")),
                 .taken = true,
                 .text = "pattern api-web.*.net"},
                {.rules.patterns = LIST(STR("corp*"), STR("api")),
                 .reason = "NotSelected",
                 .text = "patterns: none of corp*, api matches"},
                {.rules.patterns = LIST(STR("*")),
                 .rules.exclude_patterns = LIST(STR("db-*"), STR("*-web")),
                 .reason = "Excluded",
                 .text = "excludePatterns[1] *-web matches"},
                {.rules.tags = LIST(STR("tag:dev"), STR("tag:web")),
                 .taken = true,
                 .text = "tag tag:web"},
                {.rules.tags = LIST(STR("tag:we*")),
                 .reason = "NotSelected",
                 .text = "tags: tag:we* does not match"},
                {.rules.tags = LIST(STR("a"), STR("b"), STR("c"), STR("d"), STR("e"), STR("f")),
                 .reason = "NotSelected",
                 .text = "tags: none of a, b, c, d and 2 more matches"},
                {.rules.exclude_tags = LIST(STR("tag:prod")),
                 .reason = "Excluded",
                 .text = "excludeTags[0] tag:prod matches"},
                {.rules.patterns = LIST(STR("api-*")),
                 .rules.tags = LIST(STR("tag:prod")),
                 .taken = true,
                 .text = "pattern api-*, tag tag:prod"},
                {.rules.patterns = LIST(STR("api-*")),
                 .rules.tags = LIST(STR("tag:dev")),
                 .reason = "NotSelected",
                 .text = "tags: tag:dev does not match"},
                {.rules.os = LIST(STR("Linux")), .taken = true, .text = "os Linux"},
                {.rules.os = LIST(STR("windows")),
                 .reason = "NotSelected",
                 .text = "os: windows does not match"},
                {.rules.owners = LIST(STR("*@example.com")),
                 .taken = true,
                 .text = "owner *@example.com"},
                {.rules.owners = LIST(STR("bob")),
                 .reason = "NotSelected",
                 .text = "owners: bob does not match"},
                {.own_nodes = LIST(STR("9"), STR("7")),
                 .reason = "OwnNode",
                 .text = "a proxy of ours is never taken"},
                {.own_nodes = LIST(STR("API-web")),
                 .reason = "OwnNode",
                 .text = "a proxy of ours is never taken"},
        };
        Device d = web();
        Arena arena;

        (void)state;
        arena_init(&arena, 0);
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                Verdict v = selection_judge(&cases[i].rules, cases[i].own_nodes, &d,
                                            SELECTION_OF_DEVICE, &arena);

                assert_int_equal(v.taken, cases[i].taken);
                assert_true(str_eq(v.reason, str_of(cases[i].reason)));
                assert_string_equal(arena_str(&arena, v.text).p, cases[i].text);
        }
        arena_done(&arena);
}

static void what_is_not_known_of_an_endpoint_still_matches(void **state)
{
        DiscoveryRules rules = {.os = LIST(STR("linux")),
                                .owners = LIST(STR("alice")),
                                .patterns = LIST(STR("api-*"))};
        Device d = web();
        Arena arena;

        (void)state;
        d.os = d.user = (Str){0};
        arena_init(&arena, 0);
        assert_false(selection_judge(&rules, (StrList){0}, &d, SELECTION_OF_DEVICE, &arena).taken);
        assert_true(
                selection_judge(&rules, (StrList){0}, &d, SELECTION_OF_REMEMBERED, &arena).taken);
        rules.patterns = LIST(STR("db-*"));
        assert_false(
                selection_judge(&rules, (StrList){0}, &d, SELECTION_OF_REMEMBERED, &arena).taken);
        arena_done(&arena);
}

static void a_service_has_no_machine(void **state)
{
        static const struct {
                const char *reason, *text;
        } wanted[] = {
                {"", "no pattern"},
                {"", "pattern api-*"},
                {"", "pattern *.corp.ts.net, tag tag:prod"},
                {"NotSelected", "os: a Tailscale Service has no operating system"},
                {"NotSelected", "owners: a Tailscale Service has no owner"},
                {"Excluded", "excludeTags[0] tag:web matches"},
        };
        const DiscoveryRules rules[] = {
                {0},
                {.patterns = LIST(STR("api-*"))},
                {.patterns = LIST(STR("*.corp.ts.net")), .tags = LIST(STR("tag:prod"))},
                {.os = LIST(STR("*"))},
                {.owners = LIST(STR("*"))},
                {.exclude_tags = LIST(STR("tag:web"))},
        };
        Device d = web();
        Arena arena;

        (void)state;
        arena_init(&arena, 0);
        for (size_t i = 0; i < LENGTH_OF(rules); i++) {
                /* A proxy of ours may have the same name: it is another thing. */
                Verdict v = selection_judge(&rules[i], LIST(STR("api-web")), &d,
                                            SELECTION_OF_SERVICE, &arena);

                assert_int_equal(v.taken, wanted[i].reason[0] == '\0');
                assert_true(str_eq(v.reason, str_of(wanted[i].reason)));
                assert_string_equal(arena_str(&arena, v.text).p, wanted[i].text);
        }
        arena_done(&arena);
}

static void the_first_group_that_matches_counts(void **state)
{
        static const GroupRule groups[] = {
                {.name = STR_INIT("db"), .tag = STR_INIT("tag:database")},
                {.name = STR_INIT("web"), .tag = STR_INIT("tag:web")},
                {.name = STR_INIT("api"), .pattern = STR_INIT("api-*")},
        };
        DiscoveryRules rules = {.groups = groups, .n_groups = LENGTH_OF(groups)};
        Device d = web();

        (void)state;
        assert_int_equal(selection_group(&rules, &d), 1);
        d.tags = (StrList){0};
        assert_int_equal(selection_group(&rules, &d), 2);
        d.short_name = STR("x");
        assert_int_equal(selection_group(&rules, &d), -1);
}

static void a_rule_is_told_in_a_bounded_text(void **state)
{
        char glob[GLOB_MAX];
        StrList one = {&(Str){glob, sizeof(glob)}, 1};
        DiscoveryRules rules = {.patterns = one, .os = one, .owners = one};
        Device d = web();
        Arena arena;

        (void)state;
        memset(glob, '*', sizeof(glob));
        for (size_t i = 0; i < sizeof(glob) / 3; i++)
                memcpy(glob + 3 * i, "*\xc3\xa9", 3);
        d.os = d.user = d.short_name = str_make(glob, sizeof(glob));
        arena_init(&arena, 0);
        Verdict v = selection_judge(&rules, (StrList){0}, &d, SELECTION_OF_DEVICE, &arena);
        assert_true(v.taken);
        assert_in_range(v.text.n, SELECTION_RULE_MAX - 1, SELECTION_RULE_MAX);
        assert_true(str_is_printable_utf8(v.text));
        arena_done(&arena);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_rule_says_what_it_did),
                cmocka_unit_test(what_is_not_known_of_an_endpoint_still_matches),
                cmocka_unit_test(a_service_has_no_machine),
                cmocka_unit_test(the_first_group_that_matches_counts),
                cmocka_unit_test(a_rule_is_told_in_a_bounded_text),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
