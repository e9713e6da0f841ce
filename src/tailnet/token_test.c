/* SPDX-License-Identifier: Apache-2.0 */
#include "tailnet/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/file.h"
#include "net/test_closer.h"
#include "tailnet/api_test_world.h"

enum {
        TEXT_MAX = 4096
};

typedef struct Fixture {
        ApiWorld w;
        TestDir dir;
        char path[TEST_PATH], asked[TEXT_MAX];
        Secret *key, *id, *secret;
        Token *token;
        TokenResult last;
        unsigned n_told;
        bool closes_inside;
} Fixture;

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof(*f));

        api_world_init(&f->w);
        test_dir_init(&f->dir);
        test_dir_join(&f->dir, "token", f->path);
        f->key = secret_new(STR("tskey-api-k1\n"));
        f->id = secret_new(STR("k7 id\n"));
        f->secret = secret_new(STR(" tskey-client-s/1+&=\n"));
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        token_close(f->token);
        secret_free(f->key);
        secret_free(f->id);
        secret_free(f->secret);
        test_dir_done(&f->dir);
        api_world_done(&f->w);
        mem_free(f);
        return 0;
}

static void on_token(Token *t, const TokenResult *result)
{
        Fixture *f = token_owner(t);

        f->last = *result;
        f->n_told++;
        if (f->closes_inside)
                f->token = token_close(t);
}

static void open_with(Fixture *f, TailnetCredentials credentials)
{
        Err err = {0};

        token_close(f->token);
        f->token = token_open(&(TokenInput){.loop = f->w.loop,
                                            .http = f->w.http,
                                            .api_url = str_of(f->w.url),
                                            .credentials = credentials,
                                            .fn = on_token,
                                            .owner = f},
                              &err);
        assert_non_null(f->token);
}

static void open_oauth(Fixture *f)
{
        open_with(f, (TailnetCredentials){.client_id = f->id, .client_secret = f->secret});
}

static void open_exchange(Fixture *f)
{
        open_with(f, (TailnetCredentials){.federated_id = STR("T1/k2"),
                                          .token_file = str_of(f->path)});
}

/* What a bearer is, seen through what is sent: bytes of a secret are not for tests either. */
static void assert_bearer(Fixture *f, const char *expected)
{
        const Secret *bearer = token_bearer(f->token);
        Secret *same = expected != NULL ? secret_new(str_of(expected)) : NULL;

        assert_true(secret_eq(bearer, same));
        secret_free(same);
}

static const TokenResult *ask(Fixture *f)
{
        unsigned before = f->n_told;

        token_ask(f->token, SPAN_S(60));
        assert_int_equal(f->n_told, before);
        api_turn_until(&f->w, &f->n_told, before + 1);
        assert_null(strstr(f->last.err.text, "tskey"));
        return &f->last;
}

static const char *asked(Fixture *f)
{
        return api_asked(&f->w, f->asked, sizeof(f->asked));
}

#define TOKEN(name, life)                                                                      \
        API_OK("{\"access_token\":\"" name "\",\"token_type\":\"Bearer\",\"expires_in\":" life \
               ",\"scope\":\"auth_keys devices:core:read\"}")

/* --- what an answer may hold --- */

