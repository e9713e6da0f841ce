/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants:
 * 1. A watch that begins anew knows nothing of what was told before: what is kept has the round of
 *    the watch that told it last, and what has an older one when the list is whole is gone.
 * 2. What is wrong with an object takes nothing away that was good of it.
 */
#include "source/kube_feed.h"

#include <stdio.h>

#include "base/map.h"
#include "base/mem.h"
#include "model/secret_spec.h"

enum {
        PATH_BYTES_MAX = 1024, /* kinds, namespace and name are bounded */
};

struct KubeFeed {
        KubeFeedInput in;
        char *path; /* owned */
        KubeWatch *watch;
        Map kept;             /* of KubeKept, owned */
        uint64_t round;       /* of the watch */
        bool synced;          /* this round */
        Err err;              /* of the last failure; kind ERR_NONE: none since it was listed */
        Mono failed;          /* when that was */
        KubeWatchCounts past; /* of watches before this one */
};

static void kept_free(KubeKept *k)
{
        leaf_unref(k->leaf);
        leaf_unref(k->observed);
        leaf_unref(k->fault);
        leaf_unref(k->admitted);
        mem_free(k);
}

static KubeKept *kept_of(KubeFeed *f, Str key)
{
        KubeKept *k = map_get(&f->kept, key);
        if (k != NULL)
                return k;
        k = mem_new(sizeof *k + key.n + 1);
        memcpy(k->text, key.p, key.n);
        k->key = str_make(k->text, key.n);
        map_put(&f->kept, k->key, k);
        return k;
}

static unsigned drop(KubeFeed *f, KubeKept *k)
{
        unsigned changed = KUBE_FEED_STATE;
        changed |= k->leaf != NULL || k->admitted != NULL ? KUBE_FEED_LEAVES : 0;
        changed |= k->observed != NULL ? KUBE_FEED_OBSERVED : 0;
        changed |= k->fault != NULL ? KUBE_FEED_FAULTS : 0;
        map_remove(&f->kept, k->key);
        kept_free(k);
        return changed;
}

/* --- what is told --- */

ObjectKey kube_feed_key(const KubeFeed *f)
{
        return (ObjectKey){f->in.namespace, f->in.name};
}

static ObjectKey split(Str key)
{
        ObjectKey k = {{0}, key};
        if (!str_cut(&k.name, '/', &k.namespace))
                k = (ObjectKey){{0}, key};
        return k;
}

static const ObjectFault *new_fault(const KubeFeed *f, Str key, const KubeRead *read)
{
        ObjectKey k = split(key);
        ObjectFault *fault = leaf_new(
                sizeof *fault,
                leaf_room_str(k.namespace) + leaf_room_str(k.name) + leaf_room_str(read->faults) +
                        leaf_room_str(read->gateway.namespace) + leaf_room_str(read->gateway.name),
                NULL);
        fault->kind = f->in.kind->role == KUBE_NAMED ? OBSERVED_SECRET : f->in.kind->observed;
        fault->key.namespace = leaf_str(&fault->leaf, k.namespace);
        fault->key.name = leaf_str(&fault->leaf, k.name);
        fault->generation = read->generation;
        fault->text = leaf_str(&fault->leaf, read->faults);
        fault->gateway.namespace = leaf_str(&fault->leaf, read->gateway.namespace);
        fault->gateway.name = leaf_str(&fault->leaf, read->gateway.name);
        return fault;
}

/* Takes the reference of `leaf` over. */
static unsigned put_leaf(KubeFeed *f, KubeKept *k, const void *leaf)
{
        if (k->leaf != NULL && leaf != NULL && f->in.kind->same(k->leaf, leaf)) {
                leaf_unref(leaf);
                return 0;
        }
        if (k->leaf == NULL && leaf == NULL)
                return 0;
        if (k->leaf != NULL && leaf != NULL && f->in.kind->share != NULL)
                f->in.kind->share(leaf, k->leaf);
        leaf_unref(k->leaf);
        k->leaf = leaf;
        return KUBE_FEED_LEAVES;
}

static unsigned put_observed(KubeKept *k, const Observed *observed)
{
        if (observed == NULL || (k->observed != NULL && observed_same(k->observed, observed))) {
                leaf_unref(observed);
                return 0;
        }
        leaf_unref(k->observed);
        k->observed = observed;
        return KUBE_FEED_OBSERVED;
}

