/* SPDX-License-Identifier: Apache-2.0 */
#include "model/gateway_spec.h"

#include "model/connectivity.h"
#include "model/decode.h"
#include "model/value_check.h"

enum {
        PORT_MAX = 65535,
        PRIORITY_MAX = 1000000,
        FAILOVER_MAX = 8,   /* behind one another; people have one or two */
        RESOURCES_MAX = 16, /* kinds of resource that a container asks for */
        DAY_MS = 24 * 60 * 60 * 1000,
};

static const EnumName endpoint_protocols[] = {
        {"HTTP", PROTOCOL_HTTP}, {"HTTPS", PROTOCOL_HTTPS}, {"H2C", PROTOCOL_H2C},
        {"GRPC", PROTOCOL_GRPC}, {"GRPCS", PROTOCOL_GRPCS}, {"TCP", PROTOCOL_TCP},
        {"TLS", PROTOCOL_TLS},   {"UDP", PROTOCOL_UDP},     {NULL, 0}};

static const EnumName listener_protocols[] = {{"HTTP", PROTOCOL_HTTP}, {"HTTPS", PROTOCOL_HTTPS},
                                              {"TCP", PROTOCOL_TCP},   {"TLS", PROTOCOL_TLS},
                                              {"UDP", PROTOCOL_UDP},   {NULL, 0}};

static const EnumName host_headers[] = {
        {"Device", HOST_HEADER_DEVICE}, {"Preserve", HOST_HEADER_PRESERVE}, {NULL, 0}};

static const EnumName probe_types[] = {{"None", PROBE_NONE},
                                       {"TCP", PROBE_TCP},
                                       {"TLS", PROBE_TLS},
                                       {"HTTP", PROBE_HTTP},
                                       {NULL, 0}};

static const EnumName operators[] = {
        {"In", 0}, {"NotIn", 1}, {"Exists", 2}, {"DoesNotExist", 3}, {NULL, 0}};

/* serviceDiscovery */

static bool has(const Tree *node, Str key)
{
        const Tree *member = tree_get(node, key);

        return member != NULL && member->type != TREE_NULL;
}

static void after_chooser(Decoder *d, const Tree *node, void *out)
{
        (void)out;
        if (node == NULL)
                return;
        if (has(node, STR("pattern")) == has(node, STR("tag")))
                decode_fault(d, node->at, "%s of pattern and tag, expected exactly one",
                             has(node, STR("tag")) ? "both" : "none");
}

static const SchemaRule chooser_rules[] = {
        {"has(self.pattern) != has(self.tag)", "must have exactly one of pattern and tag", NULL},
        {NULL, NULL, NULL},
};

static const Field port_rule_fields[] = {
        {.name = "pattern",
         .about = "A glob of names, as in patterns. Either this or tag.",
         .type = FIELD_STR,
         FIELD_TO(PortRule, pattern),
         .check = check_glob},
        {.name = "tag",
         .about = "A tag, such as tag:database. Either this or pattern.",
         .type = FIELD_STR,
         FIELD_TO(PortRule, tag),
         .check = check_tag},
        {.name = "port",
         .about = "A port, or several in a string: \"8080\", \"tcp:80-90\", \"tcp:443,tcp:8080\"; "
                  "\"*\" is any. At most 16 ports and ranges.",
         .type = FIELD_PORTS,
         .required = true,
         FIELD_TO(PortRule, ports)},
        {.name = "protocol",
         .about = "The protocol that the endpoint speaks: HTTP, HTTPS, H2C, GRPC, GRPCS, TCP, TLS "
                  "or UDP. "
                  "Default: HTTPS for the ports 443 and 8443, else HTTP.",
         .type = FIELD_ENUM,
         FIELD_TO(PortRule, protocol),
         .names = endpoint_protocols},
};

static const Schema port_rule = SCHEMA(port_rule_fields, .size = sizeof(PortRule),
                                       .after = after_chooser, .rules = chooser_rules);

static const Field group_rule_fields[] = {
        {.name = "name",
         .about = "The name of the service that they become: a DNS label. It may come in several "
                  "rules.",
         .type = FIELD_STR,
         .required = true,
         FIELD_TO(GroupRule, name),
         .check = check_label},
        {.name = "pattern",
         .about = "A glob of names, as in patterns. Either this or tag.",
         .type = FIELD_STR,
         FIELD_TO(GroupRule, pattern),
         .check = check_glob},
        {.name = "tag",
         .about = "A tag, such as tag:web. Either this or pattern.",
         .type = FIELD_STR,
         FIELD_TO(GroupRule, tag),
         .check = check_tag},
};

