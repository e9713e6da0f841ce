/* SPDX-License-Identifier: Apache-2.0 */
#include "tailnet/service_ask.h"

#include "tailnet/api_v2_test_fixture.h"

/* --- Services --- */

static void services_come_with_their_hosts(void **state)
{
        Fixture *f = *state;
        const Table *first;

        api_route(&f->w, GET_DEVICES, DEVICES);
        api_route(&f->w, "GET " T "/services ",
                  API_OK("{\"vipServices\":[" SERVICE("web", "\"tcp:443\"") "," SERVICE("api",
                                                                                        "") "]}"));
        api_route(&f->w, "GET " T "/services/svc:web/devices ", HOSTS("n2"));
        api_route(&f->w, "GET " T "/services/svc:api/devices ", HOSTS("n1"));
        open_key(f);
        assert_string_equal(ask(f)->warning, "");
        assert_string_equal(services(f), "api=n1 web=n2");
        assert_string_equal(asked(f),
                            GET_DEVICES " tskey-api-k1\nGET " T "/services tskey-api-k1\nGET " T
                                        "/services/svc:api/devices tskey-api-k1\nGET " T
                                        "/services/svc:web/devices tskey-api-k1\n");
        first = table_ref(f->last.services);
        assert_ptr_equal(ask_later(f)->services, first);
        table_unref(first);
        /* One goes, and an empty list is a list. */
        api_route(&f->w, "GET " T "/services ",
                  API_OK("{\"vipServices\":[" SERVICE("web", "\"tcp:443\"") "]}"));
        ask_later(f);
        assert_string_equal(services(f), "web=n2");
        api_route(&f->w, "GET " T "/services ", API_OK("{\"vipServices\":[]}"));
        ask_later(f);
        assert_string_equal(services(f), "");
        assert_non_null(f->last.services);
}

/* Null may be how an empty list is written, or a fault. */
static void null_is_believed_in_the_end(void **state)
{
        Fixture *f = *state;

        api_route(&f->w, GET_DEVICES, DEVICES);
        api_route(&f->w, "GET " T "/services ", API_OK("{\"vipServices\":null}"));
        api_route(&f->w, "GET " T "/services/", HOSTS("n1"));
        open_key(f);
        assert_string_equal(ask(f)->warning, "");
        assert_string_equal(services(f), "");
        for (int i = 0; i < 2; i++) {
                api_route(&f->w, "GET " T "/services ",
                          API_OK("{\"vipServices\":[" SERVICE("web", "") "]}"));
                ask_later(f);
                api_route(&f->w, "GET " T "/services ", API_OK("{\"vipServices\":null}"));
                for (int n = 1; n < SERVICE_ASK_NULL_POLLS; n++) {
                        assert_non_null(strstr(ask_later(f)->warning, "the list is null"));
                        assert_string_equal(services(f), "web=n1");
                }
        }
        assert_string_equal(ask_later(f)->warning, "");
        assert_string_equal(services(f), "");
}