static unsigned put_fault(const KubeFeed *f, KubeKept *k, const KubeRead *read)
{
        const ObjectFault *fault = read->faults.n > 0 ? new_fault(f, k->key, read) : NULL;
        bool same = fault == NULL || k->fault == NULL ? fault == k->fault
                                                      : object_fault_same(k->fault, fault);
        if (same) {
                leaf_unref(fault);
                return 0;
        }
        leaf_unref(k->fault);
        k->fault = fault;
        return KUBE_FEED_FAULTS;
}

static bool is_let_through(const KubeFeed *f, const KubeRead *read)
{
        if (f->in.kind->role != KUBE_FOREIGN)
                return true;
        return read->leaf != NULL && (f->in.filter == NULL || f->in.filter(f, read->leaf));
}

static void on_put(KubeWatch *w, Str key, const Tree *object)
{
        KubeFeed *f = kube_watch_owner(w);
        unsigned changed = KUBE_FEED_STATE;
        KubeRead read;
        Arena arena;
        arena_init(&arena, 0);
        kube_kinds_read(f->in.kind, object, &arena, &read);
        if (is_let_through(f, &read)) {
                KubeKept *k = kept_of(f, key);
                bool is_gone = f->in.kind->role == KUBE_OURS && read.deleting;
                k->round = f->round;
                if (is_gone)
                        read.leaf = leaf_unref(read.leaf);
                if (is_gone || read.leaf != NULL)
                        changed |= put_leaf(f, k, read.leaf);
                changed |= put_observed(k, read.observed);
                changed |= put_fault(f, k, &read);
        } else {
                KubeKept *k = map_get(&f->kept, key);
                leaf_unref(read.leaf);
                changed |= k != NULL ? drop(f, k) : 0;
                kube_watch_forget(w);
        }
        arena_done(&arena);
        f->in.fn(f, changed);
}

/* Nobody else's objects are the worse for it. What was good of it stays, as with any fault; others'
 * of which nothing was are passed over. */
static void on_large(KubeWatch *w, Str key, const Tree *object)
{
        KubeFeed *f = kube_watch_owner(w);
        KubeRole role = f->in.kind->role;
        KubeRead read = {.faults = STR("it is larger than can be read: above 2 MiB, or of some ten "
                                       "thousand values")};
        unsigned changed = KUBE_FEED_STATE;
        KubeKept *k = map_get(&f->kept, key);
        if (k == NULL && role != KUBE_OURS && role != KUBE_NAMED) {
                kube_watch_forget(w);
        } else {
                k = kept_of(f, key);
                k->round = f->round;
        }
        if (k != NULL && (role == KUBE_OURS || role == KUBE_NAMED)) {
                const Tree *meta = tree_get(object, STR("metadata"));
                IGNORE(tree_i64(tree_get(meta, STR("generation")), 0, INT64_MAX, true,
                                &read.generation),
                       "0 where it is none");
                changed |= put_fault(f, k, &read);
        }
        log_warn(f->in.log, "an object is too large to be read", LOG_CSTR("kind", f->in.kind->name),
                 LOG_STR("object", key));
        f->in.fn(f, changed);
}

static void on_gone(KubeWatch *w, Str key)
{
        KubeFeed *f = kube_watch_owner(w);
        KubeKept *k = map_get(&f->kept, key);
        if (k != NULL)
                f->in.fn(f, drop(f, k));
}

/* Those that are to go. */
typedef struct Going {
        const KubeFeed *feed;
        bool (*is)(const KubeFeed *f, const KubeKept *k);
        KubeKept **at;
        size_t n;
} Going;

static void note_going(void *ctx, Str key, void *value)
{
        Going *g = ctx;
        (void)key;
        if (g->is(g->feed, value))
                g->at[g->n++] = value;
}

static unsigned drop_all(KubeFeed *f, bool (*is)(const KubeFeed *f, const KubeKept *k))
{
        CLEANUP(mem_cleanup) KubeKept **at = mem_new_array(f->kept.n + 1, sizeof(KubeKept *));
        Going g = {f, is, at, 0};
        unsigned changed = 0;
        map_each(&f->kept, note_going, &g);
        for (size_t i = 0; i < g.n; i++)
                changed |= drop(f, g.at[i]);
        return changed;
}

