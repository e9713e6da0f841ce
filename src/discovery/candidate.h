/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Candidate: a device, or a Tailscale Service, that the rules in force would make endpoints of, or
 * the reason why not. The same questions are put to what the list has and to what is known from its
 * endpoints only (read back at start, or held), so an edit of the rules means the same for both.
 */

#include "discovery/port_choice.h"
#include "model/endpoint.h"
#include "model/policy.h"
#include "model/tailnet_service.h"

/* Whose the name is, in the order of who has it where two ask for one. */
typedef enum CandidateOwner {
        CANDIDATE_OF_SERVICE, /* a Tailscale Service, whose endpoints share it */
        CANDIDATE_OF_GROUP,   /* groups[], whose members share it */
        CANDIDATE_OF_DEVICE,
} CandidateOwner;

typedef enum CandidateRank {
        CANDIDATE_OWN,        /* of the tailnet itself */
        CANDIDATE_EXTERNAL,   /* shared in: must not take a name from the tailnet's own */
        CANDIDATE_REMEMBERED, /* not in the list: gives way to whoever has the name now */
} CandidateRank;

typedef struct Candidate {
        const Device *device; /* borrowed, or of `arena`; of a Service, one in its form */
        CandidateOwner owner;
        CandidateRank rank;
        Str service; /* DNS-safe */
        Str ip;      /* the address to use: IPv4 where there is one that is allowed */
        Str rule, health, health_text;
        PortChoices ports;
        bool held, lost; /* for whoever collects them */
} Candidate;

typedef struct CandidateRules {
        const TailnetEntry *entry;
        const Policy *policy; /* NULL: all is permitted */
        StrList own_nodes;
        Str suffix;              /* of the tailnet; may be empty */
        const Table *devices;    /* the list; NULL: none */
        ObjectKey gateway;       /* the TailscaleGateway */
        const Table *open_ports; /* of OpenPorts; NULL: nothing was looked for */
        const Table *before;     /* endpoints in force; NULL: none */
        Wall now;
} CandidateRules;

typedef struct Refusal {
        Str reason, text; /* literals, or in `scratch` */
} Refusal;

/* The candidate (in `arena`), or NULL with the reason in *ret. `scratch` is for texts. */
Candidate *candidate_of(const CandidateRules *rules, const Device *d, Arena *arena, Arena *scratch,
                        Refusal *ret);
/* The same for a Service: at its own address, or (`host` not NULL) at that of one of its hosts. */
Candidate *candidate_of_service(const CandidateRules *rules, const TailnetService *s,
                                const Device *host, Arena *arena, Arena *scratch, Refusal *ret);
/* The same for what is known from its endpoints only: `endpoints` is a Table of them, the first is
 * at `at`, the others come behind it. NULL: the rules would not take it. */
Candidate *candidate_of_endpoints(const CandidateRules *rules, const Table *endpoints, size_t at,
                                  Arena *arena, Arena *scratch);
/* Would the rules choose the Service? */
bool candidate_selects_service(const CandidateRules *rules, const TailnetService *s,
                               Arena *scratch);
/* Do both belong to one Service or group, so that they share their name? */
bool candidate_shares(const Candidate *a, const Candidate *b);
/* Of two candidates for one service that do not share it: does `a` have it? Total. */
bool candidate_is_before(const Candidate *a, const Candidate *b);
/* May this address be dialled; canonical text in `arena`, or empty. */
Str candidate_address(const CandidateRules *rules, Str ip, Arena *arena);
/* Why candidate_address says no. */
Refusal candidate_address_refusal(const CandidateRules *rules, Str ip, Arena *scratch);
/* Is it the node id of an endpoint of a Service: "svc:web" at the Service's own address,
 * "svc:web/<node id>" at a host's? No device has one that begins so. *ret_host may be empty. */
bool candidate_service_id(Str node_id, Str *ret_service, Str *ret_host);
