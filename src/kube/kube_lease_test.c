/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_lease.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kube/kube_test_world.h"

typedef enum CloseIn {
        CLOSE_NOWHERE,
        CLOSE_IN_LEAD,
        CLOSE_IN_LOST,
        CLOSE_IN_HOLDER,
        CLOSE_IN_FAILED,
        CLOSE_IN_RELEASED,
        CLOSE_PLACES,
} CloseIn;

typedef struct Fixture {
        KubeWorld w;
        KubeLease *lease;
        Buf told; /* "lead lost =HOLDER !Reason released " */
        CloseIn close_in;
        bool release_in_lost;
        size_t n_told;
} Fixture;

#define ALL "/apis/coordination.k8s.io/v1/namespaces/ops/leases"
#define LEASE(version, holder, time)                                                       \
        "{\"kind\":\"Lease\",\"metadata\":{\"name\":\"gw\",\"resourceVersion\":\"" version \
        "\"},\"spec\":{\"holderIdentity\":\"" holder                                       \
        "\",\"leaseDurationSeconds\":15,\"renewTime\":\"" time "\"}}"
#define OURS(version)   KUBE_OK(LEASE(version, "pod-1_x", "t" version))
#define OTHERS(version) KUBE_OK(LEASE(version, "pod-2_y", "t"))
#define ABSENT          KUBE_SAYS("404 No", "")
#define CONFLICT        KUBE_SAYS("409 No", "")

static void told(Fixture *f, CloseIn where, const char *fmt, ...) PRINTF(3, 4);

static void told(Fixture *f, CloseIn where, const char *fmt, ...)
{
        va_list ap;

        assert_non_null(f->lease);
        va_start(ap, fmt);
        buf_vprintf(&f->told, fmt, ap);
        va_end(ap);
        f->n_told++;
        if (f->close_in == where)
                f->lease = kube_lease_close(f->lease);
}

static void on_lead(KubeLease *l)
{
        Fixture *f = kube_lease_owner(l);

        assert_true(kube_lease_is_held(l, loop_now(f->w.loop)));
        told(f, CLOSE_IN_LEAD, "lead ");
}

static void on_lost(KubeLease *l)
{
        Fixture *f = kube_lease_owner(l);

        assert_false(kube_lease_is_held(l, loop_now(f->w.loop)));
        assert_int_equal(kube_lease_left(l).ns, 0);
        if (f->release_in_lost)
                kube_lease_release(l);
        told(f, CLOSE_IN_LOST, "lost ");
}

static void on_holder(KubeLease *l)
{
        told(kube_lease_owner(l), CLOSE_IN_HOLDER, "=%s ", kube_lease_holder(l));
}

static void on_failed(KubeLease *l, const Err *err)
{
        told(kube_lease_owner(l), CLOSE_IN_FAILED, "!%s ", err->reason);
}

static void on_released(KubeLease *l)
{
        told(kube_lease_owner(l), CLOSE_IN_RELEASED, "released ");
}

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof(*f));

        kube_world_init(&f->w, "{token: abc}", 1000, 1000);
        buf_init(&f->told, 64 << 10);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        kube_lease_close(f->lease);
        kube_world_done(&f->w);
        buf_done(&f->told);
        mem_free(f);
        return 0;
}

static void begin(Fixture *f)
{
        f->lease = kube_lease_open(
                &(KubeLeaseInput){.api = f->w.api,
                                  .ns = "ops",
                                  .name = "gw",
                                  .identity = "pod-1_x",
                                  .events = {on_lead, on_lost, on_holder, on_failed, on_released},
                                  .seed = 7,
                                  .owner = f});
        assert_int_equal(f->n_told, 0);
}

