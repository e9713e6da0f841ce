/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Names: which candidates have which names of services. One has a name alone, or several of one
 * Tailscale Service or group share it. Candidates of the list claim first; those that are only
 * remembered get what is left.
 */

#include "base/map.h"
#include "discovery/candidate.h"

typedef struct Names {
        Candidate **at; /* owned array, in the order in which they came; of the caller's arena */
        size_t n, room;
        Map by_service; /* Candidate: who has the name; of those that share it, the first */
        Map members;    /* "group\nlabel of the short name": who has it in the list */
        Map seen;       /* "service\nnode id" of endpoints that were remembered */
        Arena *arena;   /* borrowed: for keys */
} Names;

void names_init(Names *names, Arena *arena);
void names_done(Names *names);

/* Takes a candidate of the list. Where another has the name, one of both loses it: that one is
 * returned, its `lost` set, and who has the name in *ret_winner. NULL: nobody lost. */
Candidate *names_claim(Names *names, Candidate *c, const Candidate **ret_winner);
/* Is it the first endpoint of its service and node that is asked about? Several make one candidate.
 */
bool names_is_first(Names *names, const Endpoint *e);
/* Takes a candidate that is remembered, unless its name is another's now, or a machine of the list
 * is the same member of its group: then it has moved, and false is returned. */
bool names_remember(Names *names, Candidate *c);