static const Schema group_rule = SCHEMA(group_rule_fields, .size = sizeof(GroupRule),
                                        .after = after_chooser, .rules = chooser_rules);

/* Offsets are those of DiscoveryRules: its members are flat. */
static const Field default_port_fields[] = {
        {.name = "port",
         .about = "The port.",
         .type = FIELD_INT,
         .required = true,
         FIELD_TO(DiscoveryRules, default_port),
         .min = 1,
         .max = PORT_MAX},
        {.name = "protocol",
         .about = "The protocol that the endpoint speaks: HTTP, HTTPS, H2C, GRPC, GRPCS, TCP, TLS "
                  "or UDP. "
                  "Default: HTTPS for the ports 443 and 8443, else HTTP.",
         .type = FIELD_ENUM,
         FIELD_TO(DiscoveryRules, default_protocol),
         .names = endpoint_protocols},
};

static const Schema default_port = SCHEMA(default_port_fields, .size = sizeof(DiscoveryRules));

static const Field expression_fields[] = {
        {.name = "key",
         .about = "The label.",
         .type = FIELD_STR,
         .required = true,
         .check = check_word},
        {.name = "operator",
         .about = "In, NotIn, Exists or DoesNotExist.",
         .type = FIELD_ENUM,
         .required = true,
         .names = operators},
        {.name = "values", .about = "The values of In and NotIn.", .type = FIELD_STRS},
};

static const Schema expression = SCHEMA(expression_fields, .size = 0);

static const Field selector_fields[] = {
        {.name = "matchLabels", .about = "Labels that must have these values.", .type = FIELD_MAP},
        {.name = "matchExpressions",
         .about = "Conditions that labels must meet, all of them.",
         .type = FIELD_LIST,
         .schema = &expression},
};

/* Kept by after_discovery: its shape is that of Kubernetes. */
static const Schema selector = SCHEMA(selector_fields, .size = 0);

static void after_probes(Decoder *d, const Tree *node, void *out)
{
        const ProbeRules *p = out;
        bool is_known = p->interval.ns > 0; /* else it has a fault of its own */

        if (node != NULL && is_known && p->timeout.ns > p->interval.ns)
                decode_fault(d, node->at, "timeout is longer than interval, expected at most that");
}

static const Field probe_fields[] = {
        {.name = "type",
         .about = "None; TCP: a connection can be made; TLS: a handshake follows, whatever the "
                  "certificate; HTTP: any HTTP answer comes.",
         .type = FIELD_ENUM,
         FIELD_TO(ProbeRules, type),
         .fallback = "None",
         .names = probe_types},
        {.name = "interval",
         .about = "Between two looks at an endpoint, from 1s to 24h.",
         .type = FIELD_SPAN,
         FIELD_TO(ProbeRules, interval),
         .min = 1000,
         .max = DAY_MS,
         .fallback = "30s"},
        {.name = "timeout",
         .about = "How long one look may take, at least 100ms and at most the interval.",
         .type = FIELD_SPAN,
         FIELD_TO(ProbeRules, timeout),
         .min = 100,
         .max = DAY_MS,
         .fallback = "2s"},
        {.name = "failures",
         .about = "So many failures in a row make an endpoint unhealthy.",
         .type = FIELD_INT,
         FIELD_TO(ProbeRules, failures),
         .min = 1,
         .max = 100,
         .fallback = "3"},
        {.name = "successes",
         .about = "So many successes in a row make it healthy again.",
         .type = FIELD_INT,
         FIELD_TO(ProbeRules, successes),
         .min = 1,
         .max = 100,
         .fallback = "1"},
};

static const SchemaRule probe_rules[] = {
        {"duration(self.timeout) <= duration(self.interval)", "must be at most the interval",
         ".timeout"},
        {NULL, NULL, NULL},
};

static const Schema probes = SCHEMA(probe_fields, .size = sizeof(ProbeRules), .after = after_probes,
                                    .rules = probe_rules);

/* Named one by one: a scan of everything is not what this is for. */
static void after_port_probing(Decoder *d, const Tree *node, void *out)
{
        const PortProbing *p = out;
        size_t n = port_spec_count(&p->ports);

        if (node == NULL || tree_get(node, STR("ports")) == NULL)
                return;
        if (p->ports.any || n > OPEN_PORTS_MAX)
                decode_fault(d, node->at, "ports: %zu%s ports, expected at most %d, each named", n,
                             p->ports.any ? " and all other" : "", OPEN_PORTS_MAX);
}

