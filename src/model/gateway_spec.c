/* SPDX-License-Identifier: Apache-2.0 */
#include "model/gateway_spec.h"

#include "model/decode.h"
#include "model/value_check.h"

enum {
        PORT_MAX = 65535,
        TAILNETS_MAX = 64, /* of one TailscaleGateway; each has its own list, view and clusters */
        PRIORITY_MAX = 1000000,
        DAY_MS = 24 * 60 * 60 * 1000,
};

static const EnumName endpoint_protocols[] = {{"HTTP", PROTOCOL_HTTP},
                                              {"HTTPS", PROTOCOL_HTTPS},
                                              {"GRPC", PROTOCOL_GRPC},
                                              {"TCP", PROTOCOL_TCP},
                                              {"TLS", PROTOCOL_TLS},
                                              {"UDP", PROTOCOL_UDP},
                                              {NULL, 0}};

static const EnumName listener_protocols[] = {{"HTTP", PROTOCOL_HTTP}, {"HTTPS", PROTOCOL_HTTPS},
                                              {"TCP", PROTOCOL_TCP},   {"TLS", PROTOCOL_TLS},
                                              {"UDP", PROTOCOL_UDP},   {NULL, 0}};

static const EnumName host_headers[] = {
        {"Device", HOST_HEADER_DEVICE}, {"Preserve", HOST_HEADER_PRESERVE}, {NULL, 0}};

static const EnumName modes[] = {{"Proxy", CONNECT_PROXY}, {"Direct", CONNECT_DIRECT}, {NULL, 0}};

static const EnumName retries[] = {
        {"AtMostOnce", RETRY_AT_MOST_ONCE}, {"AtLeastOnce", RETRY_AT_LEAST_ONCE}, {NULL, 0}};

static const EnumName probe_types[] = {{"None", PROBE_NONE},
                                       {"TCP", PROBE_TCP},
                                       {"TLS", PROBE_TLS},
                                       {"HTTP", PROBE_HTTP},
                                       {NULL, 0}};

static const EnumName operators[] = {
        {"In", 0}, {"NotIn", 1}, {"Exists", 2}, {"DoesNotExist", 3}, {NULL, 0}};

/* serviceDiscovery */

static void after_chooser(Decoder *d, const Tree *node, void *out)
{
        (void)out;
        if (node == NULL)
                return;
        if ((tree_get(node, STR("pattern")) != NULL) == (tree_get(node, STR("tag")) != NULL))
                decode_fault(d, node->at, "%s of pattern and tag, expected exactly one",
                             tree_get(node, STR("tag")) != NULL ? "both" : "none");
}

static const Field port_rule_fields[] = {
        {.name = "pattern", .type = FIELD_STR, FIELD_TO(PortRule, pattern), .check = check_glob},
        {.name = "tag", .type = FIELD_STR, FIELD_TO(PortRule, tag), .check = check_tag},
        {.name = "port", .type = FIELD_PORTS, .required = true, FIELD_TO(PortRule, ports)},
        {.name = "protocol",
         .type = FIELD_ENUM,
         FIELD_TO(PortRule, protocol),
         .names = endpoint_protocols},
};

static const Schema port_rule =
        SCHEMA(port_rule_fields, .size = sizeof(PortRule), .after = after_chooser);

static const Field group_rule_fields[] = {
        {.name = "name",
         .type = FIELD_STR,
         .required = true,
         FIELD_TO(GroupRule, name),
         .check = check_label},
        {.name = "pattern", .type = FIELD_STR, FIELD_TO(GroupRule, pattern), .check = check_glob},
        {.name = "tag", .type = FIELD_STR, FIELD_TO(GroupRule, tag), .check = check_tag},
};

static const Schema group_rule =
        SCHEMA(group_rule_fields, .size = sizeof(GroupRule), .after = after_chooser);

/* Offsets are those of DiscoveryRules: its members are flat. */
static const Field default_port_fields[] = {
        {.name = "port",
         .type = FIELD_INT,
         .required = true,
         FIELD_TO(DiscoveryRules, default_port),
         .min = 1,
         .max = PORT_MAX},
        {.name = "protocol",
         .type = FIELD_ENUM,
         FIELD_TO(DiscoveryRules, default_protocol),
         .names = endpoint_protocols},
};

