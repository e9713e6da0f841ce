/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "translate/hostname.h"

static const HostVars vars = {
        .service = STR_INIT("My_Server.x"),
        .tailnet = STR_INIT("corp"),
        .namespace = STR_INIT("team-a"),
        .gateway = STR_INIT("gw"),
        .port = 8080,
};

static void check(Str got, const char *want)
{
        if (!str_eq(got, str_of(want)))
                fail_msg("got \"%.*s\", want \"%s\"", STR_FMT(got), want);
}

static void labels_are_dns_safe(void **state)
{
        (void)state;
        Arena a;
        arena_init(&a, 0);
        check(hostname_label(&a, STR("API-Server")), "api-server");
        check(hostname_label(&a, STR("--a b\xff.c--")), "a-b--c");
        check(hostname_label(&a, STR("...")), "");
        check(hostname_label(&a, (Str){0}), "");
        char longest[100];
        memset(longest, 'x', sizeof(longest));
        assert_int_equal(hostname_label(&a, str_make(longest, sizeof(longest))).n,
                         HOSTNAME_LABEL_MAX);
        longest[HOSTNAME_LABEL_MAX - 1] = '.';
        assert_int_equal(hostname_label(&a, str_make(longest, sizeof(longest))).n,
                         HOSTNAME_LABEL_MAX - 1);
        arena_done(&a);
}

static void hosts_from_patterns(void **state)
{
        (void)state;
        Arena a;
        arena_init(&a, 0);
        check(hostname_expand(&a, STR("{service}.tailscale.local"), &vars),
              "my-server-x.tailscale.local");
        check(hostname_expand(&a, STR("{service}-{port}.{tailnet}.{namespace}.{gateway}.Local"),
                              &vars),
              "my-server-x-8080.corp.team-a.gw.local");
        check(hostname_expand(&a, STR("{service}..x"), &vars), "");
        check(hostname_expand(&a, STR("{service}.{unknown}.x"), &vars), "");
        check(hostname_expand(&a, STR("{service}/x"), &vars), "");
        check(hostname_expand(&a, STR("*.{service}"), &vars), "");
        HostVars none = vars;
        none.service = STR("???");
        check(hostname_expand(&a, STR("{service}.x"), &none), "");
        char name[80];
        memset(name, 'n', sizeof(name));
        HostVars big = vars;
        big.service = str_make(name, sizeof(name));
        assert_int_equal(hostname_expand(&a, STR("{service}-{port}.x"), &big).n,
                         HOSTNAME_LABEL_MAX + 2);
        assert_int_equal(
                hostname_expand(&a, STR("{service}.{service}.{service}.{service}.x"), &big).n, 0);
        arena_done(&a);
}

static void labels_that_are_cut_end_well(void **state)
{
        (void)state;
        Arena a;
        arena_init(&a, 0);
        char name[HOSTNAME_LABEL_MAX - 1];
        memset(name, 'n', sizeof(name));
        HostVars big = vars;
        big.service = str_make(name, sizeof(name));
        Str host = hostname_expand(&a, STR("{service}--{tailnet}.x"), &big);
        assert_int_equal(host.n, HOSTNAME_LABEL_MAX - 1 + 2);
        assert_true(str_ends(host, STR("n.x")));
        host = hostname_expand(&a, STR("x.{service}--{tailnet}"), &big);
        assert_true(str_ends(host, STR("n")));
        arena_done(&a);
}

static void paths_from_patterns(void **state)
{
        (void)state;
        Arena a;
        arena_init(&a, 0);
        check(hostname_expand_path(&a, STR("/tailscale/{service}/"), &vars),
              "/tailscale/my-server-x/");
        check(hostname_expand_path(&a, STR("/{tailnet}/{service}"), &vars), "/corp/my-server-x/");
        check(hostname_expand_path(&a, STR("tailscale/{service}/"), &vars), "");
        check(hostname_expand_path(&a, STR("/a//{service}/"), &vars), "");
        check(hostname_expand_path(&a, STR("/../{service}/"), &vars), "");
        check(hostname_expand_path(&a, STR("/a?b={service}"), &vars), "");
        check(hostname_expand_path(&a, STR("/a b/{service}"), &vars), "");
        check(hostname_expand_path(&a, STR("/%2e/{service}"), &vars), "");
        arena_done(&a);
}

static void which_hosts_a_listener_serves(void **state)
{
        (void)state;
        assert_true(hostname_within((Str){0}, STR("a.b")));
        assert_true(hostname_within(STR("*.example.com"), STR("x.y.example.com")));
        assert_true(hostname_within(STR("*.Example.com"), STR("x.example.com")));
        assert_false(hostname_within(STR("*.example.com"), STR("example.com")));
        assert_false(hostname_within(STR("*.example.com"), STR(".example.com")));
        assert_false(hostname_within(STR("*.example.com"), STR("xexample.com")));
        assert_true(hostname_within(STR("a.b"), STR("A.b")));
        assert_false(hostname_within(STR("a.b"), STR("c.a.b")));
}

static void which_domains_a_pattern_names(void **state)
{
        (void)state;
        assert_true(hostname_names(STR("*"), STR("*")));
        assert_false(hostname_names(STR("*"), STR("a.b")));
        assert_true(hostname_names(STR("*.b"), STR("*.b")));
        assert_true(hostname_names(STR("*.b"), STR("x.a.b")));
        assert_true(hostname_names(STR("*.b"), STR("*.a.b")));
        assert_false(hostname_names(STR("*.b"), STR("b")));
        assert_true(hostname_names(STR("a.b"), STR("A.B")));
}

static void valid_hosts(void **state)
{
        (void)state;
        assert_true(hostname_is_valid(STR("a")));
        assert_true(hostname_is_valid(STR("api_1.corp-x.ts.net")));
        assert_false(hostname_is_valid(STR("")));
        assert_false(hostname_is_valid(STR("a.")));
        assert_false(hostname_is_valid(STR(".a")));
        assert_false(hostname_is_valid(STR("a:80")));
        assert_false(hostname_is_valid(STR("a\r\nb")));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(labels_are_dns_safe),
                cmocka_unit_test(hosts_from_patterns),
                cmocka_unit_test(labels_that_are_cut_end_well),
                cmocka_unit_test(paths_from_patterns),
                cmocka_unit_test(which_hosts_a_listener_serves),
                cmocka_unit_test(which_domains_a_pattern_names),
                cmocka_unit_test(valid_hosts),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
