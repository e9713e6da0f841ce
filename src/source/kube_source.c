/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   feeds of our kinds ──TailscaleGateways, Bindings──> interest ──> feeds of other people's kinds
 *        │       └─────TailscaleTailnets────> a feed for each Secret that is named
 *        v                                        v
 *      what changed is noted; a Post makes Tables of it, and tells once a turn
 *
 * Invariants:
 * 1. A feed only notes and posts: none is opened, closed or begun again from inside a watch.
 * 2. `covered` is the number of the newest interest that all foreign feeds have been listed with. A
 *    TailscaleGateway is shown once that covers what it refers to, and stays as it was until then.
 * 3. A Table is another one only where a leaf of it is.
 */
#include "source/kube_source.h"

#include <stdlib.h>

#include "base/mem.h"
#include "model/binding_spec.h"
#include "model/tailnet_spec.h"
#include "source/kube_feed.h"
#include "source/kube_interest.h"
#include "source/tailnet_choice.h"

#define MANAGED_LABEL "app.kubernetes.io/managed-by=tailscale-gateway"

_Static_assert((int)KUBE_KINDS <= (int)KUBE_KINDS_MAX, "each kind has its Fact");

enum {
        LOOK_S = 5,
};

typedef struct Feeds {
        KubeFeed **at; /* owned; of credentials sorted by key */
        size_t n;
        unsigned changed;     /* of any of them, since the last Tables */
        KubeWatchCounts past; /* of those that were closed */
} Feeds;

struct KubeSource {
        KubeSourceInput in;
        Arena names; /* of namespaces and own_namespace */
        Feeds feeds[KUBE_KINDS];
        KubeInterest interest;
        uint64_t asked, covered; /* numbers of it */
        uint64_t first;   /* the same, when all of our kinds were listed for the first time */
        Mono first_until; /* from then on only that is waited for */
        uint64_t opened;  /* feeds, for their seeds */
        Mono began;       /* the foreign feeds did, last */
        Timer again;
        Timer look; /* while something fails: whether it still does */
        Post tell;
        bool wants_secrets;
        bool is_current; /* all of our kinds were listed since it was asked for */
        bool is_away;    /* the log says that the server does not answer */
        Table *tables[MANIFEST_KINDS];
        Table *observed, *faults;
        KubeWatchCounts *counts; /* of each kind, as they were last asked for; owned */
};

/* --- feeds --- */

static bool is_foreign(size_t kind)
{
        return kube_kinds[kind].role == KUBE_FOREIGN;
}

static void on_feed(KubeFeed *f, unsigned changed)
{
        KubeSource *k = kube_feed_owner(f);
        k->feeds[kube_feed_kind(f) - kube_kinds].changed |= changed;
        post_send(&k->tell);
}

static bool bears_on_us(const KubeFeed *f, const void *leaf)
{
        const KubeSource *k = kube_feed_owner(f);
        switch (kube_feed_kind(f)->manifest) {
        case MANIFEST_EG_GATEWAY:
                return kube_interest_has_gateway(&k->interest, leaf);
        case MANIFEST_EG_ROUTE:
                return kube_interest_has_route(&k->interest, leaf);
        case MANIFEST_NAMESPACE:
                return kube_interest_has_namespace(&k->interest, leaf);
        case MANIFEST_SERVICE:
                return kube_interest_has_service(&k->interest, leaf);
        case MANIFEST_GRANT:
                return kube_interest_has_grant(&k->interest, leaf);
        case MANIFEST_TAILNET:
        case MANIFEST_GATEWAY:
        case MANIFEST_ENDPOINTS:
        case MANIFEST_SECRET:
        case MANIFEST_BINDING:
        case MANIFEST_KINDS:
                break;
        }
        return true;
}

static KubeFeed *new_feed(KubeSource *k, size_t kind, Str namespace, Str name, Str label)
{
        return kube_feed_open(&(KubeFeedInput){
                .api = k->in.api,
                .log = k->in.log,
                .kind = &kube_kinds[kind],
                .namespace = namespace,
                .name = name,
                .label = label,
                /* Roles of single namespaces cannot give what has none. */
                .may_be_denied = kube_kinds[kind].is_cluster_wide && k->in.namespaces.n > 0,
                .filter = is_foreign(kind) ? bears_on_us : NULL,
                .fn = on_feed,
                .seed = k->in.seed ^ (++k->opened * UINT64_C(0x9e3779b97f4a7c15)),
                .owner = k,
        });
}

