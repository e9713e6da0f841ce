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
        char key[]; /* "Gateway\n<namespace>\n<name>" in short, or "N\n<name>" */
} Wanted;

static Str gateway_key(ObjectKey gateway, char buf[KEY_BYTES_MAX])
{
        IGNORE(snprintf(buf, KEY_BYTES_MAX, "G\n%.*s\n%.*s", STR_FMT(gateway.namespace),
                        STR_FMT(gateway.name)),
               "names that are longer were refused");
        return str_of(buf);
}

static Str namespace_key(Str name, char buf[KEY_BYTES_MAX])
{
        IGNORE(snprintf(buf, KEY_BYTES_MAX, "N\n%.*s", STR_FMT(name)), "as above");
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
        want(i, gateway_key(gateway, buf));
}

void kube_interest_add(KubeInterest *i, const GatewaySpec *g)
{
        char buf[KEY_BYTES_MAX];
        kube_interest_add_gateway(i, g->gateway);
        want(i, namespace_key(g->meta.key.namespace, buf));
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

static bool has(const KubeInterest *i, ObjectKey gateway)
{
        char buf[KEY_BYTES_MAX];
        return map_get(&i->wanted, gateway_key(gateway, buf)) != NULL;
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
        char buf[KEY_BYTES_MAX];
        return map_get(&i->wanted, namespace_key(n->name, buf)) != NULL;
}

bool kube_interest_covers(const KubeInterest *i, const GatewaySpec *g, uint64_t covered)
{
        char buf[KEY_BYTES_MAX];
        const Wanted *gateway = map_get(&i->wanted, gateway_key(g->gateway, buf));
        const Wanted *namespace = map_get(&i->wanted, namespace_key(g->meta.key.namespace, buf));
        return gateway != NULL && namespace != NULL && gateway->since <= covered &&
               namespace->since <= covered;
}
