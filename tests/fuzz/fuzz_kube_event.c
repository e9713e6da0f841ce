/* SPDX-License-Identifier: Apache-2.0 */
/* First byte: how long the pieces are; the rest: a watch. However it is cut, the same events come
 * out, and each can be used as it is. */

#include <stddef.h>
#include <stdint.h>

#include "kube/kube_event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t read_event(Str line, Arena *arena)
{
        KubeEvent e;
        Err err = {0};
        bool ok;

        arena_reset(arena);
        ok = kube_event_read(line, arena, &e, &err);
        INSIST(ok == (err.kind == ERR_NONE));
        if (!ok)
                return str_hash(str_of(err.text));
        if (e.type == KUBE_EVENT_ERROR)
                return e.status.code;
        INSIST(e.id.version.n > 0 && e.id.version.n <= KUBE_VERSION_MAX);
        if (e.type != KUBE_EVENT_BOOKMARK)
                INSIST(e.id.name.n > 0 && e.id.uid.n <= KUBE_UID_MAX &&
                       strlen(e.id.key) >= e.id.name.n);
        return str_hash(e.id.version) + e.type;
}

static uint64_t read_all(Str text, size_t piece)
{
        uint64_t sum = 0;
        KubeLines lines;
        Arena arena;

        arena_init(&arena, 0);
        kube_lines_init(&lines);
        for (size_t at = 0; at < text.n; at += piece) {
                Str bytes = str_sub(text, at, piece), line;

                while (kube_lines_next(&lines, &bytes, &line))
                        sum = sum * 31 + read_event(line, &arena);
        }
        buf_done(&lines.part);
        arena_done(&arena);
        return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        Str text = str_make(data + 1, size - 1);

        INSIST(read_all(text, text.n + 1) == read_all(text, (size_t)data[0] + 1));
        return 0;
}
