/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   kube_call_open ──> WAITS ──(its turn)──> ASKED ──(answer)──> TOLD
 *        │               ^                     │
 *        └─(urgent)──────┼─────────> ASKED     └─(401, and the token file holds another)──> ASKED
 *                        └─(a fault before anything is asked)──> FAILED ──Post──> TOLD
 *
 * How fast: a virtual clock runs ahead of the real one by one interval for each call, and by at
 * most a burst of them. What must wait, waits in the order of its coming, on one timer.
 */
#include "kube/kube_api.h"

#include <stdio.h>

#include "base/mem.h"
#include "io/file.h"

enum {
        WHAT_MAX = 200, /* method and path, for people */
};

struct KubeApi {
        KubeApiInput in;
        HttpTls tls;
        Span interval, burst; /* of the virtual clock */
        Mono ahead;           /* it */
        Timer turn;
        Link waiting; /* of KubeCall */
        Link calls;
        Link hooks; /* of KubeApiHook */
        uint64_t updates, moves;
        bool doubts; /* the last call had no answer: a connection that is kept may be as dead */
        KubeApiCounts n;
        Secret *token; /* of the file; NULL: not read yet */
        Mono token_read;
        /* Before the last update: an answer to what was asked then may hold it. */
        KubeConfig *old;
        Secret *old_token;
};

typedef enum CallState {
        CALL_WAITS,
        CALL_ASKED,
        CALL_FAILED, /* `early` is told by the Post */
        CALL_TOLD,
} CallState;

struct KubeCall {
        Link link, wait; /* api->calls, api->waiting */
        KubeApi *api;
        KubeCallInput in;
        CallState state;
        char *path, *body; /* owned */
        Secret *secret;    /* owned, or NULL */
        HttpRequest *request;
        Post tell;
        Err early;
        bool renewed;    /* the token, after a 401 */
        uint64_t asked;  /* `updates` when it was sent */
        KubeMethod verb; /* of `method`, to count */
        Mono since;      /* it waits, or was sent */
        char method[8], content_type[64];
        char what[WHAT_MAX];
};

/* --- what is counted --- */

static const char *const methods[KUBE_METHODS] = {"GET", "POST", "PUT", "PATCH", "DELETE"};

#define PREFIX "tailscale_gateway_kube_"
#define CALLS(method, class, labels_text)                                                        \
        {                                                                                        \
                .name = PREFIX "calls_total", .help = "Calls of the Kubernetes API that ended.", \
                .kind = METRIC_COUNTER, .offset = offsetof(KubeApiCounts, calls[method][class]), \
                .labels = labels_text                                                            \
        }
#define CALLS_OF(method, verb)                                                                \
        CALLS(method, KUBE_CODE_DONE, "verb=\"" verb "\",result=\"done\""),                   \
                CALLS(method, KUBE_CODE_REFUSED, "verb=\"" verb "\",result=\"refused\""),     \
                CALLS(method, KUBE_CODE_THROTTLED, "verb=\"" verb "\",result=\"throttled\""), \
                CALLS(method, KUBE_CODE_FAILED, "verb=\"" verb "\",result=\"failed\""),       \
                CALLS(method, KUBE_CODE_NONE, "verb=\"" verb "\",result=\"no_answer\"")

static const MetricDesc metrics[] = {
        CALLS_OF(KUBE_METHOD_GET, "get"),
        CALLS_OF(KUBE_METHOD_POST, "post"),
        CALLS_OF(KUBE_METHOD_PUT, "put"),
        CALLS_OF(KUBE_METHOD_PATCH, "patch"),
        CALLS_OF(KUBE_METHOD_DELETE, "delete"),
        {PREFIX "token_renewals_total", "Calls of the Kubernetes API repeated with a new token.",
         METRIC_COUNTER, offsetof(KubeApiCounts, renewals), NULL},
        {PREFIX "calls_waited_total", "Calls of the Kubernetes API that waited for their turn.",
         METRIC_COUNTER, offsetof(KubeApiCounts, waited), NULL},
        {PREFIX "calls_waiting", "Calls of the Kubernetes API that wait for their turn.",
         METRIC_GAUGE, offsetof(KubeApiCounts, waiting), NULL},
        {PREFIX "call_wait_seconds", "How long those that waited did so until they were sent.",
         METRIC_HISTOGRAM, offsetof(KubeApiCounts, wait), NULL},
        {PREFIX "call_duration_seconds",
         "How long calls of the Kubernetes API took, without watches.", METRIC_HISTOGRAM,
         offsetof(KubeApiCounts, took), NULL},
};
const MetricTable kube_api_metrics = {metrics, LENGTH_OF(metrics)};

