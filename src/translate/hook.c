/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call of PostTranslateModify, in steps: survey the request (spans only), find its Gateway,
 * choose the contribution, write the answer. The other methods give their object back, but for
 * PostVirtualHostModify, which puts paths into the host that it is given.
 *
 * 1. Fields of the request that are not ours come back with the same bytes and order; only their
 *    tags change, as the answer's fields are numbered one lower.
 * 2. Secrets are copied without a look into them.
 * 3. What the request holds is never trusted: a length, a number of fields or a nesting that is out
 *    of bounds is an answer of its own, never a fault.
 */
#include "translate/hook.h"

#include "proto/pb_reader.h"
#include "proto/pb_writer.h"
#include "translate/binding_json.h"
#include "translate/contribution.h"
#include "translate/splice.h"
#include "translate/xds_view.h"

#include "pb_tokens.h"

enum {
        ROUTES_MAX = 65536, /* RouteConfigurations; a Gateway has some for each port */
        BINDINGS_MAX = 16,  /* a call is about one Gateway; more come with merged Gateways */
        TAKEN_MAX = 64,     /* names of our clusters that somebody else has */
        ECHO_FIELD = 1,     /* of the object, in requests and answers alike */
        PORT_SHIFT = 10000, /* EG's container port of a port below 1024 */
        PORT_PRIVILEGED = 1024,
};

typedef struct Hook {
        const Snapshot *snapshot;
        Str request;
        bool may_wait;
        Buf *answer;
        HookResult *result;
        Arena arena;
        Str context;
        Str *routes; /* names of the RouteConfigurations that came */
        size_t n_routes;
        bool is_bound;                    /* a Binding tells the Gateway */
        const Contribution *contribution; /* NULL: the input goes back as it is */
        SpliceResult spliced;
        Str taken[TAKEN_MAX];
        size_t n_taken;
        bool has_our_clusters; /* the request has: from an earlier hook */
        bool *found;           /* of each target: its RouteConfiguration is in the request */
} Hook;

/* -- Which Gateway --------------------------------------------------------------------------- */

/* Reads the whole request once: is it what the method says, and what is its context? */
static HookVerdict survey(Hook *h)
{
        PbReader r = pb_reader(h->request);
        for (PbField f; pb_next(&r, &f);) {
                bool known = f.number <= PBN_PostTranslateModifyRequest_routes;
                if (known && f.wire != PB_LEN)
                        return HOOK_INVALID;
                /* A context that comes twice is one whose lists are joined; Bindings of the first
                 * are as good as any. */
                if (f.number == PBN_PostTranslateModifyRequest_post_translate_context &&
                    h->context.n == 0)
                        h->context = f.body;
                h->n_routes += f.number == PBN_PostTranslateModifyRequest_routes;
        }
        return r.bad ? HOOK_INVALID : h->n_routes > ROUTES_MAX ? HOOK_TOO_LARGE : HOOK_ANSWERED;
}

static void name_routes(Hook *h)
{
        h->routes = arena_new_array(&h->arena, h->n_routes, sizeof(Str));
        size_t n = 0;
        PbReader r = pb_reader(h->request);
        for (Str routes; pb_next_len(&r, PBN_PostTranslateModifyRequest_routes, &routes);)
                h->routes[n++] = pb_get(routes, PBN_RouteConfiguration_name);
}

/* The Gateway that a RouteConfiguration tells of: by what its virtual hosts say of themselves, else
 * by its name. */
static bool key_of_routes(Str routes, ObjectKey *ret)
{
        PbReader r = pb_reader(routes);
        EgResource made_by;
        for (Str vhost; pb_next_len(&r, PBN_RouteConfiguration_virtual_hosts, &vhost);) {
                if (xds_view_resource(vhost, PBN_VirtualHost_metadata, &made_by)) {
                        *ret = (ObjectKey){made_by.namespace, made_by.name};
                        return true;
                }
        }
        return xds_view_split_name(pb_get(routes, PBN_RouteConfiguration_name), &ret->namespace,
                                   &ret->name);
}

