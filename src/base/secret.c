/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each secret has pages of its own, so that they can be kept out of core dumps without touching
 * what stands beside them on the heap. There are few: one to three for each tailnet.
 */
#include "base/secret.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
        SECRET_MAX = 64 * 1024 /* the largest credential is a certificate chain with its key */
};

struct Secret {
        size_t size; /* of the mapping */
        size_t n;
        char bytes[];
};

Secret *secret_new(Str bytes)
{
        size_t size = sizeof(Secret) + bytes.n;
        Secret *s;

        if (bytes.n > SECRET_MAX)
                return NULL;
        s = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (s == MAP_FAILED) {
                fputs("out of memory for a secret\n", stderr);
                abort();
        }
        /* Some sandboxes refuse it; the secret is no less needed for that. */
        IGNORE(madvise(s, size, MADV_DONTDUMP), "best effort");
        s->size = size;
        s->n = bytes.n;
        if (bytes.n > 0)
                memcpy(s->bytes, bytes.p, bytes.n);
        return s;
}

Secret *secret_dup(const Secret *s)
{
        return s != NULL ? secret_new((Str){s->bytes, s->n}) : NULL;
}

Secret *secret_free(Secret *s)
{
        size_t size;

        if (s == NULL)
                return NULL;
        size = s->size;
        explicit_bzero(s, size);
        INSIST(munmap(s, size) == 0);
        return NULL;
}

Str secret_reveal(const Secret *s)
{
        return (Str){s->bytes, s->n};
}

bool secret_eq(const Secret *a, const Secret *b)
{
        if (a == NULL || b == NULL)
                return a == b;
        return a->n == b->n && CRYPTO_memcmp(a->bytes, b->bytes, a->n) == 0;
}

bool secret_is_in(const Secret *s, Str text)
{
        Str bytes = s != NULL ? str_trim((Str){s->bytes, s->n}) : (Str){0};

        size_t piece = bytes.n < SECRET_PIECE ? bytes.n : SECRET_PIECE;

        for (size_t i = 0; piece > 0 && i + piece <= bytes.n; i++)
                if (str_find_str(text, str_sub(bytes, i, piece)) >= 0)
                        return true;
        return false;
}

bool secret_hmac(const Secret *s, const Str *parts, size_t n, Digest *ret)
{
        Str key = s != NULL ? str_trim((Str){s->bytes, s->n}) : (Str){0};

        if (key.n > 0)
                *ret = digest_hmac(key, parts, n);
        return key.n > 0;
}
