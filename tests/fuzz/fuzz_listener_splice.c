/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First byte: which patch; the rest: a Listener. What is no message is refused, all else gives one
 * message, and a Listener that nothing is put into comes back byte for byte.
 */

#include <stddef.h>
#include <stdint.h>

#include "proto/pb_reader.h"
#include "translate/listener_splice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_message(Str bytes)
{
        PbReader r = pb_reader(bytes);
        for (PbField f; pb_next(&r, &f);)
                ;
        return !r.bad;
}

static const Pack *make(Arena *a, bool udp, const char *name)
{
        Buf scratch;
        buf_init(&scratch, PACK_BYTES_MAX);
        PackService s = {.cluster = arena_printf(a, "tailscale/%s", name)};
        PackPlace place = {.name = str_of(name)};
        const Pack *p = udp ? listener_patch_pack_udp(&s, &place, NULL, &scratch)
                            : listener_patch_pack_tcp(&s, &place, NULL, &scratch);
        buf_done(&scratch);
        return p;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        Arena a;
        arena_init(&a, 0);
        bool udp = (data[0] & 1) != 0, by_name = !udp && (data[0] & 2) != 0;
        const Pack *packs[2] = {make(&a, udp, "a.example"), make(&a, udp, "b.example")};
        ListenerPatch patch = {.kind = by_name ? LISTENER_BY_NAME : LISTENER_TO_CLUSTER,
                               .udp = udp,
                               .listener = STR("l"),
                               .packs = packs,
                               .n = by_name ? 2 : 1};
        JoinTally tally = {0};
        ListenerPart part = {&patch, &tally};
        Buf answer;
        buf_init(&answer, 1 << 22);
        ListenerJob job = {
                .arena = &a, .parts = &part, .n_parts = 1, .field = 3, .answer = &answer};
        Str listener = str_make(data + 1, size - 1);
        SpliceVerdict v = listener_splice(&job, listener);
        INSIST(v == SPLICE_INVALID || is_message(listener));
        if (v == SPLICE_DONE) {
                INSIST(is_message(buf_str(&answer)));
                Str body = pb_get(buf_str(&answer), 3);
                INSIST(tally.hosts + tally.ports > 0 || str_eq(body, listener));
                INSIST(tally.hosts + tally.gaps.total >= (by_name ? 2U : 0U));
        }
        buf_done(&answer);
        leaf_unref(packs[0]);
        leaf_unref(packs[1]);
        arena_done(&a);
        return 0;
}
