/* SPDX-License-Identifier: Apache-2.0 */
#include "discovery/device_health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW    INT64_C(1795381081000) /* 2026-11-22T20:58:01Z */
#define MINUTE INT64_C(60000)
#define DAY    (24 * 60 * MINUTE)

#define LIST(...) \
        ((StrList){(const Str[]){__VA_ARGS__}, sizeof((const Str[]){__VA_ARGS__}) / sizeof(Str)})

typedef struct Case {
        Device device;
        bool usable;
        const char *word, *text;
} Case;

static void check(const Case *cases, size_t n)
{
        Arena arena;

        arena_init(&arena, 0);
        for (size_t i = 0; i < n; i++) {
                DeviceHealth h = device_health(&cases[i].device, (Wall){NOW}, &arena);

                assert_int_equal(h.usable, cases[i].usable);
                assert_string_equal(arena_str(&arena, h.word).p, cases[i].word);
                assert_string_equal(arena_str(&arena, h.text).p, cases[i].text);
        }
        arena_done(&arena);
}

static void what_can_never_work_is_a_reason(void **state)
{
        static const Case cases[] = {
                {{.online = DEVICE_ONLINE},
                 false,
                 "Unapproved",
                 "the device is not approved in the tailnet"},
                {{.online = DEVICE_ONLINE, .authorized = true, .expires = {NOW}},
                 false,
                 "Expired",
                 "the device's key has expired"},
                {{.authorized = true, .lock_error = STR_INIT("not signed")},
                 false,
                 "Locked",
                 "not signed"},
                {{.authorized = true, .blocks_incoming = true},
                 false,
                 "ShieldsUp",
                 "the device blocks incoming connections"},
        };

        (void)state;
        check(cases, LENGTH_OF(cases));
}

static void what_may_work_is_a_condition(void **state)
{
        static const Case cases[] = {
                {{.online = DEVICE_ONLINE, .authorized = true}, true, "Healthy", ""},
                {{.authorized = true}, true, "Unknown", ""},
                {{.online = DEVICE_OFFLINE, .authorized = true},
                 true,
                 "Offline",
                 "it is not connected to the control server"},
                {{.online = DEVICE_OFFLINE, .last_seen = {NOW}, .authorized = true},
                 true,
                 "Offline",
                 "the control server has not seen it since 2026-11-22T20:58:01Z"},
                {{.last_seen = {NOW - 9 * MINUTE}, .authorized = true}, true, "Healthy", ""},
                {{.last_seen = {NOW - 10 * MINUTE}, .authorized = true},
                 true,
                 "Offline",
                 "the control server has not seen it since 2026-11-22T20:48:01Z"},
                {{.last_seen = {NOW + 9 * MINUTE}, .authorized = true}, true, "Healthy", ""},
                /* The API's word counts, whatever it says of the time. */
                {{.online = DEVICE_ONLINE, .last_seen = {NOW - DAY}, .authorized = true},
                 true,
                 "Healthy",
                 ""},
                {{.online = DEVICE_ONLINE, .sight = DEVICE_VISIBLE, .authorized = true},
                 true,
                 "Healthy",
                 ""},
                {{.online = DEVICE_ONLINE, .sight = DEVICE_HIDDEN, .authorized = true},
                 true,
                 "NotVisible",
                 "our tailscaled does not see it: the tailnet's policy does not let our proxy "
                 "reach it"},
                {{.online = DEVICE_ONLINE, .multiple_connections = true, .authorized = true},
                 true,
                 "MultipleConnections",
                 "two machines are connected with this device's key"},
                {{.online = DEVICE_ONLINE, .external = true, .authorized = true},
                 true,
                 "Healthy",
                 "SharedIn: shared in from another tailnet"},
        };

        (void)state;
        check(cases, LENGTH_OF(cases));
}

