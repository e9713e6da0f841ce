/* SPDX-License-Identifier: Apache-2.0 */
/* First byte: how long the pieces are; the rest: the state of a tailscaled, as it is parsed while
 * it comes. However it is cut, the same comes out, and each device keeps its promises. */

#include <stddef.h>
#include <stdint.h>

#include "tailnet/local_status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static TailnetAnswer parse(Str body, size_t piece, const Table *before)
{
        TailnetAnswer a = {0};
        LocalStatus *s = local_status_new(STR("corp.example"), before);
        bool ok = true;

        for (size_t i = 0; ok && i < body.n; i += piece)
                ok = local_status_feed(s, str_sub(body, i, piece), &a.err);
        if (ok)
                local_status_finish(s, &a);
        INSIST((a.devices != NULL) == (a.err.kind == ERR_NONE));
        INSIST(a.devices == NULL || a.self_node[0] != '\0');
        local_status_free(s);
        return a;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        Str body = str_make(data + 1, size - 1);
        TailnetAnswer whole = parse(body, body.n + 1, NULL);
        TailnetAnswer cut = parse(body, (size_t)data[0] + 1, whole.devices);

        /* The same state again is the same Table. */
        INSIST(whole.devices == cut.devices && whole.n_invalid == cut.n_invalid);
        INSIST(strcmp(whole.suffix, cut.suffix) == 0 && strcmp(whole.warning, cut.warning) == 0);
        TABLE_FOREACH (Device, d, whole.devices) {
                INSIST(d->node_id.n > 0 && d->short_name.n > 0 && d->name.n >= d->short_name.n);
                INSIST(d->ip4.n > 0 || d->ip6.n > 0);
                INSIST(str_is_printable_utf8(d->name) && str_is_printable_utf8(d->user));
        }
        table_unref(whole.devices);
        table_unref(cut.devices);
        return 0;
}
