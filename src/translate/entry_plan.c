/* SPDX-License-Identifier: Apache-2.0 */
#include "translate/entry_plan.h"

#include "model/cidr.h"
#include "translate/hostname.h"

static void refuse(EntryPlan *p, const char *reason, Str text)
{
        if (p->reason != NULL)
                return;
        p->reason = reason;
        p->text = text;
}

static void refuse_way(EntryPlan *p, const char *reason, Str text)
{
        refuse(p, reason, text);
        if (p->way_reason != NULL)
                return;
        p->way_reason = reason;
        p->way_text = text;
}

static void refuse_shared(Arena *a, const Proxies *proxies, ObjectKey tailnet, EntryPlan *p)
{
        ObjectKey other;
        for (size_t i = 0; i < p->n_proxies; i++) {
                const ProxyAddr *at = &p->proxies[i];
                if (!proxies_is_shared(proxies, at, tailnet, &other))
                        continue;
                refuse_way(p, "ProxyShared",
                           arena_printf(a, "proxy %.*s leads into TailscaleTailnet %.*s/%.*s, too",
                                        STR_FMT(at->path.n > 0 ? at->path : at->ip),
                                        STR_FMT(other.namespace), STR_FMT(other.name)));
        }
}

/* A name that stands for what is refused is named, too. */
static Str gap_text(Arena *a, const ProxyGaps *gaps)
{
        ProxyAddr literal;
        bool is_name = !proxy_parse(gaps->refused, &literal);
        return arena_printf(a, "proxyAddresses: %.*s%s%s", is_name ? (int)gaps->refused.n : 0,
                            gaps->refused.p, is_name ? ": " : "", gaps->err.text);
}

static void refuse_without_proxy(Arena *a, const ProxyGaps *gaps, EntryPlan *p)
{
        if (gaps->refused.n > 0)
                refuse_way(p, "ProxyRefused", p->gap);
        else if (gaps->unresolved.n > 0)
                refuse_way(p, "NoProxy",
                           arena_printf(a, "proxy %.*s is not resolved (yet)",
                                        STR_FMT(gaps->unresolved)));
        else
                refuse_way(p, "NoProxy",
                           STR("connectivity.mode is Proxy, and neither the entry nor its "
                               "TailscaleTailnet has proxyAddresses"));
}

static void find_proxies(Arena *a, const Proxies *proxies, EntryPlan *p)
{
        const Connectivity *c = &p->entry->connectivity;
        if (c->mode == CONNECT_DIRECT)
                return;
        StrList given = c->proxies;
        ObjectKey key = {p->spec->meta.key.namespace, p->entry->tailnet_name};
        if (given.n == 0) {
                const TailnetSpec *t =
                        table_find(proxies->world->tailnets, &key, tailnet_spec_find);
                if (t == NULL) {
                        refuse_way(p, "TailnetNotFound",
                                   arena_printf(a, "there is no TailscaleTailnet %.*s/%.*s",
                                                STR_FMT(key.namespace), STR_FMT(key.name)));
                        return;
                }
                given = t->proxies;
        }
        ProxyAddr *found = arena_new_array(a, PROXIES_MAX, sizeof(*found));
        ProxyGaps gaps;
        p->n_proxies = proxies_find(proxies, given, found, &gaps);
        p->proxies = found;
        if (gaps.refused.n > 0) {
                p->gap = gap_text(a, &gaps);
                p->gap_reason = "ProxyRefused";
        }
        if (p->n_proxies == 0)
                refuse_without_proxy(a, &gaps, p);
        refuse_shared(a, proxies, key, p);
}

/* Order of the rules that give ports: a user's own endpoint, the Tailscale Service's, ports[] in
 * turn, tags, defaultPort. */
static uint64_t rule_rank(Str source)
{
        enum {
                RANK_SERVICE = 1,
                RANK_PORTS = 2,
                RANK_TAG = 1 << 20,
                RANK_DEFAULT,
                RANK_OTHER
        };
        uint64_t index = 0;
        if (str_eq(source, STR("static")))
                return 0;
        if (str_starts(source, STR("service")))
                return RANK_SERVICE;
        if (str_starts(source, STR("ports[")) && str_ends(source, STR("]")) &&
            str_to_u64(str_sub(source, 6, source.n - 7), RANK_TAG / 2, &index))
                return RANK_PORTS + index;
        if (str_starts(source, STR("tag:")))
                return RANK_TAG;
        return str_eq(source, STR("defaultPort")) ? RANK_DEFAULT : RANK_OTHER;
}

static bool same_port(const Endpoint *a, const Endpoint *b)
{
        return a->port == b->port && a->protocol == b->protocol && str_eq(a->service, b->service);
}

/* The best of any endpoint's: members of a group may have the port by different rules. */
static uint64_t rank_of(const PackService *s)
{
        uint64_t best = UINT64_MAX;
        for (size_t i = 0; i < s->n_endpoints; i++) {
                uint64_t rank = rule_rank(s->endpoints[i]->port_source);
                best = rank < best ? rank : best;
        }
        return best;
}

