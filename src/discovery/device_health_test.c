/* SPDX-License-Identifier: Apache-2.0 */
#include "discovery/device_health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void what_control_says(void **state)
{
        enum {
                NOW = 1000000000,
                MINUTE = 60000
        };
        static const struct {
                Device device;
                bool usable;
                const char *word;
        } cases[] = {
                {{.online = DEVICE_ONLINE, .authorized = true}, true, "Healthy"},
                {{.online = DEVICE_OFFLINE, .authorized = true}, true, "Offline"},
                {{.authorized = true}, true, "Unknown"},
                {{.last_seen = {NOW - 9 * MINUTE}, .authorized = true}, true, "Healthy"},
                {{.last_seen = {NOW - 10 * MINUTE}, .authorized = true}, true, "Offline"},
                {{.last_seen = {NOW + 9 * MINUTE}, .authorized = true}, true, "Healthy"},
                {{.online = DEVICE_ONLINE}, false, "Unapproved"},
                {{.authorized = true, .expires = {NOW}}, false, "Expired"},
                {{.authorized = true, .expires = {NOW + 1}, .online = DEVICE_ONLINE},
                 true,
                 "Healthy"},
                {{.authorized = true, .lock_error = STR_INIT("not signed")}, false, "Locked"},
                {{.authorized = true, .blocks_incoming = true}, false, "ShieldsUp"},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                DeviceHealth h = device_health(&cases[i].device, (Wall){NOW});

                assert_int_equal(h.usable, cases[i].usable);
                assert_true(str_eq(h.word, str_of(cases[i].word)));
                assert_int_equal(h.text.n > 0, !h.usable);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(what_control_says)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
