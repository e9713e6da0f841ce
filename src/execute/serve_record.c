/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sorted rows, written whole: there are a handful. The file is not synced: after a crash of the
 * machine a forward may stand that is not written down, and is then taken over where it is still
 * wished for, or else is somebody else's.
 */
#include "execute/serve_record.h"

#include "base/mem.h"
#include "io/file.h"
#include "proto/json.h"
#include "proto/json_writer.h"

#include <stdlib.h>

enum {
        PORT_MAX = 65535,
        FILE_MODE = 0600,
};

typedef struct Row {
        char *socket, *target; /* owned */
        uint16_t port;
} Row;

struct ServeRecord {
        char *dir; /* owned; NULL: in memory alone */
        Row *rows; /* owned; sorted, each once */
        size_t n;
};

static char *dup_str(Str s)
{
        char *p = mem_new(s.n + 1);

        if (s.n > 0)
                memcpy(p, s.p, s.n);
        return p;
}

static ServeForward forward_of(const Row *r)
{
        return (ServeForward){r->port, str_of(r->target)};
}

static int row_cmp(const Row *r, Str socket, const ServeForward *f)
{
        ServeForward own = forward_of(r);
        int c = str_cmp(str_of(r->socket), socket);

        return c != 0 ? c : serve_forward_cmp(&own, f);
}

static void drop_row(ServeRecord *r, size_t i)
{
        mem_free(r->rows[i].socket);
        mem_free(r->rows[i].target);
        memmove(&r->rows[i], &r->rows[i + 1], (r->n - i - 1) * sizeof(Row));
        r->n--;
}

/* True where it was not there. */
static bool put_row(ServeRecord *r, Str socket, const ServeForward *f)
{
        size_t i = 0;

        while (i < r->n && row_cmp(&r->rows[i], socket, f) < 0)
                i++;
        if ((i < r->n && row_cmp(&r->rows[i], socket, f) == 0) || r->n >= SERVE_RECORD_MAX)
                return false;
        r->rows = mem_resize(r->rows, (r->n + 1) * sizeof(Row));
        memmove(&r->rows[i + 1], &r->rows[i], (r->n - i) * sizeof(Row));
        r->rows[i] = (Row){dup_str(socket), dup_str(f->target), f->port};
        r->n++;
        return true;
}

/* ---- the file ---- */

static bool read_row(ServeRecord *r, const Tree *node)
{
        Str socket = tree_get_str(node, STR("socket")), target = tree_get_str(node, STR("target"));
        int64_t port;

        if (socket.n == 0 || target.n == 0 || memchr(socket.p, '\0', socket.n) != NULL ||
            memchr(target.p, '\0', target.n) != NULL ||
            !tree_i64(tree_get(node, STR("port")), 1, PORT_MAX, false, &port))
                return false;
        IGNORE(put_row(r, socket, &(ServeForward){(uint16_t)port, target}), "twice is once");
        return true;
}

static bool read_rows(ServeRecord *r, Str text, Err *err)
{
        CLEANUP(arena_done) Arena arena;
        bool ok = true;

        arena_init(&arena, 0);
        const Tree *root = json_read(&arena, text, NULL, err);
        if (root == NULL)
                return false;
        TREE_FOREACH (node, tree_get(root, STR("forwards")))
                ok = read_row(r, node) && ok;
        return ok || err_set(err, ERR_INVALID, "BadRecord", "it holds what was not written by us");
}

static void read_file(ServeRecord *r, Err *err)
{
        CLEANUP(buf_done) Buf text;
        CLEANUP(buf_done) Buf path;
        Err why = {0};

        buf_init(&path, 4096);
        buf_init(&text, SERVE_RECORD_BYTES_MAX);
        buf_printf(&path, "%s/%s", r->dir, SERVE_RECORD_FILE);
        buf_add_char(&path, '\0');
        if (path.failed)
                err_set(&why, ERR_INVALID, "BadPath", "the path is too long");
        else if (file_read(path.p, &text, &why))
                IGNORE(read_rows(r, buf_str(&text), &why), "told by why");
        if (why.kind != ERR_NONE && why.kind != ERR_MISSING && err != NULL) {
                *err = why;
                err_prefix(err, "%s/%s", r->dir, SERVE_RECORD_FILE);
        }
}

