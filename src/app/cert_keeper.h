/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * CertKeeper: keeps the Secrets of certificates of an operator: reads them, plans, and has written
 * what is planned while the Lease is ours.
 */

#include "base/log.h"
#include "control/certificates_plan.h"
#include "io/loop.h"
#include "kube/kube_api.h"

struct AdminView;

typedef struct CertKeeperInput {
        Loop *loop; /* borrowed, as is all that follows but the strings */
        Log *log;
        KubeApi *api;
        Str own_namespace, eg_namespace;
        Str service; /* the name of the extension server's Service, in our own namespace */
        uint64_t seed;
        /* How long from now on a write may be under way; 0: it must not be sent. */
        Span (*may_write)(void *owner);
        void *owner;
} CertKeeperInput;

typedef struct CertKeeper CertKeeper;

/* Begins to read at once. Never NULL. */
CertKeeper *cert_keeper_open(const CertKeeperInput *in) MUST_USE;
/* May write has become another answer: look soon. */
void cert_keeper_look(CertKeeper *k);
/* Adds its numbers. */
void cert_keeper_view(const CertKeeper *k, struct AdminView *v);
/* NULL is welcome. Returns NULL. */
CertKeeper *cert_keeper_close(CertKeeper *k);
