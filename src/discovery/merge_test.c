/* SPDX-License-Identifier: Apache-2.0 */
#include "discovery/merge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"

enum {
        MANY = 64,
        TEXT = 2048,
        COURSES = 200,
};

static char shown[TEXT];

/* Each word is a device: its id, then '+' online or '-' offline, then 'v' visible or 'h' hidden. */
static Table *list(const char *words)
{
        const void *at[MANY];
        size_t n = 0;

        for (Str rest = str_of(words); rest.n > 0;) {
                ptrdiff_t end = str_find(rest, ' ');
                Str word = end < 0 ? rest : str_sub(rest, 0, (size_t)end);
                Str id = word;
                Device d = {.authorized = true, .name = STR("n"), .short_name = STR("n")};

                rest = end < 0 ? (Str){0} : str_sub(rest, (size_t)end + 1, rest.n);
                for (; id.n > 0 && strchr("+-vh", id.p[id.n - 1]) != NULL; id.n--) {
                        switch (id.p[id.n - 1]) {
                        case '+':
                                d.online = DEVICE_ONLINE;
                                break;
                        case '-':
                                d.online = DEVICE_OFFLINE;
                                break;
                        case 'v':
                                d.sight = DEVICE_VISIBLE;
                                break;
                        default:
                                d.sight = DEVICE_HIDDEN;
                        }
                }
                d.node_id = id;
                at[n++] = device_new(&d);
        }
        return table_new(at, n, device_order);
}

static const char *show(const Table *t)
{
        static const char online[][2] = {"", "+", "-"}, sight[][2] = {"", "v", "h"};
        size_t n = 0;

        shown[0] = '\0';
        TABLE_FOREACH (Device, d, t)
                n += (size_t)snprintf(shown + n, TEXT - n, "%s%.*s%s%s", n > 0 ? " " : "",
                                      STR_FMT(d->node_id), online[d->online], sight[d->sight]);
        return shown;
}

typedef enum Health {
        GOOD,
        FAILS,
        NONE, /* no such source, or it never answered */
} Health;

static void what_follows_from_two_lists(void **state)
{
        static const struct {
                Health primary;
                const char *primary_list;
                Health local;
                const char *local_list, *merged;
        } cases[] = {
                /* one source alone, or beside one that fails: its list */
                {GOOD, "1 2+", NONE, "", "1 2+"},
                {FAILS, "1 2+", NONE, "", "1 2+"},
                {GOOD, "1 2+", FAILS, "1- 3", "1 2+"},
                {NONE, "", GOOD, "1v 2+v", "1v 2+v"},
                {NONE, "", GOOD, "1 2+", "1v 2+v"},
                {NONE, "", FAILS, "1v 2+v", "1 2+"},
                {NONE, "", GOOD, "", ""},
                /* presence is the primary's; it is believed about `online` */
                {GOOD, "1 2 4", GOOD, "1 3 4", "1v 2h 4v"},
                {GOOD, "1+ 2- 3", GOOD, "1- 2+ 3+", "1+v 2-v 3+v"},
                {GOOD, "1+ 3", GOOD, "3", "1+h 3v"},
                {GOOD, "", GOOD, "1 2", ""},
                {GOOD, "1 2", GOOD, "", "1h 2h"},
                /* it fails: nothing that either knows is lost, and the netmap is the newer one */
                {FAILS, "1 2 4", GOOD, "1 3 4", "1v 2h 3v 4v"},
                {FAILS, "1+ 2- 3", GOOD, "1- 2 3+", "1-v 2-v 3+v"},
                {FAILS, "", GOOD, "1 2", "1v 2v"},
                {FAILS, "1+ 2", FAILS, "1-v 3+v", "1+ 2 3+"},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                CLEANUP(leaf_cleanup)
                Table *a = cases[i].primary != NONE ? list(cases[i].primary_list) : NULL;
                CLEANUP(leaf_cleanup)
                Table *b = cases[i].local != NONE ? list(cases[i].local_list) : NULL;
                MergeInput in = {a, b, cases[i].primary == GOOD, cases[i].local == GOOD, NULL};
                CLEANUP(leaf_cleanup) Table *merged = merge_devices(&in);

                assert_string_equal(show(merged), cases[i].merged);
                /* Once more, with new leaves that say the same: all of it is kept. */
                CLEANUP(leaf_cleanup) Table *a2 = a != NULL ? list(cases[i].primary_list) : NULL;
                CLEANUP(leaf_cleanup) Table *b2 = b != NULL ? list(cases[i].local_list) : NULL;
                in = (MergeInput){a2, b2, in.primary_good, in.local_good, merged};
                CLEANUP(leaf_cleanup) Table *again = merge_devices(&in);
                bool handed_on = again == a2;

                assert_true(again == merged || handed_on);
        }
}