static bool save(const ServeRecord *r, Err *err)
{
        CLEANUP(buf_done) Buf text;
        JsonWriter w;

        if (r->dir == NULL)
                return true;
        buf_init(&text, SERVE_RECORD_BYTES_MAX);
        json_writer_init(&w, &text);
        json_object_begin(&w);
        json_key_array_begin(&w, STR("forwards"));
        for (size_t i = 0; i < r->n; i++) {
                json_object_begin(&w);
                json_key_str(&w, STR("socket"), str_of(r->rows[i].socket));
                json_key_u64(&w, STR("port"), r->rows[i].port);
                json_key_str(&w, STR("target"), str_of(r->rows[i].target));
                json_object_end(&w);
        }
        json_array_end(&w);
        json_object_end(&w);
        buf_add_char(&text, '\n');
        if (text.failed)
                return err_set(err, ERR_LIMIT, "TooLarge", "%s would be above %d KiB",
                               SERVE_RECORD_FILE, SERVE_RECORD_BYTES_MAX >> 10);
        return file_write_atomic(r->dir, SERVE_RECORD_FILE, buf_str(&text), FILE_MODE, false, err);
}

ServeRecord *serve_record_open(const char *dir, Err *err)
{
        ServeRecord *r = mem_new(sizeof(*r));

        if (dir != NULL) {
                r->dir = dup_str(str_of(dir));
                read_file(r, err);
        }
        return r;
}

/* ---- what is ours ---- */

ServeForwards serve_record_at(const ServeRecord *r, Arena *arena, Str socket)
{
        ServeForward *at = arena_new_array(arena, r->n + 1, sizeof(*at));
        size_t n = 0;

        for (size_t i = 0; i < r->n; i++)
                if (str_eq(str_of(r->rows[i].socket), socket))
                        at[n++] = forward_of(&r->rows[i]);
        return (ServeForwards){at, n};
}

StrList serve_record_sockets(const ServeRecord *r, Arena *arena)
{
        Str *at = arena_new_array(arena, r->n + 1, sizeof(*at));
        size_t n = 0;

        for (size_t i = 0; i < r->n; i++)
                if (n == 0 || !str_eq(at[n - 1], str_of(r->rows[i].socket)))
                        at[n++] = str_of(r->rows[i].socket);
        return (StrList){at, n};
}

bool serve_record_add(ServeRecord *r, Str socket, ServeForwards f, Err *err)
{
        bool is_new = false;

        for (size_t i = 0; i < f.n; i++)
                is_new = put_row(r, socket, &f.at[i]) || is_new;
        return !is_new || save(r, err);
}

static bool has(ServeForwards f, const Row *r)
{
        ServeForward own = forward_of(r);

        for (size_t i = 0; i < f.n; i++)
                if (serve_forward_cmp(&f.at[i], &own) == 0)
                        return true;
        return false;
}

bool serve_record_set(ServeRecord *r, Str socket, ServeForwards f, Err *err)
{
        bool is_new = false;

        for (size_t i = r->n; i > 0; i--) {
                if (!str_eq(str_of(r->rows[i - 1].socket), socket) || has(f, &r->rows[i - 1]))
                        continue;
                drop_row(r, i - 1);
                is_new = true;
        }
        for (size_t i = 0; i < f.n; i++)
                is_new = put_row(r, socket, &f.at[i]) || is_new;
        return !is_new || save(r, err);
}

ServeRecord *serve_record_close(ServeRecord *r)
{
        if (r == NULL)
                return NULL;
        while (r->n > 0)
                drop_row(r, r->n - 1);
        mem_free(r->rows);
        mem_free(r->dir);
        return mem_free(r);
}
