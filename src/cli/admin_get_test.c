/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/admin_get.h"

#include "proto/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
        MANY = TREE_NODES_MAX + 1000
};

/* More values than a document of somebody else may have: the state of a large tailnet. */
static void a_large_state_is_read(void **state)
{
        (void)state;
        CLEANUP(buf_done) Buf json;
        CLEANUP(arena_done) Arena arena;
        Err err = {0};
        buf_init(&json, ADMIN_GET_BYTES_MAX);
        arena_init(&arena, ADMIN_GET_MEMORY_MAX);
        buf_add_str(&json, STR("[0"));
        for (int i = 1; i < MANY; i++)
                buf_add_str(&json, STR(",0"));
        buf_add_char(&json, ']');
        assert_null(json_read(&arena, buf_str(&json), NULL, &err));
        const Tree *root = admin_get_read(&arena, buf_str(&json), &err);
        assert_non_null(root);
        assert_int_equal(root->n, MANY);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_large_state_is_read),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
