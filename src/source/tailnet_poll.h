/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * TailnetPoll: one TailscaleTailnet: its sources, each asked on its own clock (asker.h), and what
 * they say together. One that hangs delays nobody.
 */

#include "base/log.h"
#include "io/loop.h"
#include "model/facts.h"
#include "model/secret_spec.h"
#include "model/world.h"
#include "tailnet/tailnet_source.h"

struct HttpClient;

typedef struct TailnetPoll TailnetPoll;
typedef void TailnetPollFn(TailnetPoll *p);

typedef struct TailnetPollInput {
        Loop *loop;
        Log *log;
        struct HttpClient *http;
        Facts *facts;
        const Policy *policy;             /* borrowed; NULL: all is permitted */
        uint64_t seed;                    /* of the jitter */
        TailnetOpenFn *open, *open_local; /* NULL: tailnet_source_open, tailnet_source_open_local */
        TailnetPollFn *fn; /* the state is another, or a good poll was counted: from the loop */
        void *owner;
} TailnetPollInput;

/* The first polls start in the next turn. References of `spec` and `secret` (may be NULL) are
 * taken. */
TailnetPoll *tailnet_poll_open(const TailnetPollInput *in, const TailnetSpec *spec,
                               const SecretSpec *secret) MUST_USE;
void *tailnet_poll_owner(const TailnetPoll *p);
/* Uses these from now on: sources that they differ for are asked at once (but not before a
 * Retry-After of the same server), with what was good still in force. */
void tailnet_poll_update(TailnetPoll *p, const TailnetSpec *spec, const SecretSpec *secret);
/* Brings the next poll of each source forward, at most so often as pace.h says and never before a
 * Retry-After. */
void tailnet_poll_trigger(TailnetPoll *p);
const TailnetSpec *tailnet_poll_spec(const TailnetPoll *p);
/* What is known now, borrowed until the next fn; NULL before the first poll ended. */
const TailnetState *tailnet_poll_state(const TailnetPoll *p);
/* NULL is welcome. Returns NULL. */
TailnetPoll *tailnet_poll_close(TailnetPoll *p);
