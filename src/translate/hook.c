/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call of PostTranslateModify, in steps: survey the request (spans only), find its Gateways and
 * what goes to each (hook_gateways), find the RouteConfigurations that it goes to (hook_routes),
 * write the answer. The other methods give their object back, but for PostVirtualHostModify, which
 * puts paths into the host that it is given.
 *
 * 1. Fields of the request that are not ours come back with the same bytes and order; only their
 *    tags change, as the answer's fields are numbered one lower.
 * 2. Secrets are copied without a look into them.
 * 3. What the request holds is never trusted: a length, a number of fields or a nesting that is out
 *    of bounds is an answer of its own, never a fault.
 */
#include "translate/hook.h"

#include "base/mem.h"
#include "proto/pb_reader.h"
#include "proto/pb_writer.h"
#include "translate/contribution.h"
#include "translate/hook_gateways.h"
#include "translate/hook_listeners.h"
#include "translate/hook_routes.h"
#include "translate/splice.h"
#include "translate/xds_view.h"

#include "pb_tokens.h"

enum {
        ROUTES_MAX = 65536, /* RouteConfigurations; a Gateway has some for each port */
        LISTENERS_MAX =
                ROUTES_MAX, /* an empty one is two bytes, and what is learned of it is more */
        TAKEN_MAX = 64,     /* names of our clusters that somebody else has */
        ECHO_FIELD = 1,     /* of the object, in requests and answers alike */
};

typedef struct Hook {
        HookCall call;
        Buf *answer;
        HookResult *result;
        Arena arena;
        const Contribution **contributions; /* of each of result->gateways; NULL: nothing of ours */
        bool is_ours;                       /* there is one */
        HookRoutes routes;
        HookListeners listeners;
        Str taken[TAKEN_MAX];
        size_t n_taken;
        bool has_our_clusters; /* the request has: from an earlier hook */
} Hook;

void hook_result_done(HookResult *r)
{
        r->gateways = mem_free(r->gateways);
        r->n = 0;
}

static HookGateway *add_gateway(HookResult *r)
{
        r->gateways = mem_new_array(1, sizeof(*r->gateways));
        r->n = 1;
        return r->gateways;
}

/* -- The request ----------------------------------------------------------------------------- */

/* Reads the whole request once: is it what the method says? */
static HookVerdict survey(Hook *h)
{
        PbReader r = pb_reader(h->call.request);
        size_t listeners = 0;
        for (PbField f; pb_next(&r, &f);) {
                bool known = f.number <= PBN_PostTranslateModifyRequest_routes;
                if (known && f.wire != PB_LEN)
                        return HOOK_INVALID;
                h->call.routes.n += f.number == PBN_PostTranslateModifyRequest_routes;
                listeners += f.number == PBN_PostTranslateModifyRequest_listeners;
        }
        if (r.bad)
                return HOOK_INVALID;
        bool is_large = h->call.routes.n > ROUTES_MAX || listeners > LISTENERS_MAX;
        return is_large ? HOOK_TOO_LARGE : HOOK_ANSWERED;
}

static void name_routes(Hook *h)
{
        Str *names = arena_new_array(&h->arena, h->call.routes.n, sizeof(Str));
        size_t n = 0;
        PbReader r = pb_reader(h->call.request);
        for (Str routes; pb_next_len(&r, PBN_PostTranslateModifyRequest_routes, &routes);)
                names[n++] = pb_get(routes, PBN_RouteConfiguration_name);
        h->call.routes.at = names;
}

/* -- The answer ------------------------------------------------------------------------------ */

static void copy(Hook *h, uint32_t field, Str body)
{
        pb_put_len(h->answer, field, body.n);
        buf_add_str(h->answer, body);
}

/* A cluster of an earlier hook of ours, which goes. */
static bool is_our_cluster(Str cluster)
{
        return str_starts(pb_get(cluster, PBN_Cluster_name), STR(PACK_PREFIX)) &&
               xds_view_is_ours(cluster, PBN_Cluster_metadata);
}

static bool has_cluster(const Hook *h, Str name)
{
        for (size_t i = 0; i < h->result->n; i++) {
                if (contribution_find_cluster(h->contributions[i], name) != NULL)
                        return true;
        }
        return false;
}

