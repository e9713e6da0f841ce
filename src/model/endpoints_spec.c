/* SPDX-License-Identifier: Apache-2.0 */
#include "model/endpoints_spec.h"

#include "model/cidr.h"
#include "model/decode.h"
#include "model/value_check.h"

enum {
        PORT_MAX = 65535,
        WEIGHT_MAX = 1000000, /* Envoy sums the weights of a locality in 32 bits */
        TAGS_MAX = 64,
};

static const EnumName protocols[] = {
        {"HTTP", PROTOCOL_HTTP}, {"HTTPS", PROTOCOL_HTTPS}, {"H2C", PROTOCOL_H2C},
        {"GRPC", PROTOCOL_GRPC}, {"GRPCS", PROTOCOL_GRPCS}, {"TCP", PROTOCOL_TCP},
        {"TLS", PROTOCOL_TLS},   {"UDP", PROTOCOL_UDP},     {NULL, 0}};

static const EnumName directions[] = {{"Egress", 0}, {"Ingress", 1}, {NULL, 0}};

/* One address has one text, as in the device lists. */
static void after_endpoint(Decoder *d, const Tree *node, void *out)
{
        char text[IP_TEXT];
        Endpoint *e = out;
        IpAddr ip;

        (void)node;
        if (ip_parse(e->ip, &ip) && !str_eq(e->ip, str_of(ip_format(&ip, text))))
                e->ip = leaf_str(d->leaf, str_of(text));
        if (e->short_name.n == 0)
                e->short_name = e->service;
}

static const Field endpoint_fields[] = {
        {.name = "name",
         .about = "The service: hosts and paths are made of it. Endpoints of one name are one "
                  "service.",
         .type = FIELD_STR,
         .required = true,
         FIELD_TO(Endpoint, service),
         .check = check_service},
        {.name = "tailscaleIP",
         .about = "The address in the tailnet, the IPv4 one where there is one. Never a name.",
         .type = FIELD_STR,
         .required = true,
         FIELD_TO(Endpoint, ip),
         .check = check_ip},
        {.name = "tailscaleFQDN",
         .about = "The full name in the tailnet: the Host header that the device gets.",
         .type = FIELD_STR,
         FIELD_TO(Endpoint, fqdn),
         .check = check_host},
        {.name = "port",
         .about = "The port.",
         .type = FIELD_INT,
         .required = true,
         FIELD_TO(Endpoint, port),
         .min = 1,
         .max = PORT_MAX},
        {.name = "protocol",
         .about = "The protocol that the endpoint speaks: HTTP, HTTPS, GRPC, TCP, TLS or UDP.",
         .type = FIELD_ENUM,
         FIELD_TO(Endpoint, protocol),
         .fallback = "HTTP",
         .names = protocols},
        {.name = "tags",
         .about = "The tags of the device.",
         .type = FIELD_STRS,
         FIELD_TO(Endpoint, tags),
         .max_items = TAGS_MAX,
         .check = check_tag},
        {.name = "nodeID",
         .about = "The device at the control server: what an endpoint is known by when names and "
                  "addresses change.",
         .type = FIELD_STR,
         FIELD_TO(Endpoint, node_id),
         .check = check_word},
        {.name = "shortName",
         .about = "The name of the device, where the service has another: a group or a Tailscale "
                  "Service.",
         .type = FIELD_STR,
         FIELD_TO(Endpoint, short_name),
         .check = check_service},
        {.name = "portSource",
         .about = "Which rule gave the port: service (that of a Tailscale Service), ports[0], "
                  "tag:http-8080, defaultPort, or static.",
         .type = FIELD_STR,
         FIELD_TO(Endpoint, port_source)},
        {.name = "rule",
         .about = "Which rule took it: a pattern, a tag, no pattern, or static.",
         .type = FIELD_STR,
         FIELD_TO(Endpoint, rule)},
        {.name = "health",
         .about = "What is known of it: Healthy, Offline, Unhealthy, Unknown and others. It does "
                  "not move traffic.",
         .type = FIELD_STR,
         FIELD_TO(Endpoint, health)},
        {.name = "healthText",
         .about = "What the health means, in words.",
         .type = FIELD_STR,
         FIELD_TO(Endpoint, health_text)},
        {.name = "weight",
         .about = "Its share of the requests, among the endpoints of the service.",
         .type = FIELD_INT,
         FIELD_TO(Endpoint, weight),
         .min = 1,
         .max = WEIGHT_MAX,
         .fallback = "1"},
};

