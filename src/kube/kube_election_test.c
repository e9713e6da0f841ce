/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_election.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buf.h"

#define START ((Mono){SPAN_S(1000).ns})
#define WALL  ((Wall){INT64_C(1795381081123)}) /* 2026-11-22T20:58:01.123Z */

typedef struct Fixture {
        KubeElection e;
        Mono now;
        Buf body;
        char object[4096];
} Fixture;

static int setup(void **state)
{
        static Fixture f;

        f = (Fixture){.now = START};
        kube_election_init(&f.e, &(KubeElectionInput){"ops", "gw", "pod-1_x", 7});
        buf_init(&f.body, 64 << 10);
        *state = &f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        kube_election_done(&f->e);
        buf_done(&f->body);
        return 0;
}

/* What is asked when it is due. */
static KubeElectionVerb next(Fixture *f)
{
        if (mono_before(f->now, f->e.next))
                f->now = f->e.next;
        buf_reset(&f->body);
        return kube_election_next(&f->e, f->now, WALL, &f->body);
}

static bool answer(Fixture *f, unsigned status, const char *body)
{
        KubeElectionAnswer a = {.status = status, .body = str_of(body)};

        if (status < 200 || status > 299)
                err_set(&a.err, ERR_TRANSIENT, "Refused", "refused");
        return kube_election_answer(&f->e, f->now, &a, NULL);
}

/* With what was written, or else what is given. */
static const char *object(Fixture *f, const char *version, const char *spec)
{
        Str body = buf_str(&f->body);
        ptrdiff_t at = str_find_str(body, STR(",\"spec\":"));

        if (spec == NULL)
                snprintf(f->object, sizeof(f->object),
                         "{\"kind\":\"Lease\",\"metadata\":{\"resourceVersion\":\"%s\"}%.*s",
                         version, STR_FMT(str_sub(body, (size_t)at, SIZE_MAX)));
        else
                snprintf(f->object, sizeof(f->object),
                         "{\"kind\":\"Lease\",\"metadata\":{\"resourceVersion\":\"%s\"},\"spec\":{%"
                         "s}}",
                         version, spec);
        return f->object;
}

static void pass(Fixture *f, Span by)
{
        f->now = mono_add(f->now, by);
}

static bool is_held(const Fixture *f)
{
        return kube_election_is_held(&f->e, f->now);
}

static void wrote(const Fixture *f, const char *want)
{
        char got[4096];

        snprintf(got, sizeof(got), "%.*s", STR_FMT(buf_str(&f->body)));
        assert_string_equal(got, want);
}

static void take_it(Fixture *f)
{
        assert_int_equal(next(f), KUBE_ELECTION_READ);
        assert_true(answer(f, 404, ""));
        assert_int_equal(next(f), KUBE_ELECTION_CREATE);
        assert_true(answer(f, 201, object(f, "1", NULL)));
        assert_true(is_held(f));
}

static void it_is_created_renewed_and_released(void **state)
{
        Fixture *f = *state;

        take_it(f);
        wrote(f, "{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{"
                 "\"name\":\"gw\",\"namespace\":\"ops\"},\"spec\":{\"holderIdentity\":\"pod-1_x\","
                 "\"leaseDurationSeconds\":15,\"acquireTime\":\"2026-11-22T20:58:01.123000Z\","
                 "\"renewTime\":\"2026-11-22T20:58:01.123000Z\",\"leaseTransitions\":0}}");
        assert_string_equal(f->e.holder, "pod-1_x");
        assert_int_equal(next(f), KUBE_ELECTION_UPDATE);
        wrote(f, "{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{"
                 "\"resourceVersion\":\"1\"},\"spec\":{\"holderIdentity\":\"pod-1_x\","
                 "\"leaseDurationSeconds\":15,\"acquireTime\":\"2026-11-22T20:58:01.123000Z\","
                 /* The wall clock stands still; it says another thing all the same. */
                 "\"renewTime\":\"2026-11-22T20:58:01.124000Z\",\"leaseTransitions\":0}}");
        assert_true(answer(f, 200, object(f, "2", NULL)));
        kube_election_release(&f->e, f->now);
        assert_false(is_held(f));
        assert_int_equal(next(f), KUBE_ELECTION_UPDATE);
        wrote(f, "{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{"
                 "\"resourceVersion\":\"2\"},\"spec\":{\"holderIdentity\":\"\","
                 "\"leaseDurationSeconds\":1,\"acquireTime\":\"2026-11-22T20:58:01.125000Z\","
                 "\"renewTime\":\"2026-11-22T20:58:01.125000Z\",\"leaseTransitions\":0}}");
        assert_true(answer(f, 200, object(f, "3", NULL)));
        assert_int_equal(next(f), KUBE_ELECTION_OVER);
        assert_int_equal(f->e.counts.renewals, 2);
        assert_int_equal(f->e.counts.leader, 0);
}

