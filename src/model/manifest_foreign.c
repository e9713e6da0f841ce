/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents of other people's kinds. Envoy Gateway reads and judges its own; what we cannot make
 * sense of is left out here without a word. Of a Secret only the four keys of credentials are
 * taken, and what was decoded on the way is wiped.
 */
#include "base/mem.h"
#include "model/eg_spec.h"
#include "model/label_value.h"
#include "model/manifest_kinds.h"
#include "model/secret_spec.h"
#include "proto/certificate.h"

#define EG_GROUP "gateway.networking.k8s.io"

enum {
        LISTENERS_MAX = 64, /* the Gateway API's own limit */
        HOSTNAMES_MAX = 1024,
        PARENTS_MAX = 64,
        PORT_MAX = 65535,
        SECRET_MAX = 64 << 10,
        NAME_BYTES_MAX = 253,
};

bool manifest_read_loose_meta(const ManifestDoc *doc, Leaf *leaf, ObjectMeta *ret)
{
        const Tree *meta = tree_get(doc->root, STR("metadata"));
        Str name = tree_get_str(meta, STR("name"));
        Str namespace = tree_get_str(meta, STR("namespace"));

        if (name.n == 0 || name.n > NAME_BYTES_MAX || namespace.n > NAME_BYTES_MAX ||
            !str_is_printable_utf8(name) || !str_is_printable_utf8(namespace))
                return false;
        if (namespace.n == 0)
        namespace = STR(MODEL_DEFAULT_NAMESPACE);
        manifest_read_origin(doc, leaf, ret);
        ret->key = (ObjectKey){leaf_str(leaf, namespace), leaf_str(leaf, name)};
        ret->file = leaf_str(leaf, doc->file);
        ret->line = doc->root->at.line;
        return true;
}

static uint16_t port_of(const Tree *object)
{
        int64_t v = 0;

        IGNORE(tree_i64(tree_get(object, STR("port")), 1, PORT_MAX, false, &v),
               "0 where it is none");
        return (uint16_t)v;
}

/* A host or name, bounded and printable; else empty. Hosts are compared in lower case. */
static Str lower_name(Leaf *leaf, Str s)
{
        Str copy;
        char *p;

        if (s.n > NAME_BYTES_MAX || !str_is_printable_utf8(s))
                return STR("");
        copy = leaf_str(leaf, s);
        p = (char *)(uintptr_t)copy.p;
        for (size_t i = 0; i < copy.n; i++)
                if (p[i] >= 'A' && p[i] <= 'Z')
                        p[i] = (char)(p[i] - 'A' + 'a');
        return copy;
}

static size_t bounded(const Tree *array, size_t max)
{
        if (array == NULL || array->type != TREE_ARRAY)
                return 0;
        return array->n < max ? array->n : max;
}

static RouteNamespaces namespaces_of(const Tree *namespaces)
{
        Str from = tree_get_str(namespaces, STR("from"));

        if (str_eq(from, STR("All")))
                return ROUTES_FROM_ALL;
        if (str_eq(from, STR("Selector")))
                return ROUTES_FROM_SELECTOR;
        return str_eq(from, STR("None")) ? ROUTES_FROM_NONE : ROUTES_FROM_SAME;
}

static bool is_gateway_api(const Tree *node)
{
        Str group = tree_get_str(node, STR("group"));

        return tree_get(node, STR("group")) == NULL || str_eq(group, STR(EG_GROUP));
}

/* What a listener can admit, by its protocol. */
static unsigned kinds_of(const EgListener *l)
{
        switch (l->protocol) {
        case PROTOCOL_HTTP:
        case PROTOCOL_HTTPS:
                return EG_ADMITS_BOTH;
        case PROTOCOL_TLS:
                return l->passthrough ? EG_ADMITS_TLS_ROUTE
                                      : EG_ADMITS_TLS_ROUTE | EG_ADMITS_TCP_ROUTE;
        case PROTOCOL_TCP:
                return EG_ADMITS_TCP_ROUTE;
        case PROTOCOL_UDP:
                return EG_ADMITS_UDP_ROUTE;
        case PROTOCOL_NONE:
        case PROTOCOL_H2C:
        case PROTOCOL_GRPC:
        case PROTOCOL_GRPCS:
                break;
        }
        return 0;
}

static unsigned kind_named(Str kind)
{
        static const struct {
                Str name;
                unsigned bit;
        } kinds[] = {
                {STR_INIT("HTTPRoute"), EG_ADMITS_HTTP_ROUTE},
                {STR_INIT("GRPCRoute"), EG_ADMITS_GRPC_ROUTE},
                {STR_INIT("TLSRoute"), EG_ADMITS_TLS_ROUTE},
                {STR_INIT("TCPRoute"), EG_ADMITS_TCP_ROUTE},
                {STR_INIT("UDPRoute"), EG_ADMITS_UDP_ROUTE},
        };

        for (size_t i = 0; i < LENGTH_OF(kinds); i++)
                if (str_eq(kind, kinds[i].name))
                        return kinds[i].bit;
        return 0;
}