/* One for all namespaces, or one for each. */
static void open_feeds(KubeSource *k, size_t kind)
{
        Feeds *f = &k->feeds[kind];
        Str label = kube_kinds[kind].role == KUBE_MADE ? STR(MANAGED_LABEL) : (Str){0};
        bool single = kube_kinds[kind].is_cluster_wide || k->in.namespaces.n == 0;
        f->n = single ? 1 : k->in.namespaces.n;
        f->at = mem_new_array(f->n, sizeof(KubeFeed *));
        for (size_t i = 0; i < f->n; i++)
                f->at[i] = new_feed(k, kind, single ? (Str){0} : k->in.namespaces.at[i], (Str){0},
                                    label);
}

static void open_managed_feed(KubeSource *k, size_t kind)
{
        Feeds *f = &k->feeds[kind];
        f->n = 1;
        f->at = mem_new_array(1, sizeof(KubeFeed *));
        f->at[0] = new_feed(k, kind, k->in.own_namespace, (Str){0}, STR(MANAGED_LABEL));
}

static void close_feed(Feeds *f, KubeFeed *feed)
{
        f->past = kube_feed_sum(f->past, kube_feed_counts(feed));
        kube_feed_close(feed);
}

static void close_feeds(Feeds *f)
{
        for (size_t i = 0; i < f->n; i++)
                close_feed(f, f->at[i]);
        f->at = mem_free(f->at);
        f->n = 0;
        f->changed |= KUBE_FEED_LEAVES | KUBE_FEED_STATE;
}

static bool are_synced(const Feeds *f)
{
        for (size_t i = 0; i < f->n; i++) {
                if (!kube_feed_is_synced(f->at[i]))
                        return false;
        }
        return true;
}

/* --- other people's kinds --- */

static void add_interest(void *ctx, KubeKept *kept)
{
        KubeInterest *i = ctx;
        if (kept->leaf != NULL)
                kube_interest_add(i, kept->leaf);
        if (kept->leaf != NULL && kept->admitted != NULL)
                kube_interest_add(i, kept->admitted);
}

/* A Binding that nobody wants any more has a way to go for as long as its Gateway is there
 * (docs/binding.md), so that is still to be known. */
static void add_bound(void *ctx, KubeKept *kept)
{
        if (kept->leaf != NULL && kept->observed != NULL && kept->observed->ours)
                kube_interest_add_gateway(ctx, ((const BindingSpec *)kept->leaf)->meta.key);
}

static void add_grant(void *ctx, KubeKept *kept)
{
        if (kept->leaf != NULL)
                kube_interest_add_grant(ctx, kept->leaf);
}

static bool is_needed(const KubeSource *k, size_t kind)
{
        return is_foreign(kind) &&
               (!kube_kinds[kind].of_services || kube_interest_wants_services(&k->interest));
}

static void begin_foreign(KubeSource *k)
{
        k->asked = k->interest.now;
        k->began = loop_now(k->in.loop);
        for (size_t kind = 0; kind < KUBE_KINDS; kind++) {
                if (!is_needed(k, kind))
                        continue;
                if (k->feeds[kind].n == 0)
                        open_feeds(k, kind);
                else
                        for (size_t i = 0; i < k->feeds[kind].n; i++)
                                kube_feed_again(k->feeds[kind].at[i]);
        }
}

static void on_look(Timer *t)
{
        post_send(&CONTAINER_OF(t, KubeSource, look)->tell);
}

static void on_again(Timer *t)
{
        begin_foreign(CONTAINER_OF(t, KubeSource, again));
}

/* What nobody asks for any more. */
static void end_unneeded(KubeSource *k, bool all)
{
        for (size_t kind = 0; kind < KUBE_KINDS; kind++) {
                if (is_foreign(kind) && k->feeds[kind].n > 0 && (all || !is_needed(k, kind)))
                        close_feeds(&k->feeds[kind]);
        }
}

