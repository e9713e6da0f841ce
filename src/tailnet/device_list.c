/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts about the shapes: Tailscale API v2 (GET /tailnet/{t}/devices), Headscale API v1 (GET
 * /node), and the state of a tailscaled (GET /localapi/v0/status), as their servers answer.
 *
 *  - Tailscale leaves out lastSeen while connectedToControl is true, and servers that know neither
 *    field leave both out for a device that is online.
 *  - Headscale says `online` itself. Its lastSeen moves with every keep-alive, so it is not kept
 *    for a device that is online: the leaf would change with every poll, and tell nothing.
 *  - A time in year 1 means that there is none.
 *  - A tailscaled names users by a number; their login names stand at the end of its state. Exit
 *    nodes that are offered by place (Mullvad's), and peers that the netmap does not have any more,
 *    are among its peers and are no devices of a tailnet.
 */
#include "tailnet/device_list.h"

#include <stdlib.h>

#include "base/mem.h"
#include "model/cidr.h"
#include "model/value_check.h"

enum {
        DEVICE_ID_MAX = 128,   /* a nodeId has some 20 bytes */
        DEVICE_NAME_MAX = 253, /* of a DNS name, RFC 1035 */
        DEVICE_TEXT_MAX = 256, /* os, user */
        DEVICE_TAGS_MAX = 64,  /* that one entry of a TailscaleEndpoints holds */
        LIST_ROOM_MIN = 64,
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
        const void **fresh;   /* owned, each with one reference: devices that `before` has not */
        size_t n_fresh, room;
        Arena arena; /* of the device at hand */
        size_t n_seen;
        uint64_t n_invalid;
        Err first; /* why the first invalid one is */
};

/* Every member that read_tailscale and the others look at: the rest is not even built. */
static const Str tailscale_members[] = {
        STR_INIT("addresses"),
        STR_INIT("authorized"),
        STR_INIT("blocksIncomingConnections"),
        STR_INIT("connectedToControl"),
        STR_INIT("expires"),
        STR_INIT("id"),
        STR_INIT("isExternal"),
        STR_INIT("keyExpiryDisabled"),
        STR_INIT("lastSeen"),
        STR_INIT("name"),
        STR_INIT("nodeId"),
        STR_INIT("os"),
        STR_INIT("tags"),
        STR_INIT("tailnetLockError"),
        STR_INIT("user"),
};
static const Str headscale_members[] = {
        STR_INIT("expiry"),   STR_INIT("givenName"), STR_INIT("id"),   STR_INIT("ipAddresses"),
        STR_INIT("lastSeen"), STR_INIT("online"),    STR_INIT("tags"), STR_INIT("user"),
};

static const Str local_members[] = {
        STR_INIT("DNSName"),      STR_INIT("ExitNodeOption"), STR_INIT("Expired"),
        STR_INIT("ID"),           STR_INIT("InNetworkMap"),   STR_INIT("KeyExpiry"),
        STR_INIT("LastSeen"),     STR_INIT("Location"),       STR_INIT("OS"),
        STR_INIT("Online"),       STR_INIT("ShareeNode"),     STR_INIT("Tags"),
        STR_INIT("TailscaleIPs"), STR_INIT("UserID"),
};

const JsonStreamPart *device_list_part(DeviceShape shape)
{
        static const JsonStreamPart parts[] = {
                [DEVICE_SHAPE_TAILSCALE] = {.name = STR_INIT("devices"),
                                            .on_element = device_list_add,
                                            .keep = {tailscale_members,
                                                     LENGTH_OF(tailscale_members)}},
                [DEVICE_SHAPE_HEADSCALE] = {.name = STR_INIT("nodes"),
                                            .on_element = device_list_add,
                                            .keep = {headscale_members,
                                                     LENGTH_OF(headscale_members)}},
                [DEVICE_SHAPE_LOCAL] = {.name = STR_INIT("Peer"),
                                        .take = JSON_STREAM_MEMBERS,
                                        .on_element = device_list_add,
                                        .keep = {local_members, LENGTH_OF(local_members)}},
        };

        return &parts[shape];
}

/* The place of that id, or the free one where it would go. */
static uint32_t *seek_place(const DeviceList *l, Str id)
{
        size_t i = (size_t)str_hash(id);

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
        mem_free(l->fresh);
        table_unref(l->before);
        arena_done(&l->arena);
        mem_free(l->suffix);
        return mem_free(l);
}

/* --- one device --- */

/* A text that may be shown and compared, or nothing. */
static Str clean(Str s, size_t max)
{
        s = str_trim(s);
        return s.n <= max && str_is_printable_utf8(s) ? s : (Str){0};
}

static Str lower(Arena *arena, Str s)
{
        char *p = arena_new(arena, s.n + 1);

        for (size_t i = 0; i < s.n; i++)
                p[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] + ('a' - 'A')) : s.p[i];
        return str_make(p, s.n);
}

