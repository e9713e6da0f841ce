/* SPDX-License-Identifier: Apache-2.0 */
/* Documents of our own kinds: metadata and spec by tables, into leaves. */
#include "model/binding_spec.h"
#include "model/endpoints_spec.h"
#include "model/gateway_spec.h"
#include "model/manifest_kinds.h"
#include "model/tailnet_spec.h"
#include "model/value_check.h"

#include "base/mem.h"

#define LABEL_GATEWAY   "gateway.tailscale.com/gateway"
#define APPROVE_REMOVAL "gateway.tailscale.com/approve-removal"

enum {
        DIGEST_TEXT_MAX = 128,
        CONFIRMATIONS_MAX = 1000000,
        NAME_MAX_BYTES = 253,
        UID_MAX = 64,    /* a UUID has 36 */
        META_ROOM = 192, /* most names are short; what is longer takes a chunk of its own */
        SHARDS_MAX = 1 << 16,
};

/* What Kubernetes puts there; of labels and annotations only ours are read. */
static const Field meta_fields[] = {
        {.name = "name",
         .type = FIELD_STR,
         .required = true,
         FIELD_TO(ObjectMeta, key.name),
         .check = check_name},
        {.name = "namespace",
         .type = FIELD_STR,
         FIELD_TO(ObjectMeta, key.namespace),
         .fallback = MODEL_DEFAULT_NAMESPACE,
         .check = check_label},
        {.name = "generation",
         .type = FIELD_INT,
         FIELD_TO(ObjectMeta, generation),
         .max = INT64_MAX},
        {.name = "labels", .type = FIELD_MAP},
        {.name = "annotations", .type = FIELD_FREE},
        {.name = "generateName", .type = FIELD_STR},
        {.name = "uid", .type = FIELD_STR},
        {.name = "resourceVersion", .type = FIELD_STR},
        {.name = "creationTimestamp", .type = FIELD_STR},
        {.name = "deletionTimestamp", .type = FIELD_STR},
        {.name = "deletionGracePeriodSeconds", .type = FIELD_INT, .max = INT64_MAX},
        {.name = "selfLink", .type = FIELD_STR},
        {.name = "finalizers", .type = FIELD_STRS},
        {.name = "ownerReferences", .type = FIELD_ANY},
        {.name = "managedFields", .type = FIELD_ANY},
};

static const Schema meta_schema = SCHEMA(meta_fields, .size = sizeof(ObjectMeta));

size_t manifest_room(const ManifestDoc *doc)
{
        /* Name, namespace, uid and annotation; of the rest of metadata nothing is kept. */
        return decode_room(tree_get(doc->root, STR("spec"))) + doc->file.n + META_ROOM;
}

void manifest_read_origin(const ManifestDoc *doc, Leaf *leaf, ObjectMeta *ret)
{
        const Tree *meta = tree_get(doc->root, STR("metadata"));
        Str uid = tree_get_str(meta, STR("uid"));

        if (!doc->from_api)
                return;
        if (uid.n <= UID_MAX && str_is_printable_utf8(uid))
                ret->uid = leaf_str(leaf, uid);
        IGNORE(wall_parse(tree_get_str(meta, STR("creationTimestamp")), &ret->created),
               "0 where it is none");
        ret->deleting = tree_get_str(meta, STR("deletionTimestamp")).n > 0;
}

/* The names that any object of an API server has; what else there is its reader takes. */
static void read_api_meta(Decoder *d, const ManifestDoc *doc, const Tree *meta, ObjectMeta *ret)
{
        Str name = tree_get_str(meta, STR("name")),
            namespace = tree_get_str(meta, STR("namespace"));

        if (name.n == 0 || name.n > NAME_MAX_BYTES || namespace.n > NAME_MAX_BYTES ||
            !str_is_printable_utf8(name) || !str_is_printable_utf8(namespace)) {
                decode_fault(d, doc->root->at, "it has no name that can be one");
                return;
        }
        ret->key = (ObjectKey){leaf_str(d->leaf, namespace), leaf_str(d->leaf, name)};
        IGNORE(tree_i64(tree_get(meta, STR("generation")), 0, INT64_MAX, false, &ret->generation),
               "0 where it is none");
        manifest_read_origin(doc, d->leaf, ret);
}

