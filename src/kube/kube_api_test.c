/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_api.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/file.h"
#include "kube/kube_test_world.h"

enum {
        CALLS = 8
};

typedef struct Fixture {
        KubeWorld w;
        TestDir dir;
        KubeCall *calls[CALLS];
        size_t n_done;
        KubeCall *order[CALLS];
        Err err;
        unsigned status;
        Span retry_after;
        bool has_refusal;
        char body[256], cause[64];
        Buf streamed;
} Fixture;

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof(*f));

        test_dir_init(&f->dir);
        buf_init(&f->streamed, 4096);
        *state = f;
        return 0;
}

static void start(Fixture *f, const char *user, unsigned qps, unsigned burst)
{
        kube_world_init(&f->w, user, qps, burst);
        script_server_set(&f->w.server, KUBE_OK("{}"), SCRIPT_CLOSE);
}

static void close_all(void *ctx)
{
        Fixture *f = ctx;

        for (size_t i = 0; i < CALLS; i++)
                f->calls[i] = kube_call_close(f->calls[i]);
}

static int teardown(void **state)
{
        Fixture *f = *state;

        close_all(f);
        kube_world_done(&f->w);
        test_dir_done(&f->dir);
        buf_done(&f->streamed);
        mem_free(f);
        return 0;
}

static void on_done(KubeCall *c, const KubeResult *result)
{
        Fixture *f = kube_call_owner(c);

        f->order[f->n_done++ % CALLS] = c;
        f->err = result->err;
        f->status = result->status;
        f->retry_after = result->retry_after;
        f->has_refusal = result->refusal != NULL;
        snprintf(f->body, sizeof(f->body), "%.*s", STR_FMT(result->body));
        f->cause[0] = '\0';
        if (result->refusal != NULL && result->refusal->n_causes > 0)
                snprintf(f->cause, sizeof(f->cause), "%.*s",
                         STR_FMT(result->refusal->causes[0].field));
}

static bool on_body(KubeCall *c, Str chunk)
{
        Fixture *f = kube_call_owner(c);

        buf_add_str(&f->streamed, chunk);
        return true;
}

static KubeCall *begin(Fixture *f, size_t i, KubeCallInput in)
{
        size_t before = f->n_done;

        if (in.path == NULL)
                in.path = "/api/v1/things";
        in.deadline = SPAN_S(30);
        in.max_bytes = 4096;
        in.on_done = on_done;
        in.owner = f;
        kube_call_close(f->calls[i]);
        f->calls[i] = kube_call_open(f->w.api, &in);
        assert_int_equal(f->n_done, before);
        return f->calls[i];
}

static void finish(Fixture *f, KubeCallInput in)
{
        f->n_done = 0;
        begin(f, 0, in);
        kube_turn_until(&f->w, &f->n_done, 1);
}

static bool was_sent(const Fixture *f, const char *what)
{
        return str_find_str(buf_str(&f->w.server.request), str_of(what)) >= 0;
}

static void a_call_carries_who_we_are(void **state)
{
        Fixture *f = *state;

        start(f, "{token: abc}", 0, 0);
        finish(f, (KubeCallInput){.method = "PATCH",
                                  .path = "/apis/g/v1/things/x?fieldManager=m",
                                  .content_type = "application/apply-patch+yaml",
                                  .body = STR("{\"a\":1}")});
        assert_string_equal(f->err.text, "");
        assert_int_equal(f->status, 200);
        assert_string_equal(f->body, "{}");
        assert_true(was_sent(f, "PATCH /apis/g/v1/things/x?fieldManager=m HTTP/1.1\r\n"));
        assert_true(was_sent(f, "\r\nAuthorization: Bearer abc\r\n"));
        assert_true(was_sent(f, "\r\nAccept: application/json\r\n"));
        assert_true(was_sent(f, "\r\n\r\n{\"a\":1}"));
        finish(f, (KubeCallInput){.on_body = on_body});
        assert_true(str_eq(buf_str(&f->streamed), STR("{}")));
}

