/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The questions in their order: selection, health, name, address, ports. A Tailscale Service is
 * asked in the form of a device, with what only a Service has (own ports, hosts) beside it.
 */
#include "discovery/candidate.h"

#include "discovery/device_health.h"
#include "discovery/selection.h"
#include "model/cidr.h"

#define SERVICE_PREFIX "svc:"

_Static_assert((int)PORT_CHOICES_MAX <= (int)PORT_RANGES_MAX,
               "the ports of endpoints fit one PortSpec");

/* Who is asked. */
typedef struct Subject {
        const Device *device;
        SelectionOf of;
        const DeviceHealth *health; /* NULL: that of the device */
        const OwnPorts *own;        /* NULL: none */
        const PortSpec *open;       /* found open by looking; NULL: none */
} Subject;

static bool is_admitted(const CandidateRules *rules, Str ip, IpAddr *ret, Err *err)
{
        const Connectivity *c = &rules->entry->connectivity;

        if (!ip_parse(ip, ret))
                return err_set(err, ERR_DENIED, "AddressRefused", "%.*s is no address",
                               STR_FMT(ip));
        return policy_admits_address(rules->policy, ret, c->allowed, c->n_allowed, err);
}

Str candidate_address(const CandidateRules *rules, Str ip, Arena *arena)
{
        char text[IP_TEXT];
        IpAddr a;

        if (!is_admitted(rules, ip, &a, NULL))
                return (Str){0};
        return arena_str(arena, str_of(ip_format(&a, text)));
}

Refusal candidate_address_refusal(const CandidateRules *rules, Str ip, Arena *scratch)
{
        Err err = {0};
        IpAddr a;

        IGNORE(is_admitted(rules, ip, &a, &err), "only why not is asked");
        return (Refusal){arena_str(scratch, str_of(err.reason)),
                         arena_str(scratch, str_of(err.text))};
}

bool candidate_service_id(Str node_id, Str *ret_service, Str *ret_host)
{
        Str rest = node_id;

        if (!str_starts(node_id, STR(SERVICE_PREFIX)))
                return false;
        if (!str_cut(&rest, '/', ret_service))
                rest = (Str){0};
        *ret_host = rest;
        return true;
}

static bool refuse(Refusal *ret, Str reason, Str text)
{
        *ret = (Refusal){reason, text};
        return false;
}

/* A group has its name also while nothing is in it: names do not move with who comes and goes. */
static bool is_reserved(const DiscoveryRules *rules, Str name, Arena *scratch, Refusal *ret)
{
        for (size_t i = 0; i < rules->n_groups; i++) {
                if (!str_eq(rules->groups[i].name, name))
                        continue;
                IGNORE(refuse(ret, STR("NameConflict"),
                              arena_printf(scratch,
                                           "groups[%zu] has the name %.*s, and the device is not "
                                           "in it",
                                           i, STR_FMT(name))),
                       "it is");
                return true;
        }
        return false;
}

static bool judge_name(const DiscoveryRules *rules, const Subject *s, Arena *scratch, Candidate *c,
                       Refusal *ret)
{
        char label[SERVICE_LABEL_MAX];
        ptrdiff_t group = s->of == SELECTION_OF_SERVICE ? -1 : selection_group(rules, s->device);

        if (group >= 0) {
                c->owner = CANDIDATE_OF_GROUP;
                c->service = rules->groups[group].name;
                c->rule = arena_printf(scratch, "%.*s, groups[%td]", STR_FMT(c->rule), group);
                return true;
        }
        c->owner = s->of == SELECTION_OF_SERVICE ? CANDIDATE_OF_SERVICE : CANDIDATE_OF_DEVICE;
        c->service = arena_str(scratch, endpoint_service_label(s->device->short_name, label));
        if (c->service.n == 0)
                return refuse(ret, STR("BadName"), STR("no DNS label can be made of its name"));
        return c->owner == CANDIDATE_OF_SERVICE || !is_reserved(rules, c->service, scratch, ret);
}

static bool judge_address(const CandidateRules *rules, const Device *d, Arena *scratch,
                          Candidate *c, Refusal *ret)
{
        if (d->ip4.n == 0 && d->ip6.n == 0)
                return refuse(ret, STR("NoAddress"), STR("it has no address"));
        c->ip = candidate_address(rules, d->ip4, scratch);
        if (c->ip.n == 0)
                c->ip = candidate_address(rules, d->ip6, scratch);
        if (c->ip.n == 0)
                *ret = candidate_address_refusal(rules, d->ip4.n > 0 ? d->ip4 : d->ip6, scratch);
        return c->ip.n > 0;
}

