/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kube/kube_delay.h"
#include "kube/kube_test_world.h"

#define THING_OF(version)                                                        \
        "{\"kind\":\"Thing\",\"metadata\":{\"namespace\":\"ns\",\"name\":\"x\"," \
        "\"uid\":\"u-1\",\"resourceVersion\":\"" version "\"},\"spec\":{\"a\":1}}"
#define THING    THING_OF("7")
#define SUCCESS  "{\"kind\":\"Status\",\"status\":\"Success\",\"details\":{\"uid\":\"u-1\"}}"
#define PASSWORD "pass-word-of-sixteen"

static const KubeResource things = {"apis/example.com/v1", "things", "Thing"};
static const KubeResource secrets = {"api/v1", "secrets", "Secret"};

typedef struct Fixture {
        KubeWorld w;
        KubeWrite *write;
        KubeWriteCounts counts;
        size_t n_done;
        Err err;
        unsigned status, tries;
        Span retry_after;
        bool has_object, close_inside;
        int64_t a; /* object.spec.a */
        char version[KUBE_VERSION_MAX + 1], cause[64];
        Span may; /* that may_send says */
        size_t n_asked;
} Fixture;

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof(*f));

        kube_world_init(&f->w, "{token: abc}", 1000, 100);
        script_server_set(&f->w.server, KUBE_OK(THING), SCRIPT_CLOSE);
        *state = f;
        return 0;
}

static void close_it(void *ctx)
{
        Fixture *f = ctx;

        f->write = kube_write_close(f->write);
}

static int teardown(void **state)
{
        Fixture *f = *state;

        close_it(f);
        kube_world_done(&f->w);
        mem_free(f);
        return 0;
}

static void on_done(KubeWrite *w, const KubeWriteResult *r)
{
        Fixture *f = kube_write_owner(w);

        f->n_done++;
        f->err = r->err;
        f->status = r->status;
        f->tries = r->tries;
        f->retry_after = r->retry_after;
        f->has_object = r->object != NULL;
        f->a = 0;
        IGNORE(tree_i64(tree_get(tree_get(r->object, STR("spec")), STR("a")), 0, 9, false, &f->a),
               "it may have none");
        snprintf(f->version, sizeof(f->version), "%.*s", STR_FMT(r->id.version));
        f->cause[0] = '\0';
        if (r->refusal != NULL && r->refusal->n_causes > 0)
                snprintf(f->cause, sizeof(f->cause), "%.*s", STR_FMT(r->refusal->causes[0].field));
        if (f->close_inside)
                close_it(f);
}

static Span may_send(const KubeWrite *w)
{
        Fixture *f = kube_write_owner(w);

        f->n_asked++;
        return f->may;
}

static void begin(Fixture *f, KubeWriteInput in)
{
        close_it(f);
        in.api = f->w.api;
        if (in.resource == NULL)
                in.resource = &things;
        if (in.name.p == NULL)
                in.name = STR("x");
        if (in.field_manager == NULL)
                in.field_manager = "me";
        in.counts = &f->counts;
        in.seed = 1;
        in.on_done = on_done;
        in.owner = f;
        f->n_done = 0;
        f->write = kube_write_open(&in);
        assert_int_equal(f->n_done, 0);
}

static void finish(Fixture *f, KubeWriteInput in)
{
        begin(f, in);
        kube_turn_until(&f->w, &f->n_done, 1);
}

static void answer(Fixture *f, const char *bytes)
{
        script_server_set(&f->w.server, bytes, SCRIPT_CLOSE);
}

static bool was_sent(const Fixture *f, const char *what)
{
        return str_find_str(buf_str(&f->w.server.request), str_of(what)) >= 0;
}

static void assert_sent(const Fixture *f, const char *line, const char *type, const char *body)
{
        Str sent = buf_str(&f->w.server.request);
        char end[300];

        if (!str_starts(sent, str_of(line)))
                fail_msg("sent: %.*s", STR_FMT(sent));
        if (type != NULL)
                assert_true(was_sent(f, type));
        snprintf(end, sizeof(end), "\r\n\r\n%s", body);
        if (!str_ends(sent, str_of(end)))
                fail_msg("sent: %.*s", STR_FMT(sent));
}

