/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/value_check.h"

#define N10 "0123456789"
#define N60 N10 N10 N10 N10 N10 N10

/* Up to four good and eight bad values of one check. */
static void test_each_check(void **state)
{
        static const struct {
                const char *name;
                FieldCheck *check;
                const char *good[10], *bad[18];
        } cases[] = {
                {"label",
                 check_label,
                 {"a", "a-b", "0", N60 "abc"},
                 {"", "-a", "a-", "A", "a.b", "a_b", N60 "abcd", "a b", "\xc3\xa9"}},
                {"name",
                 check_name,
                 {"a", "a.b-c.0", N60 "." N60 "." N60 "." N60},
                 {"", ".", "a.", ".a", "a..b", "A", N60 "." N60 "." N60 "." N60 "." N60}},
                {"dns_name",
                 check_dns_name,
                 {"a.B.c", "x.", "a_b"},
                 {"", ".", "a b", "a..b", "a/b"}},
                {"dns_suffix", check_dns_suffix, {"", "a.b", ".a.b", "a."}, {"..", ".", "a b"}},
                {"service", check_service, {"a", "A_b.c", "\xc3\xa9"}, {"", N60 N60 N60 N60 N60}},
                {"glob", check_glob, {"*", "api-*", "[a-z]?"}, {"", "["}},
                {"tag", check_tag, {"tag:a", "tag:A_b.c-1"}, {"", "tag:", "a", "tag:a b", "Tag:a"}},
                {"ip", check_ip, {"1.2.3.4", "::1"}, {"", "a", "1.2.3.4:80"}},
                {"api_url",
                 check_api_url,
                 {"https://api.tailscale.com", "https://x:8443/a/b", "http://127.0.0.1:8080",
                  "http://localhost", "http://[::1]:80/", "http://10.1.2.3",
                  "https://[2001:db8::1]", "http://100.64.0.1", "http://192.168.0.1/x"},
                 {"", "https://", "https:///x", "http://example.com", "http://8.8.8.8", "x",
                  "ftp://a", "https://a:0", "https://a:65536", "https://a:", "https://u@a",
                  "https://u:p@a", "https://a/?x", "https://a/#x", "https://a b", "https://a/../b",
                  "HTTPS://a", "http://localhost.example.com"}},
                {"proxy",
                 check_proxy,
                 {"127.0.0.1:3128", "proxy:1", "[::1]:3128", "/run/p.sock", "a.b:65535"},
                 {"", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "::1:80", "[::1]", "/",
                  "http://a:1", "a:b", "[127.0.0.1]:1", "a:1:2", "u@a:1", "[::1]80", "/" N60 N60}},
                {"env", check_env, {"A", "_a1", "TSGW_KEY"}, {"", "1A", "A-B", "A B", "$A"}},
                {"host_pattern",
                 check_host_pattern,
                 {"{service}", "{service}.{tailnet}.{namespace}.{gateway}.{port}.x",
                  "a-{service}-b.Example.COM"},
                 {"", "x", "{Service}.x", "{service}{", "{service}}", "{service}.{x}",
                  "{service}..a", ".{service}", "{service}.", "{service} .a", "*.{service}",
                  "{service}/a", "{service}:80", "-{service}"}},
                {"path_prefix",
                 check_path_prefix,
                 {"", "/", "/tailscale/{service}/", "/a/{tailnet}/{service}"},
                 {"a", "/{x}", "/{service", "/a b", "/a?b", "/a#b", "//", "/a//b", "/a/../b",
                  "/a/./b", "/a\\b", "/*"}},
                {"path_host",
                 check_path_host,
                 {"*", "*.example.com", "a.example.com", "a.example.com:8080"},
                 {"", "**", "*x", "a b", "*.", "a/b", "*.*.x"}},
                {"path", check_path, {"a", "/a", "../a"}, {""}},
                {"word", check_word, {"a", " "}, {""}},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                char expected[EXPECTED_MAX];

                for (size_t j = 0; j < 10 && cases[i].good[j] != NULL; j++)
                        if (!cases[i].check(str_of(cases[i].good[j]), expected))
                                fail_msg("%s refuses \"%s\": %s", cases[i].name, cases[i].good[j],
                                         expected);
                for (size_t j = 0; j < 18 && cases[i].bad[j] != NULL; j++) {
                        expected[0] = '\0';
                        if (cases[i].check(str_of(cases[i].bad[j]), expected))
                                fail_msg("%s takes \"%s\"", cases[i].name, cases[i].bad[j]);
                        assert_true(expected[0] != '\0');
                }
        }
}

static void test_suggested_placeholder(void **state)
{
        char expected[EXPECTED_MAX];

        (void)state;
        assert_false(check_host_pattern(STR("{service}.{tailnte}"), expected));
        assert_non_null(strstr(expected, "did you mean {tailnet}?"));
}

static void test_hosts(void **state)
{
        uint16_t port;
        Str host;

        (void)state;
        assert_true(value_host_port(STR("[fd7a::1]:99"), &host, &port));
        assert_true(str_eq(host, STR("fd7a::1")));
        assert_int_equal(port, 99);
        assert_true(str_eq(value_url_host(STR("https://A.b:1/x")), STR("A.b")));
        assert_true(str_eq(value_url_host(STR("http://[::1]/x")), STR("::1")));
        assert_int_equal(value_url_host(STR("x")).n, 0);
        assert_int_equal(value_url_host((Str){0}).n, 0);
}

/* No check reads past its value, whatever it holds. */
static void test_every_short_value(void **state)
{
        static FieldCheck *const checks[] = {
                check_label,   check_name,      check_dns_name,    check_dns_suffix,
                check_service, check_word,      check_glob,        check_tag,
                check_ip,      check_api_url,   check_proxy,       check_path,
                check_env,     check_path_host, check_path_prefix, check_host_pattern,
        };
        static const char letters[] = "a0.-:/[]{}*@ \xff\0";

        (void)state;
        for (size_t c = 0; c < LENGTH_OF(checks); c++) {
                char expected[EXPECTED_MAX];

                for (size_t i = 0; i < sizeof(letters); i++)
                        for (size_t j = 0; j < sizeof(letters); j++) {
                                char v[2] = {letters[i], letters[j]};

                                (void)checks[c](str_make(v, 2), expected);
                                (void)checks[c](str_make(v, 1), expected);
                        }
                (void)checks[c]((Str){0}, expected);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_check),
                cmocka_unit_test(test_suggested_placeholder),
                cmocka_unit_test(test_hosts),
                cmocka_unit_test(test_every_short_value),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
