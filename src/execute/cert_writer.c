/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants:
 *  1. `at` is the write under way, of `plan`; `write` is its request, or NULL where none was begun.
 *  2. A key stands in Secrets, and in buffers that are reserved once and wiped.
 *  3. What a plan borrows of Secrets is held by references in `seen`.
 */
#include "execute/cert_writer.h"

#include "base/base64.h"
#include "base/mem.h"
#include "io/issue.h"
#include "proto/json_writer.h"

enum {
        BODY_MAX = 64 << 10, /* of a Secret that KubeWrite takes; ours are below 16 KiB */
};

struct CertWriter {
        CertWriterInput in; /* its strings are in `arena` */
        Arena arena;
        CertificatesPlan plan;
        const CertSecret *seen[CERT_SECRETS]; /* references */
        size_t at;
        bool is_writing;
        KubeWrite *write;
        Post next;
        CertWriterCounts n;
};

static const KubeResource secrets = {"api/v1", "secrets", "Secret"};

/* ---- the body */

static void wipe(Buf *b)
{
        if (b->p != NULL)
                explicit_bzero(b->p, b->room);
        buf_done(b);
}

static void add_value(JsonWriter *j, const char *name, Str value)
{
        Buf text CLEANUP(wipe) = {0};

        if (value.n == 0)
                return;
        buf_init(&text, BODY_MAX);
        IGNORE(buf_reserve(&text, BODY_MAX), "then it has failed, and so does the body");
        buf_add_char(&text, '"');
        base64_encode(value, &text);
        buf_add_char(&text, '"');
        json_key(j, str_of(name));
        if (text.failed)
                j->out->failed = true;
        else
                json_raw(j, buf_str(&text));
}

static void add_secret(JsonWriter *j, const char *name, const Secret *value)
{
        if (value != NULL)
                add_value(j, name, secret_reveal(value));
}

static void add_meta(JsonWriter *j, const CertificatesWrite *w, Str ns)
{
        json_key_object_begin(j, STR("metadata"));
        json_key_str(j, STR("name"), cert_secret_name(w->role));
        json_key_str(j, STR("namespace"), ns);
        /* Conditions: it is what the plan saw. */
        if (w->seen != NULL) {
                json_key_str(j, STR("uid"), w->seen->uid);
                json_key_str(j, STR("resourceVersion"), w->seen->version);
        }
        json_key_object_begin(j, STR("labels"));
        json_key_str(j, STR("app.kubernetes.io/managed-by"), STR(CERT_WRITER_MANAGER));
        json_key_str(j, STR("app.kubernetes.io/name"), STR("tailscale-gateway"));
        json_object_end(j);
        if (w->since.ms != 0) {
                json_key_object_begin(j, STR("annotations"));
                json_key_wall(j, STR(CERT_SECRET_SINCE), w->since);
                json_object_end(j);
        }
        json_object_end(j);
}

Secret *cert_writer_body(const CertificatesWrite *w, Str ns, Str certificate, const Secret *key)
{
        Buf b CLEANUP(wipe);
        JsonWriter j;

        buf_init(&b, BODY_MAX);
        if (!buf_reserve(&b, BODY_MAX))
                return NULL;
        json_writer_init(&j, &b);
        json_object_begin(&j);
        json_key_str(&j, STR("apiVersion"), STR("v1"));
        json_key_str(&j, STR("kind"), STR("Secret"));
        add_meta(&j, w, ns);
        json_key_str(&j, STR("type"), key != NULL ? STR("kubernetes.io/tls") : STR("Opaque"));
        json_key_object_begin(&j, STR("data"));
        add_value(&j, "tls.crt", certificate);
        add_secret(&j, "tls.key", key);
        add_value(&j, "ca.crt", w->ca);
        add_value(&j, "old.crt", w->old_certificate);
        add_secret(&j, "old.key", w->old_private_key);
        json_object_end(&j);
        json_object_end(&j);
        return b.failed ? NULL : secret_new(buf_str(&b));
}

static Str namespace_of(const CertWriter *w, CertSecretRole role)
{
        bool is_own = role == CERT_SECRET_CA || role == CERT_SECRET_SERVER;

        return is_own ? w->in.own_namespace : w->in.eg_namespace;
}

/* ---- one after the other */

static void end(CertWriter *w, bool ok)
{
        w->is_writing = false;
        certificates_plan_done(&w->plan);
        for (size_t i = 0; i < CERT_SECRETS; i++)
                w->seen[i] = leaf_unref(w->seen[i]);
        if (!ok)
                w->n.failures++;
        w->in.on_done(w->in.owner, ok);
}

static void end_badly(CertWriter *w, const Err *err)
{
        const CertificatesWrite *c = &w->plan.writes[w->at];

        /* Somebody else was there in between: what stands there now is looked at next. */
        if (err->kind == ERR_CONFLICT)
                log_info(w->in.log, "a Secret of certificates is another by now",
                         LOG_STR("name", cert_secret_name(c->role)));
        else
                log_error(w->in.log, "a Secret of certificates cannot be written",
                          LOG_STR("name", cert_secret_name(c->role)), LOG_CSTR("error", err->text));
        end(w, false);
}

static void on_written(KubeWrite *k, const KubeWriteResult *result)
{
        CertWriter *w = kube_write_owner(k);
        const CertificatesWrite *c = &w->plan.writes[w->at];

        if (result->err.kind != ERR_NONE) {
                end_badly(w, &result->err);
                return;
        }
        w->n.cas += c->make == CERTIFICATES_MAKE_CA;
        w->n.leaves += c->make == CERTIFICATES_MAKE_LEAF;
        log_info(w->in.log, "certificates written", LOG_STR("name", cert_secret_name(c->role)),
                 LOG_CSTR("why", c->why));
        w->at++;
        post_send(&w->next);
}

