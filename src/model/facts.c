/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records stand in arrays sorted by key: there are tens, and what is shown of them is sorted. Each
 * begins with its key, whose two strings are one allocation, so one code serves both kinds.
 */
#include "model/facts.h"

#include "base/mem.h"

_Static_assert(offsetof(HookFact, eg_gateway) == 0 && offsetof(TailnetFact, key) == 0,
               "a record begins with its key");

typedef struct Records {
        char *at;
        size_t n, size; /* how many, bytes of one */
} Records;

static Records hooks_of(const Facts *f)
{
        return (Records){(char *)f->hooks, f->n_hooks, sizeof(HookFact)};
}

static Records tailnets_of(const Facts *f)
{
        return (Records){(char *)f->tailnets, f->n_tailnets, sizeof(TailnetFact)};
}

static ObjectKey *key_at(Records r, size_t i)
{
        return (ObjectKey *)(void *)(r.at + i * r.size);
}

static ObjectKey key_dup(ObjectKey key)
{
        char *p = mem_new(key.namespace.n + key.name.n + 1);

        if (key.namespace.n > 0)
                memcpy(p, key.namespace.p, key.namespace.n);
        if (key.name.n > 0)
                memcpy(p + key.namespace.n, key.name.p, key.name.n);
        return (ObjectKey){{p, key.namespace.n}, {p + key.namespace.n, key.name.n}};
}

static void key_done(ObjectKey *key)
{
        mem_free((char *)(uintptr_t)key->namespace.p);
}

static void records_done(Records r)
{
        for (size_t i = 0; i < r.n; i++)
                key_done(key_at(r, i));
        mem_free(r.at);
}

void facts_init(Facts *f)
{
        *f = (Facts){0};
}

void facts_done(Facts *f)
{
        for (size_t i = 0; i < f->n_hooks; i++)
                leaf_unref(f->hooks[i].gaps);
        records_done(hooks_of(f));
        records_done(tailnets_of(f));
        departures_done(&f->departures);
        facts_init(f);
}

/* The index of the key, or where it belongs. */
static size_t place(Records r, ObjectKey key, bool *ret_found)
{
        size_t low = 0, high = r.n;

        *ret_found = false;
        while (low < high) {
                size_t mid = low + (high - low) / 2;
                int c = object_key_cmp(key, *key_at(r, mid));

                if (c == 0) {
                        *ret_found = true;
                        return mid;
                }
                if (c < 0)
                        high = mid;
                else
                        low = mid + 1;
        }
        return low;
}

static void *find(Records r, ObjectKey key)
{
        bool found;
        size_t i = place(r, key, &found);

        return found ? key_at(r, i) : NULL;
}

/* A new record at its place; the array may move. */
static char *insert(Records r, ObjectKey key)
{
        bool found;
        size_t i = place(r, key, &found);

        INSIST(!found);
        r.at = mem_resize(r.at, (r.n + 1) * r.size);
        memmove(r.at + (i + 1) * r.size, r.at + i * r.size, (r.n - i) * r.size);
        memset(r.at + i * r.size, 0, r.size);
        *key_at(r, i) = key_dup(key);
        return r.at;
}

/* Returns how many are left. */
static size_t forget(Records r, ObjectKey key)
{
        bool found;
        size_t i = place(r, key, &found);

        if (!found)
                return r.n;
        key_done(key_at(r, i));
        memmove(r.at + i * r.size, r.at + (i + 1) * r.size, (r.n - i - 1) * r.size);
        return r.n - 1;
}

HookFact *facts_hook(Facts *f, ObjectKey eg_gateway)
{
        HookFact *h = find(hooks_of(f), eg_gateway);

        if (h != NULL || f->n_hooks >= FACTS_GATEWAYS_MAX)
                return h;
        f->hooks = (HookFact *)(void *)insert(hooks_of(f), eg_gateway);
        f->n_hooks++;
        return find(hooks_of(f), eg_gateway);
}

const HookFact *facts_find_hook(const Facts *f, ObjectKey eg_gateway)
{
        return find(hooks_of(f), eg_gateway);
}

void facts_forget_hook(Facts *f, ObjectKey eg_gateway)
{
        HookFact *h = find(hooks_of(f), eg_gateway);

        if (h != NULL)
                leaf_unref(h->gaps);
        f->n_hooks = forget(hooks_of(f), eg_gateway);
}

TailnetFact *facts_tailnet(Facts *f, ObjectKey tailnet)
{
        TailnetFact *t = find(tailnets_of(f), tailnet);

        if (t != NULL || f->n_tailnets >= FACTS_TAILNETS_MAX)
                return t;
        f->tailnets = (TailnetFact *)(void *)insert(tailnets_of(f), tailnet);
        f->n_tailnets++;
        return find(tailnets_of(f), tailnet);
}

const TailnetFact *facts_find_tailnet(const Facts *f, ObjectKey tailnet)
{
        return find(tailnets_of(f), tailnet);
}

const SourceFact *tailnet_fact_presence(const TailnetFact *f)
{
        return &f->sources[f->sources[SOURCE_PRIMARY].name != NULL ||
                                           f->sources[SOURCE_LOCAL].name == NULL
                                   ? SOURCE_PRIMARY
                                   : SOURCE_LOCAL];
}

void facts_forget_tailnet(Facts *f, ObjectKey tailnet)
{
        f->n_tailnets = forget(tailnets_of(f), tailnet);
}

const ProbeFact *facts_find_probe(const Facts *f, ObjectKey gateway, Str tailnet, const Endpoint *e)
{
        const ProbeFact key = {.gateway = gateway,
                               .tailnet = tailnet,
                               .service = e->service,
                               .ip = e->ip,
                               .port = e->port,
                               .protocol = e->protocol};
        size_t from = 0, to = f->n_probes;

        while (from < to) {
                size_t middle = from + (to - from) / 2;
                int c = probe_fact_cmp(&key, f->probes[middle]);

                if (c == 0)
                        return f->probes[middle];
                if (c < 0)
                        to = middle;
                else
                        from = middle + 1;
        }
        return NULL;
}
