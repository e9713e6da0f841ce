/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as ports: what is refused says so in printable text; of what is read the number of ports
 * is right, and the first of them are each there, in the order given, and told once. */

#include <stddef.h>
#include <stdint.h>

#include "model/port_spec.h"

enum {
        TAKEN_MAX = 64
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count_slowly(const PortSpec *s)
{
        PortSpec named = *s;
        size_t n = 0;

        named.any = false;
        for (unsigned p = 0; p <= UINT16_MAX; p++)
                n += port_spec_has(&named, (uint16_t)p);
        return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Str text = str_make(data, size);
        char expected[EXPECTED_MAX] = "";
        uint16_t ports[TAKEN_MAX];
        size_t n, count;
        PortSpec s;

        if (!port_spec_parse(text, &s, expected)) {
                INSIST(expected[0] != '\0');
                INSIST(!str_is_printable_utf8(text) || str_is_printable_utf8(str_of(expected)));
                return 0;
        }
        INSIST(s.n + s.any > 0 && port_spec_same(&s, &s));
        count = port_spec_count(&s);
        INSIST(count == count_slowly(&s));
        n = port_spec_take(&s, ports, TAKEN_MAX);
        INSIST(n == (count < TAKEN_MAX ? count : TAKEN_MAX));
        for (size_t i = 0; i < n; i++) {
                INSIST(ports[i] > 0 && port_spec_has(&s, ports[i]));
                for (size_t j = 0; j < i; j++)
                        INSIST(ports[i] != ports[j]);
        }
        return 0;
}
