/* SPDX-License-Identifier: Apache-2.0 */
/* PbReader: what it hands out lies within the message, in order and without gaps; what it calls a
 * message can be read again from its spans. */
#include "proto/pb_reader.h"
#include "proto/pb_writer.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool is_true)
{
        if (!is_true)
                abort();
}

static void read_all(Str message, unsigned depth)
{
        PbReader r = pb_reader(message);
        const char *at = r.p;
        for (PbField f; pb_next(&r, &f);) {
                demand(f.span.p == at && f.span.n >= 2);
                at += f.span.n;
                demand(at == r.p && at <= r.end);
                demand(f.number >= 1 && f.number <= PB_FIELD_MAX);
                demand(f.wire != PB_GROUP_END);
                if (f.wire != PB_LEN && f.wire != PB_GROUP)
                        continue;
                demand(f.body.p >= f.span.p && f.body.p + f.body.n <= at);
                if (f.wire == PB_LEN)
                        demand(f.span.n >= pb_len_size(f.number, f.body.n) + f.body.n);
                if (depth > 0)
                        read_all(f.body, depth - 1);
        }
        demand(r.bad || at == r.end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Str message = str_make(data, size);
        read_all(message, 3);
        for (uint32_t number = 1; number < 4; number++) {
                Str body = pb_get(message, number);
                demand(body.n <= size);
                IGNORE(pb_get_varint(message, number), "it must end");
                IGNORE(pb_map_get(message, number, STR("k"), &body), "it must end");
        }
        return 0;
}
