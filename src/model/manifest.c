/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A text is read document by document, each into an arena of its own; apiVersion and kind choose
 * the reader. Invariants:
 *
 * 1. A document with a fault adds no leaf; the others of its file are read all the same, so that
 *    all faults are told. Whether anything takes effect is the caller's decision.
 * 2. What was read of a Secret is wiped before its arena goes.
 */
#include "model/manifest.h"

#include "base/mem.h"
#include "model/binding_spec.h"
#include "model/eg_spec.h"
#include "model/endpoints_spec.h"
#include "model/gateway_spec.h"
#include "model/manifest_kinds.h"
#include "model/reference_grant.h"
#include "model/secret_spec.h"
#include "model/service_spec.h"
#include "model/tailnet_spec.h"
#include "proto/json.h"
#include "proto/yaml.h"

#include <stdio.h>

enum {
        SKIPPED_TEXT_MAX = 128,
        DOCUMENT_MEMORY_MAX = 64 << 20, /* nodes and strings of a document of 16 MiB */
};

#define EG_GROUP "gateway.networking.k8s.io"

typedef struct Kind {
        const char *group, *kind;
        const char *versions[3]; /* those that are read; NULL ends */
        ManifestKind to;
        ManifestReader *read;
        TableOrder *order;
        TableSame *same;
} Kind;

/* The first of each ManifestKind has its order. */
static const Kind kinds[] = {
        {MODEL_GROUP,
         "TailscaleTailnet",
         {"v1alpha1"},
         MANIFEST_TAILNET,
         manifest_read_tailnet,
         tailnet_spec_order,
         tailnet_spec_same},
        {MODEL_GROUP,
         "TailscaleGateway",
         {"v1alpha1"},
         MANIFEST_GATEWAY,
         manifest_read_gateway,
         gateway_spec_order,
         gateway_spec_same},
        {MODEL_GROUP,
         "TailscaleEndpoints",
         {"v1alpha1"},
         MANIFEST_ENDPOINTS,
         manifest_read_endpoints,
         endpoints_spec_order,
         endpoints_spec_same},
        {MODEL_GROUP,
         "TailscaleGatewayBinding",
         {"v1alpha1"},
         MANIFEST_BINDING,
         manifest_read_binding,
         binding_spec_order,
         binding_spec_same},
        {"",
         "Secret",
         {"v1"},
         MANIFEST_SECRET,
         manifest_read_secret,
         secret_spec_order,
         secret_spec_same},
        {EG_GROUP,
         "Gateway",
         {"v1", "v1beta1"},
         MANIFEST_EG_GATEWAY,
         manifest_read_eg_gateway,
         eg_gateway_order,
         eg_gateway_same},
        {EG_GROUP,
         "HTTPRoute",
         {"v1", "v1beta1"},
         MANIFEST_EG_ROUTE,
         manifest_read_eg_route,
         eg_route_order,
         eg_route_same},
        {"",
         "Namespace",
         {"v1"},
         MANIFEST_NAMESPACE,
         manifest_read_namespace,
         eg_namespace_order,
         eg_namespace_same},
        {EG_GROUP,
         "GRPCRoute",
         {"v1", "v1alpha2"},
         MANIFEST_EG_ROUTE,
         manifest_read_eg_route,
         eg_route_order,
         eg_route_same},
        {"",
         "Service",
         {"v1"},
         MANIFEST_SERVICE,
         manifest_read_service,
         service_spec_order,
         service_spec_same},
        {EG_GROUP,
         "ReferenceGrant",
         {"v1beta1", "v1"},
         MANIFEST_GRANT,
         manifest_read_reference_grant,
         reference_grant_order,
         reference_grant_same},
};

void manifest_set_init(ManifestSet *s)
{
        *s = (ManifestSet){0};
        manifest_places_init(&s->places);
}

void manifest_set_done(ManifestSet *s)
{
        for (size_t k = 0; k < MANIFEST_KINDS; k++) {
                for (size_t i = 0; i < s->kinds[k].n; i++)
                        leaf_unref(s->kinds[k].at[i]);
                mem_free(s->kinds[k].at);
        }
        mem_free(s->skipped_text);
        manifest_places_done(&s->places);
        manifest_set_init(s);
}

static size_t objects_of(const ManifestSet *s)
{
        size_t n = 0;

        for (size_t k = 0; k < MANIFEST_KINDS; k++)
                n += s->kinds[k].n;
        return n;
}

/* Takes over the reference. */
static void set_add(ManifestSet *s, ManifestKind kind, const void *leaf)
{
        struct ManifestLeaves *l = &s->kinds[kind];

        if (l->n == l->room) {
                l->room = l->room > 0 ? 2 * l->room : 8;
                l->at = mem_resize(l->at, l->room * sizeof(*l->at));
        }
        l->at[l->n++] = leaf;
}

