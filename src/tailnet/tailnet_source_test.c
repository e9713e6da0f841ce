/* SPDX-License-Identifier: Apache-2.0 */
#include "tailnet/tailnet_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "io/file.h"
#include "net/http_client.h"
#include "net/script_server.h"

enum {
        TURNS_MAX = 20000
};

typedef struct Fixture {
        Mono mono;
        Wall wall;
        Clock clock;
        Loop *loop;
        HttpClient *http;
        Secret *key;
        ScriptServer server;
        char url[64], dir[64], path[96];
        TailnetSpec *spec;
        TailnetSource *source;
        bool close_inside;
        unsigned n_answers, n_changed;
        TailnetAnswer last; /* holds the devices */
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
        f->wall = (Wall){INT64_C(1795381081000)};
        f->clock = (Clock){read_mono, read_wall, f};
        f->loop = loop_new(&f->clock);
        f->http = http_client_new(f->loop, NULL);
        f->key = secret_new(STR("hskey-abc"));
        f->spec = leaf_new(sizeof(*f->spec), 0, NULL);
        script_server_open(&f->server, f->loop);
        /* A Headscale that has API v1 alone; API v2 has tests of its own. */
        f->server.paths[0] = (ScriptPath){
                .target = "/api/v2/",
                .answer = "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n404 page not found"};
        snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u/", f->server.port);
        snprintf(f->dir, sizeof(f->dir), "/tmp/tailnet-source-test-XXXXXX");
        assert_non_null(mkdtemp(f->dir));
        snprintf(f->path, sizeof(f->path), "%s/devices", f->dir);
        f->spec->api_url = str_of(f->url);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        tailnet_source_close(f->source);
        table_unref(f->last.devices);
        http_client_free(f->http);
        script_server_close(&f->server);
        secret_free(f->key);
        leaf_unref(f->spec);
        loop_turn(f->loop, SPAN_MS(0));
        loop_free(f->loop);
        unlink(f->path);
        rmdir(f->dir);
        mem_free(f);
        return 0;
}

static void on_answer(TailnetSource *s, TailnetAnswer *a)
{
        Fixture *f = tailnet_source_owner(s);

        assert_false(tailnet_source_is_polling(s));
        f->n_answers++;
        table_unref(f->last.devices);
        f->last = *a;
        if (f->close_inside)
                f->source = tailnet_source_close(s);
}

static void on_changed(TailnetSource *s)
{
        ((Fixture *)tailnet_source_owner(s))->n_changed++;
}

static TailnetSource *open_source(Fixture *f, const Secret *key, Err *err)
{
        return tailnet_source_open(&(TailnetSourceInput){.loop = f->loop,
                                                         .http = f->http,
                                                         .spec = f->spec,
                                                         .credentials = {.api_key = key},
                                                         .fn = on_answer,
                                                         .changed = on_changed,
                                                         .owner = f},
                                   err);
}

/* One poll of the source, opened where it is not. */
static const TailnetAnswer *ask(Fixture *f)
{
        unsigned before = f->n_answers;
        Err err = {0};

        if (f->source == NULL)
                f->source = open_source(f, f->key, &err);
        assert_non_null(f->source);
        tailnet_source_poll(f->source);
        assert_true(tailnet_source_is_polling(f->source));
        tailnet_source_poll(f->source);
        assert_int_equal(f->n_answers, before);
        for (unsigned i = 0; i < TURNS_MAX && f->n_answers == before; i++)
                loop_turn(f->loop, SPAN_MS(10));
        loop_turn(f->loop, SPAN_MS(1));
        loop_turn(f->loop, SPAN_MS(1));
        assert_int_equal(f->n_answers, before + 1);
        return &f->last;
}

#define NODE(id, name)                                                                  \
        "{\"id\":\"" id "\",\"givenName\":\"" name "\",\"ipAddresses\":[\"100.64.0." id \
        "\"],\"online\":true}"
#define OK "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"

static void a_list_comes_in(void **state)
{
        Fixture *f = *state;

        f->spec->magic_dns_suffix = STR("corp.example");
        script_server_set(&f->server, OK "{\"nodes\":[" NODE("2", "web") "," NODE("1", "api") "]}",
                          SCRIPT_CLOSE);
        f->server.slice = 7;
        const TailnetAnswer *a = ask(f);
        assert_int_equal(a->err.kind, ERR_NONE);
        assert_int_equal(a->devices->n, 2);
        assert_true(str_eq(((const Device *)a->devices->at[0])->name, STR("api.corp.example")));
        assert_true(str_starts(buf_str(&f->server.request), STR("GET /api/v1/node HTTP/1.1\r\n")));
        assert_true(str_find_str(buf_str(&f->server.request),
                                 STR("\r\nAuthorization: Bearer hskey-abc\r\n")) > 0);
        const Table *first = table_ref(a->devices);
        assert_ptr_equal(ask(f)->devices, first);
        table_unref(first);
}

