/* SPDX-License-Identifier: Apache-2.0 */
#include "execute/kube_known.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/json.h"

#include <stdio.h>

#define NAME "\"namespace\":\"ns\",\"name\":\"x\""

static const PlanObject binding = {.verb = PLAN_APPLY,
                                   .kind = OBSERVED_BINDING,
                                   .key = {STR_INIT("ns"), STR_INIT("x")},
                                   .moves_revision = true};
static const Mono start = {INT64_C(100000000000)};

static Mono after(int64_t seconds)
{
        return mono_add(start, SPAN_S(seconds));
}

static const Observed *seen(const char *uid, const char *version, const char *revision)
{
        char text[512];
        Arena arena;
        snprintf(text, sizeof text,
                 "{\"metadata\":{" NAME ",\"uid\":\"%s\",\"resourceVersion\":\"%s\"},"
                 "\"spec\":{\"revision\":\"%s\"}}",
                 uid, version, revision);
        arena_init(&arena, 0);
        const Observed *o =
                observed_new(OBSERVED_BINDING, json_read(&arena, str_of(text), NULL, NULL));
        arena_done(&arena);
        return o;
}

/* The watches show this, or nothing where it is NULL. */
static void tell(KubeKnown *k, const Observed *o, Mono now)
{
        const void *leaves[] = {o};
        const Table *t = table_new(leaves, o != NULL ? 1 : 0, observed_order);
        kube_known_tell(k, t, now);
        table_unref(t);
}

static void assert_stands(KubeKnown *k, const char *revision, Mono now)
{
        const Observed *o = observed_at(kube_known_table(k, now), OBSERVED_BINDING, binding.key);
        if (revision == NULL) {
                assert_null(o);
                for (size_t i = 0; i < kube_known_outside(k, now)->n_bindings; i++)
                        assert_int_equal(kube_known_outside(k, now)->bindings[i].revision.n, 0);
                return;
        }
        assert_non_null(o);
        assert_true(str_eq(o->revision, str_of(revision)));
        assert_int_equal(kube_known_outside(k, now)->n_bindings, 1);
        assert_true(str_eq(kube_known_outside(k, now)->bindings[0].revision, str_of(revision)));
}

static int setup(void **state)
{
        *state = kube_known_new();
        return 0;
}

static int teardown(void **state)
{
        kube_known_free(*state);
        return 0;
}

static void an_answer_holds_until_the_watch_shows_it(void **state)
{
        KubeKnown *k = *state;
        assert_stands(k, NULL, start);
        tell(k, seen("u", "9", "r1"), start);
        assert_stands(k, "r1", start);
        kube_known_wrote(k, &binding, seen("u", "11", "r2"), start);
        assert_stands(k, "r2", start);
        /* Somebody else's change, before ours: older, although it is news. */
        tell(k, seen("u", "10", "other"), after(1));
        assert_stands(k, "r2", after(1));
        tell(k, seen("u", "11", "r2"), after(2));
        assert_stands(k, "r2", after(2));
        assert_int_equal(kube_known_next(k).ns, 0);
        /* From now on the watch knows better, whatever it shows. */
        tell(k, seen("u", "12", "r3"), after(3));
        assert_stands(k, "r3", after(3));
        tell(k, NULL, after(4));
        assert_stands(k, NULL, after(4));
}

static void a_new_object_is_there_before_the_watch_shows_it(void **state)
{
        KubeKnown *k = *state;
        tell(k, NULL, start);
        kube_known_wrote(k, &binding, seen("u", "11", "r1"), start);
        assert_stands(k, "r1", start);
        tell(k, NULL, after(1));
        assert_stands(k, "r1", after(1));
        assert_int_equal(kube_known_next(k).ns, after(KUBE_KNOWN_SHOWN_S).ns);
        assert_false(kube_known_expire(k, after(KUBE_KNOWN_SHOWN_S - 1)));
        assert_true(kube_known_expire(k, after(KUBE_KNOWN_SHOWN_S)));
        assert_stands(k, NULL, after(KUBE_KNOWN_SHOWN_S));
        assert_int_equal(kube_known_next(k).ns, 0);
}

