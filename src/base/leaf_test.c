/* SPDX-License-Identifier: Apache-2.0 */
#include "base/leaf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"

typedef struct Thing {
        Leaf leaf;
        Str name;
        StrList tags;
        struct Thing *other; /* one reference */
} Thing;

static void drop_thing(Leaf *leaf)
{
        Thing *t = (Thing *)leaf;

        t->other = leaf_unref(t->other);
}

static const Str tags[] = {STR_INIT("a"), STR_INIT(""), STR_INIT("tag:server")};

static Thing *thing_new(size_t room, Str name)
{
        Thing *t = leaf_new(sizeof(Thing), room, drop_thing);

        t->name = leaf_str(&t->leaf, name);
        t->tags = leaf_strlist(&t->leaf, (StrList){tags, LENGTH_OF(tags)});
        return t;
}

static void with_the_right_room_it_is_one_allocation(void **state)
{
        (void)state;
        for (size_t n = 0; n < 40; n++) {
                Str name = str_make("0123456789012345678901234567890123456789", n);
                size_t room =
                        leaf_room_str(name) + leaf_room_strlist((StrList){tags, LENGTH_OF(tags)});
                Thing *t = thing_new(room, name);

                assert_null(t->leaf.chunks);
                assert_int_equal(leaf_bytes(t), sizeof(Thing) + room);
                assert_true(str_eq(t->name, name));
                assert_int_equal(t->name.p[n], '\0');
                assert_true(str_eq(t->tags.at[2], tags[2]));
                assert_int_equal((uintptr_t)t->tags.at % _Alignof(Str), 0);
                leaf_unref(t);
        }
}

static void what_does_not_fit_goes_into_chunks(void **state)
{
        Thing *t = thing_new(0, STR("name"));
        char *big, *p;

        (void)state;
        assert_non_null(t->leaf.chunks);
        assert_true(str_eq(t->name, STR("name")));
        big = leaf_alloc(&t->leaf, 10000);
        assert_int_equal(big[9999], 0);
        for (int i = 0; i < 100; i++) {
                p = leaf_alloc(&t->leaf, 33);
                assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
                memset(p, 0xff, 33);
        }
        assert_true(leaf_bytes(t) > sizeof(Thing) + 10000);
        assert_true(str_eq(t->name, STR("name")));
        leaf_unref(t);
}

static void the_last_reference_frees_and_drops(void **state)
{
        Thing *other = thing_new(10, STR("other"));
        Thing *t = thing_new(10, STR("t"));

        (void)state;
        t->other = leaf_ref(other);
        assert_int_equal(other->leaf.refs, 2);
        assert_ptr_equal(leaf_ref(t), t);
        assert_null(leaf_unref(t));
        assert_int_equal(other->leaf.refs, 2);
        leaf_unref(t);
        assert_int_equal(other->leaf.refs, 1);
        leaf_unref(other);
        assert_null(leaf_ref(NULL));
        assert_null(leaf_unref(NULL));
}

static void cleanup_gives_back(void **state)
{
        Thing *kept = thing_new(0, STR("x"));

        (void)state;
        {
                CLEANUP(leaf_cleanup) Thing *t = leaf_ref(kept);
                CLEANUP(leaf_cleanup) Thing *none = NULL;

                assert_int_equal(t->leaf.refs, 2);
                assert_null(none);
        }
        assert_int_equal(kept->leaf.refs, 1);
        leaf_unref(kept);
}

static void empty_ones_take_no_room(void **state)
{
        Leaf *leaf = leaf_new(sizeof(Leaf), 0, NULL);

        (void)state;
        assert_string_equal(leaf_str(leaf, (Str){0}).p, "");
        assert_int_equal(leaf_strlist(leaf, (StrList){0}).n, 0);
        assert_null(leaf->chunks);
        assert_int_equal(leaf_room_str((Str){0}), 0);
        assert_int_equal(leaf_room_strlist((StrList){0}), 0);
        leaf_unref(leaf);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(with_the_right_room_it_is_one_allocation),
                cmocka_unit_test(what_does_not_fit_goes_into_chunks),
                cmocka_unit_test(the_last_reference_frees_and_drops),
                cmocka_unit_test(cleanup_gives_back),
                cmocka_unit_test(empty_ones_take_no_room),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
