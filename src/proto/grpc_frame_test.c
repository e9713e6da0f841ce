/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/grpc_frame.h"

static GrpcFrameOutcome feed(GrpcFrameReader *r, const char *bytes, size_t n)
{
        return grpc_frame_feed(r, str_make(bytes, n));
}

static void test_message_in_every_cut(void **state)
{
        (void)state;
        static const char wire[] = "\0\0\0\0\5hello";
        const size_t n = sizeof(wire) - 1;

        for (size_t cut = 0; cut <= n; cut++) {
                GrpcFrameReader r;
                grpc_frame_init(&r, 5);
                GrpcFrameOutcome first = feed(&r, wire, cut);
                assert_int_equal(first, cut == n ? GRPC_FRAME_DONE : GRPC_FRAME_MORE);
                assert_int_equal(feed(&r, wire + cut, n - cut), GRPC_FRAME_DONE);
                assert_true(str_eq(buf_str(&r.body), STR("hello")));
                assert_int_equal(grpc_frame_end(&r), GRPC_FRAME_DONE);
                grpc_frame_done(&r);
        }
}

static void test_empty_message(void **state)
{
        (void)state;
        GrpcFrameReader r;
        grpc_frame_init(&r, 5);
        assert_int_equal(grpc_frame_end(&r), GRPC_FRAME_NONE);
        assert_int_equal(feed(&r, "", 0), GRPC_FRAME_MORE);
        assert_int_equal(grpc_frame_end(&r), GRPC_FRAME_NONE);
        assert_int_equal(feed(&r, "\0\0\0", 3), GRPC_FRAME_MORE);
        assert_int_equal(grpc_frame_end(&r), GRPC_FRAME_TRUNCATED);
        assert_int_equal(feed(&r, "\0\0", 2), GRPC_FRAME_DONE);
        assert_int_equal(grpc_frame_end(&r), GRPC_FRAME_DONE);
        assert_int_equal(feed(&r, "", 0), GRPC_FRAME_DONE);
        assert_int_equal(feed(&r, "x", 1), GRPC_FRAME_EXTRA);
        grpc_frame_done(&r);
        grpc_frame_done(&r);
}

static void test_what_is_refused(void **state)
{
        (void)state;
        static const struct {
                const char *bytes;
                size_t n;
                GrpcFrameOutcome want;
        } cases[] = {
                {"\1\0\0\0\1x", 6, GRPC_FRAME_COMPRESSED},
                {"\2\0\0\0\1x", 6, GRPC_FRAME_BAD_FLAG},
                {"\377\0\0\0\1x", 6, GRPC_FRAME_BAD_FLAG},
                {"\0\0\0\0\11", 5, GRPC_FRAME_TOO_LARGE},
                {"\0\377\377\377\377", 5, GRPC_FRAME_TOO_LARGE},
                {"\0\0\0\0\1xy", 7, GRPC_FRAME_EXTRA},
                {"\0\0\0\0\10xy", 7, GRPC_FRAME_MORE},
        };

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                GrpcFrameReader r;
                grpc_frame_init(&r, 8);
                assert_int_equal(feed(&r, cases[i].bytes, cases[i].n), cases[i].want);
                grpc_frame_done(&r);
        }
}

static void test_announced_length_costs_nothing(void **state)
{
        (void)state;
        GrpcFrameReader r;
        grpc_frame_init(&r, (size_t)1 << 30);
        assert_int_equal(feed(&r, "\0\077\0\0\0abc", 8), GRPC_FRAME_MORE);
        assert_true(r.body.room < 65536);
        assert_int_equal(grpc_frame_end(&r), GRPC_FRAME_TRUNCATED);
        grpc_frame_done(&r);
}

static void test_prefix(void **state)
{
        (void)state;
        uint8_t p[GRPC_PREFIX_BYTES];
        grpc_frame_prefix(p, 0x01020304);
        assert_memory_equal(p, "\0\1\2\3\4", 5);
}

static void test_timeout(void **state)
{
        (void)state;
        static const struct {
                const char *text;
                int64_t ns; /* -1: refused */
        } cases[] = {
                {"1H", 3600000000000},
                {"2M", 120000000000},
                {"3S", 3000000000},
                {"4m", 4000000},
                {"5u", 5000},
                {"6n", 6},
                {"0S", 0},
                {"00000001S", 1000000000},
                {"99999999H", 365LL * 24 * 3600 * 1000000000},
                {"99999999S", 365LL * 24 * 3600 * 1000000000},
                {"000000001S", -1},
                {"100000000n", -1},
                {"S", -1},
                {"", -1},
                {"1", -1},
                {"1s", -1},
                {"-1S", -1},
                {"+1S", -1},
                {" 1S", -1},
                {"1.5S", -1},
                {"1SS", -1},
        };

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                Span got = {-1};
                bool ok = grpc_frame_timeout(str_of(cases[i].text), &got);
                assert_int_equal(ok, cases[i].ns >= 0);
                assert_int_equal(got.ns, cases[i].ns);
        }
}

static void test_percent(void **state)
{
        (void)state;
        Buf b;
        buf_init(&b, 1024);
        grpc_frame_percent(&b, STR("a b~%\n\x7f\xc3\xa9"));
        assert_true(str_eq(buf_str(&b), STR("a b~%25%0A%7F%C3%A9")));
        buf_done(&b);
}

static void test_content_type(void **state)
{
        (void)state;
        assert_true(grpc_frame_is_content_type(STR("application/grpc")));
        assert_true(grpc_frame_is_content_type(STR("application/grpc+proto")));
        assert_true(grpc_frame_is_content_type(STR("application/grpc;charset=x")));
        assert_true(grpc_frame_is_content_type(STR("Application/GRPC")));
        assert_false(grpc_frame_is_content_type(STR("application/grpc-web")));
        assert_false(grpc_frame_is_content_type(STR("application/grp")));
        assert_false(grpc_frame_is_content_type(STR("text/html")));
        assert_false(grpc_frame_is_content_type(STR("")));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_message_in_every_cut),
                cmocka_unit_test(test_empty_message),
                cmocka_unit_test(test_what_is_refused),
                cmocka_unit_test(test_announced_length_costs_nothing),
                cmocka_unit_test(test_prefix),
                cmocka_unit_test(test_timeout),
                cmocka_unit_test(test_percent),
                cmocka_unit_test(test_content_type),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