/* "group/version", or "version" of the core group. */
static Str group_of(Str api_version, Str *ret_version)
{
        Str rest = api_version, group;

        if (!str_cut(&rest, '/', &group)) {
                *ret_version = api_version;
                return STR("");
        }
        *ret_version = rest;
        return group;
}

static bool has_version(const Kind *k, Str version)
{
        for (size_t i = 0; i < LENGTH_OF(k->versions) && k->versions[i] != NULL; i++)
                if (str_eq(version, str_of(k->versions[i])))
                        return true;
        return false;
}

static const Kind *kind_of(Str group, Str version, Str kind)
{
        for (size_t i = 0; i < LENGTH_OF(kinds); i++)
                if (str_eq(group, str_of(kinds[i].group)) && str_eq(kind, str_of(kinds[i].kind)) &&
                    has_version(&kinds[i], version))
                        return &kinds[i];
        return NULL;
}

static bool is_our_name(Str kind)
{
        for (size_t i = 0; i < LENGTH_OF(kinds); i++)
                if (str_eq(kind, str_of(kinds[i].kind)) &&
                    str_eq(str_of(kinds[i].group), STR(MODEL_GROUP)))
                        return true;
        return false;
}

/* Of our group, or of none but with a name of ours, and yet not one of our kinds: a slip. */
static bool is_slip(const ManifestDoc *doc, Str group, Str version, Str kind)
{
        const Tree *api_version = tree_get(doc->root, STR("apiVersion"));
        const Tree *node = tree_get(doc->root, STR("kind"));
        Str known[LENGTH_OF(kinds)];
        char suggestion[EXPECTED_MAX];
        size_t n = 0;
        Decoder d;

        decoder_init(&d, doc->file, doc->faults, NULL);
        if (api_version == NULL && is_our_name(kind)) {
                decode_fault(&d, doc->root->at, "apiVersion: missing, expected %s",
                             MODEL_API_VERSION);
                return true;
        }
        if (!str_eq(group, STR(MODEL_GROUP)))
                return false;
        if (is_our_name(kind)) {
                decode_fault(&d, api_version != NULL ? api_version->at : doc->root->at,
                             "apiVersion: version \"%.*s\", expected %s",
                             STR_FMT(str_sub(version, 0, 64)), MODEL_API_VERSION);
                return true;
        }
        for (size_t i = 0; i < LENGTH_OF(kinds); i++)
                if (str_eq(str_of(kinds[i].group), STR(MODEL_GROUP)))
                        known[n++] = str_of(kinds[i].kind);
        decode_fault(&d, node->at,
                     "kind: \"%.*s\", expected TailscaleTailnet, TailscaleGateway or "
                     "TailscaleEndpoints%s",
                     STR_FMT(str_sub(kind, 0, 64)), decode_suggestion(kind, known, n, suggestion));
        return true;
}

static void skip(ManifestSet *s, Str api_version, Str kind)
{
        s->n_skipped++;
        if (s->skipped_text == NULL)
                s->skipped_text = mem_new(SKIPPED_TEXT_MAX);
        IGNORE(snprintf(s->skipped_text, SKIPPED_TEXT_MAX, "%.*s %.*s",
                        STR_FMT(str_sub(api_version, 0, 60)), STR_FMT(str_sub(kind, 0, 60))),
               "cut where too long");
        s->last_skipped = str_of(s->skipped_text);
}

static void read_known(ManifestSet *s, const Kind *kind, const ManifestDoc *doc)
{
        bool too_many = objects_of(s) >= MANIFEST_OBJECTS_MAX ||
                        (kind->to == MANIFEST_SECRET &&
                         s->kinds[MANIFEST_SECRET].n >= MANIFEST_SECRETS_MAX);
        const void *leaf;

        if (too_many) {
                faults_add(doc->faults, doc->file, doc->root->at.line, doc->root->at.column,
                           STR(""), "one object too many, expected at most %d, of them %d Secrets",
                           MANIFEST_OBJECTS_MAX, MANIFEST_SECRETS_MAX);
                return;
        }
        leaf = kind->read(doc);
        if (leaf == NULL)
                return;
        set_add(s, kind->to, leaf);
        if (kind->to == MANIFEST_TAILNET || kind->to == MANIFEST_GATEWAY)
                manifest_places_note(&s->places, leaf, doc->root);
}

/* What a TailscaleTailnet's file.path names may stand beside the manifests. */
static bool is_device_list(const Tree *root)
{
        return tree_get(root, STR("apiVersion")) == NULL && tree_get(root, STR("kind")) == NULL &&
               (tree_get(root, STR("devices")) != NULL || tree_get(root, STR("nodes")) != NULL);
}

