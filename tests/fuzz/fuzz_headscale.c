/* SPDX-License-Identifier: Apache-2.0 */
/* First byte: how long the pieces are; the rest: the answer of a control server, as it is parsed
 * while it comes. However it is cut, the same devices come out, and each of them keeps its
 * promises. */

#include <stddef.h>
#include <stdint.h>

#include "proto/json_stream.h"
#include "tailnet/device_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static TailnetAnswer parse(Str body, size_t piece, const Table *before)
{
        TailnetAnswer a = {0};
        DeviceList *list = device_list_new(DEVICE_SHAPE_HEADSCALE, STR("corp.example"), before);
        CLEANUP(json_stream_cleanup)
        JsonStream *s = json_stream_new_parts(device_list_part(DEVICE_SHAPE_HEADSCALE), 1, list);
        bool ok = true;

        for (size_t i = 0; ok && i < body.n; i += piece)
                ok = json_stream_feed(s, str_sub(body, i, piece), &a.err);
        if (ok && json_stream_finish(s, &a.err))
                device_list_finish(list, &a);
        INSIST((a.devices != NULL) == (a.err.kind == ERR_NONE));
        device_list_free(list);
        return a;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        Str body = str_make(data + 1, size - 1);
        TailnetAnswer whole = parse(body, body.n + 1, NULL);
        TailnetAnswer cut = parse(body, (size_t)data[0] + 1, whole.devices);

        /* The same list again is the same Table. */
        INSIST(whole.devices == cut.devices && whole.n_invalid == cut.n_invalid);
        TABLE_FOREACH (Device, d, whole.devices) {
                INSIST(d->node_id.n > 0 && d->short_name.n > 0 && d->name.n >= d->short_name.n);
                INSIST(d->ip4.n > 0 || d->ip6.n > 0);
                INSIST(str_is_printable_utf8(d->name) && str_is_printable_utf8(d->user));
        }
        table_unref(whole.devices);
        table_unref(cut.devices);
        return 0;
}
