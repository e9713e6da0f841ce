/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   open ──> ASKED ──(answer)──────────────> TOLD
 *     │      ^   │                            ^
 *     │      │   └─(may go away)─> RESTS      │
 *     │      └───────(timer)─────────┘        │
 *     └─(no such path can be)─> FAILED ──Post─┘
 *
 * The body is kept until the end, because it may be sent again; that of a Secret is wiped then.
 */
#include "kube/kube_write.h"

#include "base/mem.h"
#include "kube/kube_delay.h"
#include "proto/json.h"
#include "proto/json_writer.h"

enum {
        PATH_MAX_BYTES = 2048, /* the server's URL has 1 KiB, the client takes 4 */
        OPTIONS_MAX = 1024,    /* DeleteOptions */
        SEGMENT_MAX = 253,     /* a name, as the API server has it */
        MANAGER_MAX = 128,     /* likewise */
};

typedef enum WriteState {
        WRITE_ASKED,  /* `call` is open */
        WRITE_RESTS,  /* `again` is set */
        WRITE_FAILED, /* `early` is told by the Post */
        WRITE_TOLD,
} WriteState;

struct KubeWrite {
        KubeWriteInput in;
        WriteState state;
        Buf path, body; /* owned */
        Secret *secret; /* owned, or NULL */
        KubeCall *call;
        Timer again;
        Post tell;
        Err early;
        unsigned tries;
        Mono began;
};

/* --- tables --- */

typedef struct VerbWay {
        const char *name, *method, *content_type;
        bool on_kind; /* the path ends with the kind, not with a name */
} VerbWay;

static const VerbWay ways[KUBE_VERBS] = {
        [KUBE_VERB_APPLY] = {"apply", "PATCH", "application/apply-patch+yaml", false},
        [KUBE_VERB_MERGE] = {"merge", "PATCH", "application/merge-patch+json", false},
        [KUBE_VERB_CREATE] = {"create", "POST", "application/json", true},
        [KUBE_VERB_UPDATE] = {"update", "PUT", "application/json", false},
        [KUBE_VERB_DELETE] = {"delete", "DELETE", "application/json", false},
        [KUBE_VERB_GET] = {"get", "GET", NULL, false},
};

#define PREFIX "tailscale_gateway_kube_"
#define COUNTER(name, member, help)                                                 \
        {                                                                           \
                name, help, METRIC_COUNTER, offsetof(KubeWriteCounts, member), NULL \
        }

static const MetricDesc metrics[] = {
        COUNTER(PREFIX "writes_total", done, "Writes to the Kubernetes API that were done."),
        COUNTER(PREFIX "write_conflicts_total", conflicts,
                "Writes to the Kubernetes API refused because somebody else wrote."),
        COUNTER(PREFIX "writes_held_total", refused,
                "Writes to the Kubernetes API not sent because another replica leads."),
        COUNTER(PREFIX "write_failures_total", failed,
                "Writes to the Kubernetes API that failed otherwise."),
        COUNTER(PREFIX "write_retries_total", retries,
                "Tries of writes to the Kubernetes API after the first."),
        {PREFIX "write_duration_seconds",
         "Time from when something was to be written until it was, or was given up.",
         METRIC_HISTOGRAM, offsetof(KubeWriteCounts, took), NULL},
};
const MetricTable kube_write_metrics = {metrics, LENGTH_OF(metrics)};

const char *kube_verb_name(KubeVerb verb)
{
        return ways[verb].name;
}

const char *kube_resource_version(const KubeResource *r)
{
        const char *slash = strchr(r->api, '/');

        INSIST(slash != NULL);
        return slash + 1;
}

/* --- what is asked --- */

/* As the API server does: what a path cannot hold, it takes for no name either. */
static bool add_segment(Buf *path, Str s, Err *err)
{
        if (s.n == 0 || s.n > SEGMENT_MAX || str_eq(s, STR(".")) || str_eq(s, STR("..")) ||
            !str_is_printable_utf8(s))
                return err_set(err, ERR_INVALID, "BadName", "a name that no object can have");
        for (size_t i = 0; i < s.n; i++)
                if (strchr("/%?# ", s.p[i]) != NULL || (unsigned char)s.p[i] > 0x7e)
                        return err_set(err, ERR_INVALID, "BadName",
                                       "%.*s: a name that no object can have", STR_FMT(s));
        buf_add_char(path, '/');
        buf_add_str(path, s);
        return true;
}

