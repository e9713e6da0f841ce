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
#include "tailnet/device_read.h"

#include "model/cidr.h"
#include "model/value_check.h"

enum {
        DEVICE_ID_MAX = 128,   /* a nodeId has some 20 bytes */
        DEVICE_NAME_MAX = 253, /* of a DNS name, RFC 1035 */
        DEVICE_TEXT_MAX = 256, /* os, user */
        DEVICE_TAGS_MAX = 64,  /* that one entry of a TailscaleEndpoints holds */
};

/* Every member that is looked at, by shape: the rest is not even built. */
const Str device_read_tailscale[DEVICE_READ_TAILSCALE] = {
        STR_INIT("addresses"),
        STR_INIT("authorized"),
        STR_INIT("blocksIncomingConnections"),
        STR_INIT("connectedToControl"),
        STR_INIT("expires"),
        STR_INIT("id"),
        STR_INIT("isExternal"),
        STR_INIT("keyExpiryDisabled"),
        STR_INIT("lastSeen"),
        STR_INIT("multipleConnections"),
        STR_INIT("name"),
        STR_INIT("nodeId"),
        STR_INIT("os"),
        STR_INIT("tags"),
        STR_INIT("tailnetLockError"),
        STR_INIT("user"),
};
const Str device_read_headscale[DEVICE_READ_HEADSCALE] = {
        STR_INIT("expiry"),   STR_INIT("givenName"), STR_INIT("id"),   STR_INIT("ipAddresses"),
        STR_INIT("lastSeen"), STR_INIT("online"),    STR_INIT("tags"), STR_INIT("user"),
};

const Str device_read_local[DEVICE_READ_LOCAL] = {
        STR_INIT("DNSName"),      STR_INIT("ExitNodeOption"), STR_INIT("Expired"),
        STR_INIT("ID"),           STR_INIT("InNetworkMap"),   STR_INIT("KeyExpiry"),
        STR_INIT("LastSeen"),     STR_INIT("Location"),       STR_INIT("OS"),
        STR_INIT("Online"),       STR_INIT("ShareeNode"),     STR_INIT("Tags"),
        STR_INIT("TailscaleIPs"), STR_INIT("UserID"),
};

/* What a member must be where it is there and not null. What else is wrong with id, name and
 * addresses is seen when they are read. */
typedef struct Expected {
        Str name;
        TreeType type;
} Expected;

static const Expected tailscale_types[] = {
        {STR_INIT("authorized"), TREE_BOOL},
        {STR_INIT("blocksIncomingConnections"), TREE_BOOL},
        {STR_INIT("connectedToControl"), TREE_BOOL},
        {STR_INIT("expires"), TREE_STRING},
        {STR_INIT("isExternal"), TREE_BOOL},
        {STR_INIT("keyExpiryDisabled"), TREE_BOOL},
        {STR_INIT("lastSeen"), TREE_STRING},
        {STR_INIT("multipleConnections"), TREE_BOOL},
        {STR_INIT("os"), TREE_STRING},
        {STR_INIT("tags"), TREE_ARRAY},
        {STR_INIT("tailnetLockError"), TREE_STRING},
        {STR_INIT("user"), TREE_STRING},
};
static const Expected headscale_types[] = {
        {STR_INIT("expiry"), TREE_STRING}, {STR_INIT("lastSeen"), TREE_STRING},
        {STR_INIT("online"), TREE_BOOL},   {STR_INIT("tags"), TREE_ARRAY},
        {STR_INIT("user"), TREE_OBJECT},
};
static const Expected local_types[] = {
        {STR_INIT("Expired"), TREE_BOOL},     {STR_INIT("InNetworkMap"), TREE_BOOL},
        {STR_INIT("KeyExpiry"), TREE_STRING}, {STR_INIT("LastSeen"), TREE_STRING},
        {STR_INIT("OS"), TREE_STRING},        {STR_INIT("Online"), TREE_BOOL},
        {STR_INIT("ShareeNode"), TREE_BOOL},  {STR_INIT("Tags"), TREE_ARRAY},
};

typedef struct Types {
        const Expected *at;
        size_t n;
} Types;

/* By type first: a list has many devices, and in most of them all is well. */
static const Expected *wrong_for(const Types *types, const Tree *node)
{
        for (size_t i = 0; i < types->n; i++)
                if (node->type != types->at[i].type && str_eq(node->key, types->at[i].name))
                        return &types->at[i];
        return NULL;
}

/* NULL, or what is of a wrong type. */
static const char *what_is_garbled(DeviceShape shape, const Tree *e, Arena *arena)
{
        static const Types types[] = {
                [DEVICE_SHAPE_TAILSCALE] = {tailscale_types, LENGTH_OF(tailscale_types)},
                [DEVICE_SHAPE_HEADSCALE] = {headscale_types, LENGTH_OF(headscale_types)},
                [DEVICE_SHAPE_LOCAL] = {local_types, LENGTH_OF(local_types)},
        };

        TREE_FOREACH (node, e) {
                const Expected *x = node->type == TREE_NULL ? NULL : wrong_for(&types[shape], node);

                if (x != NULL)
                        return arena_printf(arena, "%.*s is %s, expected %s", STR_FMT(x->name),
                                            tree_type_name(node->type), tree_type_name(x->type))
                                .p;
        }
        return NULL;
}

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

