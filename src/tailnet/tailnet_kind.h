/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* TailnetKind: what a kind of source is to tailnet_source.c, and what they all have. */

#include "tailnet/tailnet_source.h"

typedef struct TailnetKind {
        void (*poll)(TailnetSource *s); /* none is in flight */
        /* Aborts a poll and frees; nothing is delivered after. */
        void (*free)(TailnetSource *s);
} TailnetKind;

/* The first member of each kind's own struct. */
struct TailnetSource {
        const TailnetKind *kind;
        TailnetSourceInput in; /* of it credentials are not kept; spec, devices and services with
                                  one reference */
        Mono until;            /* of the poll in flight */
        bool is_polling;
};

void tailnet_kind_init(TailnetSource *s, const TailnetKind *kind, const TailnetSourceInput *in);
/* Gives the references back. */
void tailnet_kind_done(TailnetSource *s);
/* Starts a poll that ends by `until`. */
void tailnet_kind_poll(TailnetSource *s, Mono until);
/* Starts the poll of `part` for the one of `whole` that is in flight: the same deadline, the same
 * leaves to keep. */
void tailnet_kind_poll_part(TailnetSource *part, const TailnetSource *whole);
/* What is left of the poll in flight; never nothing, so that it can be a request's deadline. */
Span tailnet_kind_left(const TailnetSource *s);
/* Ends the poll. The last thing that a kind does in its callback: the receiver may close `s`. */
void tailnet_kind_deliver(TailnetSource *s, TailnetAnswer *answer);
