/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void heads_are_read(void **state)
{
        static const char text[] =
                "POST /a%20b?x=1 HTTP/1.1\r\nHost:  h:80 \r\nContent-Length: 3\r\n"
                "X-Y:\r\norigin: http://h:80\r\n\r\nabc";
        HttpHead h = {0};
        size_t n = 0;

        (void)state;
        assert_int_equal(http_head_read(str_of(text), &h, &n), HTTP_HEAD_DONE);
        assert_int_equal(h.verb, HTTP_POST);
        assert_true(str_eq(h.path, STR("/a%20b")));
        assert_true(str_eq(h.query, STR("x=1")));
        assert_true(str_eq(h.host, STR("h:80")));
        assert_true(str_eq(h.origin, STR("http://h:80")));
        assert_int_equal(h.body, 3);
        assert_int_equal(n, sizeof(text) - 4);
        assert_true(h.keep_alive);
        /* Cut anywhere it is not all there. */
        for (size_t i = 0; i < n; i++)
                assert_int_equal(http_head_read(str_make(text, i), &h, &n), HTTP_HEAD_MORE);
        assert_int_equal(http_head_read(STR("GET / HTTP/1.0\r\n\r\n"), &h, &n), HTTP_HEAD_DONE);
        assert_false(h.keep_alive);
        assert_int_equal(
                http_head_read(STR("GET / HTTP/1.1\r\nHost: x\r\nConnection: Close\r\n\r\n"), &h,
                               &n),
                HTTP_HEAD_DONE);
        assert_false(h.keep_alive);
}

static void nonsense_is_refused(void **state)
{
        static const struct {
                const char *text;
                unsigned status;
        } cases[] = {
                {"\r\n\r\n", 400},
                {"GET\r\n\r\n", 400},
                {"GET /\r\n\r\n", 400},
                {"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
                {"GET / HTTP/1.1 \r\nHost: x\r\n\r\n", 505},
                {"GET x HTTP/1.1\r\nHost: x\r\n\r\n", 400},
                {"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400},
                {"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
                {"G(T / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
                {"PUT / HTTP/1.1\r\nHost: x\r\n\r\n", 405},
                {"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", 405},
                {"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505},
                {"GET / FTP/1.1\r\nHost: x\r\n\r\n", 400},
                {"GET / HTTP/1.1\r\n\r\n", 400},
                {"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400},
                {"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400},
                {"GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", 400},
                {"GET / HTTP/1.1\r\nHost: x\r\nnothing\r\n\r\n", 400},
                {"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400},
                {"GET / HTTP/1.1\r\nHost: x\rA: b\r\n\r\n", 400},
                {"GET / HTTP/1.1\r\nHost: x\r\nA: \x02\r\n\r\n", 400},
                {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n\r\n", 400},
                {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400},
                {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                 400},
                {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n", 413},
                {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
                {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 501},
                {"\x16\x03\x01 TLS\r\n\r\n", 400},
                {"PRI * HTTP/2.0\r\n\r\n", 505},
        };
        HttpHead h;
        size_t n;

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                assert_int_equal(http_head_read(str_of(cases[i].text), &h, &n), HTTP_HEAD_BAD);
                assert_int_equal(h.status, cases[i].status);
        }
}

static void an_endless_head_is_refused(void **state)
{
        static char long_one[HTTP_SERVER_HEADERS_MAX + 1];
        HttpHead h;
        size_t n;

        (void)state;
        memset(long_one, 'a', sizeof(long_one));
        assert_int_equal(http_head_read(str_make(long_one, sizeof(long_one) - 2), &h, &n),
                         HTTP_HEAD_MORE);
        assert_int_equal(http_head_read(str_make(long_one, sizeof(long_one)), &h, &n),
                         HTTP_HEAD_BAD);
        assert_int_equal(h.status, 431);
}

static void escapes_and_queries(void **state)
{
        static const struct {
                const char *query, *name, *value; /* NULL: not there */
        } cases[] = {
                {"url=http%3A%2F%2Fa.b%2F%3Fq%3D1", "url", "http://a.b/?q=1"},
                {"a=1&b=2", "b", "2"},
                {"a=1&a=2", "a", "1"},
                {"a=x+y%2Bz", "a", "x y+z"},
                {"%61=1", "a", "1"},
                {"a", "a", ""},
                {"a=", "a", ""},
                {"a=b=c", "a", "b=c"},
                {"&&a=1", "a", "1"},
                {"", "a", NULL},
                {"b=1", "a", NULL},
                {"a=%", "a", NULL},
                {"a=%1", "a", NULL},
                {"a=%zz", "a", NULL},
                {"a=%00", "a", NULL},
                {"a=%0a", "a", NULL},
                {"%=1&a=2", "a", "2"},
        };
        Buf out;

        (void)state;
        buf_init(&out, 1024);
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                bool found = http_query_get(str_of(cases[i].query), str_of(cases[i].name), &out);

                assert_int_equal(found, cases[i].value != NULL);
                if (found)
                        assert_true(str_eq(buf_str(&out), str_of(cases[i].value)));
        }
        buf_done(&out);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(heads_are_read),
                cmocka_unit_test(nonsense_is_refused),
                cmocka_unit_test(an_endless_head_is_refused),
                cmocka_unit_test(escapes_and_queries),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