/* The next request is answered so. */
static void serves(Fixture *f, const char *answer)
{
        size_t before = f->w.server.n_requests;

        script_server_set(&f->w.server, answer, SCRIPT_CLOSE);
        for (int i = 0; i < KUBE_TURNS_MAX && f->w.server.n_requests == before; i++) {
                loop_turn(f->w.loop, SPAN_MS(2));
                if (f->w.server.n_requests == before)
                        test_clock_advance(&f->w.time, SPAN_MS(20));
        }
        assert_int_equal(f->w.server.n_requests, before + 1);
        for (int i = 0; i < KUBE_TURNS_MAX && !list_is_empty(&f->w.server.conns); i++)
                loop_turn(f->w.loop, SPAN_MS(2));
}

static bool was_asked(const Fixture *f, const char *what)
{
        return str_find_str(buf_str(&f->w.server.request), str_of(what)) >= 0;
}

static void was_told(Fixture *f, const char *want)
{
        char got[512];

        /* What was answered arrives, and time stands still. */
        for (int i = 0; i < KUBE_TURNS_MAX && f->told.n < strlen(want); i++)
                loop_turn(f->w.loop, SPAN_MS(2));
        snprintf(got, sizeof(got), "%.*s", STR_FMT(buf_str(&f->told)));
        assert_string_equal(got, want);
        buf_reset(&f->told);
        f->n_told = 0;
}

static void reach_lead(Fixture *f)
{
        begin(f);
        serves(f, ABSENT);
        assert_true(was_asked(f, "GET " ALL "/gw HTTP/1.1\r\n"));
        serves(f, OURS("1"));
        was_told(f, "=pod-1_x lead ");
}

static bool is_held(const Fixture *f)
{
        return kube_lease_is_held(f->lease, loop_now(f->w.loop));
}

static void it_is_taken_renewed_and_given_back(void **state)
{
        Fixture *f = *state;
        Mono until;

        begin(f);
        assert_false(is_held(f));
        serves(f, ABSENT);
        serves(f, OURS("1"));
        assert_true(was_asked(f, "POST " ALL " HTTP/1.1\r\n"));
        assert_true(was_asked(f, "\r\nContent-Type: application/json\r\n"));
        assert_true(was_asked(f, "\"holderIdentity\":\"pod-1_x\""));
        was_told(f, "=pod-1_x lead ");
        assert_true(is_held(f));
        until = kube_lease_until(f->lease);
        assert_int_equal(kube_lease_left(f->lease).ns, mono_since(until, loop_now(f->w.loop)).ns);
        serves(f, OURS("2"));
        assert_true(was_asked(f, "PUT " ALL "/gw HTTP/1.1\r\n"));
        assert_true(was_asked(f, "\"resourceVersion\":\"1\""));
        kube_turns(&f->w, 20);
        assert_true(mono_before(until, kube_lease_until(f->lease)));
        was_told(f, "");
        kube_lease_release(f->lease);
        assert_false(is_held(f));
        assert_int_equal(kube_lease_until(f->lease).ns, 0);
        serves(f, KUBE_OK(LEASE("3", "", "t")));
        assert_true(was_asked(f, "\"holderIdentity\":\"\",\"leaseDurationSeconds\":1,"));
        was_told(f, "released ");
        assert_int_equal(kube_lease_counts(f->lease)->renewals, 2);
        assert_int_equal(kube_lease_counts(f->lease)->leader, 0);
        /* And nothing is asked any more. */
        test_clock_advance(&f->w.time, SPAN_S(60));
        kube_turns(&f->w, 20);
        assert_int_equal(f->w.server.n_requests, 4);
}

static void anothers_is_waited_for(void **state)
{
        Fixture *f = *state;
        Mono first;

        begin(f);
        serves(f, OTHERS("5"));
        was_told(f, "=pod-2_y ");
        first = f->w.time.mono;
        while (!was_asked(f, "PUT "))
                serves(f, OTHERS("5"));
        assert_true(mono_since(f->w.time.mono, first).ns >= SPAN_S(KUBE_LEASE_DURATION_S).ns);
        /* Another was faster. */
        script_server_set(&f->w.server, CONFLICT, SCRIPT_CLOSE);
        was_told(f, "");
        assert_false(is_held(f));
}