static KubeMethod method_of(const char *name)
{
        for (KubeMethod m = 0; name != NULL && m < KUBE_METHODS; m++)
                if (strcmp(name, methods[m]) == 0)
                        return m;
        return KUBE_METHOD_GET;
}

static KubeCodeClass class_of(const HttpResult *http)
{
        if (http->err.kind != ERR_NONE || http->status == 0)
                return KUBE_CODE_NONE;
        if (http->status == 429)
                return KUBE_CODE_THROTTLED;
        if (http->status >= 500)
                return KUBE_CODE_FAILED;
        return http->status >= 200 && http->status <= 299 ? KUBE_CODE_DONE : KUBE_CODE_REFUSED;
}

static void count(KubeCall *c, const HttpResult *http)
{
        KubeApiCounts *n = &c->api->n;

        n->calls[c->verb][class_of(http)]++;
        if (c->in.deadline.ns > 0)
                metric_observe(&n->took,
                               span_seconds(mono_since(loop_now(c->api->in.loop), c->since)));
}

/* --- the token --- */

/* Reads the file anew; what was read before stays where that fails. False: there is none at all. */
static bool read_token(KubeApi *a, Err *err)
{
        Err why = {0};
        Secret *token = NULL;
        Buf b;

        buf_init(&b, KUBE_TOKEN_BYTES_MAX);
        /* In one piece, so that growth leaves no copy behind. */
        if (buf_reserve(&b, KUBE_TOKEN_BYTES_MAX) &&
            file_read(a->in.config->token_file, &b, &why) && str_trim(buf_str(&b)).n > 0)
                token = secret_new(str_trim(buf_str(&b)));
        if (b.p != NULL)
                explicit_bzero(b.p, b.room);
        buf_done(&b);
        a->token_read = loop_now(a->in.loop);
        if (token == NULL && a->token == NULL)
                return err_set(err, ERR_DENIED, "NoToken", "%s",
                               why.kind != ERR_NONE ? why.text : "the token file is empty");
        if (token != NULL) {
                secret_free(a->token);
                a->token = token;
        }
        return true;
}

static bool pick_token(KubeApi *a, const Secret **ret, Err *err)
{
        const KubeConfig *c = a->in.config;
        Span age = mono_since(loop_now(a->in.loop), a->token_read);

        if (c->plugin != NULL)
                return err_set(err, ERR_DENIED, "NoCredential",
                               "%s: the credential plugin was not started", c->origin);
        if (c->token_file == NULL) {
                *ret = c->token;
                return true;
        }
        if ((a->token == NULL || age.ns >= SPAN_S(KUBE_TOKEN_KEPT_S).ns) && !read_token(a, err))
                return false;
        *ret = a->token;
        return true;
}

/* Is there another token than the one that was refused? */
static bool renew_token(KubeCall *c)
{
        KubeApi *a = c->api;
        Secret *old;
        bool is_other;

        if (c->renewed || (a->in.config->token_file == NULL && c->asked == a->updates))
                return false;
        c->renewed = true;
        if (c->asked != a->updates)
                return true;
        old = secret_dup(a->token);
        is_other = read_token(a, NULL) && !secret_eq(old, a->token);
        secret_free(old);
        return is_other;
}

/* --- a call --- */

static void hide_token(const KubeApi *a, Err *err)
{
        const Secret *ours[] = {a->token, a->in.config->token, a->old_token,
                                a->old != NULL ? a->old->token : NULL};

        for (size_t i = 0; i < LENGTH_OF(ours); i++)
                if (secret_is_in(ours[i], str_of(err->text)))
                        snprintf(err->text, sizeof(err->text), "the answer holds our credential");
}

