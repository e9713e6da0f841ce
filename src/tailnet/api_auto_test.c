/* SPDX-License-Identifier: Apache-2.0 */
#include "tailnet/api_auto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/test_closer.h"
#include "tailnet/api_test_world.h"

enum {
        TEXT_MAX = 2048
};

typedef struct Fixture {
        ApiWorld w;
        char asked[TEXT_MAX];
        Secret *key, *id, *secret;
        TailnetSpec *spec;
        TailnetSource *source;
        TailnetAnswer last; /* holds the devices */
        unsigned n_answers;
        bool closes_inside;
} Fixture;

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof(*f));

        api_world_init(&f->w);
        f->key = secret_new(STR("hskey-api-k1"));
        f->id = secret_new(STR("id1"));
        f->secret = secret_new(STR("hskey-client-s1"));
        f->spec = leaf_new(sizeof(*f->spec), 0, NULL);
        f->spec->api_url = str_of(f->w.url);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        tailnet_source_close(f->source);
        table_unref(f->last.devices);
        secret_free(f->key);
        secret_free(f->id);
        secret_free(f->secret);
        leaf_unref(f->spec);
        api_world_done(&f->w);
        mem_free(f);
        return 0;
}

static void on_answer(TailnetSource *s, TailnetAnswer *a)
{
        Fixture *f = tailnet_source_owner(s);

        assert_ptr_equal(s, f->source);
        assert_false(tailnet_source_is_polling(s));
        f->n_answers++;
        table_unref(f->last.devices);
        a->services = table_unref(a->services);
        f->last = *a;
        if (f->closes_inside)
                f->source = tailnet_source_close(s);
}

static void open_with(Fixture *f, TailnetCredentials credentials)
{
        Err err;

        f->source = tailnet_source_close(f->source);
        f->source = api_auto_open(&(TailnetSourceInput){.loop = f->w.loop,
                                                        .http = f->w.http,
                                                        .spec = f->spec,
                                                        .credentials = credentials,
                                                        .devices = f->last.devices,
                                                        .fn = on_answer,
                                                        .owner = f},
                                  &err);
        assert_non_null(f->source);
}

static void open_key(Fixture *f)
{
        open_with(f, (TailnetCredentials){.api_key = f->key});
}

static const TailnetAnswer *ask(Fixture *f)
{
        unsigned before = f->n_answers;

        tailnet_source_poll(f->source);
        assert_true(tailnet_source_is_polling(f->source));
        api_turn_until(&f->w, &f->n_answers, before + 1);
        return &f->last;
}

/* "2" for each device list that API v2 was asked for, "1" for API v1. */
static const char *tried(Fixture *f)
{
        char log[TEXT_MAX];
        Str rest = str_of(api_asked(&f->w, log, sizeof(log))), line;
        size_t n = 0;

        while (rest.n > 0) {
                IGNORE(str_cut(&rest, '\n', &line), "each ends in one");
                if (str_find_str(line, STR("/devices?")) >= 0)
                        f->asked[n++] = '2';
                if (str_starts(line, STR("GET /api/v1/node ")))
                        f->asked[n++] = '1';
        }
        f->asked[n] = '\0';
        return f->asked;
}

#define GET_V2 "GET /api/v2/tailnet/-/devices"
#define GET_V1 "GET /api/v1/node"
#define V2                                                                                    \
        API_OK("{\"devices\":[{\"addresses\":[\"100.64.0.1\"],\"id\":\"1\",\"nodeId\":\"1\"," \
               "\"name\":\"api\"}]}")
#define V1                                                                                         \
        API_OK("{\"nodes\":[{\"id\":\"1\",\"givenName\":\"api\",\"ipAddresses\":[\"100.64.0.1\"]}" \
               "]}")

