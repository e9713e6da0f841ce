/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants:
 * 1. A device is in `fresh` or in `known`, by whether `before` has its id.
 * 2. What cannot be understood takes nothing away: a device of `before` that an element seems to
 *    be, by its id, else by its name, stays as it was, unless another element tells of it.
 */
#include "tailnet/device_list.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

enum {
        LIST_ROOM_MIN = 64
};

struct DeviceList {
        DeviceShape shape;
        char *suffix; /* owned */
        Str suffix_str;
        const Table *before;  /* one reference; may be NULL */
        const Device **known; /* owned; of each device of `before` what this list says of it, with
                                 one reference, or NULL */
        uint32_t *places;     /* owned; by hash of the id, open addressing: 1 + where it stands in
                                 `before`, or 0 */
        size_t n_places;      /* a power of two */
        HashKey hash;         /* of the places */
        bool *stays;        /* owned; of each of `before`: it is there, and cannot be understood */
        uint32_t *by_name;  /* owned; places in `before` sorted by name; NULL: not needed yet */
        const void **fresh; /* owned, each with one reference: devices that `before` has not */
        size_t n_fresh, room;
        Arena arena; /* of the device at hand */
        size_t n_seen, n_understood;
        uint64_t n_invalid;
        Err first; /* why the first invalid one is */
};

const JsonStreamPart *device_list_part(DeviceShape shape)
{
        static const JsonStreamPart parts[] = {
                [DEVICE_SHAPE_TAILSCALE] = {.name = STR_INIT("devices"),
                                            .on_element = device_list_add,
                                            .keep = {device_read_tailscale, DEVICE_READ_TAILSCALE}},
                [DEVICE_SHAPE_HEADSCALE] = {.name = STR_INIT("nodes"),
                                            .on_element = device_list_add,
                                            .keep = {device_read_headscale, DEVICE_READ_HEADSCALE}},
                [DEVICE_SHAPE_LOCAL] = {.name = STR_INIT("Peer"),
                                        .take = JSON_STREAM_MEMBERS,
                                        .on_element = device_list_add,
                                        .keep = {device_read_local, DEVICE_READ_LOCAL}},
        };

        return &parts[shape];
}

/* The place of that id, or the free one where it would go. */
static uint32_t *seek_place(const DeviceList *l, Str id)
{
        size_t i = (size_t)hash_str(&l->hash, id);

        for (;; i++) {
                uint32_t *place = &l->places[i & (l->n_places - 1)];
                const Device *d = *place > 0 ? l->before->at[*place - 1] : NULL;

                if (d == NULL || str_eq(d->node_id, id))
                        return place;
        }
}

/* Half of the places stay free. */
static void note_places(DeviceList *l)
{
        l->hash = hash_key_new();
        l->n_places = 1;
        while (l->n_places < 2 * table_n(l->before))
                l->n_places *= 2;
        l->places = mem_new_array(l->n_places, sizeof(*l->places));
        for (size_t i = 0; i < table_n(l->before); i++)
                *seek_place(l, ((const Device *)l->before->at[i])->node_id) = (uint32_t)i + 1;
}

DeviceList *device_list_new(DeviceShape shape, Str suffix, const Table *before)
{
        DeviceList *l = mem_new(sizeof(*l));

        l->shape = shape;
        l->suffix = mem_new(suffix.n + 1);
        if (suffix.n > 0)
                memcpy(l->suffix, suffix.p, suffix.n);
        l->suffix_str = str_make(l->suffix, suffix.n);
        l->before = table_ref(before);
        l->known = mem_new_array(table_n(before), sizeof(*l->known));
        l->stays = mem_new_array(table_n(before), sizeof(*l->stays));
        note_places(l);
        arena_init(&l->arena, 0);
        return l;
}

DeviceList *device_list_free(DeviceList *l)
{
        if (l == NULL)
                return NULL;
        for (size_t i = 0; i < table_n(l->before); i++)
                leaf_unref(l->known[i]);
        for (size_t i = 0; i < l->n_fresh; i++)
                leaf_unref(l->fresh[i]);
        mem_free(l->known);
        mem_free(l->places);
        mem_free(l->stays);
        mem_free(l->by_name);
        mem_free(l->fresh);
        table_unref(l->before);
        arena_done(&l->arena);
        mem_free(l->suffix);
        return mem_free(l);
}

/* --- which of two --- */

static void count_invalid(DeviceList *l, const Device *d, const char *why)
{
        if (l->n_invalid++ > 0)
                return;
        err_set(&l->first, ERR_NONE, "InvalidDevice", "device \"%.*s\" (id \"%.*s\"): %s",
                STR_FMT(d->name), STR_FMT(d->node_id), why);
}