static void each_verb_is_asked_in_its_way(void **state)
{
        Fixture *f = *state;
        const KubeWriteInput in = {.ns = STR("ns"), .body = STR("{\"a\":1}")};
        KubeWriteInput way = in;

        way.verb = KUBE_VERB_APPLY;
        way.strict = true;
        finish(f, way);
        assert_sent(f,
                    "PATCH /apis/example.com/v1/namespaces/ns/things/x?fieldManager=me&"
                    "fieldValidation=Strict&force=true HTTP/1.1\r\n",
                    "\r\nContent-Type: application/apply-patch+yaml\r\n", "{\"a\":1}");
        assert_true(was_sent(f, "\r\nAccept: application/json\r\n"));
        way.sub = "status";
        way.strict = false;
        finish(f, way);
        assert_sent(f,
                    "PATCH /apis/example.com/v1/namespaces/ns/things/x/status?fieldManager=me&"
                    "fieldValidation=Ignore&force=true HTTP/1.1\r\n",
                    "apply-patch+yaml", "{\"a\":1}");
        way = in;
        way.verb = KUBE_VERB_MERGE;
        finish(f, way);
        assert_sent(f, "PATCH /apis/example.com/v1/namespaces/ns/things/x?fieldManager=me&",
                    "\r\nContent-Type: application/merge-patch+json\r\n", "{\"a\":1}");
        way.verb = KUBE_VERB_CREATE;
        finish(f, way);
        assert_sent(f, "POST /apis/example.com/v1/namespaces/ns/things?fieldManager=me&",
                    "\r\nContent-Type: application/json\r\n", "{\"a\":1}");
        way.verb = KUBE_VERB_UPDATE;
        way.ns = (Str){0};
        way.field_manager = "a b";
        finish(f, way);
        assert_sent(f, "PUT /apis/example.com/v1/things/x?fieldManager=a%20b&",
                    "\r\nContent-Type: application/json\r\n", "{\"a\":1}");
        way.verb = KUBE_VERB_GET;
        way.body = (Str){0};
        finish(f, way);
        assert_sent(f, "GET /apis/example.com/v1/things/x HTTP/1.1\r\n", NULL, "");
        assert_int_equal(f->counts.done, 6);
        assert_int_equal(f->counts.failed + f->counts.conflicts + f->counts.retries, 0);
}

static void the_object_of_the_answer_is_told(void **state)
{
        Fixture *f = *state;

        answer(f, KUBE_SAYS("201 Created", THING));
        finish(f, (KubeWriteInput){.body = STR("{}")});
        assert_int_equal(f->err.kind, ERR_NONE);
        assert_int_equal(f->status, 201);
        assert_string_equal(f->version, "7");
        assert_int_equal(f->a, 1);
        assert_int_equal(f->tries, 1);
        finish(f, (KubeWriteInput){.body = STR("{}"), .brief = true});
        assert_true(was_sent(
                f, "\r\nAccept: application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1\r\n"));
}

static void an_answer_that_is_no_object_is_said_so(void **state)
{
        Fixture *f = *state;
        static const char *const cases[] = {KUBE_OK("{"),
                                            KUBE_OK("[]"),
                                            KUBE_OK(""),
                                            KUBE_OK("{\"metadata\":{}}"),
                                            KUBE_OK("{\"metadata\":{\"name\":\"x\"}}"),
                                            KUBE_OK(SUCCESS)};

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                answer(f, cases[i]);
                finish(f, (KubeWriteInput){.body = STR("{}")});
                assert_int_equal(f->err.kind, ERR_INVALID);
                assert_string_equal(f->err.reason, "BadAnswer");
                assert_int_equal(f->status, 200);
                assert_false(f->has_object);
        }
        assert_int_equal(f->counts.failed, LENGTH_OF(cases));
        assert_int_equal(f->w.server.n_requests, LENGTH_OF(cases));
}

