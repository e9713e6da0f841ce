/* SPDX-License-Identifier: Apache-2.0 */
#include "base/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef struct Item {
        Leaf leaf;
        int key, value;
} Item;

static int n_alive;

static void drop_item(Leaf *leaf)
{
        (void)leaf;
        n_alive--;
}

static const void *item(int key, int value)
{
        Item *i = leaf_new(sizeof(Item), 0, drop_item);

        n_alive++;
        i->key = key;
        i->value = value;
        return i;
}

static int order(const void *a, const void *b)
{
        int x = ((const Item *)a)->key, y = ((const Item *)b)->key;

        return (x > y) - (x < y);
}

static int find(const void *key, const void *leaf)
{
        int x = *(const int *)key, y = ((const Item *)leaf)->key;

        return (x > y) - (x < y);
}

static bool same(const void *a, const void *b)
{
        return ((const Item *)a)->value == ((const Item *)b)->value;
}

static void sorts_and_drops_equal_keys(void **state)
{
        const void *leaves[] = {item(3, 1), item(1, 2), item(3, 3), item(2, 4), item(1, 5)};
        Table *t = table_new(leaves, LENGTH_OF(leaves), order);
        int expected[] = {1, 2, 2, 4, 3, 1}, n = 0;

        (void)state;
        assert_int_equal(table_n(t), 3);
        TABLE_FOREACH (Item, i, t) {
                assert_int_equal(i->key, expected[n++]);
                assert_int_equal(i->value, expected[n++]);
        }
        assert_int_equal(n, 6);
        assert_int_equal(n_alive, 3);
        assert_null(table_unref(t));
        assert_int_equal(n_alive, 0);
}

static void sorts_any_number(void **state)
{
        const void *leaves[300];
        unsigned random = 1;

        (void)state;
        for (size_t n = 0; n < LENGTH_OF(leaves); n++) {
                Table *t;

                for (size_t i = 0; i < n; i++) {
                        random = random * 1103515245 + 12345;
                        leaves[i] = item((int)(random >> 16) % 200, (int)i);
                }
                t = table_new(leaves, n, order);
                for (size_t i = 1; i < t->n; i++)
                        assert_true(order(t->at[i - 1], t->at[i]) < 0);
                assert_int_equal(n_alive, t->n);
                for (int key = -1; key <= 200; key++) {
                        const Item *i = table_find(t, &key, find);

                        assert_true(i == NULL || i->key == key);
                }
                for (size_t i = 0; i < t->n; i++)
                        assert_ptr_equal(table_find(t, &((const Item *)t->at[i])->key, find),
                                         t->at[i]);
                table_unref(t);
        }
        assert_int_equal(n_alive, 0);
}

static void first_of_equal_keys_is_the_first_given(void **state)
{
        const void *leaves[64];
        Table *t;

        (void)state;
        for (int i = 0; i < 64; i++)
                leaves[i] = item((64 - i) % 4, i);
        t = table_new(leaves, 64, order);
        assert_int_equal(t->n, 4);
        assert_int_equal(((const Item *)t->at[0])->value, 0);
        assert_int_equal(((const Item *)t->at[3])->value, 1);
        table_unref(t);
}

static void nothing_changed_keeps_the_table(void **state)
{
        const void *first[] = {item(1, 1), item(2, 2)}, *again[] = {item(2, 2), item(1, 1)};
        Table *t = table_new(first, 2, order), *u;

        (void)state;
        u = table_update(t, again, 2, order, same);
        assert_ptr_equal(t, u);
        assert_int_equal(t->leaf.refs, 2);
        assert_int_equal(n_alive, 2);
        table_unref(t);
        table_unref(u);
        assert_int_equal(n_alive, 0);
}

static void what_is_the_same_is_kept(void **state)
{
        const void *first[] = {item(1, 1), item(2, 2), item(3, 3)};
        const void *again[] = {item(3, 3), item(2, 9), item(4, 4), item(1, 1)};
        Table *t = table_new(first, 3, order), *u;

        (void)state;
        u = table_update(t, again, 4, order, same);
        assert_ptr_not_equal(t, u);
        assert_ptr_equal(u->at[0], t->at[0]);
        assert_ptr_not_equal(u->at[1], t->at[1]);
        assert_ptr_equal(u->at[2], t->at[2]);
        assert_int_equal(u->n, 4);
        assert_int_equal(n_alive, 5);
        table_unref(t);
        assert_int_equal(n_alive, 4);
        table_unref(u);
        assert_int_equal(n_alive, 0);
}

static void a_removed_one_makes_a_new_table(void **state)
{
        const void *first[] = {item(1, 1), item(2, 2)}, *again[] = {item(2, 2)};
        Table *t = table_new(first, 2, order), *u;

        (void)state;
        u = table_update(t, again, 1, order, same);
        assert_ptr_not_equal(t, u);
        assert_ptr_equal(u->at[0], t->at[1]);
        table_unref(t);
        table_unref(u);
        assert_int_equal(n_alive, 0);
}

static void handed_over_again_is_the_same(void **state)
{
        const void *first[] = {item(1, 1)}, *again[] = {leaf_ref(first[0])};
        Table *t = table_new(first, 1, order), *u;

        (void)state;
        u = table_update(t, again, 1, order, same);
        assert_ptr_equal(t, u);
        table_unref(t);
        table_unref(u);
        assert_int_equal(n_alive, 0);
}

static void empty_and_missing_tables(void **state)
{
        int key = 1;
        Table *t = table_update(NULL, NULL, 0, order, same), *u;

        (void)state;
        assert_int_equal(table_n(t), 0);
        u = table_update(t, NULL, 0, order, same);
        assert_ptr_equal(t, u);
        assert_null(table_find(t, &key, find));
        assert_null(table_find(NULL, &key, find));
        assert_int_equal(table_n(NULL), 0);
        table_unref(t);
        table_unref(u);
        assert_null(table_unref(NULL));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(sorts_and_drops_equal_keys),
                cmocka_unit_test(sorts_any_number),
                cmocka_unit_test(first_of_equal_keys_is_the_first_given),
                cmocka_unit_test(nothing_changed_keeps_the_table),
                cmocka_unit_test(what_is_the_same_is_kept),
                cmocka_unit_test(a_removed_one_makes_a_new_table),
                cmocka_unit_test(handed_over_again_is_the_same),
                cmocka_unit_test(empty_and_missing_tables),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