/* Names of our clusters that somebody else has, and are there any of ours: known before routes are
 * written. */
static void note_taken(Hook *h)
{
        PbReader r = pb_reader(h->call.request);
        for (Str cluster; pb_next_len(&r, PBN_PostTranslateModifyRequest_clusters, &cluster);) {
                Str name = pb_get(cluster, PBN_Cluster_name);
                if (!str_starts(name, STR(PACK_PREFIX)))
                        continue;
                if (is_our_cluster(cluster))
                        h->has_our_clusters = true;
                else if (h->n_taken < TAKEN_MAX && has_cluster(h, name))
                        h->taken[h->n_taken++] = name;
        }
}

static HookVerdict verdict_of(SpliceVerdict v)
{
        switch (v) {
        case SPLICE_DONE:
                return HOOK_ANSWERED;
        case SPLICE_INVALID:
                return HOOK_INVALID;
        case SPLICE_TOO_LARGE:
                break;
        }
        return HOOK_TOO_LARGE;
}

static HookVerdict write_routes(Hook *h, Str body)
{
        SpliceJob job = {.arena = &h->arena,
                         .taken = {h->taken, h->n_taken},
                         .field = PBN_PostTranslateModifyResponse_routes,
                         .answer = h->answer};
        job.parts = hook_routes_parts(&h->routes, pb_get(body, PBN_RouteConfiguration_name),
                                      &job.n_parts);
        return verdict_of(splice_routes(&job, body));
}

/* Those of one Gateway. `seen`: names that others have written; NULL: it is the only one. */
static void write_clusters_of(Hook *h, size_t i, Map *seen)
{
        const Contribution *c = h->contributions[i];
        for (size_t j = 0; j < c->n_clusters; j++) {
                const Pack *cluster = c->clusters[j];
                if (strlist_has((StrList){h->taken, h->n_taken}, cluster->name) ||
                    (seen != NULL && map_put(seen, cluster->name, seen) != NULL))
                        continue;
                buf_add_str(h->answer, cluster->bytes);
                h->result->gateways[i].clusters++;
        }
}

/* A TailscaleGateway that goes from one Gateway to another is in the revisions of both while one of
 * them is yet to be asked for. */
static void write_clusters(Hook *h)
{
        Map seen;
        map_init(&seen);
        for (size_t i = 0; i < h->result->n; i++) {
                if (h->contributions[i] != NULL)
                        write_clusters_of(h, i, h->result->n > 1 ? &seen : NULL);
        }
        map_done(&seen);
}

static HookVerdict write_resources(Hook *h)
{
        HookVerdict v = HOOK_ANSWERED;
        PbReader r = pb_reader(h->call.request);
        for (PbField f; v == HOOK_ANSWERED && pb_next(&r, &f);) {
                switch (f.number) {
                case PBN_PostTranslateModifyRequest_clusters:
                        if (!h->has_our_clusters || !is_our_cluster(f.body))
                                copy(h, PBN_PostTranslateModifyResponse_clusters, f.body);
                        break;
                case PBN_PostTranslateModifyRequest_secrets:
                        copy(h, PBN_PostTranslateModifyResponse_secrets, f.body);
                        break;
                case PBN_PostTranslateModifyRequest_listeners:
                        v = verdict_of(hook_listeners_write(
                                &h->listeners, f.body, (StrList){h->taken, h->n_taken}, h->answer));
                        break;
                case PBN_PostTranslateModifyRequest_routes:
                        if (!h->is_ours)
                                copy(h, PBN_PostTranslateModifyResponse_routes, f.body);
                        else
                                v = write_routes(h, f.body);
                        break;
                default: /* the context, and what the answer has no field for */
                        break;
                }
        }
        return v;
}