static void refusals_are_decoded(void **state)
{
        Fixture *f = *state;

        start(f, "{token: abc}", 0, 0);
        script_server_set(&f->w.server,
                          KUBE_SAYS("429 Slow\r\nRetry-After: 1",
                                    "{\"kind\":\"Status\",\"reason\":\"TooManyRequests\","
                                    "\"message\":\"storage is initializing\",\"details\":"
                                    "{\"retryAfterSeconds\":3,\"causes\":[{\"field\":\"spec.x\"}]},"
                                    "\"code\":429}"),
                          SCRIPT_CLOSE);
        finish(f, (KubeCallInput){.path = "/api/v1/things?limit=2"});
        assert_int_equal(f->err.kind, ERR_TRANSIENT);
        assert_string_equal(f->err.reason, "TooManyRequests");
        assert_string_equal(
                f->err.text,
                "GET /api/v1/things: answered with status 429: storage is initializing");
        assert_int_equal(f->retry_after.ns, SPAN_S(3).ns);
        assert_string_equal(f->cause, "spec.x");
        script_server_set(&f->w.server, KUBE_SAYS("503 Later\r\nRetry-After: 9", "proxy says no"),
                          SCRIPT_CLOSE);
        finish(f, (KubeCallInput){0});
        assert_string_equal(f->err.reason, "ServiceUnavailable");
        assert_int_equal(f->retry_after.ns, SPAN_S(9).ns);
        assert_false(f->has_refusal);
        script_server_set(&f->w.server,
                          KUBE_SAYS("403 No", "{\"kind\":\"Status\",\"message\":\"no abc\"}"),
                          SCRIPT_CLOSE);
        finish(f, (KubeCallInput){0});
        assert_string_equal(f->err.text, "the answer holds our credential");
        script_server_set(&f->w.server, "", SCRIPT_CLOSE);
        finish(f, (KubeCallInput){.method = "PUT", .content_type = "x/y"});
        assert_int_equal(f->err.kind, ERR_TRANSIENT);
        assert_non_null(strstr(f->err.text, "PUT /api/v1/things: "));
        assert_int_equal(f->status, 0);
}

static void write_token(Fixture *f, const char *token)
{
        assert_true(file_write_atomic(f->dir.path, "token", str_of(token), 0600, false, NULL));
}

static void start_with_token_file(Fixture *f)
{
        char user[300];

        snprintf(user, sizeof(user), "{tokenFile: %s/token}", f->dir.path);
        start(f, user, 1000, 100);
}

static void a_token_is_read_again_each_minute(void **state)
{
        Fixture *f = *state;

        start_with_token_file(f);
        finish(f, (KubeCallInput){0});
        assert_int_equal(f->err.kind, ERR_DENIED);
        assert_string_equal(f->err.reason, "NoToken");
        assert_int_equal(f->w.server.n_requests, 0);
        write_token(f, "one\n");
        finish(f, (KubeCallInput){0});
        assert_true(was_sent(f, "Bearer one\r\n"));
        write_token(f, "two");
        finish(f, (KubeCallInput){0});
        assert_true(was_sent(f, "Bearer one\r\n"));
        test_clock_advance(&f->w.time, SPAN_S(KUBE_TOKEN_KEPT_S));
        finish(f, (KubeCallInput){0});
        assert_true(was_sent(f, "Bearer two\r\n"));
        /* What is known stays where the file is gone, or empty for a moment. */
        write_token(f, "");
        test_clock_advance(&f->w.time, SPAN_S(KUBE_TOKEN_KEPT_S));
        finish(f, (KubeCallInput){0});
        assert_true(was_sent(f, "Bearer two\r\n"));
        assert_int_equal(f->status, 200);
}

static void a_refused_token_is_read_again_once(void **state)
{
        Fixture *f = *state;

        start_with_token_file(f);
        write_token(f, "one");
        finish(f, (KubeCallInput){0});
        script_server_set(&f->w.server, KUBE_SAYS("401 Who", "no"), SCRIPT_CLOSE);
        finish(f, (KubeCallInput){0});
        assert_int_equal(f->w.server.n_requests, 2);
        assert_string_equal(f->err.reason, "Unauthorized");
        write_token(f, "two");
        finish(f, (KubeCallInput){0});
        assert_int_equal(f->w.server.n_requests, 4);
        assert_true(was_sent(f, "Bearer two\r\n"));
        assert_string_equal(f->err.reason, "Unauthorized");
}

static void calls_wait_for_their_turn(void **state)
{
        Fixture *f = *state;
        KubeCall *c[4];

        start(f, "{token: abc}", 2, 2);
        for (size_t i = 0; i < LENGTH_OF(c); i++)
                c[i] = begin(f, i, (KubeCallInput){0});
        kube_turn_until(&f->w, &f->n_done, 2);
        kube_turns(&f->w, 20);
        assert_int_equal(f->w.server.n_requests, 2);
        begin(f, 5, (KubeCallInput){.urgent = true});
        kube_turn_until(&f->w, &f->n_done, 3);
        assert_ptr_equal(f->order[2], f->calls[5]);
        /* It counted: the next turn is an interval later. */
        test_clock_advance(&f->w.time, SPAN_MS(500));
        kube_turns(&f->w, 20);
        assert_int_equal(f->n_done, 3);
        test_clock_advance(&f->w.time, SPAN_MS(500));
        kube_turn_until(&f->w, &f->n_done, 4);
        test_clock_advance(&f->w.time, SPAN_MS(500));
        kube_turn_until(&f->w, &f->n_done, 5);
        assert_ptr_equal(f->order[3], c[2]);
        assert_ptr_equal(f->order[4], c[3]);
}

