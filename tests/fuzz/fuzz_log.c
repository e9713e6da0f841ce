/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever a field holds, a line is one line: valid UTF-8 without control characters, bounded, and
 * ended by its only newline. */

#include <stddef.h>
#include <stdint.h>

#include "base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static Wall now(void *ctx)
{
        (void)ctx;
        return (Wall){1};
}

static void write_line(void *ctx, Str line)
{
        bool *json = ctx;

        INSIST(line.n > 1 && line.n <= LOG_LINE_MAX);
        INSIST(str_find(line, '\n') == (ptrdiff_t)line.n - 1);
        INSIST(str_is_printable_utf8(str_sub(line, 0, line.n - 1)));
        INSIST(!*json || str_ends(line, STR("}\n")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Str all = str_make(data, size), head = {0};
        bool json = false;
        Log log = {.level = LOG_DEBUG, .now = now, .write = write_line, .ctx = &json};

        IGNORE(str_cut(&all, '\n', &head), "the rest may be empty");
        for (int i = 0; i < 2; i++) {
                json = log.json = i == 1;
                log_info(&log, "message", LOG_STR("head", head), LOG_INT("size", size),
                         LOG_STR("rest", all));
        }
        return 0;
}