static void what_is_a_token(void **state)
{
        static const struct {
                const char *body;
                int64_t seconds;    /* 0: it is none */
                const char *scopes; /* NULL: none */
        } cases[] = {
                {"{\"access_token\":\"a\",\"token_type\":\"Bearer\",\"expires_in\":3600,"
                 "\"scope\":\"x y\"}",
                 3600, "x y"},
                {"{\"access_token\":\"a\"}", TOKEN_LIFE_DEFAULT_S, NULL},
                {"{\"access_token\":\"a\",\"token_type\":\"bearer\",\"expires_in\":\"1800\"}", 1800,
                 NULL},
                {"{\"access_token\":\"a\",\"token_type\":null,\"expires_in\":null,\"scope\":null}",
                 TOKEN_LIFE_DEFAULT_S, NULL},
                {"{\"access_token\":\"a\",\"expires_in\":1}", TOKEN_LIFE_MIN_S, NULL},
                {"{\"access_token\":\"a\",\"expires_in\":0}", TOKEN_LIFE_MIN_S, NULL},
                {"{\"access_token\":\"a\",\"expires_in\":-7}", TOKEN_LIFE_MIN_S, NULL},
                {"{\"access_token\":\"a\",\"expires_in\":9e99}", TOKEN_LIFE_DEFAULT_S, NULL},
                {"{\"access_token\":\"a\",\"expires_in\":9000000000000}", TOKEN_LIFE_MAX_S, NULL},
                {"{\"access_token\":\"a\",\"expires_in\":{},\"scope\":[\"x\"]}",
                 TOKEN_LIFE_DEFAULT_S, NULL},
                {"{\"access_token\":\"tok\",\"scope\":\"x tok y\"}", TOKEN_LIFE_DEFAULT_S, NULL},
                {"{\"access_token\":\"a\",\"scope\":\"x\\ny\"}", TOKEN_LIFE_DEFAULT_S, NULL},
                {"", 0, NULL},
                {"{", 0, NULL},
                {"[]", 0, NULL},
                {"null", 0, NULL},
                {"{}", 0, NULL},
                {"<html>login</html>", 0, NULL},
                {"{\"access_token\":\"\"}", 0, NULL},
                {"{\"access_token\":7}", 0, NULL},
                {"{\"access_token\":[\"a\"]}", 0, NULL},
                {"{\"access_token\":\"a b\"}", 0, NULL},
                {"{\"access_token\":\"a\\r\\nX: y\"}", 0, NULL},
                {"{\"access_token\":\"\\u00e9\"}", 0, NULL},
                {"{\"access_token\":\"a\",\"token_type\":\"mac\"}", 0, NULL},
                {"{\"access_token\":\"a\",\"token_type\":7}", 0, NULL},
                {"{\"access_token\":\"a\"} x", 0, NULL},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                TokenAnswer a = {0};
                Err err = {0};
                bool ok = token_read(str_of(cases[i].body), &a, &err);

                assert_int_equal(ok, cases[i].seconds > 0);
                assert_string_equal(err.reason, ok ? "" : "InvalidToken");
                assert_int_equal(a.life.ns, SPAN_S(cases[i].seconds).ns);
                assert_string_equal(a.scopes, cases[i].scopes != NULL ? cases[i].scopes : "");
                secret_free(a.bearer);
        }
}

static void a_token_has_a_bound(void **state)
{
        CLEANUP(buf_done) Buf b = {0};
        TokenAnswer a;
        Err err = {0};

        (void)state;
        for (unsigned over = 0; over < 2; over++) {
                buf_init(&b, TOKEN_ANSWER_BYTES_MAX);
                buf_add_str(&b, STR("{\"access_token\":\""));
                for (unsigned i = 0; i < TOKEN_BYTES_MAX + over; i++)
                        buf_add_char(&b, 'a');
                buf_add_str(&b, STR("\"}"));
                assert_int_equal(token_read(buf_str(&b), &a, &err), over == 0);
                if (over == 0)
                        secret_free(a.bearer);
                buf_done(&b);
        }
}

static void what_a_scope_holds(void **state)
{
        static const struct {
                const char *scopes, *need;
                bool held;
        } cases[] = {
                {"", "services:read", true},
                {"services:read", "services:read", true},
                {"services", "services:read", true},
                {"all", "services:read", true},
                {"all:read", "services:read", true},
                {"all:read", "services", false},
                {"services:read", "services", false},
                {"auth_keys  devices:core:read", "devices:core:read", true},
                {"devices:core", "devices:core:read", true},
                {"devices", "devices:core:read", true},
                {"devices:read", "devices:core:read", true},
                {"devices:core:read", "services:read", false},
                {"device", "devices:core:read", false},
                {"devices:routes:read", "devices:core:read", false},
                {":read", "services:read", false},
                {"read", "services:read", false},
                {" services:read ", "services:read", true},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++)
                assert_int_equal(token_scopes_hold(str_of(cases[i].scopes), str_of(cases[i].need)),
                                 cases[i].held);
}

