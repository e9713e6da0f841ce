/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * CheckGateway: is Envoy Gateway set up for us? Judges its version and its configuration, as it
 * stands in its ConfigMap or file. Pure. What is expected is docs/install.md's; what a member that
 * is not there means is of EG 1.9, api/v1alpha1/envoygateway_types.go.
 */

#include "cli/check_rows.h"
#include "proto/tree.h"

/* The oldest minor version of EG 1 that is told of Routes and of policies. */
enum {
        CHECK_GATEWAY_MINOR_MIN = 5,
        CHECK_GATEWAY_MINOR_TLS = 6,    /* shows a certificate to the extension server */
        CHECK_GATEWAY_MINOR_TESTED = 9, /* newer ones may be right, and were not tried */
};

/* Where it calls us, as its configuration says. */
typedef struct CheckService {
        Str host; /* name or address; empty: it is a unix socket, or none is said */
        uint16_t port;
        Str ca_secret, client_secret; /* certificateRef, clientCertificateRef; or empty */
} CheckService;

/* Of an image "…/gateway:v1.9.0"; 0: it does not say. */
unsigned check_gateway_minor(Str image);
void check_gateway_version(CheckRows *rows, Str image);
/* `config` is the root of envoy-gateway.yaml. True where it names us as extension; then *ret says
 * where it calls. */
bool check_gateway_config(CheckRows *rows, const Tree *config, CheckService *ret);