static void it_knows_when_a_gateways_status_was_written(void **state)
{
        KubeKnown *k = *state;
        const PlanObject gateway = {.verb = PLAN_APPLY_STATUS,
                                    .kind = OBSERVED_GATEWAY,
                                    .key = {STR_INIT("ns"), STR_INIT("x")}};
        const void *leaves[] = {seen("u", "9", "")};
        ((Observed *)(uintptr_t)leaves[0])->kind = OBSERVED_GATEWAY;
        CLEANUP(leaf_cleanup) const Table *t = table_new(leaves, 1, observed_order);
        kube_known_tell(k, t, start);
        assert_int_equal(kube_known_outside(k, start)->n_statuses, 0);
        assert_int_equal(kube_known_outside(k, after(5))->since.ns, start.ns);
        for (int64_t i = 1; i < 3; i++) {
                Observed *answer = (Observed *)(uintptr_t)seen("u", "11", "");
                answer->kind = OBSERVED_GATEWAY;
                kube_known_wrote(k, &gateway, answer, after(i));
                const Outside *o = kube_known_outside(k, after(i));
                assert_int_equal(o->n_statuses, 1);
                assert_true(object_key_eq(o->statuses[0].key, gateway.key));
                assert_int_equal(o->statuses[0].at.ns, after(i).ns);
        }
        /* It is gone: another of its name is another one's. */
        tell(k, NULL, after(60));
        assert_true(kube_known_expire(k, after(60)));
        tell(k, seen("u", "12", ""), after(61));
        assert_int_equal(kube_known_outside(k, after(61))->n_statuses, 0);
}

enum {
        CHURN_OBJECTS = 40,
        CHURN_CHANGES = 2500,
        CHURN_WARM = 500,
};

/* Object `at` of those of `change`: one in four is another one after each forty changes. */
static Str churned_name(unsigned at, unsigned change, char room[32])
{
        unsigned born = at % 4 == 0 ? change / CHURN_OBJECTS + (at <= change % CHURN_OBJECTS) : 0;
        return str_make(room, (size_t)snprintf(room, 32, "x-%02u-%04u", at, born));
}

static const Observed *churned(unsigned at, unsigned change, unsigned version)
{
        char text[256], name[32];
        Arena arena;
        Str n = churned_name(at, change, name);
        snprintf(text, sizeof text,
                 "{\"metadata\":{\"namespace\":\"ns\",\"name\":\"%.*s\",\"uid\":\"u-%.*s\","
                 "\"resourceVersion\":\"%u\"}}",
                 STR_FMT(n), STR_FMT(n), version);
        arena_init(&arena, 0);
        const Observed *o =
                observed_new(OBSERVED_GATEWAY, json_read(&arena, str_of(text), NULL, NULL));
        arena_done(&arena);
        return o;
}

/* Objects are written, go, come by other names; what is remembered is of those that there are. */
static void what_is_remembered_does_not_grow_with_changes(void **state)
{
        KubeKnown *k = *state;
        size_t warm = 0;
        for (unsigned change = 0; change < CHURN_CHANGES; change++) {
                const void *leaves[CHURN_OBJECTS];
                char room[32];
                unsigned at = change % CHURN_OBJECTS;
                Mono now = after(change);
                PlanObject o = {.verb = change % 3 == 0 ? PLAN_APPLY : PLAN_APPLY_STATUS,
                                .kind = OBSERVED_GATEWAY,
                                .key = {STR("ns"), churned_name(at, change, room)}};
                for (unsigned i = 0; i < CHURN_OBJECTS; i++)
                        leaves[i] = churned(i, change, 10000 + change);
                const Table *t = table_new(leaves, CHURN_OBJECTS, observed_order);
                kube_known_tell(k, t, now);
                table_unref(t);
                kube_known_wrote(k, &o, churned(at, change, 10000 + change + 1), now);
                if (change % 7 == 0)
                        kube_known_rest(k, &o, mono_add(now, SPAN_S(2)), now);
                IGNORE(kube_known_expire(k, now), "it is planned anyway");
                assert_int_equal(table_n(kube_known_table(k, now)), CHURN_OBJECTS);
                if (change == CHURN_WARM)
                        warm = kube_known_bytes(k);
        }
        assert_in_range(kube_known_bytes(k), warm - warm / 20, warm + warm / 20);
}

static void what_we_deleted_is_gone_until_another_is_shown(void **state)
{
        KubeKnown *k = *state;
        PlanObject delete = binding;
        delete.verb = PLAN_DELETE;
        delete.uid = STR("u1");
        tell(k, seen("u1", "9", "r1"), start);
        kube_known_gone(k, &delete, start);
        assert_stands(k, NULL, start);
        tell(k, seen("u1", "10", "r1"), after(1));
        assert_stands(k, NULL, after(1));
        tell(k, seen("u2", "12", "r2"), after(2));
        assert_stands(k, "r2", after(2));
        /* It was not there for us to delete. */
        tell(k, NULL, after(3));
        kube_known_gone(k, &delete, after(3));
        assert_int_equal(kube_known_next(k).ns, 0);
        /* The watch insists: then it is there. */
        tell(k, seen("u1", "20", "r3"), after(4));
        kube_known_gone(k, &delete, after(4));
        assert_stands(k, NULL, after(5));
        assert_true(kube_known_expire(k, after(4 + KUBE_KNOWN_SHOWN_S)));
        assert_stands(k, "r3", after(4 + KUBE_KNOWN_SHOWN_S));
}

