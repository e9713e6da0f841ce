/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Secret: bytes that no log, status, metric, core dump or error text may show. It is a type of its
 * own, so no printf, Str or JSON function takes it; the one way to the bytes is secret_reveal,
 * which a checker allows in a few named files only (grep for it). Pages are excluded from core
 * dumps; bytes are wiped on free.
 */

#include "base/digest.h"

enum {
        /* Bytes of a secret that no text has by chance; fewer are what a server may show of one for
         * people to know it by, and "tskey-client-" is no secret. */
        SECRET_PIECE = 16,
};

typedef struct Secret Secret;

/* A copy of at most 64 KiB; NULL above. */
Secret *secret_new(Str bytes) MUST_USE;
/* A copy of its own; NULL gives NULL. */
Secret *secret_dup(const Secret *s) MUST_USE;
/* Wipes and frees; NULL is welcome. Returns NULL. */
Secret *secret_free(Secret *s);
/* Borrowed bytes. tools/floors.py names the files that may call this. */
Str secret_reveal(const Secret *s);
/* Equal, in constant time for equal lengths; NULL equals only NULL. */
bool secret_eq(const Secret *a, const Secret *b);
/* Does `text` hold the bytes (without white space at their ends), or SECRET_PIECE of them in a row,
 * as where they are cut or quoted? For texts of somebody who was told them: what does is not shown.
 * False for NULL and for a secret of nothing. */
bool secret_is_in(const Secret *s, Str text);
/* HMAC-SHA256 of the parts with the secret as key, without white space around it. False where
 * nothing else is in it (or it is NULL): an empty key is everybody's. */
bool secret_hmac(const Secret *s, const Str *parts, size_t n, Digest *ret) MUST_USE;
