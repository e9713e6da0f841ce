/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Webhook: is a message really from Tailscale, and is it new? Pure; `now` is an argument.
 *
 * Tailscale signs each with the secret that it showed when the webhook was made: the header
 * Tailscale-Webhook-Signature is `t=SECONDS,v1=HEX`, HEX the HMAC-SHA256 of `SECONDS.BODY`; while a
 * secret is being replaced there is a v1 for each (kb/1213). What the body says is for a log line:
 * nothing is ever done because of it.
 */

#include "base/secret.h"
#include "model/facts.h"

enum {
        WEBHOOK_WINDOW_S = 300,     /* a signature is good that long before and after its time */
        WEBHOOK_SIGNATURES_MAX = 8, /* of one message; two while a secret is replaced */
        /* Messages of one tailnet that are remembered, each at most twice the window: one every
         * 0.6 s. Tailscale sends many events in one message. */
        WEBHOOK_SEEN_MAX = 1024,
};

typedef struct WebhookSignature {
        Str time; /* as it was signed; borrowed */
        int64_t t;
        size_t n;
        Digest v1[WEBHOOK_SIGNATURES_MAX];
} WebhookSignature;

/* False: there is no time in it, or two, or no v1 of 64 hex digits among the first
 * WEBHOOK_SIGNATURES_MAX. Members of other names are passed over. */
bool webhook_signature_read(Str header, WebhookSignature *ret) MUST_USE;

typedef struct WebhookSeen WebhookSeen;
/* What one tailnet has taken and could be sent again; zeroed at first. */
typedef struct WebhookMemory {
        WebhookSeen *at; /* owned */
        size_t n, room;
} WebhookMemory;

void webhook_memory_done(WebhookMemory *m);

/* Taken (and remembered), or why not. `secret` NULL or blank: WEBHOOK_UNKNOWN. */
WebhookResult webhook_check(const Secret *secret, Str header, Str body, Wall now,
                            WebhookMemory *m) MUST_USE;

/* For people. */
typedef struct WebhookEvents {
        size_t n;       /* 0 where the body is no array of objects */
        char types[96]; /* "nodeCreated, nodeDeleted", each once, cut */
} WebhookEvents;

/* Never fails: what is not understood is not told. */
void webhook_events_read(Str body, WebhookEvents *ret);
