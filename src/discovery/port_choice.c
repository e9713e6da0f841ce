/* SPDX-License-Identifier: Apache-2.0 */
#include "discovery/port_choice.h"

#include "discovery/selection.h"

bool port_choice_parse_tag(Str tag, PortChoice *ret)
{
        static const struct {
                Str word;
                Protocol protocol;
        } words[] = {
                {STR_INIT("http"), PROTOCOL_HTTP},   {STR_INIT("https"), PROTOCOL_HTTPS},
                {STR_INIT("h2c"), PROTOCOL_H2C},     {STR_INIT("grpc"), PROTOCOL_GRPC},
                {STR_INIT("grpcs"), PROTOCOL_GRPCS}, {STR_INIT("tcp"), PROTOCOL_TCP},
                {STR_INIT("tls"), PROTOCOL_TLS},     {STR_INIT("udp"), PROTOCOL_UDP},
                {STR_INIT("port"), PROTOCOL_NONE},
        };
        Str rest = tag, word;
        uint64_t port;

        if (!str_starts(tag, STR("tag:")))
                return false;
        rest = str_sub(tag, 4, SIZE_MAX);
        if (!str_cut(&rest, '-', &word) || !str_to_u64(rest, UINT16_MAX, &port) || port == 0)
                return false;
        for (size_t i = 0; i < LENGTH_OF(words); i++) {
                Protocol p = words[i].protocol;

                if (!str_eq_fold(word, words[i].word))
                        continue;
                if (p == PROTOCOL_NONE)
                        p = protocol_of_port((uint16_t)port);
                *ret = (PortChoice){(uint16_t)port, p, tag};
                return true;
        }
        return false;
}

OwnPorts port_choice_own(StrList ports, Arena *arena)
{
        PortSpec *at = arena_new_array(arena, ports.n + 1, sizeof(*at));
        OwnPorts own = {.at = at};
        char expected[EXPECTED_MAX];

        for (size_t i = 0; i < ports.n; i++) {
                if (str_eq(ports.at[i], STR("do-not-validate")))
                        continue;
                if (!port_spec_parse(ports.at[i], &at[own.n], expected)) {
                        if (own.fault.n == 0)
                                own.fault = arena_printf(arena, "%.*s, expected %s",
                                                         STR_FMT(ports.at[i]), expected);
                        continue;
                }
                own.n += at[own.n].n > 0;
        }
        return own;
}

static bool rule_matches(const PortRule *r, const Device *d)
{
        return r->pattern.n > 0 ? selection_name_matches(r->pattern, d)
                                : strlist_has(d->tags, r->tag);
}

static bool has(const PortChoices *c, uint16_t port, Protocol protocol)
{
        for (size_t i = 0; i < c->n; i++)
                if (c->at[i].port == port && c->at[i].protocol == protocol)
                        return true;
        return false;
}

static void add(PortChoices *c, uint16_t port, Protocol protocol, Str source)
{
        if (has(c, port, protocol))
                return;
        if (c->n < PORT_CHOICES_MAX) {
                c->at[c->n++] = (PortChoice){port, protocol, source};
                return;
        }
        c->n_more++;
        c->rule = source;
}

static Protocol protocol_of_own(const DiscoveryRules *rules, const Device *d, uint16_t port)
{
        for (size_t i = 0; i < rules->n_ports; i++) {
                const PortRule *r = &rules->ports[i];

                if (rule_matches(r, d) && port_spec_has(&r->ports, port))
                        return r->protocol != PROTOCOL_NONE ? r->protocol : protocol_of_port(port);
        }
        for (size_t i = 0; i < d->tags.n; i++) {
                PortChoice c;

                if (port_choice_parse_tag(d->tags.at[i], &c) && c.port == port)
                        return c.protocol;
        }
        return protocol_of_port(port);
}

static void from_own(const DiscoveryRules *rules, const Device *d, const OwnPorts *own,
                     Arena *arena, PortChoices *ret)
{
        for (size_t i = 0; i < own->n; i++) {
                uint16_t ports[PORT_CHOICES_MAX];
                size_t n = port_spec_take(&own->at[i], ports, PORT_CHOICES_MAX);

                for (size_t j = 0; j < n; j++)
                        add(ret, ports[j], protocol_of_own(rules, d, ports[j]), STR("service"));
                ret->n_more += port_spec_count(&own->at[i]) - n;
        }
        if (ret->n_more > 0)
                ret->rule = STR("service");
        ret->fault = own->fault;
        if (ret->n == 0)
                ret->none = arena_printf(arena, "of its own ports none can be used: %.*s",
                                         STR_FMT(own->fault));
}

static void from_rule(const PortRule *r, size_t index, Arena *arena, PortChoices *ret)
{
        uint16_t ports[PORT_CHOICES_MAX];
        size_t n = port_spec_take(&r->ports, ports, PORT_CHOICES_MAX);
        Str source = arena_printf(arena, "ports[%zu]", index);

        for (size_t i = 0; i < n; i++)
                add(ret, ports[i],
                    r->protocol != PROTOCOL_NONE ? r->protocol : protocol_of_port(ports[i]),
                    source);
        ret->n_more = port_spec_count(&r->ports) - n;
        ret->rule = source;
        if (n == 0)
                ret->none = arena_printf(
                        arena, "ports[%zu] matches, and its * names no port by itself", index);
}

static void from_tags(const Device *d, PortChoices *ret)
{
        for (size_t i = 0; i < d->tags.n; i++) {
                PortChoice c;

                if (port_choice_parse_tag(d->tags.at[i], &c))
                        add(ret, c.port, c.protocol, d->tags.at[i]);
        }
}

void port_choice_of(const DiscoveryRules *rules, const Device *d, const OwnPorts *own, Arena *arena,
                    PortChoices *ret)
{
        *ret = (PortChoices){0};
        if (own != NULL && (own->n > 0 || own->fault.n > 0)) {
                from_own(rules, d, own, arena, ret);
                return;
        }
        for (size_t i = 0; i < rules->n_ports; i++) {
                if (!rule_matches(&rules->ports[i], d))
                        continue;
                from_rule(&rules->ports[i], i, arena, ret);
                return;
        }
        from_tags(d, ret);
        if (ret->n > 0)
                return;
        if (rules->default_port != 0)
                add(ret, rules->default_port, rules->default_protocol, STR("defaultPort"));
        else
                ret->none = STR("no ports[] rule and no port tag matches, and there is no "
                                "defaultPort");
}

void port_choice_add_open(const DiscoveryRules *rules, const Device *d, const PortSpec *open,
                          PortChoices *ret)
{
        uint16_t ports[PORT_CHOICES_MAX];
        size_t n = port_spec_take(open, ports, PORT_CHOICES_MAX);

        if (ret->n > 0)
                return;
        for (size_t i = 0; i < n; i++)
                if (port_spec_has(&rules->port_probing.ports, ports[i]))
                        add(ret, ports[i], protocol_of_own(rules, d, ports[i]),
                            STR(PORT_SOURCE_PROBING));
        if (ret->n == 0)
                ret->none = STR("no rule names a port, and of those of portProbing none is known "
                                "to be open");
}
