/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Envoy has one listener for a port, whatever Envoy Gateway's listeners on it are called, and the
 * header is demanded of all of it before anything else is known of a connection. So what is asked
 * of ports here is asked of all listeners with that port.
 *
 * The RBAC filter is that of connections (network), because it stands in front of HTTP and TCP
 * alike, and drops who is not trusted before a byte of TLS or HTTP is read. It looks at the peer
 * (direct_remote_ip), not at what a header says.
 */
#include "translate/ingress_way.h"

#include "base/mem.h"
#include "model/cidr.h"
#include "proto/pb_writer.h"

#include "pb_tokens.h"

#include <stdio.h>
#include <stdlib.h>

#define PROXY_PROTOCOL "envoy.filters.listener.proxy_protocol"
#define NETWORK_RBAC   "envoy.filters.network.rbac"

enum {
        V4_BITS = 96, /* of an IPv4 range in the 128-bit form before its own */
};

bool ingress_way_is_asked(const TailnetEntry *e)
{
        const IngressWay *in = &e->connectivity.ingress;

        return in->socket.n > 0 || in->n_ports > 0 || in->n_trusted > 0;
}

typedef struct Settling {
        Arena *arena;
        const World *world;
        const EgGateway *gateway;
        const EntryPlan *plans;
        size_t n;
        IngressWays *ways;
} Settling;

/* Plans of both directions of an entry follow each other; egress comes first. */
static bool is_new_entry(const Settling *s, size_t i)
{
        return i == 0 || s->plans[i].spec != s->plans[i - 1].spec ||
               s->plans[i].index != s->plans[i - 1].index;
}

static void refuse(IngressWayPlan *way, const char *reason, Str text)
{
        way->reason = reason;
        way->text = text;
}

static Str name_entry(const Settling *s, const EntryPlan *p)
{
        return arena_printf(s->arena, "TailscaleGateway %.*s/%.*s, tailnet %.*s",
                            STR_FMT(p->spec->meta.key.namespace), STR_FMT(p->spec->meta.key.name),
                            STR_FMT(p->entry->name));
}

/* Another listener of the port, by its name; empty: there is none. */
static Str find_neighbour(const Settling *s, const EgListener *l)
{
        for (size_t i = 0; i < s->gateway->n_listeners; i++) {
                const EgListener *other = &s->gateway->listeners[i];
                if (other != l && other->port == l->port && other->protocol != PROTOCOL_UDP)
                        return other->name;
        }
        return (Str){0};
}

static bool comes_in_by(const EntryPlan *p, uint16_t port)
{
        const RouteRules *egress = &p->entry->egress;

        if (p->attached.listener != NULL && p->attached.listener->port == port)
                return true;
        for (size_t i = 0; i < egress->n_port_map; i++)
                if (egress->protocol != PROTOCOL_UDP && egress->port_map[i].listener_port == port)
                        return true;
        return false;
}

/* An entry whose egress comes in there; NULL: there is none. */
static const EntryPlan *find_egress(const Settling *s, const EgListener *l)
{
        for (size_t i = 0; i < s->n; i++) {
                const EntryPlan *p = &s->plans[i];
                if (is_new_entry(s, i) && p->entry->egress.enabled && comes_in_by(p, l->port))
                        return p;
        }
        return NULL;
}

static bool is_same_tailnet(const EntryPlan *a, const EntryPlan *b)
{
        return str_eq(a->spec->meta.key.namespace, b->spec->meta.key.namespace) &&
               str_eq(a->entry->tailnet_name, b->entry->tailnet_name);
}

/* An entry of another tailnet that has it already; NULL: there is none. */
static const EntryPlan *find_owner(const Settling *s, const IngressWayPlan *way)
{
        for (size_t i = 0; i < s->ways->n; i++) {
                const IngressWayPlan *other = &s->ways->at[i];
                if (other->reason == NULL && other->listener->port == way->listener->port &&
                    !is_same_tailnet(other->by, way->by))
                        return other->by;
        }
        return NULL;
}

