/* SPDX-License-Identifier: Apache-2.0 */
#include "source/cert_source.h"

#include "base/mem.h"
#include "kube/kube_watch.h"

enum {
        PATH_BYTES_MAX = 1024, /* a namespace and a name are at most 253 bytes each */
};

typedef struct CertFeed {
        CertSource *source;
        KubeWatch *watch;
        const CertSecret *secret; /* one reference; NULL: none */
        bool synced, failing;
} CertFeed;

struct CertSource {
        Log *log;
        CertSourceFn *fn;
        void *owner;
        CertFeed feeds[CERT_SECRETS];
};

static void put(KubeWatch *w, Str key, const Tree *object)
{
        CertFeed *f = kube_watch_owner(w);
        CertSecretRole role = (CertSecretRole)(f - f->source->feeds);
        const CertSecret *secret = cert_secret_new(object);

        (void)key;
        if (secret == NULL || !str_eq(secret->key.name, cert_secret_name(role))) {
                leaf_unref(secret);
                return;
        }
        leaf_unref(f->secret);
        f->secret = secret;
        if (f->synced)
                f->source->fn(f->source);
}

static void gone(KubeWatch *w, Str key)
{
        CertFeed *f = kube_watch_owner(w);

        (void)key;
        if (f->secret == NULL)
                return;
        f->secret = leaf_unref(f->secret);
        if (f->synced)
                f->source->fn(f->source);
}

static void synced(KubeWatch *w)
{
        CertFeed *f = kube_watch_owner(w);

        f->failing = false;
        if (f->synced)
                return;
        f->synced = true;
        if (cert_source_is_read(f->source))
                f->source->fn(f->source);
}

static void failed(KubeWatch *w, const Err *err)
{
        CertFeed *f = kube_watch_owner(w);
        Str name = cert_secret_name((CertSecretRole)(f - f->source->feeds));

        if (!f->failing && !f->synced)
                log_warn(f->source->log, "a Secret of certificates cannot be read",
                         LOG_STR("name", name), LOG_CSTR("error", err->text));
        f->failing = true;
}

static KubeWatch *watch(CertFeed *f, const CertSourceInput *in, CertSecretRole role)
{
        static const Str keep[] = {STR_INIT("data")};
        bool is_own = role == CERT_SECRET_CA || role == CERT_SECRET_SERVER;
        Str ns = is_own ? in->own_namespace : in->eg_namespace;
        Buf path CLEANUP(buf_done);

        buf_init(&path, PATH_BYTES_MAX);
        buf_printf(&path, "/api/v1/namespaces/%.*s/secrets", STR_FMT(ns));
        Buf selector CLEANUP(buf_done);
        buf_init(&selector, PATH_BYTES_MAX);
        buf_printf(&selector, "metadata.name=%.*s", STR_FMT(cert_secret_name(role)));
        kube_query_add(&path, "fieldSelector", buf_str(&selector));
        buf_add_char(&path, '\0');
        INSIST(!path.failed);
        return kube_watch_open(&(KubeWatchInput){
                .api = in->api,
                .path = path.p,
                .keep = {keep, LENGTH_OF(keep)},
                .events = {.put = put, .gone = gone, .synced = synced, .failed = failed},
                .seed = in->seed + role,
                .owner = f,
        });
}

CertSource *cert_source_open(const CertSourceInput *in)
{
        CertSource *s = mem_new(sizeof(*s));

        s->log = in->log;
        s->fn = in->fn;
        s->owner = in->owner;
        for (CertSecretRole role = 0; role < CERT_SECRETS; role++) {
                s->feeds[role].source = s;
                s->feeds[role].watch = watch(&s->feeds[role], in, role);
        }
        return s;
}

void *cert_source_owner(const CertSource *s)
{
        return s->owner;
}

bool cert_source_is_read(const CertSource *s)
{
        for (size_t i = 0; i < CERT_SECRETS; i++)
                if (!s->feeds[i].synced)
                        return false;
        return true;
}

const CertSecret *cert_source_at(const CertSource *s, CertSecretRole role)
{
        return s->feeds[role].secret;
}

CertSource *cert_source_close(CertSource *s)
{
        if (s == NULL)
                return NULL;
        for (size_t i = 0; i < CERT_SECRETS; i++) {
                kube_watch_close(s->feeds[i].watch);
                leaf_unref(s->feeds[i].secret);
        }
        return mem_free(s);
}
