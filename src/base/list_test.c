/* SPDX-License-Identifier: Apache-2.0 */
#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef struct Node {
        Link link;
        int value;
} Node;

static void keeps_order_and_survives_removal(void **state)
{
        Node nodes[5];
        Link head;
        int sum = 0;

        (void)state;
        list_init(&head);
        assert_true(list_is_empty(&head));
        assert_null(list_first(&head));
        for (int i = 0; i < 5; i++) {
                nodes[i] = (Node){.value = i};
                assert_false(link_is_on(&nodes[i].link));
                list_add(&head, &nodes[i].link);
        }
        assert_ptr_equal(list_first(&head), &nodes[0].link);
        LIST_FOREACH (Node, node, &head, link) {
                sum = sum * 10 + node->value;
                if (node->value % 2 == 1)
                        link_remove(&node->link);
        }
        assert_int_equal(sum, 1234);
        sum = 0;
        LIST_FOREACH (Node, node, &head, link)
                sum = sum * 10 + node->value;
        assert_int_equal(sum, 24);
        link_remove(&nodes[1].link);
        assert_false(link_is_on(&nodes[1].link));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(keeps_order_and_survives_removal),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
