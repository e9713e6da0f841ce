/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants:
 * 1. Every call is answered within EXTENSION_PARK_MS of its arrival, whatever the state of the
 * World.
 * 2. A parked call is on `parked`, in order of arrival, so that one timer serves all of them.
 * 3. What could not be answered as asked is owed (`owes_attempt`): Envoy Gateway does not ask again
 * by itself. A call that was given up while it waited is one of these.
 */
#include "extension/extension.h"

#include "base/mem.h"
#include "extension/health.h"
#include "translate/hook.h"

#include <stdio.h>

enum {
        GAPS_LOGGED_MAX = 20, /* of one answer: the rest is in /state */
        GAP_TEXT_MAX = 1024,
};

struct Extension {
        ExtensionInput in;
        GrpcServer *server;
        Health health;
        const Snapshot *snapshot; /* newest; NULL until the first */
        Link parked;
        size_t n_parked;
        bool draining;
        Timer park_timer;
        struct HookSlot {
                Extension *x;
                HookMethod method;
        } slots[HOOK_METHODS];
};

typedef struct Parked {
        Link link;
        Extension *x;
        GrpcCall *call;
        HookMethod method;
        Mono until;
} Parked;

static const char *const hook_paths[HOOK_METHODS] = {
        [HOOK_ROUTE] = "/envoygateway.extension.EnvoyGatewayExtension/PostRouteModify",
        [HOOK_VIRTUAL_HOST] = "/envoygateway.extension.EnvoyGatewayExtension/PostVirtualHostModify",
        [HOOK_HTTP_LISTENER] =
                "/envoygateway.extension.EnvoyGatewayExtension/PostHTTPListenerModify",
        [HOOK_CLUSTER] = "/envoygateway.extension.EnvoyGatewayExtension/PostClusterModify",
        [HOOK_ENDPOINTS] = "/envoygateway.extension.EnvoyGatewayExtension/PostEndpointsModify",
        [HOOK_TRANSLATE] = "/envoygateway.extension.EnvoyGatewayExtension/PostTranslateModify",
};

static void copy_text(char *to, size_t room, Str s)
{
        IGNORE(snprintf(to, room, "%.*s", STR_FMT(s)), "cut at its size on purpose");
}

static const char *verdict_text(HookVerdict v)
{
        switch (v) {
        case HOOK_UNAVAILABLE:
                return "not all that this Gateway needs has been read yet";
        case HOOK_INVALID:
                return "the request is not the message that the method names";
        case HOOK_TOO_LARGE:
                return "the answer would pass its cap of 64 MiB";
        case HOOK_ANSWERED:
        case HOOK_WAIT:
                break;
        }
        return "";
}

/* Makes room in Facts: records of Gateways that are gone and that nobody refers to. */
static void forget_strangers(Extension *x)
{
        Facts *f = x->in.facts;
        for (size_t i = f->n_hooks; x->snapshot != NULL && i-- > 0;) {
                ObjectKey key = f->hooks[i].eg_gateway;
                if (table_find(snapshot_world(x->snapshot)->eg_gateways, &key, eg_gateway_find) ==
                            NULL &&
                    snapshot_revision(x->snapshot, key) == NULL)
                        facts_forget_hook(f, key);
        }
}

static HookFact *fact_of(Extension *x, ObjectKey eg_gateway)
{
        HookFact *f = facts_hook(x->in.facts, eg_gateway);
        if (f != NULL)
                return f;
        forget_strangers(x);
        return facts_hook(x->in.facts, eg_gateway);
}

/* What this answer is without, where the one before was not without the same. */
static void log_gaps(Extension *x, const HookGateway *r)
{
        for (size_t i = 0; i < r->tally.gaps.n && i < GAPS_LOGGED_MAX; i++) {
                const AnswerGap *g = &r->tally.gaps.at[i];
                Buf text CLEANUP(buf_done);
                buf_init(&text, GAP_TEXT_MAX);
                gap_text(g, &text);
                log_warn(x->in.log, "left out of the answer",
                         LOG_STR("namespace", r->eg_gateway.namespace),
                         LOG_STR("name", r->eg_gateway.name), LOG_STR("host", g->host),
                         LOG_STR("path", g->path), LOG_STR("cluster", g->cluster),
                         LOG_INT("routes", g->n), LOG_STR("reason", gap_reason_name(g->reason)),
                         LOG_STR("text", buf_str(&text)));
        }
}

/* One call of PostTranslateModify. */
typedef struct Called {
        HookVerdict verdict;
        const HookResult *result;
        size_t request_bytes, answer_bytes;
        double seconds;
} Called;

