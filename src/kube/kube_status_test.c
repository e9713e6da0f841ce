/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"

static void a_conflict_names_its_causes(void **state)
{
        KubeStatus s;
        Arena arena;
        Err err = {0};

        (void)state;
        arena_init(&arena, 0);
        assert_true(kube_status_read(
                STR("{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":"
                    "\"Failure\",\"message\":\"Apply failed with 1 conflict\",\"reason\":"
                    "\"Conflict\",\"details\":{\"causes\":[{\"reason\":\"FieldManagerConflict\","
                    "\"message\":\"conflict with "
                    "\\\"a\\\"\",\"field\":\".spec.x\"}]},\"code\":409}"),
                &arena, &s));
        assert_int_equal(s.code, 409);
        assert_int_equal(s.n_causes, 1);
        assert_true(kube_status_has(&s, STR("FieldManagerConflict")));
        assert_false(kube_status_has(&s, STR("Other")));
        assert_true(str_eq(s.causes[0].field, STR(".spec.x")));
        assert_false(kube_status_err(&s, 409, "PATCH /x", &err));
        assert_int_equal(err.kind, ERR_CONFLICT);
        assert_string_equal(err.reason, "Conflict");
        assert_string_equal(err.text,
                            "PATCH /x: answered with status 409: Apply failed with 1 conflict");
        arena_done(&arena);
}

static void waits_are_read_and_bounded(void **state)
{
        static const struct {
                Str body;
                int64_t seconds;
        } cases[] = {
                {STR_INIT("{\"kind\":\"Status\",\"details\":{\"retryAfterSeconds\":7}}"), 7},
                {STR_INIT("{\"kind\":\"Status\",\"details\":{\"retryAfterSeconds\":99999999}}"),
                 KUBE_RETRY_AFTER_MAX_S},
                {STR_INIT("{\"kind\":\"Status\",\"details\":{\"retryAfterSeconds\":-7}}"), 0},
                {STR_INIT("{\"kind\":\"Status\",\"details\":null}"), 0},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                KubeStatus s;
                Arena arena;

                arena_init(&arena, 0);
                assert_true(kube_status_read(cases[i].body, &arena, &s));
                assert_int_equal(s.retry_after.ns, SPAN_S(cases[i].seconds).ns);
                arena_done(&arena);
        }
}

static void every_status_has_a_kind(void **state)
{
        static const struct {
                unsigned code;
                ErrKind kind;
                const char *reason;
        } cases[] = {
                {400, ERR_INVALID, "UnexpectedStatus"},
                {401, ERR_DENIED, "Unauthorized"},
                {403, ERR_DENIED, "Forbidden"},
                {404, ERR_MISSING, "NotFound"},
                {409, ERR_CONFLICT, "Conflict"},
                {410, ERR_TRANSIENT, "Gone"},
                {413, ERR_LIMIT, "RequestEntityTooLarge"},
                {422, ERR_INVALID, "Invalid"},
                {429, ERR_TRANSIENT, "TooManyRequests"},
                {500, ERR_TRANSIENT, "ServerError"},
                {503, ERR_TRANSIENT, "ServiceUnavailable"},
                {504, ERR_TRANSIENT, "ServerError"},
                {0, ERR_INVALID, "UnexpectedStatus"},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                Err err = {0};

                assert_false(kube_status_err(NULL, cases[i].code, "GET /x", &err));
                assert_int_equal(err.kind, cases[i].kind);
                assert_string_equal(err.reason, cases[i].reason);
        }
}

static void what_is_no_status_is_none(void **state)
{
        static const Str bodies[] = {STR_INIT(""), STR_INIT("404 page not found\n"), STR_INIT("[]"),
                                     STR_INIT("{\"kind\":\"Pod\"}"), STR_INIT("{\"kind\":1}")};
        KubeStatus s = {.reason = STR_INIT("not a word"), .message = STR_INIT("m")};
        Err err = {0};

        for (size_t i = 0; i < LENGTH_OF(bodies); i++) {
                KubeStatus none;
                Arena arena;

                arena_init(&arena, 0);
                assert_false(kube_status_read(bodies[i], &arena, &none));
                arena_done(&arena);
        }
        assert_false(kube_status_err(&s, 422, "PUT /x", &err));
        assert_string_equal(err.reason, "Invalid");
        (void)state;
}

#define PATCH "failed to create typed patch object (ns/x; example.com/v1, Kind=Thing): "

/* As kube-apiserver 1.36 says it, for one field and for several; and what only looks like it. */
static void what_is_not_of_the_schema_is_told(void **state)
{
        static const struct {
                const char *message, *misfit;
        } cases[] = {
                {PATCH ".spec.x: field not declared in schema",
                 ".spec.x: field not declared in schema"},
                {PATCH "errors:\\n  .spec.a[name=\\\"b\\\",port=80].c: field not declared in "
                       "schema\\n  .spec.x: field not declared in schema",
                 ".spec.a[name=\"b\",port=80].c: field not declared in schema"},
                {PATCH ".spec.a: expected list, got &{str}", ".spec.a: expected list, got &{str}"},
                {PATCH "errors:", ""},
                {PATCH, ""},
                {"failed to create typed patch object", ""},
                {"it failed to create typed patch object (x): .y: z", ""},
                {"etcdserver: request timed out", ""},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                CLEANUP(buf_done) Buf body;
                bool is_misfit = cases[i].misfit[0] != '\0';
                KubeStatus s;
                Arena arena;
                Err err = {0};

                buf_init(&body, 4096);
                buf_printf(&body, "{\"kind\":\"Status\",\"message\":\"%s\",\"code\":500}",
                           cases[i].message);
                arena_init(&arena, 0);
                assert_true(kube_status_read(buf_str(&body), &arena, &s));
                assert_true(str_eq(s.misfit, str_of(cases[i].misfit)));
                assert_false(kube_status_err(&s, 500, "PATCH /x", &err));
                assert_int_equal(err.kind, is_misfit ? ERR_INVALID : ERR_TRANSIENT);
                assert_string_equal(err.reason, is_misfit ? "NotOfSchema" : "ServerError");
                arena_done(&arena);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_conflict_names_its_causes),
                cmocka_unit_test(waits_are_read_and_bounded),
                cmocka_unit_test(every_status_has_a_kind),
                cmocka_unit_test(what_is_no_status_is_none),
                cmocka_unit_test(what_is_not_of_the_schema_is_told),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