/* Ranges that an entry trusts: where none is given, one. */
static size_t count_trusted(const IngressWayPlan *way)
{
        size_t n = way->by->entry->connectivity.ingress.n_trusted;
        return n > 0 ? n : 1;
}

/* With those that have the listener already. */
static size_t count_all_trusted(const Settling *s, const IngressWayPlan *way)
{
        size_t sum = count_trusted(way);
        for (size_t i = 0; i < s->ways->n; i++) {
                const IngressWayPlan *other = &s->ways->at[i];
                if (other->reason == NULL && other->listener->port == way->listener->port)
                        sum += count_trusted(other);
        }
        return sum;
}

static void judge_listener(const Settling *s, IngressWayPlan *way)
{
        Str neighbour = find_neighbour(s, way->listener);
        const EntryPlan *egress = find_egress(s, way->listener);
        const EntryPlan *owner = find_owner(s, way);

        if (neighbour.n > 0)
                refuse(way, "ListenerShared",
                       arena_printf(s->arena,
                                    "listener %.*s has port %u too, and who calls that would have "
                                    "to send the PROXY protocol's header: give this one a port of "
                                    "its own",
                                    STR_FMT(neighbour), way->listener->port));
        else if (egress != NULL)
                refuse(way, "ListenerShared",
                       arena_printf(s->arena,
                                    "egress of %.*s comes in by listener %.*s: its callers send no "
                                    "PROXY protocol header, and would be cut off",
                                    STR_FMT(name_entry(s, egress)), STR_FMT(way->listener->name)));
        else if (owner != NULL)
                refuse(way, "ListenerTaken",
                       arena_printf(s->arena,
                                    "listener %.*s is the way in of %.*s: who calls is known by "
                                    "tailnet and address, so each tailnet has its own",
                                    STR_FMT(way->listener->name), STR_FMT(name_entry(s, owner))));
        else if (count_all_trusted(s, way) > INGRESS_WAY_TRUSTED_MAX)
                refuse(way, "TooManySources",
                       arena_printf(s->arena,
                                    "listener %.*s would trust more than %d ranges "
                                    "(trustedSources)",
                                    STR_FMT(way->listener->name), INGRESS_WAY_TRUSTED_MAX));
}

/* A TCP listener is known by its port, and asked for by its name. */
static Attached choose_tcp(const Settling *s, const EntryPlan *p)
{
        const RouteRules *rules = &p->entry->ingress;
        Str section = rules->section_name.n > 0 ? rules->section_name : p->spec->section_name;
        uint16_t port = 0;

        for (size_t i = 0; s->gateway != NULL && i < s->gateway->n_listeners; i++)
                if (str_eq(s->gateway->listeners[i].name, section))
                        port = s->gateway->listeners[i].port;
        return attach_choose_port(s->arena, s->world, p->spec, PROTOCOL_TCP, port, s->gateway);
}

static Attached choose_listener(const Settling *s, const EntryPlan *p)
{
        const RouteRules *rules = &p->entry->ingress;

        if (rules->protocol == PROTOCOL_TCP)
                return choose_tcp(s, p);
        if (rules->protocol == PROTOCOL_TLS)
                return attach_choose_egress(s->arena, s->world, p->spec, rules, s->gateway);
        return attach_choose(s->arena, s->world, p->spec, rules, s->gateway);
}

static void settle(const Settling *s, IngressWayPlan *way)
{
        const EntryPlan *p = way->by;

        if (!p->entry->ingress.enabled) {
                refuse(way, "NoIngress",
                       STR("connectivity.ingress is given and routeGeneration.ingress is not: its "
                           "sectionName names the listener"));
                return;
        }
        Attached chosen = choose_listener(s, p);
        if (chosen.listener == NULL) {
                refuse(way, chosen.reason, chosen.text);
                return;
        }
        way->listener = chosen.listener;
        if (!chosen.named)
                refuse(way, "ListenerNotNamed",
                       arena_printf(s->arena,
                                    "listener %.*s fits; name it by "
                                    "routeGeneration.ingress.sectionName: who sends no PROXY "
                                    "protocol header is cut off from it",
                                    STR_FMT(chosen.listener->name)));
        else
                judge_listener(s, way);
}