static const Schema default_port = SCHEMA(default_port_fields, .size = sizeof(DiscoveryRules));

static const Field expression_fields[] = {
        {.name = "key", .type = FIELD_STR, .required = true, .check = check_word},
        {.name = "operator", .type = FIELD_ENUM, .required = true, .names = operators},
        {.name = "values", .type = FIELD_STRS},
};

static const Schema expression = SCHEMA(expression_fields, .size = 0);

static const Field selector_fields[] = {
        {.name = "matchLabels", .type = FIELD_MAP},
        {.name = "matchExpressions", .type = FIELD_LIST, .schema = &expression},
};

static const Schema selector = SCHEMA(selector_fields, .size = 0);

static void after_probes(Decoder *d, const Tree *node, void *out)
{
        const ProbeRules *p = out;

        if (node != NULL && p->timeout.ns > p->interval.ns)
                decode_fault(d, node->at, "timeout is longer than interval, expected at most that");
}

static const Field probe_fields[] = {
        {.name = "type",
         .type = FIELD_ENUM,
         FIELD_TO(ProbeRules, type),
         .fallback = "None",
         .names = probe_types},
        {.name = "interval",
         .type = FIELD_SPAN,
         FIELD_TO(ProbeRules, interval),
         .min = 1000,
         .max = DAY_MS,
         .fallback = "30s"},
        {.name = "timeout",
         .type = FIELD_SPAN,
         FIELD_TO(ProbeRules, timeout),
         .min = 100,
         .max = DAY_MS,
         .fallback = "2s"},
        {.name = "failures",
         .type = FIELD_INT,
         FIELD_TO(ProbeRules, failures),
         .min = 1,
         .max = 100,
         .fallback = "3"},
        {.name = "successes",
         .type = FIELD_INT,
         FIELD_TO(ProbeRules, successes),
         .min = 1,
         .max = 100,
         .fallback = "1"},
};

static const Schema probes =
        SCHEMA(probe_fields, .size = sizeof(ProbeRules), .after = after_probes);

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
        {.name = "ports", .type = FIELD_PORTS, .required = true, FIELD_TO(PortProbing, ports)},
        {.name = "interval",
         .type = FIELD_SPAN,
         FIELD_TO(PortProbing, interval),
         .min = 10 * 1000,
         .max = DAY_MS,
         .fallback = "10m"},
        {.name = "timeout",
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

        (void)d, (void)node;
        if (rules->default_port != 0 && rules->default_protocol == PROTOCOL_NONE)
                rules->default_protocol = protocol_of_port(rules->default_port);
}

