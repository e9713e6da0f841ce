/* SPDX-License-Identifier: Apache-2.0 */
/* What is read as an instant or a duration is written in a form that reads as the same. */

#include <stddef.h>
#include <stdint.h>

#include "base/instant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_wall(Str s)
{
        char text[WALL_TEXT];
        Wall t, again;

        if (!wall_parse(s, &t))
                return;
        /* An offset may carry an instant out of the years that can be written. */
        int64_t first = INT64_C(-62135596800000), last = INT64_C(253402300799999);
        if (t.ms < first || t.ms > last)
                return;
        INSIST(wall_parse(str_of(wall_format(t, text)), &again));
        int64_t second = t.ms / 1000 - (t.ms % 1000 < 0);
        INSIST(again.ms == second * 1000 || again.ms == 0);
}

static void check_span(Str s)
{
        char text[WALL_TEXT];
        Span d, again;

        if (!span_parse(s, &d))
                return;
        INSIST(d.ns >= 0);
        INSIST(span_parse(str_of(span_format(d, text)), &again) && again.ns == d.ns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        check_wall(str_make(data, size));
        check_span(str_make(data, size));
        return 0;
}