IngressWays ingress_ways_settle(Arena *a, const World *w, const EgGateway *gateway,
                                const EntryPlan *plans, size_t n)
{
        IngressWays ways = {.at = arena_new_array(a, n + 1, sizeof(*ways.at))};
        Settling s = {a, w, gateway, plans, n, &ways};

        for (size_t i = 0; i < n; i++) {
                if (!is_new_entry(&s, i) || !ingress_way_is_asked(plans[i].entry))
                        continue;
                IngressWayPlan way = {.by = &plans[i]};
                settle(&s, &way);
                ways.at[ways.n++] = way;
        }
        return ways;
}

/* ---- the guard ---- */

static void put_header_filter(Buf *out)
{
        PbWriter w;

        pb_writer_init(&w, out);
        pb_begin(&w, PB_Listener_listener_filters);
        pb_str(&w, PB_ListenerFilter_name, STR(PROXY_PROTOCOL));
        pb_any_begin(&w, PB_ListenerFilter_typed_config, PB_TYPE_ProxyProtocol);
        pb_any_end(&w);
        pb_end(&w);
        pb_writer_done(&w);
}

static void put_range(PbWriter *w, const Cidr *c)
{
        IpAddr a;
        char text[IP_TEXT];

        memcpy(a.b, c->addr, sizeof(a.b));
        pb_begin(w, PB_Policy_principals);
        pb_begin(w, PB_Principal_direct_remote_ip);
        pb_str(w, PB_CidrRange_address_prefix, str_of(ip_format(&a, text)));
        pb_begin(w, PB_CidrRange_prefix_len);
        pb_varint(w, PB_UInt32Value_value,
                  ip_is_v4(&a) && c->bits >= V4_BITS ? c->bits - V4_BITS : c->bits);
        pb_end(w);
        pb_end(w);
        pb_end(w);
}

static int on_range_order(const void *a, const void *b)
{
        const Cidr *x = a, *y = b;
        int c = memcmp(x->addr, y->addr, sizeof(x->addr));

        return c != 0 ? c : x->bits < y->bits ? -1 : x->bits > y->bits;
}

/* All that the entries of one listener trust; sorted, each once; the caller frees. */
static Cidr *collect_trusted(const IngressWays *ways, uint16_t port, size_t *ret_n)
{
        static const Cidr loopback = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1},
                                      128};
        size_t room = 0, n = 0, kept = 0;

        for (size_t i = 0; i < ways->n; i++)
                room += count_trusted(&ways->at[i]);
        Cidr *all = mem_new_array(room + 1, sizeof(*all));
        for (size_t i = 0; i < ways->n; i++) {
                const IngressWayPlan *way = &ways->at[i];
                const IngressWay *in = &way->by->entry->connectivity.ingress;
                if (way->reason != NULL || way->listener->port != port)
                        continue;
                for (size_t j = 0; j < in->n_trusted; j++)
                        all[n++] = in->trusted[j];
                if (in->n_trusted == 0)
                        all[n++] = loopback;
        }
        qsort(all, n, sizeof(*all), on_range_order);
        for (size_t i = 0; i < n; i++)
                if (kept == 0 || on_range_order(&all[kept - 1], &all[i]) != 0)
                        all[kept++] = all[i];
        *ret_n = kept;
        return all;
}

