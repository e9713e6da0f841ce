/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include "base/mem.h"

#include <sys/random.h>

typedef struct Sip {
        uint64_t v[4];
} Sip;

HashKey hash_key_new(void)
{
        HashKey key;

        /* So few bytes come whole, once the kernel has seen any entropy since it booted; it waits
         * for that. */
        INSIST(getrandom(&key, sizeof(key), 0) == (ssize_t)sizeof(key));
        return key;
}

static uint64_t rotate(uint64_t x, unsigned n)
{
        return x << n | x >> (64 - n);
}

static void round_of(Sip *s)
{
        uint64_t *v = s->v;

        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] = rotate(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] = rotate(v[2], 32);
}

/* Up to eight bytes, the first the lowest. */
static uint64_t word_at(const char *p, size_t n)
{
        uint64_t word = 0;

        for (size_t i = 0; i < n; i++)
                word |= (uint64_t)(unsigned char)p[i] << (8 * i);
        return word;
}

static void take(Sip *s, uint64_t word)
{
        s->v[3] ^= word;
        round_of(s);
        round_of(s);
        s->v[0] ^= word;
}

uint64_t hash_str(const HashKey *key, Str s)
{
        Sip sip = {{key->a ^ 0x736f6d6570736575, key->b ^ 0x646f72616e646f6d,
                    key->a ^ 0x6c7967656e657261, key->b ^ 0x7465646279746573}};
        size_t i = 0;

        for (; i + 8 <= s.n; i += 8)
                take(&sip, word_at(s.p + i, 8));
        take(&sip, (uint64_t)s.n << 56 | word_at(s.p + i, s.n - i));
        sip.v[2] ^= 0xff;
        for (int k = 0; k < 4; k++)
                round_of(&sip);
        return sip.v[0] ^ sip.v[1] ^ sip.v[2] ^ sip.v[3];
}
