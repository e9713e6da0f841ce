/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request is closed in every state, and inside every delivery of another one and of its own. What
 * was closed delivers nothing; its memory is gone at once, so AddressSanitizer sees any later
 * touch.
 */
#include "net/http_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/testing.h"
#include "net/script_server.h"

enum {
        TURNS_MAX = 4000
};

/* How far a request has come. */
typedef enum State {
        JUST_OPENED,
        REFUSED_INPUT, /* it has ended, and will be told in the next turn */
        WAITS_FOR_HEAD,
        HAS_HALF_A_HEAD,
        HAS_HALF_A_BODY,
        FORM_IS_SENT,
        IS_FED_WITHOUT_END,
        TOLD, /* open, and nothing more comes */
        STATES,
} State;

/* What a request is told. */
typedef enum Delivery {
        ANSWER,
        STREAMED_ANSWER,
        STATUS_500,
        FORM_REFUSED, /* 401, with a body */
        BODY_REFUSED, /* by on_body, of one without end */
        CUT_SHORT,
        DEADLINE,
        CONNECTION_REFUSED,
        BAD_URL,
        DELIVERIES,
} Delivery;

typedef struct Fixture Fixture;

typedef struct Asker {
        Fixture *f;
        HttpRequest *request;
        ScriptServer server; /* one each, so that each comes as far as it is to */
        unsigned n_done;
        bool closes_self;
        bool says_no;         /* to a piece of a body */
        struct Asker *closes; /* or NULL */
} Asker;

struct Fixture {
        TestClock time;
        Clock clock;
        Loop *loop;
        HttpClient *client;
        Secret *form;
        Asker a, b;
};

static void asker_open(Fixture *f, Asker *a)
{
        *a = (Asker){.f = f};
        script_server_open(&a->server, f->loop);
}

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof *f);
        f->time = (TestClock){{SPAN_S(1000).ns}, {INT64_C(1795381081000)}, 0};
        f->clock = test_clock(&f->time);
        f->loop = loop_new(&f->clock);
        f->client = http_client_new(f->loop, NULL);
        f->form = secret_new(STR("a=b"));
        asker_open(f, &f->a);
        asker_open(f, &f->b);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;
        http_request_close(f->a.request);
        http_request_close(f->b.request);
        http_client_free(f->client);
        script_server_close(&f->a.server);
        script_server_close(&f->b.server);
        loop_turn(f->loop, SPAN_MS(0));
        loop_free(f->loop);
        secret_free(f->form);
        mem_free(f);
        return 0;
}

static void turns(Fixture *f, int n)
{
        while (n-- > 0)
                loop_turn(f->loop, SPAN_MS(0));
}

static void on_done(HttpRequest *r, const HttpResult *result)
{
        Asker *a = http_request_owner(r);
        assert_ptr_equal(a->request, r);
        assert_non_null(result);
        a->n_done++;
        if (a->closes != NULL)
                a->closes->request = http_request_close(a->closes->request);
        if (a->closes_self)
                a->request = http_request_close(a->request);
}

static bool on_body(HttpRequest *r, Str chunk)
{
        const Asker *a = http_request_owner(r);
        assert_true(chunk.n > 0);
        return !a->says_no;
}

static void ask(Asker *a, HttpRequestInput in)
{
        char own[64];
        snprintf(own, sizeof own, "http://127.0.0.1:%u/", a->server.port);
        if (in.url == NULL)
                in.url = own;
        in.on_done = on_done;
        in.owner = a;
        a->n_done = 0;
        a->request = http_request_open(a->f->client, &in);
        assert_int_equal(a->n_done, 0);
}

/* Lets the server get its request and send what it has. */
static void until_asked(Asker *a)
{
        size_t before = a->server.n_requests;
        for (int i = 0; i < TURNS_MAX && a->server.n_requests == before; i++)
                turns(a->f, 1);
        assert_int_equal(a->server.n_requests, before + 1);
        turns(a->f, 8);
}

static void reach(Asker *a, State s)
{
        static const char *const answers[STATES] = {
                [WAITS_FOR_HEAD] = "",
                [HAS_HALF_A_HEAD] = "HTTP/1.1 200 OK\r\nContent-",
                [HAS_HALF_A_BODY] = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
                [FORM_IS_SENT] = "",
                [IS_FED_WITHOUT_END] = "HTTP/1.1 200 OK\r\n\r\nx",
                [TOLD] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        };
        bool endless = s == IS_FED_WITHOUT_END;
        a->closes = NULL;
        a->closes_self = a->says_no = false;
        if (answers[s] != NULL)
                script_server_set(&a->server, answers[s], endless ? SCRIPT_ENDLESS : SCRIPT_STALL);
        ask(a, (HttpRequestInput){
                       .url = s == REFUSED_INPUT ? "gopher://x/" : NULL,
                       .form = s == FORM_IS_SENT ? a->f->form : NULL,
                       .on_body = endless || s == HAS_HALF_A_BODY ? on_body : NULL,
                       .deadline = SPAN_S(endless ? 0 : 60),
                       .max_bytes = endless ? 0 : 4096,
               });
        if (answers[s] != NULL)
                until_asked(a);
        for (int i = 0; s == TOLD && i < TURNS_MAX && a->n_done == 0; i++)
                turns(a->f, 1);
        assert_int_equal(a->n_done, s == TOLD);
}

