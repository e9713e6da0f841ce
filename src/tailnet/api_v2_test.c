/* SPDX-License-Identifier: Apache-2.0 */
#include "tailnet/api_v2.h"

#include "net/test_closer.h"
#include "tailnet/api_v2_test_fixture.h"

/* --- devices --- */

static void devices_come_in(void **state)
{
        Fixture *f = *state;
        const Table *first;

        f->spec->tailnet = STR("corp x/y@example.com");
        api_route(&f->w, "GET /api/v2/tailnet/corp%20x%2Fy%40example.com/devices?fields=all ",
                  DEVICES);
        open_key(f);
        const TailnetAnswer *a = ask(f);
        assert_int_equal(a->err.kind, ERR_NONE);
        assert_int_equal(a->devices->n, 2);
        assert_true(str_eq(((const Device *)a->devices->at[0])->node_id, STR("n1")));
        assert_string_equal(a->warning, "");
        assert_string_equal(a->scopes, "");
        assert_true(a->bytes > 0 &&
                    str_starts(str_of(asked(f)), STR("GET /api/v2/tailnet/corp%20x")));
        first = table_ref(a->devices);
        assert_ptr_equal(ask(f)->devices, first);
        table_unref(first);
}

static void short_names_get_the_suffix(void **state)
{
        Fixture *f = *state;

        f->spec->magic_dns_suffix = STR("corp.example");
        api_route(&f->w, "GET " T "/devices",
                  API_OK("{\"devices\":[" DEVICE("1", "api") "," DEVICE("2",
                                                                        "nas.other.ts.net") "]}"));
        open_key(f);
        const TailnetAnswer *a = ask(f);
        assert_true(str_eq(((const Device *)a->devices->at[0])->name, STR("api.corp.example")));
        assert_true(str_eq(((const Device *)a->devices->at[1])->name, STR("nas.other.ts.net")));
}

static void each_fault_has_its_meaning(void **state)
{
        static const struct {
                const char *answer;
                ErrKind kind;
                const char *reason, *text;
                unsigned status;
        } cases[] = {
                {API_SAYS("401 No", "{\"message\":\"unauthorized\",\"status\":401}"), ERR_DENIED,
                 "Unauthorized", "status 401: unauthorized; the credential is not valid", 401},
                {API_SAYS("403 No", "{\"message\":\"may not\"}"), ERR_DENIED, "Forbidden",
                 "may not; the credential needs the scope devices:core:read", 403},
                {API_SAYS("404 No", "{\"message\":\"tailnet not found\"}"), ERR_INVALID,
                 "UnexpectedStatus", "status 404: tailnet not found; is apiURL", 404},
                {API_SAYS("500 No", "<html>"), ERR_TRANSIENT, "ServerError", "status 500", 500},
                {API_SAYS("504 No", ""), ERR_TRANSIENT, "ServerError", "status 504", 504},
                {API_SAYS("204 Nothing", ""), ERR_INVALID, "UnexpectedStatus", "status 204", 204},
                {API_SAYS("401 No", "{\"message\":\"key tskey-api-k1 is void\"}"), ERR_DENIED,
                 "Unauthorized", "status 401; the credential", 401},
                {API_SAYS("302 There\r\nLocation: /stolen", ""), ERR_INVALID, "RedirectRefused",
                 "redirects to", 302},
                {API_SAYS("307 There\r\nLocation: /stolen/tskey-api-k1", ""), ERR_INVALID,
                 "RedirectRefused", "its words hold a credential", 307},
                {API_OK("{\"devices\":[" DEVICE("1", "a")), ERR_INVALID, "InvalidJson", "/devices",
                 200},
                {API_OK("{\"devices\":null}"), ERR_INVALID, "InvalidJson", "no list", 200},
                {API_OK("{\"nodes\":[]}"), ERR_INVALID, "InvalidJson", "no list \"devices\"", 200},
                {API_OK("{\"devices\":[{},{},7]}"), ERR_INVALID, "InvalidDevice", "none of 3", 200},
                {API_OK("<html>login</html>"), ERR_INVALID, "InvalidJson", "/devices", 200},
                {API_OK(""), ERR_INVALID, "InvalidJson", "/devices", 200},
        };
        Fixture *f = *state;

        open_key(f);
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                api_route(&f->w, GET_DEVICES, cases[i].answer);
                ask(f);
                assert_null(f->last.devices);
                assert_null(f->last.services);
                assert_int_equal(f->last.err.kind, cases[i].kind);
                assert_string_equal(f->last.err.reason, cases[i].reason);
                if (strstr(f->last.err.text, cases[i].text) == NULL)
                        fail_msg("%s", f->last.err.text);
                assert_int_equal(f->last.status, cases[i].status);
                /* Once, and nowhere else. */
                assert_string_equal(asked(f), GET_DEVICES " tskey-api-k1\n");
        }
        api_route_end(&f->w, GET_DEVICES, API_OK("{\"devices\":[ "), SCRIPT_ENDLESS);
        assert_int_equal(ask(f)->err.kind, ERR_LIMIT);
        api_route(&f->w, GET_DEVICES, API_SAYS("429 Slow\r\nRetry-After: 9", ""));
        assert_int_equal(ask(f)->retry_after.ns, SPAN_S(9).ns);
}

