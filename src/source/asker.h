/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Asker: one source of one tailnet on its own clock: asks it every pollInterval, backs off when
 * that fails, obeys a Retry-After, asks earlier when there is reason to, and keeps what was last
 * good for ever. What it does is told in its SourceFact.
 */

#include "base/log.h"
#include "io/loop.h"
#include "model/facts.h"
#include "model/policy.h"
#include "model/secret_spec.h"
#include "source/told_clock.h"
#include "tailnet/tailnet_source.h"

typedef struct Asker Asker;
typedef void AskerFn(Asker *a);

/* `loop`, `log`, `http`, `facts` and `policy` are borrowed until it is closed. */
typedef struct AskerInput {
        Loop *loop;
        Log *log;
        struct HttpClient *http;
        Facts *facts;
        const Policy *policy; /* NULL: all is permitted */
        SourceRole role;      /* SOURCE_LOCAL: 200 ms between two polls, else as pace.h says */
        TailnetOpenFn *open;  /* how it is opened */
        uint64_t seed;        /* of the jitter */
        AskerFn *fn; /* a poll ended, well or not: from the loop; the asker may be closed inside */
        void *owner;
} AskerInput;

/* The first poll starts in the next turn. References of `spec` and `secret` (may be NULL) are
 * taken. The caller keeps to FACTS_TAILNETS_MAX. */
Asker *asker_open(const AskerInput *in, const TailnetSpec *spec, const SecretSpec *secret) MUST_USE;
/* Uses these from now on: where they differ the next poll is at once, as often as the role allows
 * (and not before a Retry-After of the same server), with what was good still in force. */
void asker_update(Asker *a, const TailnetSpec *spec, const SecretSpec *secret);
/* Brings the next poll forward, as often as the role allows, never before a Retry-After. */
void asker_trigger(Asker *a);
/* Was the last poll good? False before the first one ended. */
bool asker_is_good(const Asker *a);
/* Why the last poll failed; ERR_NONE where it was good or none has ended yet. */
const Err *asker_error(const Asker *a);
/* The last good answer, borrowed until the next fn; `devices` is NULL where there was none.
 * Services that it did not tell of are those of the answer before. */
const TailnetAnswer *asker_answer(const Asker *a);
/* When that was; 0: never. */
Wall asker_last_sync(const Asker *a);
/* The time of what it asks. */
const ToldClock *asker_clock(const Asker *a);
void *asker_owner(const Asker *a);
/* Nothing is delivered after; empties its SourceFact. NULL is welcome. Returns NULL. */
Asker *asker_close(Asker *a);