/* Garbage takes no Service away that was known. */
static void a_service_that_is_garbled_stays(void **state)
{
        static const struct {
                const char *list, *services;
        } cases[] = {
                {"{\"name\":\"svc:b\",\"addrs\":7}," SERVICE("d", ""), "b=n1 d=n1"},
                {"{\"name\":\"svc:b\",\"addrs\":[\"x\"]}," SERVICE("d", ""), "b=n1 d=n1"},
                {"{\"name\":\"svc:b\"}," SERVICE("d", ""), "b=n1 d=n1"},
                {SERVICE("a", "") ",{\"name\":\"svc:d\",\"addrs\":[\"100.90.0.1\"],\"ports\":{}}",
                 "a=n1 d=n1"},
                {SERVICE("a", "") ",{\"name\":\"svc:d\",\"addrs\":[\"100.90.0.1\"],\"tags\":1}",
                 "a=n1 d=n1"},
                {"{\"name\":\"svc:b\",\"addrs\":7}," SERVICE("b", "") "," SERVICE("a", ""),
                 "a=n1 b=n1"},
                {"{\"name\":\"svc:b\",\"addrs\":[]}," SERVICE("e", ""), "e=n1"},
                {"{\"name\":\"svc:x\",\"addrs\":7}," SERVICE("c", ""), "c=n1"},
        };
        Fixture *f = *state;

        api_route(&f->w, GET_DEVICES, DEVICES);
        api_route(&f->w, "GET " T "/services/", HOSTS("n1"));
        open_key(f);
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                api_route(&f->w, "GET " T "/services ",
                          API_OK("{\"vipServices\":[" SERVICE("d", "") "," SERVICE("b", "") "]}"));
                ask_later(f);
                assert_string_equal(services(f), "b=n1 d=n1");
                snprintf(f->scripted[0], TEXT_MAX, API_OK("{\"vipServices\":[%s]}"), cases[i].list);
                api_route(&f->w, "GET " T "/services ", f->scripted[0]);
                ask_later(f);
                assert_string_equal(services(f), cases[i].services);
                assert_true(
                        str_starts(str_of(f->last.warning), STR("1 Tailscale Services cannot")));
        }
}

static void the_older_path_is_remembered(void **state)
{
        Fixture *f = *state;

        api_route(&f->w, GET_DEVICES, DEVICES);
        api_route(&f->w, "GET " T "/vip-services ",
                  API_OK("{\"vipServices\":[" SERVICE("web", "") "]}"));
        api_route(&f->w, "GET " T "/vip-services/svc:web/devices ", HOSTS("n2"));
        open_key(f);
        ask(f);
        assert_string_equal(services(f), "web=n2");
        assert_true(str_find_str(str_of(asked(f)), STR("GET " T "/services ")) > 0);
        ask_later(f);
        assert_string_equal(asked(f),
                            GET_DEVICES " tskey-api-k1\nGET " T "/vip-services tskey-api-k1\nGET " T
                                        "/vip-services/svc:web/devices tskey-api-k1\n");
        /* It went, the documented one came. */
        api_route(&f->w, "GET " T "/vip-services ", API_404);
        api_route(&f->w, "GET " T "/services ",
                  API_OK("{\"vipServices\":[" SERVICE("api", "") "]}"));
        ask_later(f);
        assert_string_equal(services(f), "api=?");
        asked(f);
        ask_later(f);
        assert_true(str_find_str(str_of(asked(f)), STR("/vip-services ")) < 0);
}

static void a_server_without_services_is_left_alone(void **state)
{
        Fixture *f = *state;

        api_route(&f->w, GET_DEVICES, DEVICES);
        open_key(f);
        assert_string_equal(ask(f)->warning, "");
        assert_string_equal(services(f), "none");
        assert_string_equal(asked(f),
                            GET_DEVICES " tskey-api-k1\nGET " T "/services tskey-api-k1\nGET " T
                                        "/vip-services tskey-api-k1\n");
        for (int i = 0; i < SERVICE_ASK_NONE_SECONDS / POLL_S - 1; i++) {
                ask_later(f);
                assert_string_equal(asked(f), GET_DEVICES " tskey-api-k1\n");
        }
        api_route(&f->w, "GET " T "/services ",
                  API_OK("{\"vipServices\":[" SERVICE("web", "") "]}"));
        ask_later(f);
        assert_string_equal(services(f), "web=?");
}