static const Field port_probing_fields[] = {
        {.name = "ports",
         .about = "The ports to try, at most 16, each named: this is no scan of everything.",
         .type = FIELD_PORTS,
         .required = true,
         FIELD_TO(PortProbing, ports)},
        {.name = "interval",
         .about = "Between two rounds, from 10s to 24h.",
         .type = FIELD_SPAN,
         FIELD_TO(PortProbing, interval),
         .min = 10 * 1000,
         .max = DAY_MS,
         .fallback = "10m"},
        {.name = "timeout",
         .about = "How long one port may take, from 100ms to 1m.",
         .type = FIELD_SPAN,
         FIELD_TO(PortProbing, timeout),
         .min = 100,
         .max = 60 * 1000,
         .fallback = "2s"},
};

static const Schema port_probing =
        SCHEMA(port_probing_fields, .size = sizeof(PortProbing), .after = after_port_probing);

static void after_discovery(Decoder *d, const Tree *node, void *out)
{
        DiscoveryRules *rules = out;

        if (rules->has_services)
                rules->services = label_selector_read(d->leaf, tree_get(node, STR("services")));
        if (rules->default_port != 0 && rules->default_protocol == PROTOCOL_NONE)
                rules->default_protocol = protocol_of_port(rules->default_port);
}

static const Field discovery_fields[] = {
        {.name = "enabled",
         .about = "Whether anything of this tailnet is taken at all. Off, only your own "
                  "TailscaleEndpoints are left.",
         .type = FIELD_BOOL,
         FIELD_TO(DiscoveryRules, enabled),
         .fallback = "true"},
        {.name = "patterns",
         .about = "Globs (*, ?, [a-z]; any case) of what is taken. Without a dot they match the "
                  "short name, with one the full name. Default: everything. Where tags are given, "
                  "too, both must match.",
         .type = FIELD_STRS,
         FIELD_TO(DiscoveryRules, patterns),
         .is_set = true,
         .check = check_glob},
        {.name = "excludePatterns",
         .about = "Globs of what is not taken. An exclude wins.",
         .type = FIELD_STRS,
         FIELD_TO(DiscoveryRules, exclude_patterns),
         .is_set = true,
         .check = check_glob},
        {.name = "tags",
         .about = "Only devices and Tailscale Services that have any of these tags, such as "
                  "tag:web.",
         .type = FIELD_STRS,
         FIELD_TO(DiscoveryRules, tags),
         .is_set = true,
         .check = check_tag},
        {.name = "excludeTags",
         .about = "Not those that have any of these tags.",
         .type = FIELD_STRS,
         FIELD_TO(DiscoveryRules, exclude_tags),
         .is_set = true,
         .check = check_tag},
        {.name = "os",
         .about = "Only devices with any of these operating systems, as the API names them, such "
                  "as linux.",
         .type = FIELD_STRS,
         FIELD_TO(DiscoveryRules, os),
         .is_set = true,
         .check = check_word},
        {.name = "owners",
         .about = "Only devices of any of these users, such as ada@example.com.",
         .type = FIELD_STRS,
         FIELD_TO(DiscoveryRules, owners),
         .is_set = true,
         .check = check_word},
        {.name = "services",
         .about = "Which Services of the cluster the tailnet is to see (ingress), by their labels, "
                  "besides those with the label gateway.tailscale.com/expose.",
         .type = FIELD_OBJECT,
         FIELD_HERE_TO(DiscoveryRules, has_services),
         .schema = &selector},
        {.name = "groups",
         .about = "Devices that are endpoints of one service, by name or tag. The first rule that "
                  "matches counts.",
         .type = FIELD_LIST,
         FIELD_TO(DiscoveryRules, groups),
         FIELD_COUNT_TO(DiscoveryRules, n_groups),
         .schema = &group_rule},
        {.name = "ports",
         .about = "Which port a device is reached at. The first rule that matches counts, after "
                  "the ports of a Tailscale Service itself; a tag such as tag:http-8080 and "
                  "defaultPort come behind.",
         .type = FIELD_LIST,
         FIELD_TO(DiscoveryRules, ports),
         FIELD_COUNT_TO(DiscoveryRules, n_ports),
         .schema = &port_rule},
        {.name = "defaultPort",
         .about = "The port where nothing else gives one. Without it such a device has no "
                  "endpoint, and is told with the reason NoPort.",
         .type = FIELD_OBJECT,
         .kept = true,
         .schema = &default_port},
        {.name = "portProbing",
         .about = "Looks for open ports of devices that no rule gives one. Off where no port is "
                  "named.",
         .type = FIELD_OBJECT,
         FIELD_TO(DiscoveryRules, port_probing),
         .schema = &port_probing},
        {.name = "probes",
         .about = "Our own look at endpoints, for people to see. Traffic follows Envoy's own "
                  "checks.",
         .type = FIELD_OBJECT,
         FIELD_TO(DiscoveryRules, probes),
         .schema = &probes},
};

