/* SPDX-License-Identifier: Apache-2.0 */
#include "discovery/candidate.h"

#include "discovery/device_health.h"
#include "discovery/selection.h"
#include "model/cidr.h"

enum {
        SERVICE_MAX = 63, /* a DNS label, RFC 1035 2.3.4 */
};

/* The short name as a DNS label: lower case, anything strange a dash, no dash at an end. Empty
 * where nothing is left. */
static Str service_name(Str short_name, Arena *arena)
{
        char label[SERVICE_MAX];
        size_t n = 0, from = 0;

        for (size_t i = 0; i < short_name.n && n < SERVICE_MAX; i++) {
                char c = short_name.p[i];

                if (c >= 'A' && c <= 'Z')
                        c = (char)(c + ('a' - 'A'));
                label[n++] = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '-';
        }
        while (n > 0 && label[n - 1] == '-')
                n--;
        while (from < n && label[from] == '-')
                from++;
        return arena_str(arena, str_make(label + from, n - from));
}

Str candidate_address(const TailnetEntry *entry, Str ip, Arena *arena)
{
        const Connectivity *c = &entry->connectivity;
        char text[IP_TEXT];
        IpAddr a;

        if (!ip_parse(ip, &a) || !ip_is_allowed(&a, c->allowed, c->n_allowed))
                return (Str){0};
        return arena_str(arena, str_of(ip_format(&a, text)));
}

static bool refuse(Refusal *ret, Str reason, Str text)
{
        *ret = (Refusal){reason, text};
        return false;
}

/* All strings of *c are the device's, literals, or in `scratch`. */
static bool judge(const CandidateRules *rules, const Device *d, bool partial, Arena *scratch,
                  Candidate *c, Refusal *ret)
{
        const DiscoveryRules *discovery = &rules->entry->discovery;
        Verdict v = selection_judge(discovery, rules->own_nodes, d, partial, scratch);
        DeviceHealth health = device_health(d, rules->now);

        if (!v.taken)
                return refuse(ret, v.reason, v.text);
        if (!health.usable)
                return refuse(ret, health.word, health.text);
        c->device = d;
        c->rule = v.text;
        c->health = health.word;
        c->rank = d->external ? CANDIDATE_EXTERNAL : CANDIDATE_OWN;
        c->service = service_name(d->short_name, scratch);
        if (c->service.n == 0)
                return refuse(ret, STR("BadName"), STR("no DNS label can be made of its name"));
        c->ip = candidate_address(rules->entry, d->ip4, scratch);
        if (c->ip.n == 0)
                c->ip = candidate_address(rules->entry, d->ip6, scratch);
        if (c->ip.n == 0)
                return refuse(ret, STR("AddressRefused"),
                              arena_printf(scratch,
                                           "%.*s is neither a tailnet address nor in allowedCIDRs",
                                           STR_FMT(d->ip4.n > 0 ? d->ip4 : d->ip6)));
        c->n_ports = port_choice_of(discovery, d, scratch, c->ports);
        if (c->n_ports == 0)
                return refuse(ret, STR("NoPort"),
                              STR("no ports[] rule and no port tag matches, and there is no "
                                  "defaultPort"));
        return true;
}

/* Only what was taken is kept: of a long list most is not. */
static Candidate *keep(const Candidate *from, Arena *arena)
{
        Candidate *c = ARENA_NEW(arena, Candidate);

        *c = *from;
        c->service = arena_str(arena, from->service);
        c->ip = arena_str(arena, from->ip);
        c->rule = arena_str(arena, from->rule);
        for (size_t i = 0; i < c->n_ports; i++)
                c->ports[i].source = arena_str(arena, from->ports[i].source);
        return c;
}

Candidate *candidate_of(const CandidateRules *rules, const Device *d, Arena *arena, Arena *scratch,
                        Refusal *ret)
{
        Candidate c = {0};

        return judge(rules, d, false, scratch, &c, ret) ? keep(&c, arena) : NULL;
}

Candidate *candidate_of_endpoint(const CandidateRules *rules, const Endpoint *e, Arena *arena,
                                 Arena *scratch)
{
        bool is_v6 = str_find(e->ip, ':') >= 0;
        Str short_name = e->short_name.n > 0 ? e->short_name : e->service;
        const Device d = {
                .node_id = e->node_id,
                .short_name = short_name,
                .name = e->fqdn.n > 0 ? e->fqdn : short_name,
                .ip4 = is_v6 ? (Str){0} : e->ip,
                .ip6 = is_v6 ? e->ip : (Str){0},
                .tags = e->tags,
                .authorized = true,
        };
        Candidate c = {0}, *kept;
        Refusal ignored;
        Device *device;

        if (!judge(rules, &d, true, scratch, &c, &ignored))
                return NULL;
        kept = keep(&c, arena);
        kept->device = device = ARENA_NEW(arena, Device);
        *device = d;
        kept->rank = CANDIDATE_REMEMBERED;
        kept->health = e->health;
        return kept;
}

bool candidate_is_before(const Candidate *a, const Candidate *b)
{
        bool a_exact = str_eq(a->service, a->device->short_name);
        bool b_exact = str_eq(b->service, b->device->short_name);

        if (a->rank != b->rank)
                return a->rank < b->rank;
        if (a_exact != b_exact)
                return a_exact;
        return str_cmp(a->device->node_id, b->device->node_id) < 0;
}
