/* SPDX-License-Identifier: Apache-2.0 */
/* First byte: how long the pieces are; the rest: a device list as API v2 answers. However it is
 * cut, the same devices come out; what is garbled in it takes nothing away from who was known. */

#include <stddef.h>
#include <stdint.h>

#include "tailnet/device_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static TailnetAnswer parse(Str body, size_t piece, const Table *before)
{
        TailnetAnswer a = {0};
        DeviceList *list = device_list_new(DEVICE_SHAPE_TAILSCALE, STR("corp.example"), before);
        CLEANUP(json_stream_cleanup)
        JsonStream *s = json_stream_new_parts(device_list_part(DEVICE_SHAPE_TAILSCALE), 1, list);
        bool ok = true;

        for (size_t i = 0; ok && i < body.n; i += piece)
                ok = json_stream_feed(s, str_sub(body, i, piece), &a.err);
        if (ok && json_stream_finish(s, &a.err))
                device_list_finish(list, &a);
        INSIST((a.devices != NULL) == (a.err.kind == ERR_NONE));
        device_list_free(list);
        return a;
}

/* Somebody who may be garbled in the input, by id or by name. */
static Table *known_before(void)
{
        const Device d = {.node_id = STR_INIT("n1"),
                          .name = STR_INIT("web.corp.example"),
                          .short_name = STR_INIT("web"),
                          .ip4 = STR_INIT("100.64.0.1")};
        const void *leaves[] = {device_new(&d)};

        return table_new(leaves, LENGTH_OF(leaves), device_order);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        Str body = str_make(data + 1, size - 1);
        Table *before = known_before();
        TailnetAnswer whole = parse(body, body.n + 1, NULL);
        TailnetAnswer cut = parse(body, (size_t)data[0] + 1, whole.devices);
        TailnetAnswer after = parse(body, body.n + 1, before);

        INSIST(whole.devices == cut.devices && whole.n_invalid == cut.n_invalid);
        INSIST((after.devices != NULL) == (whole.devices != NULL));
        INSIST(after.n_invalid == whole.n_invalid);
        TABLE_FOREACH (Device, d, whole.devices) {
                const Device *same = table_find(after.devices, &d->node_id, device_find);

                INSIST(same != NULL && device_same(d, same));
                INSIST(d->node_id.n > 0 && d->short_name.n > 0 && d->name.n >= d->short_name.n);
                INSIST(d->ip4.n > 0 || d->ip6.n > 0);
                INSIST(str_is_printable_utf8(d->name) && str_is_printable_utf8(d->user));
        }
        INSIST(table_n(after.devices) <= table_n(whole.devices) + 1);
        table_unref(before);
        table_unref(whole.devices);
        table_unref(cut.devices);
        table_unref(after.devices);
        return 0;
}