/* --- which credential --- */

static void the_first_that_is_whole_is_taken(void **state)
{
        Fixture *f = *state;
        Secret *empty = secret_new(STR(" \n"));
        Err err = {0};

        open_with(f, (TailnetCredentials){.api_key = f->key, .client_id = f->id});
        assert_non_null(token_bearer(f->token));
        assert_false(token_drop(f->token));
        assert_non_null(token_bearer(f->token));
        assert_int_equal(token_scopes(f->token).n, 0);
        open_with(f, (TailnetCredentials){
                             .api_key = f->key, .client_id = f->id, .client_secret = f->secret});
        assert_null(token_bearer(f->token));
        open_with(f, (TailnetCredentials){
                             .api_key = f->key, .client_id = f->id, .client_secret = empty});
        assert_non_null(token_bearer(f->token));
        f->token = token_close(f->token);
        static const TailnetCredentials none = {0};
        assert_null(token_open(&(TokenInput){.credentials = none}, &err));
        assert_string_equal(err.reason, "CredentialMissing");
        assert_null(token_open(&(TokenInput){.credentials = {.client_secret = f->secret}}, &err));
        assert_string_equal(err.reason, "CredentialMissing");
        assert_non_null(strstr(err.text, "only one of"));
        assert_null(token_open(&(TokenInput){.credentials = {.federated_id = STR("x")}}, &err));
        assert_int_equal(err.kind, ERR_MISSING);
        secret_free(empty);
}

static void what_is_too_long_is_said(void **state)
{
        Fixture *f = *state;
        char *bytes = mem_new(TOKEN_BYTES_MAX + 2);
        Secret *longest;
        Err err = {0};

        memset(bytes, 'a', TOKEN_BYTES_MAX + 1);
        longest = secret_new(str_of(bytes));
        assert_null(token_open(&(TokenInput){.credentials = {.api_key = longest}}, &err));
        assert_string_equal(err.reason, "BadCredential");
        assert_null(token_open(
                &(TokenInput){.credentials = {.client_id = f->id, .client_secret = longest}},
                &err));
        assert_string_equal(err.reason, "BadCredential");
        assert_null(token_open(&(TokenInput){.credentials = {.federated_id = str_of(bytes),
                                                             .token_file = STR("/x")}},
                               &err));
        assert_string_equal(err.reason, "BadCredential");
        secret_free(longest);
        mem_free(bytes);
}

/* --- asking --- */

static void a_client_gets_a_token_and_keeps_it(void **state)
{
        Fixture *f = *state;

        api_route(&f->w, "POST /api/v2/oauth/token ", TOKEN("tskey-t1", "3600"));
        open_oauth(f);
        assert_bearer(f, NULL);
        assert_int_equal(ask(f)->err.kind, ERR_NONE);
        assert_string_equal(asked(f),
                            "POST /api/v2/oauth/token client_id=k7%20id&client_secret="
                            "tskey-client-s%2F1%2B%26%3D&grant_type=client_credentials\n");
        assert_true(str_find_str(buf_str(&f->w.server.request),
                                 STR("\r\nContent-Type: application/x-www-form-urlencoded\r\n")) >
                    0);
        assert_bearer(f, "tskey-t1");
        assert_true(str_eq(token_scopes(f->token), STR("auth_keys devices:core:read")));
        assert_int_equal(token_generation(f->token), 1);
        test_clock_advance(&f->w.time, SPAN_S(2879));
        assert_bearer(f, "tskey-t1");
        test_clock_advance(&f->w.time, SPAN_S(1));
        assert_bearer(f, NULL);
        api_route(&f->w, "POST /api/v2/oauth/token ", TOKEN("tskey-t2", "60"));
        assert_int_equal(ask(f)->err.kind, ERR_NONE);
        assert_bearer(f, "tskey-t2");
        assert_int_equal(token_generation(f->token), 2);
        assert_true(token_drop(f->token));
        assert_bearer(f, NULL);
        assert_int_equal(token_scopes(f->token).n, 0);
}