static void it_is_lost_when_no_renewal_is_answered(void **state)
{
        Fixture *f = *state;
        Mono until;

        reach_lead(f);
        until = kube_lease_until(f->lease);
        while (mono_before(f->w.time.mono, until) && f->n_told < 50)
                serves(f, KUBE_SAYS("503 No", ""));
        kube_turns(&f->w, 10);
        assert_false(is_held(f));
        assert_true(str_ends(buf_str(&f->told), STR("lost !ServiceUnavailable ")) ||
                    str_find_str(buf_str(&f->told), STR("lost ")) > 0);
        buf_reset(&f->told);
        serves(f, OURS("2"));
        was_told(f, "lead ");
}

/* The server takes what it is sent and says nothing. */
static void it_is_lost_when_the_server_is_silent(void **state)
{
        Fixture *f = *state;

        reach_lead(f);
        script_server_set(&f->w.server, "", SCRIPT_STALL);
        for (int i = 0; i < 700; i++) {
                test_clock_advance(&f->w.time, SPAN_MS(20));
                loop_turn(f->w.loop, SPAN_MS(0));
        }
        assert_true(str_starts(buf_str(&f->told), STR("!Timeout ")));
        assert_true(str_find_str(buf_str(&f->told), STR("lost ")) > 0);
        assert_int_equal(kube_lease_counts(f->lease)->leader, 0);
}

/* Stopped, and nothing of the loop has run since: the time alone says so. */
static void a_process_that_was_stopped_does_not_hold_it(void **state)
{
        Fixture *f = *state;

        reach_lead(f);
        test_clock_advance(&f->w.time, SPAN_S(KUBE_LEASE_RENEW_S - 1));
        assert_true(is_held(f));
        test_clock_advance(&f->w.time, SPAN_S(1));
        assert_false(is_held(f));
        assert_int_equal(kube_lease_left(f->lease).ns, 0);
        was_told(f, "lost ");
}

/* A renewal was sent, the process was stopped, and its answer is read after. */
static void an_answer_from_before_a_stop_gives_nothing(void **state)
{
        Fixture *f = *state;

        reach_lead(f);
        serves(f, OURS("2"));
        test_clock_advance(&f->w.time, SPAN_S(20));
        for (int i = 0; i < 5 && f->n_told == 0; i++)
                loop_turn(f->w.loop, SPAN_MS(2));
        was_told(f, "lost ");
        assert_false(is_held(f));
}

static void who_took_it_meanwhile_is_believed_at_once(void **state)
{
        Fixture *f = *state;

        reach_lead(f);
        serves(f, CONFLICT);
        serves(f, OTHERS("9"));
        was_told(f, "lost =pod-2_y ");
        assert_string_equal(kube_lease_holder(f->lease), "pod-2_y");
        assert_int_equal(kube_lease_counts(f->lease)->transitions, 2);
}

/* What is held at one is not held at another, from the first moment. */
static void another_server_is_another_lease(void **state)
{
        Fixture *f = *state;
        ScriptServer other;

        reach_lead(f);
        kube_api_update(f->w.api, kube_world_config(f->w.server.port, "{token: xyz}"));
        assert_true(is_held(f));
        kube_turns(&f->w, 5);
        was_told(f, "");
        script_server_open(&other, f->w.loop);
        kube_api_update(f->w.api, kube_world_config(other.port, "{token: xyz}"));
        assert_false(is_held(f));
        assert_int_equal(kube_lease_left(f->lease).ns, 0);
        was_told(f, "lost ");
        script_server_set(&other, OTHERS("3"), SCRIPT_CLOSE);
        for (int i = 0; i < KUBE_TURNS_MAX && f->n_told == 0; i++)
                loop_turn(f->w.loop, SPAN_MS(2));
        was_told(f, "=pod-2_y ");
        assert_false(is_held(f));
        f->lease = kube_lease_close(f->lease);
        script_server_close(&other);
}