/* Ids are strings; a number is taken for the text that it is. */
static Str read_id(const Tree *e, Str key)
{
        const Tree *node = tree_get(e, key);

        if (node == NULL || (node->type != TREE_STRING && node->type != TREE_NUMBER))
                return (Str){0};
        return clean(node->text, DEVICE_ID_MAX);
}

static void read_name(const DeviceList *l, Arena *arena, Str name, Device *d)
{
        Str rest;

        name = clean(name, DEVICE_NAME_MAX);
        if (name.n > 0 && name.p[name.n - 1] == '.')
                name.n--;
        name = lower(arena, name);
        rest = name;
        /* Without a dot all of it is the first label. */
        IGNORE(str_cut(&rest, '.', &d->short_name), "gives the whole where there is no dot");
        d->name = name;
        /* One that would be too long is no name of DNS, whatever the server calls the device. */
        if (name.n > 0 && str_find(name, '.') < 0 && l->suffix_str.n > 0 &&
            name.n + 1 + l->suffix_str.n <= DEVICE_NAME_MAX)
                d->name = arena_printf(arena, "%.*s.%.*s", STR_FMT(name), STR_FMT(l->suffix_str));
}

/* The order of addresses is not promised, so it must not matter: of several in one family one of
 * the tailnets' own ranges is taken first, then the lowest. */
static bool is_better(const IpAddr *a, const IpAddr *b)
{
        bool a_own = ip_is_tailnet(a), b_own = ip_is_tailnet(b);

        return a_own != b_own ? a_own : memcmp(a->b, b->b, sizeof(a->b)) < 0;
}

static void read_addresses(const Tree *array, Arena *arena, Device *d)
{
        IpAddr best[2];
        bool has[2] = {false, false};
        char text[IP_TEXT];

        if (array != NULL && array->type != TREE_ARRAY)
                return;
        TREE_FOREACH (node, array) {
                IpAddr a;

                if (!ip_parse(tree_str(node), &a))
                        continue;
                unsigned family = ip_is_v4(&a) ? 0 : 1;
                if (!has[family] || is_better(&a, &best[family]))
                        best[family] = a;
                has[family] = true;
        }
        if (has[0])
                d->ip4 = arena_str(arena, str_of(ip_format(&best[0], text)));
        if (has[1])
                d->ip6 = arena_str(arena, str_of(ip_format(&best[1], text)));
}

/* Sorted, each once. What is no tag is left out: no rule can name it, and it could not be read back
 * from the TailscaleEndpoints. */
static void read_tags(const Tree *array, Arena *arena, Device *d)
{
        StrList all = array != NULL && array->type == TREE_ARRAY ? tree_strlist(array, arena)
                                                                 : (StrList){0};
        size_t max = all.n < DEVICE_TAGS_MAX ? all.n : DEVICE_TAGS_MAX, n = 0;
        Str *tags = arena_new_array(arena, max, sizeof(*tags));
        char expected[EXPECTED_MAX];

        for (size_t i = 0; i < all.n && n < max; i++) {
                Str tag = clean(all.at[i], DEVICE_TEXT_MAX);
                size_t at = n;

                if (!check_tag(tag, expected) || strlist_has((StrList){tags, n}, tag))
                        continue;
                for (; at > 0 && str_cmp(tags[at - 1], tag) > 0; at--)
                        tags[at] = tags[at - 1];
                tags[at] = tag;
                n++;
        }
        d->tags = (StrList){tags, n};
}

static Wall read_time(const Tree *e, Str key)
{
        Wall t;

        return wall_parse(tree_get_str(e, key), &t) ? t : (Wall){0};
}

static void read_tailscale(const DeviceList *l, const Tree *e, Arena *arena, Device *d)
{
        const Tree *connected = tree_get(e, STR("connectedToControl"));
        Str lock = tree_get_str(e, STR("tailnetLockError"));

        d->node_id = read_id(e, STR("nodeId"));
        if (d->node_id.n == 0)
                d->node_id = read_id(e, STR("id"));
        read_name(l, arena, tree_get_str(e, STR("name")), d);
        read_addresses(tree_get(e, STR("addresses")), arena, d);
        d->os = clean(tree_get_str(e, STR("os")), DEVICE_TEXT_MAX);
        d->user = clean(tree_get_str(e, STR("user")), DEVICE_TEXT_MAX);
        d->last_seen = read_time(e, STR("lastSeen"));
        if (connected != NULL && connected->type == TREE_BOOL)
                d->online = connected->boolean ? DEVICE_ONLINE : DEVICE_OFFLINE;
        else if (d->last_seen.ms == 0)
                d->online = DEVICE_ONLINE;
        if (!tree_get_bool(e, STR("keyExpiryDisabled"), false))
                d->expires = read_time(e, STR("expires"));
        d->authorized = tree_get_bool(e, STR("authorized"), true);
        d->external = tree_get_bool(e, STR("isExternal"), false);
        d->blocks_incoming = tree_get_bool(e, STR("blocksIncomingConnections"), false);
        if (lock.n > 0)
                d->lock_error = clean(lock, DEVICE_TEXT_MAX).n > 0 ? clean(lock, DEVICE_TEXT_MAX)
                                                                   : STR("not signed");
}