static void tell(KubeCall *c, KubeResult *result)
{
        hide_token(c->api, &result->err);
        c->state = CALL_TOLD;
        c->in.on_done(c, result);
}

static void on_tell(Post *p)
{
        KubeCall *c = CONTAINER_OF(p, KubeCall, tell);
        KubeResult result = {.err = c->early};

        tell(c, &result);
}

static void ask(KubeCall *c);

static void on_done(HttpRequest *r, const HttpResult *http)
{
        KubeCall *c = http_request_owner(r);
        KubeResult result = {
                .err = http->err, .status = http->status, .retry_after = http->retry_after};
        KubeStatus status;
        Arena arena;

        count(c, http);
        c->api->doubts = http->status == 0;
        if (http->err.kind == ERR_NONE && http->status == 401 && renew_token(c)) {
                c->api->n.renewals++;
                c->request = http_request_close(c->request);
                ask(c);
                return;
        }
        arena_init(&arena, 0);
        if (http->err.kind == ERR_NONE && (http->status < 200 || http->status > 299)) {
                if (kube_status_read(http->body, &arena, &status))
                        result.refusal = &status;
                if (result.refusal != NULL && status.retry_after.ns > result.retry_after.ns)
                        result.retry_after = status.retry_after;
                kube_status_err(result.refusal, http->status, c->what, &result.err);
        } else if (http->err.kind == ERR_NONE) {
                result.body = http->body;
        } else {
                err_prefix(&result.err, "%s", c->what);
        }
        /* The call may be gone after. */
        tell(c, &result);
        arena_done(&arena);
}

static bool on_body(HttpRequest *r, Str chunk)
{
        KubeCall *c = http_request_owner(r);

        return c->in.on_body(c, chunk);
}

/* The time for the request; false where it must not be sent. */
static bool pick_deadline(KubeCall *c, Span *ret, Err *err)
{
        Span most;

        *ret = c->in.deadline;
        if (c->in.may_ask == NULL)
                return true;
        most = c->in.may_ask(c);
        if (most.ns <= 0)
                return err_set(err, ERR_DENIED, "NotLeading", "%s: not sent, another may write now",
                               c->what);
        if (ret->ns == 0 || most.ns < ret->ns)
                *ret = most;
        return true;
}

/* The caller's to free. */
static char *make_url(const KubeApi *a, const char *path)
{
        size_t n = strlen(a->in.config->server) + strlen(path) + 1;
        char *url = mem_new(n);

        snprintf(url, n, "%s%s", a->in.config->server, path);
        return url;
}

static void ask(KubeCall *c)
{
        KubeApi *a = c->api;
        CLEANUP(mem_cleanup) char *url = NULL;
        const Secret *token = NULL;
        Span deadline = {0};

        if (!pick_deadline(c, &deadline, &c->early) || !pick_token(a, &token, &c->early)) {
                c->state = CALL_FAILED;
                post_send(&c->tell);
                return;
        }
        url = make_url(a, c->path);
        c->state = CALL_ASKED;
        c->asked = a->updates;
        c->since = loop_now(a->in.loop);
        c->request = http_request_open(
                a->in.http,
                &(HttpRequestInput){
                        .url = url,
                        .method = c->method[0] != '\0' ? c->method : NULL,
                        .bearer = token,
                        .accept = c->in.accept != NULL ? c->in.accept : "application/json",
                        .content_type = c->content_type[0] != '\0' ? c->content_type : NULL,
                        .body = str_make(c->body, c->in.body.n),
                        .form = c->secret,
                        .tls = &a->tls,
                        .http1 = true,
                        .fresh = a->doubts,
                        .deadline = deadline,
                        .max_bytes = c->in.max_bytes,
                        .max_refusal = KUBE_STATUS_BYTES_MAX,
                        .on_body = c->in.on_body != NULL ? on_body : NULL,
                        .on_done = on_done,
                        .owner = c,
                });
}