static void a_key_warns_two_weeks_before(void **state)
{
        static const Case cases[] = {
                {{.online = DEVICE_ONLINE, .authorized = true, .expires = {NOW + 14 * DAY + 1}},
                 true,
                 "Healthy",
                 ""},
                {{.online = DEVICE_ONLINE, .authorized = true, .expires = {NOW + 14 * DAY}},
                 true,
                 "KeyExpiresSoon",
                 "the device's key expires on 2026-12-06"},
                {{.online = DEVICE_ONLINE, .authorized = true, .expires = {NOW + 1}},
                 true,
                 "KeyExpiresSoon",
                 "the device's key expires on 2026-11-22"},
                {{.authorized = true, .expires = {NOW + DAY}},
                 true,
                 "KeyExpiresSoon",
                 "the device's key expires on 2026-11-23"},
                {{.online = DEVICE_ONLINE, .authorized = true, .expires = {INT64_MAX}},
                 true,
                 "Healthy",
                 ""},
        };

        (void)state;
        check(cases, LENGTH_OF(cases));
}

static void the_word_is_the_most_important_and_the_text_has_all(void **state)
{
        static const Case cases[] = {
                {{.online = DEVICE_OFFLINE,
                  .authorized = true,
                  .external = true,
                  .multiple_connections = true,
                  .sight = DEVICE_HIDDEN,
                  .expires = {NOW + DAY}},
                 true,
                 "NotVisible",
                 "our tailscaled does not see it: the tailnet's policy does not let our proxy "
                 "reach it; Offline: it is not connected to the control server; "
                 "MultipleConnections: two machines are connected with this device's key; "
                 "KeyExpiresSoon: the device's key expires on 2026-11-23; SharedIn: shared in "
                 "from another tailnet"},
                {{.blocks_incoming = true, .expires = {1}, .last_seen = {NOW - DAY}},
                 false,
                 "Unapproved",
                 "the device is not approved in the tailnet; Expired: the device's key has "
                 "expired; ShieldsUp: the device blocks incoming connections; Offline: the "
                 "control server has not seen it since 2026-11-21T20:58:01Z"},
        };

        (void)state;
        check(cases, LENGTH_OF(cases));
}

static Device *host(const char *id, DeviceOnline online, bool authorized)
{
        return device_new(
                &(Device){.node_id = str_of(id), .online = online, .authorized = authorized});
}

static void a_service_is_what_its_hosts_are(void **state)
{
        Table *devices = table_new((const void *[]){host("1", DEVICE_ONLINE, true),
                                                    host("2", DEVICE_OFFLINE, true),
                                                    host("3", DEVICE_ONLINE, false)},
                                   3, device_order);
        const struct {
                TailnetService service;
                const char *word, *text;
        } cases[] = {
                {{.n_hosts = 3}, "Unknown", "its hosts are not known"},
                {{.hosts_known = true, .n_hosts = 3},
                 "NoServiceHost",
                 "0 of 3 hosts are approved and ready"},
                {{.hosts_known = true, .hosts = LIST(STR("1")), .n_hosts = 2},
                 "Healthy",
                 "1 of 2 hosts is approved and ready"},
                {{.hosts_known = true, .hosts = LIST(STR("2"), STR("3")), .n_hosts = 2},
                 "Offline",
                 "2 of 2 hosts are approved and ready, and none of them is seen or can be used"},
                {{.hosts_known = true, .hosts = LIST(STR("2"), STR("elsewhere")), .n_hosts = 2},
                 "Healthy",
                 "2 of 2 hosts are approved and ready"},
        };
        Arena arena;

        (void)state;
        arena_init(&arena, 0);
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                DeviceHealth h =
                        device_health_of_service(&cases[i].service, devices, (Wall){NOW}, &arena);

                assert_true(h.usable);
                assert_string_equal(arena_str(&arena, h.word).p, cases[i].word);
                assert_string_equal(arena_str(&arena, h.text).p, cases[i].text);
        }
        arena_done(&arena);
        table_unref(devices);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_can_never_work_is_a_reason),
                cmocka_unit_test(what_may_work_is_a_condition),
                cmocka_unit_test(a_key_warns_two_weeks_before),
                cmocka_unit_test(the_word_is_the_most_important_and_the_text_has_all),
                cmocka_unit_test(a_service_is_what_its_hosts_are),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
