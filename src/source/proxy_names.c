/* SPDX-License-Identifier: Apache-2.0 */
/*
 * getaddrinfo waits, so it has a worker of its own: a name server that hangs must not hold up what
 * is written to disk. All names are looked up in one Job; while it is under way, what is newly
 * wanted waits for the next.
 */
#include "source/proxy_names.h"

#include "base/mem.h"
#include "io/worker.h"
#include "model/cidr.h"
#include "model/world.h"

#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
        NAME_MAX_BYTES = 262 /* 253 of a name, ":65535" and NUL */
};

typedef struct LookUp {
        char name[NAME_MAX_BYTES];
        char host[NAME_MAX_BYTES];
        char port[6];
        char at[PROXY_NAME_ADDRESSES_MAX][IP_TEXT + 12]; /* "[IP]:port" */
        size_t n;
        int error; /* of getaddrinfo */
} LookUp;

typedef struct NamesJob {
        Job job;
        ProxyNames *p;
        LookUp *look_ups;
        size_t n;
        atomic_bool stop; /* set by close: the names that are left are nobody's any more */
} NamesJob;

struct ProxyNames {
        Loop *loop;
        Log *log;
        ProxyNamesFn *fn;
        void *owner;
        Worker *worker; /* NULL until there is a name: most gateways have none */
        Timer timer;
        Table *table;
        Str *wanted; /* sorted, unique; owned copies */
        size_t n_wanted;
        NamesJob *under_way; /* the worker's; only `stop` is touched */
};

/* ---- which names ---- */

/* "host:port" with a host that is no IP literal. */
static bool is_name(Str s, Str *ret_host, Str *ret_port)
{
        Str host, port = s;
        IpAddr ip;
        if (s.n == 0 || s.n >= NAME_MAX_BYTES || s.p[0] == '/' || s.p[0] == '[' ||
            !str_cut(&port, ':', &host))
                return false;
        uint64_t number;
        if (host.n == 0 || ip_parse(host, &ip) || !str_to_u64(port, 65535, &number))
                return false;
        *ret_host = host;
        *ret_port = port;
        return true;
}

static int name_order(const void *a, const void *b)
{
        return str_cmp(*(const Str *)a, *(const Str *)b);
}

static void add_names(StrList proxies, Str *to, size_t *n)
{
        Str host, port;
        for (size_t i = 0; i < proxies.n && *n < PROXY_NAMES_MAX; i++) {
                if (is_name(proxies.at[i], &host, &port))
                        to[(*n)++] = proxies.at[i];
        }
}

static size_t collect(const Table *tailnets, const Table *gateways, Str *to)
{
        size_t n = 0;
        TABLE_FOREACH (TailnetSpec, t, tailnets)
                add_names(t->proxies, to, &n);
        TABLE_FOREACH (GatewaySpec, g, gateways) {
                for (size_t i = 0; i < g->n_tailnets; i++)
                        add_names(g->tailnets[i].connectivity.proxies, to, &n);
        }
        qsort(to, n, sizeof *to, name_order);
        size_t unique = 0;
        for (size_t i = 0; i < n; i++) {
                if (unique == 0 || !str_eq(to[unique - 1], to[i]))
                        to[unique++] = to[i];
        }
        return unique;
}

/* ---- looking up ---- */

static void look_up(LookUp *l)
{
        struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found = NULL;
        l->error = getaddrinfo(l->host, NULL, &hints, &found);
        for (struct addrinfo *a = found; a != NULL && l->n < PROXY_NAME_ADDRESSES_MAX;
             a = a->ai_next) {
                char host[IP_TEXT];
                if (getnameinfo(a->ai_addr, a->ai_addrlen, host, sizeof host, NULL, 0,
                                NI_NUMERICHOST) != 0)
                        continue;
                bool is_v6 = a->ai_family == AF_INET6;
                IGNORE(snprintf(l->at[l->n++], sizeof l->at[0], "%s%s%s:%s", is_v6 ? "[" : "", host,
                                is_v6 ? "]" : "", l->port),
                       "sized for it");
        }
        if (found != NULL)
                freeaddrinfo(found);
}

/* In the worker's thread. */
static void work(Job *job)
{
        NamesJob *j = CONTAINER_OF(job, NamesJob, job);
        for (size_t i = 0; i < j->n && !atomic_load(&j->stop); i++)
                look_up(&j->look_ups[i]);
}

static void job_free(NamesJob *j)
{
        mem_free(j->look_ups);
        mem_free(j);
}

static void drop(Job *job)
{
        job_free(CONTAINER_OF(job, NamesJob, job));
}

static const ProxyName *name_leaf(const LookUp *l)
{
        Str at[PROXY_NAME_ADDRESSES_MAX];
        size_t n = 0;
        for (size_t i = 0; i < l->n; i++)
                at[i] = str_of(l->at[i]);
        qsort(at, l->n, sizeof *at, name_order);
        for (size_t i = 0; i < l->n; i++) {
                if (n == 0 || !str_eq(at[n - 1], at[i]))
                        at[n++] = at[i];
        }
        StrList list = {at, n};
        Str name = str_of(l->name);
        ProxyName *leaf =
                leaf_new(sizeof *leaf, leaf_room_str(name) + leaf_room_strlist(list), NULL);
        leaf->name = leaf_str(&leaf->leaf, name);
        leaf->addresses = leaf_strlist(&leaf->leaf, list);
        return leaf;
}

