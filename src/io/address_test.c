/* SPDX-License-Identifier: Apache-2.0 */
#include "io/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static Address parse(Str s)
{
        Address a;
        Err err;

        if (!address_parse(s, &a, &err))
                fail_msg("%s", err.text);
        return a;
}

static void parses_tcp(void **state)
{
        Address a = parse(STR("tcp://127.0.0.1:5005"));

        (void)state;
        assert_int_equal(a.sa.ss_family, AF_INET);
        assert_int_equal(a.n, sizeof(struct sockaddr_in));
        assert_int_equal(address_port(&a), 5005);
        assert_string_equal(a.text, "tcp://127.0.0.1:5005");
        assert_true(address_is_local(&a));
        assert_int_equal(address_path(&a).n, 0);
        a = parse(STR("0.0.0.0:0"));
        assert_false(address_is_local(&a));
        assert_int_equal(address_port(&a), 0);
        a = parse(STR("localhost:80"));
        assert_true(address_is_local(&a));
        a = parse(STR("tcp://[::1]:65535"));
        assert_int_equal(a.sa.ss_family, AF_INET6);
        assert_int_equal(a.n, sizeof(struct sockaddr_in6));
        assert_int_equal(address_port(&a), 65535);
        assert_true(address_is_local(&a));
        a = parse(STR("[fd7a:115c:a1e0::1]:80"));
        assert_false(address_is_local(&a));
        a = parse(STR("128.0.0.1:80"));
        assert_false(address_is_local(&a));
}

static void parses_unix(void **state)
{
        Address a = parse(STR("unix:///run/x.sock"));
        char longest[7 + sizeof(((struct sockaddr_un *)0)->sun_path)];

        (void)state;
        assert_true(str_eq(address_path(&a), STR("/run/x.sock")));
        assert_true(address_is_local(&a));
        assert_int_equal(address_port(&a), 0);
        memset(longest, 'x', sizeof(longest));
        for (size_t i = 0; i < 8; i++)
                longest[i] = "unix:///"[i];
        a = parse(str_make(longest, sizeof(longest) - 1));
        assert_int_equal(address_path(&a).n, sizeof(longest) - 1 - 7);
        assert_false(address_parse(str_make(longest, sizeof(longest)), &a, NULL));
}

static void refuses_what_is_none(void **state)
{
        static const Str bad[] = {
                STR_INIT(""),
                STR_INIT("tcp://"),
                STR_INIT("5005"),
                STR_INIT(":5005"),
                STR_INIT("127.0.0.1"),
                STR_INIT("127.0.0.1:"),
                STR_INIT("127.0.0.1:x"),
                STR_INIT("127.0.0.1:65536"),
                STR_INIT("127.0.0.1:000080"),
                STR_INIT("127.0.0.1:80 "),
                STR_INIT("127.1:80"),
                STR_INIT("127.0.0.01:80"),
                STR_INIT("example.com:80"),
                STR_INIT("::1:80"),
                STR_INIT("[::1]"),
                STR_INIT("[::1]80"),
                STR_INIT("[::1:80"),
                STR_INIT("[]:80"),
                STR_INIT("[127.0.0.1]:80"),
                STR_INIT("[localhost]:80"),
                STR_INIT("[fe80::1%lo]:80"),
                STR_INIT("127.0.0.1\0:80"),
                STR_INIT("http://127.0.0.1:80"),
                STR_INIT("unix://"),
                STR_INIT("unix:///"),
                STR_INIT("unix://relative"),
                STR_INIT("unix:///a\0b"),
                STR_INIT("[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]:80"),
        };
        Address a = {.n = 42};
        Err err;

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(bad); i++) {
                if (address_parse(bad[i], &a, &err))
                        fail_msg("%s", bad[i].p);
                assert_int_equal(err.kind, ERR_INVALID);
                assert_string_equal(err.reason, "InvalidAddress");
        }
        assert_int_equal(a.n, 42);
}

static void takes_another_port(void **state)
{
        Address a = parse(STR("localhost:0"));

        (void)state;
        address_set_port(&a, 8080);
        assert_int_equal(address_port(&a), 8080);
        assert_string_equal(a.text, "tcp://127.0.0.1:8080");
        a = parse(STR("[::1]:0"));
        address_set_port(&a, 1);
        assert_string_equal(a.text, "tcp://[::1]:1");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(parses_tcp),
                cmocka_unit_test(parses_unix),
                cmocka_unit_test(refuses_what_is_none),
                cmocka_unit_test(takes_another_port),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
