/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * KubeConfig: where the API server is and who we are there: from the environment of a pod, or from
 * kubeconfig files as kubectl reads them (several are merged: what an earlier file says wins; paths
 * in a file are relative to it). What we cannot do is refused by name, never passed over: a
 * credential plugin, a proxy, impersonation, a password.
 */

#include "base/arena.h"
#include "base/err.h"
#include "base/secret.h"

enum {
        /* With certificates inside, of a hundred clusters, a file is below 1 MiB. */
        KUBE_CONFIG_BYTES_MAX = 2 << 20,
        KUBE_CONFIG_FILES_MAX = 16, /* in KUBECONFIG */
        KUBE_SERVER_MAX = 1024,     /* of the URL; leaves room for a path in the client's 4 KiB */
        KUBE_PATH_MAX = 4096,
        KUBE_PEM_MAX = 256 << 10, /* a bundle of some hundred certificates */
};

/* Where a pod finds what its ServiceAccount is. */
#define KUBE_CLUSTER_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

/* All of it is owned, and set once. Empty or NULL: not there. */
typedef struct KubeConfig {
        const char *origin;          /* "in-cluster", or the file and context: for people */
        const char *server;          /* "https://HOST:PORT" or with a path; no slash at the end */
        const char *ns;              /* "default" where nobody says */
        const char *tls_server_name; /* the name that the certificate must have; else the URL's */
        const char *ca_file;         /* PEM; not both; neither: the system's certificates */
        Str ca_pem;
        const char *cert_file; /* of a client certificate; likewise */
        Str cert_pem;
        const char *key_file;
        Secret *key_pem;
        const char *token_file; /* wins over `token` */
        Secret *token;
        bool insecure;   /* the server's certificate is not looked at */
        bool needs_exec; /* the credential comes from a plugin; only where it was allowed */
        Arena arena;     /* of the texts */
} KubeConfig;

/* A kubeconfig file; both borrowed. */
typedef struct KubeConfigFile {
        const char *path;
        Str bytes;
} KubeConfigFile;

/* Pure: of files in their order, at least one. `context`: its name; NULL: the current one.
 * `allow_exec`: a credential plugin is noted in needs_exec; else it is ERR_INVALID "ExecRefused":
 * who runs for long starts no programs. Else ERR_INVALID "InvalidKubeconfig" with
 * "file:line:column: field: what"; no text holds a credential. */
KubeConfig *kube_config_read(const KubeConfigFile *files, size_t n, const char *context,
                             bool allow_exec, Err *err) MUST_USE;

/* What is looked at, in this order: `path`, `paths`, the pod, `home`. Each may be NULL. */
typedef struct KubeConfigInput {
        const char *path;        /* --kubeconfig: it must be there */
        const char *paths;       /* KUBECONFIG: files with ':' between; those that are not there are
                                    passed over */
        const char *host;        /* KUBERNETES_SERVICE_HOST: an address or a name */
        const char *port;        /* KUBERNETES_SERVICE_PORT */
        const char *cluster_dir; /* with token, ca.crt, namespace; NULL: KUBE_CLUSTER_DIR */
        const char *home;        /* HOME: its .kube/config */
        const char *context;
        bool allow_exec;
} KubeConfigInput;

/* Reads the files. As kube_config_read; ERR_MISSING "NoKubeconfig" where none of them is there. */
KubeConfig *kube_config_load(const KubeConfigInput *in, Err *err) MUST_USE;
/* The same server, and the same is believed to be it? */
bool kube_config_is_same_server(const KubeConfig *a, const KubeConfig *b);
/* … and the same credential: nothing would go elsewhere, or as another. */
bool kube_config_eq(const KubeConfig *a, const KubeConfig *b);
/* NULL is welcome; returns NULL. */
KubeConfig *kube_config_free(KubeConfig *c);
DEFINE_CLEANUP(KubeConfig, kube_config_cleanup, kube_config_free)