/* --- whose turn it is --- */

/* When the next call may be made; now or before: now. */
static Mono next_turn(const KubeApi *a)
{
        return (Mono){a->ahead.ns - a->burst.ns};
}

static void take_turn(KubeApi *a)
{
        Mono now = loop_now(a->in.loop);

        if (mono_before(a->ahead, now))
                a->ahead = now;
        a->ahead = mono_add(a->ahead, a->interval);
}

static void leave_queue(KubeCall *c)
{
        if (!link_is_on(&c->wait))
                return;
        link_remove(&c->wait);
        c->api->n.waiting--;
}

static bool is_turn(const KubeApi *a)
{
        return !mono_before(loop_now(a->in.loop), next_turn(a));
}

static void set_timer(KubeApi *a)
{
        if (list_is_empty(&a->waiting))
                timer_clear(&a->turn);
        else if (!timer_is_set(&a->turn))
                timer_set(&a->turn, next_turn(a));
}

static void on_turn(Timer *t)
{
        KubeApi *a = CONTAINER_OF(t, KubeApi, turn);

        /* Nothing is delivered inside `ask`, so the list changes here alone. */
        LIST_FOREACH (KubeCall, c, &a->waiting, wait) {
                if (!is_turn(a))
                        break;
                leave_queue(c);
                take_turn(a);
                metric_observe(&a->n.wait,
                               span_seconds(mono_since(loop_now(a->in.loop), c->since)));
                ask(c);
        }
        set_timer(a);
}

static void queue(KubeCall *c)
{
        KubeApi *a = c->api;

        if (a->n.waiting == KUBE_WAITING_MAX) {
                err_set(&c->early, ERR_LIMIT, "TooManyCalls", "%s: %d calls wait already", c->what,
                        KUBE_WAITING_MAX);
                c->state = CALL_FAILED;
                post_send(&c->tell);
                return;
        }
        c->state = CALL_WAITS;
        list_add(&a->waiting, &c->wait);
        a->n.waiting++;
        a->n.waited++;
        c->since = loop_now(a->in.loop);
        set_timer(a);
}

static void copy_input(KubeCall *c, const KubeCallInput *in)
{
        size_t n = strlen(in->path) + 1;
        Str path = str_of(in->path), query;

        INSIST(in->path[0] == '/' && (in->secret == NULL || in->content_type != NULL));
        c->in = *in;
        c->path = mem_new(n);
        memcpy(c->path, in->path, n);
        c->body = mem_new(in->body.n + 1);
        if (in->body.n > 0)
                memcpy(c->body, in->body.p, in->body.n);
        c->secret = secret_dup(in->secret);
        INSIST(in->method == NULL || strlen(in->method) < sizeof(c->method));
        c->verb = method_of(in->method);
        snprintf(c->method, sizeof(c->method), "%s", in->method != NULL ? in->method : "");
        INSIST(in->content_type == NULL || strlen(in->content_type) < sizeof(c->content_type));
        snprintf(c->content_type, sizeof(c->content_type), "%s",
                 in->content_type != NULL ? in->content_type : "");
        query = path;
        IGNORE(str_cut(&query, '?', &path), "all of it where there is none");
        snprintf(c->what, sizeof(c->what), "%s %.*s", in->method != NULL ? in->method : "GET",
                 STR_FMT(path));
        /* Pointers of the caller's are not kept. */
        c->in.path = c->in.method = c->in.content_type = NULL;
        c->in.secret = NULL;
        c->in.body.p = NULL;
}

KubeCall *kube_call_open(KubeApi *a, const KubeCallInput *in)
{
        KubeCall *c = mem_new(sizeof(*c));

        c->api = a;
        copy_input(c, in);
        post_init(&c->tell, a->in.loop, on_tell);
        list_add(&a->calls, &c->link);
        if (in->urgent || (list_is_empty(&a->waiting) && is_turn(a))) {
                take_turn(a);
                ask(c);
        } else {
                queue(c);
        }
        return c;
}

void *kube_call_owner(const KubeCall *c)
{
        return c->in.owner;
}

