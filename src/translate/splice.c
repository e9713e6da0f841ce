/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two passes over the bytes. The first notes the virtual hosts that something happens to: ours of
 * before go, a host of ours may find its domain taken, a path may belong in. The second copies runs
 * of what is untouched in one piece each and writes what is not.
 *
 * 1. A domain is in the answer once: a host of ours whose domain is there already is left out, or,
 *    with overrideHosts and where every route there is of its own namespace, its route goes in
 *    front of them.
 * 2. Authentication that Envoy Gateway gave to a host or to all of a listener is not undone by
 *    accident: routes that we put in do not have it, so they need the user's explicit word.
 * 3. What is not ours keeps its bytes and its order.
 */
#include "translate/splice.h"

#include "proto/pb_reader.h"
#include "proto/pb_writer.h"
#include "translate/hostname.h"
#include "translate/xds_view.h"

#include <stdlib.h>

#include "pb_tokens.h"

typedef struct Note Note;
/* A virtual host that something happens to. */
struct Note {
        Note *next;
        Str span, body;
        bool ours;           /* taken out */
        bool has_our_routes; /* of before: taken out */
        bool overridden;     /* a host of ours stands in front of it */
        const Pack **in;     /* routes put in front, in order */
        size_t n_in;
};

/* What is known of the authentication of a listener. */
typedef enum Auth {
        AUTH_UNKNOWN,
        AUTH_NOT_ALL,
        AUTH_ALL
} Auth;

typedef struct Splice {
        Arena *arena;
        Str body;            /* of the RouteConfiguration */
        Joined join;         /* what is put in */
        StrList taken;       /* names of clusters */
        Note *first, **last; /* in the order of the bytes */
        Note **owners;       /* of each of join.hosts: the virtual host that has its domain */
        Auth **auth;         /* of each part, and there of each of target->listeners */
        Note **catch_alls;   /* of each of join.groups: the virtual host that is it */
        size_t *named;       /* of each: virtual hosts of its listener that it names */
        size_t *placed;      /* of each: virtual hosts that took its paths */
        size_t paths;        /* put in so far */
} Splice;

static const PathGroup *group_at(const Splice *s, size_t i)
{
        return s->join.groups[i].group;
}

static const JoinPart *part_of_group(const Splice *s, size_t i)
{
        return &s->join.parts[s->join.groups[i].part];
}

/* -- What a virtual host is ------------------------------------------------------------------ */

static bool has_auth(Str vhost)
{
        if (xds_view_has_auth(vhost, PBN_VirtualHost_typed_per_filter_config))
                return true;
        PbReader r = pb_reader(vhost);
        for (Str route; pb_next_len(&r, PBN_VirtualHost_routes, &route);) {
                if (!xds_view_is_our_route(route) &&
                    xds_view_has_auth(route, PBN_Route_typed_per_filter_config))
                        return true;
        }
        return false;
}

/* Do all routes there come from HTTPRoutes and GRPCRoutes of that namespace? */
static bool is_of_namespace(Str vhost, Str namespace)
{
        PbReader r = pb_reader(vhost);
        Str of = {0};
        for (Str route; pb_next_len(&r, PBN_VirtualHost_routes, &route);) {
                if (!xds_view_is_our_route(route) &&
                    (!xds_view_route_namespace(route, &of) || !str_eq(of, namespace)))
                        return false;
        }
        return true;
}

/* Is it a Gateway's own? Where Gateways are merged others have some beside it. One that does not
 * tell might be. */
static bool is_of_gateway(Str vhost, ObjectKey gateway)
{
        EgResource made_by;
        return !xds_view_resource(vhost, PBN_VirtualHost_metadata, &made_by) ||
               object_key_eq((ObjectKey){made_by.namespace, made_by.name}, gateway);
}

