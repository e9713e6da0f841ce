/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * ExtensionAsk: what a TailscaleGateway wishes of the one extension server that serves the whole
 * cluster, and what becomes of the wishes of all. Pure.
 */

#include "base/err.h"
#include "base/table.h"
#include "proto/tree.h"

struct Policy;
struct GatewaySpec;

/* Kinds of resource that may be asked for. */
typedef enum AmountKind {
        AMOUNT_CPU,
        AMOUNT_STORAGE, /* ephemeral-storage */
        AMOUNT_MEMORY,
        AMOUNT_KINDS, /* in the order of their names */
} AmountKind;

/* "cpu", "ephemeral-storage", "memory". */
const char *amount_kind_name(AmountKind kind);

typedef enum AmountBound {
        AMOUNT_LIMIT,
        AMOUNT_REQUEST,
        AMOUNT_BOUNDS,
} AmountBound;

/* Thousandths, as of quantity_parse; 0: not said. */
typedef struct Amounts {
        int64_t at[AMOUNT_BOUNDS][AMOUNT_KINDS];
} Amounts;

/* spec.extensionServer. */
typedef struct ExtensionAsk {
        Str image;        /* empty: not said */
        int32_t replicas; /* 0: not said */
        Amounts resources;
        bool has_others; /* it asks for more than there can be, or for another kind of resource */
} ExtensionAsk;

/* The part of a valid `resources` that is honoured. `node` may be NULL. */
void extension_ask_resources(ExtensionAsk *ask, const Tree *node);
bool extension_ask_same(const ExtensionAsk *a, const ExtensionAsk *b);

/* What may be had at most: one tenant does not size what serves the whole cluster. 0: no cap. */
typedef struct ExtensionCaps {
        int32_t replicas;
        int64_t amounts[AMOUNT_KINDS]; /* thousandths; of a request and a limit alike */
} ExtensionCaps;

/* The operator's flag of a cap, with its dashes. */
const char *extension_caps_flag(AmountKind kind);

/* What is to be. */
typedef struct ExtensionWish {
        Str image;                      /* empty: none is managed here */
        const struct GatewaySpec *from; /* who asked for the image; NULL: the operator's own */
        int32_t replicas;
        Amounts resources;
        ExtensionCaps caps; /* the operator's own is within them */
} ExtensionWish;

/* Of all TailscaleGateways (of GatewaySpec), where `base` has what the operator is set to: replicas
 * and each amount are the largest asked for, up to its cap, and who does not ask wishes for those
 * of `base`; the image is that of the oldest who asks for one that the policy admits. No limit is
 * below its request. An image of `base` that is empty: nothing is managed, nothing is honoured.
 * Borrows from both. */
void extension_wish_make(const Table *gateways, const struct Policy *policy,
                         const ExtensionWish *base, ExtensionWish *ret);
/* Is something that this one asked for not honoured? Then `ret` says what, for a condition: reason
 * "ExtensionServerIgnored". That others asked for more is none. */
bool extension_wish_ignores(const ExtensionWish *wish, const struct GatewaySpec *gateway,
                            const struct Policy *policy, Err *ret);