/* The same by the first bytes of JSON: such a file may be longer than any manifest. */
static bool begins_as_device_list(Str bytes)
{
        Str rest = str_trim(bytes);

        if (!str_starts(rest, STR("{")))
                return false;
        rest = str_trim(str_sub(rest, 1, rest.n));
        return str_starts(rest, STR("\"devices\"")) || str_starts(rest, STR("\"nodes\""));
}

static void read_object(ManifestSet *s, const ManifestDoc *doc)
{
        const Tree *root = doc->root;
        Str api_version = tree_get_str(root, STR("apiVersion"));
        Str kind = tree_get_str(root, STR("kind")), version;
        Str group = group_of(api_version, &version);
        const Kind *known = kind_of(group, version, kind);

        if (root->type != TREE_OBJECT)
                faults_add(doc->faults, doc->file, root->at.line, root->at.column, STR(""),
                           "%s, expected an object with apiVersion and kind",
                           tree_type_name(root->type));
        else if (is_device_list(root))
                skip(s, STR("a list of"), STR("devices"));
        else if (kind.n == 0)
                faults_add(doc->faults, doc->file, root->at.line, root->at.column, STR(""),
                           "no kind, expected an object with apiVersion and kind");
        else if (known != NULL)
                read_known(s, known, doc);
        else if (!is_slip(doc, group, version, kind))
                skip(s, api_version, kind);
}

/* `kubectl get -o yaml` puts several objects into one List. */
static void read_document(ManifestSet *s, const ManifestDoc *doc)
{
        if (!str_eq(tree_get_str(doc->root, STR("kind")), STR("List")) ||
            !str_eq(tree_get_str(doc->root, STR("apiVersion")), STR("v1"))) {
                read_object(s, doc);
                return;
        }
        TREE_FOREACH (item, tree_get(doc->root, STR("items"))) {
                ManifestDoc of_item = *doc;

                of_item.root = item;
                read_object(s, &of_item);
        }
}

static void wipe(const Tree *node)
{
        TREE_FOREACH (child, node) {
                if (child->text.n > 0)
                        explicit_bzero((char *)(uintptr_t)child->text.p, child->text.n);
                if (child->first != NULL)
                        wipe(child);
        }
}

/* Secrets may hide in a List, and in documents whose kind is misspelt. */
static void document_done(Arena *arena, const Tree *root)
{
        if (root != NULL)
                wipe(root);
        arena_done(arena);
}

static void read_json(ManifestSet *s, Str file, Str bytes, Faults *faults)
{
        TreeMark at = {0};
        Arena arena;
        Err err = {0};
        const Tree *root;

        arena_init(&arena, DOCUMENT_MEMORY_MAX);
        root = json_read(&arena, bytes, &at, &err);
        if (root == NULL)
                faults_add(faults, file, at.line, at.column, STR(""), "%s", err.text);
        else
                read_document(s, &(ManifestDoc){.root = root, .file = file, .faults = faults});
        document_done(&arena, root);
}

static void read_yaml(ManifestSet *s, Str file, Str bytes, Faults *faults)
{
        CLEANUP(yaml_cleanup) Yaml *yaml = yaml_new(bytes);

        for (;;) {
                const Tree *root = NULL;
                TreeMark at = {0};
                Arena arena;
                Err err = {0};
                bool ok;

                arena_init(&arena, DOCUMENT_MEMORY_MAX);
                ok = yaml_next(yaml, &arena, &root, &at, &err);
                if (!ok)
                        faults_add(faults, file, at.line, at.column, STR(""), "%s", err.text);
                else if (root != NULL && root->type != TREE_NULL)
                        read_document(s,
                                      &(ManifestDoc){.root = root, .file = file, .faults = faults});
                document_done(&arena, root);
                if (!ok || root == NULL)
                        return;
        }
}

bool manifest_read(ManifestSet *s, Str file, Str bytes, Faults *faults)
{
        size_t before = faults->n_total;

        if (begins_as_device_list(bytes))
                skip(s, STR("a list of"), STR("devices"));
        else if (bytes.n > MANIFEST_BYTES_MAX)
                faults_add(faults, file, 0, 0, STR(""), "%zu bytes, expected at most %d", bytes.n,
                           MANIFEST_BYTES_MAX);
        else if (str_ends_fold(file, STR(".json")))
                read_json(s, file, bytes, faults);
        else
                read_yaml(s, file, bytes, faults);
        return faults->n_total == before;
}

Table *manifest_table(const ManifestSet *s, ManifestKind kind, const Table *old)
{
        const struct ManifestLeaves *l = &s->kinds[kind];
        const Kind *k = NULL;

        for (size_t i = 0; i < LENGTH_OF(kinds) && k == NULL; i++)
                if (kinds[i].to == kind)
                        k = &kinds[i];
        INSIST(k != NULL);
        for (size_t i = 0; i < l->n; i++)
                leaf_ref(l->at[i]);
        return table_update(old, l->at, l->n, k->order, k->same);
}