static void end_foreign(KubeSource *k)
{
        timer_clear(&k->again);
        k->asked = k->covered = 0;
        end_unneeded(k, true);
}

static void sift_foreign(KubeSource *k)
{
        for (size_t kind = 0; kind < KUBE_KINDS; kind++) {
                for (size_t i = 0; is_foreign(kind) && i < k->feeds[kind].n; i++)
                        kube_feed_sift(k->feeds[kind].at[i]);
        }
}

static bool are_foreign_synced(const KubeSource *k)
{
        for (size_t kind = 0; kind < KUBE_KINDS; kind++) {
                if (is_foreign(kind) && !are_synced(&k->feeds[kind]))
                        return false;
        }
        return true;
}

/* Opens, begins again and closes the foreign feeds as the TailscaleGateways and Bindings ask.
 * Lists under way are let come to their end, however often somebody asks for more. */
static void update_interest(KubeSource *k)
{
        const Feeds *gateways = &k->feeds[KUBE_KIND_GATEWAY];
        const Feeds *bindings = &k->feeds[KUBE_KIND_BINDING], *grants = &k->feeds[KUBE_KIND_GRANT];
        unsigned changed = gateways->changed | bindings->changed;
        changed |= grants->changed & KUBE_FEED_LEAVES;
        if ((changed & (KUBE_FEED_LEAVES | KUBE_FEED_STATE)) == 0 || !are_synced(gateways))
                return;
        kube_interest_begin(&k->interest);
        for (size_t i = 0; i < gateways->n; i++)
                kube_feed_each(gateways->at[i], add_interest, &k->interest);
        for (size_t i = 0; i < bindings->n; i++)
                kube_feed_each(bindings->at[i], add_bound, &k->interest);
        for (size_t i = 0; i < grants->n; i++)
                kube_feed_each(grants->at[i], add_grant, &k->interest);
        if (kube_interest_end(&k->interest))
                sift_foreign(k);
        end_unneeded(k, false);
        if (kube_interest_is_empty(&k->interest))
                end_foreign(k);
        else if (k->interest.now > k->asked && k->asked == 0)
                begin_foreign(k);
        else if (k->interest.now > k->asked && !timer_is_set(&k->again) && are_foreign_synced(k))
                timer_set(&k->again, mono_add(k->began, SPAN_MS(KUBE_SOURCE_AGAIN_MS)));
}

/* True where more is covered than was. */
static bool update_covered(KubeSource *k)
{
        uint64_t before = k->covered;
        if (!are_foreign_synced(k))
                return false;
        k->covered = k->asked;
        return k->covered != before;
}

/* --- Secrets --- */

static int on_key_order(const void *a, const void *b)
{
        return object_key_cmp(*(const ObjectKey *)a, *(const ObjectKey *)b);
}

/* The Secrets whose ca.crt a TailscaleGateway names; everybody who answers Envoy Gateway needs
 * them.
 */
static size_t ca_secrets(const GatewaySpec *g, ObjectKey *keys)
{
        size_t n = 0;
        for (size_t i = 0; i < g->n_tailnets; i++) {
                Str name = g->tailnets[i].egress.tls_ca_secret;
                if (name.n > 0)
                        keys[n++] = (ObjectKey){g->meta.key.namespace, name};
        }
        return n;
}

