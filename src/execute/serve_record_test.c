/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "execute/serve_record.h"
#include "io/file.h"
#include "io/testing.h"

static const ServeForward a443 = {443, STR_INIT("127.0.0.1:10443")},
                          b443 = {443, STR_INIT("127.0.0.1:20443")},
                          a80 = {80, STR_INIT("127.0.0.1:10080")};

#define LIST(...)                                             \
        ((ServeForwards){(const ServeForward[]){__VA_ARGS__}, \
                         sizeof((const ServeForward[]){__VA_ARGS__}) / sizeof(ServeForward)})

static void expect(const ServeRecord *r, const char *socket, ServeForwards want)
{
        Arena a;

        arena_init(&a, 0);
        ServeForwards at = serve_record_at(r, &a, str_of(socket));
        assert_int_equal(at.n, want.n);
        for (size_t i = 0; i < at.n; i++)
                assert_int_equal(serve_forward_cmp(&at.at[i], &want.at[i]), 0);
        arena_done(&a);
}

static size_t n_sockets(const ServeRecord *r)
{
        Arena a;

        arena_init(&a, 0);
        size_t n = serve_record_sockets(r, &a).n;
        arena_done(&a);
        return n;
}

static void test_it_outlives_us(void **state)
{
        TestDir d;
        Err err = {0};

        (void)state;
        test_dir_init(&d);
        ServeRecord *r = serve_record_open(d.path, &err);
        assert_int_equal(err.kind, ERR_NONE);
        assert_int_equal(n_sockets(r), 0);
        assert_true(serve_record_add(r, STR("/s"), LIST(a80, a443), &err));
        assert_true(serve_record_add(r, STR("/s"), LIST(b443), &err));
        assert_true(serve_record_add(r, STR("/t"), LIST(a80), &err));
        r = serve_record_close(r);
        r = serve_record_open(d.path, &err);
        assert_int_equal(err.kind, ERR_NONE);
        assert_int_equal(n_sockets(r), 2);
        expect(r, "/s", LIST(a80, a443, b443));
        expect(r, "/t", LIST(a80));
        assert_true(serve_record_set(r, STR("/s"), LIST(b443), &err));
        expect(r, "/s", LIST(b443));
        assert_true(serve_record_set(r, STR("/s"), (ServeForwards){0}, &err));
        assert_int_equal(n_sockets(r), 1);
        r = serve_record_close(r);
        r = serve_record_open(d.path, &err);
        expect(r, "/t", LIST(a80));
        assert_int_equal(n_sockets(r), 1);
        serve_record_close(r);
        test_dir_done(&d);
}

static void test_in_memory(void **state)
{
        Err err = {0};
        ServeRecord *r = serve_record_open(NULL, &err);

        (void)state;
        assert_true(serve_record_add(r, STR("/s"), LIST(a80), &err));
        expect(r, "/s", LIST(a80));
        assert_null(serve_record_close(r));
        assert_null(serve_record_close(NULL));
}

/* It then holds for this process. */
static void test_where_it_cannot_be_written(void **state)
{
        Err err = {0};
        ServeRecord *r = serve_record_open("/nowhere/at/all", &err);

        (void)state;
        assert_int_equal(err.kind, ERR_NONE);
        assert_false(serve_record_add(r, STR("/s"), LIST(a80), &err));
        assert_true(err.text[0] != '\0');
        expect(r, "/s", LIST(a80));
        assert_true(serve_record_add(r, STR("/s"), LIST(a80), &err));
        serve_record_close(r);
}

static void test_what_is_no_record(void **state)
{
        static const char *const texts[] = {
                "",
                "{",
                "[]",
                "{\"forwards\":[1]}",
                "{\"forwards\":[{\"socket\":\"/s\",\"port\":0,\"target\":\"a\"}]}",
                "{\"forwards\":[{\"socket\":\"/s\\u0000\",\"port\":1,\"target\":\"a\"}]}",
                "{\"forwards\":[{\"socket\":\"/s\",\"port\":1,\"target\":\"\"}]}"};
        TestDir d;

        (void)state;
        test_dir_init(&d);
        for (size_t i = 0; i < LENGTH_OF(texts); i++) {
                Err err = {0};
                assert_true(file_write_atomic(d.path, SERVE_RECORD_FILE, str_of(texts[i]), 0600,
                                              false, &err));
                ServeRecord *r = serve_record_open(d.path, &err);
                assert_int_equal(n_sockets(r), 0);
                /* One without a list says nothing. */
                assert_int_equal(err.kind != ERR_NONE, i != 2);
                serve_record_close(r);
        }
        test_dir_done(&d);
}

static void test_no_more_than_the_cap(void **state)
{
        Err err = {0};
        ServeRecord *r = serve_record_open(NULL, &err);
        char target[16];
        Arena a;

        (void)state;
        for (unsigned i = 0; i < SERVE_RECORD_MAX + 2; i++) {
                IGNORE(snprintf(target, sizeof(target), "a:%05u", SERVE_RECORD_MAX + 2 - i),
                       "it fits");
                assert_true(serve_record_add(r, STR("/s"), LIST({443, str_of(target)}), &err));
        }
        arena_init(&a, 0);
        assert_int_equal(serve_record_at(r, &a, STR("/s")).n, SERVE_RECORD_MAX);
        arena_done(&a);
        serve_record_close(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_it_outlives_us),
                cmocka_unit_test(test_in_memory),
                cmocka_unit_test(test_where_it_cannot_be_written),
                cmocka_unit_test(test_what_is_no_record),
                cmocka_unit_test(test_no_more_than_the_cap),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
