/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Secret: named values, base64 `data` or plain `stringData`; only the keys that credentials use are
 * kept, and the certificates of ca.crt. */

#include "base/secret.h"
#include "model/object.h"

typedef struct SecretSpec {
        Leaf leaf;
        ObjectMeta meta;
        Secret *api_key; /* owned; each may be NULL */
        Secret *client_id;
        Secret *client_secret;
        Secret *webhook_secret;
        Str ca;       /* certificates of ca.crt, as PEM; no secret. Empty: there are none */
        Str ca_fault; /* why there are none where there is a ca.crt; or empty */
        Str denied; /* why it may not be read: nothing is known of its values; empty: it was read */
} SecretSpec;

int secret_spec_order(const void *a, const void *b);
/* `key` is an ObjectKey *. */
int secret_spec_find(const void *key, const void *leaf);
/* Are all values equal? (constant time) */
bool secret_spec_same(const void *a, const void *b);
/* For the `drop` of leaf_new. */
void secret_spec_drop(Leaf *leaf);