static int cmp_tags(StrList a, StrList b)
{
        for (size_t i = 0; i < a.n && i < b.n; i++) {
                int c = str_cmp(a.at[i], b.at[i]);

                if (c != 0)
                        return c;
        }
        return a.n < b.n ? -1 : a.n > b.n;
}

static int cmp_i64(int64_t a, int64_t b)
{
        return a < b ? -1 : a > b;
}

static int cmp_flags(const Device *a, const Device *b)
{
        int x = (int)a->online << 5 | a->authorized << 4 | a->external << 3 |
                a->blocks_incoming << 2 | a->multiple_connections << 1 | a->still_valid;
        int y = (int)b->online << 5 | b->authorized << 4 | b->external << 3 |
                b->blocks_incoming << 2 | b->multiple_connections << 1 | b->still_valid;

        return x - y;
}

/* By id, then by everything: equal only where nothing that we use differs. */
static int total_order(const Device *x, const Device *y)
{
        const int c[] = {str_cmp(x->node_id, y->node_id),
                         str_cmp(x->name, y->name),
                         str_cmp(x->short_name, y->short_name),
                         str_cmp(x->ip4, y->ip4),
                         str_cmp(x->ip6, y->ip6),
                         str_cmp(x->os, y->os),
                         str_cmp(x->user, y->user),
                         cmp_tags(x->tags, y->tags),
                         cmp_i64(x->last_seen.ms, y->last_seen.ms),
                         cmp_i64(x->expires.ms, y->expires.ms),
                         cmp_flags(x, y),
                         str_cmp(x->lock_error, y->lock_error)};

        for (size_t i = 0; i < LENGTH_OF(c); i++)
                if (c[i] != 0)
                        return c[i];
        return 0;
}

/* Two devices have one id. */
static bool is_before(DeviceList *l, const Device *a, const Device *b)
{
        bool first = total_order(a, b) < 0;

        count_invalid(l, first ? b : a, "another device has this id");
        return first;
}

/* --- what is understood --- */

static void add_fresh(DeviceList *l, const Device *d)
{
        if (l->n_fresh == l->room) {
                l->room = l->room > 0 ? l->room * 2 : LIST_ROOM_MIN;
                l->fresh = mem_resize(l->fresh, l->room * sizeof(*l->fresh));
        }
        l->fresh[l->n_fresh++] = device_new(d);
}

static void keep(DeviceList *l, const Device *d)
{
        uint32_t place = *seek_place(l, d->node_id);
        const Device *old, **known;

        if (place == 0) {
                add_fresh(l, d);
                return;
        }
        old = l->before->at[place - 1];
        known = &l->known[place - 1];
        if (*known != NULL && !is_before(l, d, *known))
                return;
        leaf_unref(*known);
        *known = device_same(old, d) ? leaf_ref(old) : device_new(d);
}

/* --- what cannot be understood --- */

static int cmp_names(const void *a, const void *b, void *ctx)
{
        const uint32_t *x = a, *y = b;
        const DeviceList *l = ctx;
        const Device *d = l->before->at[*x], *e = l->before->at[*y];
        int c = str_cmp(d->name, e->name);

        return c != 0 ? c : str_cmp(d->node_id, e->node_id);
}

static void sort_by_name(DeviceList *l)
{
        size_t n = table_n(l->before);

        l->by_name = mem_new_array(n, sizeof(*l->by_name));
        for (size_t i = 0; i < n; i++)
                l->by_name[i] = (uint32_t)i;
        if (n > 0)
                qsort_r(l->by_name, n, sizeof(*l->by_name), cmp_names, l);
}

/* Where in `before` the first one of that name is, or -1. */
static ptrdiff_t find_name(DeviceList *l, Str name)
{
        size_t from = 0, to = table_n(l->before);

        if (l->by_name == NULL)
                sort_by_name(l);
        while (from < to) {
                size_t middle = from + (to - from) / 2;
                const Device *d = l->before->at[l->by_name[middle]];

                if (str_cmp(d->name, name) < 0)
                        from = middle + 1;
                else
                        to = middle;
        }
        if (from == table_n(l->before))
                return -1;
        return str_eq(((const Device *)l->before->at[l->by_name[from]])->name, name)
                       ? (ptrdiff_t)l->by_name[from]
                       : -1;
}

static void let_stay(DeviceList *l, const Device *d)
{
        ptrdiff_t at = -1;

        if (d->node_id.n > 0)
                at = (ptrdiff_t)*seek_place(l, d->node_id) - 1;
        else if (d->name.n > 0)
                at = find_name(l, d->name);
        if (at >= 0)
                l->stays[at] = true;
}