/* Begins what ends in that delivery. */
static void begin(Asker *a, Delivery d)
{
        static const char *const answers[DELIVERIES] = {
                [ANSWER] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                [STREAMED_ANSWER] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                [FORM_REFUSED] = "HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno",
                [BODY_REFUSED] = "HTTP/1.1 200 OK\r\n\r\nx",
                [STATUS_500] = "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno",
                [CUT_SHORT] = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
                [DEADLINE] = "",
        };
        static const char *const urls[DELIVERIES] = {
                [BAD_URL] = "gopher://x/",
                [CONNECTION_REFUSED] = "http://127.0.0.1:1/",
        };
        bool endless = d == BODY_REFUSED;
        if (answers[d] != NULL)
                script_server_set(&a->server, answers[d],
                                  d == DEADLINE ? SCRIPT_STALL
                                  : endless     ? SCRIPT_ENDLESS
                                                : SCRIPT_CLOSE);
        a->says_no = endless;
        ask(a, (HttpRequestInput){
                       .url = urls[d],
                       .form = d == FORM_REFUSED ? a->f->form : NULL,
                       .on_body = endless || d == STREAMED_ANSWER ? on_body : NULL,
                       .deadline = SPAN_S(endless ? 0 : 60),
                       .max_bytes = endless ? 0 : 4096,
               });
        if (d == DEADLINE)
                until_asked(a);
}

static void finish(Asker *a, Delivery d)
{
        if (d == DEADLINE)
                test_clock_advance(&a->f->time, SPAN_S(60));
        for (int i = 0; i < TURNS_MAX && a->n_done == 0; i++)
                turns(a->f, 1);
        assert_int_equal(a->n_done, 1);
}

/* Long after: every timer that was set would be due. */
static void long_after(Fixture *f)
{
        turns(f, 8);
        test_clock_advance(&f->time, SPAN_S(1000));
        turns(f, 8);
}

static void closed_in_every_state(void **state)
{
        Fixture *f = *state;
        for (State s = 0; s < STATES; s++) {
                reach(&f->a, s);
                unsigned before = f->a.n_done;
                f->a.request = http_request_close(f->a.request);
                long_after(f);
                assert_int_equal(f->a.n_done, before);
        }
}

/* The client goes with the last request, whatever libcurl still had open. */
static void the_client_goes_at_once(void **state)
{
        Fixture *f = *state;
        for (State s = 0; s < STATES; s++) {
                reach(&f->a, s);
                f->a.request = http_request_close(f->a.request);
                f->client = http_client_free(f->client);
                long_after(f);
                f->client = http_client_new(f->loop, NULL);
        }
}

static void closed_inside_every_own_delivery(void **state)
{
        Fixture *f = *state;
        for (Delivery d = 0; d < DELIVERIES; d++) {
                begin(&f->a, d);
                f->a.closes_self = true;
                finish(&f->a, d);
                assert_null(f->a.request);
                long_after(f);
                assert_int_equal(f->a.n_done, 1);
                f->a.closes_self = false;
        }
}

static void left_open_after_every_own_delivery(void **state)
{
        Fixture *f = *state;
        for (Delivery d = 0; d < DELIVERIES; d++) {
                begin(&f->a, d);
                finish(&f->a, d);
                long_after(f);
                assert_int_equal(f->a.n_done, 1);
                f->a.request = http_request_close(f->a.request);
        }
}

static void play_pair(Fixture *f, State s, Delivery d, bool both)
{
        reach(&f->b, s);
        begin(&f->a, d);
        f->a.closes = &f->b;
        f->a.closes_self = both;
        finish(&f->a, d);
        assert_null(f->b.request);
        unsigned told = f->b.n_done;
        long_after(f);
        assert_int_equal(f->b.n_done, told);
        assert_int_equal(f->a.n_done, 1);
        f->a.request = http_request_close(f->a.request);
        f->a.closes = NULL;
        f->a.closes_self = false;
}

static void closed_in_every_state_inside_every_delivery_of_another(void **state)
{
        Fixture *f = *state;
        for (State s = 0; s < STATES; s++) {
                for (Delivery d = 0; d < DELIVERIES; d++) {
                        play_pair(f, s, d, false);
                        play_pair(f, s, d, true);
                }
        }
}

/* Both would be told in the same turn; the first closes the other. */
static void play_twins(Fixture *f, Delivery d, bool both)
{
        begin(&f->a, d);
        begin(&f->b, d);
        f->a.closes = &f->b;
        f->b.closes = &f->a;
        f->a.closes_self = f->b.closes_self = both;
        if (d == DEADLINE)
                test_clock_advance(&f->time, SPAN_S(60));
        long_after(f);
        assert_int_equal(f->a.n_done + f->b.n_done, 1);
        f->a.closes = f->b.closes = NULL;
        f->a.closes_self = f->b.closes_self = false;
        f->a.request = http_request_close(f->a.request);
        f->b.request = http_request_close(f->b.request);
}

static void of_two_that_end_together_one_is_told(void **state)
{
        for (int both = 0; both < 2; both++) {
                play_twins(*state, BAD_URL, both);
                play_twins(*state, DEADLINE, both);
                play_twins(*state, ANSWER, both);
        }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(closed_in_every_state),
                TEST(the_client_goes_at_once),
                TEST(closed_inside_every_own_delivery),
                TEST(left_open_after_every_own_delivery),
                TEST(closed_in_every_state_inside_every_delivery_of_another),
                TEST(of_two_that_end_together_one_is_told),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