/* allowedRoutes.kinds. */
static void read_kinds(Leaf *leaf, const Tree *kinds, EgListener *ret)
{
        ret->kinds = kinds == NULL || kinds->n == 0 ? kinds_of(ret) : 0;
        TREE_FOREACH (node, kinds) {
                Str kind = tree_get_str(node, STR("kind"));
                unsigned bit = is_gateway_api(node) ? kind_named(kind) : 0;

                if ((bit & kinds_of(ret)) != 0)
                        ret->kinds |= bit;
                else if (ret->bad_kind.n == 0)
                        ret->bad_kind = kind.n > 0 && kind.n <= NAME_BYTES_MAX &&
                                                        str_is_printable_utf8(kind)
                                                ? leaf_str(leaf, kind)
                                                : STR("a kind without name");
        }
}

static bool read_listener(Leaf *leaf, const Tree *node, EgListener *ret)
{
        const Tree *allowed = tree_get(node, STR("allowedRoutes"));
        const Tree *namespaces = tree_get(allowed, STR("namespaces"));

        *ret = (EgListener){0};
        ret->name = lower_name(leaf, tree_get_str(node, STR("name")));
        ret->port = port_of(node);
        ret->hostname = lower_name(leaf, tree_get_str(node, STR("hostname")));
        ret->from = namespaces_of(namespaces);
        if (ret->from == ROUTES_FROM_SELECTOR)
                ret->selector = label_selector_read(leaf, tree_get(namespaces, STR("selector")));
        IGNORE(protocol_parse(tree_get_str(node, STR("protocol")), &ret->protocol),
               "an implementation's own");
        ret->passthrough =
                str_eq(tree_get_str(tree_get(node, STR("tls")), STR("mode")), STR("Passthrough"));
        read_kinds(leaf, tree_get(allowed, STR("kinds")), ret);
        return ret->name.n > 0 && ret->port > 0;
}

/* Is that condition true of the object as it is now? */
static bool is_true_now(const Tree *conditions, Str type, int64_t generation)
{
        TREE_FOREACH (c, conditions) {
                int64_t of = 0;

                if (str_eq(tree_get_str(c, STR("type")), type))
                        return str_eq(tree_get_str(c, STR("status")), STR("True")) &&
                               tree_i64(tree_get(c, STR("observedGeneration")), 0, INT64_MAX, false,
                                        &of) &&
                               of == generation;
        }
        return false;
}

/* What Envoy Gateway says of the listeners. */
static void read_listener_status(const Tree *root, EgListener *at, size_t n)
{
        int64_t generation = 0;

        IGNORE(tree_i64(tree_get(tree_get(root, STR("metadata")), STR("generation")), 0, INT64_MAX,
                        false, &generation),
               "0 where it is none");
        TREE_FOREACH (l, tree_get(tree_get(root, STR("status")), STR("listeners"))) {
                Str name = tree_get_str(l, STR("name"));

                for (size_t i = 0; i < n; i++)
                        if (str_eq(at[i].name, name))
                                at[i].is_conflicted = is_true_now(tree_get(l, STR("conditions")),
                                                                  STR("Conflicted"), generation);
        }
}

static Str read_address(Leaf *leaf, const Tree *root)
{
        TREE_FOREACH (node, tree_get(tree_get(root, STR("status")), STR("addresses"))) {
                Str value = lower_name(leaf, tree_get_str(node, STR("value")));

                if (value.n > 0)
                        return value;
        }
        return STR("");
}

void *manifest_read_eg_gateway(const ManifestDoc *doc)
{
        EgGateway *g = leaf_new(sizeof(*g), 1024, NULL);
        const Tree *list = tree_get(tree_get(doc->root, STR("spec")), STR("listeners"));
        size_t max = bounded(list, LISTENERS_MAX);
        EgListener *at;

        if (!manifest_read_loose_meta(doc, &g->leaf, &g->meta))
                return leaf_unref(g);
        if (max > 0) {
                at = leaf_alloc(&g->leaf, max * sizeof(*at));
                TREE_FOREACH (node, list)
                        if (g->n_listeners < max &&
                            read_listener(&g->leaf, node, &at[g->n_listeners]))
                                g->n_listeners++;
                if (doc->from_api)
                        read_listener_status(doc->root, at, g->n_listeners);
                g->listeners = at;
        }
        g->address = read_address(&g->leaf, doc->root);
        return g;
}

