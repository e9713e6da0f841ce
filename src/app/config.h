/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Config: what a long-running shape is told: one table of options drives flags, TSGW_… environment,
 * keys of --config FILE, --help and the checks. A flag wins over the environment, that over the
 * file, that over the default.
 */

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "io/address.h"

enum {
        CONFIG_EXTENSION_ADDRESSES_MAX = 8,
        CONFIG_LIST_MAX = 64, /* values of an option that repeats */
        CONFIG_FILE_BYTES_MAX = 1 << 20
};

typedef enum ConfigShape {
        SHAPE_RUN,       /* one process does all: with files, or in Kubernetes */
        SHAPE_OPERATOR,  /* in Kubernetes: all but answering hooks */
        SHAPE_EXTENSION, /* in Kubernetes: answers hooks */
} ConfigShape;

/* Values of one option, in the arena. */
typedef struct ConfigList {
        Str at[CONFIG_LIST_MAX];
        size_t n;
} ConfigList;

typedef struct Config {
        Arena arena;
        ConfigShape shape;
        Address extension[CONFIG_EXTENSION_ADDRESSES_MAX];
        size_t n_extension;
        const char *extension_cert; /* PEM files; all NULL: plain, on local addresses */
        const char *extension_key;
        const char *extension_client_ca;
        Address admin, metrics, webhook;
        bool has_admin, has_metrics, has_webhook;
        const char *webhook_cert; /* PEM files; both NULL: plain, on a local address */
        const char *webhook_key;
        /* Without Kubernetes. */
        const char *resources;
        const char *gateway_resources; /* NULL: the same as resources */
        const char *generated;
        /* In Kubernetes. */
        const char *kubeconfig; /* NULL: as kubectl finds it */
        const char *namespace;  /* our own; NULL: what the kubeconfig, or the pod, says */
        const char *identity;   /* NULL: the host's name */
        ConfigList watch_namespaces, allowed_cidrs, allowed_proxies, allowed_images;
        const char *local_sources_dir; /* NULL: none */
        bool allow_insecure_api;
        const char *extension_image; /* of the managed extension server; NULL: none is managed */
        const char *extension_service_account;
        int32_t max_extension_replicas;
        /* Thousandths. */
        int64_t max_extension_cpu, max_extension_memory, max_extension_storage;
        const char *gateway_namespace; /* where Envoy Gateway runs */
        LogLevel log_level;
        bool log_json;
        bool help;
} Config;

/* `argv` without program and command name. False: what is wrong, with the option's name, is in
 * `err`. */
bool config_read(Config *c, ConfigShape shape, int argc, char **argv, Err *err) MUST_USE;
void config_done(Config *c);
/* Is it told by an API server what is wished? Else by directories. */
bool config_in_kubernetes(const Config *c);
/* The options of a shape with their defaults, as --help shows them. */
void config_help(ConfigShape shape, Buf *out);
