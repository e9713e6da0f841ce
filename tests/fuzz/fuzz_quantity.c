/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever is an amount is one again when it was written, and not a smaller one. */

#include <stddef.h>
#include <stdint.h>

#include "model/quantity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        int64_t milli, again;
        char text[QUANTITY_TEXT];

        if (!quantity_parse(str_make(data, size), &milli))
                return 0;
        INSIST(milli >= 0);
        INSIST(quantity_parse(str_of(quantity_format(milli, false, text)), &again));
        INSIST(again == milli);
        /* Rounded up to a whole byte it may be more than there can be. */
        if (milli < INT64_MAX - 1000) {
                INSIST(quantity_parse(str_of(quantity_format(milli, true, text)), &again));
                INSIST(again >= milli && again - milli < 1000 && again % 1000 == 0);
        }
        return 0;
}
