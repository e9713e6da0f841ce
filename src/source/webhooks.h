/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Webhooks: the address that Tailscale tells of changes, one path for each TailscaleTailnet whose
 * Secret has a webhook_secret: /webhook/NAMESPACE/NAME. A message that is really Tailscale's brings
 * the next poll of that tailnet forward; that is all it does, whatever it says.
 */

#include "io/address.h"
#include "source/hub.h"

typedef struct Webhooks Webhooks;

typedef struct WebhooksInput {
        Loop *loop;
        Log *log;
        Hub *hub;               /* outlives it */
        WebhookFact *fact;      /* counts here */
        const Address *address; /* a unix socket or a loopback address where there is no TLS */
        const char *certificate, *key; /* PEM files; both NULL: plain */
} WebhooksInput;

/* Serves from now on. NULL where a file of TLS is not what it should be, or the address cannot be
 * had. */
Webhooks *webhooks_open(const WebhooksInput *in, Err *err) MUST_USE;
/* The address with its real port. */
const Address *webhooks_address(const Webhooks *w);
/* NULL is welcome. Returns NULL. */
Webhooks *webhooks_close(Webhooks *w);
