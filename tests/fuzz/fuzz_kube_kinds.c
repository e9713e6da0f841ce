/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An object as an API server gives it: the first byte chooses the kind, the rest is its JSON. What
 * is read of it is read the same a second time; what has a fault has no leaf.
 */
#include "base/arena.h"
#include "proto/json.h"
#include "source/kube_kinds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool read_one(const KubeKind *kind, Str bytes, Arena *arena, KubeRead *ret)
{
        TreeMark at;
        const Tree *root = json_read(arena, bytes, &at, NULL);
        if (root == NULL || root->type != TREE_OBJECT)
                return false;
        kube_kinds_read(kind, root, arena, ret);
        INSIST(ret->leaf == NULL || ret->faults.n == 0);
        return true;
}

static void done(KubeRead *read)
{
        leaf_unref(read->leaf);
        leaf_unref(read->observed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Arena arena;
        KubeRead one, two;
        if (size == 0)
                return 0;
        const KubeKind *kind = &kube_kinds[data[0] % KUBE_KINDS];
        Str bytes = str_make(data + 1, size - 1);
        arena_init(&arena, 64 << 20);
        if (read_one(kind, bytes, &arena, &one)) {
                INSIST(read_one(kind, bytes, &arena, &two));
                INSIST((one.leaf == NULL) == (two.leaf == NULL) && str_eq(one.faults, two.faults));
                INSIST(one.leaf == NULL || kind->same(one.leaf, two.leaf));
                done(&one);
                done(&two);
        }
        arena_done(&arena);
        return 0;
}
