/* SPDX-License-Identifier: Apache-2.0 */
#include "model/port_spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum {
        TEXT_MAX = 256
};

/* "80 443-445 *", as parsed. */
static void told(const PortSpec *s, char text[TEXT_MAX])
{
        size_t n = 0;

        text[0] = '\0';
        for (size_t i = 0; i < s->n; i++)
                n += (size_t)snprintf(text + n, TEXT_MAX - n,
                                      s->ranges[i].first == s->ranges[i].last ? "%s%u" : "%s%u-%u",
                                      n > 0 ? " " : "", s->ranges[i].first, s->ranges[i].last);
        if (s->any)
                snprintf(text + n, TEXT_MAX - n, "%s*", n > 0 ? " " : "");
}

static void every_form_of_tailscale_is_read(void **state)
{
        static const struct {
                const char *text, *want;
        } cases[] = {
                {"443", "443"},
                {"tcp:443", "443"},
                {"TCP:443", "443"},
                {"tcp:80-90", "80-90"},
                {"80-90", "80-90"},
                {"80-80", "80"},
                {"1-65535", "1-65535"},
                {"*", "*"},
                {"tcp:*", "*"},
                {"tcp:443,tcp:8080-8082", "443 8080-8082"},
                {" tcp:443 , 80,* ", "443 80 *"},
                {"80,80,79-81", "80 80 79-81"},
                {"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16",
                 "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                char expected[EXPECTED_MAX], text[TEXT_MAX];
                PortSpec s;

                assert_true(port_spec_parse(str_of(cases[i].text), &s, expected));
                told(&s, text);
                assert_string_equal(text, cases[i].want);
        }
}

static void what_is_none_says_where(void **state)
{
        static const char one[] = "a port such as \"443\", \"tcp:80-90\" or \"tcp:443,tcp:8080\"";
        static const char port[] = "a port from 1 to 65535, a range such as 80-90, or *";
        static const struct {
                const char *text, *what, *where;
        } cases[] = {
                {"", one, ""},
                {" ", one, ", and one on each side of a comma"},
                {"80,", one, ", and one on each side of a comma"},
                {",80", one, ", and one on each side of a comma"},
                {"80,,81", one, ", and one on each side of a comma"},
                {"http", port, ", not http (byte 1)"},
                {"tcp:", port, ", not tcp: (byte 1)"},
                {"0", port, ", not 0 (byte 1)"},
                {"443,65536", port, ", not 65536 (byte 5)"},
                {"tcp:443, tcp:0-9", port, ", not 0 (byte 14)"},
                {"tcp:-90", port, ", not -90 (byte 5)"},
                {"+80", port, ", not +80 (byte 1)"},
                {"8 0", port, ", not 8 0 (byte 1)"},
                {"99999999999999999999999999999999999", port,
                 ", not 99999999999999999999999999999999… (byte 1)"},
                {"tcp:80-", "a port from 1 to 65535 as end of the range", ", not 80- (byte 5)"},
                {"80-90-100", "a port from 1 to 65535 as end of the range",
                 ", not 90-100 (byte 4)"},
                {"tcp:80-*", "a port from 1 to 65535 as end of the range", ", not * (byte 8)"},
                {"443,tcp:90-80", "a range that begins with its lower port",
                 ", not 90-80 (byte 9)"},
                {"443,udp:53", "tcp (UDP does not go through a CONNECT proxy)",
                 ", not udp:53 (byte 5)"},
                {"icmp:*", "tcp, the one protocol that is carried", ", not icmp:* (byte 1)"},
                {":80", "tcp, the one protocol that is carried", ", not :80 (byte 1)"},
                {"tcp:tcp:80", port, ", not tcp:80 (byte 5)"},
                {"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", "at most 16 ports and ranges",
                 ", not 17 (byte 40)"},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                char expected[EXPECTED_MAX] = "", want[EXPECTED_MAX];
                PortSpec s = {.n = 7};

                assert_false(port_spec_parse(str_of(cases[i].text), &s, expected));
                snprintf(want, sizeof(want), "%s%s", cases[i].what, cases[i].where);
                assert_string_equal(expected, want);
                assert_int_equal(s.n, 7);
        }
}

static void a_cut_text_is_whole_characters(void **state)
{
        char expected[EXPECTED_MAX];
        PortSpec s;

        (void)state;
        assert_false(port_spec_parse(STR("aéééééééééééééééééééééé"), &s, expected));
        assert_true(str_is_printable_utf8(str_of(expected)));
}

static void ports_are_taken_in_order_each_once(void **state)
{
        static const struct {
                const char *text;
                size_t count, n;
                uint16_t ports[4];
        } cases[] = {
                {"443", 1, 1, {443}},
                {"8080,80", 2, 2, {8080, 80}},
                {"80-82,81-83,80", 4, 4, {80, 81, 82, 83}},
                {"82,80-90", 11, 4, {82, 80, 81, 83}},
                {"1-65535,1-65535,2", 65535, 4, {1, 2, 3, 4}},
                {"65535,65534", 2, 2, {65535, 65534}},
                {"10-20,30-40,15-35", 31, 4, {10, 11, 12, 13}},
                {"*", 0, 0, {0}},
                {"*,7", 1, 1, {7}},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                char expected[EXPECTED_MAX];
                uint16_t ports[4];
                PortSpec s;

                assert_true(port_spec_parse(str_of(cases[i].text), &s, expected));
                assert_int_equal(port_spec_count(&s), cases[i].count);
                assert_int_equal(port_spec_take(&s, ports, 4), cases[i].n);
                assert_memory_equal(ports, cases[i].ports, cases[i].n * sizeof(*ports));
        }
}

static void what_it_has_and_what_is_the_same(void **state)
{
        PortSpec a, b, one = port_spec_of(443);
        char expected[EXPECTED_MAX];

        (void)state;
        assert_true(port_spec_parse(STR("443"), &a, expected));
        assert_true(port_spec_same(&a, &one));
        assert_true(port_spec_has(&a, 443));
        assert_false(port_spec_has(&a, 444));
        assert_true(port_spec_parse(STR("443,*"), &b, expected));
        assert_false(port_spec_same(&a, &b));
        assert_true(port_spec_has(&b, 444));
        assert_true(port_spec_parse(STR("443-444"), &b, expected));
        assert_false(port_spec_same(&a, &b));
        assert_true(port_spec_has(&b, 444));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_form_of_tailscale_is_read),
                cmocka_unit_test(what_is_none_says_where),
                cmocka_unit_test(a_cut_text_is_whole_characters),
                cmocka_unit_test(ports_are_taken_in_order_each_once),
                cmocka_unit_test(what_it_has_and_what_is_the_same),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
