/* SPDX-License-Identifier: Apache-2.0 */
#include "model/trust_bundle.h"

#include "base/mem.h"

int trust_bundle_order(const void *a, const void *b)
{
        const TrustBundle *x = a, *y = b;

        return object_key_cmp(x->key, y->key);
}

int trust_bundle_find(const void *key, const void *leaf)
{
        const TrustBundle *b = leaf;

        return object_key_cmp(*(const ObjectKey *)key, b->key);
}

bool trust_bundle_same(const void *a, const void *b)
{
        const TrustBundle *x = a, *y = b;

        return object_key_eq(x->key, y->key) && str_eq(x->pem, y->pem) &&
               str_eq(str_of(x->reason), str_of(y->reason)) && str_eq(x->text, y->text);
}

static void refuse(TrustBundle *b, const char *reason, Str text)
{
        b->reason = reason;
        b->text = leaf_str(&b->leaf, text);
}

static TrustBundle *bundle_of(ObjectKey key, const SecretSpec *secret)
{
        size_t room = secret != NULL ? secret->ca.n + secret->ca_fault.n + secret->denied.n : 0;
        TrustBundle *b = leaf_new(sizeof(*b), room + 256, NULL);

        b->key = (ObjectKey){leaf_str(&b->leaf, key.namespace), leaf_str(&b->leaf, key.name)};
        if (secret == NULL)
                refuse(b, "CASecretNotFound", STR("there is no such Secret"));
        else if (secret->denied.n > 0)
                refuse(b, "SecretDenied", secret->denied);
        else if (secret->ca_fault.n > 0)
                refuse(b, "BadCASecret", secret->ca_fault);
        else if (secret->ca.n == 0)
                refuse(b, "BadCASecret", STR("it has no ca.crt"));
        else
                b->pem = leaf_str(&b->leaf, secret->ca);
        return b;
}

Table *trust_bundles(const Table *gateways, const Table *secrets, const Table *old)
{
        size_t room = 0, n = 0;

        TABLE_FOREACH (GatewaySpec, g, gateways)
                room += g->n_tailnets;
        CLEANUP(mem_cleanup) const void **at = mem_new_array(room + 1, sizeof(*at));
        TABLE_FOREACH (GatewaySpec, g, gateways) {
                for (size_t i = 0; i < g->n_tailnets; i++) {
                        ObjectKey key = {g->meta.key.namespace,
                                         g->tailnets[i].egress.tls_ca_secret};

                        if (key.name.n > 0)
                                at[n++] =
                                        bundle_of(key, table_find(secrets, &key, secret_spec_find));
                }
        }
        return table_update(old, at, n, trust_bundle_order, trust_bundle_same);
}
