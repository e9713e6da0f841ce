/* SPDX-License-Identifier: Apache-2.0 */
#include "discovery/port_choice.h"

#include "discovery/selection.h"

bool port_choice_parse_tag(Str tag, PortChoice *ret)
{
        static const struct {
                Str word;
                Protocol protocol;
        } words[] = {
                {STR_INIT("http"), PROTOCOL_HTTP}, {STR_INIT("https"), PROTOCOL_HTTPS},
                {STR_INIT("grpc"), PROTOCOL_GRPC}, {STR_INIT("tcp"), PROTOCOL_TCP},
                {STR_INIT("tls"), PROTOCOL_TLS},   {STR_INIT("udp"), PROTOCOL_UDP},
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
                        p = port == 443 || port == 8443 ? PROTOCOL_HTTPS : PROTOCOL_HTTP;
                *ret = (PortChoice){(uint16_t)port, p, tag};
                return true;
        }
        return false;
}

static bool has(const PortChoice *at, size_t n, const PortChoice *c)
{
        for (size_t i = 0; i < n; i++)
                if (at[i].port == c->port && at[i].protocol == c->protocol)
                        return true;
        return false;
}

static size_t from_tags(const Device *d, PortChoice ret[PORT_CHOICES_MAX])
{
        size_t n = 0;

        for (size_t i = 0; i < d->tags.n && n < PORT_CHOICES_MAX; i++) {
                PortChoice c;

                if (port_choice_parse_tag(d->tags.at[i], &c) && !has(ret, n, &c))
                        ret[n++] = c;
        }
        return n;
}

size_t port_choice_of(const DiscoveryRules *rules, const Device *d, Arena *arena,
                      PortChoice ret[PORT_CHOICES_MAX])
{
        size_t n;

        for (size_t i = 0; i < rules->n_ports; i++) {
                const PortRule *r = &rules->ports[i];

                if (r->pattern.n > 0 ? selection_name_matches(r->pattern, d)
                                     : strlist_has(d->tags, r->tag)) {
                        ret[0] = (PortChoice){r->port, r->protocol,
                                              arena_printf(arena, "ports[%zu]", i)};
                        return 1;
                }
        }
        n = from_tags(d, ret);
        if (n > 0 || rules->default_port == 0)
                return n;
        ret[0] = (PortChoice){rules->default_port, rules->default_protocol, STR("defaultPort")};
        return 1;
}
