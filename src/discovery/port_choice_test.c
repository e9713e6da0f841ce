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

/* "80/HTTP service", one a line, and what is said besides. */
static const char *chosen(const DiscoveryRules *rules, const Device *d, StrList own, Arena *arena)
{
        OwnPorts ports = port_choice_own(own, arena);
        PortChoices c;
        Str text = {0};

        port_choice_of(rules, d, own.n > 0 ? &ports : NULL, arena, &c);
        for (size_t i = 0; i < c.n; i++)
                text = arena_printf(arena, "%.*s%u/%.*s %.*s\n", STR_FMT(text), c.at[i].port,
                                    STR_FMT(protocol_name(c.at[i].protocol)),
                                    STR_FMT(c.at[i].source));
        if (c.n_more > 0)
                text = arena_printf(arena, "%.*s%zu more by %.*s\n", STR_FMT(text), c.n_more,
                                    STR_FMT(c.rule));
        if (c.fault.n > 0)
                text = arena_printf(arena, "%.*sfault: %.*s\n", STR_FMT(text), STR_FMT(c.fault));
        if (c.none.n > 0)
                text = arena_printf(arena, "%.*snone: %.*s\n", STR_FMT(text), STR_FMT(c.none));
        return arena_str(arena, text).p;
}

static PortSpec spec(const char *text)
{
        char expected[EXPECTED_MAX];
        PortSpec s;

        assert_true(port_spec_parse(str_of(text), &s, expected));
        return s;
}

static void the_order_of_the_sources(void **state)
{
        const PortRule ports[] = {
                {.pattern = STR("db-*"), .ports = spec("5432"), .protocol = PROTOCOL_TCP},
                {.tag = STR("tag:web"), .ports = spec("8080")},
                {.pattern = STR("*.corp.net"), .ports = spec("9090")},
        };
        DiscoveryRules rules = {.ports = ports,
                                .n_ports = LENGTH_OF(ports),
                                .default_port = 80,
                                .default_protocol = PROTOCOL_HTTP};
        Device d = {.short_name = STR("db-1"),
                    .name = STR("db-1.corp.net"),
                    .tags = LIST(STR("tag:grpc-9000"), STR("tag:http-80"), STR("tag:port-80"),
                                 STR("tag:web"))};
        Arena arena;

        (void)state;
        arena_init(&arena, 0);
        assert_string_equal(chosen(&rules, &d, (StrList){0}, &arena), "5432/TCP ports[0]\n");
        d.short_name = STR("web");
        assert_string_equal(chosen(&rules, &d, (StrList){0}, &arena), "8080/HTTP ports[1]\n");
        rules.n_ports = 1;
        assert_string_equal(chosen(&rules, &d, (StrList){0}, &arena),
                            "9000/GRPC tag:grpc-9000\n80/HTTP tag:http-80\n");
        d.tags = (StrList){0};
        assert_string_equal(chosen(&rules, &d, (StrList){0}, &arena), "80/HTTP defaultPort\n");
        rules.default_port = 0;
        assert_string_equal(chosen(&rules, &d, (StrList){0}, &arena),
                            "none: no ports[] rule and no port tag matches, and there is no "
                            "defaultPort\n");
        arena_done(&arena);
}

static void a_rule_has_several_ports(void **state)
{
        PortRule rule = {.pattern = STR("*"), .ports = spec("tcp:443,tcp:8080-8082")};
        const DiscoveryRules rules = {.ports = &rule,
                                      .n_ports = 1,
                                      .default_port = 80,
                                      .default_protocol = PROTOCOL_HTTP};
        const Device d = {.short_name = STR("x"), .name = STR("x")};
        Arena arena;

        (void)state;
        arena_init(&arena, 0);
        assert_string_equal(chosen(&rules, &d, (StrList){0}, &arena),
                            "443/HTTPS ports[0]\n8080/HTTP ports[0]\n8081/HTTP ports[0]\n"
                            "8082/HTTP ports[0]\n");
        rule.protocol = PROTOCOL_TCP;
        rule.ports = spec("*,22");
        assert_string_equal(chosen(&rules, &d, (StrList){0}, &arena), "22/TCP ports[0]\n");
        /* The rule that matches decides, also where it names no port. */
        rule.ports = spec("tcp:*");
        assert_string_equal(chosen(&rules, &d, (StrList){0}, &arena),
                            "none: ports[0] matches, and its * names no port by itself\n");
        rule.ports = spec("1000-1002,1001,2000-2999");
        const char *text = chosen(&rules, &d, (StrList){0}, &arena);
        assert_non_null(strstr(text, "1002/TCP ports[0]\n2000/TCP ports[0]\n"));
        assert_non_null(strstr(text, "2012/TCP ports[0]\n987 more by ports[0]\n"));
        arena_done(&arena);
}

