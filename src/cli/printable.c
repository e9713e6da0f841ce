/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/printable.h"

/* C1 controls are U+0080 to U+009F: two bytes, the first 0xc2. */
static bool is_control(Str s, size_t n)
{
        unsigned char a = (unsigned char)s.p[0];
        return a < 0x20 || a == 0x7f || (n == 2 && a == 0xc2 && (unsigned char)s.p[1] < 0xa0);
}

void printable_add(Buf *out, Str s)
{
        while (s.n > 0) {
                size_t n = str_utf8(s);
                if (n == 0 || is_control(s, n))
                        buf_add_char(out, '?');
                else
                        buf_add(out, s.p, n);
                s = str_sub(s, n > 0 ? n : 1, s.n);
        }
}
