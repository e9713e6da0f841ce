/* SPDX-License-Identifier: Apache-2.0 */
#include "model/secret_spec.h"

int secret_spec_order(const void *a, const void *b)
{
        const SecretSpec *x = a, *y = b;

        return object_key_cmp(x->meta.key, y->meta.key);
}

int secret_spec_find(const void *key, const void *leaf)
{
        const SecretSpec *s = leaf;

        return object_key_cmp(*(const ObjectKey *)key, s->meta.key);
}

bool secret_spec_same(const void *a, const void *b)
{
        const SecretSpec *x = a, *y = b;
        bool api_key = secret_eq(x->api_key, y->api_key);
        bool client_id = secret_eq(x->client_id, y->client_id);
        bool client_secret = secret_eq(x->client_secret, y->client_secret);
        bool webhook_secret = secret_eq(x->webhook_secret, y->webhook_secret);

        /* All four are compared, whichever differs. */
        return (api_key & client_id & client_secret & webhook_secret) &&
               object_meta_same(&x->meta, &y->meta) && str_eq(x->denied, y->denied) &&
               str_eq(x->ca, y->ca) && str_eq(x->ca_fault, y->ca_fault);
}

void secret_spec_drop(Leaf *leaf)
{
        const SecretSpec *s = (const SecretSpec *)leaf;

        secret_free(s->api_key);
        secret_free(s->client_id);
        secret_free(s->client_secret);
        secret_free(s->webhook_secret);
}
