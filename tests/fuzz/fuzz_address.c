/* SPDX-License-Identifier: Apache-2.0 */
/* What is read as an address is told as it was given, and asked for its parts. */

#include <stddef.h>
#include <stdint.h>

#include "io/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Str s = str_make(data, size);
        Address a, again;

        if (!address_parse(s, &a, NULL))
                return 0;
        INSIST(str_eq(str_of(a.text), s) || str_find(s, '\0') >= 0);
        INSIST(a.sa.ss_family != AF_UNIX || (address_path(&a).n > 1 && address_is_local(&a)));
        if (a.sa.ss_family == AF_UNIX)
                return 0;
        bool local = address_is_local(&a);
        address_set_port(&a, 65535);
        INSIST(address_parse(str_of(a.text), &again, NULL));
        INSIST(address_port(&again) == 65535 && address_is_local(&again) == local);
        return 0;
}
