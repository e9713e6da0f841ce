/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file is read from the loop, in the turn after the poll was asked for: it is local, and bounded.
 * A file that is being written may be half there; half a JSON document is an error, and half a YAML
 * list is what the removal guard is for. Whoever writes a new file and renames it has neither.
 */
#include "tailnet/device_file.h"

#include <sys/stat.h>

#include "base/mem.h"
#include "io/file.h"
#include "io/watch.h"
#include "proto/json_stream.h"
#include "proto/yaml.h"
#include "tailnet/device_list.h"
#include "tailnet/tailnet_kind.h"

enum {
        /* Nodes and strings of a YAML document; its nodes alone are bounded by TREE_NODES_MAX. */
        YAML_MEMORY_MAX = 128 << 20,
};

typedef struct DeviceFile {
        TailnetSource source;
        Post read;
        DirWatch *watch;  /* owned */
        struct stat seen; /* at the last poll; zeroed: it was not there */
} DeviceFile;

/* --- the bytes --- */

/* False, with nothing in `ret` but the error, where not one element of that list was found. */
static bool parse_json(Str bytes, Str suffix, DeviceShape shape, const Table *before,
                       TailnetAnswer *ret)
{
        DeviceList *list = device_list_new(shape, suffix, before);
        CLEANUP(json_stream_cleanup)
        JsonStream *stream = json_stream_new_parts(device_list_part(shape), 1, list);
        bool ok =
                json_stream_feed(stream, bytes, &ret->err) && json_stream_finish(stream, &ret->err);
        bool is_other = !ok && json_stream_count(stream) == 0;

        if (ok)
                device_list_finish(list, ret);
        device_list_free(list);
        return !is_other;
}

static void parse_any_json(Str bytes, Str suffix, const Table *before, TailnetAnswer *ret)
{
        TailnetAnswer other = {0};

        if (parse_json(bytes, suffix, DEVICE_SHAPE_TAILSCALE, before, ret))
                return;
        if (parse_json(bytes, suffix, DEVICE_SHAPE_HEADSCALE, before, &other))
                *ret = other;
}

static void add_all(const Tree *array, DeviceShape shape, Str suffix, const Table *before,
                    TailnetAnswer *ret)
{
        DeviceList *list = device_list_new(shape, suffix, before);
        bool ok = true;

        TREE_FOREACH (element, array)
                ok = ok && device_list_add(list, element, &ret->err);
        if (ok)
                device_list_finish(list, ret);
        device_list_free(list);
}

static const Tree *read_yaml(Yaml *yaml, Arena *arena, Err *err)
{
        TreeMark at = {0};
        const Tree *doc = NULL, *more = NULL;

        if (!yaml_next(yaml, arena, &doc, &at, err) ||
            (doc != NULL && !yaml_next(yaml, arena, &more, &at, err))) {
                err_prefix(err, "line %u, column %u", at.line, at.column);
                return NULL;
        }
        if (doc == NULL || more != NULL) {
                err_set(err, ERR_INVALID, "InvalidYaml", "one document is expected, found %s",
                        doc == NULL ? "none" : "several");
                return NULL;
        }
        return doc;
}

static void parse_yaml(Str bytes, Str suffix, const Table *before, TailnetAnswer *ret)
{
        static const DeviceShape shapes[] = {DEVICE_SHAPE_TAILSCALE, DEVICE_SHAPE_HEADSCALE};
        CLEANUP(yaml_cleanup) Yaml *yaml = NULL;
        const Tree *doc, *array = NULL;
        size_t i = 0;
        Arena arena;

        if (bytes.n > YAML_BYTES_MAX) {
                err_set(&ret->err, ERR_LIMIT, "TooLarge", "YAML of more than %d bytes",
                        YAML_BYTES_MAX);
                return;
        }
        arena_init(&arena, YAML_MEMORY_MAX);
        yaml = yaml_new(bytes);
        doc = read_yaml(yaml, &arena, &ret->err);
        for (; doc != NULL && array == NULL && i < LENGTH_OF(shapes); i++)
                array = tree_get(doc, device_list_part(shapes[i])->name);
        if (array != NULL && array->type == TREE_ARRAY)
                add_all(array, shapes[i - 1], suffix, before, ret);
        else if (doc != NULL)
                err_set(&ret->err, ERR_INVALID, "InvalidYaml",
                        "neither a list \"devices\" nor a list \"nodes\" in it");
        arena_done(&arena);
}

void device_file_parse(Str bytes, Str suffix, const Table *before, TailnetAnswer *ret)
{
        if (str_starts(str_trim(bytes), STR("{")))
                parse_any_json(bytes, suffix, before, ret);
        else
                parse_yaml(bytes, suffix, before, ret);
}

/* --- the file --- */

static const char *path_of(const DeviceFile *f)
{
        return f->source.in.spec->file_path.p;
}

static struct stat look(const DeviceFile *f)
{
        struct stat st;

        return stat(path_of(f), &st) == 0 ? st : (struct stat){0};
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
        return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
               a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void on_watch(DirWatch *w)
{
        DeviceFile *f = dir_watch_owner(w);
        struct stat now = look(f);

        if (f->source.in.changed != NULL && !is_same_file(&now, &f->seen))
                f->source.in.changed(&f->source);
}

static void on_read(Post *p)
{
        DeviceFile *f = CONTAINER_OF(p, DeviceFile, read);
        const TailnetSpec *spec = f->source.in.spec;
        TailnetAnswer a = {0};
        Buf b;

        buf_init(&b, DEVICE_FILE_BYTES_MAX);
        /* Looked at before it is read: a change in between is seen again, not missed. */
        f->seen = look(f);
        if (file_read(path_of(f), &b, &a.err)) {
                a.bytes = b.n;
                device_file_parse(buf_str(&b), spec->magic_dns_suffix, f->source.in.devices, &a);
                if (a.devices == NULL)
                        err_prefix(&a.err, "%s", path_of(f));
        }
        buf_done(&b);
        a.via = "file";
        tailnet_kind_deliver(&f->source, &a);
}

static void poll_file(TailnetSource *s)
{
        post_send(&CONTAINER_OF(s, DeviceFile, source)->read);
}

static void free_file(TailnetSource *s)
{
        DeviceFile *f = CONTAINER_OF(s, DeviceFile, source);

        post_cancel(&f->read);
        f->watch = dir_watch_close(f->watch);
        tailnet_kind_done(s);
        mem_free(f);
}

static DirWatch *watch_directory(DeviceFile *f)
{
        Str path = f->source.in.spec->file_path;
        size_t n = path.n;
        char *dir = mem_new(path.n + 2);
        DirWatch *w;

        while (n > 0 && path.p[n - 1] != '/')
                n--;
        memcpy(dir, n > 0 ? path.p : ".", n > 0 ? n : 1);
        w = dir_watch_open(f->source.in.loop, dir, on_watch, f);
        mem_free(dir);
        return w;
}

TailnetSource *device_file_open(const TailnetSourceInput *in)
{
        static const TailnetKind kind = {poll_file, free_file};
        DeviceFile *f = mem_new(sizeof(*f));

        tailnet_kind_init(&f->source, &kind, in);
        post_init(&f->read, in->loop, on_read);
        f->watch = watch_directory(f);
        return &f->source;
}
