/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <sys/resource.h>

#include "net/script_server.h"

enum {
        TURNS_MAX = 20000
};

/* The clock of the tests stands still until it is told to move. */
typedef struct Fixture {
        Mono mono;
        Wall wall;
        Clock clock;
        Loop *loop;
        HttpClient *client;
        ScriptServer server;
        HttpRequest *request;
        bool close_inside; /* the request is closed within its on_done */
        unsigned n_done;
        int errnum;
        ErrKind kind;
        char reason[ERR_REASON_MAX], text[ERR_TEXT_MAX];
        char type[64], etag[64], body[8192];
        unsigned status;
        Span retry_after, took;
        uint64_t bytes;
        Buf streamed;
        size_t stream_max;
} Fixture;

static Mono read_mono(void *ctx)
{
        return ((Fixture *)ctx)->mono;
}

static Wall read_wall(void *ctx)
{
        return ((Fixture *)ctx)->wall;
}

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof(*f));

        f->mono = (Mono){SPAN_S(1000).ns};
        f->wall = (Wall){INT64_C(1795381081000)}; /* 2026-11-22T20:58:01Z */
        f->clock = (Clock){read_mono, read_wall, f};
        f->loop = loop_new(&f->clock);
        f->client = http_client_new(f->loop, NULL);
        script_server_open(&f->server, f->loop);
        buf_init(&f->streamed, 1 << 20);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        http_request_close(f->request);
        http_client_free(f->client);
        script_server_close(&f->server);
        loop_turn(f->loop, SPAN_MS(0));
        loop_free(f->loop);
        buf_done(&f->streamed);
        mem_free(f);
        return 0;
}

static void on_done(HttpRequest *r, const HttpResult *result)
{
        Fixture *f = http_request_owner(r);

        f->n_done++;
        f->kind = result->err.kind;
        f->errnum = result->errnum;
        memcpy(f->reason, result->err.reason, sizeof(f->reason));
        memcpy(f->text, result->err.text, sizeof(f->text));
        snprintf(f->type, sizeof(f->type), "%.*s", STR_FMT(result->content_type));
        snprintf(f->etag, sizeof(f->etag), "%.*s", STR_FMT(result->etag));
        snprintf(f->body, sizeof(f->body), "%.*s", STR_FMT(result->body));
        f->status = result->status;
        f->retry_after = result->retry_after;
        f->took = result->took;
        f->bytes = result->bytes;
        if (f->close_inside)
                f->request = http_request_close(f->request);
}

static bool on_body(HttpRequest *r, Str chunk)
{
        Fixture *f = http_request_owner(r);

        buf_add_str(&f->streamed, chunk);
        return f->stream_max == 0 || f->streamed.n <= f->stream_max;
}

static void turns(Fixture *f, unsigned n)
{
        while (n-- > 0)
                loop_turn(f->loop, SPAN_MS(2));
}

static void ask_url(Fixture *f, const char *url, HttpRequestInput in)
{
        in.url = url;
        in.on_done = on_done;
        in.owner = f;
        if (in.max_bytes == 0)
                in.max_bytes = 4096;
        if (in.deadline.ns == 0)
                in.deadline = SPAN_S(60);
        f->request = http_request_close(f->request);
        f->n_done = 0;
        f->request = http_request_open(f->client, &in);
        assert_int_equal(f->n_done, 0);
}

static void ask(Fixture *f, HttpRequestInput in)
{
        char url[64];

        snprintf(url, sizeof(url), "http://127.0.0.1:%u/api/v1/node", f->server.port);
        ask_url(f, url, in);
}

static void finish(Fixture *f)
{
        for (unsigned i = 0; i < TURNS_MAX && f->n_done == 0; i++)
                loop_turn(f->loop, SPAN_MS(10));
        assert_int_equal(f->n_done, 1);
        turns(f, 3);
        assert_int_equal(f->n_done, 1);
}

