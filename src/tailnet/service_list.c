/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts: a name is "svc:" and a DNS label. `addrs` are one address of each family, in no promised
 * order. `ports` are "tcp:443", "tcp:80-90" or "do-not-validate"; what they mean is discovery's. A
 * host serves where it is approved ("approved:auto", "approved:manual") and says "ready".
 */
#include "tailnet/service_list.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "model/cidr.h"
#include "model/value_check.h"
#include "proto/json.h"

enum {
        PORTS_MAX = 256, /* of one Service; what is beyond is left out */
        TAGS_MAX = 64,
        TEXT_MAX = 256,              /* of a port, a tag, an id */
        HOSTS_MEMORY_MAX = 32 << 20, /* nodes and strings of SERVICE_HOSTS_BYTES_MAX */
        LOCAL_MEMORY_MAX = 64 << 20, /* the same of SERVICE_LOCAL_BYTES_MAX */
        LIST_ROOM_MIN = 16,
};

/* What the members of a Service are called. */
typedef struct Keys {
        Str name, addrs, ports, tags;
} Keys;

struct ServiceList {
        JsonStream *stream; /* owned */
        const Keys *keys;
        const void **leaves; /* owned, each with one reference */
        size_t n, room, n_seen;
        const void **garbled; /* owned, each with one reference; of them the name alone */
        size_t n_garbled;
        uint64_t n_invalid;
        char why[200];
};

/* --- one Service --- */

static Str clean(Str s, size_t max)
{
        s = str_trim(s);
        return s.n <= max && str_is_printable_utf8(s) ? s : (Str){0};
}

/* Adds to `n` sorted strings, each once; returns how many there are then. */
static size_t insert(Str *at, size_t n, size_t max, Str s)
{
        size_t i = n;

        if (s.n == 0 || strlist_has((StrList){at, n}, s))
                return n;
        /* Of too many the same ones stay in any order: the lowest. */
        if (n == max && str_cmp(at[n - 1], s) < 0)
                return n;
        if (n == max)
                i = --n;
        for (; i > 0 && str_cmp(at[i - 1], s) > 0; i--)
                at[i] = at[i - 1];
        at[i] = s;
        return n + 1;
}

static const Tree *list_of(const Tree *object, Str key)
{
        const Tree *node = tree_get(object, key);

        return node != NULL && node->type == TREE_ARRAY ? node : NULL;
}

static bool is_other_than_list(const Tree *object, Str key)
{
        const Tree *node = tree_get(object, key);

        return node != NULL && node->type != TREE_NULL && node->type != TREE_ARRAY;
}

static StrList read_texts(const Tree *array, size_t max, Arena *arena, bool are_tags)
{
        Str *at = arena_new_array(arena, max, sizeof(*at));
        char expected[EXPECTED_MAX];
        size_t n = 0;

        TREE_FOREACH (node, array) {
                Str s = clean(tree_str(node), TEXT_MAX);

                if (!are_tags || check_tag(s, expected))
                        n = insert(at, n, max, s);
        }
        return (StrList){at, n};
}

/* By family; of several in one the lowest, since their order is not promised. */
static void read_addresses(const Tree *array, Arena *arena, TailnetService *s)
{
        char text[IP_TEXT];
        IpAddr best[2];
        bool has[2] = {false, false};

        TREE_FOREACH (node, array) {
                IpAddr a;
                unsigned family;

                if (!ip_parse(tree_str(node), &a))
                        continue;
                family = ip_is_v4(&a) ? 0 : 1;
                if (!has[family] || memcmp(a.b, best[family].b, sizeof(a.b)) < 0)
                        best[family] = a;
                has[family] = true;
        }
        if (has[0])
                s->ip4 = arena_str(arena, str_of(ip_format(&best[0], text)));
        if (has[1])
                s->ip6 = arena_str(arena, str_of(ip_format(&best[1], text)));
}

