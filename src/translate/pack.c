/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What we tell Envoy of one service; its cluster is written by cluster_form. Values that are not
 * said here are Envoy's defaults. The same service gives the same bytes: fields stand in the order
 * of these functions.
 */
#include "translate/pack.h"

#include <stdio.h>

#include "proto/pb_writer.h"
#include "translate/cluster_form.h"
#include "translate/hostname.h"
#include "translate/xds_write.h"

#include "pb_tokens.h"

enum {
        REQUEST_TIMEOUT_S = 15,
        /* A host that refuses has the fewest requests, so three of four choices of two fall on it:
         * with 3 more choices a third of the retries would go there again (seen). */
        HOST_SELECTION_ATTEMPTS = 32,
};

Str pack_cluster_name(Arena *a, const PackService *s)
{
        enum {
                PROTOCOL_ROOM = 8
        };
        char protocol[PROTOCOL_ROOM];
        Str name = protocol_name(s->protocol);
        INSIST(name.n <= sizeof(protocol));
        for (size_t i = 0; i < name.n; i++)
                protocol[i] = (char)(name.p[i] | 0x20);
        char port[sizeof("-65535")];
        int n = snprintf(port, sizeof(port), "-%u", s->port);
        const Str parts[] = {s->is_ingress ? STR(PACK_PREFIX "ingress/")
                                           : STR(PACK_PREFIX "egress/"),
                             s->gateway_namespace,
                             STR("/"),
                             s->gateway,
                             STR("/"),
                             s->tailnet,
                             STR("/"),
                             s->service,
                             STR("/"),
                             str_make(protocol, name.n),
                             str_make(port, n > 0 ? (size_t)n : 0)};
        size_t bytes = 0;
        for (size_t i = 0; i < LENGTH_OF(parts); i++)
                bytes += parts[i].n;
        char *at = arena_new(a, bytes), *to = at;
        for (size_t i = 0; i < LENGTH_OF(parts); i++) {
                memcpy(to, parts[i].p, parts[i].n);
                to += parts[i].n;
        }
        return str_make(at, bytes);
}

/* A group that has one member today is a group all the same: its host does not move with who comes
 * and goes. */
static bool is_one_device(const PackService *s)
{
        if (endpoint_is_grouped(s->endpoints[0]))
                return false;
        for (size_t i = 1; i < s->n_endpoints; i++) {
                const Endpoint *a = s->endpoints[0], *b = s->endpoints[i];
                if (!str_eq(a->fqdn, b->fqdn) || !str_eq(a->short_name, b->short_name))
                        return false;
        }
        return true;
}

/* After a restart, before any answer, the devices' own names still tell it. */
static Str suffix_of_devices(const PackService *s)
{
        for (size_t i = 0; i < s->n_endpoints; i++) {
                ptrdiff_t dot = str_find(s->endpoints[i]->fqdn, '.');
                if (dot >= 0)
                        return str_sub(s->endpoints[i]->fqdn, (size_t)dot + 1, SIZE_MAX);
        }
        return (Str){0};
}

Str pack_host_of(Arena *a, const PackService *s, Str suffix)
{
        const Endpoint *e = s->endpoints[0];
        Str host = s->service;
        if (suffix.n == 0)
                suffix = suffix_of_devices(s);
        if (is_one_device(s))
                host = e->fqdn.n > 0 ? e->fqdn : e->short_name.n > 0 ? e->short_name : s->service;
        else if (suffix.n > 0)
                host = arena_printf(a, "%.*s.%.*s", STR_FMT(s->service), STR_FMT(suffix));
        return hostname_is_valid(host) ? host : (Str){0};
}

/* Of a service with failover, how often one of its level is tried before the next is: twice where
 * it has another host to try. */
static unsigned tries_before_failover(const PackService *s)
{
        const PackLevel *l = s->n_levels > 1 ? &s->levels[0] : NULL;
        return l != NULL && l->n * (l->n_proxies > 0 ? l->n_proxies : 1) > 1 ? 2 : 1;
}

static void write_retry_priority(PbWriter *w, unsigned tries)
{
        pb_begin(w, PB_RetryPolicy_retry_priority);
        pb_str(w, PB_RetryPolicy_RetryPriority_name,
               STR("envoy.retry_priorities.previous_priorities"));
        pb_any_begin(w, PB_RetryPolicy_RetryPriority_typed_config,
                     PB_TYPE_PreviousPrioritiesConfig);
        pb_varint(w, PB_PreviousPrioritiesConfig_update_frequency, tries);
        pb_any_end(w);
        pb_end(w);
}