void *manifest_read_namespace(const ManifestDoc *doc)
{
        EgNamespace *n = leaf_new(sizeof(*n), 256, NULL);
        const Tree *meta = tree_get(doc->root, STR("metadata"));
        Str name = tree_get_str(meta, STR("name"));

        /* Without its labels it must look like one that was not read: a rule that asks for a label
         * to be missing would hold. */
        if (name.n == 0 || name.n > NAME_BYTES_MAX || !str_is_printable_utf8(name) ||
            !labels_read(&n->leaf, tree_get(meta, STR("labels")), &n->labels))
                return leaf_unref(n);
        n->name = leaf_str(&n->leaf, name);
        return n;
}

static bool is_gateway_ref(const Tree *node)
{
        Str group = tree_get_str(node, STR("group")), kind = tree_get_str(node, STR("kind"));

        return (group.n == 0 || str_eq(group, STR(EG_GROUP))) &&
               (kind.n == 0 || str_eq(kind, STR("Gateway")));
}

static void read_parents(EgRoute *r, const Tree *list)
{
        size_t max = bounded(list, PARENTS_MAX);
        EgParent *at = leaf_alloc(&r->leaf, (max + 1) * sizeof(*at));

        TREE_FOREACH (node, max > 0 ? list : NULL) {
                Str name = lower_name(&r->leaf, tree_get_str(node, STR("name")));
                Str namespace = lower_name(&r->leaf, tree_get_str(node, STR("namespace")));

                if (r->n_parents >= max || name.n == 0 || !is_gateway_ref(node))
                        continue;
                at[r->n_parents++] = (EgParent){
                        .gateway = {namespace.n > 0 ? namespace : r->meta.key.namespace, name},
                        .section_name =
                                lower_name(&r->leaf, tree_get_str(node, STR("sectionName"))),
                        .port = port_of(node),
                };
        }
        r->parents = at;
}

/* It has our label, and a TailscaleGateway owns it. */
static bool is_made(const Tree *meta)
{
        Str by = tree_get_str(tree_get(meta, STR("labels")), STR(MODEL_LABEL_MANAGED_BY));

        if (!str_eq(by, STR(MODEL_OURS)))
                return false;
        TREE_FOREACH (owner, tree_get(meta, STR("ownerReferences")))
                if (str_starts(tree_get_str(owner, STR("apiVersion")), STR(MODEL_GROUP "/")) &&
                    str_eq(tree_get_str(owner, STR("kind")), STR("TailscaleGateway")))
                        return true;
        return false;
}

void *manifest_read_eg_route(const ManifestDoc *doc)
{
        EgRoute *r = leaf_new(sizeof(*r), 512, NULL);
        const Tree *spec = tree_get(doc->root, STR("spec"));
        const Tree *names = tree_get(spec, STR("hostnames"));
        size_t max = bounded(names, HOSTNAMES_MAX), n = 0;
        Str *at;

        if (!manifest_read_loose_meta(doc, &r->leaf, &r->meta))
                return leaf_unref(r);
        r->made = is_made(tree_get(doc->root, STR("metadata")));
        r->kind = tree_get_str(doc->root, STR("kind"));
        r->kind = leaf_str(&r->leaf, r->kind.n > 0 ? r->kind : doc->kind);
        at = leaf_alloc(&r->leaf, (max + 1) * sizeof(*at));
        TREE_FOREACH (node, max > 0 ? names : NULL) {
                Str name = lower_name(&r->leaf, tree_str(node));

                if (n < max && name.n > 0)
                        at[n++] = name;
        }
        r->hostnames = (StrList){at, n};
        read_parents(r, tree_get(spec, STR("parentRefs")));
        return r;
}

