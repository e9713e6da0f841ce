/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * TailnetSource: one way to ask what a tailnet holds, behind one interface: open, poll, answer or
 * error, close. It keeps no clock: when to poll, how to back off and what to do with the answer is
 * the caller's. One poll is in flight at a time; each ends within its deadline with exactly one
 * delivery, from the loop, unless it is closed first.
 */

#include "base/err.h"
#include "base/log.h"
#include "base/secret.h"
#include "io/loop.h"
#include "model/device.h"
#include "model/tailnet_service.h"
#include "model/tailnet_spec.h"

enum {
        TAILNET_ANSWER_BYTES_MAX = 256 << 20, /* 100,000 devices are about 100 MB of JSON */
        TAILNET_DEVICES_MAX = 200000,
        TAILNET_POLL_SECONDS = 60, /* deadline of one poll: Tailscale's own client waits a minute */
};

typedef struct TailnetAnswer {
        Table *devices;      /* of Device; one reference, the receiver's. NULL: failed, see err */
        Table *services;     /* of TailnetService, the same; NULL: not told (see warning) */
        const char *via;     /* what was spoken, a literal: "tailscale-v2", "headscale-v2",
                                "headscale-v1", "local", "file" */
        char suffix[254];    /* MagicDNS suffix, where the answer itself tells it */
        char self_node[129]; /* node id of the tailscaled that answered; LocalAPI only */
        char scopes[512];    /* of the token, where it tells */
        char warning[256];   /* of a good answer: what it lacks and why, "services:read is missing:
                                Tailscale Services are not found" */
        Err err; /* ERR_DENIED for 401 and 403, ERR_TRANSIENT, ERR_INVALID for what is not a device
                    list, ERR_LIMIT */
        unsigned status;    /* of HTTP, where that is what failed; else 0 */
        Wall date;          /* the server's clock, of an answer that bears it; 0: not told */
        Span retry_after;   /* from Retry-After, at most 1 h; 0: none */
        uint64_t bytes;     /* of the answer */
        double seconds;     /* that it took */
        uint64_t n_invalid; /* devices that were left out of the answer because they could not be
                               understood, or whose id another has too; the first reason is in
                               err.text, also of a good answer */
} TailnetAnswer;

typedef struct TailnetSource TailnetSource;
/* The source may be closed inside. */
typedef void TailnetSourceFn(TailnetSource *s, TailnetAnswer *answer);
/* What is asked says that something is new (today: the file changed), so a poll is worth while now;
 * how soon is the receiver's. From the loop; the source may be closed inside. */
typedef void TailnetChangedFn(TailnetSource *s);

/* What a control server may be asked with; each may be NULL or empty. */
typedef struct TailnetCredentials {
        const Secret *api_key;                   /* as bearer */
        const Secret *client_id, *client_secret; /* OAuth client */
        Str federated_id, token_file; /* workload identity; the file is read before each exchange */
} TailnetCredentials;

/* What every source is made of; `loop`, `log` and `http` are borrowed until it is closed. */
typedef struct TailnetSourceInput {
        Loop *loop;
        Log *log;
        struct HttpClient *http;
        const TailnetSpec *spec;        /* a reference is taken */
        TailnetCredentials credentials; /* copied by who keeps them */
        /* Of the last good answer of the same server, so that unchanged leaves are kept, and what
         * is garbled or not told stays as it was; may be NULL. References are taken. */
        const Table *devices, *services;
        TailnetSourceFn *fn;
        TailnetChangedFn *changed; /* may be NULL */
        void *owner;
} TailnetSourceInput;

/* How a source is opened. Who plays a tailnet hands in another than the two below. */
typedef TailnetSource *TailnetOpenFn(const TailnetSourceInput *in, Err *err);

/* The source that fits the spec: file where file.path is given, else the control server at apiURL.
 * NULL without the credential that is needed ("CredentialMissing"). Of a spec with localAPI and
 * neither file nor credentials it is that of tailnet_source_open_local. */
TailnetSource *tailnet_source_open(const TailnetSourceInput *in, Err *err) MUST_USE;
/* The tailscaled at localAPI.socket; NULL "NoLocalAPI" where the spec names none. */
TailnetSource *tailnet_source_open_local(const TailnetSourceInput *in, Err *err) MUST_USE;
/* Starts a poll; nothing where one is in flight. */
void tailnet_source_poll(TailnetSource *s);
bool tailnet_source_is_polling(const TailnetSource *s);
void *tailnet_source_owner(const TailnetSource *s);
/* Aborts a poll; nothing is delivered after. NULL is welcome. Returns NULL. */
TailnetSource *tailnet_source_close(TailnetSource *s);