static void write_retry(PbWriter *w, const PackService *s)
{
        pb_begin(w, PB_RouteAction_retry_policy);
        pb_str(w, PB_RetryPolicy_retry_on,
               s->retry == RETRY_AT_LEAST_ONCE
                       ? STR("connect-failure,refused-stream,reset-before-request,reset")
                       : STR("connect-failure,refused-stream,reset-before-request"));
        unsigned retries = tries_before_failover(s);
        xds_write_u32(w, PB_RetryPolicy_num_retries, retries);
        if (s->n_levels > 1)
                write_retry_priority(w, retries);
        pb_begin(w, PB_RetryPolicy_retry_host_predicate);
        pb_str(w, PB_RetryPolicy_RetryHostPredicate_name,
               STR("envoy.retry_host_predicates.previous_hosts"));
        pb_any_begin(w, PB_RetryPolicy_RetryHostPredicate_typed_config,
                     PB_TYPE_PreviousHostsPredicate);
        pb_any_end(w);
        pb_end(w);
        pb_varint(w, PB_RetryPolicy_host_selection_retry_max_attempts, HOST_SELECTION_ATTEMPTS);
        pb_end(w);
}

/* What tells one caller from another, where one is to stay with one endpoint. */
static void write_hash(PbWriter *w, const Balance *b)
{
        pb_begin(w, PB_RouteAction_hash_policy);
        switch (b->hash) {
        case HASH_SOURCE_IP:
                pb_begin(w, PB_RouteAction_HashPolicy_connection_properties);
                pb_bool(w, PB_RouteAction_HashPolicy_ConnectionProperties_source_ip, true);
                pb_end(w);
                break;
        case HASH_HEADER:
                pb_begin(w, PB_RouteAction_HashPolicy_header);
                pb_str(w, PB_RouteAction_HashPolicy_Header_header_name, b->header);
                pb_end(w);
                break;
        case HASH_COOKIE:
                /* With a TTL, also that of a session, Envoy makes the cookie where there is none.
                 */
                pb_begin(w, PB_RouteAction_HashPolicy_cookie);
                pb_str(w, PB_RouteAction_HashPolicy_Cookie_name, b->cookie);
                xds_write_seconds(w, PB_RouteAction_HashPolicy_Cookie_ttl,
                                  (uint64_t)(b->cookie_ttl.ns / 1000000000));
                pb_str(w, PB_RouteAction_HashPolicy_Cookie_path, STR("/"));
                pb_end(w);
                break;
        }
        pb_end(w);
}

static void write_action(PbWriter *w, const PackService *s, bool strip)
{
        pb_begin(w, PB_Route_route);
        pb_str(w, PB_RouteAction_cluster, s->cluster);
        if (strip)
                pb_str(w, PB_RouteAction_prefix_rewrite, STR("/"));
        if (s->host_header == HOST_HEADER_DEVICE && s->host.n > 0)
                pb_str(w, PB_RouteAction_host_rewrite_literal, s->host);
        /* Envoy starts the route's timeout when the request has ended, which an upgraded one never
         * does; a gRPC stream ends when its caller's grpc-timeout says. */
        bool grpc = protocol_is_grpc(s->protocol);
        xds_write_seconds(w, PB_RouteAction_timeout, grpc ? 0 : REQUEST_TIMEOUT_S);
        write_retry(w, s);
        if (s->balance != NULL && s->balance->type == BALANCE_CONSISTENT_HASH)
                write_hash(w, s->balance);
        if (!grpc) {
                pb_begin(w, PB_RouteAction_upgrade_configs);
                pb_str(w, PB_RouteAction_UpgradeConfig_upgrade_type, STR("websocket"));
                pb_end(w);
        } else {
                pb_begin(w, PB_RouteAction_max_stream_duration);
                xds_write_seconds(w, PB_RouteAction_MaxStreamDuration_grpc_timeout_header_max, 0);
                pb_end(w);
        }
        pb_end(w);
}

/* Which of the routes of one service this is, and what is appended to the cluster's name for its
 * own: names are told apart in one virtual host. */
typedef struct RouteForm {
        PbStr match; /* of RouteMatch */
        const char *suffix;
        bool strip; /* the path's prefix */
} RouteForm;

static void write_route(PbWriter *w, const PackService *s, RouteForm form, Str path)
{
        pb_begin(w, PB_VirtualHost_routes);
        pb_begin(w, PB_Route_match);
        pb_str(w, form.match, path);
        pb_end(w);
        write_action(w, s, form.strip);
        xds_write_mark(w, PB_Route_metadata, STR("service"), s);
        pb_begin(w, PB_Route_decorator);
        pb_str(w, PB_Decorator_operation, s->cluster);
        pb_end(w);
        pb_str_join(w, PB_Route_name, (const Str[]){s->cluster, str_of(form.suffix)}, 2);
        pb_end(w);
}

