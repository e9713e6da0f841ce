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

int joined_order(const Pack *a, const Pack *b)
{
        int c = claims_order_ages(a->standing.oldest, b->standing.oldest);
        if (c == 0)
                c = str_cmp(a->namespace, b->namespace);
        if (c == 0)
                c = (a->standing.priority < b->standing.priority) -
                    (a->standing.priority > b->standing.priority);
        if (c == 0)
                c = claims_order_ages(a->standing.created, b->standing.created);
        if (c == 0)
                c = str_cmp(gateway_name(a), gateway_name(b));
        return c != 0 ? c : str_cmp(a->cluster, b->cluster);
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

static void join_host(Joined *j, uint32_t *part_of, const Pack *host, uint32_t part)
{
        const Pack **slot = map_get(&j->own, host->name);
        if (slot == NULL) {
                slot = &j->hosts[j->n_hosts];
                part_of[j->n_hosts++] = part;
                *slot = host;
                IGNORE(map_put(&j->own, host->name, slot), "it was not there");
                return;
        }
        uint32_t *owner = &part_of[slot - j->hosts];
        if (joined_order(host, *slot) >= 0) {
                lose_host(&j->parts[part], host, *slot);
                return;
        }
        lose_host(&j->parts[*owner], *slot, host);
        *slot = host;
        *owner = part;
}

static void join_hosts(Joined *j, Arena *arena)
{
        size_t n = 0;
        for (size_t i = 0; i < j->n_parts; i++)
                n += j->parts[i].target->n_hosts;
        uint32_t *part_of = arena_new_array(arena, n, sizeof(*part_of));
        j->hosts = arena_new_array(arena, n, sizeof(const Pack *));
        for (uint32_t i = 0; i < j->n_parts; i++) {
                const Target *t = j->parts[i].target;
                for (size_t k = 0; k < t->n_hosts; k++)
                        join_host(j, part_of, t->hosts[k], i);
        }
        j->part_of = part_of;
        j->by_domain = &j->own;
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
                j->by_domain = &parts[0].target->by_domain;
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
        const Pack **slot = j->by_domain != NULL ? map_get(j->by_domain, name) : NULL;
        return slot != NULL ? (size_t)(slot - j->hosts) : SIZE_MAX;
}
