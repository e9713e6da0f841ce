/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * KubeConfig: where the API server is and who we are there: from the environment of a pod, or from
 * kubeconfig files as kubectl reads them (several are merged: what an earlier file says wins; paths
 * in a file are relative to it). What we cannot do is refused by name, never passed over: a proxy,
 * impersonation, a password.
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
        KUBE_PEM_MAX = 256 << 10,    /* a bundle of some hundred certificates */
        KUBE_PLUGIN_WORDS_MAX = 256, /* arguments, and variables, of a credential plugin */
};

/* Where a pod finds what its ServiceAccount is. */
#define KUBE_CLUSTER_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

/* May a credential plugin ask people? */
typedef enum KubePluginTalk {
        KUBE_PLUGIN_MAY_TALK, /* where there is a terminal */
        KUBE_PLUGIN_NEVER_TALKS,
        KUBE_PLUGIN_MUST_TALK,
} KubePluginTalk;

/* A program that says who we are (kube_exec.h). */
typedef struct KubePlugin {
        const char *version;      /* "client.authentication.k8s.io/v1", or …/v1beta1 */
        const char *command;      /* a name that is looked for in PATH, or a path */
        const char *const *args;  /* without the command; ends in NULL */
        const char *const *env;   /* "NAME=value", beside our own environment; ends in NULL */
        const char *install_hint; /* for people, may have several lines. May be NULL */
        KubePluginTalk talk;
        bool wants_cluster; /* it is told about the server */
} KubePlugin;

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
        bool insecure;            /* the server's certificate is not looked at */
        const KubePlugin *plugin; /* the credential comes from it, and did not yet; only where that
                                     was allowed */
        Arena arena;              /* of the texts */
} KubeConfig;

/* A kubeconfig file; both borrowed. */
typedef struct KubeConfigFile {
        const char *path;
        Str bytes;
} KubeConfigFile;

/* Pure: of files in their order, at least one. `context`: its name; NULL: the current one.
 * `allow_exec`: a credential plugin is noted in `plugin`; else it is ERR_INVALID "ExecRefused":
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
