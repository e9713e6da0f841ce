/* SPDX-License-Identifier: Apache-2.0 */
/* First byte: how long the pieces are; the rest: notifications. Cut anywhere they tell the same. Of
 * one that is JSON, what is told agrees with what its members say. */

#include <stddef.h>
#include <stdint.h>

#include "proto/json.h"
#include "tailnet/bus_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool scan(Str text, size_t piece, bool *ret_tells)
{
        BusScan s;
        Err err;
        bool ok = true;

        bus_scan_init(&s);
        for (size_t i = 0; ok && i < text.n; i += piece)
                ok = bus_scan_feed(&s, str_sub(text, i, piece), ret_tells, &err);
        return ok;
}

/* Is a member of one notification, written without escapes, reason enough? */
static bool has_reason(const Tree *notification)
{
        static const Str names[] = {STR_INIT("State"), STR_INIT("NetMap"), STR_INIT("PeersChanged"),
                                    STR_INIT("PeersRemoved"), STR_INIT("SelfChange")};

        TREE_FOREACH (member, notification)
                if (member->type != TREE_NULL && strlist_has((StrList){names, 5}, member->key))
                        return true;
        return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        Str text = str_make(data + 1, size - 1);
        bool tells = false, cut_tells = false;
        bool ok = scan(text, text.n + 1, &tells);
        Arena arena;
        const Tree *root;

        INSIST(scan(text, (size_t)data[0] + 1, &cut_tells) == ok);
        INSIST(cut_tells == tells || !ok);
        arena_init(&arena, 0);
        root = json_read(&arena, text, NULL, NULL);
        /* Before it yajl takes more for white space than JSON has. */
        if (root != NULL && root->type == TREE_OBJECT && text.p[0] == '{') {
                INSIST(ok);
                INSIST(tells || !has_reason(root) || str_find(text, '\\') >= 0);
        }
        arena_done(&arena);
        return 0;
}
