/* SPDX-License-Identifier: Apache-2.0 */
/* What a client of the admin or metrics address sends: its head, path and query. A head that is
 * taken lies within the bytes, and is not taken from fewer of them. */

#include <stddef.h>
#include <stdint.h>

#include "net/http_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_within(Str part, Str whole)
{
        return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void check_decoded(Str s, bool plus)
{
        Buf out;

        buf_init(&out, s.n + 1);
        if (http_head_decode(s, plus, &out))
                for (size_t i = 0; i < out.n; i++)
                        INSIST((unsigned char)out.p[i] >= ' ' && out.p[i] != 0x7f);
        buf_done(&out);
}

static void check_head(Str in)
{
        HttpHead h = {0}, less = {0};
        size_t n = 0, ignored;
        Str value;
        HttpHeadOutcome o = http_head_read(in, &h, &n);

        INSIST(o != HTTP_HEAD_BAD || (h.status >= 400 && h.status <= 505));
        if (o != HTTP_HEAD_DONE)
                return;
        INSIST(n <= in.n && n <= HTTP_SERVER_HEADERS_MAX && h.body <= HTTP_SERVER_BODY_MAX);
        INSIST(is_within(h.path, in) && is_within(h.query, in) && is_within(h.host, in) &&
               is_within(h.origin, in) && is_within(h.fields, in));
        INSIST(h.path.n > 0 && h.path.p[0] == '/');
        INSIST(http_head_read(str_sub(in, 0, n - 1), &less, &ignored) == HTTP_HEAD_MORE);
        check_decoded(h.path, false);
        if (http_field_get(h.fields, STR("x-sig"), &value))
                INSIST(is_within(value, h.fields));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Str in = str_make(data, size);
        Buf value;

        check_head(in);
        check_decoded(in, true);
        buf_init(&value, size + 1);
        IGNORE(http_query_get(in, STR("url"), &value), "it must not read behind its end");
        buf_done(&value);
        return 0;
}