static void read_name(Str suffix, Arena *arena, Str name, Device *d)
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
        if (name.n > 0 && str_find(name, '.') < 0 && suffix.n > 0 &&
            name.n + 1 + suffix.n <= DEVICE_NAME_MAX)
                d->name = arena_printf(arena, "%.*s.%.*s", STR_FMT(name), STR_FMT(suffix));
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

static bool says_something(const Tree *node)
{
        return node != NULL && node->type != TREE_NULL &&
               (node->type != TREE_STRING || node->text.n > 0);
}

static void read_tailscale(Str suffix, const Tree *e, Arena *arena, Device *d)
{
        const Tree *connected = tree_get(e, STR("connectedToControl"));
        Str lock = tree_get_str(e, STR("tailnetLockError"));

        /* The older id is only for who has no other: half a device must not become another one. */
        d->node_id = read_id(e, STR("nodeId"));
        if (d->node_id.n == 0 && !says_something(tree_get(e, STR("nodeId"))))
                d->node_id = read_id(e, STR("id"));
        read_name(suffix, arena, tree_get_str(e, STR("name")), d);
        read_addresses(tree_get(e, STR("addresses")), arena, d);
        d->os = clean(tree_get_str(e, STR("os")), DEVICE_TEXT_MAX);
        d->user = clean(tree_get_str(e, STR("user")), DEVICE_TEXT_MAX);
        d->last_seen = read_time(e, STR("lastSeen"));
        d->multiple_connections = tree_get_bool(e, STR("multipleConnections"), false);
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

static void read_headscale(Str suffix, const Tree *e, Arena *arena, Device *d)
{
        const Tree *online = tree_get(e, STR("online"));

        d->node_id = read_id(e, STR("id"));
        read_name(suffix, arena, tree_get_str(e, STR("givenName")), d);
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
static void read_local(Str suffix, const Tree *e, Arena *arena, Device *d)
{
        const Tree *online = tree_get(e, STR("Online"));

        d->node_id = read_id(e, STR("ID"));
        read_name(suffix, arena, tree_get_str(e, STR("DNSName")), d);
        read_addresses(tree_get(e, STR("TailscaleIPs")), arena, d);
        d->os = clean(tree_get_str(e, STR("OS")), DEVICE_TEXT_MAX);
        d->user = read_id(e, STR("UserID"));
        d->last_seen = read_time(e, STR("LastSeen"));
        if (online != NULL && online->type == TREE_BOOL)
                d->online = online->boolean ? DEVICE_ONLINE : DEVICE_OFFLINE;
        d->expires = read_key_expiry(e);
        d->still_valid = !tree_get_bool(e, STR("Expired"), false);
        d->authorized = true; /* else it would not be in the netmap */
        /* A device of somebody with whom one of ours was shared: it may call, and is not called. */
        d->external = d->blocks_incoming = tree_get_bool(e, STR("ShareeNode"), false);
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

Str device_read_text(Str s)
{
        return clean(s, DEVICE_TEXT_MAX);
}

bool device_read_is_none(DeviceShape shape, const Tree *e)
{
        const Tree *place = tree_get(e, STR("Location"));

        return shape == DEVICE_SHAPE_LOCAL && (!tree_get_bool(e, STR("InNetworkMap"), true) ||
                                               (place != NULL && place->type == TREE_OBJECT &&
                                                tree_get_bool(e, STR("ExitNodeOption"), false)));
}

bool device_read_has_no_address(DeviceShape shape, const Tree *e)
{
        static const Str keys[] = {
                [DEVICE_SHAPE_TAILSCALE] = STR_INIT("addresses"),
                [DEVICE_SHAPE_HEADSCALE] = STR_INIT("ipAddresses"),
                [DEVICE_SHAPE_LOCAL] = STR_INIT("TailscaleIPs"),
        };
        const Tree *node = tree_get(e, keys[shape]);

        return node != NULL && node->type == TREE_ARRAY && node->n == 0;
}

const char *device_read(DeviceShape shape, Str suffix, const Tree *e, Arena *arena, Device *ret)
{
        const char *wrong = what_is_garbled(shape, e, arena);

        if (shape == DEVICE_SHAPE_HEADSCALE)
                read_headscale(suffix, e, arena, ret);
        else if (shape == DEVICE_SHAPE_LOCAL)
                read_local(suffix, e, arena, ret);
        else
                read_tailscale(suffix, e, arena, ret);
        read_tags(tree_get(e, shape == DEVICE_SHAPE_LOCAL ? STR("Tags") : STR("tags")), arena, ret);
        if (ret->online == DEVICE_ONLINE)
                ret->last_seen = (Wall){0};
        return wrong != NULL ? wrong : what_is_missing(ret);
}
