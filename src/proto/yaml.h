/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * YAML into Trees, several documents a text, as Kubernetes reads it (YAML 1.1): plain true, yes, on
 * and their opposites, null, ~ and numbers are values, whatever is quoted is a string. Whole
 * numbers come out as decimal text however they were written (0x1f, 0o17, 017, 1_000). An alias
 * stands for its anchor's whole value, which counts against the caps of tree.h each time. Anchors
 * of keys, merge keys (they stay a member "<<") and tags other than the standard ones are not
 * followed.
 */

#include "proto/tree.h"

enum {
        YAML_BYTES_MAX = 16 << 20, /* one text; the same as of JSON */
        YAML_ANCHORS_MAX = 256,    /* one document; each alias is looked for among them */
};

typedef struct Yaml Yaml;

/* Borrows `bytes` until yaml_free. */
Yaml *yaml_new(Str bytes) MUST_USE;
/* NULL is welcome; returns NULL. */
Yaml *yaml_free(Yaml *y);
/* The next document's root in *ret (into `arena`), NULL at the end of the text. An empty document
 * is a TREE_NULL. False: not YAML (reason "InvalidYaml") or above a cap ("TooLarge"), with the
 * place in `ret_at` (may be NULL); every later call fails too. */
bool yaml_next(Yaml *y, Arena *arena, const Tree **ret, TreeMark *ret_at, Err *err) MUST_USE;

static inline void yaml_cleanup(Yaml **y)
{
        yaml_free(*y);
}
