/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * PlayedEg: an Envoy Gateway with one Gateway: it watches that and its Binding, and asks the
 * extension server by gRPC each time that the spec of either is another, or one came or went;
 * again, after a while, where it was not answered. One call at a time, a connection for each.
 */

#include "io/address.h"
#include "played_api.h"

typedef struct PlayedEg PlayedEg;

typedef struct PlayedEgInput {
        Loop *loop; /* borrowed, as is the api */
        PlayedApi *api;
        const char *gateway, *binding; /* their paths; literals, as the next */
        const char *routes;            /* name of its RouteConfiguration */
        const char *host;              /* what every host of ours begins with */
        Address server;                /* of the extension server */
} PlayedEgInput;

PlayedEg *played_eg_new(const PlayedEgInput *in) MUST_USE;
/* Sends and receives what there is; between turns of the loop. True where something happened. */
bool played_eg_turn(PlayedEg *eg);
/* Had the last answer a host of ours? False while there is no Gateway. */
bool played_eg_has_hosts(const PlayedEg *eg);
/* How many calls were answered, and how many were not. */
void played_eg_counts(const PlayedEg *eg, unsigned *ret_answered, unsigned *ret_failed);
PlayedEg *played_eg_free(PlayedEg *eg);
