/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents of Kubernetes' Services and of the Gateway API's ReferenceGrants, as far as we need
 * them. Who wrote them is not told of faults: what makes no sense is left out.
 */
#include "model/manifest_kinds.h"
#include "model/reference_grant.h"
#include "model/service_spec.h"

enum {
        ANNOTATION_MAX = 1024, /* a path of that length is the longest of them */
        NAME_BYTES_MAX = 253,
        PORT_NUMBER_MAX = 65535,
};

/* Empty where it is too long or not printable. */
static Str kept(Leaf *leaf, Str s, size_t max)
{
        return s.n > 0 && s.n <= max && str_is_printable_utf8(s) ? leaf_str(leaf, s) : STR("");
}

static Str annotation(Leaf *leaf, const Tree *all, const char *key)
{
        return kept(leaf, str_trim(tree_get_str(all, str_of(key))), ANNOTATION_MAX);
}

/* Hosts are compared in lower case. */
static Str lower(Str own)
{
        char *p = (char *)(uintptr_t)own.p;

        for (size_t i = 0; i < own.n; i++)
                if (p[i] >= 'A' && p[i] <= 'Z')
                        p[i] = (char)(p[i] - 'A' + 'a');
        return own;
}

static ServiceTransport transport_of(Str s)
{
        if (str_eq(s, STR("UDP")))
                return SERVICE_UDP;
        return str_eq(s, STR("SCTP")) ? SERVICE_SCTP : SERVICE_TCP;
}

static void read_ports(ServiceSpec *s, const Tree *list)
{
        size_t max = list != NULL && list->type == TREE_ARRAY ? list->n : 0;
        ServicePortSpec *at;

        max = max < SERVICE_PORTS_MAX ? max : SERVICE_PORTS_MAX;
        if (max == 0)
                return;
        at = leaf_alloc(&s->leaf, max * sizeof(*at));
        TREE_FOREACH (node, list) {
                int64_t number;

                if (s->n_ports == max ||
                    !tree_i64(tree_get(node, STR("port")), 1, PORT_NUMBER_MAX, false, &number))
                        continue;
                at[s->n_ports++] = (ServicePortSpec){
                        .name = kept(&s->leaf, tree_get_str(node, STR("name")), NAME_BYTES_MAX),
                        .number = (uint16_t)number,
                        .transport = transport_of(tree_get_str(node, STR("protocol"))),
                        .app_protocol = kept(&s->leaf, tree_get_str(node, STR("appProtocol")),
                                             NAME_BYTES_MAX),
                };
        }
        s->ports = at;
}

void *manifest_read_service(const ManifestDoc *doc)
{
        ServiceSpec *s = leaf_new(sizeof(*s), 768, NULL);
        const Tree *meta = tree_get(doc->root, STR("metadata"));
        const Tree *labels = tree_get(meta, STR("labels"));
        const Tree *annotations = tree_get(meta, STR("annotations"));
        const Tree *spec = tree_get(doc->root, STR("spec"));
        Leaf *leaf = &s->leaf;

        if (!manifest_read_loose_meta(doc, leaf, &s->meta) ||
            !labels_read(leaf, labels, &s->labels))
                return leaf_unref(s);
        s->expose = kept(leaf, tree_get_str(labels, STR(SERVICE_EXPOSE)), NAME_BYTES_MAX);
        s->tailnets = annotation(leaf, annotations, SERVICE_TAILNETS);
        s->host = lower(annotation(leaf, annotations, SERVICE_HOST));
        s->path = annotation(leaf, annotations, SERVICE_PATH);
        s->port = annotation(leaf, annotations, SERVICE_PORT);
        s->protocol = annotation(leaf, annotations, SERVICE_PROTOCOL);
        s->type = kept(leaf, tree_get_str(spec, STR("type")), NAME_BYTES_MAX);
        s->cluster_ip = kept(leaf, tree_get_str(spec, STR("clusterIP")), NAME_BYTES_MAX);
        read_ports(s, tree_get(spec, STR("ports")));
        return s;
}

static void read_from(ReferenceGrant *g, const Tree *list, size_t max)
{
        GrantFrom *at = leaf_alloc(&g->leaf, (max + 1) * sizeof(*at));

        TREE_FOREACH (node, max > 0 ? list : NULL) {
                GrantFrom from = {
                        .group = kept(&g->leaf, tree_get_str(node, STR("group")), NAME_BYTES_MAX),
                        .kind = kept(&g->leaf, tree_get_str(node, STR("kind")), NAME_BYTES_MAX),
                        .namespace = kept(&g->leaf, tree_get_str(node, STR("namespace")),
                                          NAME_BYTES_MAX),
                };

                if (g->n_from < max && from.kind.n > 0 && from.namespace.n > 0)
                        at[g->n_from++] = from;
        }
        g->from = at;
}

static void read_to(ReferenceGrant *g, const Tree *list, size_t max)
{
        Str *at = leaf_alloc(&g->leaf, (max + 1) * sizeof(*at));
        size_t n = 0;

        TREE_FOREACH (node, max > 0 ? list : NULL) {
                Str name = tree_get_str(node, STR("name"));
                bool fits = name.n <= NAME_BYTES_MAX && str_is_printable_utf8(name);

                if (n < max && fits && tree_get_str(node, STR("group")).n == 0 &&
                    str_eq(tree_get_str(node, STR("kind")), STR("Service")))
                        at[n++] = leaf_str(&g->leaf, name);
        }
        g->services = (StrList){at, n};
}

static size_t bounded(const Tree *list)
{
        size_t n = list != NULL && list->type == TREE_ARRAY ? list->n : 0;

        return n < GRANT_LIST_MAX ? n : GRANT_LIST_MAX;
}

void *manifest_read_reference_grant(const ManifestDoc *doc)
{
        ReferenceGrant *g = leaf_new(sizeof(*g), 512, NULL);
        const Tree *spec = tree_get(doc->root, STR("spec"));
        const Tree *from = tree_get(spec, STR("from")), *to = tree_get(spec, STR("to"));

        if (!manifest_read_loose_meta(doc, &g->leaf, &g->meta))
                return leaf_unref(g);
        read_from(g, from, bounded(from));
        read_to(g, to, bounded(to));
        return g;
}
