/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/printable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void shows(Str s, const char *as)
{
        Buf b;
        buf_init(&b, 256);
        printable_add(&b, s);
        assert_true(str_eq(buf_str(&b), str_of(as)));
        buf_done(&b);
}

static void text_is_shown_as_it_is(void **state)
{
        (void)state;
        shows(STR(""), "");
        shows(STR("api-server (100.64.0.1)"), "api-server (100.64.0.1)");
        shows(STR("\xc3\xa9t\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x99"),
              "\xc3\xa9t\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x99");
}

static void nothing_reaches_the_terminal_but_text(void **state)
{
        (void)state;
        shows(STR("a\033[2Jb"), "a?[2Jb");
        shows(STR("a\r\nok  verdict"), "a??ok  verdict");
        shows(STR("\x7f\x08\t"), "???");
        shows(STR("\xc2\x9b"
                  "31m"),
              "?31m");
        shows(STR("\xc2\xa0"), "\xc2\xa0");
        shows(STR("\xff\xc3"), "??");
        shows((Str){"a\0b", 3}, "a?b");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(text_is_shown_as_it_is),
                cmocka_unit_test(nothing_reaches_the_terminal_but_text),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