static const Schema discovery =
        SCHEMA(discovery_fields, .size = sizeof(DiscoveryRules), .after = after_discovery);

/* routeGeneration */

static void lower_in_place(Str s)
{
        char *p = (char *)(uintptr_t)s.p;

        for (size_t i = 0; i < s.n; i++)
                if (p[i] >= 'A' && p[i] <= 'Z')
                        p[i] = (char)(p[i] - 'A' + 'a');
}

static void after_direction(Decoder *d, const Tree *node, void *out)
{
        RouteRules *rules = out;

        (void)d, (void)node;
        lower_in_place(rules->host_pattern);
        for (size_t i = 0; i < rules->path_hosts.n; i++)
                lower_in_place(rules->path_hosts.at[i]);
}

static const Field ca_fields[] = {
        {.name = "name",
         .about = "Name of the Secret, in the namespace of this object.",
         .type = FIELD_STR,
         .required = true,
         FIELD_TO(RouteRules, tls_ca_secret),
         .check = check_name},
};

/* Offsets here and below are those of RouteRules: its members are flat. */
static const Schema ca = SCHEMA(ca_fields, .size = sizeof(RouteRules));

static const Field tls_fields[] = {
        {.name = "serverName",
         .about = "The name that is sent to a device (SNI) and that its certificate must have. "
                  "Default: the full name of the device.",
         .type = FIELD_STR,
         FIELD_TO(RouteRules, tls_server_name),
         .check = check_dns_name},
        {.name = "caSecretRef",
         .about = "The Secret with the certificate authority (ca.crt) that signed the certificates "
                  "of the devices. Without it they are not verified: a device is known by its "
                  "address in the tailnet.",
         .type = FIELD_OBJECT,
         .kept = true,
         .schema = &ca},
};

static const Schema tls = SCHEMA(tls_fields, .size = sizeof(RouteRules));

static const Field port_map_fields[] = {
        {.name = "service",
         .about = "The service.",
         .type = FIELD_STR,
         .required = true,
         FIELD_TO(PortMapping, service),
         .check = check_service},
        {.name = "port",
         .about = "Its port. Default: the port of the listener, else the only one that it has.",
         .type = FIELD_INT,
         FIELD_TO(PortMapping, port),
         .min = 1,
         .max = PORT_MAX},
        {.name = "listenerPort",
         .about = "The port of the listener that leads to it.",
         .type = FIELD_INT,
         .required = true,
         FIELD_TO(PortMapping, listener_port),
         .min = 1,
         .max = PORT_MAX},
};

static const Schema port_map = SCHEMA(port_map_fields, .size = sizeof(PortMapping));

static const Field failover_service_fields[] = {
        {.name = "name",
         .about = "Its name; {service} is filled in. Default: that of the service in the tailnet.",
         .type = FIELD_STR,
         FIELD_TO(FailoverRule, service),
         .fallback = "{service}",
         .check = check_service_pattern},
        {.name = "namespace",
         .about = "Its namespace. Default: that of this object. Another must permit it by a "
                  "ReferenceGrant.",
         .type = FIELD_STR,
         FIELD_TO(FailoverRule, namespace),
         .check = check_label},
        {.name = "port",
         .about = "Its port. Default: that of the service in the tailnet.",
         .type = FIELD_INT,
         FIELD_TO(FailoverRule, port),
         .min = 1,
         .max = PORT_MAX},
};

/* Offsets are those of FailoverRule: its members are flat. */
static const Schema failover_service =
        SCHEMA(failover_service_fields, .size = sizeof(FailoverRule));

static void after_failover(Decoder *d, const Tree *node, void *out)
{
        (void)out;
        if (node == NULL)
                return;
        if (has(node, STR("tailnet")) == has(node, STR("service")))
                decode_fault(d, node->at, "%s of tailnet and service, expected exactly one",
                             has(node, STR("tailnet")) ? "both" : "none");
}

static const SchemaRule failover_rules[] = {
        {"has(self.tailnet) != has(self.service)", "must have exactly one of tailnet and service",
         NULL},
        {NULL, NULL, NULL},
};