static void what_a_server_speaks_is_found_out(void **state)
{
        static const struct {
                const char *v2, *v1, *tried;
                const char *via;    /* of a list, or NULL */
                const char *reason; /* of an error */
                const char *text;
        } cases[] = {
                {V2, V1, "2", "headscale-v2", "", ""},
                {API_404, V1, "21", "headscale-v1", "", ""},
                {API_OK("<html>app</html>"), V1, "21", "headscale-v1", "", ""},
                {API_OK("{\"nodes\":[]}"), V1, "21", "headscale-v1", "", ""},
                {API_SAYS("405 No", ""), V1, "21", "headscale-v1", "", ""},
                {API_SAYS("302 There\r\nLocation: /login", ""), V1, "21", "headscale-v1", "", ""},
                {API_SAYS("401 No", ""), V1, "21", "headscale-v1", "", ""},
                {API_SAYS("403 No", ""), V1, "21", "headscale-v1", "", ""},
                {API_SAYS("401 No", ""), API_SAYS("401 No", ""), "21", NULL, "Unauthorized",
                 "/api/v2/tailnet/-/devices?fields=all answered with status 401"},
                {API_SAYS("403 No", ""), API_404, "21", NULL, "Forbidden", "devices:core:read"},
                {API_404, API_404, "21", NULL, "UnexpectedStatus",
                 "neither API v2 nor API v1: http"},
                {API_404, API_SAYS("401 No", ""), "21", NULL, "Unauthorized",
                 "the API key is not valid"},
                {API_404, API_SAYS("503 No", ""), "21", NULL, "ServiceUnavailable",
                 "/api/v1/node answered with status 503"},
                {API_SAYS("503 No", ""), V1, "2", NULL, "ServiceUnavailable", "status 503"},
                {API_SAYS("429 No", ""), V1, "2", NULL, "TooManyRequests", "status 429"},
                {API_SAYS("500 No", ""), V1, "2", NULL, "ServerError", "status 500"},
                {"SSH-2.0\r\n", V1, "2", NULL, "TransferFailed", "HTTP"},
        };
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                api_route(&f->w, GET_V2, cases[i].v2);
                api_route(&f->w, GET_V1, cases[i].v1);
                open_key(f);
                ask(f);
                assert_string_equal(tried(f), cases[i].tried);
                assert_int_equal(f->last.devices != NULL, cases[i].via != NULL);
                if (cases[i].via != NULL)
                        assert_string_equal(f->last.via, cases[i].via);
                assert_string_equal(f->last.err.reason, cases[i].reason);
                if (strstr(f->last.err.text, cases[i].text) == NULL)
                        fail_msg("%s", f->last.err.text);
                assert_null(strstr(f->last.err.text, "hskey"));
        }
}

static void what_worked_is_remembered(void **state)
{
        Fixture *f = *state;

        api_route(&f->w, GET_V1, V1);
        open_key(f);
        ask(f);
        assert_string_equal(tried(f), "21");
        /* Whatever goes wrong then is told of what it speaks. */
        api_route(&f->w, GET_V2, V2);
        assert_string_equal(ask(f)->via, "headscale-v1");
        api_route(&f->w, GET_V1, API_SAYS("401 No", ""));
        assert_string_equal(ask(f)->err.reason, "Unauthorized");
        api_route(&f->w, GET_V1, API_SAYS("500 No", ""));
        assert_int_equal(ask(f)->err.kind, ERR_TRANSIENT);
        assert_string_equal(tried(f), "111");
        /* It is another server now. */
        api_route(&f->w, GET_V1, API_404);
        assert_null(ask(f)->devices);
        assert_non_null(strstr(f->last.err.text, "found out again"));
        assert_string_equal(ask(f)->via, "headscale-v2");
        assert_non_null(f->last.devices);
        assert_string_equal(tried(f), "12");
        api_route(&f->w, GET_V1, V1);
        api_route(&f->w, GET_V2, API_SAYS("401 No", ""));
        assert_string_equal(ask(f)->err.reason, "Unauthorized");
        api_route(&f->w, GET_V2, API_404);
        assert_null(ask(f)->devices);
        assert_string_equal(ask(f)->via, "headscale-v1");
        assert_string_equal(tried(f), "2221");
}

/* Devices are the same ones however they were told, so the leaves that are kept go along. */
static void the_same_again_is_the_same_table(void **state)
{
        Fixture *f = *state;
        const Table *first;

        api_route(&f->w, GET_V1, V1);
        open_key(f);
        ask(f);
        first = table_ref(f->last.devices);
        assert_ptr_equal(ask(f)->devices, first);
        open_key(f);
        assert_ptr_equal(ask(f)->devices, first);
        table_unref(first);
}