/* All strings of *c are the device's, literals, or in `scratch`. */
static bool judge(const CandidateRules *rules, const Subject *s, Arena *scratch, Candidate *c,
                  Refusal *ret)
{
        const DiscoveryRules *discovery = &rules->entry->discovery;
        Verdict v = selection_judge(discovery, rules->own_nodes, s->device, s->of, scratch);
        DeviceHealth health;

        if (!v.taken)
                return refuse(ret, v.reason, v.text);
        health = s->health != NULL ? *s->health : device_health(s->device, rules->now, scratch);
        if (!health.usable)
                return refuse(ret, health.word, health.text);
        c->device = s->device;
        c->rule = v.text;
        c->health = health.word;
        c->health_text = health.text;
        c->rank = s->device->external ? CANDIDATE_EXTERNAL : CANDIDATE_OWN;
        if (!judge_name(discovery, s, scratch, c, ret) ||
            !judge_address(rules, s->device, scratch, c, ret))
                return false;
        port_choice_of(discovery, s->device, s->own, scratch, &c->ports);
        if (s->open != NULL && discovery->port_probing.ports.n > 0)
                port_choice_add_open(discovery, s->device, s->open, &c->ports);
        return c->ports.n > 0 || refuse(ret, STR("NoPort"), c->ports.none);
}

/* Only what was taken is kept: of a long list most is not. */
static Candidate *keep(const Candidate *from, Arena *arena)
{
        Candidate *c = ARENA_NEW(arena, Candidate);

        *c = *from;
        c->service = arena_str(arena, from->service);
        c->ip = arena_str(arena, from->ip);
        c->rule = arena_str(arena, from->rule);
        c->health_text = arena_str(arena, from->health_text);
        c->ports.rule = arena_str(arena, from->ports.rule);
        c->ports.fault = arena_str(arena, from->ports.fault);
        for (size_t i = 0; i < c->ports.n; i++)
                c->ports.at[i].source = arena_str(arena, from->ports.at[i].source);
        return c;
}

/* As keep, with a device that is in `scratch` or on the stack; what it points to is borrowed but
 * for its node id and name. */
static Candidate *keep_with_device(const Candidate *from, Arena *arena)
{
        Candidate *c = keep(from, arena);
        Device *d = ARENA_NEW(arena, Device);

        *d = *from->device;
        d->node_id = arena_str(arena, d->node_id);
        d->name = arena_str(arena, d->name);
        c->device = d;
        return c;
}

/* The ports of `of`'s device in the endpoints that say they come from `source`, from `at` on; those
 * of one service stand together. `endpoints` may be NULL; the service may be empty: any. */
static PortSpec ports_of_endpoints(const Table *endpoints, size_t at, const Endpoint *of,
                                   Str source)
{
        PortSpec s = {0};

        for (size_t i = at; i < table_n(endpoints) && s.n < PORT_CHOICES_MAX; i++) {
                const Endpoint *e = endpoints->at[i];

                if (of->service.n > 0 && !str_eq(e->service, of->service))
                        break;
                if (str_eq(e->node_id, of->node_id) && str_eq(e->port_source, source) &&
                    !port_spec_has(&s, e->port))
                        s.ranges[s.n++] = (PortRange){e->port, e->port};
        }
        return s;
}

/* Ports that looking found. Before all of them were looked at, as after a restart, those of the
 * endpoints in force stay. */
static PortSpec open_ports_of(const CandidateRules *rules, const Device *d)
{
        const OpenPortsKey key = {rules->gateway, rules->entry->name, d->node_id};
        const OpenPorts *found = rules->open_ports != NULL
                                         ? table_find(rules->open_ports, &key, open_ports_find)
                                         : NULL;
        PortSpec s = {0};

        if (rules->entry->discovery.port_probing.ports.n == 0)
                return s;
        if (found == NULL)
                return ports_of_endpoints(rules->before, 0, &(Endpoint){.node_id = d->node_id},
                                          STR(PORT_SOURCE_PROBING));
        for (; s.n < found->n; s.n++)
                s.ranges[s.n] = (PortRange){found->ports[s.n], found->ports[s.n]};
        return s;
}

Candidate *candidate_of(const CandidateRules *rules, const Device *d, Arena *arena, Arena *scratch,
                        Refusal *ret)
{
        const PortSpec open = open_ports_of(rules, d);
        const Subject s = {.device = d, .of = SELECTION_OF_DEVICE, .open = &open};
        Candidate c = {0};
        Str service, host;

        if (candidate_service_id(d->node_id, &service, &host)) {
                *ret = (Refusal){STR("BadNodeID"),
                                 STR("its node id begins as a Tailscale Service's")};
                return NULL;
        }
        return judge(rules, &s, scratch, &c, ret) ? keep(&c, arena) : NULL;
}

/* Its name as the API has it stands in node ids, so it must be one that can be read back. */
static bool has_good_name(const TailnetService *s)
{
        Str label = str_sub(s->name, strlen(SERVICE_PREFIX), s->name.n);

        return str_starts(s->name, STR(SERVICE_PREFIX)) && label.n > 0 &&
               label.n <= SERVICE_LABEL_MAX && str_find(label, '/') < 0 &&
               str_is_printable_utf8(label);
}