static void a_delete_has_its_conditions(void **state)
{
        Fixture *f = *state;

        answer(f, KUBE_OK(SUCCESS));
        finish(f, (KubeWriteInput){.verb = KUBE_VERB_DELETE, .ns = STR("ns")});
        assert_sent(f, "DELETE /apis/example.com/v1/namespaces/ns/things/x HTTP/1.1\r\n",
                    "\r\nContent-Type: application/json\r\n",
                    "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\"}");
        assert_int_equal(f->err.kind, ERR_NONE);
        assert_false(f->has_object);
        answer(f, KUBE_SAYS("202 Later", THING));
        finish(f, (KubeWriteInput){.verb = KUBE_VERB_DELETE,
                                   .uid = STR("u-1"),
                                   .version = STR("7"),
                                   .propagation = "Foreground"});
        assert_sent(
                f, "DELETE ", NULL,
                "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"propagationPolicy\":"
                "\"Foreground\",\"preconditions\":{\"uid\":\"u-1\",\"resourceVersion\":\"7\"}}");
        assert_true(f->has_object);
        assert_int_equal(f->status, 202);
}

static void a_secret_does_not_come_back(void **state)
{
        Fixture *f = *state;
        Secret *body = secret_new(STR("{\"kind\":\"Secret\",\"data\":\"" PASSWORD "\"}"));

        finish(f, (KubeWriteInput){
                          .resource = &secrets, .ns = STR("ns"), .secret = body, .strict = true});
        body = secret_free(body);
        assert_sent(f,
                    "PATCH /api/v1/namespaces/ns/secrets/x?fieldManager=me&fieldValidation=Strict&"
                    "force=true HTTP/1.1\r\n",
                    "\r\nContent-Type: application/apply-patch+yaml\r\n",
                    "{\"kind\":\"Secret\",\"data\":\"" PASSWORD "\"}");
        assert_true(was_sent(f, "as=PartialObjectMetadata"));
        assert_string_equal(f->version, "7");
}

static void a_secret_is_sent_again(void **state)
{
        Fixture *f = *state;
        Secret *body = secret_new(STR("{\"data\":\"" PASSWORD "\"}"));

        answer(f, KUBE_SAYS("503 Later", "no"));
        begin(f, (KubeWriteInput){.resource = &secrets, .secret = body});
        body = secret_free(body);
        kube_turn_until(&f->w, &f->w.server.n_requests, 1);
        kube_turns(&f->w, 20);
        answer(f, KUBE_OK(THING));
        test_clock_advance(&f->w.time, SPAN_S(1));
        kube_turn_until(&f->w, &f->n_done, 1);
        assert_true(was_sent(f, PASSWORD));
        assert_int_equal(f->tries, 2);
}

typedef struct Refusal {
        const char *answer;
        ErrKind kind;
        const char *reason;
        uint64_t conflicts;
} Refusal;

