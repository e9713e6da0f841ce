/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where the names stand that a manifest refers by: leaves know their document's line only, and what
 * is wrong between two objects is to be told at the name that is wrong. Of strings called name or
 * sectionName, and of those in proxyAddresses.
 */

#include "base/arena.h"
#include "proto/tree.h"

typedef struct ManifestPlace {
        const void *leaf; /* only compared */
        Str path;         /* "spec.tailnets[0].tailscaleTailnetRef.name" */
        TreeMark at;
} ManifestPlace;

typedef struct ManifestPlaces {
        ManifestPlace *at; /* owned */
        size_t n, room;
        Arena arena; /* paths */
} ManifestPlaces;

void manifest_places_init(ManifestPlaces *p);
void manifest_places_done(ManifestPlaces *p);
/* Notes those of the document that `leaf` was made of. */
void manifest_places_note(ManifestPlaces *p, const void *leaf, const Tree *root);
/* The place of that path in the document of `leaf`; where it is not written there, `line` and
 * column 1. */
TreeMark manifest_places_find(const ManifestPlaces *p, const void *leaf, Str path, unsigned line);
