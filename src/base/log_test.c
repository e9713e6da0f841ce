/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

typedef struct Capture {
        char line[LOG_LINE_MAX + 1];
        size_t n, count;
} Capture;

static Wall now(void *ctx)
{
        (void)ctx;
        return (Wall){1795381081000};
}

static void capture(void *ctx, Str line)
{
        Capture *c = ctx;

        assert_true(line.n <= LOG_LINE_MAX);
        assert_int_equal(line.p[line.n - 1], '\n');
        memcpy(c->line, line.p, line.n);
        c->line[line.n] = '\0';
        c->n = line.n;
        c->count++;
}

static Log make(Capture *c, bool json)
{
        return (Log){.level = LOG_INFO, .json = json, .now = now, .write = capture, .ctx = c};
}

static void writes_text(void **state)
{
        Capture c = {0};
        Log log = make(&c, false);

        (void)state;
        log_info(&log, "tailnet synced", LOG_CSTR("tailnet", "team-a/corp"), LOG_INT("devices", 3));
        assert_string_equal(c.line, "2026-11-22T20:58:01Z INFO  tailnet synced "
                                    "tailnet=team-a/corp devices=3\n");
        log_error(&log, "x", LOG_INT("min", INT64_MIN), LOG_INT("max", INT64_MAX),
                  LOG_INT("zero", 0));
        assert_string_equal(c.line, "2026-11-22T20:58:01Z ERROR x min=-9223372036854775808 "
                                    "max=9223372036854775807 zero=0\n");
        log_warn(&log, "x", LOG_CSTR("a", ""), LOG_CSTR("b", "a b"), LOG_CSTR("c", "a\"\\=\n\x1b"),
                 LOG_CSTR("d", "gr\xc3\xbc"), LOG_CSTR("e", "\xff!"));
        assert_string_equal(c.line, "2026-11-22T20:58:01Z WARN  x a=\"\" b=\"a b\" "
                                    "c=\"a\\\"\\\\=\\n\\x1b\" d=gr\xc3\xbc e=\"\xef\xbf\xbd!\"\n");
}

static void writes_json(void **state)
{
        Capture c = {0};
        Log log = make(&c, true);

        (void)state;
        log_info(&log, "tailnet synced", LOG_CSTR("tailnet", "a"), LOG_INT("devices", -3));
        assert_string_equal(c.line, "{\"time\":\"2026-11-22T20:58:01Z\",\"level\":\"info\","
                                    "\"msg\":\"tailnet synced\",\"tailnet\":\"a\",\"devices\":-3}"
                                    "\n");
        log_info(&log, "\"q\"", LOG_CSTR("k", "\t\r\n\x01\x7f\\\xff"));
        assert_string_equal(c.line, "{\"time\":\"2026-11-22T20:58:01Z\",\"level\":\"info\","
                                    "\"msg\":\"\\\"q\\\"\",\"k\":\"\\t\\r\\n\\u0001\\u007f\\\\"
                                    "\xef\xbf\xbd\"}\n");
}

static void what_is_above_the_level_is_not_written(void **state)
{
        Capture c = {0};
        Log log = make(&c, false);

        (void)state;
        log_debug(&log, "x");
        assert_int_equal(c.count, 0);
        log_info(&log, "x");
        assert_int_equal(c.count, 1);
        log.level = LOG_ERROR;
        log_warn(&log, "x");
        assert_int_equal(c.count, 1);
        log_error(NULL, "x");
        log.write = NULL;
        log_error(&log, "x");
        assert_int_equal(c.count, 1);
}

/* Whatever is too long, and wherever the cut falls: one line, valid UTF-8, closed JSON. */
static void is_cut_at_the_maximum(void **state)
{
        static char value[LOG_LINE_MAX + 8];
        static const Str units[] = {STR_INIT("x"), STR_INIT("\xe2\x82\xac"), STR_INIT("\""),
                                    STR_INIT("\x01"), STR_INIT("\xff")};
        Capture c = {0};

        (void)state;
        for (size_t u = 0; u < LENGTH_OF(units); u++) {
                for (size_t n = 0; n < sizeof(value); n++)
                        value[n] = units[u].p[n % units[u].n];
                for (size_t n = LOG_LINE_MAX - 120; n < sizeof(value); n++) {
                        Log log = make(&c, n % 2 == 0);
                        Str line;

                        log_info(&log, "m", LOG_STR("k", str_make(value, n)), LOG_INT("i", 7),
                                 LOG_STR("l", str_make(value, n % 40)));
                        line = str_make(c.line, c.n - 1);
                        assert_true(str_is_printable_utf8(line));
                        if (log.json)
                                assert_true(str_ends(line, STR("\"}")) ||
                                            str_ends(line, STR(":7}")));
                }
        }
        assert_int_equal(str_find_str(str_make(c.line, c.n), STR("\xe2\x80\xa6")) > 0, true);
}

static void a_long_message_is_cut_as_well(void **state)
{
        static char msg[2 * LOG_LINE_MAX];
        Capture c = {0};
        Log log = make(&c, true);

        (void)state;
        memset(msg, 'x', sizeof(msg) - 1);
        log_info(&log, msg, LOG_INT("i", 1));
        assert_true(str_ends(str_make(c.line, c.n), STR("x\xe2\x80\xa6\"}\n")));
        log.json = false;
        log_info(&log, msg, LOG_INT("i", 1));
        assert_true(str_ends(str_make(c.line, c.n), STR("x\xe2\x80\xa6\n")));
}

static void at_most_so_many_fields(void **state)
{
        LogField fields[LOG_FIELDS_MAX + 4];
        Capture c = {0};
        Log log = make(&c, false);
        size_t n = 0;

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(fields); i++)
                fields[i] = LOG_INT("k", i);
        log_write(&log, LOG_INFO, "m", fields, LENGTH_OF(fields));
        for (size_t i = 0; i < c.n; i++)
                n += c.line[i] == '=';
        assert_int_equal(n, LOG_FIELDS_MAX);
}

static void parses_levels(void **state)
{
        LogLevel level = LOG_ERROR;

        (void)state;
        assert_true(log_level_parse(STR("debug"), &level));
        assert_int_equal(level, LOG_DEBUG);
        assert_true(log_level_parse(STR("warn"), &level));
        assert_int_equal(level, LOG_WARN);
        assert_false(log_level_parse(STR("WARN"), &level));
        assert_false(log_level_parse(STR(""), &level));
        assert_int_equal(level, LOG_WARN);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(writes_text),
                cmocka_unit_test(writes_json),
                cmocka_unit_test(what_is_above_the_level_is_not_written),
                cmocka_unit_test(is_cut_at_the_maximum),
                cmocka_unit_test(a_long_message_is_cut_as_well),
                cmocka_unit_test(at_most_so_many_fields),
                cmocka_unit_test(parses_levels),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