static void what_a_person_must_mend_is_not_tried_again(void **state)
{
        Fixture *f = *state;
        static const Refusal cases[] = {
                {KUBE_SAYS("409 No", "{\"kind\":\"Status\",\"reason\":\"Conflict\",\"message\":"
                                     "\"changed\",\"details\":{\"causes\":[{\"field\":\"f\"}]}}"),
                 ERR_CONFLICT, "Conflict", 1},
                {KUBE_SAYS("409 No", "{\"kind\":\"Status\",\"reason\":\"AlreadyExists\","
                                     "\"message\":\"there\"}"),
                 ERR_CONFLICT, "AlreadyExists", 1},
                {KUBE_SAYS("404 No", "{\"kind\":\"Status\",\"reason\":\"NotFound\","
                                     "\"message\":\"no\"}"),
                 ERR_MISSING, "NotFound", 0},
                {KUBE_SAYS("403 No", "{\"kind\":\"Status\",\"reason\":\"Forbidden\","
                                     "\"message\":\"no\"}"),
                 ERR_DENIED, "Forbidden", 0},
                {KUBE_SAYS("401 No", ""), ERR_DENIED, "Unauthorized", 0},
                {KUBE_SAYS("422 No", "{\"kind\":\"Status\",\"reason\":\"Invalid\","
                                     "\"message\":\"no\"}"),
                 ERR_INVALID, "Invalid", 0},
                {KUBE_SAYS("400 No", "{\"kind\":\"Status\",\"reason\":\"BadRequest\","
                                     "\"message\":\"strict decoding error\"}"),
                 ERR_INVALID, "BadRequest", 0},
                {KUBE_SAYS("413 No", ""), ERR_LIMIT, "RequestEntityTooLarge", 0},
                {KUBE_SAYS("500 No",
                           "{\"kind\":\"Status\",\"message\":\"failed to create typed patch "
                           "object (a/b; c/v1, Kind=D): .x: field not declared in "
                           "schema\",\"code\":500}"),
                 ERR_INVALID, "NotOfSchema", 0},
        };

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                uint64_t conflicts = f->counts.conflicts, failed = f->counts.failed;

                answer(f, cases[i].answer);
                finish(f, (KubeWriteInput){.ns = STR("ns"), .body = STR("{}")});
                assert_int_equal(f->err.kind, cases[i].kind);
                assert_string_equal(f->err.reason, cases[i].reason);
                assert_int_equal(f->tries, 1);
                assert_int_equal(f->counts.conflicts - conflicts, cases[i].conflicts);
                assert_int_equal(f->counts.failed - failed, 1 - cases[i].conflicts);
                if (i == 0)
                        assert_string_equal(f->cause, "f");
        }
        test_clock_advance(&f->w.time, SPAN_S(60));
        kube_turns(&f->w, 20);
        assert_int_equal(f->w.server.n_requests, LENGTH_OF(cases));
}

static void what_goes_away_is_tried_so_many_times(void **state)
{
        Fixture *f = *state;
        static const char *const cases[] = {KUBE_SAYS("503 Later", ""), KUBE_SAYS("500 Oh", ""),
                                            KUBE_SAYS("408 Slow", ""), "",
                                            "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"};

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                size_t before = f->w.server.n_requests;

                answer(f, cases[i]);
                begin(f, (KubeWriteInput){.body = STR("{\"a\":1}")});
                for (unsigned t = 1; t <= KUBE_WRITE_TRIES; t++) {
                        kube_turn_until(&f->w, &f->w.server.n_requests, before + t);
                        kube_turns(&f->w, 20);
                        assert_int_equal(f->n_done, t == KUBE_WRITE_TRIES);
                        assert_int_equal(f->w.server.n_requests, before + t);
                        assert_true(was_sent(f, "\r\n\r\n{\"a\":1}"));
                        test_clock_advance(&f->w.time, SPAN_S(KUBE_BACKOFF_MAX_S));
                }
                assert_int_equal(f->err.kind, ERR_TRANSIENT);
                assert_int_equal(f->tries, KUBE_WRITE_TRIES);
                assert_int_equal(f->counts.failed, i + 1);
                assert_int_equal(f->counts.retries, (i + 1) * (KUBE_WRITE_TRIES - 1));
        }
        /* The owner may wish for fewer. */
        finish(f, (KubeWriteInput){.body = STR("{}"), .tries = 1});
        assert_int_equal(f->tries, 1);
        assert_int_equal(f->err.kind, ERR_TRANSIENT);
}

static void retry_after_is_obeyed(void **state)
{
        Fixture *f = *state;

        answer(f, KUBE_SAYS("429 Slow\r\nRetry-After: 30", ""));
        begin(f, (KubeWriteInput){.body = STR("{}")});
        kube_turn_until(&f->w, &f->w.server.n_requests, 1);
        kube_turns(&f->w, 20);
        test_clock_advance(&f->w.time, SPAN_S(29));
        kube_turns(&f->w, 20);
        assert_int_equal(f->w.server.n_requests, 1);
        answer(f, KUBE_OK(THING));
        test_clock_advance(&f->w.time, SPAN_S(1));
        kube_turn_until(&f->w, &f->n_done, 1);
        assert_int_equal(f->err.kind, ERR_NONE);
        /* What is longer than anybody's patience is the owner's. */
        answer(f, KUBE_SAYS("429 Slow\r\nRetry-After: 61", ""));
        finish(f, (KubeWriteInput){.body = STR("{}")});
        assert_int_equal(f->tries, 1);
        assert_int_equal(f->retry_after.ns, SPAN_S(61).ns);
        assert_string_equal(f->err.reason, "TooManyRequests");
}

