/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * KubeRefresh: for what runs for long: who and where, read again each KUBE_REFRESH_S. What is
 * another than what is in force is handed to the KubeApi; what cannot be read changes nothing. The
 * files that a configuration names are not its business: a token file is kube_api's, certificates
 * are read when a connection is made.
 */

#include "kube/kube_api.h"

enum {
        /* A change by hand, or by whoever renews a credential an hour before it ends. Reading asks
         * for no notice of changes, so links, mounts and file systems of others are all the same.
         */
        KUBE_REFRESH_S = 20,
};

typedef struct KubeRefresh KubeRefresh;

typedef struct KubeRefreshInput {
        KubeApi *api;                  /* borrowed */
        const KubeConfigInput *config; /* what kube_config_load was given; copied */
        /* Both from the loop; each may close. NULL is welcome. */
        void (*on_updated)(KubeRefresh *r);                /* kube_api_config is another */
        void (*on_failed)(KubeRefresh *r, const Err *err); /* once for each text in a row */
        void *owner;
} KubeRefreshInput;

/* Reads nothing yet. Never NULL. */
KubeRefresh *kube_refresh_open(const KubeRefreshInput *in) MUST_USE;
void *kube_refresh_owner(const KubeRefresh *r);
/* In the next turn, and not when its time comes: somebody said that there is a change. */
void kube_refresh_now(KubeRefresh *r);
/* NULL is welcome; returns NULL. */
KubeRefresh *kube_refresh_close(KubeRefresh *r);
