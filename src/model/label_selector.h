/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Labels of an object, and selectors of them, as Kubernetes reads both (apimachinery
 * meta/v1.LabelSelector): all of matchLabels and of matchExpressions must hold; none at all selects
 * everything.
 */

#include "base/buf.h"
#include "base/leaf.h"
#include "proto/tree.h"

enum {
        OBJECT_LABELS_MAX = 256, /* of one object; people use tens */
        LABEL_RULES_MAX = 64,    /* of one selector */
        LABEL_VALUES_MAX = 64,   /* of one matchExpressions entry */
};

typedef struct ObjectLabel {
        Str key, value;
} ObjectLabel;

typedef struct LabelList {
        const ObjectLabel *at; /* in the order of the manifest */
        size_t n;
} LabelList;

typedef enum LabelOperator {
        LABEL_IN,
        LABEL_NOT_IN, /* holds as well where the label is missing */
        LABEL_EXISTS,
        LABEL_DOES_NOT_EXIST
} LabelOperator;

typedef struct LabelRule {
        Str key;
        LabelOperator op;
        StrList values; /* of LABEL_IN, LABEL_NOT_IN: at least one; else none */
} LabelRule;

typedef struct LabelSelector {
        const LabelRule *rules; /* matchLabels first */
        size_t n;
        const char *fault; /* why it is none (Kubernetes refuses it, or it is above a cap), or
                              NULL; static */
} LabelSelector;

/* The labels of `object` (metadata.labels), copied into `leaf`. False where there are more than
 * OBJECT_LABELS_MAX, or one is no string. */
bool labels_read(Leaf *leaf, const Tree *object, LabelList *ret) MUST_USE;
bool labels_same(LabelList a, LabelList b);

/* A LabelSelector, copied into `leaf`. NULL or no object is a fault: it was asked for. */
LabelSelector label_selector_read(Leaf *leaf, const Tree *node);
bool label_selector_same(const LabelSelector *a, const LabelSelector *b);
/* Does it select an object with these labels? One with a fault selects nothing. */
bool label_selector_matches(const LabelSelector *s, LabelList labels);
/* In the notation of kubectl: "team=a,env in (x,y),!old"; "everything" where it has no rule. */
void label_selector_print(const LabelSelector *s, Buf *out);
