/* SPDX-License-Identifier: Apache-2.0 */
#include "source/tailnet_choice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* By key: a is the youngest, d the oldest, of e it is not known. */
static const struct {
        Str name;
        int64_t created_ms;
} tailnets[] = {{STR_INIT("a"), 500},
                {STR_INIT("b"), 400},
                {STR_INIT("c"), 300},
                {STR_INIT("d"), 200},
                {STR_INIT("e"), 0}};

static Table *make_specs(void)
{
        const void *at[LENGTH_OF(tailnets)];
        for (size_t i = 0; i < LENGTH_OF(tailnets); i++) {
                TailnetSpec *t = leaf_new(sizeof *t, 0, NULL);
                t->meta.key = (ObjectKey){STR("ns"), tailnets[i].name};
                t->meta.created.ms = tailnets[i].created_ms;
                at[i] = t;
        }
        return table_new(at, LENGTH_OF(tailnets), tailnet_spec_order);
}

/* `owner` names those that are in, or may be chosen, by a letter each. */
static bool is_named(const void *owner, const TailnetSpec *t)
{
        return str_find_str(str_of(owner), t->meta.key.name) >= 0;
}

static void assert_chosen(TailnetChoiceFn *may, const char *named, size_t max, const char *want)
{
        const TailnetSpec *chosen[LENGTH_OF(tailnets)];
        char got[LENGTH_OF(tailnets) + 1] = "";
        Table *specs = make_specs();
        size_t n = tailnet_choice_make(specs, may, is_named, named, max, chosen);
        for (size_t i = 0; i < n; i++)
                got[i] = chosen[i]->meta.key.name.p[0];
        assert_string_equal(got, want);
        table_unref(specs);
}

static void all_are_chosen_where_there_is_room(void **state)
{
        (void)state;
        assert_chosen(NULL, "", 5, "abcde");
        assert_chosen(is_named, "bd", 2, "bd");
        assert_int_equal(tailnet_choice_make(NULL, NULL, is_named, "", 5, NULL), 0);
}

static void the_oldest_come_first(void **state)
{
        (void)state;
        assert_chosen(NULL, "", 4, "abcd");
        assert_chosen(NULL, "", 2, "cd");
        assert_chosen(NULL, "", 0, "");
}

/* However their names sort, and although they are younger. */
static void who_is_asked_stays(void **state)
{
        (void)state;
        assert_chosen(NULL, "ae", 2, "ae");
        assert_chosen(NULL, "e", 3, "cde");
        assert_chosen(NULL, "abcde", 3, "bcd");
        assert_chosen(is_named, "ace", 2, "ac");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(all_are_chosen_where_there_is_room),
                cmocka_unit_test(the_oldest_come_first),
                cmocka_unit_test(who_is_asked_stays),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