KubeCall *kube_call_close(KubeCall *c)
{
        if (c == NULL)
                return NULL;
        c->request = http_request_close(c->request);
        post_cancel(&c->tell);
        leave_queue(c);
        set_timer(c->api);
        link_remove(&c->link);
        secret_free(c->secret);
        mem_free(c->path);
        mem_free(c->body);
        return mem_free(c);
}

/* --- the API --- */

static void read_tls(KubeApi *a)
{
        const KubeConfig *c = a->in.config;

        a->tls = (HttpTls){.ca_file = c->ca_file,
                           .ca_pem = c->ca_pem,
                           .cert_file = c->cert_file,
                           .cert_pem = c->cert_pem,
                           .key_file = c->key_file,
                           .key_pem = c->key_pem,
                           .server_name = c->tls_server_name,
                           .insecure = c->insecure};
}

KubeApi *kube_api_open(const KubeApiInput *in)
{
        KubeApi *a = mem_new(sizeof(*a));
        unsigned qps = in->qps > 0 ? in->qps : KUBE_QPS;
        unsigned burst = in->burst > 0 ? in->burst : KUBE_BURST;

        a->in = *in;
        read_tls(a);
        a->interval = (Span){SPAN_S(1).ns / qps};
        a->burst = (Span){a->interval.ns * (burst - 1)};
        timer_init(&a->turn, in->loop, on_turn);
        list_init(&a->waiting);
        list_init(&a->calls);
        list_init(&a->hooks);
        return a;
}

KubeApi *kube_api_close(KubeApi *a)
{
        if (a == NULL)
                return NULL;
        INSIST(list_is_empty(&a->calls) && list_is_empty(&a->hooks));
        timer_clear(&a->turn);
        secret_free(a->token);
        secret_free(a->old_token);
        kube_config_free(a->old);
        kube_config_free(a->in.config);
        return mem_free(a);
}

void kube_api_update(KubeApi *a, KubeConfig *config)
{
        bool moved = !kube_config_is_same_server(a->in.config, config);

        kube_config_free(a->old);
        secret_free(a->old_token);
        a->old = a->in.config;
        a->old_token = TAKE(a->token);
        a->in.config = config;
        a->updates++;
        a->moves += moved;
        read_tls(a);
        LIST_FOREACH (KubeApiHook, h, &a->hooks, link) {
                h->moved = h->moved || moved;
                post_send(&h->post);
        }
}

uint64_t kube_api_moves(const KubeApi *a)
{
        return a->moves;
}

static void on_hook(Post *p)
{
        KubeApiHook *h = CONTAINER_OF(p, KubeApiHook, post);
        bool moved = h->moved;

        h->moved = false;
        h->fn(h, moved);
}

void kube_api_hook_add(KubeApi *a, KubeApiHook *h, KubeApiHookFn *fn)
{
        *h = (KubeApiHook){.fn = fn};
        post_init(&h->post, a->in.loop, on_hook);
        list_add(&a->hooks, &h->link);
}

void kube_api_hook_remove(KubeApiHook *h)
{
        if (!link_is_on(&h->link))
                return;
        link_remove(&h->link);
        post_cancel(&h->post);
}

const KubeConfig *kube_api_config(const KubeApi *a)
{
        return a->in.config;
}

Loop *kube_api_loop(const KubeApi *a)
{
        return a->in.loop;
}

const KubeApiCounts *kube_api_counts(const KubeApi *a)
{
        return &a->n;
}

/* RFC 3986 2.3: what need not be escaped. */
static bool is_unreserved(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               (c != '\0' && strchr("-._~", c) != NULL);
}

void kube_query_add(Buf *path, const char *name, Str value)
{
        buf_printf(path, "%c%s=", str_find(buf_str(path), '?') >= 0 ? '&' : '?', name);
        for (size_t i = 0; i < value.n; i++) {
                if (is_unreserved(value.p[i]))
                        buf_add_char(path, value.p[i]);
                else
                        buf_printf(path, "%%%02X", (unsigned char)value.p[i]);
        }
}
