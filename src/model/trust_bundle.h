/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * TrustBundle: the certificate authorities of a Secret (`ca.crt`) that a TailscaleGateway names:
 * what the certificates of devices are verified with. Certificates are no secrets; of the Secret
 * nothing else is kept.
 */

#include "model/gateway_spec.h"
#include "model/secret_spec.h"

typedef struct TrustBundle {
        Leaf leaf;
        ObjectKey key;      /* of the Secret */
        Str pem;            /* each certificate anew, without what stood between them; empty: */
        const char *reason; /* why there is none: "CASecretNotFound", "BadCASecret", "SecretDenied";
                               static; NULL: there are some */
        Str text;
} TrustBundle;

int trust_bundle_order(const void *a, const void *b);
/* `key` is an ObjectKey *. */
int trust_bundle_find(const void *key, const void *leaf);
bool trust_bundle_same(const void *a, const void *b);
/* Of every Secret that `gateways` name, as it stands in `secrets` (of SecretSpec; NULL: none);
 * leaves of `old` that mean the same are kept. */
Table *trust_bundles(const Table *gateways, const Table *secrets, const Table *old) MUST_USE;
