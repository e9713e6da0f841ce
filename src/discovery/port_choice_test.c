/* SPDX-License-Identifier: Apache-2.0 */
#include "discovery/port_choice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LIST(...) \
        ((StrList){(const Str[]){__VA_ARGS__}, sizeof((const Str[]){__VA_ARGS__}) / sizeof(Str)})

static void tags_name_ports(void **state)
{
        static const struct {
                const char *tag;
                uint16_t port; /* 0: names none */
                Protocol protocol;
        } cases[] = {
                {"tag:http-8080", 8080, PROTOCOL_HTTP},
                {"tag:https-8443", 8443, PROTOCOL_HTTPS},
                {"tag:grpc-9000", 9000, PROTOCOL_GRPC},
                {"tag:tcp-5432", 5432, PROTOCOL_TCP},
                {"tag:tls-636", 636, PROTOCOL_TLS},
                {"tag:udp-53", 53, PROTOCOL_UDP},
                {"tag:port-80", 80, PROTOCOL_HTTP},
                {"tag:port-443", 443, PROTOCOL_HTTPS},
                {"tag:port-8443", 8443, PROTOCOL_HTTPS},
                {"tag:HTTP-80", 80, PROTOCOL_HTTP},
                {"tag:port-65535", 65535, PROTOCOL_HTTP},
                {"tag:port-65536", 0, PROTOCOL_NONE},
                {"tag:port-0", 0, PROTOCOL_NONE},
                {"tag:port-", 0, PROTOCOL_NONE},
                {"tag:port", 0, PROTOCOL_NONE},
                {"tag:http-80-81", 0, PROTOCOL_NONE},
                {"tag:http-8o", 0, PROTOCOL_NONE},
                {"tag:web-80", 0, PROTOCOL_NONE},
                {"http-80", 0, PROTOCOL_NONE},
                {"tag:", 0, PROTOCOL_NONE},
                {"", 0, PROTOCOL_NONE},
                {"tag:http-+80", 0, PROTOCOL_NONE},
                {"tag:http--80", 0, PROTOCOL_NONE},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                PortChoice c = {0};

                assert_int_equal(port_choice_parse_tag(str_of(cases[i].tag), &c),
                                 cases[i].port != 0);
                assert_int_equal(c.port, cases[i].port);
                assert_int_equal(c.protocol, cases[i].protocol);
        }
}

static void the_order_of_the_sources(void **state)
{
        static const PortRule ports[] = {
                {.pattern = STR_INIT("db-*"), .port = 5432, .protocol = PROTOCOL_TCP},
                {.tag = STR_INIT("tag:web"), .port = 8080, .protocol = PROTOCOL_HTTP},
                {.pattern = STR_INIT("*.corp.net"), .port = 9090, .protocol = PROTOCOL_HTTP},
        };
        DiscoveryRules rules = {.ports = ports,
                                .n_ports = LENGTH_OF(ports),
                                .default_port = 80,
                                .default_protocol = PROTOCOL_HTTP};
        Device d = {.short_name = STR("db-1"),
                    .name = STR("db-1.corp.net"),
                    .tags = LIST(STR("tag:grpc-9000"), STR("tag:http-80"), STR("tag:port-80"),
                                 STR("tag:web"))};
        PortChoice c[PORT_CHOICES_MAX];
        Arena arena;

        (void)state;
        arena_init(&arena, 0);
        assert_int_equal(port_choice_of(&rules, &d, &arena, c), 1);
        assert_int_equal(c[0].port, 5432);
        assert_true(str_eq(c[0].source, STR("ports[0]")));
        d.short_name = STR("web");
        assert_int_equal(port_choice_of(&rules, &d, &arena, c), 1);
        assert_true(str_eq(c[0].source, STR("ports[1]")));
        rules.n_ports = 1;
        assert_int_equal(port_choice_of(&rules, &d, &arena, c), 2);
        assert_true(str_eq(c[0].source, STR("tag:grpc-9000")));
        assert_true(str_eq(c[1].source, STR("tag:http-80")));
        d.tags = (StrList){0};
        assert_int_equal(port_choice_of(&rules, &d, &arena, c), 1);
        assert_int_equal(c[0].port, 80);
        assert_true(str_eq(c[0].source, STR("defaultPort")));
        rules.default_port = 0;
        assert_int_equal(port_choice_of(&rules, &d, &arena, c), 0);
        arena_done(&arena);
}

static void too_many_tags_are_cut(void **state)
{
        DiscoveryRules rules = {0};
        PortChoice c[PORT_CHOICES_MAX];
        Str tags[PORT_CHOICES_MAX * 2];
        Device d = {.tags = {tags, LENGTH_OF(tags)}};
        Arena arena;

        (void)state;
        arena_init(&arena, 0);
        for (unsigned i = 0; i < LENGTH_OF(tags); i++)
                tags[i] = arena_printf(&arena, "tag:http-%u", 1000 + i);
        assert_int_equal(port_choice_of(&rules, &d, &arena, c), PORT_CHOICES_MAX);
        arena_done(&arena);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(tags_name_ports),
                cmocka_unit_test(the_order_of_the_sources),
                cmocka_unit_test(too_many_tags_are_cut),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
