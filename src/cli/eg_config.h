/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* EgConfig: the one configuration of Envoy Gateway that is supported, as `check` wants it. */

#include "base/buf.h"
#include "base/err.h"

#define EG_CONFIG_NAMESPACE "tailscale-gateway-system"

enum {
        EG_CONFIG_BYTES_MAX = 64 << 10,
        EG_CONFIG_FILES_MAX = 16,
        EG_CONFIG_PORT = 5005, /* of the managed extension server's Service */
};

/* Where the extension server is, and where Envoy Gateway reads; all strings are borrowed. */
typedef struct EgConfig {
        Str address;   /* "unix:///path" or "tcp://host:port"; empty: that of the Service */
        Str namespace; /* ours: of the Service */
        StrList files; /* Envoy Gateway without Kubernetes reads these; empty: in Kubernetes */
} EgConfig;

/* An EnvoyGateway as YAML. ERR_INVALID: the address is none, or needs TLS where Envoy Gateway,
 * which takes its certificates from Secrets, can have none. */
bool eg_config_render(const EgConfig *c, Buf *out, Err *err) MUST_USE;