static void only_so_many_calls_wait(void **state)
{
        Fixture *f = *state;
        KubeCall **waiting = mem_new_array(KUBE_WAITING_MAX, sizeof(KubeCall *));
        KubeCallInput in = {.path = "/x", .max_bytes = 1, .on_done = on_done, .owner = f};

        start(f, "{token: abc}", 1, 1);
        begin(f, 0, (KubeCallInput){0});
        for (size_t i = 0; i < KUBE_WAITING_MAX; i++)
                waiting[i] = kube_call_open(f->w.api, &in);
        begin(f, 1, (KubeCallInput){0});
        kube_turn_until(&f->w, &f->n_done, 1);
        assert_string_equal(f->err.reason, "TooManyCalls");
        assert_ptr_equal(f->order[0], f->calls[1]);
        for (size_t i = 0; i < KUBE_WAITING_MAX; i++)
                kube_call_close(waiting[i]);
        kube_turn_until(&f->w, &f->n_done, 2);
        assert_int_equal(f->w.server.n_requests, 1);
        mem_free(waiting);
}

static void plugins_are_no_credential(void **state)
{
        Fixture *f = *state;

        start(f, "{exec: {apiVersion: client.authentication.k8s.io/v1, command: x}}", 0, 0);
        finish(f, (KubeCallInput){0});
        assert_string_equal(f->err.reason, "NoCredential");
        assert_int_equal(f->w.server.n_requests, 0);
}

static void closed_in_every_state(void **state)
{
        Fixture *f = *state;
        static const unsigned turns[] = {0, 1, 2, 3, 5, 30};

        start(f, "{token: abc}", 1000, 3);
        for (CloserKind how = 0; how < CLOSER_KINDS; how++) {
                for (size_t i = 0; i < LENGTH_OF(turns); i++) {
                        size_t done;

                        for (size_t k = 0; k < 5; k++)
                                begin(f, k, (KubeCallInput){.on_body = on_body});
                        kube_turns(&f->w, turns[i]);
                        closer_play(f->w.loop, how, close_all, f);
                        done = f->n_done;
                        test_clock_advance(&f->w.time, SPAN_S(60));
                        kube_turns(&f->w, 5);
                        assert_int_equal(f->n_done, done);
                }
        }
}

/* What waits for its turn goes there, what is under way ends as it began. */
static void an_update_leads_elsewhere(void **state)
{
        Fixture *f = *state;
        ScriptServer other;

        start(f, "{token: abc}", 1, 1);
        script_server_open(&other, f->w.loop);
        script_server_set(&other, KUBE_OK("{\"other\":1}"), SCRIPT_CLOSE);
        begin(f, 0, (KubeCallInput){0});
        begin(f, 1, (KubeCallInput){0});
        assert_int_equal(kube_api_moves(f->w.api), 0);
        kube_api_update(f->w.api, kube_world_config(other.port, "{token: xyz}"));
        assert_int_equal(kube_api_moves(f->w.api), 1);
        kube_turn_until(&f->w, &f->n_done, 1);
        assert_string_equal(f->body, "{}");
        assert_true(was_sent(f, "Bearer abc\r\n"));
        test_clock_advance(&f->w.time, SPAN_S(1));
        kube_turn_until(&f->w, &f->n_done, 2);
        assert_string_equal(f->body, "{\"other\":1}");
        assert_true(str_find_str(buf_str(&other.request), STR("Bearer xyz\r\n")) >= 0);
        close_all(f);
        script_server_close(&other);
}