bool entry_plan_can_have_host(const EntryPlan *p, Protocol endpoint)
{
        if (p->is_ingress)
                return protocol_is_http_like(endpoint);
        switch (p->entry->egress.protocol) {
        case PROTOCOL_HTTP:
        case PROTOCOL_HTTPS:
                return protocol_is_http_like(endpoint);
        case PROTOCOL_TLS:
                return endpoint == PROTOCOL_TLS || endpoint == PROTOCOL_HTTPS ||
                       endpoint == PROTOCOL_GRPCS;
        case PROTOCOL_NONE:
        case PROTOCOL_H2C:
        case PROTOCOL_GRPC:
        case PROTOCOL_GRPCS:
        case PROTOCOL_TCP:
        case PROTOCOL_UDP:
                break;
        }
        return false;
}

/* Among the ports [from, to) of one service, the one that has the host. */
static void choose_host(const EntryPlan *p, size_t from, size_t to)
{
        ServicePort *at = p->services;
        ServicePort *best = NULL;
        uint64_t best_rank = UINT64_MAX;
        for (size_t i = from; i < to; i++) {
                uint64_t rank = rank_of(&at[i].pack);
                if (entry_plan_can_have_host(p, at[i].pack.protocol) && rank < best_rank) {
                        best = &at[i];
                        best_rank = rank;
                }
        }
        if (best != NULL)
                best->has_host = true;
}

static void digest_balance(Digester *d, const Balance *b)
{
        digester_add_u64(d, (uint64_t)b->type << 8 | (uint64_t)b->hash);
        digester_add(d, b->header);
        digester_add(d, b->cookie);
        digester_add_u64(d, (uint64_t)b->cookie_ttl.ns);
}

static Digest digest_config(const EntryPlan *p)
{
        Digester *d = digester_new();
        digester_add(d, p->spec->meta.key.namespace);
        digester_add(d, p->spec->meta.key.name);
        digester_add(d, p->entry->name);
        digester_add(d, p->suffix);
        digester_add_u64(d, p->entry->egress.host_header);
        digester_add_u64(d, p->entry->connectivity.retry);
        digester_add_u64(d, p->entry->egress.protocol);
        digest_balance(d, &p->entry->egress.balance);
        digester_add(d, p->entry->egress.tls_server_name);
        digester_add(d, p->trust != NULL ? p->trust->pem : (Str){0});
        for (size_t i = 0; i < p->n_proxies; i++) {
                digester_add(d, p->proxies[i].ip);
                digester_add_u64(d, p->proxies[i].port);
                digester_add(d, p->proxies[i].path);
        }
        return digester_finish(d);
}

/* Whether there is a full name to verify a certificate by: what is sent is one where a dot is in
 * it. */
static Str known_name(const PackService *s)
{
        return str_find(s->host, '.') > 0 ? s->host : (Str){0};
}

/* What is sent to devices of TLS as their name, and verified. */
static void fill_tls(Arena *a, const EntryPlan *p, ServicePort *port)
{
        PackService *s = &port->pack;
        Str pattern = p->is_ingress ? (Str){0} : p->entry->egress.tls_server_name;
        bool is_tls = !s->raw && (s->protocol == PROTOCOL_HTTPS || s->protocol == PROTOCOL_GRPCS);
        if (!is_tls)
                return;
        if (pattern.n > 0)
                s->server_name = hostname_expand(a, pattern,
                                                 &(HostVars){.service = s->service,
                                                             .tailnet = p->entry->name,
                                                             .namespace = s->gateway_namespace,
                                                             .gateway = s->gateway,
                                                             .port = s->port});
        if (p->trust == NULL)
                return;
        if (s->server_name.n == 0)
                s->server_name = known_name(s);
        s->ca = p->trust->pem;
        if (p->trust->reason != NULL) {
                port->reason = p->trust->reason;
                port->text = p->trust->text;
        } else if (s->server_name.n == 0) {
                port->reason = "NoServerName";
                port->text =
                        STR("no full name of the device is known to verify its certificate by: "
                            "give tls.serverName, or magicDNSSuffix of the TailscaleTailnet");
        }
}

static void find_trust(Arena *a, const World *w, EntryPlan *p)
{
        ObjectKey key = {p->spec->meta.key.namespace, p->entry->egress.tls_ca_secret};
        if (key.name.n == 0 || p->is_ingress)
                return;
        static const TrustBundle none = {.reason = "CASecretNotFound",
                                         .text = STR_INIT("there is no such Secret")};
        p->trust = table_find(w->trust, &key, trust_bundle_find);
        /* Whoever names one must never be without. */
        if (p->trust == NULL)
                p->trust = &none;
        if (p->trust->reason == NULL || p->gap_reason != NULL)
                return;
        p->gap_reason = p->trust->reason;
        p->gap = arena_printf(a,
                              "routeGeneration.egress.tls.caSecretRef: Secret %.*s/%.*s: %.*s; no "
                              "HTTPS or GRPCS endpoint is led to",
                              STR_FMT(key.namespace), STR_FMT(key.name), STR_FMT(p->trust->text));
}

