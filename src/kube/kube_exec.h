/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * KubeExec: asks a credential plugin of a kubeconfig who we are: another program, started without a
 * shell, that writes an ExecCredential (client.authentication.k8s.io) to its standard output. For
 * commands, which end before what they were told does; so it is asked once, and waited for.
 */

#include "base/instant.h"
#include "kube/kube_config.h"

enum {
        KUBE_EXEC_BYTES_MAX =
                256 << 10,         /* a token, or a certificate with those above it, and a key */
        KUBE_EXEC_TIMEOUT_S = 180, /* somebody may have to sign in in a browser */
};

typedef struct KubeExecInput {
        const char *const *env; /* ours, that it has beside its own; ends in NULL */
        bool has_terminal;      /* somebody can be asked at our standard input */
        Span timeout;           /* 0: KUBE_EXEC_TIMEOUT_S */
} KubeExecInput;

/* Starts c->plugin and waits. What it says becomes c's credential, and c->plugin is NULL; what c
 * has beside it stays. Blocks; never where a Loop runs. ERR_MISSING "NoProgram" with the file's own
 * hint; ERR_INVALID "NoTerminal", "ProgramFailed", "BadCredential" (not an ExecCredential of the
 * version that was asked for, or without one); ERR_DENIED "CredentialExpired"; ERR_TRANSIENT
 * "Timeout"; ERR_LIMIT. No text holds what it wrote. */
bool kube_exec_run(KubeConfig *c, const KubeExecInput *in, Err *err) MUST_USE;
/* The last part of it, pure: of what the plugin wrote. */
bool kube_exec_take(KubeConfig *c, Str written, Wall now, Err *err) MUST_USE;
