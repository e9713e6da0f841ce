/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* ServeFact: what became of one port of a tailnet that is to lead to Envoy. */

#include "base/err.h"
#include "base/instant.h"
#include "model/object.h"

typedef struct ServeFact {
        ObjectKey gateway; /* the TailscaleGateway; this and all strings are who made it's */
        Str tailnet;       /* tailnets[].name */
        Str socket;        /* of the tailscaled */
        uint16_t port;     /* of the tailnet; 0: of all */
        Str target;        /* where its connections go; empty: not known */
        bool is_serving;   /* the last look at tailscaled found it so */
        Wall since;        /* is_serving is what it is; 0: never asked */
        Wall last;         /* good answer of tailscaled; 0: none */
        char reason[ERR_REASON_MAX]; /* "Serving", or why it is not: "Pending", "PortTaken", … */
        char text[ERR_TEXT_MAX];
} ServeFact;

/* Of all tailscaleds, since the start. */
typedef struct ServeCounts {
        uint64_t reads, writes; /* of serve configurations */
        uint64_t conflicts;     /* writes that met a change since the read */
        uint64_t failures;
} ServeCounts;

/* By gateway, tailnet, socket, port. */
int serve_fact_cmp(const ServeFact *a, const ServeFact *b);