static void record_gateway(Extension *x, const Called *c, const HookGateway *r)
{
        HookFact *f = fact_of(x, r->eg_gateway);
        if (f == NULL)
                return;
        HookVerdict v = c->verdict;
        f->calls++;
        f->last = loop_wall(x->in.loop);
        f->at = loop_now(x->in.loop);
        f->last_seconds = c->seconds;
        f->request_bytes = c->request_bytes;
        f->answer_bytes = c->answer_bytes;
        f->attempt = r->attempt;
        copy_text(f->asked, sizeof f->asked, r->asked);
        copy_text(f->error, sizeof f->error, str_of(verdict_text(v)));
        if (v != HOOK_ANSWERED) {
                f->failures++;
                f->owes_attempt = v == HOOK_UNAVAILABLE;
                return;
        }
        copy_text(f->served, sizeof f->served, r->served);
        f->owes_attempt = r->asked.n > 0 && r->served.n > 0 && !str_eq(r->asked, r->served);
        f->hosts = r->tally.hosts;
        f->paths = r->tally.paths;
        const AnswerGaps *before = f->gaps;
        f->gaps = answer_gaps_update(f->gaps, &r->tally.gaps);
        if (f->gaps != before)
                log_gaps(x, r);
}

/* Only PostTranslateModify speaks for Gateways as a whole: for each that it is about. */
static void record_translate(Extension *x, const Called *c)
{
        for (size_t i = 0; i < c->result->n; i++)
                record_gateway(x, c, &c->result->gateways[i]);
}

static void log_gateway(Extension *x, HookVerdict v, const HookGateway *r, double seconds)
{
        char name[OBJECT_KEY_TEXT];
        Str gateway =
                r->eg_gateway.name.n > 0 ? object_key_text(r->eg_gateway, name) : STR("unknown");
        if (v != HOOK_ANSWERED) {
                log_warn(x->in.log, "hook refused", LOG_STR("gateway", gateway),
                         LOG_CSTR("why", verdict_text(v)), LOG_STR("asked", r->asked));
                return;
        }
        log_info(x->in.log, "hook answered", LOG_STR("gateway", gateway),
                 LOG_STR("asked", r->asked), LOG_STR("served", r->served),
                 LOG_INT("hosts", r->tally.hosts), LOG_INT("paths", r->tally.paths),
                 LOG_INT("left_out", r->tally.gaps.total),
                 LOG_INT("micros", (int64_t)(seconds * 1e6)));
}

static void log_translate(Extension *x, const Called *c)
{
        for (size_t i = 0; i < c->result->n; i++)
                log_gateway(x, c->verdict, &c->result->gateways[i], c->seconds);
}

static bool is_unchanged(const HookResult *r)
{
        for (size_t i = 0; i < r->n; i++) {
                if (r->gateways[i].served.n > 0)
                        return false;
        }
        return true;
}

static void count(HookCounters *n, HookMethod m, HookVerdict v, const HookResult *r, double seconds)
{
        n->calls[m]++;
        metric_observe(&n->seconds, seconds);
        switch (v) {
        case HOOK_ANSWERED:
                n->unchanged += is_unchanged(r);
                break;
        case HOOK_UNAVAILABLE:
                n->unavailable++;
                break;
        case HOOK_INVALID:
        case HOOK_TOO_LARGE:
                n->invalid++;
                break;
        case HOOK_WAIT:
                break;
        }
}

static void finish(GrpcCall *call, HookVerdict v, Buf *answer)
{
        static const GrpcStatus status[] = {
                [HOOK_ANSWERED] = GRPC_OK,
                [HOOK_WAIT] = GRPC_UNAVAILABLE,
                [HOOK_UNAVAILABLE] = GRPC_UNAVAILABLE,
                [HOOK_INVALID] = GRPC_INVALID_ARGUMENT,
                [HOOK_TOO_LARGE] = GRPC_RESOURCE_EXHAUSTED,
        };
        if (v == HOOK_ANSWERED)
                grpc_call_reply(call, answer);
        else
                grpc_call_fail(call, status[v], str_of(verdict_text(v)));
}

/* False: the call is to wait. */
static bool serve(Extension *x, GrpcCall *call, HookMethod m, bool may_wait)
{
        Str request = grpc_call_message(call);
        HookResult r = {0};
        Buf answer;
        buf_init(&answer, HOOK_ANSWER_MAX);
        Mono from = x->in.clock->mono(x->in.clock->ctx);
        HookVerdict v = hook_answer(x->snapshot, m, request, may_wait, &answer, &r);
        double seconds = span_seconds(mono_since(x->in.clock->mono(x->in.clock->ctx), from));
        if (v == HOOK_WAIT) {
                hook_result_done(&r);
                buf_done(&answer);
                return false;
        }
        count(&x->in.facts->counters, m, v, &r, seconds);
        if (m == HOOK_TRANSLATE) {
                Called c = {v, &r, request.n, answer.n, seconds};
                record_translate(x, &c);
                log_translate(x, &c);
        }
        hook_result_done(&r);
        finish(call, v, &answer);
        buf_done(&answer);
        if (m == HOOK_TRANSLATE && x->in.on_facts != NULL)
                x->in.on_facts(x->in.owner);
        return true;
}

static void parked_free(Parked *p)
{
        link_remove(&p->link);
        p->x->n_parked--;
        mem_free(p);
}