static void put_source_filter(const Cidr *trusted, size_t n, Buf *out)
{
        PbWriter w;

        pb_writer_init(&w, out);
        pb_begin(&w, PB_FilterChain_filters);
        pb_str(&w, PB_Filter_name, STR(NETWORK_RBAC));
        pb_any_begin(&w, PB_Filter_typed_config, PB_TYPE_rbac_RBAC);
        pb_begin(&w, PB_rbac_RBAC_rules);
        pb_begin(&w, PB_RBAC_policies);
        pb_str(&w, PB_RBAC_policies_key, STR(PACK_PREFIX "trusted-sources"));
        pb_begin(&w, PB_RBAC_policies_value);
        pb_begin(&w, PB_Policy_permissions);
        pb_bool(&w, PB_Permission_any, true);
        pb_end(&w);
        for (size_t i = 0; i < n; i++)
                put_range(&w, &trusted[i]);
        pb_end(&w);
        pb_end(&w);
        pb_end(&w);
        pb_str(&w, PB_rbac_RBAC_stat_prefix, STR("tailscale_ingress."));
        pb_any_end(&w);
        pb_end(&w);
        pb_writer_done(&w);
}

static const Pack *find_before(const Contribution *before, const ListenerPatch *like, size_t i)
{
        for (size_t j = 0; before != NULL && j < before->n_patches; j++) {
                const ListenerPatch *p = &before->patches[j];
                if (p->kind == LISTENER_GUARDED && p->port == like->port && i < p->n)
                        return p->packs[i];
        }
        return NULL;
}

static const Pack *keep_bytes(const ListenerPatch *like, Str name, const Pack *before,
                              bool only_digest, const Buf *bytes)
{
        Pack p = {.name = name, .listener = like->listener, .only_digest = only_digest};

        return pack_keep(&p, before, bytes);
}

static void make_guard(const IngressWays *ways, const IngressWayPlan *way, bool only_digests,
                       const Contribution *before, Contribution *c)
{
        Leaf *leaf = &c->leaf;
        ListenerPatch p = {.kind = LISTENER_GUARDED,
                           .port = way->listener->port,
                           .listener = leaf_str(leaf, way->listener->name)};
        char name[3 * 256];
        size_t n;
        Buf bytes;

        IGNORE(snprintf(name, sizeof(name), "%.*s/%.*s/%.*s", STR_FMT(c->gateway.namespace),
                        STR_FMT(c->gateway.name), STR_FMT(p.listener)),
               "three names of at most 253 bytes fit");
        p.name_v1 = leaf_str(leaf, str_of(name));
        p.packs = leaf_alloc(leaf, 2 * sizeof(*p.packs));
        buf_init(&bytes, PACK_BYTES_MAX);
        put_header_filter(&bytes);
        p.packs[0] =
                keep_bytes(&p, STR("header"), find_before(before, &p, 0), only_digests, &bytes);
        Cidr *trusted = collect_trusted(ways, p.port, &n);
        buf_reset(&bytes);
        put_source_filter(trusted, n, &bytes);
        p.packs[1] =
                keep_bytes(&p, STR("sources"), find_before(before, &p, 1), only_digests, &bytes);
        mem_free(trusted);
        buf_done(&bytes);
        p.n = 2;
        c->patches[c->n_patches++] = p;
}

static int on_port_order(const void *a, const void *b)
{
        const ListenerPatch *x = a, *y = b;

        return x->port < y->port ? -1 : x->port > y->port;
}

static bool is_guarded(const Contribution *c, uint16_t port)
{
        for (size_t i = 0; i < c->n_patches; i++)
                if (c->patches[i].kind == LISTENER_GUARDED && c->patches[i].port == port)
                        return true;
        return false;
}

void ingress_ways_guard(const IngressWays *ways, bool only_digests, const Contribution *before,
                        Contribution *c)
{
        size_t others = c->n_patches;
        ListenerPatch *all;

        if (ways->n == 0)
                return;
        all = leaf_alloc(&c->leaf, (others + ways->n) * sizeof(*all));
        if (others > 0)
                memcpy(all, c->patches, others * sizeof(*all));
        c->patches = all;
        for (size_t i = 0; i < ways->n; i++)
                if (ways->at[i].reason == NULL && !is_guarded(c, ways->at[i].listener->port))
                        make_guard(ways, &ways->at[i], only_digests, before, c);
        qsort(all + others, c->n_patches - others, sizeof(*all), on_port_order);
}