static void fill_service(Arena *a, const EntryPlan *p, const Endpoint *const *at, size_t n,
                         ServicePort *ret)
{
        PackService *s = &ret->pack;
        s->gateway_namespace = p->spec->meta.key.namespace;
        s->gateway = p->spec->meta.key.name;
        s->tailnet = p->entry->name;
        s->service = at[0]->service;
        s->port = at[0]->port;
        s->protocol = at[0]->protocol;
        s->endpoints = at;
        s->n_endpoints = n;
        s->proxies = p->proxies;
        s->n_proxies = p->n_proxies;
        /* Who comes from a tailnet has asked for the host by our name of it. */
        s->host_header = p->is_ingress ? HOST_HEADER_PRESERVE : p->entry->egress.host_header;
        s->is_ingress = p->is_ingress;
        s->retry = p->entry->connectivity.retry;
        s->balance = &p->entry->egress.balance;
        s->raw = (!p->is_ingress && p->entry->egress.protocol == PROTOCOL_TLS) ||
                 !protocol_is_http_like(s->protocol);
        s->cluster = pack_cluster_name(a, s);
        s->host = pack_host_of(a, s, p->suffix);
        s->config = p->config;
        fill_tls(a, p, ret);
}

/* Has the entry before it the same address? One address twice would get twice the traffic. */
static bool is_repeated(const Endpoint *const *at, size_t n, const Endpoint *e)
{
        return n > 0 && same_port(at[n - 1], e) && str_eq(at[n - 1]->ip, e->ip);
}

/* Discovery has refused what is no address, or may not be dialled. In Kubernetes entries are read
 * from the API, too, where others may write: it is asked again before Envoy has it. */
static bool is_dialable(const World *w, const TailnetEntry *entry, const Endpoint *e)
{
        const Connectivity *c = &entry->connectivity;
        bool is_closed = w->policy != NULL && w->policy->in_kubernetes;
        IpAddr ip;
        return ip_parse(e->ip, &ip) &&
               (!is_closed ||
                policy_admits_address(w->policy, &ip, c->allowed, c->n_allowed, NULL));
}

void entry_plan_take(Arena *a, EntryPlan *p, const Endpoint *const *endpoints, size_t n)
{
        p->config = digest_config(p);
        p->services = arena_new_array(a, n, sizeof(ServicePort));
        size_t first = 0; /* port of the current service */
        for (size_t i = 0, to; i < n; i = to) {
                const Endpoint *const *at = endpoints + i;
                for (to = i + 1; to < n && same_port(at[0], endpoints[to]); to++)
                        ;
                if (p->n_services > 0 && !str_eq(p->services[first].pack.service, at[0]->service)) {
                        choose_host(p, first, p->n_services);
                        first = p->n_services;
                }
                fill_service(a, p, at, to - i, &p->services[p->n_services++]);
        }
        choose_host(p, first, p->n_services);
}

bool entry_plan_is_usable(const Endpoint *const *before, size_t n, const Endpoint *e)
{
        return e->port > 0 && str_is_printable_utf8(e->service) && !is_repeated(before, n, e);
}

static void find_services(Arena *a, const World *w, EntryPlan *p)
{
        p->suffix = p->view->suffix;
        find_trust(a, w, p);
        size_t n = 0, room = table_n(p->view->endpoints);
        const Endpoint **at = arena_new_array(a, room, sizeof(const Endpoint *));
        TABLE_FOREACH (Endpoint, e, p->view->endpoints) {
                if (is_dialable(w, p->entry, e) && entry_plan_is_usable(at, n, e))
                        at[n++] = e;
        }
        entry_plan_take(a, p, at, n);
}

EntryPlan entry_plan_make(Arena *a, const Proxies *proxies, const GatewaySpec *spec, size_t index,
                          const EgGateway *gateway)
{
        const World *w = proxies->world;
        EntryPlan p = {.spec = spec, .entry = &spec->tailnets[index], .index = index};
        EntryKey key = {spec->meta.key, p.entry->name};
        p.view = table_find(w->entries, &key, entry_view_find);
        if (!p.entry->egress.enabled)
                refuse(&p, "NoDirection", STR("routeGeneration names no direction"));
        else
                p.attached = attach_choose_egress(a, w, spec, &p.entry->egress, gateway);
        if (p.attached.listener == NULL && p.attached.reason != NULL)
                refuse(&p, p.attached.reason, p.attached.text);
        find_proxies(a, proxies, &p);
        if (p.view != NULL && p.view->known && p.entry->egress.enabled)
                find_services(a, w, &p);
        return p;
}
