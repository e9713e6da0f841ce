/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include "base/mem.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

struct Digester {
        EVP_MD_CTX *ctx; /* owned */
};

/* SHA-256 of memory fails only where libcrypto has no memory or no SHA-256: nothing to go on with.
 */
Digester *digester_new(void)
{
        Digester *d = mem_new(sizeof(*d));

        d->ctx = EVP_MD_CTX_new();
        INSIST(d->ctx != NULL && EVP_DigestInit_ex(d->ctx, EVP_sha256(), NULL) == 1);
        return d;
}

static void update(Digester *d, const void *p, size_t n)
{
        INSIST(EVP_DigestUpdate(d->ctx, p, n) == 1);
}

void digester_add_u64(Digester *d, uint64_t v)
{
        unsigned char b[8];

        for (int i = 0; i < 8; i++)
                b[i] = (unsigned char)(v >> (8 * i));
        update(d, b, sizeof(b));
}

void digester_add(Digester *d, Str field)
{
        digester_add_u64(d, field.n);
        update(d, field.p, field.n);
}

Digest digester_finish(Digester *d)
{
        Digest digest;

        INSIST(EVP_DigestFinal_ex(d->ctx, digest.b, NULL) == 1);
        EVP_MD_CTX_free(d->ctx);
        mem_free(d);
        return digest;
}

Digest digest_of(Str s)
{
        Digest digest;

        INSIST(EVP_Digest(s.p != NULL ? s.p : "", s.n, digest.b, NULL, EVP_sha256(), NULL) == 1);
        return digest;
}

bool digest_eq_secret(const Digest *a, const Digest *b)
{
        return CRYPTO_memcmp(a->b, b->b, DIGEST_BYTES) == 0;
}

Digest digest_hmac(Str key, const Str *parts, size_t n)
{
        const unsigned char *bytes = (const unsigned char *)(key.p != NULL ? key.p : "");
        EVP_PKEY *k = EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL, bytes, key.n);
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        Digest digest;
        size_t size = sizeof(digest.b);

        INSIST(k != NULL && ctx != NULL &&
               EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, k) == 1);
        for (size_t i = 0; i < n; i++)
                INSIST(EVP_DigestSignUpdate(ctx, parts[i].p, parts[i].n) == 1);
        INSIST(EVP_DigestSignFinal(ctx, digest.b, &size) == 1 && size == sizeof(digest.b));
        EVP_MD_CTX_free(ctx);
        EVP_PKEY_free(k);
        return digest;
}

const char *digest_hex(const Digest *d, size_t bytes, char buf[DIGEST_HEX])
{
        static const char hex[] = "0123456789abcdef";

        INSIST(bytes >= 1 && bytes <= DIGEST_BYTES);
        for (size_t i = 0; i < bytes; i++) {
                buf[2 * i] = hex[d->b[i] >> 4];
                buf[2 * i + 1] = hex[d->b[i] & 15];
        }
        buf[2 * bytes] = '\0';
        return buf;
}