static bool is_old(const KubeFeed *f, const KubeKept *k)
{
        return k->round != f->round;
}

/* Not one of those that go away with the server's trouble. */
static bool is_lasting(const Err *err)
{
        return err->kind != ERR_NONE && err->kind != ERR_TRANSIENT;
}

static void on_synced(KubeWatch *w)
{
        KubeFeed *f = kube_watch_owner(w);
        unsigned changed = drop_all(f, is_old) | KUBE_FEED_STATE;
        if (is_lasting(&f->err))
                log_info(f->in.log, "objects are read again", LOG_CSTR("kind", f->in.kind->name),
                         LOG_STR("namespace", f->in.namespace));
        f->synced = true;
        f->err = (Err){0};
        f->in.fn(f, changed);
}

/* What a person is to do about it. */
static void explain(const KubeFeed *f, const Err *why, Err *ret)
{
        const KubeKind *kind = f->in.kind;
        const char *group = strncmp(kind->api, "/apis/", 6) == 0 ? kind->api + 6 : "";
        *ret = *why;
        if (why->kind == ERR_DENIED)
                err_prefix(ret, "the verbs get, list and watch are needed for %s%s%.*s%s%.*s",
                           kind->plural, *group != '\0' ? "." : "", (int)strcspn(group, "/"), group,
                           f->in.namespace.n > 0 ? " in " : "", STR_FMT(f->in.namespace));
        else if (why->kind == ERR_MISSING)
                err_prefix(ret,
                           "the API server does not have the kind %s (%s): is its "
                           "CustomResourceDefinition installed?",
                           kind->name, group);
}

/* What is kept of one that is read by name and may not be: with a round that is none, so that it
 * goes with the first list. */
static unsigned keep_denied(KubeFeed *f)
{
        char text[OBJECT_KEY_TEXT];
        KubeKept *k = kept_of(f, object_key_text(kube_feed_key(f), text));
        SecretSpec *s = leaf_new(sizeof *s, 256, secret_spec_drop);
        s->meta.key.namespace = leaf_str(&s->leaf, f->in.namespace);
        s->meta.key.name = leaf_str(&s->leaf, f->in.name);
        s->denied = leaf_str(&s->leaf, str_of(f->err.text));
        return put_leaf(f, k, s);
}

static void on_failed(KubeWatch *w, const Err *err)
{
        unsigned changed = KUBE_FEED_STATE;
        KubeFeed *f = kube_watch_owner(w);
        bool is_news = is_lasting(err) && strcmp(f->err.reason, err->reason) != 0;
        explain(f, err, &f->err);
        f->failed = loop_now(kube_api_loop(f->in.api));
        if (kube_feed_is_missed(f))
                f->synced = true;
        if (is_news)
                log_warn(f->in.log,
                         f->synced ? "objects cannot be read, we go on with what is known"
                                   : "objects cannot be read, we wait for them",
                         LOG_CSTR("kind", f->in.kind->name), LOG_STR("namespace", f->in.namespace),
                         LOG_CSTR("reason", f->err.reason), LOG_CSTR("error", f->err.text));
        if (f->in.kind->role == KUBE_NAMED && err->kind == ERR_DENIED && !f->synced)
                changed |= keep_denied(f);
        f->in.fn(f, changed);
}

/* --- the whole --- */

static char *path_of(const KubeFeedInput *in)
{
        Buf path;
        buf_init(&path, PATH_BYTES_MAX);
        buf_printf(&path, "%s/", in->kind->api);
        if (in->namespace.n > 0)
                buf_printf(&path, "namespaces/%.*s/", STR_FMT(in->namespace));
        buf_printf(&path, "%s", in->kind->plural);
        if (in->name.n > 0) {
                char field[300];
                IGNORE(snprintf(field, sizeof field, "metadata.name=%.*s", STR_FMT(in->name)),
                       "a name fits");
                kube_query_add(&path, "fieldSelector", str_of(field));
        }
        if (in->label.n > 0)
                kube_query_add(&path, "labelSelector", in->label);
        INSIST(!path.failed);
        return buf_take(&path, NULL);
}

