/* SPDX-License-Identifier: Apache-2.0 */
#include "source/own_nodes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/mem.h"

static void *device(const char *id, const char *ip4, const char *ip6)
{
        return device_new(&(Device){.node_id = str_of(id),
                                    .name = STR("n"),
                                    .short_name = STR("n"),
                                    .ip4 = str_of(ip4),
                                    .ip6 = str_of(ip6)});
}

/* The ids that are ours, with a proxy in each place. */
static const char *ids(Str of_entry, Str of_tailnet, Str self)
{
        static char text[64];
        const void *at[] = {device("1", "100.64.0.1", "fd7a:115c:a1e0::1"),
                            device("2", "100.64.0.2", ""), device("3", "", "fd7a:115c:a1e0::3")};
        CLEANUP(leaf_cleanup) Table *devices = table_new(at, LENGTH_OF(at), device_order);
        TailnetState *s = leaf_new(sizeof *s, 0, tailnet_state_drop);
        TailnetSpec spec = {.proxies = {&of_tailnet, of_tailnet.n > 0}};
        TailnetEntry entry = {.connectivity.proxies = {&of_entry, of_entry.n > 0}};
        OwnNodes own;
        size_t n = 0;
        s->self_node = self;
        s->devices = table_ref(devices);
        own_nodes_find(&entry, &spec, s, &own);
        text[0] = '\0';
        for (size_t i = 0; i < own.n; i++)
                n += (size_t)snprintf(text + n, sizeof text - n, "%.*s ", STR_FMT(own.at[i]));
        leaf_unref(s);
        return text;
}

static void a_device_with_the_address_of_a_proxy_is_ours(void **state)
{
        static const struct {
                Str of_entry, of_tailnet, self;
                const char *own;
        } cases[] = {
                {STR_INIT(""), STR_INIT(""), STR_INIT(""), ""},
                {STR_INIT(""), STR_INIT(""), STR_INIT("9"), "9 "},
                {STR_INIT("100.64.0.2:3128"), STR_INIT(""), STR_INIT("9"), "9 2 "},
                {STR_INIT(""), STR_INIT("100.64.0.1:1055"), STR_INIT(""), "1 "},
                {STR_INIT("100.64.0.2:80"), STR_INIT("[fd7a:115c:a1e0::3]:80"), STR_INIT(""),
                 "2 3 "},
                {STR_INIT("[FD7A:115C:A1E0:0::1]:80"), STR_INIT(""), STR_INIT(""), "1 "},
                /* loopback, a name, a socket, another address */
                {STR_INIT("127.0.0.1:3128"), STR_INIT("proxy.corp:3128"), STR_INIT(""), ""},
                {STR_INIT("/run/proxy.sock"), STR_INIT("100.64.0.7:3128"), STR_INIT(""), ""},
                {STR_INIT("["), STR_INIT("[fd7a:115c:a1e0::3"), STR_INIT(""), ""},
        };
        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++)
                assert_string_equal(ids(cases[i].of_entry, cases[i].of_tailnet, cases[i].self),
                                    cases[i].own);
}

static void without_a_state_none_is_known(void **state)
{
        TailnetEntry entry = {0};
        OwnNodes own = {.n = 7};
        (void)state;
        own_nodes_find(&entry, NULL, NULL, &own);
        assert_int_equal(own.n, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_device_with_the_address_of_a_proxy_is_ours),
                cmocka_unit_test(without_a_state_none_is_known),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