static void a_renewal_that_fails_in_passing_is_none(void **state)
{
        Fixture *f = *state;

        api_route(&f->w, "POST /", TOKEN("tskey-t1", "1000"));
        open_oauth(f);
        ask(f);
        test_clock_advance(&f->w.time, SPAN_S(900));
        api_route(&f->w, "POST /", API_SAYS("503 Later", ""));
        assert_int_equal(ask(f)->err.kind, ERR_NONE);
        assert_bearer(f, "tskey-t1");
        test_clock_advance(&f->w.time, SPAN_S(TOKEN_RETRY_S));
        assert_bearer(f, NULL);
        assert_int_equal(ask(f)->err.kind, ERR_NONE);
        /* Never past the end of the old one. */
        test_clock_advance(&f->w.time, SPAN_S(70));
        assert_bearer(f, NULL);
        assert_int_equal(ask(f)->err.kind, ERR_TRANSIENT);
        assert_bearer(f, NULL);
        api_route(&f->w, "POST /", TOKEN("tskey-t2", "1000"));
        ask(f);
        test_clock_advance(&f->w.time, SPAN_S(900));
        api_route(&f->w, "POST /", API_SAYS("401 No", "{\"error\":\"invalid_client\"}"));
        assert_int_equal(ask(f)->err.kind, ERR_DENIED);
        assert_bearer(f, NULL);
}

static void write_token(Fixture *f, const char *text)
{
        assert_true(file_write_atomic(f->dir.path, "token", str_of(text), 0600, false, NULL));
}

static void a_workload_reads_its_file_each_time(void **state)
{
        Fixture *f = *state;
        char *big;

        api_route(&f->w, "POST /api/v2/oauth/token-exchange ", TOKEN("tskey-t1", "3600"));
        open_exchange(f);
        assert_int_equal(ask(f)->err.kind, ERR_MISSING);
        assert_non_null(strstr(f->last.err.text, f->path));
        write_token(f, " ey.one-_\n");
        assert_int_equal(ask(f)->err.kind, ERR_NONE);
        write_token(f, "ey.two\n\n");
        assert_int_equal(ask(f)->err.kind, ERR_NONE);
        assert_string_equal(asked(f),
                            "POST /api/v2/oauth/token-exchange client_id=T1%2Fk2&jwt=ey.one-_\n"
                            "POST /api/v2/oauth/token-exchange client_id=T1%2Fk2&jwt=ey.two\n");
        write_token(f, "\n");
        assert_string_equal(ask(f)->err.reason, "BadCredential");
        write_token(f, "tskey a b");
        assert_string_equal(ask(f)->err.reason, "BadCredential");
        big = mem_new(TOKEN_BYTES_MAX + 2);
        memset(big, 'a', TOKEN_BYTES_MAX + 1);
        write_token(f, big);
        assert_int_equal(ask(f)->err.kind, ERR_LIMIT);
        mem_free(big);
        assert_string_equal(asked(f), "");
        write_token(f, "tskey-jwt");
        api_route(&f->w, "POST /api/v2/oauth/token-exchange ",
                  API_SAYS("401 No", "{\"message\":\"tskey-jwt is too old\"}"));
        assert_int_equal(ask(f)->err.kind, ERR_DENIED);
        assert_non_null(strstr(f->last.err.text, "tokenFile is not accepted"));
}