#define ASK(f, ...) ask((f), (HttpRequestInput){__VA_ARGS__})

static void an_answer_comes_whole(void **state)
{
        Fixture *f = *state;

        script_server_set(&f->server,
                          "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                          "Content-Length: 5\r\n\r\nhello",
                          SCRIPT_KEEP);
        ASK(f, .accept = "application/json");
        finish(f);
        assert_int_equal(f->kind, ERR_NONE);
        assert_int_equal(f->status, 200);
        assert_string_equal(f->body, "hello");
        assert_string_equal(f->type, "application/json");
        assert_int_equal(f->bytes, 5);
        assert_int_equal(f->retry_after.ns, 0);
        Str got = buf_str(&f->server.request);
        assert_true(str_starts(got, STR("GET /api/v1/node HTTP/1.1\r\n")));
        assert_true(str_find_str(got, STR("\r\nAccept: application/json\r\n")) > 0);
        assert_true(str_find_str(got, STR("\r\nUser-Agent: tailscale-gateway/")) > 0);
        assert_true(str_find_str(got, STR("Authorization")) < 0);
}

static void a_connection_is_used_again(void **state)
{
        Fixture *f = *state;

        script_server_set(&f->server, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                          SCRIPT_KEEP);
        for (int i = 0; i < 3; i++) {
                ASK(f, .max_bytes = 10);
                finish(f);
                assert_string_equal(f->body, "ok");
        }
        assert_int_equal(f->server.n_requests, 3);
        assert_int_equal(f->server.n_conns, 1);
}

static void a_body_is_streamed_byte_by_byte(void **state)
{
        Fixture *f = *state;

        script_server_set(&f->server,
                          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                          "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
                          SCRIPT_CLOSE);
        f->server.slice = 1;
        ASK(f, .on_body = on_body);
        finish(f);
        assert_int_equal(f->kind, ERR_NONE);
        assert_true(str_eq(buf_str(&f->streamed), STR("hello world")));
        assert_string_equal(f->body, "");
        assert_int_equal(f->bytes, 11);
}

static void a_reader_that_says_no_ends_it(void **state)
{
        Fixture *f = *state;

        script_server_set(&f->server, "HTTP/1.1 200 OK\r\n\r\nx", SCRIPT_ENDLESS);
        f->stream_max = 100;
        ASK(f, .on_body = on_body, .max_bytes = 1 << 20);
        finish(f);
        assert_int_equal(f->kind, ERR_INVALID);
        assert_string_equal(f->reason, "BodyRefused");
}

/* What a bearer is sent as, and that what is no header value is refused unsent. */
static void a_credential_is_sent(void **state)
{
        Fixture *f = *state;
        Secret *good = secret_new(STR("hskey-1.abc\n")), *bad = secret_new(STR("a\r\nX: y"));

        script_server_set(&f->server, "HTTP/1.1 204 No Content\r\n\r\n", SCRIPT_CLOSE);
        ASK(f, .bearer = good);
        finish(f);
        assert_int_equal(f->kind, ERR_NONE);
        assert_true(str_find_str(buf_str(&f->server.request),
                                 STR("\r\nAuthorization: Bearer hskey-1.abc\r\n")) > 0);
        ASK(f, .bearer = bad);
        finish(f);
        assert_string_equal(f->reason, "BadCredential");
        assert_null(strstr(f->text, "X:"));
        assert_int_equal(f->server.n_requests, 1);
        secret_free(good);
        secret_free(bad);
}

