/* SPDX-License-Identifier: Apache-2.0 */
/* Plans of certificates, performed at a server of the test's own that holds Secrets. */
#include "execute/cert_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kube/kube_test_world.h"
#include "proto/certificate.h"
#include "proto/json.h"

enum {
        ANSWERS_MAX = 200,
};

typedef struct Held {
        char *json; /* owned; NULL: there is none */
        unsigned version;
} Held;

typedef struct Fixture {
        KubeWorld w;
        Arena a;
        CertWriter *writer;
        Held held[CERT_SECRETS];
        unsigned version;
        const CertSecret *seen[CERT_SECRETS]; /* references */
        ScriptPath answers[ANSWERS_MAX];
        size_t n, n_posts, n_patches;
        const char *refusal; /* of all that comes */
        Str names[2];
        bool may_write, close_on_done;
        size_t n_done, n_good;
} Fixture;

static const char *const own = "/api/v1/namespaces/system/secrets";
static const char *const eg = "/api/v1/namespaces/envoy-gateway-system/secrets";

/* ---- the server */

static CertSecretRole role_of(Str text)
{
        for (CertSecretRole role = 0; role < CERT_SECRETS; role++)
                if (str_eq(text, cert_secret_name(role)))
                        return role;
        fail_msg("%.*s", STR_FMT(text));
        return CERT_SECRETS;
}

/* Holds it where its conditions hold. */
static const char *hold(Fixture *f, bool creates, Str path, Str body)
{
        const Tree *t = json_read(&f->a, body, NULL, NULL);
        const Tree *meta = tree_get(t, STR("metadata"));
        CertSecretRole role = role_of(tree_get_str(meta, STR("name")));
        Held *h = &f->held[role];
        bool is_own = role == CERT_SECRET_CA || role == CERT_SECRET_SERVER;
        Str version = tree_get_str(meta, STR("resourceVersion")), rest;
        char is[16];

        assert_true(str_starts(path, str_of(is_own ? own : eg)));
        assert_int_equal(creates, version.n == 0);
        snprintf(is, sizeof(is), "%u", h->version);
        if (creates ? h->json != NULL : h->json == NULL || !str_eq(version, str_of(is)))
                return KUBE_SAYS("409 Conflict", "{\"kind\":\"Status\",\"reason\":\"Conflict\"}");
        h->version = ++f->version;
        mem_free(h->json);
        rest = str_sub(body, (size_t)str_find_str(body, STR("\"metadata\":{")) + 12, SIZE_MAX);
        Buf b;
        buf_init(&b, 1 << 17);
        buf_printf(&b, "{\"metadata\":{\"uid\":\"u\",\"resourceVersion\":\"%u\",", h->version);
        /* What the request says of these two comes second, and is passed over. */
        buf_add_str(&b, rest);
        h->json = buf_take(&b, NULL);
        return creates ? KUBE_SAYS("201 Created", "{\"metadata\":{\"name\":\"x\",\"uid\":\"u\","
                                                  "\"resourceVersion\":\"1\"}}")
                       : KUBE_OK("{\"metadata\":{\"name\":\"x\",\"uid\":\"u\","
                                 "\"resourceVersion\":\"1\"}}");
}

static ScriptPath *answer(ScriptServer *script, Str request)
{
        KubeWorld *w = CONTAINER_OF(script, KubeWorld, server);
        Fixture *f = CONTAINER_OF(w, Fixture, w);
        Str method = {0}, path = {0}, rest = request;
        ptrdiff_t head = str_find_str(request, STR("\r\n\r\n"));

        assert_true(f->n < ANSWERS_MAX);
        assert_true(str_cut(&rest, ' ', &method) && str_cut(&rest, ' ', &path));
        bool creates = str_eq(method, STR("POST"));
        f->n_posts += creates;
        f->n_patches += str_eq(method, STR("PATCH"));
        const char *text = f->refusal != NULL ? f->refusal
                                              : hold(f, creates, path,
                                                     str_sub(request, (size_t)head + 4, SIZE_MAX));
        f->answers[f->n] = (ScriptPath){NULL, text, SCRIPT_CLOSE, 0};
        return &f->answers[f->n++];
}

/* What a watch would show. */
static void look(Fixture *f)
{
        for (CertSecretRole role = 0; role < CERT_SECRETS; role++) {
                f->seen[role] = leaf_unref(f->seen[role]);
                if (f->held[role].json == NULL)
                        continue;
                Err err = {0};
                const Tree *t = json_read(&f->a, str_of(f->held[role].json), NULL, &err);
                if (t == NULL)
                        fail_msg("%s", err.text);
                f->seen[role] = cert_secret_new(t);
                assert_non_null(f->seen[role]);
        }
}