static void each_refusal_has_its_meaning(void **state)
{
        static const struct {
                const char *answer;
                ErrKind kind;
                const char *reason, *text;
                unsigned status;
        } cases[] = {
                {API_SAYS("401 No",
                          "{\"error\":\"invalid_client\",\"error_description\":\"bad id\"}"),
                 ERR_DENIED, "Unauthorized", "status 401: invalid_client: bad id; client_id and",
                 401},
                {API_SAYS("400 No", "{\"error\":\"invalid_grant\"}"), ERR_DENIED, "Unauthorized",
                 "invalid_grant; client_id and client_secret do not fit", 400},
                {API_SAYS("400 No", "{\"error\":\"invalid_scope\",\"error_description\":\"x\"}"),
                 ERR_INVALID, "UnexpectedStatus", "status 400: invalid_scope: x", 400},
                {API_SAYS("403 No", "{\"message\":\"no rights\"}"), ERR_DENIED, "Forbidden",
                 "no rights; the OAuth client may have no token", 403},
                {API_404, ERR_INVALID, "UnexpectedStatus", "does apiURL know OAuth clients?", 404},
                {API_SAYS("429 Slow", ""), ERR_TRANSIENT, "TooManyRequests", "status 429", 429},
                {API_SAYS("500 Oops", "{\"message\":[1]}"), ERR_TRANSIENT, "ServerError",
                 "status 500", 500},
                {API_SAYS("302 There\r\nLocation: http://127.0.0.1:1/tskey-client-s/1+&=", ""),
                 ERR_INVALID, "RedirectRefused", "its words hold a credential", 302},
                {API_SAYS("401 No", "{\"message\":\"unknown tskey-client-s/1+&=\"}"), ERR_DENIED,
                 "Unauthorized", "status 401; client_id", 401},
                {API_SAYS("401 No", "{\"message\":\"unknown tskey-client-s\\/1+&\\u003d\"}"),
                 ERR_DENIED, "Unauthorized", "status 401; client_id", 401},
                {API_SAYS("400 No", "{\"message\":\"bad form: client_id=k&client_secret="
                                    "tskey-client-s%2F1%2B%26%3D&grant_type=x\"}"),
                 ERR_INVALID, "UnexpectedStatus", "status 400", 400},
                {API_SAYS("401 No", "{\"message\":\"unknown tskey-client-s/1...\"}"), ERR_DENIED,
                 "Unauthorized", "status 401; client_id", 401},
                {API_SAYS("302 There\r\nLocation: http://127.0.0.1:1/tskey%2dclient-s%2f1+&=", ""),
                 ERR_INVALID, "RedirectRefused", "its words hold a credential", 302},
                {API_SAYS("201 Made", "{\"access_token\":\"tskey-x\"}"), ERR_INVALID,
                 "UnexpectedStatus", "status 201", 201},
                {API_OK("{\"access_token\":\"tskey x\"}"), ERR_INVALID, "InvalidToken",
                 "no token in the answer", 200},
                {API_OK("<html>tskey</html>"), ERR_INVALID, "InvalidToken", "not JSON", 200},
                {API_OK("{\"access_token\":\"tskey-x\""), ERR_INVALID, "InvalidToken", "not JSON",
                 200},
                {"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"access_token\":", ERR_TRANSIENT,
                 "AnswerCutShort", "ended early", 200},
                {"SSH-2.0-x\r\n", ERR_TRANSIENT, "TransferFailed", "HTTP", 0},
        };
        Fixture *f = *state;

        open_oauth(f);
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                api_route(&f->w, "POST /", cases[i].answer);
                ask(f);
                assert_int_equal(f->last.err.kind, cases[i].kind);
                assert_string_equal(f->last.err.reason, cases[i].reason);
                if (strstr(f->last.err.text, cases[i].text) == NULL)
                        fail_msg("%s", f->last.err.text);
                assert_int_equal(f->last.status, cases[i].status);
                assert_bearer(f, NULL);
        }
        api_route(&f->w, "POST /", API_SAYS("429 Slow\r\nRetry-After: 7", ""));
        assert_int_equal(ask(f)->retry_after.ns, SPAN_S(7).ns);
        api_route_end(&f->w, "POST /", API_OK("{\"access_token\":\"a"), SCRIPT_ENDLESS);
        assert_string_equal(ask(f)->err.reason, "AnswerTooLarge");
}