static void neither_answered(void **state)
{
        (void)state;
        assert_null(merge_devices(&(MergeInput){0}));
}

/* Of a list most is as it was: those leaves are the same ones. */
static void only_what_changed_is_made_anew(void **state)
{
        (void)state;
        CLEANUP(leaf_cleanup) Table *primary = list("1 2 3+ 4");
        CLEANUP(leaf_cleanup) Table *local = list("1v 3-v 4-v");
        CLEANUP(leaf_cleanup) Table *changed = list("1v 2v 4-v");
        MergeInput in = {primary, local, true, true, NULL};
        CLEANUP(leaf_cleanup) Table *before = merge_devices(&in);

        assert_string_equal(show(before), "1v 2h 3+v 4-v");
        in.local = changed;
        in.before = before;
        CLEANUP(leaf_cleanup) Table *now = merge_devices(&in);
        assert_string_equal(show(now), "1v 2v 3+h 4-v");
        assert_ptr_equal(now->at[0], before->at[0]);
        assert_ptr_not_equal(now->at[1], before->at[1]);
        assert_ptr_not_equal(now->at[2], before->at[2]);
        assert_ptr_equal(now->at[3], before->at[3]);
}

static unsigned next(uint32_t *x, unsigned below)
{
        *x ^= *x << 13;
        *x ^= *x >> 17;
        *x ^= *x << 5;
        return *x % below;
}

static Table *random_list(uint32_t *x)
{
        char words[TEXT] = "";
        size_t n = 0;

        for (int id = 10; id < 30; id++) {
                if (next(x, 3) > 0)
                        n += (size_t)snprintf(words + n, TEXT - n, "%s%d%.*s", n > 0 ? " " : "", id,
                                              (int)next(x, 2), next(x, 2) ? "+" : "-");
        }
        return list(words);
}

/* Seeded courses: presence never follows a netmap while the primary answers, and nothing is lost
 * while it does not. */
static void presence_is_the_primarys(void **state)
{
        (void)state;
        for (uint32_t seed = 1; seed <= COURSES; seed++) {
                uint32_t x = seed * 2654435761u;
                CLEANUP(leaf_cleanup) Table *before = NULL;

                for (int step = 0; step < 6; step++) {
                        CLEANUP(leaf_cleanup) Table *primary = random_list(&x);
                        CLEANUP(leaf_cleanup) Table *local = random_list(&x);
                        MergeInput in = {primary, local, next(&x, 2) > 0, next(&x, 2) > 0, before};
                        Table *now = merge_devices(&in);

                        if (in.primary_good)
                                assert_int_equal(now->n, primary->n);
                        TABLE_FOREACH (Device, d, primary)
                                assert_non_null(table_find(now, &d->node_id, device_find));
                        TABLE_FOREACH (Device, l, local)
                                assert_true(in.primary_good ||
                                            table_find(now, &l->node_id, device_find) != NULL);
                        table_unref(before);
                        before = now;
                }
        }
}

static void news_are_more_than_online(void **state)
{
        static const struct {
                const char *before, *now;
                bool news;
        } cases[] = {
                {"1 2", "1 2", false}, {"1+ 2", "1- 2+", false}, {"1 2", "1 3", true},
                {"1 2", "1", true},    {"", "1", true},          {"1v", "1h", true},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                CLEANUP(leaf_cleanup) Table *before = list(cases[i].before);
                CLEANUP(leaf_cleanup) Table *now = list(cases[i].now);

                assert_int_equal(merge_has_news(before, now), cases[i].news);
                assert_false(merge_has_news(NULL, now));
                assert_false(merge_has_news(now, now));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_follows_from_two_lists),
                cmocka_unit_test(neither_answered),
                cmocka_unit_test(only_what_changed_is_made_anew),
                cmocka_unit_test(presence_is_the_primarys),
                cmocka_unit_test(news_are_more_than_online),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