static void what_is_in_doubt_is_as_the_watch_says(void **state)
{
        KubeKnown *k = *state;
        tell(k, seen("u", "9", "r1"), start);
        kube_known_doubt(k, &binding);
        kube_known_wrote(k, &binding, seen("u", "11", "r2"), start);
        kube_known_doubt(k, &binding);
        assert_stands(k, "r1", start);
}

/* Versions that are no numbers cannot be compared. */
static void strange_versions_are_never_newer(void **state)
{
        static const char *const strange[] = {"", "x", "12x", "007", "-12"};
        KubeKnown *k = *state;
        for (size_t i = 0; i < LENGTH_OF(strange); i++) {
                tell(k, seen("u", "9", "r1"), start);
                kube_known_wrote(k, &binding, seen("u", strange[i], "r2"), start);
                assert_stands(k, "r1", start);
        }
        tell(k, seen("u", "99", "r1"), start);
        kube_known_wrote(k, &binding, seen("u", "100", "r2"), start);
        assert_stands(k, "r2", start);
}

static void the_same_is_tried_once_for_each_version(void **state)
{
        KubeKnown *k = *state;
        PlanObject o = binding;
        o.expected = digest_of(STR("wished"));
        assert_false(kube_known_is_tried(k, &o, start));
        kube_known_wrote(k, &o, seen("u", "11", "r2"), start);
        assert_true(kube_known_is_tried(k, &o, start));
        tell(k, seen("u", "11", "r2"), start);
        assert_true(kube_known_is_tried(k, &o, after(3600)));
        PlanObject other = o;
        other.expected = digest_of(STR("wished otherwise"));
        assert_false(kube_known_is_tried(k, &other, start));
        other = o;
        other.verb = PLAN_APPLY_STATUS;
        assert_false(kube_known_is_tried(k, &other, start));
        other.verb = PLAN_DELETE;
        assert_false(kube_known_is_tried(k, &other, start));
        tell(k, seen("u", "12", "r2"), start);
        assert_false(kube_known_is_tried(k, &o, start));
}

static void times_of_a_binding_are_of_our_own_writes(void **state)
{
        KubeKnown *k = *state;
        PlanObject attempt = binding;
        attempt.moves_revision = false;
        attempt.raises_attempt = true;
        tell(k, seen("u", "9", "r1"), start);
        const BindingWritten *b = kube_known_outside(k, start)->bindings;
        assert_int_equal(b->at.ns, 0);
        assert_int_equal(b->since.ns, start.ns);
        kube_known_wrote(k, &binding, seen("u", "10", "r2"), after(5));
        b = kube_known_outside(k, after(5))->bindings;
        assert_int_equal(b->at.ns, after(5).ns);
        assert_int_equal(b->since.ns, after(5).ns);
        assert_int_equal(b->attempt_at.ns, 0);
        kube_known_wrote(k, &attempt, seen("u", "11", "r2"), after(7));
        tell(k, seen("u", "11", "r2"), after(8));
        b = kube_known_outside(k, after(8))->bindings;
        assert_int_equal(b->at.ns, after(5).ns);
        assert_int_equal(b->attempt_at.ns, after(7).ns);
        assert_int_equal(b->since.ns, after(5).ns);
}

static void what_failed_rests_and_is_counted(void **state)
{
        KubeKnown *k = *state;
        tell(k, NULL, start);
        assert_int_equal(kube_known_failed(k, &binding), 1);
        kube_known_rest(k, &binding, after(2), start);
        assert_true(kube_known_is_resting(k, &binding, after(1)));
        assert_false(kube_known_is_resting(k, &binding, after(2)));
        assert_int_equal(kube_known_next(k).ns, after(2).ns);
        assert_true(kube_known_expire(k, after(2)));
        assert_int_equal(kube_known_next(k).ns, 0);
        /* News of others do not make it forget. */
        tell(k, seen("u", "1", "r"), after(3));
        tell(k, NULL, after(4));
        assert_int_equal(kube_known_failed(k, &binding), 2);
        kube_known_wrote(k, &binding, seen("u", "11", "r2"), after(5));
        assert_int_equal(kube_known_failed(k, &binding), 1);
        /* After a long time it does: nobody wishes it any more. */
        kube_known_doubt(k, &binding);
        kube_known_rest(k, &binding, after(6), start);
        assert_true(kube_known_expire(k, after(6)));
        tell(k, seen("u", "20", "r"), after(7));
        tell(k, NULL, after(3600));
        assert_int_equal(kube_known_failed(k, &binding), 1);
}

static PlanObject status_of(unsigned i, char name[32])
{
        PlanObject o = {
                .verb = PLAN_APPLY_STATUS, .kind = OBSERVED_GATEWAY, .key.namespace = STR("ns")};
        snprintf(name, 32, "x%u", i);
        o.key.name = str_of(name);
        return o;
}