static void a_release_is_bounded(void **state)
{
        Fixture *f = *state;

        reach_lead(f);
        script_server_set(&f->w.server, "", SCRIPT_STALL);
        kube_lease_release(f->lease);
        kube_turns(&f->w, 20);
        was_told(f, "");
        test_clock_advance(&f->w.time, SPAN_S(KUBE_LEASE_RELEASE_S));
        was_told(f, "released ");
        /* It is over, also elsewhere. */
        script_server_set(&f->w.server, OURS("9"), SCRIPT_CLOSE);
        kube_api_update(f->w.api, kube_world_config(f->w.server.port, "{token: xyz}"));
        kube_api_update(f->w.api, kube_world_config(1, "{token: xyz}"));
        kube_turns(&f->w, 20);
        test_clock_advance(&f->w.time, SPAN_S(60));
        kube_turns(&f->w, 20);
        was_told(f, "");
}

static void a_release_may_be_asked_for_anywhere(void **state)
{
        Fixture *f = *state;

        begin(f);
        kube_lease_release(f->lease);
        was_told(f, "released ");
        f->lease = kube_lease_close(f->lease);
        reach_lead(f);
        f->release_in_lost = true;
        serves(f, CONFLICT);
        serves(f, OTHERS("9"));
        was_told(f, "lost =pod-2_y ");
        serves(f, OTHERS("9"));
        was_told(f, "released ");
}

static void the_owner_may_close_anywhere(void **state)
{
        Fixture *f = *state;

        for (CloseIn where = CLOSE_IN_LEAD; where < CLOSE_PLACES; where++) {
                f->close_in = where;
                begin(f);
                serves(f, ABSENT);
                script_server_set(&f->w.server, OURS("1"), SCRIPT_CLOSE);
                kube_turns(&f->w, 20);
                for (int i = 0; i < KUBE_TURNS_MAX && f->lease != NULL; i++) {
                        script_server_set(&f->w.server, where == CLOSE_IN_FAILED ? "" : OTHERS("9"),
                                          SCRIPT_CLOSE);
                        if (where == CLOSE_IN_RELEASED && i == 0)
                                kube_lease_release(f->lease);
                        test_clock_advance(&f->w.time, SPAN_MS(100));
                        loop_turn(f->w.loop, SPAN_MS(2));
                }
                assert_null(f->lease);
                test_clock_advance(&f->w.time, SPAN_S(60));
                kube_turns(&f->w, 5);
                f->close_in = CLOSE_NOWHERE;
                f->n_told = 0;
        }
}

static void close_lease(void *ctx)
{
        Fixture *f = ctx;

        f->lease = kube_lease_close(f->lease);
}

static void closed_in_every_state(void **state)
{
        static const unsigned turns[] = {0, 1, 2, 3, 4, 6, 8, 10, 20};
        Fixture *f = *state;

        for (CloserKind how = 0; how < CLOSER_KINDS; how++) {
                for (size_t i = 0; i < LENGTH_OF(turns); i++) {
                        f->n_told = 0;
                        script_server_set(&f->w.server, i % 2 == 0 ? ABSENT : OURS("4"),
                                          SCRIPT_CLOSE);
                        begin(f);
                        kube_turns(&f->w, turns[i]);
                        if (i % 3 == 0)
                                kube_lease_release(f->lease);
                        closer_play(f->w.loop, how, close_lease, f);
                        test_clock_advance(&f->w.time, SPAN_S(60));
                        kube_turns(&f->w, 5);
                }
        }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(it_is_taken_renewed_and_given_back),
                TEST(anothers_is_waited_for),
                TEST(it_is_lost_when_no_renewal_is_answered),
                TEST(it_is_lost_when_the_server_is_silent),
                TEST(a_process_that_was_stopped_does_not_hold_it),
                TEST(an_answer_from_before_a_stop_gives_nothing),
                TEST(who_took_it_meanwhile_is_believed_at_once),
                TEST(another_server_is_another_lease),
                TEST(a_release_is_bounded),
                TEST(a_release_may_be_asked_for_anywhere),
                TEST(the_owner_may_close_anywhere),
                TEST(closed_in_every_state),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
