/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/pb_reader.h"

#define BYTES(...) str_make((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static bool is_bad(Str message)
{
        PbReader r = pb_reader(message);
        for (PbField f; pb_next(&r, &f);)
                ;
        return r.bad;
}

static void reads_every_wire_type(void **state)
{
        (void)state;
        Str m = BYTES(0x08, 0x96, 0x01, 0x12, 2, 'h', 'i', 0x1d, 1, 0, 0, 0, 0x21, 2, 0, 0, 0, 0, 0,
                      0, 0, 0xa2, 0x80, 0x80, 0x80, 0x00, 1);
        PbReader r = pb_reader(m);
        PbField f;
        assert_true(pb_next(&r, &f));
        assert_int_equal(f.number, 1);
        assert_int_equal(f.value, 150);
        assert_int_equal(f.span.n, 3);
        assert_true(pb_next(&r, &f));
        assert_true(f.wire == PB_LEN && str_eq(f.body, STR("hi")));
        assert_true(pb_next(&r, &f));
        assert_true(f.wire == PB_FIXED32 && f.value == 1);
        assert_true(pb_next(&r, &f));
        assert_true(f.wire == PB_FIXED64 && f.value == 2);
        assert_false(pb_next(&r, &f));
        assert_true(r.bad);
}

static void groups_come_out_whole(void **state)
{
        (void)state;
        /* group 3 { 1: 5, group 4 {} }, then field 1: 7 */
        Str m = BYTES(0x1b, 0x08, 5, 0x23, 0x24, 0x1c, 0x08, 7);
        PbReader r = pb_reader(m);
        PbField f;
        assert_true(pb_next(&r, &f));
        assert_true(f.wire == PB_GROUP && f.number == 3);
        assert_int_equal(f.span.n, 6);
        assert_int_equal(f.body.n, 4);
        assert_true(pb_next(&r, &f));
        assert_int_equal(f.value, 7);
        assert_false(pb_next(&r, &f));
        assert_false(r.bad);
}

static void refuses_what_is_no_message(void **state)
{
        (void)state;
        assert_true(is_bad(BYTES(0x00)));              /* field 0 */
        assert_true(is_bad(BYTES(0x07, 0)));           /* wire type 7 */
        assert_true(is_bad(BYTES(0x0e)));              /* wire type 6 */
        assert_true(is_bad(BYTES(0x0c)));              /* end without start */
        assert_true(is_bad(BYTES(0x1b, 0x08, 1)));     /* group without end */
        assert_true(is_bad(BYTES(0x1b, 0x24)));        /* end of another */
        assert_true(is_bad(BYTES(0x12, 3, 'h', 'i'))); /* length beyond */
        assert_true(is_bad(BYTES(0x12)));              /* no length */
        assert_true(is_bad(BYTES(0x08)));              /* no value */
        assert_true(is_bad(BYTES(0x1d, 1, 2, 3)));     /* short fixed32 */
        assert_true(is_bad(BYTES(0x21, 1, 2, 3)));     /* short fixed64 */
        assert_true(
                is_bad(BYTES(0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02)));
        assert_true(
                is_bad(BYTES(0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0)));
        assert_true(
                is_bad(BYTES(0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01)));
        assert_true(is_bad(BYTES(0x80, 0x80, 0x80, 0x80, 0x10, 0))); /* field 2^29 */
        char deep[PB_DEPTH_MAX + 1];
        memset(deep, 0x0b, sizeof(deep));
        assert_true(is_bad(str_make(deep, sizeof(deep))));
        assert_false(is_bad((Str){0}));
        assert_false(
                is_bad(BYTES(0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01)));
        assert_false(is_bad(BYTES(0x88, 0x80, 0x00, 1))); /* a tag longer than needed is legal */
}

static void last_of_a_repeated_singular_wins(void **state)
{
        (void)state;
        Str m = BYTES(0x0a, 1, 'a', 0x10, 1, 0x0a, 1, 'b', 0x10, 2, 0x08, 9);
        assert_true(str_eq(pb_get(m, 1), STR("b")));
        assert_int_equal(pb_get_varint(m, 2), 2);
        assert_int_equal(pb_get(m, 3).n, 0);
        assert_int_equal(pb_get(BYTES(0x0a, 1, 'a', 0x0a, 9), 1).n, 0);
}

static void map_entries_by_key(void **state)
{
        (void)state;
        /* 1: {1: "k", 2: "x"}, 1: {2: "y", 1: "k"}, 1: {1: "z"} */
        Str m = BYTES(0x0a, 6, 0x0a, 1, 'k', 0x12, 1, 'x', 0x0a, 6, 0x12, 1, 'y', 0x0a, 1, 'k',
                      0x0a, 3, 0x0a, 1, 'z');
        Str v = {0};
        assert_true(pb_map_get(m, 1, STR("k"), &v));
        assert_true(str_eq(v, STR("y")));
        assert_true(pb_map_get(m, 1, STR("z"), &v));
        assert_int_equal(v.n, 0);
        assert_false(pb_map_get(m, 1, STR("q"), NULL));
        assert_false(pb_map_get(m, 2, STR("k"), NULL));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_every_wire_type),
                cmocka_unit_test(groups_come_out_whole),
                cmocka_unit_test(refuses_what_is_no_message),
                cmocka_unit_test(last_of_a_repeated_singular_wins),
                cmocka_unit_test(map_entries_by_key),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
