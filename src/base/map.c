/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open addressing with linear probing, at most three quarters full. A slot is taken where its value
 * is not NULL. Removal shifts the rest of the run back, so there are no tombstones and look-up cost
 * does not grow with churn.
 */
#include "base/map.h"

#include "base/mem.h"

enum {
        ROOM_MIN = 16
};

void map_init(Map *m)
{
        *m = (Map){0};
}

void map_done(Map *m)
{
        mem_free(m->slots);
        map_init(m);
}

/* The slot that holds `key`, or the free one where it would go. */
static size_t seek(const HashKey *hash, const MapSlot *slots, size_t room, Str key)
{
        size_t i = (size_t)hash_str(hash, key) & (room - 1);

        while (slots[i].value != NULL && !str_eq(slots[i].key, key))
                i = (i + 1) & (room - 1);
        return i;
}

static void grow(Map *m)
{
        size_t room = m->room > 0 ? m->room * 2 : ROOM_MIN;
        MapSlot *slots = mem_new_array(room, sizeof(MapSlot));

        if (m->room == 0)
                m->key = hash_key_new();
        for (size_t i = 0; i < m->room; i++) {
                if (m->slots[i].value != NULL)
                        slots[seek(&m->key, slots, room, m->slots[i].key)] = m->slots[i];
        }
        mem_free(m->slots);
        m->slots = slots;
        m->room = room;
}

void *map_put(Map *m, Str key, void *value)
{
        MapSlot *slot;
        void *was;

        INSIST(value != NULL);
        if (m->n + 1 > m->room - m->room / 4)
                grow(m);
        slot = &m->slots[seek(&m->key, m->slots, m->room, key)];
        was = slot->value;
        if (was == NULL)
                m->n++;
        *slot = (MapSlot){key, value};
        return was;
}

void *map_get(const Map *m, Str key)
{
        return m->n > 0 ? m->slots[seek(&m->key, m->slots, m->room, key)].value : NULL;
}

void *map_remove(Map *m, Str key)
{
        size_t mask = m->room - 1, hole;
        void *was;

        if (m->n == 0)
                return NULL;
        hole = seek(&m->key, m->slots, m->room, key);
        was = m->slots[hole].value;
        if (was == NULL)
                return NULL;
        for (size_t i = (hole + 1) & mask; m->slots[i].value != NULL; i = (i + 1) & mask) {
                size_t home = (size_t)hash_str(&m->key, m->slots[i].key) & mask;

                /* It may move to the hole unless its home lies behind the hole. */
                if (((i - home) & mask) >= ((i - hole) & mask)) {
                        m->slots[hole] = m->slots[i];
                        hole = i;
                }
        }
        m->slots[hole] = (MapSlot){0};
        m->n--;
        return was;
}

void map_each(const Map *m, MapEach *fn, void *ctx)
{
        for (size_t i = 0; i < m->room; i++) {
                if (m->slots[i].value != NULL)
                        fn(ctx, m->slots[i].key, m->slots[i].value);
        }
}
