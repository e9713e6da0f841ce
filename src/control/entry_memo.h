/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * EntryMemo: the digests that the objects of each entry will have, from one plan to the next: an
 * entry that is the same leaf as before is neither put into words nor taken apart again. It changes
 * how long a plan takes and nothing else.
 */

#include "base/digest.h"
#include "model/world.h"

typedef struct EntryShard {
        Digest own; /* that it is to have */
        size_t n;   /* its endpoints */
} EntryShard;

typedef struct EntryDigests {
        const EntryView *view; /* one reference */
        Str owner_uid;         /* owned */
        EntryShard *at;        /* owned; by shard */
        size_t n;
} EntryDigests;

typedef struct EntryMemo EntryMemo;

/* Nothing is remembered yet. Never NULL. */
EntryMemo *entry_memo_new(void) MUST_USE;
/* NULL is welcome. Returns NULL. */
EntryMemo *entry_memo_free(EntryMemo *m);

/* A plan: entries come in their order; what is not asked for or put is forgotten at the end. */
void entry_memo_begin(EntryMemo *m);
/* What was put for this very leaf and owner, or NULL. Valid until the next call. */
const EntryDigests *entry_memo_get(EntryMemo *m, const EntryView *view, Str owner_uid);
/* Copies them. */
void entry_memo_put(EntryMemo *m, const EntryView *view, Str owner_uid, const EntryShard *at,
                    size_t n);
void entry_memo_end(EntryMemo *m);
/* Bytes that it holds beside the views, for accounting. */
size_t entry_memo_bytes(const EntryMemo *m);
