/* SPDX-License-Identifier: Apache-2.0 */
/* First line: a pattern; the rest: a text. What is malformed matches nothing, and `*` matches all.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/glob.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Str text = str_make(data, size), pattern = {0};
        if (!str_cut(&text, '\n', &pattern))
                return 0;
        bool valid = glob_is_valid(pattern);
        bool matches = glob_match(pattern, text);
        INSIST(valid || !matches || pattern.n == 0 || pattern.n > GLOB_MAX);
        INSIST(glob_match(STR("*"), text));
        return 0;
}
