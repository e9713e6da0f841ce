/* SPDX-License-Identifier: Apache-2.0 */
/* The loops of list.h and table.h: `break`, `continue`, removal of the current one, emptiness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"
#include "base/table.h"

enum {
        N = 5
};

typedef struct Item {
        Leaf leaf;
        int v;
        Link link;
} Item;

static int order(const void *a, const void *b)
{
        const Item *x = a, *y = b;

        return (x->v > y->v) - (x->v < y->v);
}

static Table *make_table(void)
{
        const void *at[N];

        for (int i = 0; i < N; i++) {
                Item *item = leaf_new(sizeof(*item), 0, NULL);

                item->v = i;
                at[i] = item;
        }
        return table_new(at, N, order);
}

static void table_loop_obeys_break_and_continue(void **state)
{
        const Table *none = NULL;
        Table *t = make_table();
        int sum = 0, inner = 0;

        (void)state;
        TABLE_FOREACH (Item, x, t) {
                if (x->v == 1)
                        continue;
                if (x->v == 3)
                        break;
                sum = sum * 10 + x->v + 1;
                TABLE_FOREACH (Item, y, t) {
                        if (y->v == x->v)
                                break;
                        inner++;
                }
        }
        assert_int_equal(sum, 13);
        assert_int_equal(inner, 2);
        TABLE_FOREACH (Item, x, none)
                fail();
        table_unref(t);
}

static void list_loop_obeys_break_and_continue(void **state)
{
        Item items[N] = {0};
        Link head;
        int sum = 0;

        (void)state;
        list_init(&head);
        LIST_FOREACH (Item, x, &head, link)
                fail();
        for (int i = 0; i < N; i++) {
                items[i].v = i;
                list_add(&head, &items[i].link);
        }
        LIST_FOREACH (Item, x, &head, link) {
                if (x->v == 1)
                        continue;
                if (x->v == 3)
                        break;
                sum = sum * 10 + x->v + 1;
        }
        assert_int_equal(sum, 13);
}

static void list_loop_survives_removal(void **state)
{
        Link head;
        int n = 0;

        (void)state;
        list_init(&head);
        for (int i = 0; i < N; i++) {
                Item *item = leaf_new(sizeof(*item), 0, NULL);

                item->v = i;
                list_add(&head, &item->link);
        }
        LIST_FOREACH (Item, x, &head, link) {
                link_remove(&x->link);
                leaf_unref(x);
                if (++n == N - 1)
                        break;
        }
        assert_false(list_is_empty(&head));
        /* Leaving while all is freed looks at nothing behind. */
        LIST_FOREACH (Item, x, &head, link) {
                link_remove(&x->link);
                leaf_unref(x);
                break;
        }
        assert_true(list_is_empty(&head));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(table_loop_obeys_break_and_continue),
                cmocka_unit_test(list_loop_obeys_break_and_continue),
                cmocka_unit_test(list_loop_survives_removal),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