static Str lower(Arena *arena, Str s)
{
        char *p = arena_new(arena, s.n + 1);

        for (size_t i = 0; i < s.n; i++)
                p[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] - 'A' + 'a') : s.p[i];
        return str_make(p, s.n);
}

/* NULL, or what is wrong with it; the name is there where that is good. */
static const char *read_service(const Tree *e, const Keys *keys, Arena *arena, TailnetService *ret)
{
        char expected[EXPECTED_MAX];

        ret->name = lower(arena, clean(tree_get_str(e, keys->name), TEXT_MAX));
        ret->label = str_sub(ret->name, 4, SIZE_MAX);
        if (!str_starts(ret->name, STR("svc:")) || !check_label(ret->label, expected)) {
                ret->label = (Str){0};
                return "its name is not svc: and a DNS label";
        }
        if (is_other_than_list(e, keys->ports) || is_other_than_list(e, keys->tags))
                return "its ports or tags are no list";
        read_addresses(list_of(e, keys->addrs), arena, ret);
        if (ret->ip4.n == 0 && ret->ip6.n == 0)
                return "no usable address";
        ret->ports = read_texts(list_of(e, keys->ports), PORTS_MAX, arena, false);
        ret->tags = read_texts(list_of(e, keys->tags), TAGS_MAX, arena, true);
        return NULL;
}

/* --- the list --- */

static void count_invalid(ServiceList *l, Str name, const char *why)
{
        if (l->n_invalid++ == 0)
                IGNORE(snprintf(l->why, sizeof(l->why), "Service \"%.*s\": %s",
                                STR_FMT(str_sub(name, 0, 80)), why),
                       "cut at its size");
}

static void note_garbled(ServiceList *l, const Tree *e, const TailnetService *s)
{
        const Tree *addrs = list_of(e, l->keys->addrs);

        /* To have no address at all is no garbage. */
        if (s->label.n == 0 || (addrs != NULL && addrs->n == 0))
                return;
        l->garbled = mem_resize(l->garbled, (l->n_garbled + 1) * sizeof(*l->garbled));
        l->garbled[l->n_garbled++] = tailnet_service_new(&(TailnetService){.name = s->name});
}

static bool on_service(void *ctx, const Tree *e, Err *err)
{
        ServiceList *l = ctx;
        TailnetService s = {0};
        const char *wrong;
        Arena arena;

        if (l->n_seen == TAILNET_SERVICES_MAX)
                return err_set(err, ERR_LIMIT, "TooManyServices", "more than %d Services",
                               TAILNET_SERVICES_MAX);
        l->n_seen++;
        arena_init(&arena, 0);
        wrong = read_service(e, l->keys, &arena, &s);
        if (wrong != NULL) {
                count_invalid(l, s.name, wrong);
                note_garbled(l, e, &s);
        } else {
                if (l->n == l->room) {
                        l->room = l->room > 0 ? l->room * 2 : LIST_ROOM_MIN;
                        l->leaves = mem_resize(l->leaves, l->room * sizeof(*l->leaves));
                }
                l->leaves[l->n++] = tailnet_service_new(&s);
        }
        arena_done(&arena);
        return true;
}

static const Str members[] = {STR_INIT("name"), STR_INIT("addrs"), STR_INIT("ports"),
                              STR_INIT("tags")};

/* That one of them must be there is seen at the end. */
static const JsonStreamPart parts[] = {
        {.name = STR_INIT("vipServices"),
         .take = JSON_STREAM_ELEMENTS_OR_NULL,
         .optional = true,
         .on_element = on_service,
         .keep = {members, LENGTH_OF(members)}},
        {.name = STR_INIT("services"),
         .take = JSON_STREAM_ELEMENTS_OR_NULL,
         .optional = true,
         .on_element = on_service,
         .keep = {members, LENGTH_OF(members)}},
};