/* Whatever Services do, the devices are there, and the Services that were known are. */
static void services_never_fail_the_devices(void **state)
{
        static const struct {
                const char *answer, *warning;
        } cases[] = {
                {API_SAYS("500 Oops", ""), "Tailscale Services are not found: "},
                {API_SAYS("404 Not Found\r\nRetry-After: 1", ""), ""},
                {API_OK("{\"vipServices\":[" SERVICE("web", "")),
                 "Tailscale Services are not found: "},
                {API_OK("{\"vipServices\":{}}"), "Tailscale Services are not found: "},
                {API_OK("{\"vipServices\":[{\"name\":\"web\"}]}"),
                 "Tailscale Services are not found: "},
                {API_OK("{}"), "Tailscale Services are not found: "},
                {API_OK("<html>tskey-api-k1"), "Tailscale Services are not found: "},
                {API_SAYS("302 There\r\nLocation: /stolen", ""),
                 "Tailscale Services are not found: "},
                {"", "Tailscale Services are not found: "},
                {API_OK("{\"vipServices\":[7," SERVICE("web", "") "]}"),
                 "1 Tailscale Services cannot be understood, the first is Service \"\": its name"},
        };
        Fixture *f = *state;

        for (int known = 0; known < 2; known++) {
                for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                        api_route(&f->w, GET_DEVICES, DEVICES);
                        api_route(&f->w, "GET " T "/services/svc:web/devices ", HOSTS("n2"));
                        api_route(&f->w, "GET " T "/services ",
                                  API_OK("{\"vipServices\":[" SERVICE("web", "") "]}"));
                        f->last.services = table_unref(f->last.services);
                        open_key(f);
                        if (known)
                                ask(f);
                        api_route(&f->w, "GET " T "/services ", cases[i].answer);
                        ask_later(f);
                        assert_non_null(f->last.devices);
                        assert_int_equal(f->last.err.kind, ERR_NONE);
                        if (strstr(f->last.warning, cases[i].warning) != f->last.warning)
                                fail_msg("%s", f->last.warning);
                        assert_string_equal(services(f),
                                            known || i == LENGTH_OF(cases) - 1 ? "web=n2" : "none");
                }
        }
}

static void what_is_denied_is_not_asked_over_and_over(void **state)
{
        Fixture *f = *state;

        api_route(&f->w, GET_DEVICES, DEVICES);
        api_route(&f->w, "GET " T "/services ",
                  API_SAYS("403 No", "{\"message\":\"not allowed\"}"));
        api_route(&f->w, "POST ", TOKEN("t1", "3600", ""));
        open_oauth(f);
        ask(f);
        assert_true(
                str_starts(str_of(f->last.warning),
                           STR("services:read is missing: Tailscale Services are not found: ")));
        asked(f);
        ask_later(f);
        assert_string_equal(asked(f), GET_DEVICES " tskey-t1\n");
        assert_true(str_starts(str_of(f->last.warning), STR("services:read is missing: ")));
        test_clock_advance(&f->w.time, SPAN_S(SERVICE_ASK_DENIED_SECONDS));
        ask(f);
        assert_string_equal(asked(f), GET_DEVICES " tskey-t1\nGET " T "/services tskey-t1\n");
        /* Another token may be allowed to. */
        api_route(&f->w, "POST ", TOKEN("t2", "3600", "all:read"));
        api_route(&f->w, "GET " T "/services ", API_OK("{\"vipServices\":[]}"));
        test_clock_advance(&f->w.time, SPAN_S(2880));
        assert_string_equal(ask(f)->warning, "");
        assert_string_equal(services(f), "");
}

static void a_scope_that_is_missing_is_told_first(void **state)
{
        Fixture *f = *state;

        api_route(&f->w, GET_DEVICES, DEVICES);
        api_route(&f->w, "POST ", TOKEN("t1", "3600", "auth_keys devices:core:read"));
        open_oauth(f);
        assert_string_equal(ask(f)->warning,
                            "services:read is missing: Tailscale Services are not found");
        assert_string_equal(f->last.scopes, "auth_keys devices:core:read");
        assert_null(strstr(asked(f), "/services"));
}

static void a_server_that_wants_peace_has_it(void **state)
{
        Fixture *f = *state;

        api_route(&f->w, GET_DEVICES, DEVICES);
        api_route(&f->w, "GET " T "/services ", API_SAYS("429 Slow\r\nRetry-After: 90", ""));
        open_key(f);
        /* The devices are asked for as ever. */
        assert_int_equal(ask(f)->retry_after.ns, 0);
        asked(f);
        for (int i = 0; i < 2; i++) {
                ask_later(f);
                assert_string_equal(asked(f), GET_DEVICES " tskey-api-k1\n");
                assert_non_null(strstr(f->last.warning, "status 429"));
        }
        api_route(&f->w, "GET " T "/services ", API_OK("{\"vipServices\":[]}"));
        assert_string_equal(ask_later(f)->warning, "");
}