/* Does the virtual host stand for that listener? One whose listener is not known might. */
static bool is_on_listener(const JoinPart *part, Str vhost, Str listener)
{
        EgResource made_by;
        if (!xds_view_resource(vhost, PBN_VirtualHost_metadata, &made_by))
                return true;
        if (!object_key_eq((ObjectKey){made_by.namespace, made_by.name}, part->gateway))
                return false;
        return part->target->listeners.n < 2 || made_by.section.n == 0 ||
               str_eq(made_by.section, listener);
}

/* Counts Envoy Gateway's routes; false at the first without authentication. */
static bool count_auth(Str vhost, size_t *n)
{
        bool whole = xds_view_has_auth(vhost, PBN_VirtualHost_typed_per_filter_config);
        PbReader r = pb_reader(vhost);
        for (Str route; pb_next_len(&r, PBN_VirtualHost_routes, &route);) {
                if (xds_view_is_our_route(route))
                        continue;
                if (!whole && !xds_view_has_auth(route, PBN_Route_typed_per_filter_config))
                        return false;
                ++*n;
        }
        return true;
}

/* Do all of Envoy Gateway's routes of the listener (at least one) carry authentication? */
static bool is_all_auth(const Splice *s, const JoinPart *part, Str listener)
{
        const StrList all_listeners = part->target->listeners;
        size_t i = 0;
        while (i < all_listeners.n && !str_eq(all_listeners.at[i], listener))
                i++;
        if (i == all_listeners.n)
                return false;
        Auth *known = &s->auth[part - s->join.parts][i];
        if (*known != AUTH_UNKNOWN)
                return *known == AUTH_ALL;
        size_t n = 0;
        bool all = true;
        PbReader r = pb_reader(s->body);
        for (Str vhost; all && pb_next_len(&r, PBN_RouteConfiguration_virtual_hosts, &vhost);) {
                if (!xds_view_is_ours(vhost, PBN_VirtualHost_metadata) &&
                    is_on_listener(part, vhost, listener))
                        all = count_auth(vhost, &n);
        }
        *known = all && n > 0 ? AUTH_ALL : AUTH_NOT_ALL;
        return *known == AUTH_ALL;
}

/* -- First pass: notes ----------------------------------------------------------------------- */

