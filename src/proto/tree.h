/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Tree: a document of JSON or YAML as plain nodes in an arena, with the place of each. Numbers keep
 * their text, so that nothing is lost and nothing is a float. Members stay in the order written.
 */

#include "base/arena.h"
#include "base/err.h"

enum {
        TREE_DEPTH_MAX = 64, /* nesting of real manifests is below 20; bounds our stacks */
        /* One document, unless its reader says otherwise: some 40 MiB of nodes at most. */
        TREE_NODES_MAX = 256 << 10,
};

typedef enum TreeType {
        TREE_NULL,
        TREE_BOOL,
        TREE_NUMBER,
        TREE_STRING,
        TREE_ARRAY,
        TREE_OBJECT,
} TreeType;

/* A place in a text, from 1; 0: not known. Columns count bytes in JSON, characters in YAML. */
typedef struct TreeMark {
        unsigned line, column;
} TreeMark;

typedef struct Tree Tree;
struct Tree {
        TreeType type;
        bool boolean;   /* of TREE_BOOL */
        bool duplicate; /* a member whose key an earlier member of the object has */
        TreeMark at;    /* of the value */
        TreeMark key_at;
        Str key;           /* where it is a member of an object, else empty */
        Str text;          /* of a scalar; NUL-terminated; arena */
        size_t n;          /* number of children of TREE_ARRAY and TREE_OBJECT */
        const Tree *first; /* first child, or NULL */
        const Tree *next;  /* next sibling, or NULL */
};

/* for (each child `const Tree *var` of the array or object `node`); `node` may be NULL. */
#define TREE_FOREACH(var, node)                                                      \
        for (const Tree *var = (node) != NULL ? (node)->first : NULL; (var) != NULL; \
             (var) = (var)->next)

/* "an object", "a string", …: for messages. */
const char *tree_type_name(TreeType type);
/* The first member with that key; NULL where there is none, or `object` is NULL or no object. */
const Tree *tree_get(const Tree *object, Str key);
/* The value of a string; empty for NULL and anything else. */
Str tree_str(const Tree *node);
Str tree_get_str(const Tree *object, Str key);
/* The value of a bool, else `fallback`. */
bool tree_bool(const Tree *node, bool fallback);
bool tree_get_bool(const Tree *object, Str key, bool fallback);
/* A whole number in [min, max], written without exponent or fraction; a string of the same form is
 * taken too where `strings` (protobuf's JSON writes 64-bit numbers so). False for anything else. */
bool tree_i64(const Tree *node, int64_t min, int64_t max, bool strings, int64_t *ret);
/* The strings of an array, borrowing their bytes; members that are no strings are left out. */
StrList tree_strlist(const Tree *array, Arena *arena);

/*
 * TreeBuilder: how a parser makes a Tree: begin, members (each after its key where in an object),
 * end. Depth and number of nodes are capped; keys that come twice are marked when their object
 * ends, unless `keys_unchecked` was set.
 */
typedef struct TreeBuilder {
        Arena *arena; /* borrowed; strings and nodes go there */
        Tree *root;   /* NULL until the first value */
        struct TreeOpen {
                Tree *node, *last;
        } open[TREE_DEPTH_MAX];
        unsigned depth; /* how many are open */
        size_t nodes, nodes_max;
        Str key; /* of the next member; arena */
        TreeMark key_at;
        bool has_key;
        bool keys_unchecked;
} TreeBuilder;

/* At most TREE_NODES_MAX nodes; whoever reads from a peer of its own may set `nodes_max` after. */
void tree_builder_init(TreeBuilder *b, Arena *arena);
/* Adds a value: a scalar with its `text` (copied), or an array or object, which stays open. False
 * with ERR_LIMIT above a cap. */
bool tree_builder_value(TreeBuilder *b, TreeType type, Str text, TreeMark at, Err *err) MUST_USE;
/* Adds a whole value of this builder once more, sharing its children; every node of it counts, and
 * its depth does, so repeated values cost what they would written out. */
bool tree_builder_again(TreeBuilder *b, const Tree *value, TreeMark at, Err *err) MUST_USE;
bool tree_builder_key(TreeBuilder *b, Str key, TreeMark at, Err *err) MUST_USE;
/* What was added last, or the array or object that is open. */
const Tree *tree_builder_last(const TreeBuilder *b);
/* Ends the array or object that was opened last. */
bool tree_builder_end(TreeBuilder *b, Err *err) MUST_USE;
/* Is a whole value there, with nothing open? */
bool tree_builder_is_whole(const TreeBuilder *b);
