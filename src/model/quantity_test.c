/* SPDX-License-Identifier: Apache-2.0 */
#include "model/quantity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void amounts_are_read(void **state)
{
        static const struct {
                Str text;
                int64_t milli;
        } cases[] = {
                {STR_INIT("0"), 0},
                {STR_INIT("1"), 1000},
                {STR_INIT("1.5"), 1500},
                {STR_INIT(".5"), 500},
                {STR_INIT("5."), 5000},
                {STR_INIT("250m"), 250},
                {STR_INIT("0.0001"), 1},
                {STR_INIT("1n"), 1},
                {STR_INIT("1000u"), 1},
                {STR_INIT("1001u"), 2},
                {STR_INIT("2k"), 2000000},
                {STR_INIT("1Ki"), 1024000},
                {STR_INIT("1.5Gi"), INT64_C(1610612736000)},
                {STR_INIT("128Mi"), INT64_C(134217728000)},
                {STR_INIT("2e3"), 2000000},
                {STR_INIT("2E-3"), 2},
                {STR_INIT("1e+1"), 10000},
                {STR_INIT("7Pi"), INT64_C(7881299347898368000)},
                {STR_INIT("9223372036854775.807"), INT64_MAX},
                {STR_INIT("0.00000000000000000000000000000001"), 1},
                {STR_INIT("1.00000000000000000000000000000001"), 1001},
                {STR_INIT("00000000000000000000000000000001"), 1000},
                {STR_INIT("0e30"), 0},
                {STR_INIT("1e-30"), 1},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                int64_t milli = -1;

                if (!quantity_parse(cases[i].text, &milli) || milli != cases[i].milli)
                        fail_msg("%s: %lld", cases[i].text.p, (long long)milli);
        }
}

static void what_is_none_is_refused(void **state)
{
        static const Str cases[] = {
                STR_INIT(""),
                STR_INIT("."),
                STR_INIT("Mi"),
                STR_INIT("-1"),
                STR_INIT("+1"),
                STR_INIT("1 "),
                STR_INIT(" 1"),
                STR_INIT("1.2.3"),
                STR_INIT("1Mib"),
                STR_INIT("1e"),
                STR_INIT("1e31"),
                STR_INIT("1e+"),
                STR_INIT("1e--1"),
                STR_INIT("8Ei"),
                STR_INIT("9Pi"),
                STR_INIT("9223372036854775.808"),
                STR_INIT("99999999999999999999999999"),
                STR_INIT("1e30"),
                STR_INIT("0x1"),
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                int64_t milli = -1;

                if (quantity_parse(cases[i], &milli))
                        fail_msg("%s: %lld", cases[i].p, (long long)milli);
                assert_int_equal(milli, -1);
        }
}

static void amounts_are_written_as_the_api_server_does(void **state)
{
        static const struct {
                int64_t milli;
                const char *cores, *bytes;
        } cases[] = {
                {0, "0", "0"},
                {1, "1m", "1"},
                {250, "250m", "1"},
                {1000, "1", "1"},
                {1500, "1500m", "2"},
                {2000000, "2k", "2k"},
                {1024000, "1024", "1Ki"},
                {INT64_C(134217728000), "134217728", "128Mi"},
                {INT64_C(1610612736000), "1610612736", "1536Mi"},
                {INT64_C(129000000000), "129M", "129M"},
                {INT64_C(129000000001), "129000000001m", "129000001"},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                char buf[QUANTITY_TEXT];

                assert_string_equal(quantity_format(cases[i].milli, false, buf), cases[i].cores);
                assert_string_equal(quantity_format(cases[i].milli, true, buf), cases[i].bytes);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(amounts_are_read),
                cmocka_unit_test(what_is_none_is_refused),
                cmocka_unit_test(amounts_are_written_as_the_api_server_does),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