/* --- the list --- */

bool device_list_add(void *ctx, const Tree *element, Err *err)
{
        DeviceList *l = ctx;
        Device d = {0};
        const char *wrong;

        if (device_read_is_none(l->shape, element))
                return true;
        if (l->n_seen == TAILNET_DEVICES_MAX)
                return err_set(err, ERR_LIMIT, "TooManyDevices", "more than %d devices",
                               TAILNET_DEVICES_MAX);
        l->n_seen++;
        wrong = device_read(l->shape, l->suffix_str, element, &l->arena, &d);
        if (wrong == NULL) {
                l->n_understood++;
                keep(l, &d);
        } else {
                count_invalid(l, &d, wrong);
                if (!device_read_has_no_address(l->shape, element))
                        let_stay(l, &d);
        }
        arena_reset(&l->arena);
        return true;
}

static int cmp_leaves(const void *a, const void *b)
{
        const Device *x = *(const Device *const *)a, *y = *(const Device *const *)b;
        int c = device_order(x, y);

        return c != 0 ? c : total_order(x, y);
}

/* Sorts the fresh ones, and leaves those that are the first of their id. */
static void sort_fresh(DeviceList *l)
{
        size_t n = 0;

        if (l->n_fresh > 0)
                qsort(l->fresh, l->n_fresh, sizeof(*l->fresh), cmp_leaves);
        for (size_t i = 0; i < l->n_fresh; i++) {
                if (n > 0 && device_order(l->fresh[n - 1], l->fresh[i]) == 0) {
                        count_invalid(l, l->fresh[i], "another device has this id");
                        leaf_unref(l->fresh[i]);
                } else {
                        l->fresh[n++] = l->fresh[i];
                }
        }
        l->n_fresh = n;
}

static bool is_below(Str name, Str suffix)
{
        return name.n > suffix.n + 1 && str_ends(name, suffix) &&
               name.p[name.n - suffix.n - 1] == '.';
}

/* The leaf that takes the place of `half`, whose reference is taken over. */
static Device *complete(const Device *half, Str suffix, Str login, const Device *old)
{
        Device whole = *half, *leaf;

        whole.user = device_read_text(login);
        if (suffix.n > 0 && str_find(half->name, '.') >= 0 && !is_below(half->name, suffix))
                whole.external = true;
        leaf = old != NULL && device_same(old, &whole) ? leaf_ref(old) : device_new(&whole);
        leaf_unref(half);
        return leaf;
}

void device_list_complete(DeviceList *l, Str suffix, DeviceListLogin *login, void *ctx)
{
        /* Which of two is taken does not depend on what is filled in here. */
        sort_fresh(l);
        for (size_t i = 0; i < table_n(l->before); i++)
                if (l->known[i] != NULL)
                        l->known[i] = complete(l->known[i], suffix, login(ctx, l->known[i]->user),
                                               l->before->at[i]);
        for (size_t i = 0; i < l->n_fresh; i++) {
                const Device *d = l->fresh[i];

                l->fresh[i] = complete(d, suffix, login(ctx, d->user), NULL);
        }
}

/* Moves known and fresh ones into one list by id; returns how many. */
static size_t merge(DeviceList *l, const void **ret)
{
        size_t n = 0, fresh = 0;

        for (size_t i = 0; i < table_n(l->before); i++) {
                if (l->known[i] == NULL && l->stays[i])
                        l->known[i] = leaf_ref(l->before->at[i]);
                if (l->known[i] == NULL)
                        continue;
                while (fresh < l->n_fresh && device_order(l->fresh[fresh], l->known[i]) < 0)
                        ret[n++] = l->fresh[fresh++];
                ret[n++] = l->known[i];
                l->known[i] = NULL;
        }
        while (fresh < l->n_fresh)
                ret[n++] = l->fresh[fresh++];
        l->n_fresh = 0;
        return n;
}

void device_list_finish(DeviceList *l, TailnetAnswer *ret)
{
        CLEANUP(mem_cleanup) const void **all = NULL;
        size_t n;

        sort_fresh(l);
        all = mem_new_array(table_n(l->before) + l->n_fresh, sizeof(*all));
        ret->n_invalid = l->n_invalid;
        ret->err = l->first;
        if (l->n_understood == 0 && l->n_seen > 0) {
                ret->err.kind = ERR_INVALID;
                err_prefix(&ret->err, "none of %zu devices can be understood", l->n_seen);
                return;
        }
        n = merge(l, all);
        ret->devices = table_update(l->before, all, n, device_order, device_same);
}