/* The domain in lower case; Envoy compares them so. `room` holds HOSTNAME_MAX bytes. */
static Str fold(Str domain, char *room)
{
        size_t upper = 0;
        for (size_t i = 0; i < domain.n; i++)
                upper += domain.p[i] >= 'A' && domain.p[i] <= 'Z';
        if (upper == 0 || domain.n > HOSTNAME_MAX)
                return domain;
        for (size_t i = 0; i < domain.n; i++) {
                char c = domain.p[i];
                room[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        }
        return str_make(room, domain.n);
}

static bool group_names(const PathGroup *g, Str domain)
{
        return g->catch_all ? str_eq_fold(g->domain, domain) : hostname_names(g->domain, domain);
}

/* What one domain means for us. */
typedef struct Meaning {
        size_t host; /* index of the host of ours that it is; SIZE_MAX: none */
        bool paths;  /* groups of paths name it */
} Meaning;

static Meaning meaning(const Splice *s, Str domain)
{
        char room[HOSTNAME_MAX];
        Meaning m = {.host = joined_find(&s->join, fold(domain, room))};
        for (size_t i = 0; i < s->join.n_groups && !m.paths; i++)
                m.paths = group_names(group_at(s, i), domain);
        return m;
}

static Note *add_note(Splice *s, const PbField *f)
{
        Note *n = arena_try(s->arena, sizeof(*n));
        if (n == NULL)
                return NULL;
        *n = (Note){.span = f->span, .body = f->body};
        *s->last = n;
        s->last = &n->next;
        return n;
}

/* The virtual host has the domain of one or more hosts of ours. */
static void own(Splice *s, Note *note)
{
        PbReader r = pb_reader(note->body);
        for (Str domain; pb_next_len(&r, PBN_VirtualHost_domains, &domain);) {
                Meaning m = meaning(s, domain);
                if (m.host != SIZE_MAX)
                        s->owners[m.host] = note;
        }
}

/* Looks at one virtual host; notes it where something happens to it. */
static SpliceVerdict note_vhost(Splice *s, const PbField *vhost)
{
        bool named_like_ours = false, has_our_routes = false, is_host = false, has_paths = false;
        PbReader r = pb_reader(vhost->body);
        for (PbField f; pb_next(&r, &f);) {
                if (f.wire != PB_LEN)
                        continue;
                if (f.number == PBN_VirtualHost_name) {
                        named_like_ours = str_starts(f.body, STR(PACK_PREFIX));
                } else if (f.number == PBN_VirtualHost_domains) {
                        Meaning m = meaning(s, f.body);
                        is_host = is_host || m.host != SIZE_MAX;
                        has_paths = has_paths || m.paths;
                } else if (f.number == PBN_VirtualHost_routes) {
                        has_our_routes = has_our_routes || xds_view_is_our_route(f.body);
                }
        }
        if (r.bad)
                return SPLICE_INVALID;
        bool ours = named_like_ours && xds_view_is_ours(vhost->body, PBN_VirtualHost_metadata);
        if (!ours && !has_our_routes && !is_host && !has_paths)
                return SPLICE_DONE;
        Note *n = add_note(s, vhost);
        if (n == NULL)
                return SPLICE_TOO_LARGE;
        n->ours = ours;
        n->has_our_routes = has_our_routes;
        if (!ours && is_host)
                own(s, n);
        return SPLICE_DONE;
}

static SpliceVerdict note_all(Splice *s)
{
        PbReader r = pb_reader(s->body);
        for (PbField f; pb_next(&r, &f);) {
                if (f.number != PBN_RouteConfiguration_virtual_hosts)
                        continue;
                if (f.wire != PB_LEN)
                        return SPLICE_INVALID;
                SpliceVerdict v = note_vhost(s, &f);
                if (v != SPLICE_DONE)
                        return v;
        }
        return r.bad ? SPLICE_INVALID : SPLICE_DONE;
}

/* -- What is put in -------------------------------------------------------------------------- */

/* A route that is put in front of those of a virtual host takes all of its domains. */
static bool has_one_domain(Str vhost)
{
        size_t n = 0;
        PbReader r = pb_reader(vhost);
        for (Str domain; n < 2 && pb_next_len(&r, PBN_VirtualHost_domains, &domain);)
                n++;
        return n == 1;
}

static bool miss_host(const JoinPart *part, const Pack *host, GapReason reason)
{
        gap_notes_add(&part->tally->gaps, &(AnswerGap){.reason = reason,
                                                       .listener = host->listener,
                                                       .namespace = host->namespace,
                                                       .host = host->name,
                                                       .cluster = host->cluster,
                                                       .n = 1});
        return false;
}

/* Paths of a group that are not put into the virtual host with the domain `where` (empty: into
 * none). */
static bool miss_group(const Splice *s, size_t group, GapReason reason, Str where)
{
        const PathGroup *g = group_at(s, group);
        gap_notes_add(&part_of_group(s, group)->tally->gaps, &(AnswerGap){.reason = reason,
                                                                          .paths = true,
                                                                          .catch_all = g->catch_all,
                                                                          .listener = g->listener,
                                                                          .namespace = g->namespace,
                                                                          .host = g->domain,
                                                                          .where = where,
                                                                          .n = g->n});
        return false;
}

/* May this host of ours be in the answer? `owner`: who has its domain, or NULL. */
static bool admit_host(const Splice *s, size_t i, const Note *owner)
{
        const Pack *host = s->join.hosts[i];
        const JoinPart *part = joined_part(&s->join, i);
        if (strlist_has(s->taken, host->cluster))
                return miss_host(part, host, GAP_CLUSTER_TAKEN);
        if (owner != NULL &&
            (owner->overridden || !host->override || !has_one_domain(owner->body) ||
             !is_of_gateway(owner->body, part->gateway) ||
             !is_of_namespace(owner->body, host->namespace)))
                return miss_host(part, host, GAP_HOST_TAKEN);
        if (!host->named && is_all_auth(s, part, host->listener))
                return miss_host(part, host, GAP_AUTH);
        return true;
}

/* The first of the virtual host's domains that the group names; empty: none. */
static Str named_domain(const PathGroup *g, Str vhost)
{
        PbReader r = pb_reader(vhost);
        for (Str domain; pb_next_len(&r, PBN_VirtualHost_domains, &domain);) {
                if (group_names(g, domain))
                        return domain;
        }
        return (Str){0};
}

/* May the group's paths be put into this virtual host, which it names by `where`? */
static bool admit_group(const Splice *s, size_t i, const Note *note, Str where)
{
        const PathGroup *g = group_at(s, i);
        const JoinPart *part = part_of_group(s, i);
        bool exact = !g->catch_all && !str_starts(g->domain, STR("*"));
        if (note->overridden)
                return miss_group(s, i, GAP_GENERATED_HOST, where);
        if (!g->catch_all && !is_of_namespace(note->body, g->namespace))
                return miss_group(s, i, GAP_OTHER_NAMESPACE, where);
        if (g->catch_all ? !g->named && (has_auth(note->body) || is_all_auth(s, part, g->listener))
                         : !exact && has_auth(note->body))
                return miss_group(s, i, GAP_AUTH, where);
        return true;
}

/* Longest first. */
static int on_path_order(const void *a, const void *b)
{
        const JoinClaim *x = a, *y = b;
        if (x->pack->name.n != y->pack->name.n)
                return x->pack->name.n > y->pack->name.n ? -1 : 1;
        int c = str_cmp(x->pack->name, y->pack->name);
        if (c == 0)
                c = x->part < y->part ? -1 : x->part > y->part;
        return c != 0 ? c : x->pack->rank < y->pack->rank ? -1 : x->pack->rank > y->pack->rank;
}

/* How many of the claims [at, at + n) are of the first one's path. */
static size_t path_length(const JoinClaim *at, size_t n)
{
        size_t i = 1;
        while (i < n && str_eq(at[i].pack->name, at[0].pack->name))
                i++;
        return i;
}

/* Paths of several groups in one host: longest first, each of one alone. */
static size_t merge(const Splice *s, JoinClaim *at, size_t n, Str where)
{
        if (n > 1)
                qsort(at, n, sizeof(*at), on_path_order);
        size_t kept = 0;
        for (size_t from = 0, length; from < n; from += length) {
                length = path_length(at + from, n - from);
                joined_settle(at + from, length);
                for (size_t i = from + 1; i < from + length; i++) {
                        /* pathHosts may name a host twice: then nothing is left out. */
                        if (str_eq(at[i].pack->cluster, at[from].pack->cluster))
                                continue;
                        gap_notes_add(&s->join.parts[at[i].part].tally->gaps,
                                      &(AnswerGap){.reason = GAP_PATH_TAKEN,
                                                   .paths = true,
                                                   .partly = true,
                                                   .path = at[i].pack->name,
                                                   .cluster = at[i].pack->cluster,
                                                   .where = where,
                                                   .n = 1});
                }
                at[kept++] = at[from];
        }
        return kept;
}

/* The group's paths, but for those of clusters whose name somebody else has. */
static size_t take_paths(const Splice *s, size_t i, JoinClaim *at)
{
        const PathGroup *g = group_at(s, i);
        const JoinPart *part = part_of_group(s, i);
        size_t n = 0;
        for (size_t j = 0; j < g->n; j++) {
                if (!strlist_has(s->taken, g->paths[j]->cluster)) {
                        at[n++] = (JoinClaim){.pack = g->paths[j], .part = s->join.groups[i].part};
                        continue;
                }
                gap_notes_add(&part->tally->gaps, &(AnswerGap){.reason = GAP_CLUSTER_TAKEN,
                                                               .paths = true,
                                                               .catch_all = g->catch_all,
                                                               .listener = g->listener,
                                                               .host = g->domain,
                                                               .cluster = g->paths[j]->cluster,
                                                               .n = 1});
        }
        return n;
}

/* The paths that the groups chosen by `admitted` put into one host, which has the domain `where`.
 * False above a cap. */
static bool gather(Splice *s, const bool *admitted, Str where, const Pack ***ret, size_t *ret_n)
{
        size_t n = 0, groups = 0;
        for (size_t i = 0; i < s->join.n_groups; i++) {
                n += admitted[i] ? group_at(s, i)->n : 0;
                groups += admitted[i];
        }
        JoinClaim *at = arena_try(s->arena, n * sizeof(*at));
        const Pack **packs = arena_try(s->arena, n * sizeof(const Pack *));
        if (at == NULL || packs == NULL)
                return false;
        n = 0;
        for (size_t i = 0; i < s->join.n_groups; i++)
                n += admitted[i] ? take_paths(s, i, at + n) : 0;
        n = groups > 1 ? merge(s, at, n, where) : n;
        bool fits = s->paths + n <= SPLICE_PATHS_MAX;
        for (size_t i = 0; i < s->join.n_groups; i++) {
                if (admitted[i] && fits)
                        s->placed[i]++;
                else if (admitted[i])
                        miss_group(s, i, GAP_TOO_MANY, where);
        }
        n = fits ? n : 0;
        for (size_t i = 0; i < n; i++) {
                packs[i] = at[i].pack;
                s->join.parts[at[i].part].tally->paths++;
        }
        s->paths += n;
        *ret = packs;
        *ret_n = n;
        return true;
}

/* Puts paths into one virtual host that is there. */
static bool put_paths(Splice *s, Note *note, bool *admitted)
{
        bool any = false;
        Str first = {0};
        for (size_t i = 0; i < s->join.n_groups; i++) {
                const PathGroup *g = group_at(s, i);
                Str where = named_domain(g, note->body);
                admitted[i] = false;
                if (where.n == 0)
                        continue;
                if (g->catch_all && s->catch_alls[i] == NULL)
                        s->catch_alls[i] = note;
                if (!is_on_listener(part_of_group(s, i), note->body, g->listener))
                        continue;
                s->named[i]++;
                admitted[i] = admit_group(s, i, note, where);
                any = any || admitted[i];
                first = first.n > 0 ? first : where;
        }
        return !any || gather(s, admitted, first, &note->in, &note->n_in);
}

static bool names_catch_all(const Splice *s, const Note *note)
{
        for (size_t i = 0; i < s->join.n_groups; i++) {
                if (group_at(s, i)->catch_all && named_domain(group_at(s, i), note->body).n > 0)
                        return true;
        }
        return false;
}

/* Puts paths into the virtual hosts that are there: the catch-all first, as the cap is to hit
 * others. */
static bool put_all_paths(Splice *s, bool *admitted)
{
        for (int catch_all = 1; catch_all >= 0; catch_all--) {
                for (Note *n = s->first; n != NULL; n = n->next) {
                        if (!n->ours && names_catch_all(s, n) == (catch_all == 1) &&
                            !put_paths(s, n, admitted))
                                return false;
                }
        }
        return true;
}

/* -- Second pass: bytes ---------------------------------------------------------------------- */

static size_t routes_size(const Pack *const *packs, size_t n)
{
        size_t bytes = 0;
        for (size_t i = 0; i < n; i++)
                bytes += packs[i]->routes_n;
        return bytes;
}

static void put_routes(const Pack *const *packs, size_t n, Buf *out)
{
        for (size_t i = 0; i < n; i++)
                buf_add_str(out, pack_routes(packs[i]));
}

/* Bytes of the virtual host without our routes of before. */
static size_t kept_size(const Note *n)
{
        size_t bytes = n->body.n;
        if (!n->has_our_routes)
                return bytes;
        PbReader r = pb_reader(n->body);
        for (PbField f; pb_next(&r, &f);) {
                if (f.number == PBN_VirtualHost_routes && f.wire == PB_LEN &&
                    xds_view_is_our_route(f.body))
                        bytes -= f.span.n;
        }
        return bytes;
}

static void put_kept(const Note *n, Buf *out)
{
        if (!n->has_our_routes) {
                buf_add_str(out, n->body);
                return;
        }
        PbReader r = pb_reader(n->body);
        for (PbField f; pb_next(&r, &f);) {
                if (f.number != PBN_VirtualHost_routes || f.wire != PB_LEN ||
                    !xds_view_is_our_route(f.body))
                        buf_add_str(out, f.span);
        }
}

static bool is_touched(const Note *n)
{
        return n->ours || n->has_our_routes || n->n_in > 0;
}

static size_t vhost_size(const Note *n, uint32_t field)
{
        size_t bytes = routes_size(n->in, n->n_in) + kept_size(n);
        return n->ours ? 0 : pb_len_size(field, bytes) + bytes;
}

static void put_vhost(const Note *n, uint32_t field, Buf *out)
{
        if (n->ours)
                return;
        pb_put_len(out, field, routes_size(n->in, n->n_in) + kept_size(n));
        put_routes(n->in, n->n_in, out);
        put_kept(n, out);
}

/* A catch-all host that Envoy Gateway has not made. */
typedef struct Added {
        Buf head; /* body of the VirtualHost without routes */
        const Pack **in;
        size_t n_in;
} Added;

static size_t added_body(const Added *a)
{
        return a->head.n + routes_size(a->in, a->n_in);
}

/* Virtual hosts that are appended. */
typedef struct Additions {
        const Pack **hosts;
        size_t n_hosts;
        Added *added;
        size_t n_added;
} Additions;

static size_t additions_size(const Additions *add)
{
        const uint32_t vhosts = PBN_RouteConfiguration_virtual_hosts;
        size_t bytes = 0;
        for (size_t i = 0; i < add->n_hosts; i++)
                bytes += add->hosts[i]->bytes.n;
        for (size_t i = 0; i < add->n_added; i++)
                bytes += pb_len_size(vhosts, added_body(&add->added[i])) +
                         added_body(&add->added[i]);
        return bytes;
}

static void put_additions(const Additions *add, Buf *out)
{
        for (size_t i = 0; i < add->n_hosts; i++)
                buf_add_str(out, add->hosts[i]->bytes);
        for (size_t i = 0; i < add->n_added; i++) {
                pb_put_len(out, PBN_RouteConfiguration_virtual_hosts, added_body(&add->added[i]));
                buf_add_str(out, buf_str(&add->added[i].head));
                put_routes(add->added[i].in, add->added[i].n_in, out);
        }
}

static SpliceVerdict write_routes(Splice *s, const Additions *add, uint32_t field, Buf *out)
{
        const uint32_t vhosts = PBN_RouteConfiguration_virtual_hosts;
        size_t n = s->body.n + additions_size(add);
        for (const Note *note = s->first; note != NULL; note = note->next)
                n = is_touched(note) ? n - note->span.n + vhost_size(note, vhosts) : n;
        pb_put_len(out, field, n);
        if (!buf_reserve(out, n))
                return SPLICE_TOO_LARGE;
        const char *from = s->body.p;
        for (const Note *note = s->first; note != NULL; note = note->next) {
                if (!is_touched(note))
                        continue;
                buf_add(out, from, (size_t)(note->span.p - from));
                put_vhost(note, vhosts, out);
                from = note->span.p + note->span.n;
        }
        buf_add(out, from, (size_t)(s->body.p + s->body.n - from));
        put_additions(add, out);
        return out->failed ? SPLICE_TOO_LARGE : SPLICE_DONE;
}

/* -- One RouteConfiguration ------------------------------------------------------------------ */

/* Hosts of ours that are appended; those in front of a user's are put into its note. */
static size_t put_hosts(Splice *s, const Pack **ret)
{
        size_t n = 0;
        for (size_t i = 0; i < s->join.n_hosts; i++) {
                Note *owner = s->owners[i];
                if (!admit_host(s, i, owner))
                        continue;
                joined_part(&s->join, i)->tally->hosts++;
                if (owner == NULL) {
                        ret[n++] = s->join.hosts[i];
                        continue;
                }
                owner->overridden = true;
                owner->in = &s->join.hosts[i];
                owner->n_in = 1;
        }
        return n;
}

/* The catch-all host of group `i` and of others with the same domain, where there is none. */
static bool add_catch_all(Splice *s, size_t i, bool *admitted, Added *ret)
{
        const Str domain = group_at(s, i)->domain;
        const ObjectKey gateway = part_of_group(s, i)->gateway;
        bool any = false, generated = joined_find(&s->join, domain) != SIZE_MAX;
        for (size_t j = 0; j < s->join.n_groups; j++) {
                const PathGroup *h = group_at(s, j);
                admitted[j] = h->catch_all && str_eq(h->domain, domain);
                if (admitted[j] && !h->named && is_all_auth(s, part_of_group(s, j), h->listener))
                        admitted[j] = miss_group(s, j, GAP_AUTH, (Str){0});
                if (admitted[j] && generated)
                        admitted[j] = miss_group(s, j, GAP_GENERATED_HOST, (Str){0});
                any = any || admitted[j];
        }
        if (!any)
                return true;
        if (!gather(s, admitted, domain, &ret->in, &ret->n_in))
                return false;
        if (ret->n_in > 0)
                pack_catch_all(gateway.namespace, gateway.name, domain, &ret->head);
        return true;
}

static bool is_first_of_domain(const Splice *s, size_t i)
{
        for (size_t j = 0; j < i; j++) {
                if (group_at(s, j)->catch_all &&
                    str_eq(group_at(s, j)->domain, group_at(s, i)->domain))
                        return false;
        }
        return true;
}

static bool add_catch_alls(Splice *s, bool *admitted, Added *added, size_t *n_added)
{
        for (size_t i = 0; i < s->join.n_groups; i++) {
                if (!group_at(s, i)->catch_all || s->catch_alls[i] != NULL ||
                    !is_first_of_domain(s, i))
                        continue;
                Added *at = &added[*n_added];
                buf_init(&at->head, PACK_BYTES_MAX);
                if (!add_catch_all(s, i, admitted, at))
                        return false;
                *n_added += at->n_in > 0;
        }
        return true;
}

/* Of what was left out of some hosts, and is in others: gaps of the part from number `from` on. */
static void settle_partly(const JoinPart *part, const PathGroup *g, size_t from)
{
        GapNotes *gaps = &part->tally->gaps;
        for (size_t j = from; j < gaps->n; j++) {
                AnswerGap *gap = &gaps->at[j];
                if (gap->paths && gap->cluster.n == 0 && str_eq(gap->host, g->domain) &&
                    str_eq(gap->listener, g->listener) && str_eq(gap->namespace, g->namespace) &&
                    gap->catch_all == g->catch_all)
                        gap->partly = true;
        }
}

/* Groups that no virtual host was there for, or only another Gateway's; and of those that were left
 * out of some, which are in others. `from`: of each part the first gap of this RouteConfiguration.
 */
static void settle_gaps(Splice *s, const size_t *from)
{
        for (size_t i = 0; i < s->join.n_groups; i++) {
                const PathGroup *g = group_at(s, i);
                if (!g->catch_all && s->named[i] == 0)
                        miss_group(s, i,
                                   joined_find(&s->join, g->domain) != SIZE_MAX ? GAP_GENERATED_HOST
                                                                                : GAP_NO_PATH_HOST,
                                   (Str){0});
                if (g->catch_all && s->catch_alls[i] != NULL && s->named[i] == 0)
                        miss_group(s, i, GAP_HOST_TAKEN, (Str){0});
                if (s->placed[i] > 0)
                        settle_partly(part_of_group(s, i), g, from[s->join.groups[i].part]);
        }
}

static SpliceVerdict splice_parts(Splice *s, uint32_t field, Buf *answer)
{
        size_t n_groups = s->join.n_groups;
        bool *admitted = arena_new_array(s->arena, n_groups, sizeof(bool));
        size_t *from = arena_new_array(s->arena, s->join.n_parts, sizeof(size_t));
        Additions add = {.hosts = arena_new_array(s->arena, s->join.n_hosts, sizeof(const Pack *)),
                         .added = arena_new_array(s->arena, n_groups, sizeof(Added))};
        for (size_t i = 0; i < s->join.n_parts; i++)
                from[i] = s->join.parts[i].tally->gaps.n;
        add.n_hosts = put_hosts(s, add.hosts);
        SpliceVerdict v = SPLICE_TOO_LARGE;
        if (put_all_paths(s, admitted) && add_catch_alls(s, admitted, add.added, &add.n_added)) {
                settle_gaps(s, from);
                v = write_routes(s, &add, field, answer);
        }
        for (size_t i = 0; i < n_groups; i++)
                buf_done(&add.added[i].head);
        return v;
}

/* To be ended by joined_done(&s->join). */
static void init(Splice *s, const SpliceJob *job, Str body)
{
        *s = (Splice){.arena = job->arena, .body = body, .taken = job->taken};
        s->last = &s->first;
        joined_init(&s->join, job->arena, job->parts, job->n_parts);
        s->owners = arena_new_array(s->arena, s->join.n_hosts, sizeof(Note *));
        s->auth = arena_new_array(s->arena, s->join.n_parts, sizeof(Auth *));
        for (size_t i = 0; i < s->join.n_parts; i++)
                s->auth[i] =
                        arena_new_array(s->arena, job->parts[i].target->listeners.n, sizeof(Auth));
        s->catch_alls = arena_new_array(s->arena, s->join.n_groups, sizeof(Note *));
        s->named = arena_new_array(s->arena, s->join.n_groups, sizeof(size_t));
        s->placed = arena_new_array(s->arena, s->join.n_groups, sizeof(size_t));
}

SpliceVerdict splice_routes(const SpliceJob *job, Str body)
{
        Splice s;
        init(&s, job, body);
        SpliceVerdict v = note_all(&s);
        if (v == SPLICE_DONE && job->n_parts > 0)
                v = splice_parts(&s, job->field, job->answer);
        else if (v == SPLICE_DONE)
                v = write_routes(&s, &(Additions){0}, job->field, job->answer);
        joined_done(&s.join);
        return v;
}

SpliceVerdict splice_vhost(const SpliceJob *job, Str body)
{
        /* One virtual host as if it were all of its RouteConfiguration. */
        Buf whole;
        buf_init(&whole, body.n + 2 * PB_VARINT_MAX);
        pb_put_len(&whole, PBN_RouteConfiguration_virtual_hosts, body.n);
        buf_add_str(&whole, body);
        Splice s;
        init(&s, job, buf_str(&whole));
        SpliceVerdict v = whole.failed ? SPLICE_TOO_LARGE : note_all(&s);
        bool *admitted = arena_new_array(job->arena, s.join.n_groups, sizeof(bool));
        for (size_t i = 0; i < s.join.n_hosts && v == SPLICE_DONE; i++) {
                /* A generated host takes no paths, and PostTranslate alone decides on hosts. */
                if (s.owners[i] != NULL)
                        s.owners[i]->overridden = true;
        }
        if (v == SPLICE_DONE && !put_all_paths(&s, admitted))
                v = SPLICE_TOO_LARGE;
        if (v == SPLICE_DONE) {
                Note plain = {.body = body};
                put_vhost(s.first != NULL ? s.first : &plain, job->field, job->answer);
                v = job->answer->failed ? SPLICE_TOO_LARGE : SPLICE_DONE;
        }
        joined_done(&s.join);
        buf_done(&whole);
        return v;
}
