/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/crd_compare.h"

#include "model/crd.h"
#include "proto/yaml.h"

enum {
        DEPTH_MAX = 32, /* ours has some ten */
        NUMBERS = 3,    /* of a version */
};

typedef struct Compare {
        Arena *arena; /* of paths */
        Buf *out;
        size_t n;
} Compare;

static void tell(Compare *c, Str path, Str value)
{
        if (c->n++ >= CRD_COMPARE_NAMED)
                return;
        buf_printf(c->out, "%s%.*s", c->n > 1 ? ", " : "", STR_FMT(path));
        if (value.n > 0)
                buf_printf(c->out, ": no value %.*s", STR_FMT(value));
}

static bool has_value(const Tree *list, Str value)
{
        TREE_FOREACH (v, list) {
                if (str_eq(tree_str(v), value))
                        return true;
        }
        return false;
}

static void compare(Compare *c, Str path, const Tree *ours, const Tree *theirs, unsigned depth);

/* What stands at that place of both, where it is in ours. */
static void compare_at(Compare *c, Str path, const Tree *ours, const Tree *theirs, unsigned depth)
{
        if (ours != NULL && theirs == NULL)
                tell(c, path, (Str){0});
        else if (ours != NULL && depth < DEPTH_MAX)
                compare(c, path, ours, theirs, depth + 1);
}

static void compare(Compare *c, Str path, const Tree *ours, const Tree *theirs, unsigned depth)
{
        static const Str items = STR_INIT("items"), members = STR_INIT("additionalProperties");
        const Tree *values = tree_get(theirs, STR("enum"));
        const char *dot = path.n > 0 ? "." : "";

        if (tree_get_bool(theirs, STR("x-kubernetes-preserve-unknown-fields"), false))
                return;
        TREE_FOREACH (value, tree_get(ours, STR("enum"))) {
                if (values != NULL && !has_value(values, tree_str(value)))
                        tell(c, path, tree_str(value));
        }
        TREE_FOREACH (field, tree_get(ours, STR("properties"))) {
                Str at = arena_printf(c->arena, "%.*s%s%.*s", STR_FMT(path), dot,
                                      STR_FMT(field->key));

                compare_at(c, at, field, tree_get(tree_get(theirs, STR("properties")), field->key),
                           depth);
        }
        compare_at(c, arena_printf(c->arena, "%.*s[]", STR_FMT(path)), tree_get(ours, items),
                   tree_get(theirs, items), depth);
        compare_at(c, arena_printf(c->arena, "%.*s{}", STR_FMT(path)), tree_get(ours, members),
                   tree_get(theirs, members), depth);
}

static const Tree *schema_of(const Tree *crd, const Tree *like)
{
        Str wanted = tree_get_str(like, STR("name"));

        TREE_FOREACH (v, tree_get(tree_get(crd, STR("spec")), STR("versions"))) {
                if (wanted.n == 0 || str_eq(tree_get_str(v, STR("name")), wanted))
                        return v;
        }
        return NULL;
}

static const Tree *root_of(const Tree *version)
{
        return tree_get(tree_get(version, STR("schema")), STR("openAPIV3Schema"));
}

const ResourceKind *crd_compare_kind(const char *plural)
{
        for (size_t i = 0; i < RESOURCE_KINDS; i++) {
                if (strcmp(resource_kinds[i].plural, plural) == 0)
                        return &resource_kinds[i];
        }
        return NULL;
}

size_t crd_compare_lacks(const ResourceKind *kind, const Tree *installed, Arena *arena, Buf *out)
{
        CLEANUP(buf_done) Buf text;
        CLEANUP(yaml_cleanup) Yaml *yaml = NULL;
        const Tree *own = NULL, *version;
        Compare c = {.arena = arena, .out = out};

        buf_init(&text, CRD_BYTES_MAX);
        crd_render(kind, &text);
        yaml = yaml_new(buf_str(&text));
        INSIST(yaml_next(yaml, arena, &own, NULL, NULL));
        version = schema_of(own, NULL);
        compare(&c, (Str){0}, root_of(version), root_of(schema_of(installed, version)), 0);
        if (c.n > CRD_COMPARE_NAMED)
                buf_printf(out, ", and %zu more", c.n - CRD_COMPARE_NAMED);
        return c.n;
}

static bool read_version(Str s, uint64_t ret[NUMBERS])
{
        bool more = true;
        size_t n = 0;

        for (; more && n < NUMBERS; n++) {
                Str part = s;

                more = str_cut(&s, '.', &part);
                if (!str_to_u64(part, UINT32_MAX, &ret[n]))
                        return false;
        }
        return n == NUMBERS && !more;
}

int crd_compare_versions(Str a, Str b)
{
        uint64_t of_a[NUMBERS], of_b[NUMBERS];

        if (!read_version(a, of_a) || !read_version(b, of_b))
                return 0;
        for (size_t i = 0; i < NUMBERS; i++) {
                if (of_a[i] != of_b[i])
                        return of_a[i] < of_b[i] ? -1 : 1;
        }
        return 0;
}