static const Field failover_fields[] = {
        {.name = "tailnet",
         .about = "An entry of tailnets of this object: its endpoints of the same service and "
                  "port. Either this or service.",
         .type = FIELD_STR,
         FIELD_TO(FailoverRule, tailnet),
         .check = check_label},
        {.name = "service",
         .about = "A Service of the cluster. Either this or tailnet.",
         .type = FIELD_OBJECT,
         .kept = true,
         FIELD_HERE_TO(FailoverRule, is_service),
         .schema = &failover_service},
};

static const Schema failover = SCHEMA(failover_fields, .size = sizeof(FailoverRule),
                                      .after = after_failover, .rules = failover_rules);

static const EnumName balance_types[] = {{"LeastRequest", BALANCE_LEAST_REQUEST},
                                         {"RoundRobin", BALANCE_ROUND_ROBIN},
                                         {"Random", BALANCE_RANDOM},
                                         {"ConsistentHash", BALANCE_CONSISTENT_HASH},
                                         {NULL, 0}};

static const EnumName hash_types[] = {
        {"SourceIP", HASH_SOURCE_IP}, {"Header", HASH_HEADER}, {"Cookie", HASH_COOKIE}, {NULL, 0}};

static const Field header_fields[] = {
        {.name = "name",
         .about = "The header.",
         .type = FIELD_STR,
         .required = true,
         FIELD_TO(Balance, header),
         .check = check_token},
};

/* Offsets here and below are those of Balance: its members are flat. */
static const Schema hash_header = SCHEMA(header_fields, .size = sizeof(Balance));

static const Field cookie_fields[] = {
        {.name = "name",
         .about = "The cookie.",
         .type = FIELD_STR,
         .required = true,
         FIELD_TO(Balance, cookie),
         .check = check_token},
        {.name = "ttl",
         .about = "How long a cookie that Envoy makes lives. Default: as long as the caller's "
                  "session.",
         .type = FIELD_SPAN,
         FIELD_TO(Balance, cookie_ttl),
         .min = 1000,
         .max = 365LL * DAY_MS},
};

static const Schema hash_cookie = SCHEMA(cookie_fields, .size = sizeof(Balance));

static void after_hash(Decoder *d, const Tree *node, void *out)
{
        const Balance *b = out;

        if (node == NULL)
                return;
        if ((b->hash == HASH_HEADER) != has(node, STR("header")))
                decode_fault(d, node->at,
                             "type and header do not agree, expected header exactly "
                             "where type is Header");
        if ((b->hash == HASH_COOKIE) != has(node, STR("cookie")))
                decode_fault(d, node->at,
                             "type and cookie do not agree, expected cookie exactly "
                             "where type is Cookie");
}

static const SchemaRule hash_rules[] = {
        {"(self.type == 'Header') == has(self.header)",
         "must have header exactly where type is Header", NULL},
        {"(self.type == 'Cookie') == has(self.cookie)",
         "must have cookie exactly where type is Cookie", NULL},
        {NULL, NULL, NULL},
};

static const Field hash_fields[] = {
        {.name = "type",
         .about = "What tells one caller from another: SourceIP, Header or Cookie.",
         .type = FIELD_ENUM,
         .required = true,
         FIELD_TO(Balance, hash),
         .names = hash_types},
        {.name = "header",
         .about = "The header of type Header.",
         .type = FIELD_OBJECT,
         .kept = true,
         .schema = &hash_header},
        {.name = "cookie",
         .about = "The cookie of type Cookie.",
         .type = FIELD_OBJECT,
         .kept = true,
         .schema = &hash_cookie},
};

static const Schema consistent_hash =
        SCHEMA(hash_fields, .size = sizeof(Balance), .after = after_hash, .rules = hash_rules);

static void after_balance(Decoder *d, const Tree *node, void *out)
{
        const Balance *b = out;

        if (node == NULL)
                return;
        if ((b->type == BALANCE_CONSISTENT_HASH) != has(node, STR("consistentHash")))
                decode_fault(d, node->at,
                             "type and consistentHash do not agree, expected "
                             "consistentHash exactly where type is ConsistentHash");
}

static const SchemaRule balance_rules[] = {
        {"(self.type == 'ConsistentHash') == has(self.consistentHash)",
         "must have consistentHash exactly where type is ConsistentHash", NULL},
        {NULL, NULL, NULL},
};

static const Field balance_fields[] = {
        {.name = "type",
         .about = "LeastRequest, RoundRobin, Random or ConsistentHash: one caller stays with one "
                  "endpoint as long as it is healthy.",
         .type = FIELD_ENUM,
         FIELD_TO(Balance, type),
         .fallback = "LeastRequest",
         .names = balance_types},
        {.name = "consistentHash",
         .about = "How callers are told apart where type is ConsistentHash.",
         .type = FIELD_OBJECT,
         .kept = true,
         .schema = &consistent_hash},
};

