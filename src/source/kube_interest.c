/* SPDX-License-Identifier: Apache-2.0 */
#include "source/kube_interest.h"

#include <stdio.h>

#include "base/mem.h"

enum {
        KEY_BYTES_MAX = 2 * 253 + 4
};

typedef struct Wanted {
        uint64_t since;
        bool used;
        char key[]; /* "<Want>\n<namespace>\n<name>" */
} Wanted;

/* What is wanted; the second and third say of what. */
typedef enum Want {
        WANT_GATEWAY = 'G',      /* and what is attached to it: namespace, name */
        WANT_NAMESPACE = 'N',    /* of a TailscaleGateway: namespace */
        WANT_SERVICES = 'S',     /* any at all */
        WANT_ALL_SERVICES = 'A', /* of a namespace */
        WANT_SERVICE = 'F',      /* namespace, name */
        WANT_SELECTED = 'L',     /* Services that a TailscaleGateway of the namespace selects */
} Want;

static Str key_of(Want want, Str namespace, Str name, char buf[KEY_BYTES_MAX])
{
        IGNORE(snprintf(buf, KEY_BYTES_MAX, "%c\n%.*s\n%.*s", (char)want, STR_FMT(namespace),
                        STR_FMT(name)),
               "names that are longer were refused");
        return str_of(buf);
}

void kube_interest_init(KubeInterest *i)
{
        *i = (KubeInterest){0};
        map_init(&i->wanted);
}

static void free_wanted(void *ctx, Str key, void *value)
{
        (void)ctx;
        (void)key;
        mem_free(value);
}

void kube_interest_done(KubeInterest *i)
{
        map_each(&i->wanted, free_wanted, NULL);
        map_done(&i->wanted);
}

static void mark_unused(void *ctx, Str key, void *value)
{
        (void)ctx;
        (void)key;
        ((Wanted *)value)->used = false;
}

void kube_interest_begin(KubeInterest *i)
{
        map_each(&i->wanted, mark_unused, NULL);
}

static void want(KubeInterest *i, Str key)
{
        Wanted *w = map_get(&i->wanted, key);
        if (w == NULL) {
                w = mem_new(sizeof *w + key.n + 1);
                memcpy(w->key, key.p, key.n);
                w->since = ++i->now;
                map_put(&i->wanted, str_make(w->key, key.n), w);
        }
        w->used = true;
}

void kube_interest_add_gateway(KubeInterest *i, ObjectKey gateway)
{
        char buf[KEY_BYTES_MAX];
        want(i, key_of(WANT_GATEWAY, gateway.namespace, gateway.name, buf));
}

/* All that a TailscaleGateway needs: each key to `fn`, until it says false. */
typedef struct Needs {
        bool (*fn)(struct Needs *n, Str key);
        KubeInterest *interest;
        uint64_t covered;
} Needs;

static bool need(Needs *n, Want what, Str namespace, Str name)
{
        char buf[KEY_BYTES_MAX];
        return n->fn(n, key_of(what, namespace, name, buf));
}

/* A name with a placeholder in it may be any. */
static bool need_failover(Needs *n, const FailoverRule *r, Str own)
{
        Str namespace = r->namespace.n > 0 ? r->namespace : own;
        bool is_any = r->service.n == 0 || str_find(r->service, '{') >= 0;
        return need(n, WANT_SERVICES, (Str){0}, (Str){0}) &&
               need(n, is_any ? WANT_ALL_SERVICES : WANT_SERVICE, namespace,
                    is_any ? (Str){0} : r->service);
}

static bool need_entry(Needs *n, const TailnetEntry *e, Str own)
{
        for (size_t i = 0; i < e->egress.n_failover; i++) {
                const FailoverRule *r = &e->egress.failover[i];
                if (r->is_service && !need_failover(n, r, own))
                        return false;
        }
        if (!e->ingress.enabled)
                return true;
        return need(n, WANT_SERVICES, (Str){0}, (Str){0}) &&
               (!e->discovery.has_services || (need(n, WANT_ALL_SERVICES, own, (Str){0}) &&
                                               need(n, WANT_SELECTED, own, (Str){0})));
}