static void a_silent_server_has_a_deadline(void **state)
{
        Fixture *f = *state;

        api_route_end(&f->w, "POST /", "", SCRIPT_STALL);
        open_oauth(f);
        token_ask(f->token, SPAN_S(60));
        api_turn_until_asked(&f->w, 1);
        test_clock_advance(&f->w.time, SPAN_S(60));
        api_turn_until(&f->w, &f->n_told, 1);
        assert_string_equal(f->last.err.reason, "Timeout");
}

/* --- the end --- */

typedef enum State {
        OPENED,
        ASKED,   /* not one turn since */
        STALLED, /* the server has the question */
        HALF,    /* … and has begun to answer */
        HAS_TOKEN,
        FILE_IS_MISSING, /* told in a later turn */
        STATES,
} State;

static void reach(Fixture *f, State s)
{
        static const char *const answers[STATES] = {
                [STALLED] = "",
                [HALF] = API_OK("{\"access_"),
                [HAS_TOKEN] = TOKEN("t", "3600"),
        };
        size_t seen = f->w.seen;
        unsigned told = f->n_told;

        if (s == FILE_IS_MISSING)
                open_exchange(f);
        else
                open_oauth(f);
        if (s == OPENED)
                return;
        if (answers[s] != NULL)
                api_route_end(&f->w, "POST /", answers[s],
                              s == HAS_TOKEN ? SCRIPT_CLOSE : SCRIPT_STALL);
        token_ask(f->token, SPAN_S(60));
        if (s == HAS_TOKEN)
                api_turn_until(&f->w, &f->n_told, told + 1);
        for (int i = 0; (s == STALLED || s == HALF) && i < API_TURNS_MAX && f->w.seen == seen; i++)
                api_turn(&f->w);
        for (int i = 0; s == HALF && i < 6; i++)
                api_turn(&f->w);
}

static void close_token(void *ctx)
{
        Fixture *f = ctx;

        f->token = token_close(f->token);
}

static void closed_in_every_state_in_every_way(void **state)
{
        Fixture *f = *state;

        for (State s = 0; s < STATES; s++) {
                for (CloserKind how = 0; how < CLOSER_KINDS; how++) {
                        unsigned before;

                        reach(f, s);
                        closer_play(f->w.loop, how, close_token, f);
                        before = f->n_told;
                        test_clock_advance(&f->w.time, SPAN_S(100));
                        for (int i = 0; i < 6; i++)
                                loop_turn(f->w.loop, SPAN_MS(0));
                        f->w.seen = f->w.server.n_requests;
                        assert_int_equal(f->n_told, before);
                }
        }
}

static void closed_inside_its_delivery(void **state)
{
        Fixture *f = *state;

        f->closes_inside = true;
        api_route(&f->w, "POST /", TOKEN("t", "3600"));
        open_oauth(f);
        ask(f);
        assert_null(f->token);
        open_exchange(f);
        ask(f);
        assert_null(f->token);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_a_token),
                cmocka_unit_test(a_token_has_a_bound),
                cmocka_unit_test(what_a_scope_holds),
                TEST(the_first_that_is_whole_is_taken),
                TEST(what_is_too_long_is_said),
                TEST(a_client_gets_a_token_and_keeps_it),
                TEST(a_renewal_that_fails_in_passing_is_none),
                TEST(a_workload_reads_its_file_each_time),
                TEST(each_refusal_has_its_meaning),
                TEST(a_silent_server_has_a_deadline),
                TEST(closed_in_every_state_in_every_way),
                TEST(closed_inside_its_delivery),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