static void only_a_whole_list_is_one(void **state)
{
        static const struct {
                const char *body;
                ErrKind kind;
        } cases[] = {
                {"{\"nodes\":[" NODE("1", "api") "]", ERR_INVALID},
                {"{\"nodes\":[" NODE("1", "api"), ERR_INVALID},
                {"{\"nodes\":[", ERR_INVALID},
                {"{\"nodes\":null}", ERR_INVALID},
                {"{\"nodes\":{}}", ERR_INVALID},
                {"{\"devices\":[]}", ERR_INVALID},
                {"{}", ERR_INVALID},
                {"[]", ERR_INVALID},
                {"", ERR_INVALID},
                {"<html>login</html>", ERR_INVALID},
                {"{\"nodes\":[{\"id\":\"1\"}]}", ERR_INVALID},
                {"{\"nodes\":[]} x", ERR_INVALID},
                {"{\"nodes\":[]}", ERR_NONE},
        };
        Fixture *f = *state;
        char answer[512];

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                snprintf(answer, sizeof(answer), OK "%s", cases[i].body);
                script_server_set(&f->server, answer, SCRIPT_CLOSE);
                const TailnetAnswer *a = ask(f);

                assert_int_equal(a->err.kind, cases[i].kind);
                assert_int_equal(a->devices != NULL, cases[i].kind == ERR_NONE);
        }
}

static void each_status_has_its_meaning(void **state)
{
        static const struct {
                const char *head;
                ErrKind kind;
                const char *reason;
                int64_t retry_after;
        } cases[] = {
                {"401 Unauthorized", ERR_DENIED, "Unauthorized", 0},
                {"403 Forbidden", ERR_DENIED, "Forbidden", 0},
                {"404 Not Found", ERR_INVALID, "UnexpectedStatus", 0},
                {"429 Slow\r\nRetry-After: 20", ERR_TRANSIENT, "TooManyRequests", 20},
                {"503 Later\r\nRetry-After: 5", ERR_TRANSIENT, "ServiceUnavailable", 5},
                {"500 Oops", ERR_TRANSIENT, "ServerError", 0},
                {"502 Oops", ERR_TRANSIENT, "ServerError", 0},
                {"204 Nothing", ERR_INVALID, "UnexpectedStatus", 0},
                {"206 Part", ERR_INVALID, "UnexpectedStatus", 0},
                {"302 There\r\nLocation: http://127.0.0.1:1/", ERR_INVALID, "RedirectRefused", 0},
        };
        Fixture *f = *state;
        char answer[512];

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                snprintf(answer, sizeof(answer),
                         "HTTP/1.1 %s\r\nContent-Length: 12\r\n\r\n{\"nodes\":[]}", cases[i].head);
                script_server_set(&f->server, answer, SCRIPT_CLOSE);
                const TailnetAnswer *a = ask(f);

                assert_null(a->devices);
                assert_int_equal(a->err.kind, cases[i].kind);
                assert_string_equal(a->err.reason, cases[i].reason);
                assert_int_equal(a->retry_after.ns, SPAN_S(cases[i].retry_after).ns);
                assert_null(strstr(a->err.text, "hskey"));
        }
}

static void a_server_that_is_silent_or_endless(void **state)
{
        Fixture *f = *state;
        Err err;

        script_server_set(&f->server, OK "{\"nodes\":[", SCRIPT_STALL);
        f->source = open_source(f, f->key, &err);
        tailnet_source_poll(f->source);
        for (int i = 0; i < 20; i++)
                loop_turn(f->loop, SPAN_MS(5));
        assert_int_equal(f->n_answers, 0);
        f->mono = mono_add(f->mono, SPAN_S(TAILNET_POLL_SECONDS));
        for (int i = 0; i < 20; i++)
                loop_turn(f->loop, SPAN_MS(1));
        assert_int_equal(f->n_answers, 1);
        assert_int_equal(f->last.err.kind, ERR_TRANSIENT);
        assert_string_equal(f->last.err.reason, "Timeout");
        script_server_set(&f->server, OK "{\"nodes\":[{\"id\":\"", SCRIPT_ENDLESS);
        assert_int_equal(ask(f)->err.kind, ERR_INVALID);
        script_server_set(&f->server, OK "{\"nodes\":[ ", SCRIPT_ENDLESS);
        assert_int_equal(ask(f)->err.kind, ERR_LIMIT);
}

static void nothing_comes_after_close(void **state)
{
        Fixture *f = *state;
        Err err;

        script_server_set(&f->server, OK "{\"nodes\":[" NODE("1", "api") "]}", SCRIPT_CLOSE);
        for (unsigned n = 0; n < 10; n++) {
                f->source = open_source(f, f->key, &err);
                tailnet_source_poll(f->source);
                for (unsigned i = 0; i < n; i++)
                        loop_turn(f->loop, SPAN_MS(2));
                unsigned before = f->n_answers;
                f->source = tailnet_source_close(f->source);
                for (unsigned i = 0; i < 5; i++)
                        loop_turn(f->loop, SPAN_MS(1));
                assert_int_equal(f->n_answers, before);
        }
        f->close_inside = true;
        f->source = NULL;
        ask(f);
        assert_null(f->source);
        f->spec->file_path = str_of(f->path);
        ask(f);
        assert_null(f->source);
        f->close_inside = false;
        f->source = open_source(f, NULL, &err);
        tailnet_source_poll(f->source);
        f->source = tailnet_source_close(f->source);
        loop_turn(f->loop, SPAN_MS(1));
}

