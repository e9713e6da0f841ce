/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper at an API server that holds Secrets, tells of them, and is written to. */
#include "app/cert_keeper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "admin/admin.h"
#include "base/mem.h"
#include "proto/json.h"
#include "source/kube_test_api.h"

#define SECRETS "/api/v1/secrets"

typedef struct Fixture {
        TestApi api;
        Arena a;
        CertKeeper *keeper;
        bool may_write;
        size_t n_writes;
        ScriptPath answer;
        const char *refusal;
} Fixture;

/* Writes come in here; all else is the server's own. */
static ScriptPath *on_request(ScriptServer *s, Str request)
{
        Fixture *f = CONTAINER_OF(s, Fixture, api.w.server);
        bool creates = str_starts(request, STR("POST "));

        if (!creates && !str_starts(request, STR("PATCH ")))
                return test_api_find(s, request);
        f->n_writes++;
        f->answer = (ScriptPath){NULL,
                                 KUBE_OK("{\"metadata\":{\"name\":\"x\",\"uid\":\"u\","
                                         "\"resourceVersion\":\"1\"}}"),
                                 SCRIPT_CLOSE, 0};
        if (f->refusal != NULL) {
                f->answer.answer = f->refusal;
                return &f->answer;
        }
        ptrdiff_t head = str_find_str(request, STR("\r\n\r\n"));
        Str body = str_sub(request, (size_t)head + 4, SIZE_MAX);
        const Tree *meta = tree_get(json_read(&f->a, body, NULL, NULL), STR("metadata"));
        size_t labels = (size_t)str_find_str(body, STR("\"labels\":"));
        size_t type = (size_t)str_find_str(body, STR(",\"type\":"));
        /* What stands in metadata from the labels on, and behind it. */
        Str more = arena_printf(&f->a, ",%.*s", STR_FMT(str_sub(body, labels, type - 1 - labels)));
        Str rest = arena_str(&f->a, str_sub(body, type, body.n - 1 - type));
        test_api_put(&f->api, SECRETS, tree_get_str(meta, STR("namespace")).p,
                     tree_get_str(meta, STR("name")).p, more.p, rest.p);
        return &f->answer;
}

static Span may_write(void *owner)
{
        return ((Fixture *)owner)->may_write ? SPAN_S(10) : (Span){0};
}

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof(*f));

        test_api_init(&f->api);
        f->api.w.server.find = on_request;
        arena_init(&f->a, 0);
        f->keeper = cert_keeper_open(&(CertKeeperInput){
                .loop = f->api.w.loop,
                .api = f->api.w.api,
                .own_namespace = STR("system"),
                .eg_namespace = STR("eg"),
                .service = STR("ext"),
                .may_write = may_write,
                .owner = f,
        });
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        cert_keeper_close(f->keeper);
        test_api_done(&f->api);
        arena_done(&f->a);
        mem_free(f);
        return 0;
}

static void pass(Fixture *f, int seconds)
{
        for (; seconds > 0; seconds--) {
                test_clock_advance(&f->api.w.time, SPAN_S(1));
                kube_turns(&f->api.w, 15);
        }
}

/* The value behind a name of a metric. */
static int64_t number(Fixture *f, const char *name, const char *labels)
{
        AdminView v = {0};

        cert_keeper_view(f->keeper, &v);
        for (size_t i = 0; i < v.n_metrics; i++)
                for (size_t k = 0; k < v.metrics[i].table->n; k++) {
                        const MetricDesc *d = &v.metrics[i].table->at[k];
                        if (strcmp(d->name, name) == 0 &&
                            (labels == NULL || strcmp(d->labels, labels) == 0))
                                return *(const int64_t *)(const void *)((const char *)v.metrics[i]
                                                                                .object +
                                                                        d->offset);
                }
        fail_msg("%s", name);
        return -1;
}

static void all_come_to_stand_there(void **state)
{
        Fixture *f = *state;

        f->may_write = true;
        pass(f, 6);
        assert_int_equal(f->n_writes, 4);
        int64_t now = f->api.w.time.wall.ms / 1000;
        int64_t ends = number(f, "tailscale_gateway_certificate_expiry_timestamp_seconds",
                              "certificate=\"server\"");
        assert_in_range(ends, now + 89 * 86400, now + 90 * 86400);
        assert_int_equal(number(f, "tailscale_gateway_certificates_leaves_made_total", NULL), 2);
        assert_int_equal(number(f, "tailscale_gateway_certificates_failures_total", NULL), 0);
        /* And nothing more. */
        pass(f, 20);
        assert_int_equal(f->n_writes, 4);
        test_api_remove(&f->api, SECRETS, "eg", "tailscale-gateway-extension-ca");
        pass(f, 4);
        assert_int_equal(f->n_writes, 5);
        test_api_remove(&f->api, SECRETS, "system", "tailscale-gateway-ca");
        pass(f, 6);
        /* The new CA, and two bundles that hold both. */
        assert_int_equal(f->n_writes, 8);
        assert_int_equal(number(f, "tailscale_gateway_certificates_rotating", NULL), 1);
}

static void only_who_leads_writes(void **state)
{
        Fixture *f = *state;

        pass(f, 5);
        assert_int_equal(f->n_writes, 0);
        f->may_write = true;
        cert_keeper_look(f->keeper);
        pass(f, 6);
        assert_int_equal(f->n_writes, 4);
}

static void what_is_refused_is_tried_later(void **state)
{
        Fixture *f = *state;

        f->may_write = true;
        f->refusal = KUBE_SAYS("403 Forbidden", "{\"kind\":\"Status\",\"reason\":\"Forbidden\"}");
        pass(f, 30);
        assert_in_range(f->n_writes, 2, 4);
        f->refusal = NULL;
        pass(f, 30);
        assert_int_equal(number(f, "tailscale_gateway_certificates_leaves_made_total", NULL), 2);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(all_come_to_stand_there),
                TEST(only_who_leads_writes),
                TEST(what_is_refused_is_tried_later),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