static void what_others_put_there_stays(void **state)
{
        Fixture *f = *state;

        assert_int_equal(next(f), KUBE_ELECTION_READ);
        assert_true(answer(f, 200,
                           "{\"apiVersion\":\"v\",\"kind\":\"Lease\",\"metadata\":{\"name\":\"gw\","
                           "\"labels\":{\"a\":\"b\\n\"},\"managedFields\":[{}],"
                           "\"resourceVersion\":\"8\"},\"spec\":{\"holderIdentity\":\"\","
                           "\"leaseTransitions\":4,\"strategy\":null,\"x\":[1,true,{}]}}"));
        assert_int_equal(next(f), KUBE_ELECTION_UPDATE);
        wrote(f, "{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{"
                 "\"name\":\"gw\",\"labels\":{\"a\":\"b\\n\"},\"resourceVersion\":\"8\"},\"spec\":{"
                 "\"strategy\":null,\"x\":[1,true,{}],\"holderIdentity\":\"pod-1_x\","
                 "\"leaseDurationSeconds\":15,\"acquireTime\":\"2026-11-22T20:58:01.123000Z\","
                 "\"renewTime\":\"2026-11-22T20:58:01.123000Z\",\"leaseTransitions\":5}}");
}

#define OTHER(renewed)                                                                      \
        "\"holderIdentity\":\"other\",\"leaseDurationSeconds\":15,\"renewTime\":\"" renewed \
        "\",\"leaseTransitions\":3"

/* The times in it are of years ago, or to come. */
static void anothers_is_over_when_we_saw_no_change_for_its_time(void **state)
{
        Fixture *f = *state;
        Mono first;

        assert_int_equal(next(f), KUBE_ELECTION_READ);
        assert_true(answer(f, 200, object(f, "5", OTHER("1999-01-01T00:00:00.000000Z"))));
        first = f->now;
        while (mono_since(f->now, first).ns < SPAN_S(14).ns) {
                assert_int_equal(next(f), KUBE_ELECTION_READ);
                /* Another version is no renewal. */
                assert_true(answer(f, 200, object(f, "6", OTHER("1999-01-01T00:00:00.000000Z"))));
                assert_int_equal(f->e.plan, KUBE_ELECTION_READ);
                if (mono_since(f->e.next, first).ns >= SPAN_S(15).ns)
                        break;
        }
        assert_int_equal(next(f), KUBE_ELECTION_READ);
        assert_true(mono_since(f->now, first).ns >= SPAN_S(15).ns);
        assert_true(mono_since(f->now, first).ns <= SPAN_MS(15500).ns);
        /* At the last moment it is renewed. */
        assert_true(answer(f, 200, object(f, "7", OTHER("2099-01-01T00:00:00.000000Z"))));
        assert_int_equal(f->e.plan, KUBE_ELECTION_READ);
        first = f->now;
        while (next(f) == KUBE_ELECTION_READ)
                assert_true(answer(f, 200, object(f, "7", OTHER("2099-01-01T00:00:00.000000Z"))));
        assert_true(mono_since(f->now, first).ns >= SPAN_S(15).ns);
        assert_int_equal(f->e.doing, KUBE_ELECTION_UPDATE);
        assert_true(answer(f, 200, object(f, "8", NULL)));
        assert_non_null(strstr(f->object, "\"leaseTransitions\":4"));
        assert_true(is_held(f));
        assert_int_equal(f->e.counts.transitions, 2);
}

static void it_is_held_from_when_it_was_sent(void **state)
{
        Fixture *f = *state;

        take_it(f);
        assert_int_equal(next(f), KUBE_ELECTION_UPDATE);
        Mono sent = f->now;

        pass(f, SPAN_S(4));
        assert_true(answer(f, 200, object(f, "2", NULL)));
        assert_int_equal(f->e.until.ns, mono_add(sent, SPAN_S(KUBE_LEASE_RENEW_S)).ns);
        /* No time is lost where the server is slow. */
        assert_int_equal(f->e.next.ns, f->now.ns);
        assert_int_equal(next(f), KUBE_ELECTION_UPDATE);
        f->now = f->e.until;
        assert_false(is_held(f));
        /* An answer that comes too late gives nothing. */
        pass(f, SPAN_S(30));
        assert_true(answer(f, 200, object(f, "3", NULL)));
        assert_false(is_held(f));
        assert_int_equal(f->e.counts.leader, 0);
}

