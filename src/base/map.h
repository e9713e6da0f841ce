/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Map: from Str to pointer, by hash; for look-up only. Nothing that leaves the process may follow
 * its order, so it has no iteration except map_each, whose caller must sort. Each map hashes by a
 * random key of its own, so its order is another each time, and keys may come from the outside.
 */

#include "base/hash.h"

typedef struct MapSlot {
        Str key; /* borrowed: must live as long as the entry */
        void *value;
} MapSlot;

typedef struct Map {
        MapSlot *slots; /* owned; power of two */
        size_t n, room;
        HashKey key; /* set with the first slots */
} Map;

void map_init(Map *m);
void map_done(Map *m);
/* Sets, and borrows this key from now on; returns the value that was there before, or NULL. `value`
 * is not NULL. */
void *map_put(Map *m, Str key, void *value);
void *map_get(const Map *m, Str key);
/* Removes; returns the value, or NULL. */
void *map_remove(Map *m, Str key);
typedef void MapEach(void *ctx, Str key, void *value);
/* In no order. The map is not changed inside `fn`. */
void map_each(const Map *m, MapEach *fn, void *ctx);