static Span may_send(const KubeWrite *k)
{
        const CertWriter *w = kube_write_owner(k);

        return w->in.may_write(w->in.owner);
}

static Str common_name(CertWriter *w, const CertificatesWrite *c)
{
        char when[WALL_TEXT];

        switch (c->role) {
        case CERT_SECRET_CA:
                /* So that no two are of one name. */
                return arena_printf(&w->plan.arena, "tailscale-gateway CA %s",
                                    wall_format(c->not_before, when));
        case CERT_SECRET_SERVER:
                return STR("tailscale-gateway-extension");
        case CERT_SECRET_EG_CA:
        case CERT_SECRET_EG_CLIENT:
        case CERT_SECRETS:
                break;
        }
        return STR("envoy-gateway");
}

static bool make(CertWriter *w, const CertificatesWrite *c, Issued *ret, Err *err)
{
        bool is_server = c->role == CERT_SECRET_SERVER;

        if (c->make == CERTIFICATES_MAKE_NONE)
                return true;
        return issue(&(IssueInput){.kind = c->make == CERTIFICATES_MAKE_CA ? ISSUE_CA
                                           : is_server                     ? ISSUE_SERVER
                                                                           : ISSUE_CLIENT,
                                   .common_name = common_name(w, c),
                                   .names = is_server ? w->in.server_names : (StrList){0},
                                   .not_before = c->not_before,
                                   .not_after = c->not_after,
                                   .ca = w->plan.signer,
                                   .ca_key = w->plan.signer_key},
                     ret, err);
}

static void begin(CertWriter *w, const CertificatesWrite *c, const Secret *body)
{
        w->write = kube_write_open(&(KubeWriteInput){
                .api = w->in.api,
                .verb = c->seen != NULL ? KUBE_VERB_APPLY : KUBE_VERB_CREATE,
                .resource = &secrets,
                .ns = namespace_of(w, c->role),
                .name = cert_secret_name(c->role),
                .field_manager = CERT_WRITER_MANAGER,
                .secret = body,
                .may_send = may_send,
                .seed = w->in.seed + w->at,
                .on_done = on_written,
                .owner = w,
        });
}

static void on_next(Post *p)
{
        CertWriter *w = CONTAINER_OF(p, CertWriter, next);
        const CertificatesWrite *c = &w->plan.writes[w->at];
        Issued made = {0};
        Err err = {0};

        w->write = kube_write_close(w->write);
        if (w->at == w->plan.n) {
                end(w, true);
                return;
        }
        if (!make(w, c, &made, &err)) {
                end_badly(w, &err);
                return;
        }
        bool is_made = c->make != CERTIFICATES_MAKE_NONE;
        Secret *body = cert_writer_body(c, namespace_of(w, c->role),
                                        is_made ? str_of(made.certificate) : c->certificate,
                                        is_made ? made.key : c->private_key);
        issued_done(&made);
        if (body == NULL) {
                err_set(&err, ERR_LIMIT, "TooLarge", "longer than a Secret of ours can be");
                end_badly(w, &err);
                return;
        }
        begin(w, c, body);
        secret_free(body);
}

/* ---- */

CertWriter *cert_writer_open(const CertWriterInput *in)
{
        CertWriter *w = mem_new(sizeof(*w));

        w->in = *in;
        arena_init(&w->arena, 0);
        w->in.own_namespace = arena_str(&w->arena, in->own_namespace);
        w->in.eg_namespace = arena_str(&w->arena, in->eg_namespace);
        w->in.server_names = arena_strlist(&w->arena, in->server_names);
        post_init(&w->next, kube_api_loop(in->api), on_next);
        return w;
}

void cert_writer_run(CertWriter *w, const CertificatesInput *in, CertificatesPlan *plan)
{
        INSIST(!w->is_writing && plan->n > 0);
        for (size_t i = 0; i < CERT_SECRETS; i++)
                w->seen[i] = leaf_ref(in->seen[i]);
        w->plan = *plan;
        *plan = (CertificatesPlan){0};
        w->at = 0;
        w->is_writing = true;
        post_send(&w->next);
}

bool cert_writer_is_writing(const CertWriter *w)
{
        return w->is_writing;
}

const CertWriterCounts *cert_writer_counts(const CertWriter *w)
{
        return &w->n;
}

CertWriter *cert_writer_close(CertWriter *w)
{
        if (w == NULL)
                return NULL;
        post_cancel(&w->next);
        kube_write_close(w->write);
        certificates_plan_done(&w->plan);
        for (size_t i = 0; i < CERT_SECRETS; i++)
                leaf_unref(w->seen[i]);
        arena_done(&w->arena);
        return mem_free(w);
}

#define COUNTER(name, field, help)                                                     \
        {                                                                              \
                "tailscale_gateway_certificates_" name "_total", help, METRIC_COUNTER, \
                        offsetof(CertWriterCounts, field), NULL                        \
        }

static const MetricDesc metrics[] = {
        COUNTER("cas_made", cas, "CAs that were made and written."),
        COUNTER("leaves_made", leaves, "Certificates that were made and written."),
        COUNTER("failures", failures, "Plans of certificates of which something was not written."),
};

const MetricTable cert_writer_metrics = {metrics, LENGTH_OF(metrics)};