/* "tailscale/egress/<namespace>/<gateway>/<domain>": five parts, where Envoy Gateway's own names of
 * virtual hosts have one, four or six. */
static void write_vhost_head(PbWriter *w, Str eg_namespace, Str eg_gateway, Str domain)
{
        const Str name[] = {
                STR(PACK_PREFIX "egress/"), eg_namespace, STR("/"), eg_gateway, STR("/"), domain};
        pb_str_join(w, PB_VirtualHost_name, name, LENGTH_OF(name));
        pb_str(w, PB_VirtualHost_domains, domain);
}

void pack_catch_all(Str eg_namespace, Str eg_gateway, Str domain, Buf *out)
{
        PbWriter w;
        pb_writer_init(&w, out);
        write_vhost_head(&w, eg_namespace, eg_gateway, domain);
        xds_write_mark(&w, PB_VirtualHost_metadata, STR("paths"), NULL);
        pb_writer_done(&w);
}

static bool same_standing(const PackStanding *a, const PackStanding *b)
{
        return a->oldest.ms == b->oldest.ms && a->created.ms == b->created.ms &&
               a->priority == b->priority;
}

/* Clusters have none, nor has anything without Kubernetes and priorities. */
static void add_standing(Digester *d, const PackStanding *s)
{
        if (same_standing(s, &(PackStanding){0}))
                return;
        digester_add_u64(d, (uint64_t)s->oldest.ms);
        digester_add_u64(d, (uint64_t)s->created.ms);
        digester_add_u64(d, (uint64_t)(int64_t)s->priority);
}

static Digest digest_pack(const Pack *p)
{
        Digester *d = digester_new();
        digester_add(d, p->name);
        digester_add(d, p->cluster);
        digester_add(d, p->namespace);
        digester_add(d, p->listener);
        digester_add(d, p->bytes);
        digester_add_u64(d, p->rank);
        digester_add_u64(d, (uint64_t)p->named << 1 | (uint64_t)p->override);
        add_standing(d, &p->standing);
        return digester_finish(d);
}

/* Where bytes are not kept both have their digest already. */
static bool is_same(const Pack *a, const Pack *b)
{
        if (a->only_digest != b->only_digest || a->n != b->n)
                return false;
        if (a->only_digest)
                return digest_eq(&a->digest, &b->digest);
        return str_eq(a->bytes, b->bytes) && str_eq(a->name, b->name) &&
               str_eq(a->cluster, b->cluster) && str_eq(a->namespace, b->namespace) &&
               str_eq(a->listener, b->listener) && a->rank == b->rank && a->named == b->named &&
               a->override == b->override && same_standing(&a->standing, &b->standing);
}

bool pack_is_at(const Pack *p, Str cluster, const PackPlace *place)
{
        return str_eq(p->cluster, cluster) && str_eq(p->name, place->name) &&
               str_eq(p->listener, place->listener) && p->rank == place->rank &&
               p->named == place->named && p->override == place->override &&
               same_standing(&p->standing, &place->standing);
}

bool pack_is_made_of(const Pack *cluster, const PackService *s)
{
        if (cluster->n_from != s->n_endpoints + s->n_others ||
            !digest_eq(&cluster->config, &s->config))
                return false;
        return memcmp(cluster->from, s->endpoints, s->n_endpoints * sizeof(const Endpoint *)) ==
                       0 &&
               (s->n_others == 0 || memcmp(cluster->from + s->n_endpoints, s->others,
                                           s->n_others * sizeof(const Endpoint *)) == 0);
}

static void on_drop(Leaf *leaf)
{
        const Pack *p = (const Pack *)leaf;
        for (size_t i = 0; i < p->n_from; i++)
                leaf_unref(p->from[i]);
}

/* `like` holds what is borrowed, its bytes stand in `bytes`; `from` (NULL: not kept) is what it was
 * made of. */