static void a_refusal_is_an_answer(void **state)
{
        static const struct {
                const char *answer;
                unsigned status;
                int64_t retry_after;
        } cases[] = {
                {"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno", 401, 0},
                {"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno", 429, 7},
                {"HTTP/1.1 429 Slow\r\nRetry-After: 99999\r\nContent-Length: 2\r\n\r\nno", 429,
                 3600},
                {"HTTP/1.1 503 Later\r\nRetry-After: Sun, 22 Nov 2026 20:59:01 GMT\r\n"
                 "Content-Length: 2\r\n\r\nno",
                 503, 60},
                {"HTTP/1.1 503 Later\r\nRetry-After: Sun, 22 Nov 2020 20:59:01 GMT\r\n"
                 "Content-Length: 2\r\n\r\nno",
                 503, 0},
                {"HTTP/1.1 503 Later\r\nRetry-After: -5\r\nContent-Length: 2\r\n\r\nno", 503, 0},
                {"HTTP/1.1 500 Oops\r\n\r\nno", 500, 0},
        };
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                script_server_set(&f->server, cases[i].answer, SCRIPT_CLOSE);
                ASK(f, .on_body = on_body);
                finish(f);
                assert_int_equal(f->kind, ERR_NONE);
                assert_int_equal(f->status, cases[i].status);
                assert_int_equal(f->retry_after.ns, SPAN_S(cases[i].retry_after).ns);
                assert_string_equal(f->body, "no");
        }
        assert_int_equal(f->streamed.n, 0);
}

static void an_endless_refusal_ends(void **state)
{
        Fixture *f = *state;

        script_server_set(&f->server, "HTTP/1.1 500 Oops\r\n\r\nx", SCRIPT_ENDLESS);
        ASK(f, .max_bytes = 1 << 20);
        finish(f);
        assert_int_equal(f->kind, ERR_NONE);
        assert_int_equal(f->status, 500);
        assert_int_equal(strlen(f->body), HTTP_CLIENT_ERROR_BODY_MAX);
}

static void a_redirect_is_refused(void **state)
{
        Fixture *f = *state;

        script_server_set(&f->server,
                          "HTTP/1.1 302 There\r\nLocation: http://10.0.0.1/x?key=secret\r\n"
                          "Content-Length: 0\r\n\r\n",
                          SCRIPT_CLOSE);
        ASK(f, .max_bytes = 10);
        finish(f);
        assert_int_equal(f->kind, ERR_INVALID);
        assert_string_equal(f->reason, "RedirectRefused");
        assert_int_equal(f->status, 302);
        assert_non_null(strstr(f->text, "http://10.0.0.1/x"));
        assert_null(strstr(f->text, "secret"));
}

/* All that was sent behind the head of the last request. */
static Str sent_body(const Fixture *f)
{
        Str request = buf_str(&f->server.request);

        return str_sub(request, (size_t)str_find_str(request, STR("\r\n\r\n")) + 4, SIZE_MAX);
}

static bool was_sent(const Fixture *f, const char *what)
{
        return str_find_str(buf_str(&f->server.request), str_of(what)) >= 0;
}