static void services_do_not_hold_devices_up(void **state)
{
        Fixture *f = *state;

        api_route(&f->w, GET_DEVICES, DEVICES);
        api_route_end(&f->w, "GET " T "/services ", "", SCRIPT_STALL);
        open_key(f);
        tailnet_source_poll(f->source);
        api_turn_until_asked(&f->w, 2);
        assert_int_equal(f->n_answers, 0);
        test_clock_advance(&f->w.time, SPAN_S(SERVICE_ASK_SECONDS));
        api_turn_until(&f->w, &f->n_answers, 1);
        assert_non_null(f->last.devices);
        assert_non_null(strstr(f->last.warning, "no answer from"));
        assert_string_equal(services(f), "none");
        /* Nor with each poll. */
        asked(f);
        ask_later(f);
        assert_string_equal(asked(f), GET_DEVICES " tskey-api-k1\n");
        assert_non_null(strstr(f->last.warning, "no answer from"));
        api_route(&f->w, "GET " T "/services ", API_OK("{\"vipServices\":[]}"));
        test_clock_advance(&f->w.time, SPAN_S(SERVICE_ASK_SLOW_SECONDS));
        assert_string_equal(ask(f)->warning, "");
}

/* --- hosts --- */

/* The numbers of the Services whose hosts were asked for. */
static const char *asked_hosts(Fixture *f)
{
        Str rest = str_of(asked(f)), mark = STR("/services/svc:s");
        ptrdiff_t at;
        Buf b;

        buf_init(&b, TEXT_MAX - 1);
        while ((at = str_find_str(rest, mark)) >= 0) {
                rest = str_sub(rest, (size_t)at + mark.n, SIZE_MAX);
                buf_printf(&b, "%s%.2s", b.n > 0 ? " " : "", rest.p);
        }
        snprintf(f->said, sizeof(f->said), "%.*s", STR_FMT(buf_str(&b)));
        buf_done(&b);
        return f->said;
}

static void hosts_are_asked_for_in_turn(void **state)
{
        Fixture *f = *state;

        api_route(&f->w, GET_DEVICES, DEVICES);
        api_route(&f->w, "GET " T "/services ", many_services(f->scripted[0], 24, 99));
        api_route(&f->w, "GET " T "/services/", HOSTS("n1"));
        open_key(f);
        ask(f);
        assert_string_equal(asked_hosts(f), "00 01 02 03 04 05 06 07 08 09");
        /* A poll that was brought forward has no calls of its own. */
        test_clock_advance(&f->w.time, SPAN_S(5));
        ask(f);
        assert_string_equal(asked_hosts(f), "");
        ask_later(f);
        assert_string_equal(asked_hosts(f), "10 11 12 13 14 15 16 17 18 19");
        ask_later(f);
        assert_string_equal(asked_hosts(f), "20 21 22 23 00 01 02 03 04 05");
        /* What changed goes first. */
        api_route(&f->w, "GET " T "/services ", many_services(f->scripted[1], 25, 12));
        ask_later(f);
        assert_string_equal(asked_hosts(f), "12 24 06 07 08 09 10 11 13 14");
        ask_later(f);
        assert_string_equal(asked_hosts(f), "15 16 17 18 19 20 21 22 23 00");
}

/* Intervals have a jitter of a tenth. */
static void an_interval_may_be_short(void **state)
{
        Fixture *f = *state;

        api_route(&f->w, GET_DEVICES, DEVICES);
        api_route(&f->w, "GET " T "/services ", many_services(f->scripted[0], 24, 99));
        api_route(&f->w, "GET " T "/services/", HOSTS("n1"));
        open_key(f);
        for (int i = 0; i < 5; i++) {
                test_clock_advance(&f->w.time, SPAN_S(27));
                ask(f);
                assert_int_equal(strlen(asked_hosts(f)), 29);
        }
}

