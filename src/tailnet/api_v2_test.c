/* SPDX-License-Identifier: Apache-2.0 */
#include "tailnet/api_v2.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/test_closer.h"
#include "tailnet/api_test_world.h"
#include "tailnet/service_ask.h"
#include "tailnet/token.h"

enum {
        TEXT_MAX = 8192,
        POLL_S = 30,
};

typedef struct Fixture {
        ApiWorld w;
        char asked[TEXT_MAX], said[TEXT_MAX];
        Secret *key, *id, *secret;
        TailnetSpec *spec;
        TailnetSource *source;
        TailnetAnswer last; /* holds both tables */
        unsigned n_answers;
        bool closes_inside;
        char scripted[16][TEXT_MAX]; /* answers that a test makes */
} Fixture;

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof(*f));

        api_world_init(&f->w);
        f->key = secret_new(STR("tskey-api-k1"));
        f->id = secret_new(STR("id1"));
        f->secret = secret_new(STR("tskey-client-s1"));
        f->spec = leaf_new(sizeof(*f->spec), 0, NULL);
        f->spec->api_url = str_of(f->w.url);
        f->spec->tailnet = STR("-");
        f->spec->poll_interval = SPAN_S(POLL_S);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        tailnet_source_close(f->source);
        table_unref(f->last.devices);
        table_unref(f->last.services);
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

        assert_false(tailnet_source_is_polling(s));
        assert_string_equal(a->via, "tailscale-v2");
        assert_null(strstr(a->err.text, "tskey"));
        assert_null(strstr(a->warning, "tskey"));
        f->n_answers++;
        table_unref(f->last.devices);
        table_unref(f->last.services);
        f->last = *a;
        if (f->closes_inside)
                f->source = tailnet_source_close(s);
}

static void open_with(Fixture *f, TailnetCredentials credentials)
{
        Err err;

        f->source = tailnet_source_close(f->source);
        f->source = api_v2_open(&(TailnetSourceInput){.loop = f->w.loop,
                                                      .http = f->w.http,
                                                      .spec = f->spec,
                                                      .credentials = credentials,
                                                      .devices = f->last.devices,
                                                      .services = f->last.services,
                                                      .fn = on_answer,
                                                      .owner = f},
                                "tailscale-v2", &err);
        assert_non_null(f->source);
}

static void open_key(Fixture *f)
{
        open_with(f, (TailnetCredentials){.api_key = f->key});
}

static void open_oauth(Fixture *f)
{
        open_with(f, (TailnetCredentials){.client_id = f->id, .client_secret = f->secret});
}

static const TailnetAnswer *ask(Fixture *f)
{
        unsigned before = f->n_answers;

        tailnet_source_poll(f->source);
        assert_int_equal(f->n_answers, before);
        api_turn_until(&f->w, &f->n_answers, before + 1);
        return &f->last;
}

/* The next poll, an interval later. */
static const TailnetAnswer *ask_later(Fixture *f)
{
        test_clock_advance(&f->w.time, SPAN_S(POLL_S));
        return ask(f);
}

static const char *asked(Fixture *f)
{
        return api_asked(&f->w, f->asked, sizeof(f->asked));
}

/* "svc:web=n1,n2" each, with ? where its hosts are not known; "none" where nothing is. */
static const char *services(Fixture *f)
{
        Buf b;

        buf_init(&b, sizeof(f->said) - 1);
        if (f->last.services == NULL)
                buf_add_str(&b, STR("none"));
        TABLE_FOREACH (TailnetService, s, f->last.services) {
                buf_printf(&b, "%s%.*s=%s", b.n > 0 ? " " : "", STR_FMT(s->label),
                           s->hosts_known ? "" : "?");
                for (size_t i = 0; i < s->hosts.n; i++)
                        buf_printf(&b, "%s%.*s", i > 0 ? "," : "", STR_FMT(s->hosts.at[i]));
        }
        snprintf(f->said, sizeof(f->said), "%.*s", STR_FMT(buf_str(&b)));
        buf_done(&b);
        return f->said;
}

#define T "/api/v2/tailnet/-"
#define DEVICE(id, name)                                                            \
        "{\"addresses\":[\"100.80.1." id "\"],\"id\":\"9" id "\",\"nodeId\":\"n" id \
        "\",\"name\":\"" name "\",\"connectedToControl\":true}"
#define DEVICES                                                                                   \
        API_OK("{\"devices\":[" DEVICE("2", "web.t1.ts.net") "," DEVICE("1", "api.t1.ts.net") "]" \
                                                                                              "}")
#define TOKEN(name, life, scope)                 \
        API_OK("{\"access_token\":\"tskey-" name \
               "\",\"token_type\":\"Bearer\",\"expires_in\":" life ",\"scope\":\"" scope "\"}")
#define SERVICE(label, ports) \
        "{\"name\":\"svc:" label "\",\"addrs\":[\"100.90.0.1\"],\"ports\":[" ports "]}"
#define HOSTS(id)                                                                              \
        API_OK("{\"hosts\":[{\"stableNodeID\":\"" id "\",\"approvalLevel\":\"approved:auto\"," \
               "\"configured\":\"ready\"}]}")
#define GET_DEVICES "GET " T "/devices?fields=all"

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
        for (size_t seen = f->w.seen; f->w.seen < seen + 2;)
                api_turn(&f->w);
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
        while (f->w.seen < 1)
                api_turn(&f->w);
        test_clock_advance(&f->w.time, SPAN_S(40));
        while (f->w.seen < 2)
                api_turn(&f->w);
        test_clock_advance(&f->w.time, SPAN_S(19));
        for (int i = 0; i < 5; i++)
                api_turn(&f->w);
        assert_int_equal(f->n_answers, 0);
        test_clock_advance(&f->w.time, SPAN_S(1));
        api_turn_until(&f->w, &f->n_answers, 1);
        assert_string_equal(f->last.err.reason, "Timeout");
}

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
        while (f->w.seen < 2)
                api_turn(&f->w);
        assert_int_equal(f->n_answers, 0);
        test_clock_advance(&f->w.time, SPAN_S(SERVICE_ASK_SECONDS));
        api_turn_until(&f->w, &f->n_answers, 1);
        assert_non_null(f->last.devices);
        assert_non_null(strstr(f->last.warning, "no answer from"));
        assert_string_equal(services(f), "none");
}

/* --- hosts --- */

/* `n` Services, of which the one at `changed` has other ports. */
static const char *many_services(char *ret, unsigned n, unsigned changed)
{
        Buf b;

        buf_init(&b, TEXT_MAX - 1);
        buf_add_str(&b, STR(API_OK("{\"vipServices\":[")));
        for (unsigned i = 0; i < n; i++)
                buf_printf(&b,
                           "%s{\"name\":\"svc:s%02u\",\"addrs\":[\"100.90.0.%u\"],\"ports\":[%s]}",
                           i > 0 ? "," : "", i, i, i == changed ? "\"tcp:443\"" : "");
        buf_add_str(&b, STR("]}"));
        assert_false(b.failed);
        memcpy(ret, b.p, b.n);
        ret[b.n] = '\0';
        buf_done(&b);
        return ret;
}

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
        for (int i = 0; i < API_TURNS_MAX && f->w.seen < seen + n; i++)
                api_turn(&f->w);
        assert_int_equal(f->w.seen, seen + n);
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
                TEST(closed_in_every_state_in_every_way),
                TEST(ended_by_the_deadline_in_every_state),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
