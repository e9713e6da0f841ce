/* SPDX-License-Identifier: Apache-2.0 */
#include "model/label_value.h"

#include "base/digest.h"

#include <stdio.h>

enum {
        HASH_BYTES = 4,
        STEM_MAX = LABEL_VALUE_MAX - 1 - 2 * HASH_BYTES,
};

static bool is_alnum(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_inner(char c)
{
        return is_alnum(c) || c == '-' || c == '_' || c == '.';
}

bool label_value_is_valid(Str s)
{
        if (s.n == 0)
                return true;
        if (s.n > LABEL_VALUE_MAX || !is_alnum(s.p[0]) || !is_alnum(s.p[s.n - 1]))
                return false;
        for (size_t i = 0; i < s.n; i++) {
                if (!is_inner(s.p[i]))
                        return false;
        }
        return true;
}

Str label_value(Str name, char buf[LABEL_VALUE_MAX + 1])
{
        if (label_value_is_valid(name))
                return name;
        char stem[STEM_MAX + 1] = {0}, hex[DIGEST_HEX];
        size_t n = 0;
        for (size_t i = 0; i < name.n && n < STEM_MAX; i++) {
                if (is_alnum(name.p[i]) || n > 0)
                        stem[n++] = is_inner(name.p[i]) ? name.p[i] : '-';
        }
        while (n > 0 && !is_alnum(stem[n - 1]))
                n--;
        Digest digest = digest_of(name);
        int all = snprintf(buf, LABEL_VALUE_MAX + 1, "%.*s%s%s", (int)n, stem, n > 0 ? "-" : "",
                           digest_hex(&digest, HASH_BYTES, hex));
        return str_make(buf, (size_t)all);
}