/* What is beyond is not sent again at once, neither when it failed nor when it was written; of
 * Bindings is remembered what there is to. */
static void so_many_are_remembered_and_the_rest_waits(void **state)
{
        KubeKnown *k = *state;
        char name[32];
        for (unsigned i = 0; i < KUBE_KNOWN_MAX; i++) {
                PlanObject o = status_of(i, name);
                kube_known_rest(k, &o, after(60), start);
                assert_true(kube_known_is_resting(k, &o, after(59)));
        }
        PlanObject beyond = status_of(KUBE_KNOWN_MAX, name);
        assert_false(kube_known_is_resting(k, &beyond, start));
        kube_known_rest(k, &beyond, after(1), start);
        assert_true(kube_known_is_resting(k, &beyond, after(KUBE_KNOWN_CROWDED_S - 1)));
        assert_int_equal(kube_known_next(k).ns, after(KUBE_KNOWN_CROWDED_S).ns);
        assert_true(kube_known_expire(k, after(KUBE_KNOWN_CROWDED_S)));
        assert_false(kube_known_is_resting(k, &beyond, after(KUBE_KNOWN_CROWDED_S)));
        kube_known_wrote(k, &beyond, seen("u", "11", "r2"), after(40));
        assert_true(kube_known_is_resting(k, &beyond, after(41)));
        assert_false(kube_known_is_resting(k, &binding, after(41)));
        kube_known_wrote(k, &binding, seen("u", "11", "r2"), after(41));
        assert_stands(k, "r2", after(41));
}

/* Somebody puts back what we write, as fast as we do. */
static void what_is_written_again_and_again_rests(void **state)
{
        KubeKnown *k = *state;
        char name[32], version[16];
        PlanObject o = status_of(0, name);
        unsigned told = 0, written = 0;
        tell(k, NULL, start);
        for (unsigned ms = 0; ms < 120000; ms += 100) {
                Mono now = mono_add(start, SPAN_MS(ms));
                kube_known_expire(k, now);
                if (kube_known_is_resting(k, &o, now))
                        continue;
                snprintf(version, sizeof version, "%u", 100 + ms);
                told += kube_known_wrote(k, &o, seen("u", version, "r"), now);
                written++;
        }
        assert_int_equal(told, 1);
        assert_in_range(written, KUBE_KNOWN_WRITES,
                        KUBE_KNOWN_WRITES + 120 / KUBE_KNOWN_WRITES_APART_S + 1);
        /* When it was left alone, that is over. */
        for (unsigned i = 0; i < KUBE_KNOWN_WRITES; i++) {
                assert_false(kube_known_is_resting(k, &o, after(1000)));
                snprintf(version, sizeof version, "%u", 200000 + i);
                assert_false(kube_known_wrote(k, &o, seen("u", version, "r"), after(1000)));
        }
        assert_true(kube_known_wrote(k, &o, seen("u", "300000", "r"), after(1000)));
}

/* Whoever makes it go and come costs Envoy Gateway no more than whoever changes it. */
static void a_binding_keeps_its_distance_across_deletion(void **state)
{
        KubeKnown *k = *state;
        PlanObject delete = binding;
        delete.verb = PLAN_DELETE;
        delete.uid = STR("u");
        tell(k, NULL, start);
        kube_known_wrote(k, &binding, seen("u", "11", "r1"), start);
        tell(k, seen("u", "11", "r1"), start);
        kube_known_gone(k, &delete, after(5));
        tell(k, NULL, after(5));
        const Outside *o = kube_known_outside(k, after(5));
        assert_int_equal(o->n_bindings, 1);
        assert_true(object_key_eq(o->bindings[0].eg_gateway, binding.key));
        assert_int_equal(o->bindings[0].at.ns, after(5).ns);
        assert_int_equal(o->bindings[0].since.ns, 0);
        tell(k, seen("u2", "13", "r1"), after(7));
        tell(k, NULL, after(8));
        assert_int_equal(kube_known_outside(k, after(8))->n_bindings, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(an_answer_holds_until_the_watch_shows_it),
                TEST(a_new_object_is_there_before_the_watch_shows_it),
                TEST(it_knows_when_a_gateways_status_was_written),
                TEST(what_is_remembered_does_not_grow_with_changes),
                TEST(what_we_deleted_is_gone_until_another_is_shown),
                TEST(what_is_in_doubt_is_as_the_watch_says),
                TEST(strange_versions_are_never_newer),
                TEST(the_same_is_tried_once_for_each_version),
                TEST(times_of_a_binding_are_of_our_own_writes),
                TEST(what_failed_rests_and_is_counted),
                TEST(so_many_are_remembered_and_the_rest_waits),
                TEST(what_is_written_again_and_again_rests),
                TEST(a_binding_keeps_its_distance_across_deletion),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