static HookVerdict write_answer(Hook *h)
{
        size_t bytes = h->call.request.n;
        for (size_t i = 0; i < h->result->n; i++) {
                h->is_ours = h->is_ours || h->contributions[i] != NULL;
                bytes += h->contributions[i] != NULL ? h->contributions[i]->bytes : 0;
        }
        if (!buf_reserve(h->answer, bytes))
                return HOOK_TOO_LARGE;
        if (h->is_ours)
                note_taken(h);
        hook_routes_init(&h->routes, &h->arena, &h->call, h->result, h->contributions);
        hook_listeners_init(&h->listeners, &h->arena, &h->call, h->result, h->contributions);
        HookVerdict v = write_resources(h);
        if (v == HOOK_ANSWERED && h->is_ours)
                write_clusters(h);
        if (v == HOOK_ANSWERED)
                hook_routes_note_missing(&h->routes);
        hook_routes_done(&h->routes);
        return v == HOOK_ANSWERED && h->answer->failed ? HOOK_TOO_LARGE : v;
}

static HookVerdict translate(Hook *h)
{
        HookVerdict v = survey(h);
        if (v != HOOK_ANSWERED) {
                IGNORE(add_gateway(h->result), "nothing tells whose it is");
                return v;
        }
        name_routes(h);
        v = hook_gateways_choose(&h->call, &h->arena, h->result, &h->contributions);
        return v == HOOK_ANSWERED ? write_answer(h) : v;
}

/* -- The other methods ----------------------------------------------------------------------- */

/* The object as it came. An answer without it would mean "unchanged", and undo what another
 * extension before us did. */
static HookVerdict echo(Hook *h)
{
        PbReader r = pb_reader(h->call.request);
        for (PbField f; pb_next(&r, &f);) {
                if (f.number == ECHO_FIELD && f.wire == PB_LEN)
                        copy(h, ECHO_FIELD, f.body);
        }
        if (r.bad) {
                buf_reset(h->answer);
                return HOOK_INVALID;
        }
        return h->answer->failed ? HOOK_TOO_LARGE : HOOK_ANSWERED;
}

static const Target *target_of_listener(const Contribution *c, Str listener)
{
        for (size_t i = 0; c != NULL && i < c->n_targets; i++) {
                if (strlist_has(c->targets[i].listeners, listener))
                        return &c->targets[i];
        }
        return NULL;
}

static HookVerdict virtual_host(Hook *h)
{
        Str body = {0};
        size_t n = 0;
        PbReader r = pb_reader(h->call.request);
        for (Str next; pb_next_len(&r, PBN_PostVirtualHostModifyRequest_virtual_host, &next); n++)
                body = next;
        EgResource made_by;
        const Snapshot *s = h->call.snapshot;
        if (r.bad || n != 1 || s == NULL || !snapshot_world(s)->complete ||
            !xds_view_resource(body, PBN_VirtualHost_metadata, &made_by))
                return echo(h);
        HookGateway *told = add_gateway(h->result);
        told->eg_gateway = (ObjectKey){made_by.namespace, made_by.name};
        const Contribution *c = snapshot_contribution(s, told->eg_gateway, (Str){0});
        const Target *t = target_of_listener(c, made_by.section);
        if (t == NULL)
                return echo(h);
        JoinPart part = {told->eg_gateway, t, &told->tally};
        SpliceJob job = {.arena = &h->arena,
                         .parts = &part,
                         .n_parts = 1,
                         .field = ECHO_FIELD,
                         .answer = h->answer};
        told->served = str_of(c->revision);
        return verdict_of(splice_vhost(&job, body));
}

HookVerdict hook_answer(const Snapshot *snapshot, HookMethod method, Str request, bool may_wait,
                        Buf *answer, HookResult *ret)
{
        *ret = (HookResult){0};
        Hook h = {.call = {.snapshot = snapshot, .request = request, .may_wait = may_wait},
                  .answer = answer,
                  .result = ret};
        arena_init(&h.arena, SPLICE_ARENA_MAX);
        HookVerdict v = HOOK_INVALID;
        switch (method) {
        case HOOK_TRANSLATE:
                v = translate(&h);
                break;
        case HOOK_VIRTUAL_HOST:
                v = virtual_host(&h);
                break;
        case HOOK_ROUTE:
        case HOOK_HTTP_LISTENER:
        case HOOK_CLUSTER:
        case HOOK_ENDPOINTS:
                v = echo(&h);
                break;
        case HOOK_METHODS:
                break;
        }
        arena_done(&h.arena);
        return v;
}