ServiceList *service_list_new(void)
{
        static const Keys keys = {STR_INIT("name"), STR_INIT("addrs"), STR_INIT("ports"),
                                  STR_INIT("tags")};
        ServiceList *l = mem_new(sizeof(*l));

        l->keys = &keys;
        l->stream = json_stream_new_parts(parts, LENGTH_OF(parts), l);
        return l;
}

ServiceList *service_list_free(ServiceList *l)
{
        if (l == NULL)
                return NULL;
        json_stream_free(l->stream);
        for (size_t i = 0; i < l->n; i++)
                leaf_unref(l->leaves[i]);
        for (size_t i = 0; i < l->n_garbled; i++)
                leaf_unref(l->garbled[i]);
        mem_free(l->leaves);
        mem_free(l->garbled);
        return mem_free(l);
}

bool service_list_feed(ServiceList *l, Str bytes, Err *err)
{
        return json_stream_feed(l->stream, bytes, err);
}

static int cmp_strlists(StrList a, StrList b)
{
        for (size_t i = 0; i < a.n && i < b.n; i++) {
                int c = str_cmp(a.at[i], b.at[i]);

                if (c != 0)
                        return c;
        }
        return a.n < b.n ? -1 : a.n > b.n;
}

/* By name, then by everything: of two with one name the same is first in any order. */
static int cmp_leaves(const void *a, const void *b)
{
        const TailnetService *x = *(const TailnetService *const *)a;
        const TailnetService *y = *(const TailnetService *const *)b;
        const int c[] = {str_cmp(x->name, y->name), str_cmp(x->ip4, y->ip4),
                         str_cmp(x->ip6, y->ip6), cmp_strlists(x->ports, y->ports),
                         cmp_strlists(x->tags, y->tags)};

        for (size_t i = 0; i < LENGTH_OF(c); i++)
                if (c[i] != 0)
                        return c[i];
        return 0;
}

static void drop_duplicates(ServiceList *l)
{
        size_t n = 0;

        if (l->n > 0)
                qsort(l->leaves, l->n, sizeof(*l->leaves), cmp_leaves);
        for (size_t i = 0; i < l->n; i++) {
                const TailnetService *s = l->leaves[i];

                if (n > 0 && tailnet_service_order(l->leaves[n - 1], s) == 0) {
                        count_invalid(l, s->name, "another one has this name");
                        leaf_unref(s);
                } else {
                        l->leaves[n++] = s;
                }
        }
        l->n = n;
}

static bool finish(ServiceList *l, Err *err)
{
        drop_duplicates(l);
        if (l->n_garbled > 0)
                qsort(l->garbled, l->n_garbled, sizeof(*l->garbled), cmp_leaves);
        if (l->n == 0 && l->n_seen > 0)
                return err_set(err, ERR_INVALID, "InvalidService",
                               "none of %zu Services can be understood: %s", l->n_seen, l->why);
        return true;
}

bool service_list_finish(ServiceList *l, Err *err)
{
        if (!json_stream_finish(l->stream, err))
                return false;
        if (json_stream_has(l->stream, 0) == json_stream_has(l->stream, 1))
                return err_set(err, ERR_INVALID, "InvalidJson",
                               json_stream_has(l->stream, 0)
                                       ? "both \"vipServices\" and \"services\" in it"
                                       : "no list \"vipServices\" in it");
        return finish(l, err);
}

bool service_list_read_local(ServiceList *l, Str body, Err *err)
{
        static const Keys keys = {STR_INIT("Name"), STR_INIT("Addrs"), STR_INIT("Ports"),
                                  STR_INIT("Tags")};
        const Tree *doc;
        Arena arena;
        bool ok;

        l->keys = &keys;
        arena_init(&arena, LOCAL_MEMORY_MAX);
        doc = json_read(&arena, body, NULL, err);
        ok = doc != NULL;
        if (ok && doc->type != TREE_OBJECT && doc->type != TREE_NULL)
                ok = err_set(err, ERR_INVALID, "InvalidJson", "no object of Services");
        TREE_FOREACH (service, doc)
                ok = ok && on_service(l, service, err);
        arena_done(&arena);
        return ok && finish(l, err);
}

