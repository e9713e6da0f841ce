/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/cidr.h"

static IpAddr ip(const char *text)
{
        IpAddr a;

        assert_true(ip_parse(str_of(text), &a));
        return a;
}

static void test_addresses(void **state)
{
        static const struct {
                const char *text, *canonical;
        } good[] = {
                {"100.64.0.1", "100.64.0.1"},
                {"0.0.0.0", "0.0.0.0"},
                {"::1", "::1"},
                {"FD7A:115C:A1E0:0:0:0:0:1", "fd7a:115c:a1e0::1"},
                {"::ffff:1.2.3.4", "1.2.3.4"},
                {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
        };
        static const char *const bad[] = {
                "",         "1.2.3",     "1.2.3.4.5",    "1.2.3.256",  "01.2.3.4", " 1.2.3.4",
                "1.2.3.4 ", "1.2.3.4/8", "fe80::1%eth0", "[::1]",      "host",     "12345::",
                ":::",      "1.2.3.-4",  "0x7f.0.0.1",   "2130706433", "::1::",
        };
        char buf[IP_TEXT];
        IpAddr a;

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(good); i++) {
                a = ip(good[i].text);
                assert_string_equal(ip_format(&a, buf), good[i].canonical);
        }
        for (size_t i = 0; i < LENGTH_OF(bad); i++)
                if (ip_parse(str_of(bad[i]), &a))
                        fail_msg("%s", bad[i]);
        assert_false(ip_parse(STR("1.2.3.4\0"), &a));
        assert_true(ip_is_v4(&(IpAddr){{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4}}));
        a = ip("::1");
        assert_false(ip_is_v4(&a));
}

/* libc's form is the same but for ::1.2.3.4, which stands for IPv4 in no tailnet. */
/* Groups are zero where `zeros` has a bit, else these two bytes. */
static void check_form_of_v6(unsigned zeros, uint8_t high, uint8_t low)
{
        char buf[IP_TEXT], expected[IP_TEXT];
        IpAddr a = {0};

        for (unsigned i = 0; i < 8; i++) {
                if (zeros >> i & 1)
                        continue;
                a.b[2 * i] = high;
                a.b[2 * i + 1] = low;
        }
        assert_non_null(inet_ntop(AF_INET6, a.b, expected, sizeof(expected)));
        if (strchr(expected, '.') == NULL)
                assert_string_equal(ip_format(&a, buf), expected);
        a = ip(ip_format(&a, buf));
        assert_string_equal(ip_format(&a, expected), buf);
}

static void test_form(void **state)
{
        static const uint8_t values[] = {0x00, 0x01, 0x0f, 0x10, 0xab};
        char buf[IP_TEXT], expected[IP_TEXT];

        (void)state;
        for (unsigned zeros = 0; zeros < 256; zeros++)
                for (size_t v = 0; v < LENGTH_OF(values) * LENGTH_OF(values); v++)
                        check_form_of_v6(zeros, values[v / LENGTH_OF(values)],
                                         values[v % LENGTH_OF(values)]);
        for (unsigned i = 0; i < 256; i++) {
                uint8_t b[4] = {(uint8_t)i, (uint8_t)(255 - i), 0, 100};
                IpAddr a = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, b[0], b[1], b[2], b[3]}};

                assert_non_null(inet_ntop(AF_INET, b, expected, sizeof(expected)));
                assert_string_equal(ip_format(&a, buf), expected);
        }
}

static void test_ranges(void **state)
{
        static const struct {
                const char *range, *in, *out;
        } good[] = {
                {"10.0.0.0/8", "10.255.255.255", "11.0.0.0"},
                {"0.0.0.0/0", "255.1.2.3", "::1"},
                {"::/0", "fd00::1", "169.254.169.254"},
                {"100.64.0.0/10", "100.127.255.255", "100.128.0.0"},
                {"fd7a:115c:a1e0::/48", "fd7a:115c:a1e0:ffff::", "fd7a:115c:a1e1::"},
                {"1.2.3.4", "1.2.3.4", "1.2.3.5"},
                {"1.2.3.4/32", "1.2.3.4", "1.2.3.5"},
                {"::1", "::1", "::2"},
                {"192.0.2.128/25", "192.0.2.200", "192.0.2.127"},
        };
        static const char *const bad[] = {"",
                                          "10.0.0.1/8",
                                          "10.0.0.0/33",
                                          "::/129",
                                          "10.0.0.0/",
                                          "/8",
                                          "10.0.0.0/-1",
                                          "10.0.0.0/8/8",
                                          "10.0.0.0/08x",
                                          "fd00::1/8",
                                          "10.0.0.0/0008"};
        Cidr c;

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(good); i++) {
                IpAddr in = ip(good[i].in);

                assert_true(cidr_parse(str_of(good[i].range), &c));
                assert_true(cidr_has(&c, &in));
                if (good[i].out != NULL) {
                        IpAddr out = ip(good[i].out);

                        assert_false(cidr_has(&c, &out));
                }
        }
        for (size_t i = 0; i < LENGTH_OF(bad); i++)
                if (cidr_parse(str_of(bad[i]), &c))
                        fail_msg("%s", bad[i]);
}

static void test_what_may_be_dialled(void **state)
{
        IpAddr tailnet4 = ip("100.100.1.1"), tailnet6 = ip("fd7a:115c:a1e0::5");
        IpAddr inside = ip("10.1.2.3"), loopback = ip("127.0.0.1"), public = ip("192.0.2.1");
        IpAddr mapped = ip("::ffff:127.0.0.1");
        static const char *const own[] = {"100.100.100.100", "fd7a:115c:a1e0::53"};
        Cidr allowed, itself;

        (void)state;
        assert_true(cidr_parse(STR("10.1.0.0/16"), &allowed));
        assert_true(ip_is_tailnet(&tailnet4));
        assert_true(ip_is_tailnet(&tailnet6));
        assert_false(ip_is_tailnet(&inside));
        assert_true(ip_is_allowed(&tailnet4, NULL, 0));
        assert_false(ip_is_allowed(&inside, NULL, 0));
        assert_true(ip_is_allowed(&inside, &allowed, 1));
        assert_false(ip_is_allowed(&loopback, &allowed, 1));
        for (size_t i = 0; i < LENGTH_OF(own); i++) {
                IpAddr a = ip(own[i]);

                assert_false(ip_is_allowed(&a, &allowed, 1));
                assert_true(cidr_parse(str_of(own[i]), &itself));
                assert_true(ip_is_allowed(&a, &itself, 1));
        }
        assert_true(ip_is_private(&loopback));
        assert_true(ip_is_private(&mapped));
        assert_true(ip_is_private(&inside));
        assert_false(ip_is_private(&public));
        assert_true(ip_is_never_dialled(&loopback));
        assert_true(ip_is_never_dialled(&mapped));
        assert_false(ip_is_never_dialled(&inside));
        assert_false(ip_is_never_dialled(&tailnet4));
        assert_false(ip_is_never_dialled(&tailnet6));
        assert_false(ip_is_never_dialled(&public));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_addresses),
                cmocka_unit_test(test_form),
                cmocka_unit_test(test_ranges),
                cmocka_unit_test(test_what_may_be_dialled),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
