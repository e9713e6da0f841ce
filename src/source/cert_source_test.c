/* SPDX-License-Identifier: Apache-2.0 */
#include "source/cert_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "source/kube_test_api.h"

#define SECRETS "/api/v1/secrets"

typedef struct Fixture {
        TestApi api;
        CertSource *source;
        size_t n_told;
        bool closes;
} Fixture;

static void on_news(CertSource *s)
{
        Fixture *f = cert_source_owner(s);

        f->n_told++;
        if (f->closes)
                f->source = cert_source_close(f->source);
}

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof(*f));

        test_api_init(&f->api);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        cert_source_close(f->source);
        test_api_done(&f->api);
        mem_free(f);
        return 0;
}

static void open_source(Fixture *f)
{
        f->source = cert_source_open(&(CertSourceInput){
                .api = f->api.w.api,
                .own_namespace = STR("own"),
                .eg_namespace = STR("eg"),
                .fn = on_news,
                .owner = f,
        });
}

static void put(Fixture *f, const char *ns, const char *name, const char *meta, const char *data)
{
        test_api_put(&f->api, SECRETS, ns, name, meta, data);
}

static void what_stands_there_is_read(void **state)
{
        Fixture *f = *state;

        /* "cert", "key", "bundle". */
        put(f, "own", "tailscale-gateway-extension-tls",
            ",\"labels\":{\"app.kubernetes.io/managed-by\":\"tailscale-gateway\"},"
            "\"annotations\":{\"gateway.tailscale.com/ca-trusted-since\":\"2026-11-23T04:00:00Z\"}",
            ",\"data\":{\"tls.crt\":\"Y2VydA==\",\"tls.key\":\"a2V5\",\"ca.crt\":\"YnVuZGxl\"}");
        put(f, "eg", "tailscale-gateway-extension-tls", "", ",\"data\":{}");
        put(f, "own", "other", "", ",\"data\":{\"tls.crt\":\"Y2VydA==\"}");
        open_source(f);
        assert_false(cert_source_is_read(f->source));
        kube_turn_until(&f->api.w, &f->n_told, 1);
        assert_true(cert_source_is_read(f->source));
        const CertSecret *s = cert_source_at(f->source, CERT_SECRET_SERVER);
        Secret *key = secret_new(STR("key"));
        assert_true(str_eq(s->certificate, STR("cert")));
        assert_true(str_eq(s->ca, STR("bundle")));
        assert_true(secret_eq(s->private_key, key));
        secret_free(key);
        assert_true(s->ours);
        assert_int_equal(s->since.ms, INT64_C(1795406400000));
        assert_int_equal(s->old_certificate.n, 0);
        assert_null(s->old_private_key);
        assert_true(s->uid.n > 0 && s->version.n > 0);
        assert_null(cert_source_at(f->source, CERT_SECRET_CA));
        assert_null(cert_source_at(f->source, CERT_SECRET_EG_CA));
        assert_null(cert_source_at(f->source, CERT_SECRET_EG_CLIENT));
        assert_int_equal(f->n_told, 1);
}

static void changes_are_told(void **state)
{
        Fixture *f = *state;

        open_source(f);
        kube_turn_until(&f->api.w, &f->n_told, 1);
        kube_turns(&f->api.w, 20);
        put(f, "own", "tailscale-gateway-ca", "", ",\"data\":{\"tls.crt\":\"not base64\"}");
        kube_turn_until(&f->api.w, &f->n_told, 2);
        const CertSecret *s = cert_source_at(f->source, CERT_SECRET_CA);
        assert_non_null(s);
        assert_false(s->ours);
        assert_int_equal(s->certificate.n, 0);
        test_api_remove(&f->api, SECRETS, "own", "tailscale-gateway-ca");
        kube_turn_until(&f->api.w, &f->n_told, 3);
        assert_null(cert_source_at(f->source, CERT_SECRET_CA));
        assert_true(cert_source_is_read(f->source));
}

static void what_is_refused_is_not_known(void **state)
{
        Fixture *f = *state;

        f->api.refuse_path = "namespaces/eg/";
        f->api.refuse_answer =
                KUBE_SAYS("403 Forbidden", "{\"kind\":\"Status\",\"reason\":\"Forbidden\"}");
        open_source(f);
        kube_turns(&f->api.w, 50);
        assert_false(cert_source_is_read(f->source));
        assert_int_equal(f->n_told, 0);
}

static void closed_when_told(void **state)
{
        Fixture *f = *state;

        f->closes = true;
        open_source(f);
        kube_turn_until(&f->api.w, &f->n_told, 1);
        assert_null(f->source);
        kube_turns(&f->api.w, 5);
        assert_int_equal(f->n_told, 1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(what_stands_there_is_read),
                TEST(changes_are_told),
                TEST(what_is_refused_is_not_known),
                TEST(closed_when_told),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
