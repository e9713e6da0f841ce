/* SPDX-License-Identifier: Apache-2.0 */
#include "control/entry_names.h"

#include "base/digest.h"
#include "control/plan.h"

enum {
        HASH_BYTES = 4,
        LABEL_MAX = 63, /* of the tailnet, and of the namespace */
        /* So much of the TailscaleGateway's name that a file's name is within
         * PLAN_FILE_NAME_MAX: namespace, tailnet, hash, number of the shard and what joins them. */
        GATEWAY_MAX = PLAN_FILE_NAME_MAX - 2 * LABEL_MAX - 2 * HASH_BYTES - 20,
};

/* Cuts what `is` takes off the end of `*s`; how many there were. */
static size_t cut_end(Str *s, bool (*is)(char c))
{
        size_t before = s->n;
        while (s->n > 0 && is(s->p[s->n - 1]))
                s->n--;
        return before - s->n;
}

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
        return is_digit(c) || (c >= 'a' && c <= 'f');
}

/* A name that was cut may end in what cannot stand before the dash that follows. */
static Str cut_gateway(Str name)
{
        Str s = str_sub(name, 0, GATEWAY_MAX);
        while (s.n < name.n && s.n > 0 && (s.p[s.n - 1] == '.' || s.p[s.n - 1] == '-'))
                s.n--;
        return s;
}

/* The hash tells a-b + c from a + b-c. */
Str entry_name(Arena *a, const EntryView *v)
{
        Digester *d = digester_new();
        digester_add(d, v->gateway.name);
        digester_add(d, v->tailnet);
        Digest digest = digester_finish(d);
        char hex[DIGEST_HEX];
        return arena_printf(a, "%.*s-%.*s-%s", STR_FMT(cut_gateway(v->gateway.name)),
                            STR_FMT(str_sub(v->tailnet, 0, LABEL_MAX)),
                            digest_hex(&digest, HASH_BYTES, hex));
}

bool entry_name_is_ours(Str name)
{
        if (cut_end(&name, is_digit) == 0 || !str_ends(name, STR("-")))
                return false;
        name.n--;
        return cut_end(&name, is_hex) == (size_t)2 * HASH_BYTES && str_ends(name, STR("-"));
}