/* --- tokens --- */

static void a_token_is_got_once_and_renewed(void **state)
{
        Fixture *f = *state;

        api_route(&f->w, GET_DEVICES, DEVICES);
        api_route(&f->w, "POST /api/v2/oauth/token ", TOKEN("t1", "1000", "devices:core:read"));
        open_oauth(f);
        assert_string_equal(ask(f)->scopes, "devices:core:read");
        assert_string_equal(asked(f),
                            "POST /api/v2/oauth/token client_id=id1&client_secret=tskey-client-s1&"
                            "grant_type=client_credentials\n" GET_DEVICES " tskey-t1\n");
        ask(f);
        test_clock_advance(&f->w.time, SPAN_S(799));
        ask(f);
        assert_string_equal(asked(f), GET_DEVICES " tskey-t1\n" GET_DEVICES " tskey-t1\n");
        test_clock_advance(&f->w.time, SPAN_S(1));
        api_route(&f->w, "POST /api/v2/oauth/token ", TOKEN("t2", "1000", "all"));
        assert_string_equal(ask(f)->scopes, "all");
        assert_true(str_ends(str_of(asked(f)),
                             STR(GET_DEVICES " tskey-t2\nGET " T "/services tskey-t2\nGET " T
                                             "/vip-services tskey-t2\n")));
}

/* The request that the server has at hand is answered by what it asks with. */
static void on_401_once_more_and_not_twice(void **state)
{
        Fixture *f = *state;
        unsigned before;

        api_route(&f->w, GET_DEVICES, DEVICES);
        api_route(&f->w, "POST ", TOKEN("t1", "3600", "devices:core:read"));
        open_oauth(f);
        ask(f);
        asked(f);
        /* The token was revoked: the next one is good. */
        api_route(&f->w, GET_DEVICES, API_SAYS("401 No", ""));
        api_route(&f->w, "POST ", TOKEN("t2", "3600", "devices:core:read"));
        before = f->n_answers;
        tailnet_source_poll(f->source);
        api_turn_until_asked(&f->w, f->w.seen + 2);
        api_route(&f->w, GET_DEVICES, DEVICES);
        api_turn_until(&f->w, &f->n_answers, before + 1);
        assert_non_null(f->last.devices);
        assert_string_equal(asked(f), GET_DEVICES
                            " tskey-t1\n"
                            "POST /api/v2/oauth/token client_id=id1&client_secret="
                            "tskey-client-s1&grant_type=client_credentials\n" GET_DEVICES
                            " tskey-t2\n");
        /* And now none is. */
        api_route(&f->w, GET_DEVICES, API_SAYS("401 No", "{\"message\":\"API token invalid\"}"));
        api_route(&f->w, "POST ", TOKEN("t3", "3600", "devices:core:read"));
        assert_int_equal(ask(f)->err.kind, ERR_DENIED);
        assert_string_equal(asked(f), GET_DEVICES
                            " tskey-t2\n"
                            "POST /api/v2/oauth/token client_id=id1&client_secret="
                            "tskey-client-s1&grant_type=client_credentials\n" GET_DEVICES
                            " tskey-t3\n");
        /* The client itself was revoked. */
        api_route(&f->w, "POST ", API_SAYS("401 No", "{\"error\":\"invalid_client\"}"));
        assert_int_equal(ask(f)->err.kind, ERR_DENIED);
        assert_non_null(strstr(f->last.err.text, "/oauth/token answered with status 401"));
        assert_int_equal(f->last.status, 401);
}

static void all_of_a_poll_has_one_deadline(void **state)
{
        Fixture *f = *state;

        api_route(&f->w, "POST ", TOKEN("t1", "3600", ""));
        api_route_end(&f->w, GET_DEVICES, "", SCRIPT_STALL);
        open_oauth(f);
        tailnet_source_poll(f->source);
        api_turn_until_asked(&f->w, 1);
        test_clock_advance(&f->w.time, SPAN_S(40));
        api_turn_until_asked(&f->w, 2);
        test_clock_advance(&f->w.time, SPAN_S(19));
        for (int i = 0; i < 5; i++)
                api_turn(&f->w);
        assert_int_equal(f->n_answers, 0);
        test_clock_advance(&f->w.time, SPAN_S(1));
        api_turn_until(&f->w, &f->n_answers, 1);
        assert_string_equal(f->last.err.reason, "Timeout");
}