/* It was given up, by its caller or by a drain. What it asked for is as if it had been refused. */
static void on_parked_cancelled(GrpcCall *call)
{
        Parked *p = grpc_call_user(call);
        Extension *x = p->x;
        HookMethod m = p->method;
        parked_free(p);
        if (m != HOOK_TRANSLATE)
                return;
        HookResult r = {0};
        Buf none;
        buf_init(&none, HOOK_ANSWER_MAX);
        HookVerdict v = hook_answer(NULL, m, grpc_call_message(call), false, &none, &r);
        record_translate(x, &(Called){v, &r, grpc_call_message(call).n, none.n, 0});
        for (size_t i = 0; i < r.n; i++)
                log_warn(x->in.log, "hook given up while it waited",
                         LOG_STR("namespace", r.gateways[i].eg_gateway.namespace),
                         LOG_STR("name", r.gateways[i].eg_gateway.name),
                         LOG_STR("asked", r.gateways[i].asked));
        hook_result_done(&r);
        buf_done(&none);
        if (x->in.on_facts != NULL)
                x->in.on_facts(x->in.owner);
}

static void arm(Extension *x)
{
        Link *first = list_first(&x->parked);
        if (first == NULL)
                timer_clear(&x->park_timer);
        else
                timer_set(&x->park_timer, CONTAINER_OF(first, Parked, link)->until);
}

static void park(Extension *x, GrpcCall *call, HookMethod m)
{
        Parked *p = mem_new(sizeof *p);
        p->x = x;
        p->call = call;
        p->method = m;
        p->until = mono_add(loop_now(x->in.loop), SPAN_MS(EXTENSION_PARK_MS));
        list_add(&x->parked, &p->link);
        x->n_parked++;
        x->in.facts->counters.parked++;
        grpc_call_set_user(call, p);
        grpc_call_on_cancel(call, on_parked_cancelled);
        arm(x);
}

static void on_hook(GrpcCall *call)
{
        const struct HookSlot *slot = grpc_call_ctx(call);
        Extension *x = slot->x;
        bool may_wait = x->n_parked < EXTENSION_PARKED_MAX;
        if (!serve(x, call, slot->method, may_wait))
                park(x, call, slot->method);
}

/* Serves a parked call for good or leaves it where it is. */
static void unpark(Parked *p, bool may_wait)
{
        Extension *x = p->x;
        GrpcCall *call = p->call;
        HookMethod m = p->method;
        if (serve(x, call, m, may_wait))
                parked_free(p);
}

static void on_park_timer(Timer *t)
{
        Extension *x = CONTAINER_OF(t, Extension, park_timer);
        Mono now = loop_now(x->in.loop);
        LIST_FOREACH (Parked, p, &x->parked, link) {
                if (!mono_before(now, p->until))
                        unpark(p, false);
        }
        arm(x);
}

void extension_publish(Extension *x, const Snapshot *snapshot)
{
        const Snapshot *before = x->snapshot;
        x->snapshot = snapshot_ref(snapshot);
        snapshot_unref(before);
        LIST_FOREACH (Parked, p, &x->parked, link)
                unpark(p, true);
        arm(x);
        health_set(&x->health, snapshot_world(snapshot)->complete && !x->draining);
}

static void on_server_drained(GrpcServer *s)
{
        const Extension *x = grpc_server_owner(s);
        if (x->in.on_drained != NULL)
                x->in.on_drained(x->in.owner);
}

Extension *extension_open(const ExtensionInput *in, Err *err)
{
        Extension *x = mem_new(sizeof *x);
        x->in = *in;
        list_init(&x->parked);
        health_init(&x->health);
        timer_init(&x->park_timer, in->loop, on_park_timer);
        GrpcMethod methods[HOOK_METHODS + 2];
        for (size_t m = 0; m < HOOK_METHODS; m++) {
                x->slots[m].x = x;
                x->slots[m].method = (HookMethod)m;
                methods[m] = (GrpcMethod){hook_paths[m], on_hook, &x->slots[m]};
        }
        methods[HOOK_METHODS] =
                (GrpcMethod){"/grpc.health.v1.Health/Check", health_check, &x->health};
        methods[HOOK_METHODS + 1] =
                (GrpcMethod){"/grpc.health.v1.Health/Watch", health_watch, &x->health};
        GrpcServerOptions options = {
                .addresses = in->addresses,
                .n_addresses = in->n_addresses,
                .tls = in->tls,
                .on_drained = on_server_drained,
                .owner = x,
        };
        x->server = grpc_server_open(in->loop, in->log, &options, methods, LENGTH_OF(methods), err);
        if (x->server == NULL)
                return extension_close(x);
        return x;
}

void extension_drain(Extension *x, Span deadline)
{
        x->draining = true;
        health_set(&x->health, false);
        grpc_server_drain(x->server, deadline);
}

const GrpcServerCounters *extension_counters(const Extension *x)
{
        return grpc_server_counters(x->server);
}

Extension *extension_close(Extension *x)
{
        if (x == NULL)
                return NULL;
        LIST_FOREACH (Parked, p, &x->parked, link)
                parked_free(p);
        health_done(&x->health);
        timer_clear(&x->park_timer);
        x->server = grpc_server_close(x->server);
        snapshot_unref(x->snapshot);
        return mem_free(x);
}