static void what_cannot_be_opened_says_why(void **state)
{
        static const struct {
                const char *url;
                TailnetType type;
        } cases[] = {
                {"https://api.tailscale.com", TAILNET_AUTO},
                {"https://hs.example.com", TAILNET_TAILSCALE},
                {"https://hs.example.com", TAILNET_AUTO},
                {"https://api.tailscale.com", TAILNET_HEADSCALE},
        };
        Fixture *f = *state;
        Err err = {0};

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                f->spec->api_url = str_of(cases[i].url);
                f->spec->type = cases[i].type;
                f->source = open_source(f, f->key, &err);
                assert_non_null(f->source);
                f->source = tailnet_source_close(f->source);
                assert_null(open_source(f, NULL, &err));
                assert_int_equal(err.kind, ERR_MISSING);
                assert_string_equal(err.reason, "CredentialMissing");
        }
}

static void write_file(Fixture *f, const char *text)
{
        Err err;

        assert_true(file_write_atomic(f->dir, "devices", str_of(text), 0600, false, &err));
}

static void a_file_in_any_form(void **state)
{
        static const struct {
                const char *text;
                size_t n; /* SIZE_MAX: an error */
        } cases[] = {
                {"{\"devices\":[{\"id\":\"1\",\"name\":\"a.b\",\"addresses\":[\"100.64.0.1\"]}]}",
                 1},
                {" \n{\"nodes\":[" NODE("1", "a") "," NODE("2", "b") "]}", 2},
                {"{\"devices\":[]}", 0},
                {"devices: []\n", 0},
                {"# by hand\ndevices:\n- {nodeId: n1, name: a, addresses: [100.64.0.1]}\n"
                 "- nodeId: n2\n  name: b\n  addresses: ['100.64.0.2', \"fd7a:115c:a1e0::2\"]\n",
                 2},
                {"nodes:\n- id: '1'\n  givenName: a\n  ipAddresses: [100.64.0.1]\n", 1},
                {"{\"devices\":[{\"id\":\"1\",\"name\":\"a\",\"addresses\":[\"100.64.0.1\"]}",
                 SIZE_MAX},
                {"{\"nodes\":[" NODE("1", "a"), SIZE_MAX},
                {"{\"nodes\":{}}", SIZE_MAX},
                {"{}", SIZE_MAX},
                {"", SIZE_MAX},
                {"devices:\n", SIZE_MAX},
                {"devices: {}\n", SIZE_MAX},
                {"devices: []\n---\ndevices: []\n", SIZE_MAX},
                {"- a\n", SIZE_MAX},
                {"devices: [\n", SIZE_MAX},
                {"devices: [{}, {}]\n", SIZE_MAX},
        };
        Fixture *f = *state;

        f->spec->file_path = str_of(f->path);
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                write_file(f, cases[i].text);
                const TailnetAnswer *a = ask(f);

                if (cases[i].n == SIZE_MAX) {
                        assert_null(a->devices);
                        assert_int_equal(a->err.kind, ERR_INVALID);
                        assert_non_null(strstr(a->err.text, f->path));
                } else {
                        assert_non_null(a->devices);
                        assert_int_equal(a->devices->n, cases[i].n);
                }
        }
        unlink(f->path);
        assert_int_equal(ask(f)->err.kind, ERR_MISSING);
}

/* The watch waits in the loop's time, which the test moves. */
static void wait_for_change(Fixture *f, unsigned n)
{
        for (unsigned i = 0; i < 200 && f->n_changed < n; i++) {
                loop_turn(f->loop, SPAN_MS(5));
                f->mono = mono_add(f->mono, SPAN_MS(20));
        }
        assert_int_equal(f->n_changed, n);
}

static void a_change_of_the_file_is_told(void **state)
{
        Fixture *f = *state;
        Err err;

        f->spec->file_path = str_of(f->path);
        assert_int_equal(ask(f)->err.kind, ERR_MISSING);
        write_file(f, "{\"devices\":[]}");
        wait_for_change(f, 1);
        assert_int_equal(ask(f)->devices->n, 0);
        /* What else happens in the directory is nobody's business. */
        assert_true(file_write_atomic(f->dir, "other", STR("x"), 0600, false, &err));
        for (unsigned i = 0; i < 60; i++) {
                loop_turn(f->loop, SPAN_MS(1));
                f->mono = mono_add(f->mono, SPAN_MS(20));
        }
        assert_int_equal(f->n_changed, 1);
        assert_true(file_remove(f->dir, "other", &err));
        write_file(f, "{\"devices\":[] }");
        wait_for_change(f, 2);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_list_comes_in),
                TEST(only_a_whole_list_is_one),
                TEST(each_status_has_its_meaning),
                TEST(a_server_that_is_silent_or_endless),
                TEST(nothing_comes_after_close),
                TEST(what_cannot_be_opened_says_why),
                TEST(a_file_in_any_form),
                TEST(a_change_of_the_file_is_told),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
