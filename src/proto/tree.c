/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes hang on lists, because a parser does not know how many come; look-up by key is a walk,
 * which is the faster way for the dozen members that objects have. Twice-used keys are found by
 * sorting where there are many, so that a hostile object of 100,000 members costs n log n.
 */
#include "proto/tree.h"

#include "base/mem.h"

#include <stdlib.h>

enum {
        /* Up to here comparing each key with each is cheaper than sorting. */
        FEW_KEYS = 12,
};

const char *tree_type_name(TreeType type)
{
        static const char *const names[] = {
                [TREE_NULL] = "null",       [TREE_BOOL] = "a boolean", [TREE_NUMBER] = "a number",
                [TREE_STRING] = "a string", [TREE_ARRAY] = "a list",   [TREE_OBJECT] = "an object",
        };

        return names[type];
}

const Tree *tree_get(const Tree *object, Str key)
{
        if (object == NULL || object->type != TREE_OBJECT)
                return NULL;
        TREE_FOREACH (member, object)
                if (member->key.n == key.n && str_eq(member->key, key))
                        return member;
        return NULL;
}

Str tree_str(const Tree *node)
{
        return node != NULL && node->type == TREE_STRING ? node->text : STR("");
}

Str tree_get_str(const Tree *object, Str key)
{
        return tree_str(tree_get(object, key));
}

bool tree_bool(const Tree *node, bool fallback)
{
        return node != NULL && node->type == TREE_BOOL ? node->boolean : fallback;
}

bool tree_get_bool(const Tree *object, Str key, bool fallback)
{
        return tree_bool(tree_get(object, key), fallback);
}

bool tree_i64(const Tree *node, int64_t min, int64_t max, bool strings, int64_t *ret)
{
        bool negative;
        uint64_t v;
        int64_t n;
        Str s;

        if (node == NULL || (node->type != TREE_NUMBER && (node->type != TREE_STRING || !strings)))
                return false;
        s = node->text;
        negative = str_starts(s, STR("-"));
        if (negative)
                s = str_sub(s, 1, s.n);
        if (!str_to_u64(s, (uint64_t)INT64_MAX + (negative ? 1 : 0), &v))
                return false;
        n = negative ? (int64_t)-v : (int64_t)v;
        if (n < min || n > max)
                return false;
        *ret = n;
        return true;
}

StrList tree_strlist(const Tree *array, Arena *arena)
{
        Str *at;
        size_t n = 0;

        if (array == NULL || array->type != TREE_ARRAY || array->n == 0)
                return (StrList){0};
        at = arena_new_array(arena, array->n, sizeof(Str));
        TREE_FOREACH (item, array)
                if (item->type == TREE_STRING)
                        at[n++] = item->text;
        return (StrList){at, n};
}

void tree_builder_init(TreeBuilder *b, Arena *arena)
{
        *b = (TreeBuilder){.arena = arena, .nodes_max = TREE_NODES_MAX};
}

static bool no_memory(Err *err)
{
        return err_set(err, ERR_LIMIT, "TooLarge", "the document needs too much memory");
}

static bool too_many(const TreeBuilder *b, Err *err)
{
        return err_set(err, ERR_LIMIT, "TooLarge", "more than %zu values in one document",
                       b->nodes_max);
}

static bool too_deep(Err *err)
{
        return err_set(err, ERR_LIMIT, "TooLarge", "nested more than %d deep", TREE_DEPTH_MAX);
}

static bool copy(TreeBuilder *b, Str s, Str *ret, Err *err)
{
        char *p = arena_try(b->arena, s.n + 1);

        if (p == NULL)
                return no_memory(err);
        if (s.n > 0)
                memcpy(p, s.p, s.n);
        p[s.n] = '\0';
        *ret = (Str){p, s.n};
        return true;
}

/* Puts the node behind its elder sibling. */
static void attach(TreeBuilder *b, Tree *node)
{
        struct TreeOpen *o;

        if (b->depth == 0) {
                INSIST(b->root == NULL);
                b->root = node;
                return;
        }
        o = &b->open[b->depth - 1];
        INSIST(b->has_key == (o->node->type == TREE_OBJECT));
        if (b->has_key) {
                node->key = b->key;
                node->key_at = b->key_at;
                b->has_key = false;
        }
        if (o->last == NULL)
                o->node->first = node;
        else
                o->last->next = node;
        o->last = node;
        o->node->n++;
}