static Device in_form_of_device(const CandidateRules *rules, const TailnetService *s,
                                const Device *host, Arena *scratch)
{
        return (Device){
                .node_id = host != NULL ? arena_printf(scratch, "%.*s/%.*s", STR_FMT(s->name),
                                                       STR_FMT(host->node_id))
                                        : s->name,
                .short_name = s->label,
                .name = rules->suffix.n > 0 ? arena_printf(scratch, "%.*s.%.*s", STR_FMT(s->label),
                                                           STR_FMT(rules->suffix))
                                            : s->label,
                .ip4 = host != NULL ? host->ip4 : s->ip4,
                .ip6 = host != NULL ? host->ip6 : s->ip6,
                .tags = s->tags,
                .expires = host != NULL ? host->expires : (Wall){0},
                .authorized = true,
        };
}

bool candidate_selects_service(const CandidateRules *rules, const TailnetService *s, Arena *scratch)
{
        const Device d = in_form_of_device(rules, s, NULL, scratch);

        return selection_judge(&rules->entry->discovery, rules->own_nodes, &d, SELECTION_OF_SERVICE,
                               scratch)
                .taken;
}

Candidate *candidate_of_service(const CandidateRules *rules, const TailnetService *s,
                                const Device *host, Arena *arena, Arena *scratch, Refusal *ret)
{
        const Device d = in_form_of_device(rules, s, host, scratch);
        DeviceHealth health =
                host != NULL ? device_health(host, rules->now, scratch)
                             : device_health_of_service(s, rules->devices, rules->now, scratch);
        OwnPorts own = port_choice_own(s->ports, scratch);
        const Subject subject = {
                .device = &d, .of = SELECTION_OF_SERVICE, .health = &health, .own = &own};
        Candidate c = {0};

        if (!has_good_name(s)) {
                *ret = (Refusal){STR("BadName"), STR("it is no name of a Tailscale Service")};
                return NULL;
        }
        return judge(rules, &subject, scratch, &c, ret) ? keep_with_device(&c, arena) : NULL;
}

Candidate *candidate_of_endpoints(const CandidateRules *rules, const Table *endpoints, size_t at,
                                  Arena *arena, Arena *scratch)
{
        const Endpoint *e = endpoints->at[at];
        bool is_v6 = str_find(e->ip, ':') >= 0;
        Str short_name = e->short_name.n > 0 ? e->short_name : e->service, service, host;
        const Device d = {
                .node_id = e->node_id,
                .short_name = short_name,
                .name = e->fqdn.n > 0 ? e->fqdn : short_name,
                .ip4 = is_v6 ? (Str){0} : e->ip,
                .ip6 = is_v6 ? e->ip : (Str){0},
                .tags = e->tags,
                .authorized = true,
        };
        const DeviceHealth health = {true, e->health, e->health_text};
        const PortSpec ports = ports_of_endpoints(endpoints, at, e, STR("service"));
        const PortSpec open = ports_of_endpoints(endpoints, at, e, STR(PORT_SOURCE_PROBING));
        const OwnPorts own = {.at = &ports, .n = ports.n > 0};
        bool is_service = candidate_service_id(e->node_id, &service, &host);
        const Subject s = {.device = &d,
                           .of = is_service ? SELECTION_OF_SERVICE : SELECTION_OF_REMEMBERED,
                           .health = &health,
                           .own = is_service ? &own : NULL,
                           .open = &open};
        Candidate c = {0}, *kept;
        Refusal ignored;

        if (!judge(rules, &s, scratch, &c, &ignored))
                return NULL;
        kept = keep_with_device(&c, arena);
        kept->rank = CANDIDATE_REMEMBERED;
        return kept;
}

bool candidate_shares(const Candidate *a, const Candidate *b)
{
        Str x, y, ignored;

        if (a->owner != b->owner)
                return false;
        if (a->owner == CANDIDATE_OF_SERVICE)
                return candidate_service_id(a->device->node_id, &x, &ignored) &&
                       candidate_service_id(b->device->node_id, &y, &ignored) && str_eq(x, y);
        return a->owner == CANDIDATE_OF_GROUP && str_eq(a->service, b->service);
}

bool candidate_is_before(const Candidate *a, const Candidate *b)
{
        bool a_exact = str_eq(a->service, a->device->short_name);
        bool b_exact = str_eq(b->service, b->device->short_name);

        if (a->owner != b->owner)
                return a->owner < b->owner;
        if (a->rank != b->rank)
                return a->rank < b->rank;
        if (a_exact != b_exact)
                return a_exact;
        return str_cmp(a->device->node_id, b->device->node_id) < 0;
}