static const Field discovery_fields[] = {
        {.name = "enabled",
         .type = FIELD_BOOL,
         FIELD_TO(DiscoveryRules, enabled),
         .fallback = "true"},
        {.name = "patterns",
         .type = FIELD_STRS,
         FIELD_TO(DiscoveryRules, patterns),
         .check = check_glob},
        {.name = "excludePatterns",
         .type = FIELD_STRS,
         FIELD_TO(DiscoveryRules, exclude_patterns),
         .check = check_glob},
        {.name = "tags", .type = FIELD_STRS, FIELD_TO(DiscoveryRules, tags), .check = check_tag},
        {.name = "excludeTags",
         .type = FIELD_STRS,
         FIELD_TO(DiscoveryRules, exclude_tags),
         .check = check_tag},
        {.name = "os", .type = FIELD_STRS, FIELD_TO(DiscoveryRules, os), .check = check_word},
        {.name = "owners",
         .type = FIELD_STRS,
         FIELD_TO(DiscoveryRules, owners),
         .check = check_word},
        {.name = "services", .type = FIELD_OBJECT, .schema = &selector},
        {.name = "groups",
         .type = FIELD_LIST,
         FIELD_TO(DiscoveryRules, groups),
         FIELD_COUNT_TO(DiscoveryRules, n_groups),
         .schema = &group_rule},
        {.name = "ports",
         .type = FIELD_LIST,
         FIELD_TO(DiscoveryRules, ports),
         FIELD_COUNT_TO(DiscoveryRules, n_ports),
         .schema = &port_rule},
        {.name = "defaultPort", .type = FIELD_OBJECT, .kept = true, .schema = &default_port},
        {.name = "portProbing",
         .type = FIELD_OBJECT,
         FIELD_TO(DiscoveryRules, port_probing),
         .schema = &port_probing},
        {.name = "probes",
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

static const Field reference_fields[] = {
        {.name = "name", .type = FIELD_STR, .required = true, .check = check_name},
};

static const Schema reference = SCHEMA(reference_fields, .size = 0);

static const Field tls_fields[] = {
        {.name = "serverName", .type = FIELD_STR, .check = check_dns_name},
        {.name = "caSecretRef", .type = FIELD_OBJECT, .schema = &reference},
};

static const Schema tls = SCHEMA(tls_fields, .size = 0);

static const Field port_map_fields[] = {
        {.name = "service", .type = FIELD_STR, .check = check_service},
        {.name = "port", .type = FIELD_INT, .min = 1, .max = PORT_MAX},
        {.name = "listenerPort", .type = FIELD_INT, .min = 1, .max = PORT_MAX},
};

static const Schema port_map = SCHEMA(port_map_fields, .size = 0);

#define HOST_PATTERN(default_)                                                                \
        {                                                                                     \
                .name = "hostPattern", .type = FIELD_STR, FIELD_TO(RouteRules, host_pattern), \
                .fallback = (default_), .check = check_host_pattern                           \
        }
#define LISTENER_PROTOCOL(default_)                                                     \
        {                                                                               \
                .name = "protocol", .type = FIELD_ENUM, FIELD_TO(RouteRules, protocol), \
                .fallback = (default_), .names = listener_protocols                     \
        }
#define SECTION_NAME                                                                          \
        {                                                                                     \
                .name = "sectionName", .type = FIELD_STR, FIELD_TO(RouteRules, section_name), \
                .check = check_section                                                        \
        }

/* Empty as in the defaults, or a listener's name. */
static bool check_section(Str value, char expected[EXPECTED_MAX])
{
        return value.n == 0 || check_name(value, expected);
}

static const Field ingress_fields[] = {
        HOST_PATTERN("{service}.{tailnet}.gateway.local"),
        {.name = "pathPrefix",
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
         .type = FIELD_STR,
         FIELD_TO(RouteRules, path_prefix),
         .fallback = "/tailscale/{service}/",
         .check = check_path_prefix},
        LISTENER_PROTOCOL("HTTP"),
        {.name = "pathHosts",
         .type = FIELD_STRS,
         FIELD_TO(RouteRules, path_hosts),
         .fallback = "*",
         .check = check_path_host},
        {.name = "hostHeader",
         .type = FIELD_ENUM,
         FIELD_TO(RouteRules, host_header),
         .fallback = "Device",
         .names = host_headers},
        {.name = "overrideHosts", .type = FIELD_BOOL, FIELD_TO(RouteRules, override_hosts)},
        SECTION_NAME,
        {.name = "tls", .type = FIELD_OBJECT, .schema = &tls},
        {.name = "portMap", .type = FIELD_LIST, .schema = &port_map},
};

static const Schema egress =
        SCHEMA(egress_fields, .size = sizeof(RouteRules), .after = after_direction);

/* Offsets are those of the whole entry: its members are flat. */
static const Field generation_fields[] = {
        {.name = "ingress",
         .type = FIELD_OBJECT,
         FIELD_TO(TailnetEntry, ingress),
         FIELD_HERE_TO(TailnetEntry, ingress.enabled),
         .schema = &ingress},
        {.name = "egress",
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

/* connectivity */

static const Field ingress_socket_fields[] = {
        {.name = "socket", .type = FIELD_STR, .check = check_path},
        {.name = "ports", .type = FIELD_INTS, .min = 1, .max = PORT_MAX},
        {.name = "trustedSources", .type = FIELD_CIDRS},
};

static const Schema ingress_socket = SCHEMA(ingress_socket_fields, .size = 0);

static const Field connectivity_fields[] = {
        {.name = "mode",
         .type = FIELD_ENUM,
         FIELD_TO(Connectivity, mode),
         .fallback = "Proxy",
         .names = modes},
        {.name = "proxyAddresses",
         .type = FIELD_STRS,
         FIELD_TO(Connectivity, proxies),
         .max_items = 16,
         .check = check_proxy},
        {.name = "allowedCIDRs",
         .type = FIELD_CIDRS,
         FIELD_TO(Connectivity, allowed),
         FIELD_COUNT_TO(Connectivity, n_allowed)},
        {.name = "retry",
         .type = FIELD_ENUM,
         FIELD_TO(Connectivity, retry),
         .fallback = "AtMostOnce",
         .names = retries},
        {.name = "ingress", .type = FIELD_OBJECT, .schema = &ingress_socket},
};

static const Schema connectivity = SCHEMA(connectivity_fields, .size = sizeof(Connectivity));

/* tailnets[] */

static const Field tailnet_ref_fields[] = {
        {.name = "name",
         .type = FIELD_STR,
         .required = true,
         FIELD_TO(TailnetEntry, tailnet_name),
         .check = check_name},
};

static const Schema tailnet_ref = SCHEMA(tailnet_ref_fields, .size = sizeof(TailnetEntry));

static const Field entry_fields[] = {
        {.name = "name",
         .type = FIELD_STR,
         .required = true,
         FIELD_TO(TailnetEntry, name),
         .check = check_label},
        {.name = "tailscaleTailnetRef",
         .type = FIELD_OBJECT,
         .required = true,
         .kept = true,
         .schema = &tailnet_ref},
        {.name = "serviceDiscovery",
         .type = FIELD_OBJECT,
         FIELD_TO(TailnetEntry, discovery),
         .schema = &discovery},
        {.name = "routeGeneration", .type = FIELD_OBJECT, .kept = true, .schema = &generation},
        {.name = "connectivity",
         .type = FIELD_OBJECT,
         FIELD_TO(TailnetEntry, connectivity),
         .schema = &connectivity},
};

static const Schema entry = SCHEMA(entry_fields, .size = sizeof(TailnetEntry));

/* spec */

static const Field gateway_ref_fields[] = {
        {.name = "name",
         .type = FIELD_STR,
         .required = true,
         FIELD_TO(GatewaySpec, gateway.name),
         .check = check_name},
        {.name = "namespace",
         .type = FIELD_STR,
         FIELD_TO(GatewaySpec, gateway.namespace),
         .check = check_label},
        {.name = "sectionName",
         .type = FIELD_STR,
         FIELD_TO(GatewaySpec, section_name),
         .check = check_section},
};

static const Schema gateway_ref = SCHEMA(gateway_ref_fields, .size = sizeof(GatewaySpec));

static const Field extension_fields[] = {
        {.name = "image", .type = FIELD_STR, .check = check_word},
        {.name = "replicas", .type = FIELD_INT, .min = 1, .max = 100},
        {.name = "resources", .type = FIELD_FREE},
};

static const Schema extension = SCHEMA(extension_fields, .size = 0);

static void after_gateway(Decoder *d, const Tree *node, void *out)
{
        GatewaySpec *s = out;
        const Tree *list = tree_get(node, STR("tailnets"));
        size_t i = 0, where = decode_enter(d, STR("tailnets"));

        if (s->gateway.namespace.n == 0)
                s->gateway.namespace = s->meta.key.namespace;
        if (list != NULL && list->type == TREE_ARRAY && list->n == 0)
                decode_unexpected(d, list, "at least one tailnet");
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
         .type = FIELD_OBJECT,
         .required = true,
         .kept = true,
         .schema = &gateway_ref},
        {.name = "priority",
         .type = FIELD_INT,
         FIELD_TO(GatewaySpec, priority),
         .min = -PRIORITY_MAX,
         .max = PRIORITY_MAX},
        {.name = "tailnets",
         .type = FIELD_LIST,
         .required = true,
         FIELD_TO(GatewaySpec, tailnets),
         FIELD_COUNT_TO(GatewaySpec, n_tailnets),
         .max_items = TAILNETS_MAX,
         .schema = &entry},
        {.name = "extensionServer", .type = FIELD_OBJECT, .schema = &extension},
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

bool gateway_spec_same(const void *a, const void *b)
{
        const GatewaySpec *x = a, *y = b;

        return object_meta_same(&x->meta, &y->meta) && schema_same(&gateway_spec_schema, x, y);
}