bool tree_builder_value(TreeBuilder *b, TreeType type, Str text, TreeMark at, Err *err)
{
        bool opens = type == TREE_ARRAY || type == TREE_OBJECT;
        Tree *node;

        if (b->nodes >= b->nodes_max)
                return too_many(b, err);
        if (opens && b->depth >= TREE_DEPTH_MAX)
                return too_deep(err);
        node = arena_try(b->arena, sizeof(*node));
        if (node == NULL)
                return no_memory(err);
        *node = (Tree){.type = type, .at = at};
        if (!opens && !copy(b, text, &node->text, err))
                return false;
        node->boolean = type == TREE_BOOL && str_eq(text, STR("true"));
        b->nodes++;
        attach(b, node);
        if (opens)
                b->open[b->depth++] = (struct TreeOpen){.node = node};
        return true;
}

typedef struct Extent {
        size_t nodes;
        unsigned height; /* 0: a scalar */
} Extent;

/* Recursion is bounded: no tree is deeper than TREE_DEPTH_MAX. */
static Extent extent_of(const Tree *node)
{
        Extent e = {1, node->type == TREE_ARRAY || node->type == TREE_OBJECT ? 1 : 0};

        TREE_FOREACH (child, node) {
                Extent of_child = extent_of(child);

                e.nodes += of_child.nodes;
                if (of_child.height + 1 > e.height)
                        e.height = of_child.height + 1;
        }
        return e;
}

bool tree_builder_again(TreeBuilder *b, const Tree *value, TreeMark at, Err *err)
{
        Extent e = extent_of(value);
        Tree *node;

        if (e.nodes > b->nodes_max - b->nodes)
                return too_many(b, err);
        if (b->depth + e.height > TREE_DEPTH_MAX)
                return too_deep(err);
        node = arena_try(b->arena, sizeof(*node));
        if (node == NULL)
                return no_memory(err);
        *node = (Tree){
                .type = value->type,
                .boolean = value->boolean,
                .at = at,
                .text = value->text,
                .n = value->n,
                .first = value->first,
        };
        b->nodes += e.nodes;
        attach(b, node);
        return true;
}

const Tree *tree_builder_last(const TreeBuilder *b)
{
        const struct TreeOpen *o;

        if (b->depth == 0)
                return b->root;
        o = &b->open[b->depth - 1];
        return o->last != NULL ? o->last : o->node;
}

bool tree_builder_key(TreeBuilder *b, Str key, TreeMark at, Err *err)
{
        INSIST(b->depth > 0 && b->open[b->depth - 1].node->type == TREE_OBJECT && !b->has_key);
        if (!copy(b, key, &b->key, err))
                return false;
        b->key_at = at;
        b->has_key = true;
        return true;
}

typedef struct KeyOf {
        Tree *node;
        size_t index; /* the first of equal keys is the one that counts */
} KeyOf;

static int key_order(const void *a, const void *b)
{
        const KeyOf *x = a, *y = b;
        int c = str_cmp(x->node->key, y->node->key);

        if (c != 0)
                return c;
        return x->index < y->index ? -1 : 1;
}

/* The builder made the nodes and may still write to them. */
static Tree *writable(const Tree *node)
{
        return (Tree *)(uintptr_t)node;
}

static void mark_few(const Tree *object)
{
        TREE_FOREACH (member, object)
                for (const Tree *m = object->first; m != member; m = m->next)
                        if (str_eq(m->key, member->key))
                                writable(member)->duplicate = true;
}

static bool mark_many(const Tree *object, Err *err)
{
        CLEANUP(mem_cleanup) KeyOf *keys = mem_try(object->n * sizeof(KeyOf));
        size_t n = 0;

        if (keys == NULL)
                return no_memory(err);
        TREE_FOREACH (member, object) {
                keys[n] = (KeyOf){writable(member), n};
                n++;
        }
        qsort(keys, n, sizeof(KeyOf), key_order);
        for (size_t i = 1; i < n; i++)
                if (str_eq(keys[i - 1].node->key, keys[i].node->key))
                        keys[i].node->duplicate = true;
        return true;
}

bool tree_builder_end(TreeBuilder *b, Err *err)
{
        const Tree *node;

        INSIST(b->depth > 0 && !b->has_key);
        node = b->open[--b->depth].node;
        if (node->type != TREE_OBJECT || b->keys_unchecked)
                return true;
        if (node->n > FEW_KEYS)
                return mark_many(node, err);
        mark_few(node);
        return true;
}

bool tree_builder_is_whole(const TreeBuilder *b)
{
        return b->root != NULL && b->depth == 0;
}
