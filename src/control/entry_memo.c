/* SPDX-License-Identifier: Apache-2.0 */
#include "control/entry_memo.h"

#include "base/mem.h"

typedef struct DigestsList {
        EntryDigests *at; /* owned */
        size_t n, room;
} DigestsList;

struct EntryMemo {
        DigestsList before, after; /* in the order of entries */
        size_t next;               /* of `before`: all in front of it are behind what was asked */
};

static void digests_done(EntryDigests *d)
{
        leaf_unref(d->view);
        mem_free((void *)(uintptr_t)d->owner_uid.p);
        mem_free(d->at);
        *d = (EntryDigests){0};
}

static void list_drop(DigestsList *l)
{
        for (size_t i = 0; i < l->n; i++)
                digests_done(&l->at[i]);
        mem_free(l->at);
        *l = (DigestsList){0};
}

static EntryDigests *append(DigestsList *l)
{
        if (l->n == l->room) {
                l->room = l->room != 0 ? 2 * l->room : 16;
                l->at = mem_resize(l->at, l->room * sizeof *l->at);
        }
        l->at[l->n] = (EntryDigests){0};
        return &l->at[l->n++];
}

EntryMemo *entry_memo_new(void)
{
        return mem_new(sizeof(EntryMemo));
}

EntryMemo *entry_memo_free(EntryMemo *m)
{
        if (m == NULL)
                return NULL;
        list_drop(&m->before);
        list_drop(&m->after);
        return mem_free(m);
}

void entry_memo_begin(EntryMemo *m)
{
        list_drop(&m->after);
        m->next = 0;
}

const EntryDigests *entry_memo_get(EntryMemo *m, const EntryView *view, Str owner_uid)
{
        while (m->next < m->before.n) {
                EntryDigests *d = &m->before.at[m->next];
                int c = d->view != NULL ? entry_view_order(d->view, view) : -1;
                if (c > 0 || (c == 0 && (d->view != view || !str_eq(d->owner_uid, owner_uid))))
                        return NULL;
                m->next++;
                if (c < 0)
                        continue;
                EntryDigests *kept = append(&m->after);
                *kept = *d;
                *d = (EntryDigests){0};
                return kept;
        }
        return NULL;
}

void entry_memo_put(EntryMemo *m, const EntryView *view, Str owner_uid, const EntryShard *at,
                    size_t n)
{
        EntryDigests *d = append(&m->after);
        char *uid = mem_new(owner_uid.n + 1);
        if (owner_uid.n > 0)
                memcpy(uid, owner_uid.p, owner_uid.n);
        d->view = leaf_ref(view);
        d->owner_uid = str_make(uid, owner_uid.n);
        d->at = mem_new_array(n + 1, sizeof *d->at);
        if (n > 0)
                memcpy(d->at, at, n * sizeof *at);
        d->n = n;
}

void entry_memo_end(EntryMemo *m)
{
        list_drop(&m->before);
        m->before = m->after;
        m->after = (DigestsList){0};
}

static size_t list_bytes(const DigestsList *l)
{
        size_t n = l->room * sizeof *l->at;
        for (size_t i = 0; i < l->n; i++)
                n += l->at[i].owner_uid.n + 1 + (l->at[i].n + 1) * sizeof *l->at[i].at;
        return n;
}

size_t entry_memo_bytes(const EntryMemo *m)
{
        return sizeof *m + list_bytes(&m->before) + list_bytes(&m->after);
}