static const Schema endpoint =
        SCHEMA(endpoint_fields, .size = sizeof(Endpoint), .after = after_endpoint);

static bool same_place(const Endpoint *a, const Endpoint *b)
{
        return a->port == b->port && a->protocol == b->protocol && str_eq(a->ip, b->ip) &&
               str_eq(a->service, b->service);
}

/* name, port, protocol and tailscaleIP are the keys of the list. */
static void after_endpoints(Decoder *d, const Tree *node, void *out)
{
        EndpointsFields *s = out;
        const Tree *list = tree_get(node, STR("endpoints"));
        size_t i = 0, where = decode_enter(d, STR("endpoints"));

        TREE_FOREACH (item, list) {
                for (size_t j = 0; j < i && i < s->n; j++) {
                        size_t here;

                        if (s->endpoints[i].ip.n == 0 ||
                            !same_place(&s->endpoints[i], &s->endpoints[j]))
                                continue;
                        here = decode_enter_item(d, i);
                        decode_fault(d, item->at,
                                     "the same name, port, protocol and tailscaleIP as "
                                     "endpoints[%zu], expected another",
                                     j);
                        decode_leave(d, here);
                        break;
                }
                i++;
        }
        decode_leave(d, where);
}

static const Field endpoints_fields[] = {
        {.name = "tailnet",
         .about = "The name of an entry of tailnets in a TailscaleGateway of this namespace.",
         .type = FIELD_STR,
         .required = true,
         FIELD_TO(EndpointsFields, tailnet),
         .check = check_label},
        {.name = "direction",
         .about = "Egress, the default: the endpoints are of the tailnet. Ingress: they are what "
                  "the "
                  "tailnet is led to, where there is no Kubernetes; there, Services are labelled "
                  "instead.",
         .type = FIELD_ENUM,
         FIELD_TO(EndpointsFields, direction),
         .names = directions},
        {.name = "endpoints",
         .keys = "name port protocol tailscaleIP",
         .about = "One entry for each service, port and device. Your own win over discovered ones "
                  "of the same name and port.",
         .type = FIELD_LIST,
         FIELD_TO(EndpointsFields, endpoints),
         FIELD_COUNT_TO(EndpointsFields, n),
         .max_items = ENDPOINTS_MAX,
         .schema = &endpoint},
};

const Schema endpoints_spec_schema =
        SCHEMA(endpoints_fields, .size = sizeof(EndpointsFields), .after = after_endpoints);

int endpoints_spec_order(const void *a, const void *b)
{
        const EndpointsSpec *x = a, *y = b;

        return object_key_cmp(x->meta.key, y->meta.key);
}

bool endpoints_spec_same(const void *a, const void *b)
{
        const EndpointsSpec *x = a, *y = b;

        if (!object_meta_same(&x->meta, &y->meta) || !str_eq(x->tailnet, y->tailnet) ||
            x->ingress != y->ingress || !str_eq(x->gateway, y->gateway) ||
            !str_eq(x->owner, y->owner) || !str_eq(x->source, y->source) ||
            !str_eq(x->suffix, y->suffix) || x->shards != y->shards || x->n != y->n ||
            x->held_n != y->held_n || x->held_confirmations != y->held_confirmations ||
            !str_eq(x->held_digest, y->held_digest) || !str_eq(x->held_reason, y->held_reason))
                return false;
        for (size_t i = 0; i < x->n; i++)
                if (!endpoint_same(x->endpoints[i], y->endpoints[i]))
                        return false;
        return true;
}

void endpoints_spec_drop(Leaf *leaf)
{
        const EndpointsSpec *s = (const EndpointsSpec *)leaf;

        for (size_t i = 0; i < s->n; i++)
                leaf_unref(s->endpoints[i]);
}

void endpoints_spec_share(const void *fresh, const void *old)
{
        const EndpointsSpec *x = fresh, *y = old;
        /* They belong to a leaf that is still its maker's. */
        const Endpoint **at = (const Endpoint **)(uintptr_t)x->endpoints;

        INSIST(x->leaf.refs == 1);
        for (size_t i = 0, j = 0; i < x->n && j < y->n;) {
                int order = endpoint_order(at[i], y->endpoints[j]);

                if (order == 0 && at[i] != y->endpoints[j] &&
                    endpoint_same(at[i], y->endpoints[j])) {
                        leaf_unref(at[i]);
                        at[i] = leaf_ref(y->endpoints[j]);
                }
                i += order <= 0;
                j += order >= 0;
        }
}
