/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* SHA-256 (FIPS 180-4) by libcrypto, for revisions, cache keys and signatures. Fields of a Digester
 * are length-prefixed, so that
 * ("ab","c") and ("a","bc") differ. */

#include "base/str.h"

enum {
        DIGEST_BYTES = 32,
        DIGEST_HEX = 65
};

typedef struct Digest {
        uint8_t b[DIGEST_BYTES];
} Digest;

typedef struct Digester Digester;

/* An empty one; digester_finish frees it. */
Digester *digester_new(void) MUST_USE;
/* Adds length and bytes. */
void digester_add(Digester *d, Str field);
void digester_add_u64(Digester *d, uint64_t v);
/* The digest of all that was added; frees the digester. */
Digest digester_finish(Digester *d) MUST_USE;
/* Of one string, without length prefix. */
Digest digest_of(Str s);
static inline bool digest_eq(const Digest *a, const Digest *b)
{
        return memcmp(a->b, b->b, DIGEST_BYTES) == 0;
}
/* The same for what an attacker may guess at: takes as long wherever they differ. */
bool digest_eq_secret(const Digest *a, const Digest *b);
/* HMAC-SHA256 (RFC 2104) of the parts as one run of bytes, as other programs make it. */
Digest digest_hmac(Str key, const Str *parts, size_t n) MUST_USE;
/* The first `bytes` (1 to 32) as lower-case hex with NUL; returns buf. */
const char *digest_hex(const Digest *d, size_t bytes, char buf[DIGEST_HEX]);