static bool make_path(const KubeWriteInput *in, Buf *path, Err *err)
{
        const VerbWay *way = &ways[in->verb];
        bool has_manager = in->verb != KUBE_VERB_DELETE && in->verb != KUBE_VERB_GET;

        buf_printf(path, "/%s", in->resource->api);
        if (in->ns.n > 0) {
                buf_add_str(path, STR("/namespaces"));
                if (!add_segment(path, in->ns, err))
                        return false;
        }
        buf_printf(path, "/%s", in->resource->plural);
        if (!way->on_kind && !add_segment(path, in->name, err))
                return false;
        if (in->sub != NULL)
                buf_printf(path, "/%s", in->sub);
        if (has_manager) {
                INSIST(in->field_manager != NULL && strlen(in->field_manager) <= MANAGER_MAX);
                kube_query_add(path, "fieldManager", str_of(in->field_manager));
                kube_query_add(path, "fieldValidation", in->strict ? STR("Strict") : STR("Ignore"));
        }
        if (in->verb == KUBE_VERB_APPLY)
                kube_query_add(path, "force", STR("true"));
        return true;
}

static void make_options(const KubeWriteInput *in, Buf *body)
{
        JsonWriter w;

        json_writer_init(&w, body);
        json_object_begin(&w);
        json_key_str(&w, STR("apiVersion"), STR("v1"));
        json_key_str(&w, STR("kind"), STR("DeleteOptions"));
        if (in->propagation != NULL)
                json_key_str(&w, STR("propagationPolicy"), str_of(in->propagation));
        if (in->uid.n > 0 || in->version.n > 0) {
                json_key_object_begin(&w, STR("preconditions"));
                if (in->uid.n > 0)
                        json_key_str(&w, STR("uid"), in->uid);
                if (in->version.n > 0)
                        json_key_str(&w, STR("resourceVersion"), in->version);
                json_object_end(&w);
        }
        json_object_end(&w);
}

static bool prepare(KubeWrite *w, const KubeWriteInput *in, Err *err)
{
        if (!make_path(in, &w->path, err))
                return false;
        if (in->verb == KUBE_VERB_DELETE)
                make_options(in, &w->body);
        else
                buf_add_str(&w->body, in->body);
        buf_add_char(&w->path, '\0');
        if (w->body.failed || w->path.failed)
                return err_set(err, ERR_LIMIT, "TooLarge", "%s %.*s: more than an API server takes",
                               in->resource->kind, STR_FMT(in->name));
        return true;
}

/* --- the end --- */

static void count(const KubeWrite *w, const KubeWriteResult *result)
{
        KubeWriteCounts *n = w->in.counts;
        Span took = mono_since(loop_now(kube_api_loop(w->in.api)), w->began);

        if (n == NULL)
                return;
        if (result->err.kind == ERR_NONE)
                n->done++;
        else if (result->err.kind == ERR_CONFLICT)
                n->conflicts++;
        else if (str_eq(str_of(result->err.reason), STR("NotLeading")))
                n->refused++;
        else
                n->failed++;
        metric_observe(&n->took, span_seconds(took));
}

/* The owner may close. */
static void tell(KubeWrite *w, KubeWriteResult *result)
{
        result->tries = w->tries;
        w->state = WRITE_TOLD;
        count(w, result);
        w->in.on_done(w, result);
}

static void on_tell(Post *p)
{
        KubeWrite *w = CONTAINER_OF(p, KubeWrite, tell);
        KubeWriteResult result = {.err = w->early};

        tell(w, &result);
}

/* A delete is answered with the object where something must happen before it is gone, else with a
 * Status. All others are answered with the object: a Status is none of it, whatever it says. */
static bool read_object(const KubeWrite *w, Str body, Arena *arena, KubeWriteResult *ret)
{
        const JsonLimits limits = {KUBE_EVENT_BYTES_MAX, KUBE_EVENT_NODES_MAX};
        const Tree *doc;
        KubeStatus status;
        Err why = {0};

        doc = json_read_within(arena, body, &limits, NULL, &why);
        if (w->in.verb == KUBE_VERB_DELETE && doc != NULL && kube_status_of(doc, &status))
                return true;
        if (doc == NULL || !kube_object_id(doc, &ret->id, &why))
                return err_set(&ret->err, ERR_INVALID, "BadAnswer",
                               "the answer %u is no object: %s", ret->status, why.text);
        ret->object = doc;
        return true;
}

