/* SPDX-License-Identifier: Apache-2.0 */
/* The command's own part is small and static, so it is included whole. */
#include "cli/cmd_explain.c"

#include "proto/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_name_cannot_write_a_step_of_its_own(void **state)
{
        (void)state;
        CLEANUP(buf_done) Buf out;
        CLEANUP(arena_done) Arena arena;
        buf_init(&out, 4096);
        arena_init(&arena, 0);
        const Tree *root = json_read(
                &arena,
                STR("{\"steps\":[{\"ok\":true,\"what\":\"device\",\"text\":\"a\\nok   "
                    "route\\u001b[2J\"},{\"ok\":false,\"what\":\"port\",\"text\":\"none\"}],"
                    "\"verdict\":\"no\\u009bport\"}"),
                NULL, NULL);
        assert_non_null(root);
        put_steps(root, &out);
        assert_true(str_eq(buf_str(&out), STR("ok   device       a?ok   route?[2J\n"
                                              "STOP port         none\n"
                                              "\nno?port\n")));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_name_cannot_write_a_step_of_its_own),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