static bool is_wanted(const ProxyNames *p, Str name)
{
        return p->n_wanted > 0 &&
               bsearch(&name, p->wanted, p->n_wanted, sizeof name, name_order) != NULL;
}

/* What was found now, else what was known; only of names that are wanted. */
static bool update_table(ProxyNames *p, const NamesJob *j)
{
        CLEANUP(mem_cleanup) const void **leaves = mem_new_array(p->n_wanted + 1, sizeof *leaves);
        size_t n = 0;
        for (size_t i = 0; i < p->n_wanted; i++) {
                const LookUp *l = NULL;
                for (size_t k = 0; k < j->n && l == NULL; k++)
                        l = str_eq(str_of(j->look_ups[k].name), p->wanted[i]) ? &j->look_ups[k]
                                                                              : NULL;
                const ProxyName *known = table_find(p->table, &p->wanted[i], proxy_name_find);
                if (l != NULL && l->n > 0)
                        leaves[n++] = name_leaf(l);
                else if (known != NULL)
                        leaves[n++] = leaf_ref(known);
        }
        Table *fresh = table_update(p->table, leaves, n, proxy_name_order, proxy_name_same);
        bool changed = fresh != p->table;
        table_unref(p->table);
        p->table = fresh;
        return changed;
}

static void on_looked_up(Job *job)
{
        NamesJob *j = CONTAINER_OF(job, NamesJob, job);
        ProxyNames *p = j->p;
        p->under_way = NULL;
        for (size_t i = 0; i < j->n; i++) {
                const LookUp *l = &j->look_ups[i];
                if (l->n == 0 && is_wanted(p, str_of(l->name)))
                        log_warn(p->log, "proxy not resolved, what was known stays in force",
                                 LOG_CSTR("proxy", l->name),
                                 LOG_CSTR("error", gai_strerror(l->error)));
        }
        bool changed = update_table(p, j);
        job_free(j);
        timer_set_in(&p->timer,
                     proxy_names_all_resolved(p) ? SPAN_S(PROXY_NAMES_SECONDS) : SPAN_S(1));
        if (changed)
                p->fn(p->owner);
}

static void copy(char *to, size_t room, Str s)
{
        IGNORE(snprintf(to, room, "%.*s", STR_FMT(s)), "is_name bounds it");
}

static void start(ProxyNames *p)
{
        if (p->under_way != NULL || p->n_wanted == 0)
                return;
        NamesJob *j = mem_new(sizeof *j);
        j->p = p;
        j->job = (Job){.work = work, .done = on_looked_up, .drop = drop};
        j->look_ups = mem_new_array(p->n_wanted, sizeof *j->look_ups);
        for (size_t i = 0; i < p->n_wanted; i++) {
                Str host, port;
                if (!is_name(p->wanted[i], &host, &port))
                        continue;
                LookUp *l = &j->look_ups[j->n++];
                copy(l->name, sizeof l->name, p->wanted[i]);
                copy(l->host, sizeof l->host, host);
                copy(l->port, sizeof l->port, port);
        }
        if (p->worker == NULL)
                p->worker = worker_new(p->loop);
        if (worker_submit(p->worker, &j->job)) {
                p->under_way = j;
                return;
        }
        job_free(j);
        timer_set_in(&p->timer, SPAN_S(1));
}

static void on_timer(Timer *t)
{
        start(CONTAINER_OF(t, ProxyNames, timer));
}

/* ---- life ---- */

static void forget_wanted(ProxyNames *p)
{
        for (size_t i = 0; i < p->n_wanted; i++)
                mem_free((void *)(uintptr_t)p->wanted[i].p);
        mem_free(p->wanted);
        p->wanted = NULL;
        p->n_wanted = 0;
}

static bool is_same_list(const ProxyNames *p, const Str *names, size_t n)
{
        return strlist_eq((StrList){p->wanted, p->n_wanted}, (StrList){names, n});
}

void proxy_names_want(ProxyNames *p, const Table *tailnets, const Table *gateways)
{
        Str names[PROXY_NAMES_MAX];
        size_t n = collect(tailnets, gateways, names);
        if (is_same_list(p, names, n))
                return;
        forget_wanted(p);
        p->wanted = mem_new_array(n + 1, sizeof *p->wanted);
        for (size_t i = 0; i < n; i++) {
                char *z = mem_new(names[i].n + 1);
                memcpy(z, names[i].p, names[i].n);
                p->wanted[p->n_wanted++] = str_make(z, names[i].n);
        }
        IGNORE(update_table(p, &(NamesJob){0}),
               "whoever wants other names looks at the Table anyway");
        timer_set(&p->timer, loop_now(p->loop));
}

ProxyNames *proxy_names_open(Loop *loop, Log *log, ProxyNamesFn *fn, void *owner)
{
        ProxyNames *p = mem_new(sizeof *p);
        *p = (ProxyNames){.loop = loop, .log = log, .fn = fn, .owner = owner};
        p->table = table_new(NULL, 0, proxy_name_order);
        timer_init(&p->timer, loop, on_timer);
        return p;
}

const Table *proxy_names_table(const ProxyNames *p)
{
        return p->table;
}

bool proxy_names_all_resolved(const ProxyNames *p)
{
        return table_n(p->table) == p->n_wanted;
}

ProxyNames *proxy_names_close(ProxyNames *p)
{
        if (p == NULL)
                return NULL;
        timer_clear(&p->timer);
        if (p->under_way != NULL)
                atomic_store(&p->under_way->stop, true);
        p->worker = worker_free(p->worker);
        forget_wanted(p);
        table_unref(p->table);
        return mem_free(p);
}
