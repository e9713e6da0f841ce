/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Hash: SipHash-2-4 (Aumasson, Bernstein 2012) under a key that the outside does not know. Names of
 * devices, hosts and files come from the outside; with a hash that anybody can compute, whoever
 * chooses them could make every look-up walk over all of them.
 */

#include "base/str.h"

typedef struct HashKey {
        uint64_t a, b;
} HashKey;

/* A random key, from the kernel. */
HashKey hash_key_new(void);
/* The same for the same key and bytes. For tables in memory only: it differs from process to
 * process. */
uint64_t hash_str(const HashKey *key, Str s);