static const Schema balance = SCHEMA(balance_fields, .size = sizeof(Balance),
                                     .after = after_balance, .rules = balance_rules);

#define HOST_PATTERN_ABOUT                                                                      \
        "The host of a service. It must hold {service}; {tailnet}, {namespace}, {gateway} and " \
        "{port} are filled in, too. Two services that get one host are a conflict, never merged."
#define HOST_PATTERN(default_)                                                         \
        {                                                                              \
                .name = "hostPattern", .about = HOST_PATTERN_ABOUT, .type = FIELD_STR, \
                FIELD_TO(RouteRules, host_pattern), .fallback = (default_),            \
                .check = check_host_pattern                                            \
        }
#define LISTENER_PROTOCOL(default_)                                                         \
        {                                                                                   \
                .name = "protocol",                                                         \
                .about = "The kind of listener: HTTP, HTTPS, TCP, TLS or UDP.",             \
                .type = FIELD_ENUM, FIELD_TO(RouteRules, protocol), .fallback = (default_), \
                .names = listener_protocols                                                 \
        }
#define SECTION_NAME                                                                          \
        {                                                                                     \
                .name = "sectionName",                                                        \
                .about = "The listener of this direction. Default: that of gatewayRef.",      \
                .type = FIELD_STR, FIELD_TO(RouteRules, section_name), .check = check_section \
        }

static const Field ingress_fields[] = {
        HOST_PATTERN("{service}.{tailnet}.gateway.local"),
        {.name = "pathPrefix",
         .about = "The path below which the service is.",
         .type = FIELD_STR,
         FIELD_TO(RouteRules, path_prefix),
         .fallback = "/",
         .check = check_path_prefix},
        LISTENER_PROTOCOL("HTTPS"),
        SECTION_NAME,
};

static const Schema ingress =
        SCHEMA(ingress_fields, .size = sizeof(RouteRules), .after = after_direction);

static const Field egress_fields[] = {
        HOST_PATTERN("{service}.tailscale.local"),
        {.name = "pathPrefix",
         .about = "The path at which a service is reached besides its host; it is cut off before "
                  "the request goes on, the query stays. It is programmed where it holds "
                  "{service}, so \"/\" is no path.",
         .type = FIELD_STR,
         FIELD_TO(RouteRules, path_prefix),
         .fallback = "/tailscale/{service}/",
         .check = check_path_prefix},
        LISTENER_PROTOCOL("HTTP"),
        {.name = "pathHosts",
         .about = "The hosts that get the paths, as Envoy writes them: a host, *.example.com for "
                  "all hosts below, or * for the catch-all itself, so that the address of the "
                  "Gateway is enough.",
         .type = FIELD_STRS,
         FIELD_TO(RouteRules, path_hosts),
         .is_set = true,
         .fallback = "*",
         .check = check_path_host},
        {.name = "hostHeader",
         .about = "The Host header that the device gets. Device: its own name, or that of its "
                  "group, since most web servers answer for their own name only. Preserve: the "
                  "name that the caller used.",
         .type = FIELD_ENUM,
         FIELD_TO(RouteRules, host_header),
         .fallback = "Device",
         .names = host_headers},
        {.name = "overrideHosts",
         .about = "Take hosts, too, that a route of Envoy Gateway in this namespace names exactly. "
                  "Otherwise the route keeps them and the host is told as Conflicted.",
         .type = FIELD_BOOL,
         FIELD_TO(RouteRules, override_hosts),
         .fallback = "false"},
        SECTION_NAME,
        {.name = "tls",
         .about = "How the certificates of HTTPS, GRPCS and TLS devices are checked.",
         .type = FIELD_OBJECT,
         .kept = true,
         .schema = &tls},
        {.name = "portMap",
         .about = "Which listener leads to a service that has neither host nor path: TCP, UDP, and "
                  "TLS without a name.",
         .type = FIELD_LIST,
         FIELD_TO(RouteRules, port_map),
         FIELD_COUNT_TO(RouteRules, n_port_map),
         .schema = &port_map},
        {.name = "failover",
         .about = "Where requests go while every endpoint of what stands before it is down, and "
                  "from where they come back. The tailnet itself comes first where the list does "
                  "not name it.",
         .type = FIELD_LIST,
         FIELD_TO(RouteRules, failover),
         FIELD_COUNT_TO(RouteRules, n_failover),
         .max_items = FAILOVER_MAX,
         .schema = &failover},
        {.name = "loadBalancer",
         .about = "Which of several endpoints of a service gets a request.",
         .type = FIELD_OBJECT,
         FIELD_TO(RouteRules, balance),
         .schema = &balance},
};