static bool need_all(Needs *n, const GatewaySpec *g)
{
        Str own = g->meta.key.namespace;
        if (!need(n, WANT_GATEWAY, g->gateway.namespace, g->gateway.name) ||
            !need(n, WANT_NAMESPACE, own, (Str){0}))
                return false;
        for (size_t i = 0; i < g->n_tailnets; i++) {
                if (!need_entry(n, &g->tailnets[i], own))
                        return false;
        }
        return true;
}

static bool want_key(Needs *n, Str key)
{
        want(n->interest, key);
        return true;
}

void kube_interest_add(KubeInterest *i, const GatewaySpec *g)
{
        IGNORE(need_all(&(Needs){.fn = want_key, .interest = i}, g), "it goes through all");
}

static bool is_wanted(const KubeInterest *i, Want what, Str namespace, Str name)
{
        char buf[KEY_BYTES_MAX];
        const Wanted *w = map_get(&i->wanted, key_of(what, namespace, name, buf));
        return w != NULL;
}

void kube_interest_add_grant(KubeInterest *i, const ReferenceGrant *g)
{
        char buf[KEY_BYTES_MAX];
        for (size_t j = 0; j < g->n_from; j++) {
                const Wanted *w = map_get(
                        &i->wanted, key_of(WANT_SELECTED, g->from[j].namespace, (Str){0}, buf));
                if (w != NULL && w->used)
                        want(i, key_of(WANT_ALL_SERVICES, g->meta.key.namespace, (Str){0}, buf));
        }
}

typedef struct Unused {
        Wanted **at;
        size_t n;
} Unused;

static void note_unused(void *ctx, Str key, void *value)
{
        Unused *u = ctx;
        (void)key;
        if (!((Wanted *)value)->used)
                u->at[u->n++] = value;
}

bool kube_interest_end(KubeInterest *i)
{
        CLEANUP(mem_cleanup) Wanted **at = mem_new_array(i->wanted.n + 1, sizeof(Wanted *));
        Unused u = {at, 0};
        map_each(&i->wanted, note_unused, &u);
        for (size_t j = 0; j < u.n; j++) {
                map_remove(&i->wanted, str_of(u.at[j]->key));
                mem_free(u.at[j]);
        }
        return u.n > 0;
}

bool kube_interest_is_empty(const KubeInterest *i)
{
        return i->wanted.n == 0;
}

bool kube_interest_wants_services(const KubeInterest *i)
{
        return is_wanted(i, WANT_SERVICES, (Str){0}, (Str){0});
}

static bool has(const KubeInterest *i, ObjectKey gateway)
{
        return is_wanted(i, WANT_GATEWAY, gateway.namespace, gateway.name);
}

bool kube_interest_has_gateway(const KubeInterest *i, const EgGateway *g)
{
        return has(i, g->meta.key);
}

bool kube_interest_has_route(const KubeInterest *i, const EgRoute *r)
{
        for (size_t j = 0; j < r->n_parents; j++) {
                if (has(i, r->parents[j].gateway))
                        return true;
        }
        return false;
}

bool kube_interest_has_namespace(const KubeInterest *i, const EgNamespace *n)
{
        return is_wanted(i, WANT_NAMESPACE, n->name, (Str){0});
}

bool kube_interest_has_service(const KubeInterest *i, const ServiceSpec *s)
{
        ObjectKey key = s->meta.key;
        if (!kube_interest_wants_services(i))
                return false;
        return s->expose.n > 0 || is_wanted(i, WANT_ALL_SERVICES, key.namespace, (Str){0}) ||
               is_wanted(i, WANT_SERVICE, key.namespace, key.name);
}

bool kube_interest_has_grant(const KubeInterest *i, const ReferenceGrant *g)
{
        bool has_from = false;
        for (size_t j = 0; j < g->n_from; j++)
                has_from |= is_wanted(i, WANT_NAMESPACE, g->from[j].namespace, (Str){0});
        return has_from && g->services.n > 0 && kube_interest_wants_services(i);
}

static bool is_covered(Needs *n, Str key)
{
        const Wanted *w = map_get(&n->interest->wanted, key);
        return w != NULL && w->since <= n->covered;
}

bool kube_interest_covers(const KubeInterest *i, const GatewaySpec *g, uint64_t covered)
{
        Needs n = {.fn = is_covered,
                   .interest = (KubeInterest *)(uintptr_t)i, /* which it only reads */
                   .covered = covered};
        return need_all(&n, g);
}