void manifest_read_meta(Decoder *d, const ManifestDoc *doc, ObjectMeta *ret)
{
        const Tree *meta = tree_get(doc->root, STR("metadata"));
        Str approved = tree_get_str(tree_get(meta, STR("annotations")), STR(APPROVE_REMOVAL));
        size_t where = decode_enter(d, STR("metadata"));

        if (meta == NULL)
                decode_fault(d, doc->root->at, "missing, expected an object with a name");
        else if (doc->from_api)
                read_api_meta(d, doc, meta, ret);
        else
                decode_object(d, &meta_schema, meta, ret);
        if (approved.n <= DIGEST_TEXT_MAX && str_is_printable_utf8(approved))
                ret->approve_removal = leaf_str(d->leaf, approved);
        ret->file = leaf_str(d->leaf, d->file);
        ret->line = doc->root->at.line;
        decode_leave(d, where);
}

/* A status that a user wrote is ignored, whatever it holds. */
static void check_top(Decoder *d, const Tree *root)
{
        static const Str known[] = {STR_INIT("apiVersion"), STR_INIT("kind"), STR_INIT("metadata"),
                                    STR_INIT("spec"), STR_INIT("status")};

        decode_strangers(d, root, (StrList){known, LENGTH_OF(known)});
}

/* All of a document of ours but its status: `meta` and `out` are within one leaf, `out` begins with
 * it. Returns whether there was no fault. */
static bool read_object(const ManifestDoc *doc, const Schema *schema, ObjectMeta *meta, void *out)
{
        size_t before = doc->faults->n_total;
        const Tree *spec = tree_get(doc->root, STR("spec"));
        Decoder d;
        size_t where;

        decoder_init(&d, doc->file, doc->faults, out);
        check_top(&d, doc->root);
        manifest_read_meta(&d, doc, meta);
        where = decode_enter(&d, STR("spec"));
        if (spec == NULL || spec->type == TREE_NULL)
                decode_fault(&d, doc->root->at, "missing, expected an object");
        else
                decode_object(&d, schema, spec, out);
        decode_leave(&d, where);
        return doc->faults->n_total == before;
}

void *manifest_read_tailnet(const ManifestDoc *doc)
{
        TailnetSpec *s = leaf_new(sizeof(*s), manifest_room(doc), NULL);

        return read_object(doc, &tailnet_spec_schema, &s->meta, s) ? s : leaf_unref(s);
}

void *manifest_read_gateway(const ManifestDoc *doc)
{
        GatewaySpec *s = leaf_new(sizeof(*s), manifest_room(doc), NULL);

        return read_object(doc, &gateway_spec_schema, &s->meta, s) ? s : leaf_unref(s);
}

static void take_endpoints(EndpointsSpec *s, EndpointsFields *fields)
{
        CLEANUP(mem_cleanup) const void **leaves = mem_new_array(fields->n + 1, sizeof(void *));
        const Endpoint **at = leaf_alloc(&s->leaf, (fields->n + 1) * sizeof(*at));
        Table *sorted;

        for (size_t i = 0; i < fields->n; i++) {
                Endpoint *e = &fields->endpoints[i];

                e->origin = s->gateway.n > 0 ? ENDPOINT_DISCOVERED : ENDPOINT_STATIC;
                if (e->port_source.n == 0)
                        e->port_source = STR("static");
                if (e->rule.n == 0)
                        e->rule = STR("static");
                leaves[i] = endpoint_new(e);
        }
        sorted = table_new(leaves, fields->n, endpoint_order);
        for (size_t i = 0; i < sorted->n; i++)
                at[i] = leaf_ref(sorted->at[i]);
        s->endpoints = at;
        s->n = sorted->n;
        table_unref(sorted);
}

/* When it changed last, and when the first key expires, of objects that we wrote. */
static void take_times(EndpointsSpec *s, const Tree *root)
{
        const Tree *status = tree_get(root, STR("status"));
        Wall t;

        if (s->gateway.n == 0)
                return;
        if (wall_parse(tree_get_str(status, STR("lastSync")), &t))
                s->last_sync = t;
        if (wall_parse(tree_get_str(status, STR("nextKeyExpiry")), &t))
                s->next_key_expiry = t;
}

