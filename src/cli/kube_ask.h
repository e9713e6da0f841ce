/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* KubeAsk: how a command asks an API server: one question after the other, each waited for. It
 * changes nothing there. */

#include "cli/check_cluster.h"
#include "kube/kube_config.h"

enum {
        KUBE_ASK_SECONDS = 15,
        KUBE_ASK_BYTES_MAX = 64 << 20, /* 5,000 Bindings are some 10 MiB */
        KUBE_ASK_NODES_MAX = 2 << 20,
};

typedef struct KubeAsk KubeAsk;

/* By a kubeconfig and its context, as kubectl finds them where they are NULL; or in a pod. NULL:
 * there is none, or it is wrong. */
KubeAsk *kube_ask_open(const char *kubeconfig, const char *context, Err *err) MUST_USE;
const KubeConfig *kube_ask_config(const KubeAsk *a);
/* GETs "/api/v1/…", or POSTs `body` (JSON; empty: none), again where the server says "later" (429).
 * What comes is put into `arena`. Where it does not, ret->object is NULL, and ERR_MISSING says that
 * there is none. */
void kube_ask(KubeAsk *a, Str path, Str body, Arena *arena, CheckFound *ret);
/* The same of an object of which only whether it is there counts: nothing but its metadata is sent,
 * so that of a Secret nothing comes. */
void kube_ask_meta(KubeAsk *a, Str path, Arena *arena, CheckFound *ret);
/* NULL is welcome. Returns NULL. */
KubeAsk *kube_ask_close(KubeAsk *a);