static const KubeFeed *secret_feed(const KubeSource *k, ObjectKey key)
{
        const Feeds *f = &k->feeds[KUBE_KIND_CREDENTIALS];
        size_t low = 0, high = f->n;
        while (low < high) {
                size_t mid = low + (high - low) / 2;
                int c = object_key_cmp(kube_feed_key(f->at[mid]), key);
                if (c == 0)
                        return f->at[mid];
                if (c < 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        return NULL;
}

/* A Secret with certificates, and since when a TailscaleGateway that names it is there. */
typedef struct NamedCa {
        ObjectKey key;
        uint64_t since; /* ms; what is not known is last */
        bool is_read;
} NamedCa;

typedef struct NamedCas {
        NamedCa *at; /* NULL: they are counted */
        size_t n;
} NamedCas;

static void want_ca(void *ctx, KubeKept *kept)
{
        ObjectKey keys[TAILNETS_MAX];
        NamedCas *w = ctx;
        const GatewaySpec *g = kept->leaf;
        size_t n = g != NULL ? ca_secrets(g, keys) : 0;
        for (size_t i = 0; i < n && w->at != NULL; i++)
                w->at[w->n + i] =
                        (NamedCa){.key = keys[i], .since = (uint64_t)g->meta.created.ms - 1};
        w->n += n;
}

/* `at` has room for all, or is NULL. How many there are. */
static size_t named_cas(const KubeSource *k, NamedCa *at)
{
        NamedCas w = {at, 0};
        const Feeds *f = &k->feeds[KUBE_KIND_GATEWAY];
        for (size_t i = 0; i < f->n; i++)
                kube_feed_each(f->at[i], want_ca, &w);
        return w.n;
}

static int on_ca_key_order(const void *a, const void *b)
{
        const NamedCa *x = a, *y = b;
        int c = object_key_cmp(x->key, y->key);
        return c != 0 ? c : x->since < y->since ? -1 : x->since > y->since;
}

static int on_ca_standing_order(const void *a, const void *b)
{
        const NamedCa *x = a, *y = b;
        if (x->is_read != y->is_read)
                return x->is_read ? -1 : 1;
        if (x->since != y->since)
                return x->since < y->since ? -1 : 1;
        return object_key_cmp(x->key, y->key);
}

/* Each once; of more than can be, who is read already, then the oldest. */
static size_t wanted_cas(const KubeSource *k, size_t room, ObjectKey *keys)
{
        CLEANUP(mem_cleanup) NamedCa *at = mem_new_array(room, sizeof *at);
        size_t named = named_cas(k, at), n = 0;
        qsort(at, named, sizeof *at, on_ca_key_order);
        for (size_t i = 0; i < named; i++) {
                if (n > 0 && object_key_eq(at[n - 1].key, at[i].key))
                        continue;
                at[n] = at[i];
                at[n].is_read = secret_feed(k, at[n].key) != NULL;
                n++;
        }
        if (n > KUBE_SOURCE_SECRETS_MAX) {
                log_error(k->in.log, "too many Secrets are named, the youngest are not read",
                          LOG_INT("found", n), LOG_INT("max", KUBE_SOURCE_SECRETS_MAX));
                qsort(at, n, sizeof *at, on_ca_standing_order);
                n = KUBE_SOURCE_SECRETS_MAX;
        }
        for (size_t i = 0; i < n; i++)
                keys[i] = at[i].key;
        return n;
}

static bool names_secret(const void *owner, const TailnetSpec *t)
{
        (void)owner;
        return t->secret_name.n > 0;
}

static bool has_secret_feed(const void *owner, const TailnetSpec *t)
{
        return secret_feed(owner, (ObjectKey){t->meta.key.namespace, t->secret_name}) != NULL;
}

/* What is named, each once, sorted. Of tailnets those that are asked (tailnet_choice.h). */
static size_t wanted_secrets(const KubeSource *k, size_t room, ObjectKey *keys)
{
        const Table *all = k->wants_secrets ? k->tables[MANIFEST_TAILNET] : NULL;
        CLEANUP(mem_cleanup) const TailnetSpec **at = mem_new_array(table_n(all) + 1, sizeof *at);
        size_t n = wanted_cas(k, room, keys), kept = 0;
        size_t n_tailnets = tailnet_choice_make(all, names_secret, has_secret_feed, k,
                                                KUBE_SOURCE_SECRETS_MAX, at);
        for (size_t i = 0; i < n_tailnets; i++)
                keys[n++] = (ObjectKey){at[i]->meta.key.namespace, at[i]->secret_name};
        qsort(keys, n, sizeof *keys, on_key_order);
        for (size_t i = 0; i < n; i++) {
                if (kept == 0 || !object_key_eq(keys[kept - 1], keys[i]))
                        keys[kept++] = keys[i];
        }
        return kept;
}

/* Both are sorted, so one walk keeps, opens and closes. */
static void update_secrets(KubeSource *k)
{
        Feeds *f = &k->feeds[KUBE_KIND_CREDENTIALS];
        size_t room = table_n(k->tables[MANIFEST_TAILNET]) + named_cas(k, NULL) + 1, old = 0;
        CLEANUP(mem_cleanup) ObjectKey *keys = mem_new_array(room, sizeof *keys);
        size_t n = wanted_secrets(k, room, keys);
        KubeFeed **at = mem_new_array(n + 1, sizeof(KubeFeed *));
        for (size_t i = 0; i < n; i++) {
                for (; old < f->n && object_key_cmp(kube_feed_key(f->at[old]), keys[i]) < 0; old++)
                        close_feed(f, f->at[old]);
                bool has = old < f->n && object_key_eq(kube_feed_key(f->at[old]), keys[i]);
                at[i] = has ? f->at[old++]
                            : new_feed(k, KUBE_KIND_CREDENTIALS, keys[i].namespace, keys[i].name,
                                       (Str){0});
        }
        for (; old < f->n; old++)
                close_feed(f, f->at[old]);
        mem_free(f->at);
        f->at = at;
        f->n = n;
        f->changed |= KUBE_FEED_LEAVES | KUBE_FEED_STATE;
}

void kube_source_want_secrets(KubeSource *k, bool want)
{
        if (k->wants_secrets == want)
                return;
        k->wants_secrets = want;
        k->feeds[KUBE_KIND_TAILNET].changed |= KUBE_FEED_LEAVES;
        post_send(&k->tell);
}

bool kube_source_knows_secret(const KubeSource *k, ObjectKey key)
{
        const KubeFeed *f = secret_feed(k, key);
        /* A feed is ahead of the Table until on_tell: what it knows is not to be found there yet.
         */
        if (f == NULL || (k->feeds[KUBE_KIND_CREDENTIALS].changed & KUBE_FEED_LEAVES) != 0)
                return false;
        return kube_feed_is_synced(f) || kube_feed_err(f)->kind == ERR_DENIED;
}

/* What a TailscaleGateway names is there, or is not, or may not be read. Until then it is as it
 * was: what its devices' certificates are verified with must not be missing for a moment. */
static bool knows_cas(const KubeSource *k, const GatewaySpec *g)
{
        ObjectKey keys[TAILNETS_MAX];
        size_t n = ca_secrets(g, keys);
        for (size_t i = 0; i < n; i++) {
                const KubeFeed *f = secret_feed(k, keys[i]);
                if (f == NULL || (!kube_feed_is_synced(f) && kube_feed_err(f)->kind != ERR_DENIED))
                        return false;
        }
        return true;
}

/* --- Tables --- */

typedef struct Collect {
        const KubeSource *source;
        const void **at; /* with one reference each */
        size_t n;
} Collect;

static void collect_leaf(void *ctx, KubeKept *kept)
{
        Collect *c = ctx;
        if (kept->leaf != NULL)
                c->at[c->n++] = leaf_ref(kept->leaf);
}

static void collect_admitted(void *ctx, KubeKept *kept)
{
        Collect *c = ctx;
        const KubeSource *k = c->source;
        bool admit =
                kept->leaf == NULL || (kube_interest_covers(&k->interest, kept->leaf, k->covered) &&
                                       knows_cas(k, kept->leaf));
        if (admit && kept->admitted != kept->leaf) {
                leaf_unref(kept->admitted);
                kept->admitted = leaf_ref(kept->leaf);
        }
        if (kept->admitted != NULL)
                c->at[c->n++] = leaf_ref(kept->admitted);
}

static void collect_observed(void *ctx, KubeKept *kept)
{
        Collect *c = ctx;
        if (kept->observed != NULL)
                c->at[c->n++] = leaf_ref(kept->observed);
}

static void collect_fault(void *ctx, KubeKept *kept)
{
        Collect *c = ctx;
        if (kept->fault != NULL)
                c->at[c->n++] = leaf_ref(kept->fault);
}

/* Of the kinds [from, to) that `is` says, in place of *t. True where it is another. */
static bool update(const KubeSource *k, Table **t, const bool is[KUBE_KINDS], KubeFeedEach *collect,
                   TableOrder *order, TableSame *same)
{
        size_t room = 0;
        for (size_t kind = 0; kind < KUBE_KINDS; kind++) {
                for (size_t i = 0; is[kind] && i < k->feeds[kind].n; i++)
                        room += kube_feed_n(k->feeds[kind].at[i]);
        }
        CLEANUP(mem_cleanup) const void **at = mem_new_array(room + 1, sizeof(void *));
        Collect c = {k, at, 0};
        for (size_t kind = 0; kind < KUBE_KINDS; kind++) {
                for (size_t i = 0; is[kind] && i < k->feeds[kind].n; i++)
                        kube_feed_each(k->feeds[kind].at[i], collect, &c);
        }
        Table *fresh = table_update(*t, at, c.n, order, same);
        bool changed = fresh != *t;
        table_unref(*t);
        *t = fresh;
        return changed;
}

/* Leaves are kept by their feeds, so pointers tell. */
static bool is_same_leaf(const void *a, const void *b)
{
        return a == b;
}

static bool update_manifest(KubeSource *k, ManifestKind kind, bool forced)
{
        bool is[KUBE_KINDS] = {0}, any = forced;
        for (size_t i = 0; i < KUBE_KINDS; i++) {
                is[i] = kube_kinds[i].read != NULL && kube_kinds[i].manifest == kind;
                any |= is[i] && (k->feeds[i].changed & KUBE_FEED_LEAVES) != 0;
        }
        return any && update(k, &k->tables[kind], is,
                             kind == MANIFEST_GATEWAY ? collect_admitted : collect_leaf,
                             kube_kinds_order(kind), is_same_leaf);
}

static bool update_others(KubeSource *k)
{
        bool observed[KUBE_KINDS], faults[KUBE_KINDS], changed = false;
        unsigned what = 0;
        for (size_t i = 0; i < KUBE_KINDS; i++) {
                KubeRole role = kube_kinds[i].role;
                observed[i] = role == KUBE_OURS || role == KUBE_MANAGED || role == KUBE_MADE;
                faults[i] = role == KUBE_OURS || role == KUBE_NAMED;
                what |= k->feeds[i].changed;
        }
        if ((what & KUBE_FEED_OBSERVED) != 0)
                changed |= update(k, &k->observed, observed, collect_observed, observed_order,
                                  is_same_leaf);
        if ((what & KUBE_FEED_FAULTS) != 0)
                changed |= update(k, &k->faults, faults, collect_fault, object_fault_order,
                                  is_same_leaf);
        return changed;
}

/* --- Facts --- */

static void count_fault(void *ctx, KubeKept *kept)
{
        *(uint64_t *)ctx += kept->fault != NULL;
}

static void tell_kind(const Feeds *feeds, const KubeKind *kind, KubeKindFact *f)
{
        *f = (KubeKindFact){.kind = kind->name, .synced = are_synced(feeds)};
        for (size_t i = 0; i < feeds->n; i++) {
                const KubeFeed *feed = feeds->at[i];
                const Err *err = kube_feed_err(feed);
                f->objects += kube_feed_n(feed);
                f->failures += kube_feed_counts(feed).failures;
                f->optional |= kube_feed_is_missed(feed);
                kube_feed_each(feed, count_fault, &f->invalid);
                if (err->kind == ERR_NONE || f->err != ERR_NONE)
                        continue;
                f->err = err->kind;
                memcpy(f->reason, err->reason, sizeof f->reason);
                memcpy(f->error, err->text, sizeof f->error);
        }
}

/* One line when the server goes away, and one when it is back: not one for each watch. */
static void tell_away(KubeSource *k)
{
        const KubeKindFact *away = NULL;
        for (size_t i = 0; i < k->in.fact->n_kinds && away == NULL; i++) {
                if (k->in.fact->kinds[i].err == ERR_TRANSIENT)
                        away = &k->in.fact->kinds[i];
        }
        if (away != NULL && !k->is_away)
                log_warn(k->in.log, "API server does not answer well, what is known stays in force",
                         LOG_CSTR("kind", away->kind), LOG_CSTR("reason", away->reason),
                         LOG_CSTR("error", away->error));
        if (away == NULL && k->is_away)
                log_info(k->in.log, "API server answers again");
        k->is_away = away != NULL;
}

typedef struct KnownCas {
        const KubeSource *source;
        bool all;
} KnownCas;

static void look_for_cas(void *ctx, KubeKept *kept)
{
        KnownCas *c = ctx;
        c->all = c->all && (kept->leaf == NULL || knows_cas(c->source, kept->leaf));
}

static bool knows_all_cas(const KubeSource *k)
{
        KnownCas c = {k, true};
        const Feeds *f = &k->feeds[KUBE_KIND_GATEWAY];
        for (size_t i = 0; i < f->n; i++)
                kube_feed_each(f->at[i], look_for_cas, &c);
        return c.all;
}

/* Has it been waited for long enough? */
static bool is_late(KubeSource *k)
{
        if (k->first_until.ns == 0)
                k->first_until = mono_add(loop_now(k->in.loop), SPAN_S(KUBE_SOURCE_FIRST_S));
        return !mono_before(loop_now(k->in.loop), k->first_until);
}

static bool is_read(KubeSource *k)
{
        for (size_t kind = 0; kind < KUBE_KINDS; kind++) {
                if (kube_kinds[kind].role != KUBE_NAMED && !is_foreign(kind) &&
                    !are_synced(&k->feeds[kind]))
                        return false;
        }
        if (!knows_all_cas(k))
                return is_late(k);
        if (k->covered == k->interest.now || kube_interest_is_empty(&k->interest))
                return true;
        if (k->first == 0)
                k->first = k->interest.now;
        if (k->covered < k->first)
                return false;
        return is_late(k);
}

static bool are_ours_synced(const KubeSource *k)
{
        for (size_t kind = 0; kind < KUBE_KINDS; kind++) {
                if (kube_kinds[kind].role == KUBE_OURS && !are_synced(&k->feeds[kind]))
                        return false;
        }
        return true;
}

/* True where it was not until now. */
static bool becomes_current(KubeSource *k)
{
        bool before = k->is_current;
        k->is_current = are_ours_synced(k);
        return k->is_current && !before;
}

void kube_source_read_again(KubeSource *k)
{
        k->is_current = false;
        for (size_t kind = 0; kind < KUBE_KINDS; kind++) {
                for (size_t i = 0; kube_kinds[kind].role == KUBE_OURS && i < k->feeds[kind].n; i++)
                        kube_feed_again(k->feeds[kind].at[i]);
        }
}

bool kube_source_is_current(const KubeSource *k)
{
        return k->is_current;
}

/* True where all is read, for the first time. */
static bool tell_facts(KubeSource *k)
{
        KubeFact *fact = k->in.fact;
        bool before = fact->read_once;
        fact->used = true;
        fact->n_kinds = 0;
        for (size_t kind = 0; kind < KUBE_KINDS; kind++) {
                if (k->feeds[kind].n > 0)
                        tell_kind(&k->feeds[kind], &kube_kinds[kind],
                                  &fact->kinds[fact->n_kinds++]);
        }
        tell_away(k);
        for (size_t i = 0; i < fact->n_kinds; i++) {
                if (fact->kinds[i].err != ERR_NONE && !timer_is_set(&k->look))
                        timer_set_in(&k->look, SPAN_S(LOOK_S));
        }
        fact->read_once = fact->read_once || is_read(k);
        return fact->read_once && !before;
}

/* --- the whole --- */

static void on_tell(Post *p)
{
        KubeSource *k = CONTAINER_OF(p, KubeSource, tell);
        bool changed = false;
        unsigned named = k->feeds[KUBE_KIND_TAILNET].changed | k->feeds[KUBE_KIND_GATEWAY].changed;
        if ((named & KUBE_FEED_LEAVES) != 0) {
                changed |= update_manifest(k, MANIFEST_TAILNET, true);
                update_secrets(k);
        }
        update_interest(k);
        bool covers_more = update_covered(k);
        bool secrets_told = k->feeds[KUBE_KIND_CREDENTIALS].changed != 0;
        for (ManifestKind kind = 0; kind < MANIFEST_KINDS; kind++) {
                if (kind != MANIFEST_TAILNET && kind != MANIFEST_GATEWAY)
                        changed |= update_manifest(k, kind, false);
        }
        bool shows_others = update_manifest(k, MANIFEST_GATEWAY, covers_more || secrets_told);
        changed |= shows_others;
        changed |= update_others(k);
        for (size_t kind = 0; kind < KUBE_KINDS; kind++)
                k->feeds[kind].changed = 0;
        /* What was referred to until now may bear on nobody any more. */
        if (covers_more || shows_others) {
                k->feeds[KUBE_KIND_GATEWAY].changed = KUBE_FEED_STATE;
                post_send(&k->tell);
        }
        bool is_first = tell_facts(k), is_current = becomes_current(k);
        if (changed || is_first || is_current || secrets_told)
                k->in.fn(k);
}

KubeSource *kube_source_open(const KubeSourceInput *in)
{
        KubeSource *k = mem_new(sizeof *k);
        k->in = *in;
        if (k->in.namespaces.n > KUBE_SOURCE_NAMESPACES_MAX) {
                log_error(in->log, "too many namespaces are named, the last are not read",
                          LOG_INT("named", in->namespaces.n),
                          LOG_INT("max", KUBE_SOURCE_NAMESPACES_MAX));
                k->in.namespaces.n = KUBE_SOURCE_NAMESPACES_MAX;
        }
        k->counts = mem_new_array(KUBE_KINDS, sizeof *k->counts);
        arena_init(&k->names, 0);
        k->in.namespaces = arena_strlist(&k->names, k->in.namespaces);
        k->in.own_namespace = arena_str(&k->names, in->own_namespace);
        kube_interest_init(&k->interest);
        timer_init(&k->again, in->loop, on_again);
        timer_init(&k->look, in->loop, on_look);
        post_init(&k->tell, in->loop, on_tell);
        for (ManifestKind kind = 0; kind < MANIFEST_KINDS; kind++)
                k->tables[kind] = table_new(NULL, 0, kube_kinds_order(kind));
        k->observed = table_new(NULL, 0, observed_order);
        k->faults = table_new(NULL, 0, object_fault_order);
        for (size_t kind = 0; kind < KUBE_KINDS; kind++) {
                if (kube_kinds[kind].role == KUBE_OURS)
                        open_feeds(k, kind);
                if (kube_kinds[kind].role == KUBE_MANAGED && k->in.own_namespace.n > 0)
                        open_managed_feed(k, kind);
                if (kube_kinds[kind].role == KUBE_MADE && k->in.own_namespace.n > 0)
                        open_feeds(k, kind);
        }
        IGNORE(tell_facts(k), "nothing is read yet");
        return k;
}

void *kube_source_owner(const KubeSource *k)
{
        return k->in.owner;
}

bool kube_source_is_read(const KubeSource *k)
{
        return k->in.fact->read_once;
}

const Table *kube_source_table(const KubeSource *k, ManifestKind kind)
{
        return k->tables[kind];
}

const Table *kube_source_observed(const KubeSource *k)
{
        return k->observed;
}

const Table *kube_source_faults(const KubeSource *k)
{
        return k->faults;
}

size_t kube_source_n_counts(const KubeSource *k)
{
        (void)k;
        return KUBE_KINDS;
}

const KubeWatchCounts *kube_source_counts(const KubeSource *k, size_t i, const char **ret_labels)
{
        const Feeds *f = &k->feeds[i];
        *ret_labels = kube_kinds[i].labels;
        k->counts[i] = f->past;
        for (size_t j = 0; j < f->n; j++)
                k->counts[i] = kube_feed_sum(k->counts[i], kube_feed_counts(f->at[j]));
        k->counts[i].objects = 0;
        k->counts[i].synced = are_synced(f);
        for (size_t j = 0; j < f->n; j++)
                k->counts[i].objects += (int64_t)kube_feed_n(f->at[j]);
        return f->n > 0 ? &k->counts[i] : NULL;
}

KubeSource *kube_source_close(KubeSource *k)
{
        if (k == NULL)
                return NULL;
        timer_clear(&k->again);
        timer_clear(&k->look);
        post_cancel(&k->tell);
        for (size_t kind = 0; kind < KUBE_KINDS; kind++)
                close_feeds(&k->feeds[kind]);
        for (size_t kind = 0; kind < MANIFEST_KINDS; kind++)
                table_unref(k->tables[kind]);
        table_unref(k->observed);
        table_unref(k->faults);
        kube_interest_done(&k->interest);
        arena_done(&k->names);
        mem_free(k->counts);
        return mem_free(k);
}