static Pack *keep(Pack *like, const Pack *before, const Buf *bytes, const PackService *from)
{
        if (bytes->failed)
                return NULL;
        like->bytes = buf_str(bytes);
        like->n = like->bytes.n;
        if (like->only_digest) {
                like->digest = digest_pack(like);
                like->bytes = (Str){0};
        }
        bool is_known = before != NULL && is_same(before, like);
        if (is_known && from == NULL)
                return leaf_ref(before);
        /* A cluster is its own. */
        bool is_own = like->cluster.p == like->name.p;
        const Str strings[] = {like->name, is_own ? (Str){0} : like->cluster, like->namespace,
                               like->listener, like->bytes};
        size_t n_from = from != NULL ? from->n_endpoints + from->n_others : 0;
        /* Aligned, behind strings of any length. */
        size_t room = n_from * sizeof(const Endpoint *) + _Alignof(max_align_t) - 1;
        for (size_t i = 0; i < LENGTH_OF(strings); i++)
                room += leaf_room_str(strings[i]);
        Pack *p = leaf_new(sizeof(*p), room, on_drop);
        p->name = leaf_str(&p->leaf, like->name);
        p->cluster = is_own ? p->name : leaf_str(&p->leaf, like->cluster);
        p->namespace = leaf_str(&p->leaf, like->namespace);
        p->listener = leaf_str(&p->leaf, like->listener);
        p->bytes = leaf_str(&p->leaf, like->bytes);
        p->n = like->n;
        p->only_digest = like->only_digest;
        p->rank = like->rank;
        p->named = like->named;
        p->override = like->override;
        p->standing = like->standing;
        p->routes_at = like->routes_at;
        p->routes_n = like->routes_n;
        if (n_from > 0) {
                p->config = from->config;
                p->from = leaf_alloc(&p->leaf, n_from * sizeof(const Endpoint *));
                for (size_t i = 0; i < from->n_endpoints; i++)
                        p->from[p->n_from++] = leaf_ref(from->endpoints[i]);
                for (size_t i = 0; i < from->n_others; i++)
                        p->from[p->n_from++] = leaf_ref(from->others[i]);
        }
        p->digest = is_known ? before->digest : like->only_digest ? like->digest : digest_pack(p);
        return p;
}

Pack *pack_keep(Pack *like, const Pack *before, const Buf *bytes)
{
        return keep(like, before, bytes, NULL);
}

Pack *pack_cluster(const PackService *s, const Pack *before, Buf *scratch)
{
        buf_reset(scratch);
        PbWriter w;
        pb_writer_init(&w, scratch);
        cluster_form_write(&w, s);
        pb_writer_done(&w);
        Pack like = {.name = s->cluster,
                     .cluster = s->cluster,
                     .namespace = s->gateway_namespace,
                     .only_digest = s->only_digest};
        return keep(&like, before, scratch, s);
}

static Pack place(const PackService *s, const PackPlace *p)
{
        return (Pack){.name = p->name,
                      .cluster = s->cluster,
                      .namespace = s->gateway_namespace,
                      .listener = p->listener,
                      .rank = p->rank,
                      .named = p->named,
                      .override = p->override,
                      .standing = p->standing,
                      .only_digest = s->only_digest};
}

Pack *pack_host(const PackService *s, const PackPlace *p, const Pack *before, Buf *scratch)
{
        buf_reset(scratch);
        PbWriter w;
        pb_writer_init(&w, scratch);
        pb_begin(&w, PB_RouteConfiguration_virtual_hosts);
        size_t body = scratch->n;
        write_vhost_head(&w, p->eg_namespace, p->eg_gateway, p->name);
        size_t from = scratch->n;
        write_route(&w, s, (RouteForm){PB_RouteMatch_prefix, "/host", false}, STR("/"));
        size_t to = scratch->n;
        xds_write_mark(&w, PB_VirtualHost_metadata, STR("service"), s);
        size_t n = scratch->n - body;
        pb_end(&w);
        pb_writer_done(&w);
        /* The length took its room in front of the body. */
        size_t moved = scratch->n - n - body;
        Pack like = place(s, p);
        like.routes_at = from + moved;
        like.routes_n = to - from;
        return keep(&like, before, scratch, NULL);
}

Pack *pack_path(const PackService *s, const PackPlace *p, const Pack *before, Buf *scratch)
{
        buf_reset(scratch);
        PbWriter w;
        pb_writer_init(&w, scratch);
        /* "/tailscale/x" is "/tailscale/x/"; the root has no form without its slash. */
        if (p->name.n > 1)
                write_route(&w, s, (RouteForm){PB_RouteMatch_path, "/path", true},
                            str_sub(p->name, 0, p->name.n - 1));
        write_route(&w, s, (RouteForm){PB_RouteMatch_prefix, "/prefix", true}, p->name);
        pb_writer_done(&w);
        Pack like = place(s, p);
        like.routes_n = scratch->n;
        return keep(&like, before, scratch, NULL);
}