static void nothing_leaves_where_it_may_not(void **state)
{
        Fixture *f = *state;

        finish(f, (KubeWriteInput){.body = STR("{}"), .may_send = may_send});
        assert_int_equal(f->w.server.n_requests, 0);
        assert_int_equal(f->err.kind, ERR_DENIED);
        assert_string_equal(f->err.reason, "NotLeading");
        assert_int_equal(f->counts.refused, 1);
        assert_int_equal(f->counts.failed, 0);
        /* Asked again before each try. */
        f->may = SPAN_S(5);
        answer(f, KUBE_SAYS("503 Later", ""));
        begin(f, (KubeWriteInput){.body = STR("{}"), .may_send = may_send});
        kube_turn_until(&f->w, &f->w.server.n_requests, 1);
        kube_turns(&f->w, 20);
        f->may = (Span){-1};
        test_clock_advance(&f->w.time, SPAN_S(1));
        kube_turn_until(&f->w, &f->n_done, 1);
        assert_string_equal(f->err.reason, "NotLeading");
        assert_int_equal(f->w.server.n_requests, 1);
        assert_int_equal(f->n_asked, 3);
}

static void nothing_is_under_way_longer_than_it_may(void **state)
{
        Fixture *f = *state;

        script_server_set(&f->w.server, "HTTP/1.1 200 OK\r\n", SCRIPT_STALL);
        f->may = SPAN_S(5);
        begin(f, (KubeWriteInput){.body = STR("{}"), .may_send = may_send, .tries = 1});
        kube_turn_until(&f->w, &f->w.server.n_requests, 1);
        test_clock_advance(&f->w.time, SPAN_MS(4999));
        kube_turns(&f->w, 20);
        assert_int_equal(f->n_done, 0);
        test_clock_advance(&f->w.time, SPAN_MS(1));
        kube_turn_until(&f->w, &f->n_done, 1);
        assert_string_equal(f->err.reason, "Timeout");
        /* Without it the deadline is ours. */
        begin(f, (KubeWriteInput){.body = STR("{}"), .tries = 1});
        kube_turn_until(&f->w, &f->w.server.n_requests, 2);
        test_clock_advance(&f->w.time, SPAN_S(KUBE_WRITE_DEADLINE_S - 1));
        kube_turns(&f->w, 20);
        assert_int_equal(f->n_done, 0);
        test_clock_advance(&f->w.time, SPAN_S(1));
        kube_turn_until(&f->w, &f->n_done, 1);
        assert_string_equal(f->err.reason, "Timeout");
}

/* Also one that had to wait for its turn: it is asked when it would leave. */
static void one_that_waited_is_asked_when_its_turn_is(void **state)
{
        Fixture *f = *state;
        KubeWrite *first;
        KubeWriteInput in;

        kube_world_done(&f->w);
        kube_world_init(&f->w, "{token: abc}", 1, 1);
        answer(f, KUBE_OK(THING));
        in = (KubeWriteInput){.api = f->w.api,
                              .resource = &things,
                              .name = STR("y"),
                              .field_manager = "me",
                              .body = STR("{}"),
                              .on_done = on_done,
                              .owner = f};
        first = kube_write_open(&in);
        f->may = SPAN_S(5);
        begin(f, (KubeWriteInput){.body = STR("{}"), .may_send = may_send});
        kube_turn_until(&f->w, &f->n_done, 1);
        assert_int_equal(f->n_asked, 0);
        f->may = (Span){0};
        test_clock_advance(&f->w.time, SPAN_S(1));
        kube_turn_until(&f->w, &f->n_done, 2);
        assert_string_equal(f->err.reason, "NotLeading");
        assert_int_equal(f->w.server.n_requests, 1);
        kube_write_close(first);
}