/* ---- the writer */

static Span may_write(void *owner)
{
        return ((Fixture *)owner)->may_write ? SPAN_S(10) : (Span){0};
}

static void on_done(void *owner, bool ok)
{
        Fixture *f = owner;

        f->n_done++;
        f->n_good += ok;
        if (f->close_on_done)
                f->writer = cert_writer_close(f->writer);
}

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof(*f));

        kube_world_init(&f->w, "{token: abc}", 10000, 10000);
        f->w.server.find = answer;
        arena_init(&f->a, 0);
        f->names[0] = STR("ext.system.svc");
        f->names[1] = STR("ext.system.svc.cluster.local");
        f->may_write = true;
        f->writer = cert_writer_open(&(CertWriterInput){
                .api = f->w.api,
                .own_namespace = STR("system"),
                .eg_namespace = STR("envoy-gateway-system"),
                .server_names = {f->names, 2},
                .may_write = may_write,
                .on_done = on_done,
                .owner = f,
        });
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        cert_writer_close(f->writer);
        kube_world_done(&f->w);
        for (size_t i = 0; i < CERT_SECRETS; i++) {
                leaf_unref(f->seen[i]);
                mem_free(f->held[i].json);
        }
        arena_done(&f->a);
        mem_free(f);
        return 0;
}

static CertificatesInput input_of(const Fixture *f)
{
        CertificatesInput in = {.now = f->w.time.wall, .server_names = {f->names, 2}};

        memcpy(in.seen, f->seen, sizeof(in.seen));
        return in;
}

/* Plans and, where there is something to write, begins. False: there is not. */
static bool begin(Fixture *f)
{
        CertificatesInput in = input_of(f);
        CertificatesPlan p;

        certificates_plan(&in, &p);
        bool has_writes = p.n > 0;
        if (has_writes)
                cert_writer_run(f->writer, &in, &p);
        certificates_plan_done(&p);
        return has_writes;
}

static void perform(Fixture *f)
{
        size_t n = f->n_done;

        look(f);
        while (begin(f)) {
                kube_turn_until(&f->w, &f->n_done, ++n);
                look(f);
        }
}

static Certificates read_all(Fixture *f, Str pem)
{
        Certificates l = {0};

        assert_true(certificates_read(pem, &f->a, &l, NULL));
        return l;
}

static void all_are_made(void **state)
{
        Fixture *f = *state;

        perform(f);
        assert_int_equal(f->n_done, 2);
        assert_int_equal(f->n_good, 2);
        assert_int_equal(f->n_posts, 4);
        assert_int_equal(f->n_patches, 0);
        const CertSecret *const *s = f->seen;
        Certificates ca = read_all(f, s[CERT_SECRET_CA]->certificate);
        Certificates server = read_all(f, s[CERT_SECRET_SERVER]->certificate);
        Certificates client = read_all(f, s[CERT_SECRET_EG_CLIENT]->certificate);
        assert_true(certificate_is_by(&server.at[0], &ca.at[0]));
        assert_true(certificate_is_by(&client.at[0], &ca.at[0]));
        assert_true(certificate_has_names(&server.at[0], (StrList){f->names, 2}));
        assert_true(server.at[0].for_server && !server.at[0].for_client);
        assert_true(client.at[0].for_client && !client.at[0].for_server);
        assert_true(certificate_has_key(&ca.at[0], s[CERT_SECRET_CA]->private_key));
        assert_true(certificate_has_key(&server.at[0], s[CERT_SECRET_SERVER]->private_key));
        assert_true(certificate_has_key(&client.at[0], s[CERT_SECRET_EG_CLIENT]->private_key));
        assert_true(str_eq(s[CERT_SECRET_EG_CA]->certificate, s[CERT_SECRET_CA]->certificate));
        assert_true(str_eq(s[CERT_SECRET_SERVER]->ca, s[CERT_SECRET_CA]->certificate));
        /* The CA's key is in its own Secret and nowhere else. */
        assert_null(s[CERT_SECRET_EG_CA]->private_key);
        for (CertSecretRole role = 0; role < CERT_SECRETS; role++) {
                assert_true(s[role]->ours);
                const char *type = role == CERT_SECRET_EG_CA ? "\"type\":\"Opaque\""
                                                             : "\"type\":\"kubernetes.io/tls\"";
                assert_non_null(strstr(f->held[role].json, type));
        }
        assert_int_equal(cert_writer_counts(f->writer)->cas, 1);
        assert_int_equal(cert_writer_counts(f->writer)->leaves, 2);
}

