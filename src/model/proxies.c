/* SPDX-License-Identifier: Apache-2.0 */
#include "model/proxies.h"

#include "base/mem.h"
#include "model/cidr.h"

enum {
        SOCKET_PATH_MAX = 107, /* sun_path without its NUL */
};

/* The first two TailscaleTailnets, by key, that name it. */
typedef struct ProxyUser {
        ObjectKey first, second;
        bool is_shared;
} ProxyUser;

bool proxy_parse(Str s, ProxyAddr *ret)
{
        if (str_starts(s, STR("unix:")))
                s = str_sub(s, 5, s.n);
        if (str_starts(s, STR("/"))) {
                if (s.n > SOCKET_PATH_MAX || !str_is_printable_utf8(s))
                        return false;
                *ret = (ProxyAddr){.path = s};
                return true;
        }
        size_t colon = s.n;
        while (colon > 0 && s.p[colon - 1] != ':')
                colon--;
        uint64_t port = 0;
        if (colon == 0 || !str_to_u64(str_sub(s, colon, s.n), UINT16_MAX, &port) || port == 0)
                return false;
        Str ip = str_sub(s, 0, colon - 1);
        bool bracketed = str_starts(ip, STR("[")) && str_ends(ip, STR("]"));
        if (bracketed)
                ip = str_sub(ip, 1, ip.n - 2);
        IpAddr parsed;
        if (!ip_parse(ip, &parsed) || (str_find(ip, ':') >= 0) != bracketed)
                return false;
        *ret = (ProxyAddr){.ip = ip, .port = (uint16_t)port};
        return true;
}

static bool is_same(const ProxyAddr *a, const ProxyAddr *b)
{
        return str_eq(a->ip, b->ip) && a->port == b->port && str_eq(a->path, b->path);
}

static size_t add(const ProxyAddr *proxy, ProxyAddr ret[PROXIES_MAX], size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (is_same(&ret[i], proxy))
                        return n;
        }
        if (n < PROXIES_MAX)
                ret[n++] = *proxy;
        return n;
}

/* Of one that is given; how many there are now. What a name stands for is judged anew with every
 * answer of the name server: whoever owns the name could point it at the cluster. */
static size_t find_one(const Proxies *p, Str given, ProxyAddr ret[PROXIES_MAX], size_t n,
                       ProxyGaps *gaps)
{
        const StrList literal = {&given, 1};
        const StrList *addresses = &literal;
        ProxyAddr proxy;
        if (!proxy_parse(given, &proxy)) {
                const ProxyName *name = table_find(p->world->proxy_names, &given, proxy_name_find);
                if (name == NULL) {
                        gaps->unresolved = given;
                        return n;
                }
                addresses = &name->addresses;
        }
        for (size_t i = 0; i < addresses->n; i++) {
                if (!proxy_parse(addresses->at[i], &proxy))
                        continue;
                if (policy_admits_proxy(p->world->policy, &proxy, &gaps->err))
                        n = add(&proxy, ret, n);
                else
                        gaps->refused = given;
        }
        return n;
}

size_t proxies_find(const Proxies *p, StrList given, ProxyAddr ret[PROXIES_MAX],
                    ProxyGaps *ret_gaps)
{
        size_t n = 0;
        *ret_gaps = (ProxyGaps){0};
        for (size_t i = 0; i < given.n; i++)
                n = find_one(p, given.at[i], ret, n, ret_gaps);
        return n;
}

/* One text for one address, however it is written. */
static Str key_of(Arena *a, const ProxyAddr *proxy)
{
        IpAddr ip;
        if (proxy->path.n > 0 || !ip_parse(proxy->ip, &ip))
                return proxy->path;
        char text[IP_TEXT];
        return arena_printf(a, "%s %u", ip_format(&ip, text), proxy->port);
}

static void use(Proxies *p, StrList given, ObjectKey tailnet)
{
        ProxyAddr found[PROXIES_MAX];
        ProxyGaps ignored;
        size_t n = proxies_find(p, given, found, &ignored);
        for (size_t i = 0; i < n; i++) {
                Str key = key_of(&p->arena, &found[i]);
                ProxyUser *user = map_get(&p->users, key);
                if (user == NULL) {
                        user = ARENA_NEW(&p->arena, ProxyUser);
                        user->first = tailnet;
                        map_put(&p->users, key, user);
                } else if (!user->is_shared && !object_key_eq(user->first, tailnet)) {
                        user->second = tailnet;
                        user->is_shared = true;
                }
        }
}

void proxies_init(Proxies *p, const World *world)
{
        *p = (Proxies){.world = world};
        arena_init(&p->arena, 0);
        map_init(&p->users);
        TABLE_FOREACH (TailnetSpec, t, world->tailnets)
                use(p, t->proxies, t->meta.key);
        TABLE_FOREACH (GatewaySpec, g, world->gateways) {
                for (size_t i = 0; i < g->n_tailnets; i++) {
                        const TailnetEntry *e = &g->tailnets[i];
                        ObjectKey tailnet = {g->meta.key.namespace, e->tailnet_name};
                        if (e->connectivity.mode == CONNECT_PROXY)
                                use(p, e->connectivity.proxies, tailnet);
                }
        }
}

void proxies_done(Proxies *p)
{
        map_done(&p->users);
        arena_done(&p->arena);
}

bool proxies_is_shared(const Proxies *p, const ProxyAddr *proxy, ObjectKey tailnet,
                       ObjectKey *ret_other)
{
        Arena a;
        arena_init(&a, 0);
        const ProxyUser *user = map_get(&p->users, key_of(&a, proxy));
        arena_done(&a);
        if (user == NULL || !user->is_shared)
                return false;
        *ret_other = object_key_eq(user->first, tailnet) ? user->second : user->first;
        return true;
}