static void a_failure_keeps_what_is_held(void **state)
{
        static const struct {
                unsigned status;
                const char *body;
        } cases[] = {{0, ""},
                     {500, ""},
                     {429, ""},
                     {403, ""},
                     {200, ""},
                     {200, "<html>"},
                     {200, "{}"},
                     {422, ""},
                     {201, "{\"kind\":\"Lease\",\"metadata\":{\"resourceVersion\":\"9\"}}"}};
        Fixture *f = *state;

        take_it(f);
        Mono until = f->e.until;

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                KubeElectionVerb verb = next(f);

                f->now = mono_add(START, SPAN_MS(10));
                if (i + 1 == LENGTH_OF(cases))
                        break;
                assert_true(verb == KUBE_ELECTION_UPDATE || verb == KUBE_ELECTION_READ);
                assert_false(answer(f, cases[i].status, cases[i].body));
                assert_int_equal(f->e.until.ns, until.ns);
                assert_int_equal(f->e.counts.failures, i + 1);
        }
        /* That shows nobody: somebody has cleared it. */
        assert_int_equal(f->e.doing, KUBE_ELECTION_READ);
        assert_true(answer(f, 200, cases[LENGTH_OF(cases) - 1].body));
        assert_false(is_held(f));
        assert_int_equal(next(f), KUBE_ELECTION_UPDATE);
}

static void retry_after_is_obeyed_within_reason(void **state)
{
        Fixture *f = *state;
        KubeElectionAnswer a = {.status = 429, .retry_after = SPAN_S(4)};

        err_set(&a.err, ERR_TRANSIENT, "TooManyRequests", "later");
        assert_int_equal(next(f), KUBE_ELECTION_READ);
        assert_false(kube_election_answer(&f->e, f->now, &a, NULL));
        assert_true(mono_since(f->e.next, f->now).ns >= SPAN_S(4).ns);
        a.retry_after = SPAN_S(3600);
        assert_int_equal(next(f), KUBE_ELECTION_READ);
        assert_false(kube_election_answer(&f->e, f->now, &a, NULL));
        assert_int_equal(mono_since(f->e.next, f->now).ns, SPAN_S(KUBE_LEASE_CALL_S).ns);
}

static void a_conflict_is_read_again_at_once_and_once(void **state)
{
        Fixture *f = *state;

        take_it(f);
        assert_int_equal(next(f), KUBE_ELECTION_UPDATE);
        assert_true(answer(f, 409, ""));
        assert_int_equal(f->e.next.ns, f->now.ns);
        assert_int_equal(next(f), KUBE_ELECTION_READ);
        assert_true(is_held(f));
        assert_true(answer(f, 200, object(f, "5", "\"holderIdentity\":\"pod-1_x\"")));
        assert_true(is_held(f));
        assert_int_equal(next(f), KUBE_ELECTION_UPDATE);
        assert_true(answer(f, 409, ""));
        assert_true(mono_before(f->now, f->e.next));
        assert_int_equal(next(f), KUBE_ELECTION_READ);
        assert_true(answer(f, 200, object(f, "6", OTHER("x"))));
        assert_false(is_held(f));
        assert_string_equal(f->e.holder, "other");
        assert_int_equal(f->e.plan, KUBE_ELECTION_READ);
        assert_int_equal(f->e.counts.failures, 0);
}

/* Who began again under the name that it had before is not who it was. */
static void our_name_is_not_ours_before_we_claimed(void **state)
{
        Fixture *f = *state;
        Mono first = f->now;

        assert_int_equal(next(f), KUBE_ELECTION_READ);
        assert_true(answer(f, 200, object(f, "5", "\"holderIdentity\":\"pod-1_x\"")));
        assert_int_equal(f->e.plan, KUBE_ELECTION_READ);
        while (next(f) == KUBE_ELECTION_READ)
                assert_true(answer(f, 200, object(f, "5", "\"holderIdentity\":\"pod-1_x\"")));
        assert_true(mono_since(f->now, first).ns >= SPAN_S(KUBE_LEASE_DURATION_S).ns);
}

