/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* TailscaleTailnet: one tailnet and how it is asked. Defaults stand here; docs/resources.md has the
 * prose. */

#include "base/instant.h"
#include "model/object.h"

typedef enum TailnetType {
        TAILNET_AUTO,
        TAILNET_TAILSCALE,
        TAILNET_HEADSCALE
} TailnetType;

typedef struct RemovalGuard {
        unsigned max_percent;    /* 50; 0 to 100 */
        unsigned from_endpoints; /* 5 */
        unsigned confirmations;  /* 3; at least 1 */
} RemovalGuard;

typedef struct TailnetSpec {
        Leaf leaf;
        ObjectMeta meta;
        Str api_url; /* "https://api.tailscale.com" */
        TailnetType type;
        Str tailnet;          /* "-" */
        Str magic_dns_suffix; /* without leading dot; may be empty */
        Str secret_name;      /* credentials.secretRef.name, or empty */
        Str credentials_env;  /* credentials.env: variable with the API key, or empty */
        Str client_id;        /* credentials.clientID: of a federated identity, or empty */
        Str token_file;       /* credentials.tokenFile, absolute as file_path is; or empty */
        Str local_socket;     /* localAPI.socket, absolute as file_path is; or empty */
        StrList proxies;      /* proxyAddresses: IP:port, name:port or a unix socket's path */
        Span poll_interval;   /* 30 s; at least 1 s, 15 s for api.tailscale.com */
        RemovalGuard guard;
        Str file_path; /* file.path made absolute against the manifest's directory, or empty */
} TailnetSpec;

int tailnet_spec_order(const void *a, const void *b);
/* `key` is an ObjectKey *. */
int tailnet_spec_find(const void *key, const void *leaf);
/* Does all that a manifest says agree? */
bool tailnet_spec_same(const void *a, const void *b);

/* Is the tailscaled of localAPI its only source? (A Secret that is named and not there does not
 * make it so.) */
bool tailnet_spec_is_local(const TailnetSpec *s);

/* What spec may hold, and where it goes. */
extern const struct Schema tailnet_spec_schema;
