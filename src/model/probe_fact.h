/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* ProbeFact: what our own probes of one endpoint found. */

#include "base/instant.h"
#include "model/object.h"
#include "model/protocol.h"

typedef enum ProbeVerdict {
        PROBE_UNKNOWN, /* too few probes yet, or it cannot be probed: see error */
        PROBE_HEALTHY,
        PROBE_UNHEALTHY,
} ProbeVerdict;

enum {
        PROBE_ERROR_MAX = 192,
};

typedef struct ProbeFact {
        ObjectKey gateway; /* the TailscaleGateway; this and all strings are who made it's */
        Str tailnet;       /* tailnets[].name */
        Str service, ip;
        uint16_t port;
        Protocol protocol;
        ProbeVerdict verdict;
        unsigned in_a_row; /* probes of one kind: those that failed, or that did not */
        bool last_ok;
        uint64_t ok, failed;
        Wall last;                   /* probe that ended; 0: none has */
        Wall since;                  /* the verdict stands; 0: never stood */
        double seconds;              /* that the last one took */
        char error[PROBE_ERROR_MAX]; /* of the last that failed, or why there is none; else empty */
} ProbeFact;

/* "Unknown", "Healthy", "Unhealthy". */
Str probe_verdict_name(ProbeVerdict v);
/* By gateway, tailnet, service, port, protocol, ip: total over endpoints. */
int probe_fact_cmp(const ProbeFact *a, const ProbeFact *b);