static const Schema egress =
        SCHEMA(egress_fields, .size = sizeof(RouteRules), .after = after_direction);

/* Offsets are those of the whole entry: its members are flat. */
static const Field generation_fields[] = {
        {.name = "ingress",
         .about = "From the tailnet to Services of the cluster.",
         .type = FIELD_OBJECT,
         FIELD_TO(TailnetEntry, ingress),
         FIELD_HERE_TO(TailnetEntry, ingress.enabled),
         .schema = &ingress},
        {.name = "egress",
         .about = "From the cluster to the tailnet.",
         .type = FIELD_OBJECT,
         FIELD_TO(TailnetEntry, egress),
         FIELD_HERE_TO(TailnetEntry, egress.enabled),
         .schema = &egress},
};

static void after_generation(Decoder *d, const Tree *node, void *out)
{
        TailnetEntry *entry = out;

        (void)d;
        if (node != NULL)
                return;
        /* Nobody said anything: a host that two tailnets cannot share, and no path. */
        entry->egress.enabled = true;
        entry->egress.host_pattern = STR("{service}.{tailnet}.tailscale.local");
        entry->egress.path_prefix = (Str){0};
}

static const Schema generation =
        SCHEMA(generation_fields, .size = sizeof(TailnetEntry), .after = after_generation);

/* tailnets[] */

static const Field tailnet_ref_fields[] = {
        {.name = "name",
         .about = "Name of the TailscaleTailnet, in the namespace of this object.",
         .type = FIELD_STR,
         .required = true,
         FIELD_TO(TailnetEntry, tailnet_name),
         .check = check_name},
};

static const Schema tailnet_ref = SCHEMA(tailnet_ref_fields, .size = sizeof(TailnetEntry));

static const Field entry_fields[] = {
        {.name = "name",
         .about = "What hosts, paths, metrics and TailscaleEndpoints call this tailnet: a DNS "
                  "label, once in the gateway.",
         .type = FIELD_STR,
         .required = true,
         FIELD_TO(TailnetEntry, name),
         .check = check_label},
        {.name = "tailscaleTailnetRef",
         .about = "The TailscaleTailnet that says how it is asked.",
         .type = FIELD_OBJECT,
         .required = true,
         .kept = true,
         .schema = &tailnet_ref},
        {.name = "serviceDiscovery",
         .about = "What is taken of the tailnet, and at which ports. Default: everything that "
                  "tells its port.",
         .type = FIELD_OBJECT,
         FIELD_TO(TailnetEntry, discovery),
         .schema = &discovery},
        {.name = "routeGeneration",
         .about = "The hosts and paths that are made. Where it is absent: egress by the host "
                  "{service}.{tailnet}.tailscale.local, which no two tailnets share, and no path. "
                  "Where it is given: only the directions that it names.",
         .type = FIELD_OBJECT,
         .kept = true,
         .schema = &generation},
        {.name = "connectivity",
         .about = "How Envoy reaches the addresses of the tailnet.",
         .type = FIELD_OBJECT,
         FIELD_TO(TailnetEntry, connectivity),
         .schema = &connectivity_schema},
};

static const Schema entry = SCHEMA(entry_fields, .size = sizeof(TailnetEntry));

/* spec */

static const Field gateway_ref_fields[] = {
        {.name = "name",
         .about = "Name of the Gateway.",
         .type = FIELD_STR,
         .required = true,
         FIELD_TO(GatewaySpec, gateway.name),
         .check = check_name},
        {.name = "namespace",
         .about = "Its namespace. Default: that of this object. The listener must admit our "
                  "namespace by its allowedRoutes, as with any route.",
         .type = FIELD_STR,
         FIELD_TO(GatewaySpec, gateway.namespace),
         .check = check_label},
        {.name = "sectionName",
         .about = "The listener. Default: the one that fits the protocol of the direction. Where "
                  "several fit, nothing is programmed and the condition says ListenerAmbiguous "
                  "with their names: on a public listener the tailnet would be open to the world.",
         .type = FIELD_STR,
         FIELD_TO(GatewaySpec, section_name),
         .check = check_section},
};

static const Schema gateway_ref = SCHEMA(gateway_ref_fields, .size = sizeof(GatewaySpec));

static const Field resources_fields[] = {
        {.name = "limits",
         .about = "At most so much, by resource: cpu, memory.",
         .type = FIELD_AMOUNTS,
         .max_items = RESOURCES_MAX},
        {.name = "requests",
         .about = "So much is set aside, by resource: cpu, memory.",
         .type = FIELD_AMOUNTS,
         .max_items = RESOURCES_MAX},
};

