/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Candidate: a device that the rules in force would make endpoints of, or the reason why not. The
 * same questions are put to a device of the list and to one that is known from its endpoint only
 * (read back at start, or held), so an edit of the rules means the same for both.
 */

#include "discovery/port_choice.h"
#include "model/endpoint.h"

typedef enum CandidateRank {
        CANDIDATE_OWN,        /* of the tailnet itself */
        CANDIDATE_EXTERNAL,   /* shared in: must not take a name from the tailnet's own */
        CANDIDATE_REMEMBERED, /* not in the list: gives way to whoever has the name now */
} CandidateRank;

typedef struct Candidate {
        const Device *device; /* borrowed, or of `arena` */
        CandidateRank rank;
        Str service; /* DNS-safe */
        Str ip;      /* the address to use: IPv4 where there is one that is allowed */
        Str rule, health;
        PortChoice ports[PORT_CHOICES_MAX];
        size_t n_ports;
        bool held, lost; /* for whoever collects them */
} Candidate;

typedef struct CandidateRules {
        const TailnetEntry *entry;
        StrList own_nodes;
        Wall now;
} CandidateRules;

typedef struct Refusal {
        Str reason, text; /* literals, or in `scratch` */
} Refusal;

/* The candidate (in `arena`), or NULL with the reason in *ret. `scratch` is for texts. */
Candidate *candidate_of(const CandidateRules *rules, const Device *d, Arena *arena, Arena *scratch,
                        Refusal *ret);
/* The same for a device of which only this endpoint is known. */
Candidate *candidate_of_endpoint(const CandidateRules *rules, const Endpoint *e, Arena *arena,
                                 Arena *scratch);
/* Of two candidates for one service: does `a` have it? Total. */
bool candidate_is_before(const Candidate *a, const Candidate *b);
/* May this address be dialled; canonical text in `arena`, or empty. */
Str candidate_address(const TailnetEntry *entry, Str ip, Arena *arena);
