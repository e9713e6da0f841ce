/* SPDX-License-Identifier: Apache-2.0 */
/* In the order of Envoy's path_utility: what is encoded for no reason, then dots, then slashes. So
 * "/a//../b" is "/a/b": the empty segment is what ".." takes away. */
#include "translate/request_path.h"

static int hex(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c = (char)(c | 0x20);
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 3986 2.3. */
static bool is_unreserved(int c)
{
        return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' ||
               c == '.' || c == '_' || c == '~';
}

static Str decode(Arena *a, Str path)
{
        char *to = arena_new(a, path.n);
        size_t n = 0;
        for (size_t i = 0; i < path.n; i++) {
                char c = path.p[i];
                if (c == '%' && i + 2 < path.n && hex(path.p[i + 1]) >= 0 &&
                    hex(path.p[i + 2]) >= 0) {
                        int code = hex(path.p[i + 1]) * 16 + hex(path.p[i + 2]);
                        if (is_unreserved(code)) {
                                c = (char)code;
                                i += 2;
                        }
                }
                to[n++] = c == '\\' ? '/' : c;
        }
        return str_make(to, n);
}

/* Where the segment before the slash at `n` begins; 1 at the root. */
static size_t parent(const char *path, size_t n)
{
        if (n <= 1)
                return 1;
        for (n--; n > 1 && path[n - 1] != '/'; n--)
                ;
        return n;
}

/* `path` begins with a slash; so does what is written, which is not longer. */
static Str resolve(Arena *a, Str path)
{
        char *to = arena_new(a, path.n);
        size_t n = 0;
        to[n++] = '/';
        for (size_t i = 1, end; i < path.n; i = end + 1) {
                for (end = i; end < path.n && path.p[end] != '/'; end++)
                        ;
                Str segment = str_make(path.p + i, end - i);
                if (str_eq(segment, STR(".")))
                        continue;
                if (str_eq(segment, STR(".."))) {
                        n = parent(to, n);
                        continue;
                }
                memcpy(to + n, segment.p, segment.n);
                n += segment.n;
                if (end < path.n)
                        to[n++] = '/';
        }
        return str_make(to, n);
}

static Str merge_slashes(Arena *a, Str path)
{
        char *to = arena_new(a, path.n);
        size_t n = 0;
        for (size_t i = 0; i < path.n; i++) {
                if (path.p[i] != '/' || n == 0 || to[n - 1] != '/')
                        to[n++] = path.p[i];
        }
        return str_make(to, n);
}

Str request_path_normal(Arena *a, Str path)
{
        if (!str_starts(path, STR("/")))
                return path;
        return merge_slashes(a, resolve(a, decode(a, path)));
}