static void a_form_is_posted(void **state)
{
        Fixture *f = *state;
        char large[60000];
        Secret *form = secret_new(STR("client_id=k&client_secret=s%26s"));

        script_server_set(&f->server, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
                          SCRIPT_KEEP);
        ASK(f, .form = form, .accept = "application/json");
        secret_free(form); /* it was copied */
        finish(f);
        assert_int_equal(f->kind, ERR_NONE);
        assert_string_equal(f->body, "{}");
        assert_true(str_starts(buf_str(&f->server.request), STR("POST /api/v1/node HTTP/1.1\r\n")));
        assert_true(was_sent(f, "\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
        assert_true(was_sent(f, "\r\nContent-Length: 31\r\n"));
        assert_true(was_sent(f, "\r\nAccept: application/json\r\n"));
        assert_false(was_sent(f, "Expect"));
        assert_true(str_eq(sent_body(f), STR("client_id=k&client_secret=s%26s")));

        memset(large, 'x', sizeof(large));
        form = secret_new(str_make(large, sizeof(large)));
        ASK(f, .form = form);
        secret_free(form);
        finish(f);
        assert_int_equal(f->kind, ERR_NONE);
        assert_false(was_sent(f, "Expect"));
        assert_true(str_eq(sent_body(f), str_make(large, sizeof(large))));

        form = secret_new(STR(""));
        ASK(f, .form = form);
        secret_free(form);
        finish(f);
        assert_int_equal(f->kind, ERR_NONE);
        assert_true(was_sent(f, "\r\nContent-Length: 0\r\n"));
        assert_int_equal(sent_body(f).n, 0);
}

/* Whatever the server would rather have; and a GET behind it on the same connection is a GET. */
/* Any method, with a body of its type or without; a secret one like any other. */
static void bodies_are_sent_with_their_method(void **state)
{
        Fixture *f = *state;
        Secret *secret = secret_new(STR("{\"key\":1}"));
        char large[20000];
        Str body = str_make(large, sizeof(large));

        memset(large, 'a', sizeof(large));
        script_server_set(&f->server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", SCRIPT_KEEP);
        ASK(f, .method = "PATCH", .content_type = "application/apply-patch+yaml", .body = body);
        memset(large, 'b', sizeof(large)); /* it was copied */
        finish(f);
        assert_true(was_sent(f, "PATCH /api/v1/node HTTP/1.1\r\n"));
        assert_true(was_sent(f, "\r\nContent-Type: application/apply-patch+yaml\r\n"));
        assert_false(was_sent(f, "Expect"));
        memset(large, 'a', sizeof(large));
        assert_true(str_eq(sent_body(f), body));
        ASK(f, .method = "PUT", .content_type = "application/json", .form = secret);
        finish(f);
        assert_true(was_sent(f, "PUT /api"));
        assert_false(was_sent(f, "urlencoded"));
        assert_true(str_eq(sent_body(f), STR("{\"key\":1}")));
        ASK(f, .content_type = "application/json");
        finish(f);
        assert_true(was_sent(f, "POST /api"));
        assert_true(was_sent(f, "\r\nContent-Length: 0\r\n"));
        ASK(f, .method = "DELETE");
        finish(f);
        assert_true(was_sent(f, "DELETE /api"));
        assert_true(sent_body(f).n == 0);
        secret_free(secret);
        body = str_make(large, HTTP_CLIENT_BODY_MAX + 1);
        ASK(f, .content_type = "application/json", .body = body);
        finish(f);
        assert_string_equal(f->reason, "BodyTooLarge");
}

static void of_a_refusal_more_is_kept_where_it_is_wanted(void **state)
{
        Fixture *f = *state;

        script_server_set(&f->server, "HTTP/1.1 422 No\r\n\r\nx", SCRIPT_ENDLESS);
        ASK(f, .max_refusal = 6000, .on_body = on_body);
        finish(f);
        assert_int_equal(f->status, 422);
        assert_int_equal(strlen(f->body), 6000);
}

static void a_refused_form_keeps_its_answer(void **state)
{
        Fixture *f = *state;
        Secret *form = secret_new(STR("grant=hunter2"));

        script_server_set(&f->server,
                          "HTTP/1.1 401 No\r\nContent-Type: application/json\r\n"
                          "WWW-Authenticate: Basic realm=\"x\"\r\n"
                          "WWW-Authenticate: Negotiate\r\nContent-Length: 26\r\n\r\n"
                          "{\"error\":\"invalid_client\"}",
                          SCRIPT_KEEP);
        ASK(f, .form = form, .on_body = on_body);
        finish(f);
        assert_int_equal(f->kind, ERR_NONE);
        assert_int_equal(f->status, 401);
        assert_string_equal(f->type, "application/json");
        assert_string_equal(f->body, "{\"error\":\"invalid_client\"}");
        assert_int_equal(f->streamed.n, 0);
        assert_int_equal(f->server.n_requests, 1);
        assert_false(was_sent(f, "Authorization"));
        ASK(f, .max_bytes = 10);
        finish(f);
        assert_true(str_starts(buf_str(&f->server.request), STR("GET ")));
        assert_false(was_sent(f, "hunter2"));
        secret_free(form);
}

static void a_redirect_of_a_form_is_refused(void **state)
{
        static const unsigned statuses[] = {301, 302, 303, 307, 308};
        Fixture *f = *state;
        ScriptServer other;
        char answer[256];
        Secret *form = secret_new(STR("grant=hunter2")), *bearer = secret_new(STR("key"));

        script_server_open(&other, f->loop);
        script_server_set(&other, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", SCRIPT_CLOSE);
        for (size_t i = 0; i < LENGTH_OF(statuses); i++) {
                snprintf(answer, sizeof(answer),
                         "HTTP/1.1 %u There\r\nLocation: http://127.0.0.1:%u/\r\n"
                         "Content-Length: 0\r\n\r\n",
                         statuses[i], other.port);
                script_server_set(&f->server, answer, SCRIPT_KEEP);
                ASK(f, .form = form, .bearer = bearer);
                finish(f);
                assert_string_equal(f->reason, "RedirectRefused");
                assert_int_equal(f->status, statuses[i]);
                assert_null(strstr(f->text, "hunter2"));
        }
        assert_int_equal(f->server.n_requests, LENGTH_OF(statuses));
        assert_int_equal(other.n_conns, 0);
        script_server_close(&other);
        secret_free(form);
        secret_free(bearer);
}

static void no_fault_shows_the_form(void **state)
{
        static const struct {
                const char *answer;
                ScriptEnd end;
                const char *reason;
        } cases[] = {
                {"", SCRIPT_CLOSE, "AnswerCutShort"},
                {"", SCRIPT_STALL, "Timeout"},
                {"SSH-2.0-x\r\n", SCRIPT_CLOSE, "TransferFailed"},
                {"HTTP/1.1 200 OK\r\n\r\nx", SCRIPT_ENDLESS, "AnswerTooLarge"},
                {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhunter", SCRIPT_CLOSE,
                 "AnswerCutShort"},
        };
        Fixture *f = *state;
        Secret *form = secret_new(STR("grant=hunter2"));

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                script_server_set(&f->server, cases[i].answer, cases[i].end);
                ASK(f, .form = form);
                turns(f, 20);
                f->mono = mono_add(f->mono, SPAN_S(cases[i].end == SCRIPT_STALL ? 60 : 0));
                finish(f);
                assert_string_equal(f->reason, cases[i].reason);
                assert_null(strstr(f->text, "hunter2"));
        }
        secret_free(form);
}

static bool count_body(HttpRequest *r, Str chunk)
{
        Fixture *f = http_request_owner(r);

        f->bytes += chunk.n;
        return f->stream_max == 0 || f->bytes <= f->stream_max;
}

/* Hours of it, beyond what any cap or deadline of another request would let through. */
static void a_body_without_end_is_fed(void **state)
{
        enum {
                LONG = 3 << 20
        };
        Fixture *f = *state;
        char url[64];

        snprintf(url, sizeof(url), "http://127.0.0.1:%u/watch", f->server.port);
        HttpRequestInput in = {.url = url, .on_body = count_body, .on_done = on_done, .owner = f};
        script_server_set(&f->server, "HTTP/1.1 200 OK\r\n\r\nx", SCRIPT_ENDLESS);
        f->request = http_request_open(f->client, &in);
        for (unsigned i = 0; i < TURNS_MAX && f->bytes < LONG; i++) {
                loop_turn(f->loop, SPAN_MS(10));
                f->mono = mono_add(f->mono, SPAN_S(60));
        }
        assert_true(f->bytes >= LONG);
        assert_int_equal(f->n_done, 0);
        f->request = http_request_close(f->request);

        f->bytes = 0;
        f->stream_max = 100000;
        f->request = http_request_open(f->client, &in);
        finish(f);
        assert_string_equal(f->reason, "BodyRefused");
}

static void caps_hold(void **state)
{
        Fixture *f = *state;

        script_server_set(&f->server, "HTTP/1.1 200 OK\r\n\r\nx", SCRIPT_ENDLESS);
        ASK(f, .max_bytes = 100000);
        finish(f);
        assert_int_equal(f->kind, ERR_LIMIT);
        assert_string_equal(f->reason, "AnswerTooLarge");
        ASK(f, .max_bytes = 2 << 20, .on_body = on_body);
        finish(f);
        assert_int_equal(f->kind, ERR_LIMIT);
        assert_non_null(strstr(f->text, "above 2 MiB"));
        script_server_set(&f->server, "HTTP/1.1 200 OK\r\nX: y", SCRIPT_ENDLESS);
        ASK(f, .max_bytes = 10);
        finish(f);
        assert_int_not_equal(f->kind, ERR_NONE);
        script_server_set(&f->server, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
                          SCRIPT_STALL);
        ASK(f, .max_bytes = 10);
        turns(f, 20);
        assert_int_equal(f->n_done, 0);
}

static void what_is_cut_short_says_so(void **state)
{
        static const char *answers[] = {
                "",
                "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        };
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(answers); i++) {
                script_server_set(&f->server, answers[i], SCRIPT_CLOSE);
                ASK(f, .max_bytes = 100);
                finish(f);
                assert_int_equal(f->kind, ERR_TRANSIENT);
                assert_string_equal(f->reason, "AnswerCutShort");
        }
        script_server_set(&f->server, "SSH-2.0-OpenSSH_9\r\n", SCRIPT_CLOSE);
        ASK(f, .max_bytes = 100);
        finish(f);
        assert_int_equal(f->kind, ERR_TRANSIENT);
}

static void the_deadline_ends_every_state(void **state)
{
        static const struct {
                const char *answer;
                const char *text;
        } cases[] = {
                {"", "no answer from 127.0.0.1:"},
                {"HTTP/1.1 20", "no answer from"},
                {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhe", "did not end within 1m"},
        };
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                script_server_set(&f->server, cases[i].answer, SCRIPT_STALL);
                ASK(f, .max_bytes = 100);
                turns(f, 20);
                f->mono = mono_add(f->mono, SPAN_MS(59999));
                turns(f, 3);
                assert_int_equal(f->n_done, 0);
                f->mono = mono_add(f->mono, SPAN_MS(1));
                finish(f);
                assert_int_equal(f->kind, ERR_TRANSIENT);
                assert_string_equal(f->reason, "Timeout");
                assert_non_null(strstr(f->text, cases[i].text));
                assert_int_equal(f->took.ns, SPAN_S(60).ns);
        }
}

/* The process was stopped while the connection came to be: the loop learns first that it stands. */
static void nothing_is_sent_after_the_deadline(void **state)
{
        Fixture *f = *state;

        script_server_set(&f->server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", SCRIPT_KEEP);
        ASK(f, .max_bytes = 100);
        turns(f, 1);
        f->mono = mono_add(f->mono, SPAN_S(60));
        finish(f);
        assert_string_equal(f->reason, "Timeout");
        assert_non_null(strstr(f->text, " was not asked: "));
        turns(f, 20);
        assert_int_equal(f->server.n_requests, 0);
}

static void nobody_there(void **state)
{
        Fixture *f = *state;
        char url[64], text[96];
        ScriptServer gone;

        script_server_open(&gone, f->loop);
        snprintf(url, sizeof(url), "http://127.0.0.1:%u/", gone.port);
        snprintf(text, sizeof(text), "connection refused by 127.0.0.1:%u", gone.port);
        script_server_close(&gone);
        ask_url(f, url, (HttpRequestInput){0});
        finish(f);
        assert_int_equal(f->kind, ERR_TRANSIENT);
        assert_string_equal(f->reason, "ConnectFailed");
        assert_string_equal(f->text, text);
}

static void tls_with_what_speaks_none(void **state)
{
        Fixture *f = *state;
        char url[64];

        script_server_set(&f->server, "HTTP/1.1 400 Bad\r\n\r\n", SCRIPT_CLOSE);
        snprintf(url, sizeof(url), "https://127.0.0.1:%u/", f->server.port);
        ask_url(f, url, (HttpRequestInput){0});
        /* The ClientHello ends in no empty line, so the server is asked to answer at once. */
        for (int i = 0; i < 50 && list_is_empty(&f->server.conns); i++)
                loop_turn(f->loop, SPAN_MS(10));
        LIST_FOREACH (ScriptConn, c, &f->server.conns, link) {
                c->answering = true;
                fd_source_want(&c->source, FD_WRITE);
        }
        finish(f);
        assert_int_equal(f->kind, ERR_TRANSIENT);
        assert_string_equal(f->reason, "TLSFailed");
}

static void a_bad_url_is_told(void **state)
{
        static const char *urls[] = {"",
                                     "127.0.0.1",
                                     "ftp://127.0.0.1/",
                                     "file:///etc/passwd",
                                     "http://user:pw@127.0.0.1/",
                                     "http://",
                                     "http://127.0.0.1:99999/",
                                     "unix:///x"};
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(urls); i++) {
                ask_url(f, urls[i], (HttpRequestInput){0});
                finish(f);
                assert_int_equal(f->kind, ERR_INVALID);
                assert_string_equal(f->reason, "BadURL");
        }
}

static void plain_http_stays_private(void **state)
{
        static const char *urls[] = {"http://8.8.8.8/", "http://[2001:4860:4860::8888]/",
                                     "http://172.32.0.1/", "http://[::ffff:8.8.8.8]/"};
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(urls); i++) {
                ask_url(f, urls[i], (HttpRequestInput){0});
                finish(f);
                assert_int_equal(f->kind, ERR_INVALID);
                assert_string_equal(f->reason, "PlainHttpRefused");
        }
}

/* In every state: just begun, connected, header half there, body half there, ended, told. */
static void nothing_comes_after_close(void **state)
{
        static const char *answers[] = {
                "",
                "HTTP/1.1 200 OK\r\nContent-L",
                "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhe",
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        };
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(answers); i++) {
                for (unsigned n = 0; n < 12; n++) {
                        script_server_set(&f->server, answers[i], SCRIPT_STALL);
                        ASK(f, .max_bytes = 100);
                        turns(f, n);
                        unsigned before = f->n_done;
                        f->request = http_request_close(f->request);
                        turns(f, 3);
                        assert_int_equal(f->n_done, before);
                }
        }
        f->close_inside = true;
        ASK(f, .max_bytes = 100);
        finish(f);
        assert_null(f->request);
        ask_url(f, "nonsense", (HttpRequestInput){0});
        f->request = http_request_close(f->request);
        turns(f, 3);
        assert_int_equal(f->n_done, 0);
}

static void many_at_once(void **state)
{
        enum {
                MANY = HTTP_CLIENT_CONNECTIONS_MAX + 36
        };
        Fixture *f = *state;
        HttpRequest *r[MANY];
        struct rlimit files;

        /* Both ends are ours. */
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
        files.rlim_cur = files.rlim_max;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
        char url[64];

        script_server_set(&f->server, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                          SCRIPT_CLOSE);
        snprintf(url, sizeof(url), "http://127.0.0.1:%u/", f->server.port);
        HttpRequestInput in = {.url = url,
                               .deadline = SPAN_S(60),
                               .max_bytes = 10,
                               .on_done = on_done,
                               .owner = f};
        for (size_t i = 0; i < MANY; i++)
                r[i] = http_request_open(f->client, &in);
        for (unsigned i = 0; i < TURNS_MAX && f->n_done < MANY; i++)
                loop_turn(f->loop, SPAN_MS(10));
        assert_int_equal(f->n_done, MANY);
        for (size_t i = 0; i < MANY; i++)
                http_request_close(r[i]);
}

static void an_etag_goes_there_and_back(void **state)
{
        Fixture *f = *state;
        char longest[HTTP_CLIENT_ETAG_MAX + 1];

        f->server.answer = STR("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nEtag:  W/\"a b\" \r\n\r\n");
        ask(f, (HttpRequestInput){0});
        finish(f);
        assert_string_equal(f->etag, "W/\"a b\"");
        assert_true(str_find_str(buf_str(&f->server.request), STR("If-Match")) < 0);
        ask(f, (HttpRequestInput){.if_match = str_of(f->etag)});
        finish(f);
        assert_true(str_find_str(buf_str(&f->server.request), STR("\r\nIf-Match: W/\"a b\"\r\n")) >
                    0);
        f->server.answer = STR("HTTP/1.1 412 No\r\nContent-Length: 0\r\n\r\n");
        ask(f, (HttpRequestInput){.if_match = STR("x")});
        finish(f);
        assert_int_equal(f->status, 412);
        assert_string_equal(f->etag, "");
        memset(longest, 'e', sizeof(longest));
        ask(f, (HttpRequestInput){.if_match = str_make(longest, sizeof(longest))});
        finish(f);
        assert_string_equal(f->reason, "BadETag");
        ask(f, (HttpRequestInput){.if_match = STR("x\r\nA: b")});
        finish(f);
        assert_string_equal(f->reason, "BadETag");
}

static void a_unix_socket(void **state)
{
        Fixture *f = *state;
        char dir[] = "/tmp/http-client-test-XXXXXX", path[64];
        ScriptServer server;

        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/s", dir);
        HttpRequestInput in = {.unix_socket = path};
        ask_url(f, "http://a.test/x", in);
        finish(f);
        assert_string_equal(f->reason, "ConnectFailed");
        assert_int_equal(f->errnum, ENOENT);
        assert_non_null(strstr(f->text, path));
        script_server_open_unix(&server, f->loop, path);
        server.paths[0] = (ScriptPath){"/x", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                                       SCRIPT_KEEP, 0};
        ask_url(f, "http://a.test/x", in);
        finish(f);
        assert_int_equal(f->kind, ERR_NONE);
        assert_string_equal(f->body, "ok");
        assert_int_equal(server.paths[0].n_requests, 1);
        assert_true(str_find_str(buf_str(&server.request), STR("\r\nHost: a.test\r\n")) > 0);
        script_server_close(&server);
        turns(f, 3);
        ask_url(f, "http://a.test/x", in);
        finish(f);
        assert_int_equal(f->errnum, ECONNREFUSED);
        unlink(path);
        rmdir(dir);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(an_answer_comes_whole),
                TEST(a_connection_is_used_again),
                TEST(a_body_is_streamed_byte_by_byte),
                TEST(a_reader_that_says_no_ends_it),
                TEST(a_credential_is_sent),
                TEST(a_refusal_is_an_answer),
                TEST(an_endless_refusal_ends),
                TEST(a_redirect_is_refused),
                TEST(a_form_is_posted),
                TEST(bodies_are_sent_with_their_method),
                TEST(of_a_refusal_more_is_kept_where_it_is_wanted),
                TEST(a_refused_form_keeps_its_answer),
                TEST(a_redirect_of_a_form_is_refused),
                TEST(no_fault_shows_the_form),
                TEST(a_body_without_end_is_fed),
                TEST(caps_hold),
                TEST(what_is_cut_short_says_so),
                TEST(the_deadline_ends_every_state),
                TEST(nothing_is_sent_after_the_deadline),
                TEST(nobody_there),
                TEST(tls_with_what_speaks_none),
                TEST(a_bad_url_is_told),
                TEST(plain_http_stays_private),
                TEST(nothing_comes_after_close),
                TEST(many_at_once),
                TEST(an_etag_goes_there_and_back),
                TEST(a_unix_socket),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