static void names_that_no_object_has_are_refused(void **state)
{
        Fixture *f = *state;
        char longer[255];
        const Str cases[] = {STR("."),     STR(".."),       STR("a/b"),  STR("a?b"),
                             STR("a%2fb"), STR("a\nb"),     STR("a#b"),  STR("a b"),
                             STR(""),      STR("\xc3\xa4"), STR("\xff"), {longer, 254}};

        memset(longer, 'a', sizeof(longer));
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                finish(f, (KubeWriteInput){.name = cases[i], .body = STR("{}")});
                assert_string_equal(f->err.reason, "BadName");
                if (cases[i].n == 0)
                        continue;
                finish(f, (KubeWriteInput){.ns = cases[i], .body = STR("{}")});
                assert_string_equal(f->err.reason, "BadName");
        }
        assert_int_equal(f->w.server.n_requests, 0);
        assert_true(f->counts.failed > 0);
        f->close_inside = true;
        finish(f, (KubeWriteInput){.name = STR(".."), .body = STR("{}")});
        assert_null(f->write);
}

static void too_much_is_refused(void **state)
{
        Fixture *f = *state;
        char *body = mem_new(HTTP_CLIENT_BODY_MAX + 1);

        finish(f, (KubeWriteInput){.body = {body, HTTP_CLIENT_BODY_MAX + 1}});
        mem_free(body);
        assert_int_equal(f->err.kind, ERR_LIMIT);
        assert_string_equal(f->err.reason, "TooLarge");
        assert_int_equal(f->w.server.n_requests, 0);
}

static void closed_in_every_state(void **state)
{
        Fixture *f = *state;
        static const unsigned turns[] = {0, 1, 2, 3, 5, 30};
        static const char *const answers[] = {KUBE_OK(THING), KUBE_SAYS("503 Later", ""),
                                              KUBE_SAYS("409 No", "")};

        for (size_t a = 0; a < LENGTH_OF(answers); a++) {
                for (CloserKind how = 0; how < CLOSER_KINDS; how++) {
                        for (size_t i = 0; i < LENGTH_OF(turns); i++) {
                                size_t done;

                                answer(f, answers[a]);
                                begin(f, (KubeWriteInput){.body = STR("{}")});
                                kube_turns(&f->w, turns[i]);
                                closer_play(f->w.loop, how, close_it, f);
                                done = f->n_done;
                                test_clock_advance(&f->w.time, SPAN_S(60));
                                kube_turns(&f->w, 5);
                                assert_int_equal(f->n_done, done);
                        }
                }
                f->close_inside = true;
                answer(f, KUBE_OK(THING));
                finish(f, (KubeWriteInput){.body = STR("{}")});
                assert_null(f->write);
                f->close_inside = false;
        }
}

static void words_for_people(void **state)
{
        (void)state;
        assert_string_equal(kube_resource_version(&things), "example.com/v1");
        assert_string_equal(kube_resource_version(&secrets), "v1");
        for (KubeVerb v = 0; v < KUBE_VERBS; v++)
                assert_true(strlen(kube_verb_name(v)) > 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(each_verb_is_asked_in_its_way),
                TEST(the_object_of_the_answer_is_told),
                TEST(an_answer_that_is_no_object_is_said_so),
                TEST(a_delete_has_its_conditions),
                TEST(a_secret_does_not_come_back),
                TEST(a_secret_is_sent_again),
                TEST(what_a_person_must_mend_is_not_tried_again),
                TEST(what_goes_away_is_tried_so_many_times),
                TEST(retry_after_is_obeyed),
                TEST(nothing_leaves_where_it_may_not),
                TEST(nothing_is_under_way_longer_than_it_may),
                TEST(one_that_waited_is_asked_when_its_turn_is),
                TEST(names_that_no_object_has_are_refused),
                TEST(too_much_is_refused),
                TEST(closed_in_every_state),
                cmocka_unit_test(words_for_people),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