static void without_an_api_key_only_v2_is_spoken(void **state)
{
        Fixture *f = *state;

        api_route(&f->w, GET_V1, V1);
        open_with(f, (TailnetCredentials){.client_id = f->id, .client_secret = f->secret});
        ask(f);
        assert_non_null(strstr(f->last.err.text, "does apiURL know OAuth clients?"));
        api_route(&f->w, "POST ", API_OK("{\"access_token\":\"hskey-t\"}"));
        assert_null(ask(f)->devices);
        assert_string_equal(tried(f), "2");
        /* With one beside the client, API v1 gets it. */
        open_with(f, (TailnetCredentials){
                             .client_id = f->id, .client_secret = f->secret, .api_key = f->key});
        assert_string_equal(ask(f)->via, "headscale-v1");
        assert_non_null(f->last.devices);
}

static void both_together_have_one_deadline(void **state)
{
        Fixture *f = *state;

        api_route_end(&f->w, GET_V1, "", SCRIPT_STALL);
        open_key(f);
        tailnet_source_poll(f->source);
        api_turn_until_asked(&f->w, 1);
        test_clock_advance(&f->w.time, SPAN_S(50));
        api_turn_until_asked(&f->w, 2);
        test_clock_advance(&f->w.time, SPAN_S(10));
        api_turn_until(&f->w, &f->n_answers, 1);
        assert_string_equal(f->last.err.reason, "Timeout");
}

typedef enum State {
        OPENED,
        POLL_BEGAN,
        WAITS_FOR_V2,
        WAITS_FOR_V1,
        KNOWN,
        WAITS_AND_KNOWN,
        STATES,
} State;

static void reach(Fixture *f, State s)
{
        size_t seen = f->w.seen;

        f->w.n_routes = 0;
        api_route(&f->w, GET_V1, V1);
        if (s == WAITS_FOR_V2)
                api_route_end(&f->w, GET_V2, "", SCRIPT_STALL);
        if (s == WAITS_FOR_V1)
                api_route_end(&f->w, GET_V1, "", SCRIPT_STALL);
        open_key(f);
        if (s >= KNOWN)
                ask(f);
        if (s == WAITS_AND_KNOWN)
                api_route_end(&f->w, GET_V1, "", SCRIPT_STALL);
        if (s == OPENED || s == KNOWN)
                return;
        tailnet_source_poll(f->source);
        if (s == POLL_BEGAN)
                return;
        seen += s == WAITS_AND_KNOWN ? 3 : s == WAITS_FOR_V1 ? 2 : 1;
        api_turn_until_asked(&f->w, seen);
}

static void close_source(void *ctx)
{
        Fixture *f = ctx;

        f->source = tailnet_source_close(f->source);
}

static void closed_in_every_state_in_every_way(void **state)
{
        Fixture *f = *state;

        for (State s = 0; s < STATES; s++) {
                for (CloserKind how = 0; how < CLOSER_KINDS; how++) {
                        unsigned before;

                        reach(f, s);
                        closer_play(f->w.loop, how, close_source, f);
                        before = f->n_answers;
                        test_clock_advance(&f->w.time, SPAN_S(100));
                        for (int i = 0; i < 6; i++)
                                loop_turn(f->w.loop, SPAN_MS(0));
                        f->w.seen = f->w.server.n_requests;
                        assert_int_equal(f->n_answers, before);
                }
        }
}

static void closed_inside_its_delivery(void **state)
{
        Fixture *f = *state;
        static const struct {
                const char *v2, *v1;
        } cases[] = {{V2, V1}, {API_404, V1}, {API_404, API_404}, {API_SAYS("500 No", ""), V1}};

        f->closes_inside = true;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                api_route(&f->w, GET_V2, cases[i].v2);
                api_route(&f->w, GET_V1, cases[i].v1);
                open_key(f);
                ask(f);
                assert_null(f->source);
        }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(what_a_server_speaks_is_found_out), TEST(what_worked_is_remembered),
                TEST(the_same_again_is_the_same_table),  TEST(without_an_api_key_only_v2_is_spoken),
                TEST(both_together_have_one_deadline),   TEST(closed_in_every_state_in_every_way),
                TEST(closed_inside_its_delivery),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
