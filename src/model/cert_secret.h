/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * CertSecret: one of the four Secrets of certificates that the operator keeps, as it stands at the
 * API server. What in it cannot be read is empty, as if it were not there: it is made anew.
 *
 *   CERT_SECRET_CA         tls.crt, tls.key: the CA; old.crt, old.key: the one before, while it is
 *                          still trusted
 *   CERT_SECRET_SERVER     tls.crt, tls.key: shown to Envoy Gateway; ca.crt: who signs its clients
 *   CERT_SECRET_EG_CA      tls.crt: who signs the extension server's certificate
 *   CERT_SECRET_EG_CLIENT  tls.crt, tls.key: shown by Envoy Gateway
 *
 * The first two stand in the operator's namespace, the others in that of Envoy Gateway.
 */

#include "base/instant.h"
#include "base/secret.h"
#include "model/object.h"
#include "proto/tree.h"

typedef enum CertSecretRole {
        CERT_SECRET_CA,
        CERT_SECRET_EG_CA,
        CERT_SECRET_SERVER,
        CERT_SECRET_EG_CLIENT,
        CERT_SECRETS,
} CertSecretRole;

/* Its name: "tailscale-gateway-ca", … */
Str cert_secret_name(CertSecretRole role);

/* Annotation of the two that say who is trusted: since when the newest CA is among them. */
#define CERT_SECRET_SINCE "gateway.tailscale.com/ca-trusted-since"

typedef struct CertSecret {
        Leaf leaf;
        ObjectKey key;
        Str uid, version;
        bool ours; /* label app.kubernetes.io/managed-by: tailscale-gateway */
        Str certificate, ca, old_certificate;  /* tls.crt, ca.crt, old.crt: PEM */
        Secret *private_key, *old_private_key; /* tls.key, old.key: PEM; owned; may be NULL */
        Wall since;                            /* of CERT_SECRET_SINCE; 0: not told */
} CertSecret;

/* One reference. `object` is a Secret of the core API with metadata; NULL where it has no name. */
const CertSecret *cert_secret_new(const Tree *object) MUST_USE;