/* The Gateway by metadata and names, where no Binding tells it. */
static bool find_key(const Hook *h, ObjectKey *ret)
{
        PbReader r = pb_reader(h->request);
        for (PbField f; pb_next(&r, &f);) {
                if (f.number == PBN_PostTranslateModifyRequest_routes && key_of_routes(f.body, ret))
                        return true;
                if (f.number == PBN_PostTranslateModifyRequest_listeners &&
                    xds_view_split_name(pb_get(f.body, PBN_Listener_name), &ret->namespace,
                                        &ret->name))
                        return true;
        }
        return false;
}

/* Is there a RouteConfiguration of that name? */
static bool has_routes(const Hook *h, Str name)
{
        return strlist_has((StrList){h->routes, h->n_routes}, name);
}

/* Could the call, whose Gateway nothing tells, be about this one? */
static bool could_be(const Hook *h, const Contribution *c)
{
        for (size_t i = 0; i < c->n_targets; i++) {
                if (has_routes(h, c->targets[i].name_v2))
                        return true;
        }
        return false;
}

/* Without Binding, metadata and telling names: is a Gateway that could be meant without its
 * Binding? */
static bool lacks_binding(const Hook *h)
{
        const Table *bindings = snapshot_world(h->snapshot)->bindings;
        for (size_t i = 0; bindings != NULL && i < snapshot_n_gateways(h->snapshot); i++) {
                const Contribution *c = snapshot_gateway_at(h->snapshot, i);
                if (table_find(bindings, &c->gateway, binding_spec_find) == NULL && could_be(h, c))
                        return true;
        }
        return false;
}

/* Who calls, and for what: by a Binding, of several that of a Gateway that is ours; else by what
 * the request tells of itself. False where nothing tells the Gateway. */
static bool identify(Hook *h)
{
        BindingJson bindings[BINDINGS_MAX];
        size_t n = binding_json_read(h->context, bindings, BINDINGS_MAX);
        HookResult *r = h->result;
        for (size_t i = 0; i < n; i++) {
                r->eg_gateway = bindings[i].gateway;
                r->asked = bindings[i].revision;
                r->attempt = bindings[i].attempt;
                h->is_bound = true;
                if (h->snapshot != NULL &&
                    snapshot_contribution(h->snapshot, r->eg_gateway, (Str){0}) != NULL)
                        break;
        }
        return h->is_bound || find_key(h, &r->eg_gateway);
}

/* Nothing of ours goes to the Gateway. Once the manifests are read this is known, whatever else is
 * still to come. */
static bool is_nobodys(const Hook *h)
{
        return h->snapshot != NULL && snapshot_world(h->snapshot)->resources_read &&
               snapshot_contribution(h->snapshot, h->result->eg_gateway, (Str){0}) == NULL;
}

/* The contribution of the revision that the Binding names, or why there is none yet. */
static HookVerdict choose_revision(Hook *h)
{
        HookResult *r = h->result;
        const Contribution *newest = snapshot_contribution(h->snapshot, r->eg_gateway, (Str){0});
        if (newest == NULL) {
                /* Nobody refers to the Gateway any more: nothing is what was asked for. */
                r->served = str_of(h->is_bound ? snapshot_empty_revision(h->snapshot) : "");
                return HOOK_ANSWERED;
        }
        h->contribution = newest;
        if (!h->is_bound)
                return HOOK_ANSWERED;
        const Contribution *asked = snapshot_contribution(h->snapshot, r->eg_gateway, r->asked);
        if (asked == NULL && h->may_wait)
                return HOOK_WAIT;
        if (asked != NULL)
                h->contribution = asked;
        return HOOK_ANSWERED;
}