/* Standard base64 with padding (RFC 4648, section 4); line ends are skipped. */
static bool base64_decode(Str s, char *out, size_t *ret_n)
{
        static const char letters[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        unsigned bits = 0, held = 0, padding = 0;
        size_t n = 0;

        for (size_t i = 0; i < s.n; i++) {
                const char *at = s.p[i] != '\0' ? strchr(letters, s.p[i]) : NULL;

                if (s.p[i] == '\n' || s.p[i] == '\r')
                        continue;
                if (s.p[i] == '=' && ++padding <= 2)
                        continue;
                if (at == NULL || padding > 0)
                        return false;
                bits = (bits << 6 | (unsigned)(at - letters)) & 0xffff;
                held += 6;
                if (held >= 8) {
                        held -= 8;
                        out[n++] = (char)(bits >> held & 0xff);
                }
        }
        *ret_n = n;
        return held + 2 * padding == 0 || (held == 4 && padding == 2) ||
               (held == 2 && padding == 1);
}

typedef struct SecretKey {
        const char *name;
        size_t offset;
} SecretKey;

static const SecretKey secret_keys[] = {
        {"api_key", offsetof(SecretSpec, api_key)},
        {"client_id", offsetof(SecretSpec, client_id)},
        {"client_secret", offsetof(SecretSpec, client_secret)},
        {"webhook_secret", offsetof(SecretSpec, webhook_secret)},
};

static Secret **slot_of(SecretSpec *s, Str key)
{
        for (size_t i = 0; i < LENGTH_OF(secret_keys); i++)
                if (str_eq(key, str_of(secret_keys[i].name)))
                        return (Secret **)(void *)((char *)s + secret_keys[i].offset);
        return NULL;
}

static void take_ca(SecretSpec *s, Str pem)
{
        CLEANUP(arena_done) Arena arena;
        CLEANUP(buf_done) Buf text;
        Certificates found;
        Err err = {0};

        arena_init(&arena, 0);
        buf_init(&text, CERTIFICATE_TEXT_MAX);
        if (certificates_read(pem, &arena, &found, &err)) {
                for (size_t i = 0; i < found.n; i++)
                        certificate_add_pem(&found.at[i], &text);
                s->ca = leaf_str(&s->leaf, buf_str(&text));
        } else {
                buf_printf(&text, "ca.crt: %s", err.text);
                s->ca_fault = leaf_str(&s->leaf, buf_str(&text));
        }
}

/* The certificates of ca.crt, which are no secret. One that cannot be used is no fault of the
 * manifest, but of what names it. */
static void read_ca(SecretSpec *s, const Tree *node, bool base64)
{
        CLEANUP(mem_cleanup) char *plain = NULL;
        size_t n = 0;

        s->ca = s->ca_fault = STR("");
        if (node->type != TREE_STRING || node->text.n > SECRET_MAX) {
                s->ca_fault = STR("ca.crt: not a string of at most 64 KiB");
        } else if (!base64) {
                take_ca(s, node->text);
        } else {
                plain = mem_try(node->text.n + 1);
                if (plain == NULL || !base64_decode(node->text, plain, &n))
                        s->ca_fault = STR("ca.crt: not base64");
                else
                        take_ca(s, str_make(plain, n));
        }
}

/* A file that ends with a line end is how such values come to be; no key holds white space. */
static Secret *trimmed(Str bytes)
{
        return secret_new(str_trim(bytes));
}

static Secret *decoded(Decoder *d, const Tree *node)
{
        CLEANUP(mem_cleanup) char *plain = mem_try(node->text.n + 1);
        Secret *secret = NULL;
        size_t n = 0;

        if (plain == NULL || !base64_decode(node->text, plain, &n))
                decode_fault(d, node->at,
                             "not base64, expected the value in base64 (or use "
                             "stringData)");
        else
                secret = trimmed(str_make(plain, n));
        if (plain != NULL)
                explicit_bzero(plain, node->text.n + 1);
        return secret;
}

static void read_values(Decoder *d, const Tree *root, bool base64, SecretSpec *s)
{
        Str member = base64 ? STR("data") : STR("stringData");
        const Tree *values = tree_get(root, member);
        size_t where = decode_enter(d, member), here;

        if (values != NULL && values->type != TREE_OBJECT && values->type != TREE_NULL)
                decode_fault(d, values->at, "%s, expected an object", tree_type_name(values->type));
        TREE_FOREACH (node, values != NULL && values->type == TREE_OBJECT ? values : NULL) {
                Secret **slot = slot_of(s, node->key);

                if (str_eq(node->key, STR("ca.crt")))
                        read_ca(s, node, base64);
                if (slot == NULL || node->type == TREE_NULL)
                        continue;
                here = decode_enter(d, node->key);
                if (node->duplicate)
                        decode_fault(d, node->key_at, "field a second time");
                else if (node->type != TREE_STRING)
                        decode_fault(d, node->at, "%s, expected a string: put it in quotes",
                                     tree_type_name(node->type));
                else if (node->text.n > SECRET_MAX)
                        decode_fault(d, node->at, "too long, expected at most %d bytes",
                                     SECRET_MAX);
                else {
                        secret_free(*slot);
                        *slot = base64 ? decoded(d, node) : trimmed(node->text);
                }
                decode_leave(d, here);
        }
        decode_leave(d, where);
}

void *manifest_read_secret(const ManifestDoc *doc)
{
        SecretSpec *s = leaf_new(sizeof(*s), 256, secret_spec_drop);
        size_t before = doc->faults->n_total;
        Decoder d;

        decoder_init(&d, doc->file, doc->faults, &s->leaf);
        manifest_read_meta(&d, doc, &s->meta);
        /* Kubernetes merges stringData over data. */
        read_values(&d, doc->root, true, s);
        read_values(&d, doc->root, false, s);
        return doc->faults->n_total == before ? s : leaf_unref(s);
}