static void what_an_old_credential_was_refused_is_asked_once_more(void **state)
{
        Fixture *f = *state;

        start(f, "{token: abc}", 0, 0);
        script_server_set(&f->w.server,
                          KUBE_SAYS("401 No", "{\"kind\":\"Status\",\"message\":\"no abc\"}"),
                          SCRIPT_CLOSE);
        f->n_done = 0;
        begin(f, 0, (KubeCallInput){0});
        kube_api_update(f->w.api, kube_world_config(f->w.server.port, "{token: xyz}"));
        assert_int_equal(kube_api_moves(f->w.api), 0);
        kube_turn_until(&f->w, &f->n_done, 1);
        assert_int_equal(f->w.server.n_requests, 2);
        assert_true(was_sent(f, "Bearer xyz\r\n"));
        /* And the old one is still not shown. */
        assert_string_equal(f->err.text, "the answer holds our credential");
}

/* All connections that are kept went the same way: one that was dead for a call is not followed by
 * the next that is. */
static void after_silence_a_connection_is_made_anew(void **state)
{
        Fixture *f = *state;
        static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

        start(f, "{token: abc}", 0, 0);
        script_server_set(&f->w.server, answer, SCRIPT_KEEP);
        begin(f, 0, (KubeCallInput){0});
        begin(f, 1, (KubeCallInput){0});
        kube_turn_until(&f->w, &f->n_done, 2);
        finish(f, (KubeCallInput){0});
        assert_int_equal(f->w.server.n_conns, 2);
        script_server_set(&f->w.server, "", SCRIPT_STALL);
        f->n_done = 0;
        begin(f, 0, (KubeCallInput){0});
        kube_turns(&f->w, 10);
        test_clock_advance(&f->w.time, SPAN_S(30));
        kube_turn_until(&f->w, &f->n_done, 1);
        assert_string_equal(f->err.reason, "Timeout");
        assert_int_equal(f->w.server.n_conns, 2);
        script_server_set(&f->w.server, answer, SCRIPT_KEEP);
        finish(f, (KubeCallInput){0});
        assert_int_equal(f->status, 200);
        assert_int_equal(f->w.server.n_conns, 3);
        /* And that one is kept. */
        finish(f, (KubeCallInput){0});
        assert_int_equal(f->w.server.n_conns, 3);
}

typedef struct Hooked {
        KubeApiHook hook;
        unsigned n, n_moved;
} Hooked;

static void on_hook(KubeApiHook *hook, bool moved)
{
        Hooked *h = CONTAINER_OF(hook, Hooked, hook);

        h->n++;
        h->n_moved += moved;
}

static void updates_are_told_once_a_turn_until_the_hook_is_gone(void **state)
{
        Fixture *f = *state;
        Hooked h = {0};

        start(f, "{token: abc}", 0, 0);
        kube_api_hook_add(f->w.api, &h.hook, on_hook);
        kube_api_update(f->w.api, kube_world_config(1, "{token: abc}"));
        kube_api_update(f->w.api, kube_world_config(1, "{token: xyz}"));
        assert_int_equal(h.n, 0);
        kube_turns(&f->w, 2);
        assert_int_equal(h.n, 1);
        assert_int_equal(h.n_moved, 1);
        kube_api_update(f->w.api, kube_world_config(1, "{token: abc}"));
        kube_turns(&f->w, 2);
        assert_int_equal(h.n, 2);
        assert_int_equal(h.n_moved, 1);
        kube_api_update(f->w.api, kube_world_config(2, "{token: abc}"));
        kube_api_hook_remove(&h.hook);
        kube_api_hook_remove(&h.hook);
        kube_turns(&f->w, 2);
        assert_int_equal(h.n, 2);
}

static void queries_are_escaped(void **state)
{
        Fixture *f = *state;
        Buf b;

        start(f, "{token: abc}", 0, 0);
        buf_init(&b, 200);
        buf_add_str(&b, STR("/api/v1/things"));
        kube_query_add(&b, "fieldSelector", STR("metadata.name=a b&\xc3\xa4"));
        kube_query_add(&b, "limit", STR("5"));
        assert_true(str_eq(buf_str(&b),
                           STR("/api/v1/things?fieldSelector=metadata.name%3Da%20b%26%C3%A4&"
                               "limit=5")));
        buf_done(&b);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_call_carries_who_we_are),
                TEST(refusals_are_decoded),
                TEST(a_token_is_read_again_each_minute),
                TEST(a_refused_token_is_read_again_once),
                TEST(calls_wait_for_their_turn),
                TEST(only_so_many_calls_wait),
                TEST(plugins_are_no_credential),
                TEST(closed_in_every_state),
                TEST(an_update_leads_elsewhere),
                TEST(what_an_old_credential_was_refused_is_asked_once_more),
                TEST(after_silence_a_connection_is_made_anew),
                TEST(updates_are_told_once_a_turn_until_the_hook_is_gone),
                TEST(queries_are_escaped),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
