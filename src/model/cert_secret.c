/* SPDX-License-Identifier: Apache-2.0 */
#include "model/cert_secret.h"

#include "base/base64.h"

enum {
        VALUE_MAX = 256 << 10, /* of one; a Secret holds at most 1 MiB */
};

Str cert_secret_name(CertSecretRole role)
{
        static const Str names[CERT_SECRETS] = {
                [CERT_SECRET_CA] = STR_INIT("tailscale-gateway-ca"),
                [CERT_SECRET_EG_CA] = STR_INIT("tailscale-gateway-extension-ca"),
                [CERT_SECRET_SERVER] = STR_INIT("tailscale-gateway-extension-tls"),
                [CERT_SECRET_EG_CLIENT] = STR_INIT("tailscale-gateway-extension-client"),
        };

        return names[role];
}

static void drop(Leaf *leaf)
{
        CertSecret *s = (CertSecret *)leaf;

        secret_free(s->private_key);
        secret_free(s->old_private_key);
}

static void wipe(Buf *b)
{
        if (b->p != NULL)
                explicit_bzero(b->p, b->room);
        buf_done(b);
}

/* The bytes of one member of `data`, in a buffer that never grew and is to be wiped. */
static bool value(const Tree *data, Str key, Buf *ret)
{
        Str text = tree_get_str(data, key);

        buf_init(ret, VALUE_MAX);
        return text.n > 0 && buf_reserve(ret, text.n / 4 * 3 + 3) && base64_decode(text, ret);
}

static Str text_value(Leaf *leaf, const Tree *data, Str key)
{
        Buf b CLEANUP(wipe);

        return value(data, key, &b) ? leaf_str(leaf, buf_str(&b)) : (Str){0};
}

static Secret *secret_value(const Tree *data, Str key)
{
        Buf b CLEANUP(wipe);

        return value(data, key, &b) ? secret_new(buf_str(&b)) : NULL;
}

const CertSecret *cert_secret_new(const Tree *object)
{
        const Tree *meta = tree_get(object, STR("metadata"));
        const Tree *data = tree_get(object, STR("data"));
        Str name = tree_get_str(meta, STR("name"));

        if (name.n == 0)
                return NULL;
        CertSecret *s = leaf_new(sizeof(*s), 4096, drop);
        s->key = (ObjectKey){leaf_str(&s->leaf, tree_get_str(meta, STR("namespace"))),
                             leaf_str(&s->leaf, name)};
        s->uid = leaf_str(&s->leaf, tree_get_str(meta, STR("uid")));
        s->version = leaf_str(&s->leaf, tree_get_str(meta, STR("resourceVersion")));
        s->ours = str_eq(
                tree_get_str(tree_get(meta, STR("labels")), STR("app.kubernetes.io/managed-by")),
                STR("tailscale-gateway"));
        Str since = tree_get_str(tree_get(meta, STR("annotations")), STR(CERT_SECRET_SINCE));
        if (!wall_parse(since, &s->since))
                s->since = (Wall){0};
        s->certificate = text_value(&s->leaf, data, STR("tls.crt"));
        s->ca = text_value(&s->leaf, data, STR("ca.crt"));
        s->old_certificate = text_value(&s->leaf, data, STR("old.crt"));
        s->private_key = secret_value(data, STR("tls.key"));
        s->old_private_key = secret_value(data, STR("old.key"));
        return s;
}
