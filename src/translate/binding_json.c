/* SPDX-License-Identifier: Apache-2.0 */
#include "translate/binding_json.h"

#include "proto/json.h"
#include "proto/pb_reader.h"

#include "pb_tokens.h"

/* The same bytes where they stand in the request, which outlives the tree; names and revisions need
 * no escapes. */
static Str borrow(Str json, Str s)
{
        ptrdiff_t at = s.n > 0 ? str_find_str(json, s) : -1;
        return at >= 0 ? str_sub(json, (size_t)at, s.n) : (Str){0};
}

static size_t read_one(Arena *a, Str json, BindingJson *ret, size_t max)
{
        const Tree *object = json_read(a, json, NULL, NULL);
        if (!str_eq(tree_get_str(object, STR("kind")), STR("TailscaleGatewayBinding")) ||
            !str_starts(tree_get_str(object, STR("apiVersion")), STR(MODEL_GROUP "/")))
                return 0;
        const Tree *spec = tree_get(object, STR("spec"));
        Str namespace =
                borrow(json, tree_get_str(tree_get(object, STR("metadata")), STR("namespace")));
        int64_t attempt = 0;
        if (!tree_i64(tree_get(spec, STR("attempt")), 0, INT64_MAX, false, &attempt))
                attempt = 0;
        size_t n = 0;
        TREE_FOREACH (ref, tree_get(spec, STR("targetRefs"))) {
                Str name = borrow(json, tree_get_str(ref, STR("name")));
                if (n == max || namespace.n == 0 || name.n == 0)
                        break;
                ret[n++] =
                        (BindingJson){.gateway = {namespace, name},
                                      .revision = borrow(json, tree_get_str(spec, STR("revision"))),
                                      .attempt = (uint64_t)attempt};
        }
        return n;
}

size_t binding_json_read(Str context, BindingJson *ret, size_t max)
{
        size_t n = 0, looked = 0;
        PbReader r = pb_reader(context);
        for (Str resource;
             pb_next_len(&r, PBN_PostTranslateExtensionContext_extension_resources, &resource);) {
                Str json = pb_get(resource, PBN_ExtensionResource_unstructured_bytes);
                if (n == max || looked++ == BINDING_JSON_OBJECTS_MAX)
                        break;
                if (json.n > BINDING_JSON_MAX)
                        continue;
                Arena a;
                arena_init(&a, 64 * (size_t)BINDING_JSON_MAX);
                n += read_one(&a, json, ret + n, max - n);
                arena_done(&a);
        }
        return n;
}