static void a_new_source_goes_on_with_what_was_known(void **state)
{
        Fixture *f = *state;

        api_route(&f->w, GET_DEVICES, DEVICES);
        api_route(&f->w, "GET " T "/services ", many_services(f->scripted[0], 12, 99));
        api_route(&f->w, "GET " T "/services/", HOSTS("n1"));
        open_key(f);
        ask(f);
        asked(f);
        open_key(f);
        ask(f);
        assert_string_equal(asked_hosts(f), "10 11 00 01 02 03 04 05 06 07");
        assert_null(strstr(services(f), "?"));
}

static void hosts_that_are_not_told_are_kept(void **state)
{
        static const struct {
                const char *answer;
                bool is_silent;
                const char *asked; /* by the poll, and by the next one */
        } cases[] = {
                {API_SAYS("403 No", ""), false, "00"},
                {API_SAYS("401 No", ""), false, "00"},
                {API_SAYS("500 Oops", ""), false, "00"},
                {API_404, true, "00 01"},
                {API_OK("{\"hosts\":{}}"), false, "00 01"},
                {API_OK("{\"hosts\":["), false, "00 01"},
                {API_OK("<html>"), false, "00 01"},
        };
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                api_route(&f->w, GET_DEVICES, DEVICES);
                api_route(&f->w, "GET " T "/services ", many_services(f->scripted[0], 2, 99));
                api_route(&f->w, "GET " T "/services/", HOSTS("n1"));
                f->last.services = table_unref(f->last.services);
                open_key(f);
                ask(f);
                assert_string_equal(services(f), "s00=n1 s01=n1");
                api_route(&f->w, "GET " T "/services/", cases[i].answer);
                asked(f);
                ask_later(f);
                assert_string_equal(asked_hosts(f), cases[i].asked);
                assert_string_equal(services(f), "s00=n1 s01=n1");
                assert_int_equal(f->last.warning[0] == '\0', cases[i].is_silent);
                if (!cases[i].is_silent)
                        assert_true(str_starts(str_of(f->last.warning),
                                               STR("hosts of Tailscale Services are not known: ")));
        }
}

static void hosts_that_are_denied_are_told_each_time(void **state)
{
        Fixture *f = *state;

        api_route(&f->w, GET_DEVICES, DEVICES);
        api_route(&f->w, "GET " T "/services ", many_services(f->scripted[0], 2, 99));
        api_route(&f->w, "GET " T "/services/", API_SAYS("403 No", ""));
        open_key(f);
        for (int i = 0; i < 3; i++) {
                ask_later(f);
                assert_string_equal(asked_hosts(f), i == 0 ? "00" : "");
                assert_string_equal(services(f), "s00=? s01=?");
                assert_non_null(strstr(f->last.warning, "scopes services and devices:core"));
        }
        api_route(&f->w, "GET " T "/services/", HOSTS("n1"));
        test_clock_advance(&f->w.time, SPAN_S(SERVICE_ASK_DENIED_SECONDS));
        assert_string_equal(ask(f)->warning, "");
        assert_string_equal(services(f), "s00=n1 s01=n1");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(services_come_with_their_hosts),
                TEST(null_is_believed_in_the_end),
                TEST(a_service_that_is_garbled_stays),
                TEST(the_older_path_is_remembered),
                TEST(a_server_without_services_is_left_alone),
                TEST(services_never_fail_the_devices),
                TEST(what_is_denied_is_not_asked_over_and_over),
                TEST(a_scope_that_is_missing_is_told_first),
                TEST(a_server_that_wants_peace_has_it),
                TEST(services_do_not_hold_devices_up),
                TEST(hosts_are_asked_for_in_turn),
                TEST(an_interval_may_be_short),
                TEST(a_new_source_goes_on_with_what_was_known),
                TEST(hosts_that_are_not_told_are_kept),
                TEST(hosts_that_are_denied_are_told_each_time),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
