/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_event.h"

#include <stdio.h>

#include "proto/json.h"
#include "proto/json_stream.h"
#include "proto/json_writer.h"

enum {
        CORE_BYTES_MAX = 16 << 10, /* each byte of five texts may be six in JSON */
};

static bool fits(Str s, size_t max)
{
        return s.n <= max && str_is_printable_utf8(s);
}

bool kube_object_id(const Tree *object, KubeObjectId *ret, Err *err)
{
        const Tree *meta = tree_get(object, STR("metadata"));
        KubeObjectId id = {.ns = tree_get_str(meta, STR("namespace")),
                           .name = tree_get_str(meta, STR("name")),
                           .uid = tree_get_str(meta, STR("uid")),
                           .version = tree_get_str(meta, STR("resourceVersion"))};

        if (id.name.n == 0 || !fits(id.name, 253) || !fits(id.ns, 63))
                return err_set(err, ERR_INVALID, "BadObject", "an object without a name");
        if (id.version.n == 0 || !fits(id.version, KUBE_VERSION_MAX) || !fits(id.uid, KUBE_UID_MAX))
                return err_set(err, ERR_INVALID, "BadObject",
                               "%.*s: no uid and resourceVersion as they should be",
                               STR_FMT(id.name));
        snprintf(id.key, sizeof(id.key), "%.*s%s%.*s", STR_FMT(id.ns), id.ns.n > 0 ? "/" : "",
                 STR_FMT(id.name));
        *ret = id;
        return true;
}

static bool read_bookmark(KubeEvent *e, Err *err)
{
        const Tree *meta = tree_get(e->object, STR("metadata"));

        e->id.version = tree_get_str(meta, STR("resourceVersion"));
        e->ends_list = str_eq(
                tree_get_str(tree_get(meta, STR("annotations")), STR("k8s.io/initial-events-end")),
                STR("true"));
        return (e->id.version.n > 0 && fits(e->id.version, KUBE_VERSION_MAX)) ||
               err_set(err, ERR_INVALID, "BadEvent", "a bookmark without resourceVersion");
}

static bool read_type(Str type, KubeEventType *ret, Err *err)
{
        static const struct {
                Str name;
                KubeEventType type;
        } types[] = {{STR_INIT("ADDED"), KUBE_EVENT_PUT},
                     {STR_INIT("MODIFIED"), KUBE_EVENT_PUT},
                     {STR_INIT("DELETED"), KUBE_EVENT_GONE},
                     {STR_INIT("BOOKMARK"), KUBE_EVENT_BOOKMARK},
                     {STR_INIT("ERROR"), KUBE_EVENT_ERROR}};

        for (size_t i = 0; i < LENGTH_OF(types); i++) {
                if (!str_eq(types[i].name, type))
                        continue;
                *ret = types[i].type;
                return true;
        }
        return err_set(err, ERR_INVALID, "BadEvent", "an event of an unknown type");
}

bool kube_event_read(Str line, Arena *arena, KubeEvent *ret, Err *err)
{
        const JsonLimits limits = {KUBE_EVENT_BYTES_MAX, KUBE_EVENT_NODES_MAX};
        const Tree *doc = json_read_within(arena, line, &limits, NULL, err);
        KubeEvent e = {.object = tree_get(doc, STR("object"))};

        if (doc == NULL)
                return err_prefix(err, "an event of a watch");
        if (!read_type(tree_get_str(doc, STR("type")), &e.type, err))
                return false;
        if (e.type == KUBE_EVENT_ERROR) {
                if (!kube_status_of(e.object, &e.status))
                        return err_set(err, ERR_INVALID, "BadEvent", "an error without a Status");
        } else if (!(e.type == KUBE_EVENT_BOOKMARK ? read_bookmark(&e, err)
                                                   : kube_object_id(e.object, &e.id, err))) {
                return false;
        }
        *ret = e;
        return true;
}

/* --- what is too large --- */

static const Str core[] = {STR_INIT("name"), STR_INIT("namespace"), STR_INIT("uid"),
                           STR_INIT("resourceVersion"), STR_INIT("generation")};

StrList kube_event_core(void)
{
        return (StrList){core, LENGTH_OF(core)};
}

typedef struct Large {
        Arena *arena; /* of what outlives the stream */
        Str type;
        const Tree *object;
} Large;

static bool on_type(void *ctx, const Tree *type, Err *err)
{
        Large *l = ctx;

        (void)err;
        l->type = arena_str(l->arena, tree_str(type));
        return true;
}

static bool on_object(void *ctx, const Tree *object, Err *err)
{
        Large *l = ctx;
        const Tree *meta = tree_get(object, STR("metadata"));
        CLEANUP(buf_done) Buf text;
        JsonWriter w;

        buf_init(&text, CORE_BYTES_MAX);
        json_writer_init(&w, &text);
        json_object_begin(&w);
        json_key_object_begin(&w, STR("metadata"));
        for (size_t i = 0; i < LENGTH_OF(core); i++) {
                Str value = tree_get_str(meta, core[i]);

                if (value.n > 0)
                        json_key_str(&w, core[i], value);
        }
        json_object_end(&w);
        json_object_end(&w);
        l->object = json_read(l->arena, buf_str(&text), NULL, err);
        return l->object != NULL;
}

bool kube_event_read_large(Str line, Arena *arena, KubeEvent *ret, Err *err)
{
        Large l = {.arena = arena};
        /* Nothing is built of the object. */
        const JsonStreamPart parts[] = {
                {.name = STR("type"), .take = JSON_STREAM_WHOLE, .on_element = on_type},
                {.name = STR("object"),
                 .take = JSON_STREAM_WHOLE,
                 .on_element = on_object,
                 .on_large = on_object,
                 .core = STR("metadata"),
                 .core_keep = kube_event_core(),
                 .max = 1}};
        CLEANUP(json_stream_cleanup)
        JsonStream *s = json_stream_new_parts(parts, LENGTH_OF(parts), &l);
        KubeEvent e = {0};

        if (!json_stream_feed(s, line, err) || !json_stream_finish(s, err))
                return err_prefix(err, "an event of a watch");
        e.object = l.object;
        if (!read_type(l.type, &e.type, err) || !kube_object_id(l.object, &e.id, err))
                return false;
        if (e.type != KUBE_EVENT_PUT && e.type != KUBE_EVENT_GONE)
                return err_set(err, ERR_LIMIT, "TooLarge", "an event of no object is too large");
        *ret = e;
        return true;
}

void kube_lines_init(KubeLines *l)
{
        buf_init(&l->part, KUBE_EVENT_BYTES_MAX);
        l->given = false;
}

bool kube_lines_next(KubeLines *l, Str *bytes, Str *ret)
{
        Str line;

        if (l->given)
                buf_reset(&l->part);
        l->given = false;
        while (bytes->n > 0 && !l->part.failed) {
                ptrdiff_t end = str_find(*bytes, '\n');

                if (end < 0) {
                        buf_add_str(&l->part, *bytes);
                        *bytes = (Str){0};
                        return false;
                }
                line = str_sub(*bytes, 0, (size_t)end);
                *bytes = str_sub(*bytes, (size_t)end + 1, SIZE_MAX);
                if (l->part.n > 0) {
                        buf_add_str(&l->part, line);
                        line = buf_str(&l->part);
                        l->given = true;
                }
                if (l->part.failed)
                        return false;
                if (str_trim(line).n > 0) {
                        *ret = line;
                        return true;
                }
                if (l->given)
                        buf_reset(&l->part);
                l->given = false;
        }
        return false;
}