static void a_ca_is_replaced_and_dropped(void **state)
{
        Fixture *f = *state;

        perform(f);
        test_clock_advance(&f->w.time, SPAN_S(2 * CERTIFICATES_DAY_S));
        f->held[CERT_SECRET_CA].json = mem_free(f->held[CERT_SECRET_CA].json);
        perform(f);
        assert_int_equal(read_all(f, f->seen[CERT_SECRET_SERVER]->ca).n, 2);
        /* And again, so that there is one before with its key. */
        for (int i = 0; i < 2; i++) {
                test_clock_advance(&f->w.time, SPAN_S(CERTIFICATES_DAY_S));
                perform(f);
        }
        assert_int_equal(read_all(f, f->seen[CERT_SECRET_SERVER]->ca).n, 1);
        test_clock_advance(&f->w.time, SPAN_S(INT64_C(2430) * CERTIFICATES_DAY_S));
        perform(f);
        test_clock_advance(&f->w.time, SPAN_S(INT64_C(10) * CERTIFICATES_DAY_S));
        perform(f);
        assert_true(f->seen[CERT_SECRET_CA]->old_certificate.n > 0);
        assert_non_null(f->seen[CERT_SECRET_CA]->old_private_key);
        for (int i = 0; i < 2; i++) {
                test_clock_advance(&f->w.time, SPAN_S(CERTIFICATES_DAY_S));
                perform(f);
        }
        assert_null(f->seen[CERT_SECRET_CA]->old_private_key);
        assert_int_equal(f->n_good, f->n_done);
}

static void what_changed_in_between_is_not_overwritten(void **state)
{
        Fixture *f = *state;

        perform(f);
        size_t n = f->n_done;
        test_clock_advance(&f->w.time, SPAN_S(INT64_C(61) * CERTIFICATES_DAY_S));
        f->held[CERT_SECRET_SERVER].version = ++f->version;
        char *was = f->held[CERT_SECRET_SERVER].json;
        assert_true(begin(f));
        kube_turn_until(&f->w, &f->n_done, n + 1);
        assert_int_equal(f->n_good, n);
        assert_ptr_equal(f->held[CERT_SECRET_SERVER].json, was);
        /* Nor is one that came into being. */
        f->seen[CERT_SECRET_EG_CA] = leaf_unref(f->seen[CERT_SECRET_EG_CA]);
        assert_true(begin(f));
        kube_turn_until(&f->w, &f->n_done, n + 2);
        assert_int_equal(f->n_good, n);
        assert_int_equal(cert_writer_counts(f->writer)->failures, 2);
}

static void refusals_are_told(void **state)
{
        Fixture *f = *state;

        f->refusal = KUBE_SAYS("403 Forbidden", "{\"kind\":\"Status\",\"reason\":\"Forbidden\"}");
        assert_true(begin(f));
        assert_true(cert_writer_is_writing(f->writer));
        kube_turn_until(&f->w, &f->n_done, 1);
        assert_false(cert_writer_is_writing(f->writer));
        assert_int_equal(f->n_good, 0);
        assert_int_equal(f->n, 1);
        f->refusal = NULL;
        f->may_write = false;
        assert_true(begin(f));
        kube_turn_until(&f->w, &f->n_done, 2);
        assert_int_equal(f->n_good, 0);
        assert_int_equal(f->n, 1);
        f->may_write = true;
        perform(f);
        assert_int_equal(f->n_good, 2);
}

static void closed_at_any_time(void **state)
{
        Fixture *f = *state;

        for (unsigned turns = 0; turns < 12; turns++) {
                assert_true(begin(f));
                kube_turns(&f->w, turns);
                f->writer = cert_writer_close(f->writer);
                size_t n = f->n_done;
                kube_turns(&f->w, 5);
                assert_int_equal(f->n_done, n);
                for (size_t i = 0; i < CERT_SECRETS; i++)
                        f->held[i].json = mem_free(f->held[i].json);
                f->writer = cert_writer_open(&(CertWriterInput){
                        .api = f->w.api,
                        .own_namespace = STR("system"),
                        .eg_namespace = STR("envoy-gateway-system"),
                        .server_names = {f->names, 2},
                        .may_write = may_write,
                        .on_done = on_done,
                        .owner = f,
                });
        }
        f->close_on_done = true;
        assert_true(begin(f));
        kube_turn_until(&f->w, &f->n_done, f->n_done + 1);
        assert_null(f->writer);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(all_are_made),
                TEST(a_ca_is_replaced_and_dropped),
                TEST(what_changed_in_between_is_not_overwritten),
                TEST(refusals_are_told),
                TEST(closed_at_any_time),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
