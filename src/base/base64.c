/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(Str bytes, Buf *to)
{
        for (size_t i = 0; i < bytes.n; i += 3) {
                size_t n = bytes.n - i < 3 ? bytes.n - i : 3;
                unsigned bits = 0;
                char four[4];

                for (size_t k = 0; k < 3; k++)
                        bits = bits << 8 | (k < n ? (unsigned char)bytes.p[i + k] : 0);
                for (size_t k = 0; k < 4; k++)
                        four[k] = k <= n ? letters[bits >> (18 - 6 * k) & 63] : '=';
                buf_add(to, four, sizeof(four));
        }
}

bool base64_decode(Str text, Buf *to)
{
        size_t before = to->n, n = 0, padding = 0;
        unsigned bits = 0, held = 0;

        for (size_t i = 0; i < text.n; i++) {
                char c = text.p[i];
                const char *at = c != '\0' ? strchr(letters, c) : NULL;

                if (c == '\n' || c == '\r')
                        continue;
                if (c == '=' && ++padding <= 2)
                        continue;
                if (at == NULL || padding > 0) {
                        to->n = before;
                        return false;
                }
                n++;
                bits = (bits << 6 | (unsigned)(at - letters)) & 0xffff;
                held += 6;
                if (held >= 8) {
                        held -= 8;
                        buf_add_char(to, (char)(bits >> held & 0xff));
                }
        }
        /* What is left over is zero, so that no two texts mean the same. */
        bool ok = (n + padding) % 4 == 0 && (bits & ((1U << held) - 1)) == 0 && !to->failed;
        if (!ok)
                to->n = before;
        return ok;
}