static const Schema resources = SCHEMA(resources_fields, .size = 0);

static const Field extension_fields[] = {
        {.name = "image",
         .about = "Its image. Honoured only where the operator's --allowed-images admits it.",
         .type = FIELD_STR,
         FIELD_TO(ExtensionAsk, image),
         .check = check_word},
        {.name = "replicas",
         .about = "How many replicas it should have. Default: what the operator is set to.",
         .type = FIELD_INT,
         FIELD_TO(ExtensionAsk, replicas),
         .min = 1,
         .max = 100},
        {.name = "resources",
         .about = "Its requests and limits.",
         .type = FIELD_OBJECT,
         .schema = &resources},
};

static void after_extension(Decoder *d, const Tree *node, void *out)
{
        (void)d;
        if (out != NULL)
                extension_ask_resources(out, tree_get(node, STR("resources")));
}

static const Schema extension =
        SCHEMA(extension_fields, .size = sizeof(ExtensionAsk), .after = after_extension);

static void after_gateway(Decoder *d, const Tree *node, void *out)
{
        GatewaySpec *s = out;
        const Tree *list = tree_get(node, STR("tailnets"));
        size_t i = 0, where = decode_enter(d, STR("tailnets"));

        if (s->gateway.namespace.n == 0)
                s->gateway.namespace = s->meta.key.namespace;
        TREE_FOREACH (item, list) {
                for (size_t j = 0; j < i && i < s->n_tailnets; j++) {
                        Str name = s->tailnets[i].name;
                        size_t here;

                        if (name.n == 0 || !str_eq(name, s->tailnets[j].name))
                                continue;
                        here = decode_enter_item(d, i);
                        decode_fault(d, item->at,
                                     "name %.*s a second time, expected a name that "
                                     "tailnets[%zu] does not have",
                                     STR_FMT(name), j);
                        decode_leave(d, here);
                        break;
                }
                i++;
        }
        decode_leave(d, where);
}

static const Field gateway_fields[] = {
        {.name = "gatewayRef",
         .about = "The Gateway of Envoy Gateway that gets the hosts and paths.",
         .type = FIELD_OBJECT,
         .required = true,
         .kept = true,
         .schema = &gateway_ref},
        {.name = "priority",
         .about = "Of two that claim the same host or path within a namespace the higher priority "
                  "wins, then the older, then the name. The loser is told as Conflicted.",
         .type = FIELD_INT,
         FIELD_TO(GatewaySpec, priority),
         .min = -PRIORITY_MAX,
         .max = PRIORITY_MAX,
         .fallback = "0"},
        {.name = "tailnets",
         .about = "The tailnets, and what is exposed of each.",
         .type = FIELD_LIST,
         .required = true,
         FIELD_TO(GatewaySpec, tailnets),
         FIELD_COUNT_TO(GatewaySpec, n_tailnets),
         .max_items = TAILNETS_MAX,
         .min_items = 1,
         .keys = "name",
         .schema = &entry},
        {.name = "extensionServer",
         .about = "Wishes for the extension server, of which there is one for the whole cluster: "
                  "the largest replicas and resources that any TailscaleGateway asks for count. "
                  "What is not honoured is told as ExtensionServerIgnored.",
         .type = FIELD_OBJECT,
         FIELD_TO(GatewaySpec, extension),
         .schema = &extension},
};

const Schema gateway_spec_schema =
        SCHEMA(gateway_fields, .size = sizeof(GatewaySpec), .after = after_gateway);

int gateway_spec_order(const void *a, const void *b)
{
        const GatewaySpec *x = a, *y = b;

        return object_key_cmp(x->meta.key, y->meta.key);
}

int gateway_spec_find(const void *key, const void *leaf)
{
        const GatewaySpec *s = leaf;

        return object_key_cmp(*(const ObjectKey *)key, s->meta.key);
}

static bool selectors_same(const GatewaySpec *x, const GatewaySpec *y)
{
        for (size_t i = 0; i < x->n_tailnets; i++)
                if (!label_selector_same(&x->tailnets[i].discovery.services,
                                         &y->tailnets[i].discovery.services))
                        return false;
        return true;
}

bool gateway_spec_same(const void *a, const void *b)
{
        const GatewaySpec *x = a, *y = b;

        return object_meta_same(&x->meta, &y->meta) && schema_same(&gateway_spec_schema, x, y) &&
               selectors_same(x, y) && extension_ask_same(&x->extension, &y->extension);
}