const void **service_list_take(ServiceList *l, size_t *ret_n)
{
        if (l->leaves == NULL)
                l->leaves = mem_new(sizeof(*l->leaves));
        *ret_n = l->n;
        l->n = l->room = 0;
        return TAKE(l->leaves);
}

bool service_list_was_null(const ServiceList *l)
{
        return json_stream_was_null(l->stream, 0) || json_stream_was_null(l->stream, 1);
}

static int find_garbled(const void *key, const void *leaf)
{
        const Str *name = key;

        return str_cmp(*name, (*(const TailnetService *const *)leaf)->name);
}

bool service_list_has_garbled(const ServiceList *l, Str name)
{
        return l->n_garbled > 0 &&
               bsearch(&name, l->garbled, l->n_garbled, sizeof(*l->garbled), find_garbled) != NULL;
}

uint64_t service_list_invalid(const ServiceList *l, const char **ret_why)
{
        *ret_why = l->why;
        return l->n_invalid;
}

/* --- hosts --- */

/* A name, and the two that decide; what stands there that is no text is garbage. */
static bool is_understood(const Tree *host, Str *ret_id)
{
        const Tree *approval = tree_get(host, STR("approvalLevel"));
        const Tree *configured = tree_get(host, STR("configured"));

        *ret_id = clean(tree_get_str(host, STR("stableNodeID")), TEXT_MAX);
        return ret_id->n > 0 && approval != NULL && approval->type == TREE_STRING &&
               (configured == NULL || configured->type == TREE_STRING);
}

static bool serves(const Tree *host)
{
        return str_starts(tree_get_str(host, STR("approvalLevel")), STR("approved:")) &&
               str_eq(tree_get_str(host, STR("configured")), STR("ready"));
}

static TailnetService *with_hosts(const TailnetService *of, const Tree *array, Arena *arena,
                                  Err *err)
{
        Str *at = arena_new_array(arena, TAILNET_SERVICE_HOSTS_MAX, sizeof(*at)), id;
        size_t n = 0, n_understood = 0;
        TailnetService s = *of;

        TREE_FOREACH (host, array) {
                bool understood = is_understood(host, &id);

                n_understood += understood;
                if (understood ? serves(host) : strlist_has(of->hosts, id))
                        n = insert(at, n, TAILNET_SERVICE_HOSTS_MAX, id);
        }
        if (array->n > 0 && n_understood == 0) {
                err_set(err, ERR_INVALID, "InvalidHost", "none of %zu hosts can be understood",
                        array->n);
                return NULL;
        }
        s.hosts_known = true;
        s.hosts = (StrList){at, n};
        s.n_hosts = array->n;
        return tailnet_service_new(&s);
}

TailnetService *service_list_read_hosts(const TailnetService *of, Str body, Err *err)
{
        TailnetService *s = NULL;
        const Tree *doc, *hosts;
        Arena arena;

        arena_init(&arena, HOSTS_MEMORY_MAX);
        doc = json_read(&arena, body, NULL, err);
        hosts = tree_get(doc, STR("hosts"));
        if (hosts != NULL && hosts->type == TREE_NULL && of->hosts.n > 0)
                err_set(err, ERR_INVALID, "InvalidJson", "\"hosts\" is null, and there were %zu",
                        of->hosts.n);
        else if (hosts != NULL && (hosts->type == TREE_ARRAY || hosts->type == TREE_NULL))
                s = with_hosts(of, hosts, &arena, err);
        else if (doc != NULL)
                err_set(err, ERR_INVALID, "InvalidJson", "no list \"hosts\" in it");
        arena_done(&arena);
        return s;
}
