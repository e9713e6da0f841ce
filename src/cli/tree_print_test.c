/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tree_print.h"

#include "proto/json.h"
#include "proto/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char document[] =
        "{\"a\":[1,{\"b\":\"x\\ny: z\"},[],{}],\"c\":null,\"d\":true,\"#e\":\"\"}";

static void test_json_is_indented(void **state)
{
        (void)state;
        Arena a;
        Buf out;
        arena_init(&a, 0);
        buf_init(&out, 4096);
        tree_print_json(json_read(&a, str_of(document), NULL, NULL), &out);
        assert_true(
                str_eq(buf_str(&out), STR("{\n  \"a\": [\n    1,\n    {\n      \"b\": \"x\\ny: "
                                          "z\"\n    },\n    [],\n    {}\n  ],\n"
                                          "  \"c\": null,\n  \"d\": true,\n  \"#e\": \"\"\n}\n")));
        buf_done(&out);
        arena_done(&a);
}

/* What is printed as YAML and read again prints the same. */
static void test_yaml_reads_back(void **state)
{
        (void)state;
        Arena a;
        Buf yaml, again;
        arena_init(&a, 0);
        buf_init(&yaml, 4096);
        buf_init(&again, 4096);
        tree_print_yaml(json_read(&a, str_of(document), NULL, NULL), &yaml);
        const Tree *root = NULL;
        Yaml *y = yaml_new(buf_str(&yaml));
        assert_true(yaml_next(y, &a, &root, NULL, NULL));
        assert_non_null(root);
        tree_print_yaml(root, &again);
        assert_true(str_eq(buf_str(&yaml), buf_str(&again)));
        assert_true(str_eq(tree_get_str(tree_get(root, STR("a"))->first->next, STR("b")),
                           STR("x\ny: z")));
        yaml_free(y);
        buf_done(&yaml);
        buf_done(&again);
        arena_done(&a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_json_is_indented),
                cmocka_unit_test(test_yaml_reads_back),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