static void a_service_has_its_own(void **state)
{
        const PortRule ports[] = {
                {.pattern = STR("other"), .ports = spec("80"), .protocol = PROTOCOL_TLS},
                {.pattern = STR("web"), .ports = spec("8080"), .protocol = PROTOCOL_GRPC},
                {.pattern = STR("web"), .ports = spec("5000-5999"), .protocol = PROTOCOL_TCP},
                {.pattern = STR("web"), .ports = spec("5432")},
        };
        DiscoveryRules rules = {.ports = ports, .n_ports = LENGTH_OF(ports)};
        Device d = {.short_name = STR("web"),
                    .name = STR("web.corp.net"),
                    .tags = LIST(STR("tag:grpc-9000"), STR("tag:tcp-443"))};
        Arena arena;

        (void)state;
        arena_init(&arena, 0);
        assert_string_equal(chosen(&rules, &d,
                                   LIST(STR("tcp:443"), STR("tcp:5432"), STR("tcp:80"),
                                        STR("tcp:8080"), STR("tcp:8443"), STR("tcp:9000")),
                                   &arena),
                            "443/TCP service\n5432/TCP service\n80/HTTP service\n"
                            "8080/GRPC service\n8443/HTTPS service\n9000/GRPC service\n");
        /* It says nothing of its own: the rules do. */
        assert_string_equal(chosen(&rules, &d, LIST(STR("do-not-validate")), &arena),
                            "8080/GRPC ports[1]\n");
        assert_string_equal(chosen(&rules, &d, LIST(STR("tcp:*")), &arena), "8080/GRPC ports[1]\n");
        assert_string_equal(
                chosen(&rules, &d, LIST(STR("do-not-validate"), STR("tcp:80-81")), &arena),
                "80/HTTP service\n81/HTTP service\n");
        /* It says what cannot be: nothing is guessed in its place. */
        assert_string_equal(chosen(&rules, &d, LIST(STR("tcp:443"), STR("udp:53")), &arena),
                            "443/TCP service\nfault: udp:53, expected tcp (UDP does not go "
                            "through a CONNECT proxy), not udp:53 (byte 1)\n");
        assert_string_equal(
                chosen(&rules, &d, LIST(STR("nonsense")), &arena),
                "fault: nonsense, expected a port from 1 to 65535, a range such as "
                "80-90, or *, not nonsense (byte 1)\n"
                "none: of its own ports none can be used: nonsense, expected a port "
                "from 1 to 65535, a range such as 80-90, or *, not nonsense (byte 1)\n");
        const char *text = chosen(&rules, &d, LIST(STR("1-20"), STR("7"), STR("9000")), &arena);
        assert_non_null(strstr(text, "16/HTTP service\n5 more by service\n"));
        arena_done(&arena);
}

static void too_many_tags_are_told(void **state)
{
        DiscoveryRules rules = {0};
        Str tags[PORT_CHOICES_MAX * 2];
        Device d = {.tags = {tags, LENGTH_OF(tags)}};
        Arena arena;

        (void)state;
        arena_init(&arena, 0);
        for (unsigned i = 0; i < LENGTH_OF(tags); i++)
                tags[i] = arena_printf(&arena, "tag:http-%u", 1000 + i);
        assert_non_null(strstr(chosen(&rules, &d, (StrList){0}, &arena),
                               "1015/HTTP tag:http-1015\n16 more by tag:http-1031\n"));
        arena_done(&arena);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(tags_name_ports),
                cmocka_unit_test(the_order_of_the_sources),
                cmocka_unit_test(a_rule_has_several_ports),
                cmocka_unit_test(a_service_has_its_own),
                cmocka_unit_test(too_many_tags_are_told),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
