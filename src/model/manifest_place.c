/* SPDX-License-Identifier: Apache-2.0 */
#include "model/manifest_place.h"

#include "base/mem.h"

void manifest_places_init(ManifestPlaces *p)
{
        *p = (ManifestPlaces){0};
        arena_init(&p->arena, 0);
}

void manifest_places_done(ManifestPlaces *p)
{
        mem_free(p->at);
        arena_done(&p->arena);
}

static void add(ManifestPlaces *p, const void *leaf, Str path, TreeMark at)
{
        if (p->n == p->room) {
                p->room = p->room > 0 ? 2 * p->room : 32;
                p->at = mem_resize(p->at, p->room * sizeof(*p->at));
        }
        p->at[p->n++] = (ManifestPlace){leaf, path, at};
}

typedef struct Walk {
        ManifestPlaces *places;
        const void *leaf;
} Walk;

static Str below(Arena *a, Str path, const Tree *parent, const Tree *node, size_t i)
{
        if (parent->type == TREE_ARRAY)
                return arena_printf(a, "%.*s[%zu]", STR_FMT(path), i);
        return arena_printf(a, "%.*s%s%.*s", STR_FMT(path), path.n > 0 ? "." : "",
                            STR_FMT(node->key));
}

/* Recursion is bounded: no tree is deeper than TREE_DEPTH_MAX. */
static void walk(const Walk *w, const Tree *parent, Str path, bool wanted)
{
        Arena *a = &w->places->arena;
        size_t i = 0;

        TREE_FOREACH (node, parent) {
                bool inner = node->type == TREE_OBJECT || node->type == TREE_ARRAY;
                bool named =
                        str_eq(node->key, STR("name")) || str_eq(node->key, STR("sectionName"));

                if (inner)
                        walk(w, node, below(a, path, parent, node, i),
                             str_eq(node->key, STR("proxyAddresses")));
                else if (node->type == TREE_STRING && (wanted || named))
                        add(w->places, w->leaf, below(a, path, parent, node, i), node->at);
                i++;
        }
}

void manifest_places_note(ManifestPlaces *p, const void *leaf, const Tree *root)
{
        walk(&(Walk){p, leaf}, root, STR(""), false);
}

TreeMark manifest_places_find(const ManifestPlaces *p, const void *leaf, Str path, unsigned line)
{
        for (size_t i = 0; i < p->n; i++)
                if (p->at[i].leaf == leaf && str_eq(p->at[i].path, path))
                        return p->at[i].at;
        return (TreeMark){line, 1};
}