static HookVerdict choose(Hook *h)
{
        bool identified = identify(h);
        if (identified && is_nobodys(h))
                return choose_revision(h);
        if (h->snapshot == NULL || !snapshot_world(h->snapshot)->complete)
                return h->may_wait ? HOOK_WAIT : HOOK_UNAVAILABLE;
        if (identified)
                return choose_revision(h);
        return lacks_binding(h) ? HOOK_UNAVAILABLE : HOOK_ANSWERED;
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

/* Names of our clusters that somebody else has, and are there any of ours: known before routes are
 * written. */
static void note_taken(Hook *h)
{
        PbReader r = pb_reader(h->request);
        for (Str cluster; pb_next_len(&r, PBN_PostTranslateModifyRequest_clusters, &cluster);) {
                Str name = pb_get(cluster, PBN_Cluster_name);
                if (!str_starts(name, STR(PACK_PREFIX)))
                        continue;
                if (is_our_cluster(cluster))
                        h->has_our_clusters = true;
                else if (contribution_find_cluster(h->contribution, name) != NULL &&
                         h->n_taken < TAKEN_MAX)
                        h->taken[h->n_taken++] = name;
        }
}

/* The RouteConfiguration that Envoy's listener on that port asks for: where Envoy Gateway names it
 * by another listener (merged Gateways). */
static Str routes_by_port(const Hook *h, uint16_t port)
{
        PbReader r = pb_reader(h->request);
        for (Str l; pb_next_len(&r, PBN_PostTranslateModifyRequest_listeners, &l);) {
                uint64_t bound = xds_view_listener_port(l);
                if (bound != port &&
                    (port >= PORT_PRIVILEGED || bound != (uint64_t)port + PORT_SHIFT))
                        continue;
                Str name = xds_view_listener_routes(l);
                if (name.n > 0)
                        return name;
        }
        return (Str){0};
}

/* The name by which each target goes in this request. */
static Str *name_targets(Hook *h)
{
        const Contribution *c = h->contribution;
        Str *names = arena_new_array(&h->arena, c->n_targets, sizeof(Str));
        h->found = arena_new_array(&h->arena, c->n_targets, sizeof(bool));
        for (size_t i = 0; i < c->n_targets; i++) {
                const Target *t = &c->targets[i];
                names[i] = has_routes(h, t->name_v1) ? t->name_v1 : t->name_v2;
                if (!t->tls && !has_routes(h, names[i]))
                        names[i] = routes_by_port(h, t->port);
        }
        return names;
}

static const Target *target_named(Hook *h, const Str *names, Str name)
{
        for (size_t i = 0; name.n > 0 && i < h->contribution->n_targets; i++) {
                if (str_eq(names[i], name)) {
                        h->found[i] = true;
                        return &h->contribution->targets[i];
                }
        }
        return NULL;
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

static HookVerdict write_routes(Hook *h, const Str *names, Str body)
{
        const Target *t = target_named(h, names, pb_get(body, PBN_RouteConfiguration_name));
        SpliceJob job = {.arena = &h->arena,
                         .gateway = h->contribution->gateway,
                         .target = t,
                         .taken = {h->taken, h->n_taken},
                         .field = PBN_PostTranslateModifyResponse_routes,
                         .answer = h->answer,
                         .result = &h->spliced};
        return verdict_of(splice_routes(&job, body));
}

static void write_clusters(Hook *h)
{
        const Contribution *c = h->contribution;
        for (size_t i = 0; i < c->n_clusters; i++) {
                if (strlist_has((StrList){h->taken, h->n_taken}, c->clusters[i]->name))
                        continue;
                buf_add_str(h->answer, c->clusters[i]->bytes);
                h->result->clusters++;
        }
}

static HookVerdict write_answer(Hook *h)
{
        const Contribution *c = h->contribution;
        const Str *names = NULL;
        if (c != NULL) {
                note_taken(h);
                names = name_targets(h);
        }
        HookVerdict v = HOOK_ANSWERED;
        PbReader r = pb_reader(h->request);
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
                        copy(h, PBN_PostTranslateModifyResponse_listeners, f.body);
                        break;
                case PBN_PostTranslateModifyRequest_routes:
                        if (c == NULL)
                                copy(h, PBN_PostTranslateModifyResponse_routes, f.body);
                        else
                                v = write_routes(h, names, f.body);
                        break;
                default: /* the context, and what the answer has no field for */
                        break;
                }
        }
        if (v == HOOK_ANSWERED && c != NULL)
                write_clusters(h);
        return v == HOOK_ANSWERED && h->answer->failed ? HOOK_TOO_LARGE : v;
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

/* Targets whose RouteConfiguration did not come. */
static void note_missing(Hook *h)
{
        const Contribution *c = h->contribution;
        for (size_t i = 0; c != NULL && i < c->n_targets; i++) {
                const Target *t = &c->targets[i];
                for (size_t j = 0; !h->found[i] && j < t->listeners.n; j++) {
                        AnswerGap gap = {.reason = GAP_NO_ROUTES,
                                         .listener = t->listeners.at[j],
                                         .n = count_of_listener(t, t->listeners.at[j])};
                        if (gap.n > 0)
                                gap_notes_add(&h->spliced.gaps, &gap);
                }
        }
}

static void tell(Hook *h)
{
        HookResult *r = h->result;
        r->hosts = h->spliced.hosts;
        r->paths = h->spliced.paths;
        note_missing(h);
        r->gaps = h->spliced.gaps;
        if (h->contribution != NULL)
                r->served = str_of(h->contribution->revision);
}

static HookVerdict translate(Hook *h)
{
        HookVerdict v = survey(h);
        if (v != HOOK_ANSWERED)
                return v;
        name_routes(h);
        v = choose(h);
        if (v != HOOK_ANSWERED)
                return v;
        size_t ours = h->contribution != NULL ? h->contribution->bytes : 0;
        if (!buf_reserve(h->answer, h->request.n + ours))
                return HOOK_TOO_LARGE;
        v = write_answer(h);
        if (v == HOOK_ANSWERED)
                tell(h);
        return v;
}

/* -- The other methods ----------------------------------------------------------------------- */

/* The object as it came. An answer without it would mean "unchanged", and undo what another
 * extension before us did. */
static HookVerdict echo(Hook *h)
{
        PbReader r = pb_reader(h->request);
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
        PbReader r = pb_reader(h->request);
        for (Str next; pb_next_len(&r, PBN_PostVirtualHostModifyRequest_virtual_host, &next); n++)
                body = next;
        EgResource made_by;
        if (r.bad || n != 1 || h->snapshot == NULL || !snapshot_world(h->snapshot)->complete ||
            !xds_view_resource(body, PBN_VirtualHost_metadata, &made_by))
                return echo(h);
        ObjectKey key = {made_by.namespace, made_by.name};
        h->result->eg_gateway = key;
        h->contribution = snapshot_contribution(h->snapshot, key, (Str){0});
        const Target *t = target_of_listener(h->contribution, made_by.section);
        if (t == NULL)
                return echo(h);
        SpliceJob job = {.arena = &h->arena,
                         .gateway = key,
                         .target = t,
                         .field = ECHO_FIELD,
                         .answer = h->answer,
                         .result = &h->spliced};
        HookVerdict v = verdict_of(splice_vhost(&job, body));
        h->result->paths = h->spliced.paths;
        h->result->served = str_of(h->contribution->revision);
        return v;
}

HookVerdict hook_answer(const Snapshot *snapshot, HookMethod method, Str request, bool may_wait,
                        Buf *answer, HookResult *ret)
{
        *ret = (HookResult){0};
        Hook h = {.snapshot = snapshot,
                  .request = request,
                  .may_wait = may_wait,
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