/* What the removal guard was holding, of objects that we wrote. */
static void take_held(EndpointsSpec *s, const Tree *root)
{
        const Tree *held = tree_get(tree_get(root, STR("status")), STR("held"));
        Str digest = tree_get_str(held, STR("digest"));
        Str reason = tree_get_str(held, STR("reason"));
        int64_t confirmations = 0, n = 0;

        if (s->gateway.n == 0 || digest.n == 0 || digest.n > DIGEST_TEXT_MAX ||
            !str_is_printable_utf8(digest) ||
            !tree_i64(tree_get(held, STR("confirmations")), 0, CONFIRMATIONS_MAX, false,
                      &confirmations))
                return;
        s->held_digest = leaf_str(&s->leaf, digest);
        s->held_confirmations = (unsigned)confirmations;
        if (tree_i64(tree_get(held, STR("count")), 0, UINT32_MAX, false, &n))
                s->held_n = (unsigned)n;
        if (reason.n <= ERR_REASON_MAX && str_is_printable_utf8(reason))
                s->held_reason = leaf_str(&s->leaf, reason);
}

/* The TailscaleGateway among the owners, or NULL. */
static const Tree *owner_of(const Tree *metadata)
{
        TREE_FOREACH (owner, tree_get(metadata, STR("ownerReferences"))) {
                Str version = tree_get_str(owner, STR("apiVersion"));

                if (str_starts(version, STR(MODEL_GROUP "/")) &&
                    str_eq(tree_get_str(owner, STR("kind")), STR("TailscaleGateway")))
                        return owner;
        }
        return NULL;
}

/* Whether it is ours, and what only ours say. At an API server a label alone does not make it so: a
 * user may copy an object of ours to begin one of his own. */
static void take_origin(EndpointsSpec *s, const ManifestDoc *doc)
{
        const Tree *metadata = tree_get(doc->root, STR("metadata"));
        const Tree *annotations = tree_get(metadata, STR("annotations"));
        const Tree *owner = owner_of(metadata);
        Str gateway = tree_get_str(tree_get(metadata, STR("labels")), STR(LABEL_GATEWAY));
        Str uid = tree_get_str(owner, STR("uid")), suffix;
        uint64_t shards = 0;

        /* The label has of a long name what fits. */
        if (doc->from_api && gateway.n > 0)
                gateway = tree_get_str(owner, STR("name"));
        if (gateway.n == 0 || gateway.n > NAME_MAX_BYTES)
                return;
        s->gateway = leaf_str(&s->leaf, gateway);
        if (doc->from_api && uid.n <= UID_MAX)
                s->owner = leaf_str(&s->leaf, uid);
        s->source = leaf_str(&s->leaf, tree_get_str(annotations, STR(MODEL_SOURCE)));
        suffix = tree_get_str(annotations, STR(MODEL_SUFFIX));
        if (suffix.n <= NAME_MAX_BYTES && str_is_printable_utf8(suffix))
                s->suffix = leaf_str(&s->leaf, suffix);
        IGNORE(str_to_u64(tree_get_str(annotations, STR(MODEL_SHARDS)), SHARDS_MAX, &shards),
               "0 where it is none");
        s->shards = (unsigned)shards;
}

void *manifest_read_endpoints(const ManifestDoc *doc)
{
        CLEANUP(leaf_cleanup)
        EndpointsFields *fields = leaf_new(sizeof(*fields), manifest_room(doc), NULL);
        ObjectMeta meta = {0};
        EndpointsSpec *s;

        if (!read_object(doc, &endpoints_spec_schema, &meta, fields))
                return NULL;
        s = leaf_new(sizeof(*s), 512, endpoints_spec_drop);
        s->meta = meta;
        s->meta.key.name = leaf_str(&s->leaf, meta.key.name);
        s->meta.key.namespace = leaf_str(&s->leaf, meta.key.namespace);
        s->meta.uid = leaf_str(&s->leaf, meta.uid);
        s->meta.approve_removal = leaf_str(&s->leaf, meta.approve_removal);
        s->meta.file = leaf_str(&s->leaf, meta.file);
        s->tailnet = leaf_str(&s->leaf, fields->tailnet);
        s->ingress = fields->direction != 0;
        take_origin(s, doc);
        take_endpoints(s, fields);
        take_held(s, doc->root);
        take_times(s, doc->root);
        return s;
}

void *manifest_read_binding(const ManifestDoc *doc)
{
        BindingSpec *s = leaf_new(sizeof(*s), manifest_room(doc), NULL);

        return read_object(doc, &binding_spec_schema, &s->meta, s) ? s : leaf_unref(s);
}