/* It may have come late, where another's was deleted who still holds it. */
static void a_create_without_an_answer_is_not_ours_at_once(void **state)
{
        Fixture *f = *state;
        Mono first;

        assert_int_equal(next(f), KUBE_ELECTION_READ);
        assert_true(answer(f, 404, ""));
        assert_int_equal(next(f), KUBE_ELECTION_CREATE);
        assert_false(answer(f, 0, ""));
        assert_int_equal(next(f), KUBE_ELECTION_READ);
        first = f->now;
        assert_true(answer(f, 200, object(f, "1", "\"holderIdentity\":\"pod-1_x\"")));
        while (next(f) == KUBE_ELECTION_READ)
                assert_true(answer(f, 200, object(f, "1", "\"holderIdentity\":\"pod-1_x\"")));
        assert_true(mono_since(f->now, first).ns >= SPAN_S(KUBE_LEASE_DURATION_S).ns);
        assert_false(answer(f, 0, ""));
        /* An UPDATE is not done late where anything has changed. */
        assert_false(is_held(f));
        assert_int_equal(next(f), KUBE_ELECTION_UPDATE);
        assert_true(answer(f, 200, object(f, "3", NULL)));
        assert_true(is_held(f));
}

static void a_deleted_one_is_made_anew(void **state)
{
        Fixture *f = *state;
        Mono absent;

        /* Whoever holds it may do so at once. */
        take_it(f);
        assert_int_equal(next(f), KUBE_ELECTION_UPDATE);
        assert_true(answer(f, 404, ""));
        assert_int_equal(next(f), KUBE_ELECTION_READ);
        assert_true(answer(f, 404, ""));
        assert_int_equal(next(f), KUBE_ELECTION_CREATE);
        assert_true(answer(f, 201, object(f, "1", NULL)));
        /* Whoever does not, waits for the one who may. */
        assert_int_equal(next(f), KUBE_ELECTION_UPDATE);
        assert_true(answer(f, 409, ""));
        assert_int_equal(next(f), KUBE_ELECTION_READ);
        assert_true(answer(f, 200, object(f, "6", OTHER("x"))));
        assert_int_equal(next(f), KUBE_ELECTION_READ);
        absent = f->now;
        assert_true(answer(f, 404, ""));
        while (next(f) == KUBE_ELECTION_READ)
                assert_true(answer(f, 404, ""));
        assert_int_equal(f->e.doing, KUBE_ELECTION_CREATE);
        assert_true(mono_since(f->now, absent).ns >= SPAN_S(KUBE_LEASE_DURATION_S).ns);
}

static void a_release_goes_on_until_it_is_not_ours(void **state)
{
        Fixture *f = *state;

        take_it(f);
        assert_int_equal(next(f), KUBE_ELECTION_UPDATE);
        /* While a renewal is under way, which may still be done. */
        kube_election_release(&f->e, f->now);
        assert_int_equal(next(f), KUBE_ELECTION_UPDATE);
        assert_true(answer(f, 409, ""));
        assert_int_equal(next(f), KUBE_ELECTION_READ);
        assert_false(answer(f, 500, ""));
        assert_int_equal(next(f), KUBE_ELECTION_READ);
        assert_true(answer(f, 200, object(f, "3", "\"holderIdentity\":\"pod-1_x\"")));
        assert_int_equal(next(f), KUBE_ELECTION_UPDATE);
        assert_true(str_find_str(buf_str(&f->body), STR("\"holderIdentity\":\"\"")) >= 0);
        assert_true(answer(f, 409, ""));
        assert_int_equal(next(f), KUBE_ELECTION_READ);
        assert_true(answer(f, 200, object(f, "4", OTHER("x"))));
        assert_int_equal(next(f), KUBE_ELECTION_OVER);
        assert_false(is_held(f));
}

static void who_never_claimed_has_nothing_to_release(void **state)
{
        Fixture *f = *state;

        assert_int_equal(next(f), KUBE_ELECTION_READ);
        kube_election_release(&f->e, f->now);
        assert_int_equal(next(f), KUBE_ELECTION_OVER);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(it_is_created_renewed_and_released),
                TEST(what_others_put_there_stays),
                TEST(anothers_is_over_when_we_saw_no_change_for_its_time),
                TEST(it_is_held_from_when_it_was_sent),
                TEST(a_failure_keeps_what_is_held),
                TEST(retry_after_is_obeyed_within_reason),
                TEST(a_conflict_is_read_again_at_once_and_once),
                TEST(our_name_is_not_ours_before_we_claimed),
                TEST(a_create_without_an_answer_is_not_ours_at_once),
                TEST(a_deleted_one_is_made_anew),
                TEST(a_release_goes_on_until_it_is_not_ours),
                TEST(who_never_claimed_has_nothing_to_release),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
