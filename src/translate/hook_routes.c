/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every name is looked up once, so that it takes a time in proportion to the RouteConfigurations,
 * listeners and Targets, however many Gateways are merged.
 */
#include "translate/hook_routes.h"

#include "proto/pb_reader.h"
#include "translate/xds_view.h"

#include "pb_tokens.h"

/* What goes to one RouteConfiguration. */
struct HookBucket {
        JoinPart *parts;
        size_t n, room;
};

/* Ports by the listeners of the request. */
static void learn_ports(HookRoutes *h)
{
        PbReader count = pb_reader(h->call->request), r = count;
        size_t n = 0;
        for (Str l; pb_next_len(&count, PBN_PostTranslateModifyRequest_listeners, &l);)
                n++;
        h->ports = arena_new_array(h->arena, n, sizeof(*h->ports));
        for (Str l; pb_next_len(&r, PBN_PostTranslateModifyRequest_listeners, &l);) {
                Str routes = xds_view_listener_routes(l);
                if (routes.n > 0)
                        h->ports[h->n_ports++] =
                                (struct HookPort){xds_view_listener_port(l), routes};
        }
        h->knows_ports = true;
}

/* The RouteConfiguration that Envoy's listener on that port asks for. */
static Str routes_by_port(HookRoutes *h, uint16_t port)
{
        if (!h->knows_ports)
                learn_ports(h);
        for (size_t i = 0; i < h->n_ports; i++) {
                uint64_t bound = h->ports[i].port;
                if (bound == port || xds_view_is_shifted(port, bound))
                        return h->ports[i].routes;
        }
        return (Str){0};
}

static HookBucket *find_bucket(HookRoutes *h, const Target *t)
{
        HookBucket *b = map_get(&h->by_name, t->name_v1);
        if (b == NULL)
                b = map_get(&h->by_name, t->name_v2);
        if (b == NULL && !t->tls)
                b = map_get(&h->by_name, routes_by_port(h, t->port));
        return b;
}

typedef void OnTarget(HookRoutes *h, size_t gateway, const Target *t, HookBucket **slot);

static void each_target(HookRoutes *h, OnTarget *on_target)
{
        size_t n = 0;
        for (size_t i = 0; i < h->gateways->n; i++) {
                const Contribution *c = h->contributions[i];
                for (size_t j = 0; c != NULL && j < c->n_targets; j++)
                        on_target(h, i, &c->targets[j], &h->bucket_of[n++]);
        }
}

static void on_find(HookRoutes *h, size_t gateway, const Target *t, HookBucket **slot)
{
        (void)gateway;
        *slot = find_bucket(h, t);
        if (*slot != NULL)
                (*slot)->room++;
}

/* Two Targets of one Gateway are two RouteConfigurations: the second one's has not come. */
static void on_fill(HookRoutes *h, size_t gateway, const Target *t, HookBucket **slot)
{
        HookBucket *b = *slot;
        JoinTally *tally = &h->gateways->gateways[gateway].tally;
        if (b == NULL)
                return;
        if (b->parts == NULL)
                b->parts = arena_new_array(h->arena, b->room, sizeof(*b->parts));
        if (b->n > 0 && b->parts[b->n - 1].tally == tally)
                *slot = NULL;
        else
                b->parts[b->n++] = (JoinPart){h->contributions[gateway]->gateway, t, tally};
}

void hook_routes_init(HookRoutes *h, Arena *arena, const HookCall *call, const HookResult *gateways,
                      const Contribution *const *contributions)
{
        *h = (HookRoutes){
                .call = call, .arena = arena, .gateways = gateways, .contributions = contributions};
        map_init(&h->by_name);
        size_t targets = 0;
        for (size_t i = 0; i < gateways->n; i++)
                targets += contributions[i] != NULL ? contributions[i]->n_targets : 0;
        if (targets == 0)
                return;
        HookBucket *at = arena_new_array(arena, call->routes.n, sizeof(*at));
        for (size_t i = 0; i < call->routes.n; i++) {
                if (call->routes.at[i].n > 0 && map_get(&h->by_name, call->routes.at[i]) == NULL)
                        IGNORE(map_put(&h->by_name, call->routes.at[i], &at[i]),
                               "it was not there");
        }
        h->bucket_of = arena_new_array(arena, targets, sizeof(HookBucket *));
        each_target(h, on_find);
        each_target(h, on_fill);
}

void hook_routes_done(HookRoutes *h)
{
        map_done(&h->by_name);
}

const JoinPart *hook_routes_parts(const HookRoutes *h, Str name, size_t *ret_n)
{
        const HookBucket *b = map_get(&h->by_name, name);
        *ret_n = b != NULL ? b->n : 0;
        return b != NULL ? b->parts : NULL;
}

/* Hosts and paths of a target that go to one of its listeners. */
static uint64_t count_of_listener(const Target *t, Str listener)
{
        uint64_t n = 0;
        for (size_t i = 0; i < t->n_hosts; i++)
                n += str_eq(t->hosts[i]->listener, listener);
        for (size_t i = 0; i < t->n_groups; i++)
                n += str_eq(t->groups[i].listener, listener) ? t->groups[i].n : 0;
        return n;
}

static void on_missing(HookRoutes *h, size_t gateway, const Target *t, HookBucket **slot)
{
        for (size_t j = 0; *slot == NULL && j < t->listeners.n; j++) {
                AnswerGap gap = {.reason = GAP_NO_ROUTES,
                                 .listener = t->listeners.at[j],
                                 .n = count_of_listener(t, t->listeners.at[j])};
                if (gap.n > 0)
                        gap_notes_add(&h->gateways->gateways[gateway].tally.gaps, &gap);
        }
}

void hook_routes_note_missing(HookRoutes *h)
{
        each_target(h, on_missing);
}