static void begin(KubeFeed *f)
{
        f->round++;
        f->synced = false;
        f->watch = kube_watch_open(&(KubeWatchInput){
                .api = f->in.api,
                .path = f->path,
                .keep = f->in.kind->keep,
                .events = {on_put, on_gone, on_synced, on_failed, on_large},
                .missing_s = f->in.kind->may_be_absent ? 0 : KUBE_FEED_MISSING_S,
                .is_secret = f->in.kind->is_secret,
                .seed = f->in.seed + f->round,
                .owner = f,
        });
}

KubeFeed *kube_feed_open(const KubeFeedInput *in)
{
        KubeFeed *f = mem_new(sizeof *f + in->namespace.n + in->name.n + 1);
        char *text = (char *)(f + 1);
        f->in = *in;
        f->path = path_of(in);
        if (in->namespace.n > 0)
                memcpy(text, in->namespace.p, in->namespace.n);
        f->in.namespace.p = text;
        if (in->name.n > 0)
                memcpy(text + in->namespace.n, in->name.p, in->name.n);
        f->in.name.p = text + in->namespace.n;
        f->in.label = (Str){0};
        map_init(&f->kept);
        begin(f);
        return f;
}

void *kube_feed_owner(const KubeFeed *f)
{
        return f->in.owner;
}

const KubeKind *kube_feed_kind(const KubeFeed *f)
{
        return f->in.kind;
}

KubeWatchCounts kube_feed_sum(KubeWatchCounts a, KubeWatchCounts b)
{
        return (KubeWatchCounts){
                .lists = a.lists + b.lists,
                .streamed = a.streamed + b.streamed,
                .watches = a.watches + b.watches,
                .events = a.events + b.events,
                .bookmarks = a.bookmarks + b.bookmarks,
                .expired = a.expired + b.expired,
                .silences = a.silences + b.silences,
                .failures = a.failures + b.failures,
        };
}

void kube_feed_again(KubeFeed *f)
{
        f->past = kube_feed_counts(f);
        kube_watch_close(f->watch);
        begin(f);
}

bool kube_feed_is_synced(const KubeFeed *f)
{
        return f->synced;
}

static bool is_strange(const KubeFeed *f, const KubeKept *k)
{
        return k->leaf != NULL && !f->in.filter(f, k->leaf);
}

void kube_feed_sift(KubeFeed *f)
{
        unsigned changed = f->in.filter != NULL ? drop_all(f, is_strange) : 0;
        if (changed != 0)
                f->in.fn(f, changed);
}

/* A watch that goes on after a failure says nothing of it but what it hears. */
static bool is_failing(const KubeFeed *f)
{
        return f->err.kind != ERR_NONE && !mono_before(f->failed, kube_watch_seen(f->watch));
}

const Err *kube_feed_err(const KubeFeed *f)
{
        static const Err none = {0};
        return is_failing(f) ? &f->err : &none;
}

bool kube_feed_is_missed(const KubeFeed *f)
{
        return is_failing(f) && ((f->err.kind == ERR_MISSING && f->in.kind->may_be_absent) ||
                                 (f->err.kind == ERR_DENIED && f->in.may_be_denied));
}

KubeWatchCounts kube_feed_counts(const KubeFeed *f)
{
        return kube_feed_sum(f->past, kube_watch_counts(f->watch));
}

size_t kube_feed_n(const KubeFeed *f)
{
        return f->kept.n;
}

typedef struct Visit {
        KubeFeedEach *fn;
        void *ctx;
} Visit;

static void visit(void *ctx, Str key, void *value)
{
        Visit *v = ctx;
        (void)key;
        v->fn(v->ctx, value);
}

void kube_feed_each(const KubeFeed *f, KubeFeedEach *fn, void *ctx)
{
        map_each(&f->kept, visit, &(Visit){fn, ctx});
}

static void free_kept(void *ctx, Str key, void *value)
{
        (void)ctx;
        (void)key;
        kept_free(value);
}

KubeFeed *kube_feed_close(KubeFeed *f)
{
        if (f == NULL)
                return NULL;
        kube_watch_close(f->watch);
        map_each(&f->kept, free_kept, NULL);
        map_done(&f->kept);
        mem_free(f->path);
        return mem_free(f);
}
