/* SPDX-License-Identifier: Apache-2.0 */
#include "tailnet/api_url.h"

static bool is_unreserved(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '.' || c == '_' || c == '~';
}

void api_url_escape(Buf *b, Str s, Str also)
{
        static const char hex[] = "0123456789ABCDEF";

        for (size_t i = 0; i < s.n; i++) {
                unsigned char c = (unsigned char)s.p[i];

                if (is_unreserved(s.p[i]) || str_find(also, s.p[i]) >= 0) {
                        buf_add_char(b, s.p[i]);
                } else {
                        char code[] = {'%', hex[c >> 4], hex[c & 15]};

                        buf_add(b, code, sizeof(code));
                }
        }
}

char *api_url_new(Str base, Str path, Str segment, Str rest)
{
        Buf b;

        while (base.n > 0 && base.p[base.n - 1] == '/')
                base.n--;
        buf_init(&b, base.n + path.n + 3 * segment.n + rest.n + 1);
        buf_add_str(&b, base);
        buf_add_str(&b, path);
        /* Of what a segment may hold as it is, names of Services have the colon. */
        api_url_escape(&b, segment, STR(":"));
        buf_add_str(&b, rest);
        return buf_take(&b, NULL);
}