/* --- tries --- */

static void ask(KubeWrite *w);

static bool is_tried_again(const KubeWrite *w, const KubeWriteResult *result)
{
        unsigned most = w->in.tries > 0 ? w->in.tries : KUBE_WRITE_TRIES;

        return result->err.kind == ERR_TRANSIENT && w->tries < most &&
               result->retry_after.ns <= SPAN_S(KUBE_WRITE_PATIENCE_S).ns;
}

static void on_done(KubeCall *c, const KubeResult *answer)
{
        KubeWrite *w = kube_call_owner(c);
        KubeWriteResult result = {.err = answer->err,
                                  .status = answer->status,
                                  .refusal = answer->refusal,
                                  .retry_after = answer->retry_after};
        Arena arena;

        if (is_tried_again(w, &result)) {
                w->call = kube_call_close(w->call);
                w->state = WRITE_RESTS;
                timer_set_in(&w->again,
                             kube_delay_backoff(&w->in.seed, w->tries, result.retry_after));
                return;
        }
        arena_init(&arena, 0);
        if (result.err.kind == ERR_NONE)
                IGNORE(read_object(w, answer->body, &arena, &result), "it is told");
        tell(w, &result);
        arena_done(&arena);
}

static void on_again(Timer *t)
{
        KubeWrite *w = CONTAINER_OF(t, KubeWrite, again);

        if (w->in.counts != NULL)
                w->in.counts->retries++;
        ask(w);
}

static Span on_may_ask(const KubeCall *c)
{
        const KubeWrite *w = kube_call_owner(c);

        return w->in.may_send(w);
}

static void ask(KubeWrite *w)
{
        const VerbWay *way = &ways[w->in.verb];
        bool is_brief = w->in.brief || w->secret != NULL;

        w->state = WRITE_ASKED;
        w->tries++;
        w->call = kube_call_open(
                w->in.api, &(KubeCallInput){
                                   .method = way->method,
                                   .path = w->path.p,
                                   .content_type = way->content_type,
                                   .body = buf_str(&w->body),
                                   .secret = w->secret,
                                   .urgent = w->in.urgent,
                                   .deadline = w->in.deadline,
                                   .max_bytes = KUBE_EVENT_BYTES_MAX,
                                   .accept = is_brief ? "application/json;as=PartialObjectMetadata;"
                                                        "g=meta.k8s.io;v=v1"
                                                      : NULL,
                                   .may_ask = w->in.may_send != NULL ? on_may_ask : NULL,
                                   .on_done = on_done,
                                   .owner = w,
                           });
}

/* --- the whole --- */

KubeWrite *kube_write_open(const KubeWriteInput *in)
{
        KubeWrite *w = mem_new(sizeof(*w));
        Loop *loop = kube_api_loop(in->api);

        INSIST(in->secret == NULL || (in->body.n == 0 && ways[in->verb].content_type != NULL &&
                                      in->verb != KUBE_VERB_DELETE));
        w->in = *in;
        if (w->in.deadline.ns == 0)
                w->in.deadline = SPAN_S(KUBE_WRITE_DEADLINE_S);
        w->began = loop_now(loop);
        w->secret = secret_dup(in->secret);
        buf_init(&w->path, PATH_MAX_BYTES);
        buf_init(&w->body, HTTP_CLIENT_BODY_MAX);
        timer_init(&w->again, loop, on_again);
        post_init(&w->tell, loop, on_tell);
        if (prepare(w, in, &w->early)) {
                ask(w);
        } else {
                w->state = WRITE_FAILED;
                post_send(&w->tell);
        }
        /* Pointers of the caller's are not kept. */
        w->in.ns = w->in.name = w->in.body = w->in.uid = w->in.version = (Str){0};
        w->in.sub = w->in.field_manager = w->in.propagation = NULL;
        w->in.secret = NULL;
        return w;
}

void *kube_write_owner(const KubeWrite *w)
{
        return w->in.owner;
}

KubeWrite *kube_write_close(KubeWrite *w)
{
        if (w == NULL)
                return NULL;
        w->call = kube_call_close(w->call);
        timer_clear(&w->again);
        post_cancel(&w->tell);
        secret_free(w->secret);
        buf_done(&w->path);
        buf_done(&w->body);
        return mem_free(w);
}
