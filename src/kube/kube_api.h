/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * KubeApi: one API server as one identity: who asks, whom to believe, how fast. A call ends with
 * exactly one on_done from the loop, never from the call that began it; after its close with none.
 * It repeats nothing but what a renewed token mends: whoever asks knows what may be asked again.
 */

#include "base/buf.h"
#include "base/list.h"
#include "base/metric.h"
#include "kube/kube_config.h"
#include "kube/kube_status.h"
#include "net/http_client.h"

enum {
        /* Calls a second, and at once after a rest: what the controllers of others keep to. */
        KUBE_QPS = 20,
        KUBE_BURST = 30,
        /* Calls that wait for their turn: four minutes of them; more is a fault of ours. */
        KUBE_WAITING_MAX = 5000,
        KUBE_TOKEN_KEPT_S = 60,          /* a ServiceAccount's token file is renewed hourly */
        KUBE_TOKEN_BYTES_MAX = 16 << 10, /* a JWT is below 2 KiB */
};

typedef struct KubeApi KubeApi;
typedef struct KubeCall KubeCall;

/* Valid within on_done only. */
typedef struct KubeResult {
        Err err;         /* ERR_NONE: an answer of 2xx came whole. Else what http_client or
                            kube_status say, ERR_DENIED "NoToken", "NoCredential", "NotLeading",
                            ERR_LIMIT "TooManyCalls"; no text holds a credential */
        unsigned status; /* 0: none came */
        const KubeStatus *refusal; /* of an answer that is not 2xx, where it had one; else NULL */
        Span retry_after;          /* of header and body the longer; 0: not said */
        Str body;                  /* of 2xx, where there is no on_body */
} KubeResult;

/* A piece of the body of a 2xx answer, from inside libcurl: as HttpBodyFn. */
typedef bool KubeBodyFn(KubeCall *c, Str chunk);
typedef void KubeDoneFn(KubeCall *c, const KubeResult *result);
/* Asked when the call's turn has come, right before it is sent: how long it may be under way. 0 or
 * less: it must not be sent, and ends with "NotLeading". It only says. */
typedef Span KubeMayAskFn(const KubeCall *c);

/* All is copied but `accept`. */
typedef struct KubeCallInput {
        const char *method;       /* NULL: GET */
        const char *path;         /* "/api/v1/…" with its query, escaped (kube_query_add) */
        const char *content_type; /* of a body; NULL: none */
        Str body;
        const Secret *secret;  /* the body instead, at most 64 KiB */
        bool urgent;           /* does not wait for its turn, but counts: a lease's renewal */
        Span deadline;         /* of the request, from when its turn is; 0: none, for a watch */
        size_t max_bytes;      /* of the answer; 0, with on_body only: no cap */
        const char *accept;    /* media type; not copied: a constant. NULL: application/json */
        KubeMayAskFn *may_ask; /* NULL: always */
        KubeBodyFn *on_body;
        KubeDoneFn *on_done;
        void *owner;
} KubeCallInput;

typedef struct KubeApiInput {
        Loop *loop; /* borrowed, as is the client */
        HttpClient *http;
        KubeConfig *config;  /* taken over */
        unsigned qps, burst; /* 0: KUBE_QPS, KUBE_BURST */
} KubeApiInput;

typedef enum KubeMethod {
        KUBE_METHOD_GET,
        KUBE_METHOD_POST,
        KUBE_METHOD_PUT,
        KUBE_METHOD_PATCH,
        KUBE_METHOD_DELETE,
        KUBE_METHODS,
} KubeMethod;

typedef enum KubeCodeClass {
        KUBE_CODE_DONE,      /* 2xx, and the answer came whole */
        KUBE_CODE_REFUSED,   /* any other below 500, but 429 */
        KUBE_CODE_THROTTLED, /* 429 */
        KUBE_CODE_FAILED,    /* 5xx */
        KUBE_CODE_NONE,      /* no answer, or not all of it */
        KUBE_CODE_CLASSES,
} KubeCodeClass;

typedef struct KubeApiCounts {
        uint64_t calls[KUBE_METHODS][KUBE_CODE_CLASSES]; /* that ended, watches too */
        uint64_t renewals; /* calls repeated because the token was another by then */
        uint64_t waited;   /* calls that had to wait for their turn */
        int64_t waiting;
        MetricHistogram wait; /* of those that did not ask at once */
        MetricHistogram took; /* from the sending to the end, but for calls without deadline */
} KubeApiCounts;

extern const MetricTable kube_api_metrics; /* of KubeApiCounts */

/* Who is told of kube_api_update: a member of whoever it is about. */
typedef struct KubeApiHook KubeApiHook;
/* From the loop, once for all updates until then. `moved`: it is another server, or another is
 * believed to be it, so it may be another cluster. */
typedef void KubeApiHookFn(KubeApiHook *h, bool moved);
struct KubeApiHook {
        Link link; /* of the KubeApi */
        Post post;
        KubeApiHookFn *fn;
        bool moved;
};

/* Asks nothing yet. Never NULL. */
KubeApi *kube_api_open(const KubeApiInput *in) MUST_USE;
/* All calls must have been closed, and all hooks removed. NULL is welcome; returns NULL. */
KubeApi *kube_api_close(KubeApi *a);
/* Another address, another credential: takes `config` over. What is under way ends as it began, but
 * that what is refused with 401 is asked once more; all else is asked there from now on. Watches
 * and a Lease go on by themselves (KubeApiHook). Not in on_body. */
void kube_api_update(KubeApi *a, KubeConfig *config);
/* How often it moved. */
uint64_t kube_api_moves(const KubeApi *a);
void kube_api_hook_add(KubeApi *a, KubeApiHook *h, KubeApiHookFn *fn);
/* Nothing is told after. Idempotent. */
void kube_api_hook_remove(KubeApiHook *h);
const KubeConfig *kube_api_config(const KubeApi *a);
Loop *kube_api_loop(const KubeApi *a);
const KubeApiCounts *kube_api_counts(const KubeApi *a);

/* Never NULL; it is the caller's until it closes it, also after on_done. */
KubeCall *kube_call_open(KubeApi *a, const KubeCallInput *in) MUST_USE;
void *kube_call_owner(const KubeCall *c);
/* Allowed in on_done, not in on_body. NULL is welcome; returns NULL. */
KubeCall *kube_call_close(KubeCall *c);

/* Adds "?name=value" or "&name=value" to a path, the value escaped. */
void kube_query_add(Buf *path, const char *name, Str value);
