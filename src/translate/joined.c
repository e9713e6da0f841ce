/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of one part everything is used as it stands. Of several, hosts are looked up once each, so that
 * joining takes a time in proportion to them.
 *
 * Who has a host that parts of several Gateways have is decided here and not in a Snapshot, which
 * does not know that Gateways are merged (an EnvoyProxy says it, or Envoy Gateway's own
 * configuration), and because the revisions that are asked for may not be of one Snapshot.
 */
#include "translate/joined.h"

#include "translate/claims.h"

#include <stdlib.h>

/* "tailscale/<direction>/<namespace>/<name>/…" */
static Str gateway_name(const Pack *p)
{
        Str rest = p->cluster, part = {0};
        for (int i = 0; i < 4; i++) {
                if (!str_cut(&rest, '/', &part))
                        break;
        }
        return part;
}

static int order_numbers(uint64_t a, uint64_t b)
{
        return a < b ? -1 : a > b;
}

/* Claims of one namespace stand together, the oldest first. */
static int on_age_order(const void *a, const void *b)
{
        const JoinClaim *x = a, *y = b;
        int c = str_cmp(x->pack->namespace, y->pack->namespace);
        return c != 0 ? c : claims_order_ages(x->pack->standing.oldest, y->pack->standing.oldest);
}

/* Last by what only tells claims of one TailscaleGateway apart, which is in two parts while it goes
 * from one Gateway to the other. */
static int on_claim_order(const void *a, const void *b)
{
        const JoinClaim *x = a, *y = b;
        const PackStanding *s = &x->pack->standing, *t = &y->pack->standing;
        int c = claims_order_ages(x->oldest, y->oldest);
        if (c == 0)
                c = str_cmp(x->pack->namespace, y->pack->namespace);
        if (c == 0)
                c = (s->priority < t->priority) - (s->priority > t->priority);
        if (c == 0)
                c = claims_order_ages(s->created, t->created);
        if (c == 0)
                c = str_cmp(gateway_name(x->pack), gateway_name(y->pack));
        if (c == 0)
                c = order_numbers(x->pack->rank, y->pack->rank);
        if (c == 0)
                c = str_cmp(x->pack->cluster, y->pack->cluster);
        return c != 0 ? c : order_numbers(x->part, y->part);
}

void joined_settle(JoinClaim *at, size_t n)
{
        if (n < 2)
                return;
        qsort(at, n, sizeof(*at), on_age_order);
        for (size_t i = 0; i < n; i++) {
                bool is_first = i == 0 || !str_eq(at[i - 1].pack->namespace, at[i].pack->namespace);
                at[i].oldest = is_first ? at[i].pack->standing.oldest : at[i - 1].oldest;
        }
        qsort(at, n, sizeof(*at), on_claim_order);
}

static void lose_host(const JoinPart *loser, const Pack *host, const Pack *winner)
{
        gap_notes_add(&loser->tally->gaps, &(AnswerGap){.reason = GAP_HOST_TAKEN,
                                                        .listener = host->listener,
                                                        .namespace = host->namespace,
                                                        .host = host->name,
                                                        .cluster = host->cluster,
                                                        .winner = winner->cluster,
                                                        .n = 1});
}

/* All claims of hosts, those of one host in a chain. */
typedef struct HostClaims {
        JoinClaim *at, *room; /* `room` for those of one host */
        size_t *before;       /* of each the one before it; SIZE_MAX: it is the first */
        size_t *last;         /* of each host */
        uint32_t *part_of;    /* likewise */
} HostClaims;

static void claim_host(Joined *j, HostClaims *c, size_t claim)
{
        const JoinClaim *is = &c->at[claim];
        const Pack **slot = map_get(&j->own, is->pack->name);
        bool is_first = slot == NULL;
        if (is_first) {
                slot = &j->hosts[j->n_hosts++];
                IGNORE(map_put(&j->own, is->pack->name, slot), "it was not there");
        }
        size_t host = (size_t)(slot - j->hosts);
        c->before[claim] = is_first ? SIZE_MAX : c->last[host];
        c->last[host] = claim;
        c->part_of[host] = (uint32_t)is->part;
        *slot = is->pack;
}

/* Several parts want it. */
static void settle_host(Joined *j, const HostClaims *c, size_t host)
{
        size_t n = 0;
        for (size_t i = c->last[host]; i != SIZE_MAX; i = c->before[i])
                c->room[n++] = c->at[i];
        joined_settle(c->room, n);
        j->hosts[host] = c->room[0].pack;
        c->part_of[host] = (uint32_t)c->room[0].part;
        for (size_t i = 1; i < n; i++)
                lose_host(&j->parts[c->room[i].part], c->room[i].pack, c->room[0].pack);
}

static void join_hosts(Joined *j, Arena *arena)
{
        size_t n = 0;
        for (size_t i = 0; i < j->n_parts; i++)
                n += j->parts[i].target->n_hosts;
        HostClaims c = {.at = arena_new_array(arena, n, sizeof(*c.at)),
                        .room = arena_new_array(arena, j->n_parts, sizeof(*c.room)),
                        .before = arena_new_array(arena, n, sizeof(*c.before)),
                        .last = arena_new_array(arena, n, sizeof(*c.last)),
                        .part_of = arena_new_array(arena, n, sizeof(*c.part_of))};
        j->hosts = arena_new_array(arena, n, sizeof(const Pack *));
        n = 0;
        for (size_t i = 0; i < j->n_parts; i++) {
                const Target *t = j->parts[i].target;
                for (size_t k = 0; k < t->n_hosts; k++) {
                        c.at[n] = (JoinClaim){.pack = t->hosts[k], .part = i};
                        claim_host(j, &c, n++);
                }
        }
        for (size_t i = 0; i < j->n_hosts; i++) {
                if (c.before[c.last[i]] != SIZE_MAX)
                        settle_host(j, &c, i);
        }
        j->part_of = c.part_of;
}

static void join_groups(Joined *j, Arena *arena)
{
        size_t n = 0;
        for (size_t i = 0; i < j->n_parts; i++)
                n += j->parts[i].target->n_groups;
        j->groups = arena_new_array(arena, n, sizeof(*j->groups));
        for (size_t i = 0; i < j->n_parts; i++) {
                const Target *t = j->parts[i].target;
                for (size_t k = 0; k < t->n_groups; k++)
                        j->groups[j->n_groups++] = (JoinedGroup){&t->groups[k], i};
        }
}

void joined_init(Joined *j, Arena *arena, const JoinPart *parts, size_t n)
{
        *j = (Joined){.parts = parts, .n_parts = n};
        map_init(&j->own);
        join_groups(j, arena);
        if (n > 1) {
                join_hosts(j, arena);
        } else if (n == 1) {
                j->hosts = parts[0].target->hosts;
                j->n_hosts = parts[0].target->n_hosts;
                j->index = &parts[0].target->by_domain;
        }
}

void joined_done(Joined *j)
{
        map_done(&j->own);
}

const JoinPart *joined_part(const Joined *j, size_t host)
{
        return &j->parts[j->part_of != NULL ? j->part_of[host] : 0];
}

size_t joined_find(const Joined *j, Str name)
{
        if (j->index != NULL)
                return host_index_find(j->index, j->hosts, name);
        const Pack **slot = map_get(&j->own, name);
        return slot != NULL ? (size_t)(slot - j->hosts) : SIZE_MAX;
}
