/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Facts: what happened, kept by app and told by those who did it: hook calls and served revisions,
 * resource reads, writes. Mutable, owned by the one loop; never part of a World.
 */

#include "base/err.h"
#include "base/instant.h"
#include "base/metric.h"
#include "model/answer_gap.h"
#include "model/binding_spec.h"
#include "model/departure.h"
#include "model/endpoint.h"
#include "model/probe_fact.h"
#include "model/serve_fact.h"

/* The last PostTranslateModify calls of one Gateway. */
typedef struct HookFact {
        ObjectKey eg_gateway; /* strings owned by Facts; empty: a Gateway that is not known */
        char asked[REVISION_MAX + 1]; /* by the Binding; empty: none came */
        char served[REVISION_MAX + 1];
        uint64_t attempt;  /* that the Binding carried */
        bool owes_attempt; /* it was not answered as asked: Envoy Gateway must be made to ask again
                            */
        uint64_t calls, failures;
        Wall last;
        Mono at; /* the same instant, for intervals; 0: no call yet */
        double last_seconds;
        uint64_t request_bytes, answer_bytes;
        uint64_t hosts, paths;  /* injected */
        const AnswerGaps *gaps; /* left out at the answer, one reference; NULL: nothing */
        char error[256];        /* of the last failure, or empty */
} HookFact;

/* A tailnet has at most one of each: the control server or file that says what is there, and a
 * tailscaled of ours, beside it or alone. */
typedef enum SourceRole {
        SOURCE_PRIMARY,
        SOURCE_LOCAL,
        SOURCE_ROLES,
} SourceRole;

/* The polls of one source. */
typedef struct SourceFact {
        const char *name; /* a literal: "api", "file", "local"; NULL: the tailnet has none such */
        const char *via;  /* what it speaks, as the last good answer says; a literal; NULL: no good
                             answer yet */
        uint64_t polls, failures;
        uint64_t failures_in_a_row;
        uint64_t triggers; /* that asked for a poll before its time */
        Wall last_sync;    /* of a good answer; 0: never */
        Wall last_attempt;
        Wall next;      /* poll; 0: one is in flight */
        double seconds; /* that the last answer took */
        uint64_t bytes, devices, invalid;
        char invalid_text[ERR_TEXT_MAX]; /* why the first of them is, or empty */
        ErrKind kind;                    /* of the last failure; ERR_NONE where the last was good */
        char reason[ERR_REASON_MAX];     /* of it, or empty */
        char error[ERR_TEXT_MAX];
} SourceFact;

/* The sources of one TailscaleTailnet. */
typedef struct TailnetFact {
        ObjectKey key; /* strings owned by Facts */
        SourceFact sources[SOURCE_ROLES];
} TailnetFact;

enum {
        FACTS_GATEWAYS_MAX = 1024,
        FACTS_TAILNETS_MAX = 256
};

typedef struct HookCounters {
        uint64_t calls[6];    /* by method, in the order of service.proto */
        uint64_t unchanged;   /* input given back */
        uint64_t unavailable; /* World not complete, or a Binding is missing */
        uint64_t invalid;     /* INVALID_ARGUMENT */
        uint64_t parked;      /* waited for a revision */
        MetricHistogram seconds;
} HookCounters;

/* The state of one watched directory. */
typedef struct DirFact {
        bool read_once;
        Wall last_read;      /* good */
        uint64_t generation; /* of the good content in force */
        uint64_t reads, failures;
        char error[512]; /* first fault of the last read, empty where it was good */
} DirFact;

enum {
        KUBE_KINDS_MAX = 24
};

/* The watches of one kind of object: one, or one for each namespace or name that is read. */
typedef struct KubeKindFact {
        const char *kind; /* a literal: "TailscaleGateway" */
        bool synced;      /* each of them has been listed once */
        bool optional;    /* where the server does not have it, or denies it, we do without */
        uint64_t objects; /* that are kept of it */
        uint64_t invalid; /* of them, now */
        uint64_t failures;
        ErrKind err; /* of the watch that fails now; ERR_NONE: none does */
        char reason[ERR_REASON_MAX];
        char error[ERR_TEXT_MAX];
} KubeKindFact;

/* What is read from an API server. */
typedef struct KubeFact {
        bool used;
        bool read_once; /* all of it was listed once */
        KubeKindFact kinds[KUBE_KINDS_MAX];
        size_t n_kinds;
} KubeFact;

typedef struct WriteFact {
        uint64_t writes, failures;
        char error[ERR_TEXT_MAX];
} WriteFact;

/* What became of a message to the webhook address. */
typedef enum WebhookResult {
        WEBHOOK_TAKEN,
        WEBHOOK_UNSIGNED, /* without a signature that can be read */
        WEBHOOK_FORGED,   /* none of its signatures is of our secret */
        WEBHOOK_UNTIMELY, /* signed more than five minutes ago, or from now */
        WEBHOOK_REPLAYED,
        WEBHOOK_CROWDED, /* more came within the time than are remembered */
        WEBHOOK_UNKNOWN, /* for a tailnet that is not there, or has no secret for it */
        WEBHOOK_RESULTS,
} WebhookResult;

typedef struct WebhookFact {
        uint64_t received[WEBHOOK_RESULTS];
        uint64_t events; /* in those that were taken */
} WebhookFact;

typedef struct Facts {
        HookFact *hooks; /* sorted by eg_gateway; owned */
        size_t n_hooks;
        TailnetFact *tailnets; /* sorted by key; owned */
        size_t n_tailnets;
        HookCounters counters;
        const ProbeFact *const *probes; /* sorted; the prober's, gone with it */
        size_t n_probes;
        size_t n_unprobed;       /* endpoints that ask for it and are beyond what is probed */
        const ServeFact *serves; /* sorted; the serve writer's, gone with it */
        size_t n_serves;
        ServeCounts serve_counts;
        uint64_t probes_ok, probes_failed; /* of all endpoints, also those that are gone */
        DirFact resources, gateway_resources;
        KubeFact kube;
        WriteFact generated;
        WebhookFact webhooks;
        Departures departures;
        Wall started;
} Facts;

void facts_init(Facts *f);
void facts_done(Facts *f);
/* The record of one Gateway, made where it is new; NULL above FACTS_GATEWAYS_MAX. Valid until the
 * next call. */
HookFact *facts_hook(Facts *f, ObjectKey eg_gateway);
/* The record, or NULL where there is none. */
const HookFact *facts_find_hook(const Facts *f, ObjectKey eg_gateway);
/* What probes of that endpoint of one tailnets[] entry found, or NULL: it is not probed. */
const ProbeFact *facts_find_probe(const Facts *f, ObjectKey gateway, Str tailnet,
                                  const Endpoint *e);
/* The same for a TailscaleTailnet. */
TailnetFact *facts_tailnet(Facts *f, ObjectKey tailnet);
const TailnetFact *facts_find_tailnet(const Facts *f, ObjectKey tailnet);
/* The source that says which devices are there: the primary where there is one, else the local
 * one. */
const SourceFact *tailnet_fact_presence(const TailnetFact *f);
/* Drops the record, so that a long life with many names does not grow. */
void facts_forget_tailnet(Facts *f, ObjectKey tailnet);
void facts_forget_hook(Facts *f, ObjectKey eg_gateway);