/* --- the end --- */

typedef enum State {
        OPENED,
        POLL_BEGAN,
        WAITS_FOR_TOKEN,
        WAITS_FOR_DEVICES,
        HALF_THE_DEVICES,
        WAITS_FOR_NEW_TOKEN, /* after a 401 */
        WAITS_FOR_SERVICES,
        HALF_THE_SERVICES,
        WAITS_FOR_HOSTS,
        ANSWERED,
        STATES,
} State;

/* What the server has been asked when that state is reached. */
static size_t set_stage(Fixture *f, State s)
{
        const char *const list = many_services(f->scripted[0], 2, 99);

        f->w.n_routes = 0;
        api_route(&f->w, "POST ", TOKEN("t1", "3600", ""));
        api_route(&f->w, GET_DEVICES, DEVICES);
        api_route(&f->w, "GET " T "/services ", list);
        api_route(&f->w, "GET " T "/services/", HOSTS("n1"));
        switch ((int)s) {
        case WAITS_FOR_TOKEN:
                api_route_end(&f->w, "POST ", "", SCRIPT_STALL);
                return 1;
        case WAITS_FOR_DEVICES:
                api_route_end(&f->w, GET_DEVICES, "", SCRIPT_STALL);
                return 2;
        case HALF_THE_DEVICES:
                api_route_end(&f->w, GET_DEVICES, API_OK("{\"devices\":[" DEVICE("1", "a")),
                              SCRIPT_STALL);
                return 2;
        case WAITS_FOR_NEW_TOKEN:
                api_route(&f->w, GET_DEVICES, API_SAYS("401 No", ""));
                return 3;
        case WAITS_FOR_SERVICES:
                api_route_end(&f->w, "GET " T "/services ", "", SCRIPT_STALL);
                return 3;
        case HALF_THE_SERVICES:
                api_route_end(&f->w, "GET " T "/services ",
                              API_OK("{\"vipServices\":[" SERVICE("a", "")), SCRIPT_STALL);
                return 3;
        case WAITS_FOR_HOSTS:
                api_route_end(&f->w, "GET " T "/services/svc:s01", "", SCRIPT_STALL);
                return 5;
        default:
                return 0;
        }
}

static void reach(Fixture *f, State s)
{
        size_t n = set_stage(f, s), seen = f->w.seen;

        f->last.services = table_unref(f->last.services);
        open_oauth(f);
        if (s == ANSWERED)
                ask(f);
        if (s == OPENED || s == ANSWERED)
                return;
        tailnet_source_poll(f->source);
        if (s == POLL_BEGAN)
                return;
        api_turn_until_asked(&f->w, seen + n);
        for (int i = 0; (s == HALF_THE_DEVICES || s == HALF_THE_SERVICES) && i < 6; i++)
                api_turn(&f->w);
}

static void close_source(void *ctx)
{
        Fixture *f = ctx;

        f->source = tailnet_source_close(f->source);
}

static void settle(Fixture *f)
{
        test_clock_advance(&f->w.time, SPAN_S(100));
        for (int i = 0; i < 6; i++)
                loop_turn(f->w.loop, SPAN_MS(0));
        f->w.seen = f->w.server.n_requests;
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
                        settle(f);
                        assert_int_equal(f->n_answers, before);
                }
        }
}

/* Wherever a poll stands when its time is over, it ends, once, and may be closed there. */
static void ended_by_the_deadline_in_every_state(void **state)
{
        Fixture *f = *state;

        for (State s = WAITS_FOR_TOKEN; s < ANSWERED; s++) {
                for (int closes = 0; closes < 2; closes++) {
                        unsigned before = f->n_answers;

                        f->closes_inside = closes != 0;
                        reach(f, s);
                        assert_int_equal(f->n_answers, before);
                        test_clock_advance(&f->w.time, SPAN_S(TAILNET_POLL_SECONDS));
                        api_turn_until(&f->w, &f->n_answers, before + 1);
                        assert_int_equal(f->source == NULL, closes);
                        assert_int_equal(f->last.devices != NULL, s >= WAITS_FOR_SERVICES);
                        settle(f);
                        assert_int_equal(f->n_answers, before + 1);
                }
        }
        f->closes_inside = true;
        reach(f, ANSWERED);
        assert_null(f->source);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(devices_come_in),
                TEST(short_names_get_the_suffix),
                TEST(each_fault_has_its_meaning),
                TEST(a_token_is_got_once_and_renewed),
                TEST(on_401_once_more_and_not_twice),
                TEST(all_of_a_poll_has_one_deadline),
                TEST(closed_in_every_state_in_every_way),
                TEST(ended_by_the_deadline_in_every_state),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