static void read_headscale(const DeviceList *l, const Tree *e, Arena *arena, Device *d)
{
        const Tree *online = tree_get(e, STR("online"));

        d->node_id = read_id(e, STR("id"));
        read_name(l, arena, tree_get_str(e, STR("givenName")), d);
        read_addresses(tree_get(e, STR("ipAddresses")), arena, d);
        d->user = clean(tree_get_str(tree_get(e, STR("user")), STR("name")), DEVICE_TEXT_MAX);
        d->last_seen = read_time(e, STR("lastSeen"));
        if (online != NULL && online->type == TREE_BOOL)
                d->online = online->boolean ? DEVICE_ONLINE : DEVICE_OFFLINE;
        d->expires = read_time(e, STR("expiry"));
        d->authorized = true;
}

/* Whatever its date says: the clocks need not agree, and there may be no date. */
static Wall read_key_expiry(const Tree *e)
{
        static const Wall long_ago = {1};

        return tree_get_bool(e, STR("Expired"), false) ? long_ago : read_time(e, STR("KeyExpiry"));
}

/* The user is its number until device_list_complete. */
static void read_local(const DeviceList *l, const Tree *e, Arena *arena, Device *d)
{
        const Tree *online = tree_get(e, STR("Online"));

        d->node_id = read_id(e, STR("ID"));
        read_name(l, arena, tree_get_str(e, STR("DNSName")), d);
        read_addresses(tree_get(e, STR("TailscaleIPs")), arena, d);
        d->os = clean(tree_get_str(e, STR("OS")), DEVICE_TEXT_MAX);
        d->user = read_id(e, STR("UserID"));
        d->last_seen = read_time(e, STR("LastSeen"));
        if (online != NULL && online->type == TREE_BOOL)
                d->online = online->boolean ? DEVICE_ONLINE : DEVICE_OFFLINE;
        d->expires = read_key_expiry(e);
        d->authorized = true; /* else it would not be in the netmap */
        /* A device of somebody with whom one of ours was shared: it may call, and is not called. */
        d->external = d->blocks_incoming = tree_get_bool(e, STR("ShareeNode"), false);
}

static bool is_no_device(const DeviceList *l, const Tree *e)
{
        const Tree *place = tree_get(e, STR("Location"));

        return l->shape == DEVICE_SHAPE_LOCAL && (!tree_get_bool(e, STR("InNetworkMap"), true) ||
                                                  (place != NULL && place->type == TREE_OBJECT &&
                                                   tree_get_bool(e, STR("ExitNodeOption"), false)));
}

static const char *what_is_missing(const Device *d)
{
        if (d->node_id.n == 0)
                return "no usable id";
        if (d->short_name.n == 0)
                return "no usable name";
        if (d->ip4.n == 0 && d->ip6.n == 0)
                return "no usable address";
        return NULL;
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
        int x = (int)a->online << 3 | a->authorized << 2 | a->external << 1 | a->blocks_incoming;
        int y = (int)b->online << 3 | b->authorized << 2 | b->external << 1 | b->blocks_incoming;

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

/* --- the list --- */

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

bool device_list_add(void *ctx, const Tree *element, Err *err)
{
        DeviceList *l = ctx;
        Device d = {0};
        const char *missing;

        if (is_no_device(l, element))
                return true;
        if (l->n_seen == TAILNET_DEVICES_MAX)
                return err_set(err, ERR_LIMIT, "TooManyDevices", "more than %d devices",
                               TAILNET_DEVICES_MAX);
        l->n_seen++;
        if (l->shape == DEVICE_SHAPE_HEADSCALE)
                read_headscale(l, element, &l->arena, &d);
        else if (l->shape == DEVICE_SHAPE_LOCAL)
                read_local(l, element, &l->arena, &d);
        else
                read_tailscale(l, element, &l->arena, &d);
        read_tags(tree_get(element, l->shape == DEVICE_SHAPE_LOCAL ? STR("Tags") : STR("tags")),
                  &l->arena, &d);
        if (d.online == DEVICE_ONLINE)
                d.last_seen = (Wall){0};
        missing = what_is_missing(&d);
        if (missing == NULL)
                keep(l, &d);
        else
                count_invalid(l, &d, missing);
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

        whole.user = clean(login, DEVICE_TEXT_MAX);
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
        n = merge(l, all);
        ret->n_invalid = l->n_invalid;
        ret->err = l->first;
        if (n == 0 && l->n_seen > 0) {
                ret->err.kind = ERR_INVALID;
                err_prefix(&ret->err, "none of %zu devices can be understood", l->n_seen);
                return;
        }
        ret->devices = table_update(l->before, all, n, device_order, device_same);
}
