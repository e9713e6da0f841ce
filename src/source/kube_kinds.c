/* SPDX-License-Identifier: Apache-2.0 */
#include "source/kube_kinds.h"

#include "model/binding_spec.h"
#include "model/eg_spec.h"
#include "model/endpoints_spec.h"
#include "model/gateway_spec.h"
#include "model/reference_grant.h"
#include "model/secret_spec.h"
#include "model/service_spec.h"
#include "model/tailnet_spec.h"

enum {
        FAULTS_TEXT_MAX = 4 << 10, /* of one object: a condition's message is cut at 32 KiB */
};

#define OUR_API     "/apis/" MODEL_API_VERSION
#define GATEWAY_API "/apis/gateway.networking.k8s.io/v1"
/* Every version of the Gateway API that has ReferenceGrants has them in this one. */
#define GATEWAY_API_BETA "/apis/gateway.networking.k8s.io/v1beta1"

static const Str spec_only[] = {STR_INIT("kind"), STR_INIT("spec")};
static const Str spec_and_status[] = {STR_INIT("kind"), STR_INIT("spec"), STR_INIT("status")};
static const Str meta_only[] = {STR_INIT("kind")};
static const Str data_only[] = {STR_INIT("kind"), STR_INIT("data")};

#define NAMED(kind) .name = (kind), .labels = "kind=\"" kind "\""
#define KEEP(list)  ((StrList){(list), LENGTH_OF(list)})

const KubeKind kube_kinds[KUBE_KINDS] = {
        [KUBE_KIND_TAILNET] = {NAMED("TailscaleTailnet"), .plural = "tailscaletailnets",
                               .api = OUR_API, .role = KUBE_OURS, .manifest = MANIFEST_TAILNET,
                               .read = manifest_read_tailnet, .same = tailnet_spec_same,
                               .observed = OBSERVED_TAILNET},
        [KUBE_KIND_GATEWAY] = {NAMED("TailscaleGateway"), .plural = "tailscalegateways",
                               .api = OUR_API, .role = KUBE_OURS, .manifest = MANIFEST_GATEWAY,
                               .read = manifest_read_gateway, .same = gateway_spec_same,
                               .observed = OBSERVED_GATEWAY},
        [KUBE_KIND_ENDPOINTS] = {NAMED("TailscaleEndpoints"), .plural = "tailscaleendpoints",
                                 .api = OUR_API, .role = KUBE_OURS, .manifest = MANIFEST_ENDPOINTS,
                                 .read = manifest_read_endpoints, .same = endpoints_spec_same,
                                 .share = endpoints_spec_share, .observed = OBSERVED_ENDPOINTS},
        [KUBE_KIND_BINDING] = {NAMED("TailscaleGatewayBinding"),
                               .plural = "tailscalegatewaybindings", .api = OUR_API,
                               .role = KUBE_OURS, .manifest = MANIFEST_BINDING,
                               .read = manifest_read_binding, .same = binding_spec_same,
                               .observed = OBSERVED_BINDING},
        [KUBE_KIND_EG_GATEWAY] = {NAMED("Gateway"), .plural = "gateways", .api = GATEWAY_API,
                                  .role = KUBE_FOREIGN, .manifest = MANIFEST_EG_GATEWAY,
                                  .read = manifest_read_eg_gateway, .same = eg_gateway_same,
                                  .keep = KEEP(spec_and_status)},
        [KUBE_KIND_HTTP_ROUTE] = {NAMED("HTTPRoute"), .plural = "httproutes", .api = GATEWAY_API,
                                  .role = KUBE_FOREIGN, .manifest = MANIFEST_EG_ROUTE,
                                  .read = manifest_read_eg_route, .same = eg_route_same,
                                  .keep = KEEP(spec_only)},
        [KUBE_KIND_GRPC_ROUTE] = {NAMED("GRPCRoute"), .plural = "grpcroutes", .api = GATEWAY_API,
                                  .role = KUBE_FOREIGN, .may_be_absent = true,
                                  .manifest = MANIFEST_EG_ROUTE, .read = manifest_read_eg_route,
                                  .same = eg_route_same, .keep = KEEP(spec_only)},
        [KUBE_KIND_NAMESPACE] = {NAMED("Namespace"), .plural = "namespaces", .api = "/api/v1",
                                 .role = KUBE_FOREIGN, .is_cluster_wide = true,
                                 .manifest = MANIFEST_NAMESPACE, .read = manifest_read_namespace,
                                 .same = eg_namespace_same, .keep = KEEP(meta_only)},
        [KUBE_KIND_BACKEND] = {NAMED("Service"), .plural = "services", .api = "/api/v1",
                               .role = KUBE_FOREIGN, .of_services = true,
                               .manifest = MANIFEST_SERVICE, .read = manifest_read_service,
                               .same = service_spec_same, .keep = KEEP(spec_only)},
        [KUBE_KIND_GRANT] = {NAMED("ReferenceGrant"), .plural = "referencegrants",
                             .api = GATEWAY_API_BETA, .role = KUBE_FOREIGN, .may_be_absent = true,
                             .of_services = true, .manifest = MANIFEST_GRANT,
                             .read = manifest_read_reference_grant, .same = reference_grant_same,
                             .keep = KEEP(spec_only)},
        [KUBE_KIND_MADE_HTTP_ROUTE] = {NAMED("own HTTPRoute"), .plural = "httproutes",
                                       .api = GATEWAY_API, .role = KUBE_MADE, .may_be_absent = true,
                                       .observed = OBSERVED_HTTP_ROUTE},
        [KUBE_KIND_MADE_GRPC_ROUTE] = {NAMED("own GRPCRoute"), .plural = "grpcroutes",
                                       .api = GATEWAY_API, .role = KUBE_MADE, .may_be_absent = true,
                                       .observed = OBSERVED_GRPC_ROUTE},
        [KUBE_KIND_CREDENTIALS] = {NAMED("Secret"), .plural = "secrets", .api = "/api/v1",
                                   .role = KUBE_NAMED, .is_secret = true,
                                   .manifest = MANIFEST_SECRET, .read = manifest_read_secret,
                                   .same = secret_spec_same, .keep = KEEP(data_only)},
        [KUBE_KIND_SECRET] = {NAMED("own Secret"), .plural = "secrets", .api = "/api/v1",
                              .role = KUBE_MANAGED, .is_secret = true, .observed = OBSERVED_SECRET},
        [KUBE_KIND_SERVICE] = {NAMED("own Service"), .plural = "services", .api = "/api/v1",
                               .role = KUBE_MANAGED, .observed = OBSERVED_SERVICE},
        [KUBE_KIND_DEPLOYMENT] = {NAMED("own Deployment"), .plural = "deployments",
                                  .api = "/apis/apps/v1", .role = KUBE_MANAGED,
                                  .observed = OBSERVED_DEPLOYMENT},
        [KUBE_KIND_PDB] = {NAMED("own PodDisruptionBudget"), .plural = "poddisruptionbudgets",
                           .api = "/apis/policy/v1", .role = KUBE_MANAGED,
                           .observed = OBSERVED_PDB},
};

TableOrder *kube_kinds_order(ManifestKind kind)
{
        static TableOrder *const orders[MANIFEST_KINDS] = {
                [MANIFEST_TAILNET] = tailnet_spec_order,
                [MANIFEST_GATEWAY] = gateway_spec_order,
                [MANIFEST_ENDPOINTS] = endpoints_spec_order,
                [MANIFEST_SECRET] = secret_spec_order,
                [MANIFEST_EG_GATEWAY] = eg_gateway_order,
                [MANIFEST_EG_ROUTE] = eg_route_order,
                [MANIFEST_BINDING] = binding_spec_order,
                [MANIFEST_NAMESPACE] = eg_namespace_order,
                [MANIFEST_SERVICE] = service_spec_order,
                [MANIFEST_GRANT] = reference_grant_order,
        };
        return orders[kind];
}

/* One fault a line, in the order found, each with its path. */
static Str print_faults(const Faults *faults, Arena *arena)
{
        Buf text CLEANUP(buf_done);
        buf_init(&text, FAULTS_TEXT_MAX);
        for (size_t i = 0; i < faults->n && !text.failed; i++) {
                const Fault *f = &faults->at[i];
                buf_printf(&text, "%s%.*s%s%.*s", i > 0 ? "\n" : "", STR_FMT(f->path),
                           f->path.n > 0 ? ": " : "", STR_FMT(f->text));
        }
        return arena_str(arena, buf_str(&text));
}

static void wipe(const Tree *node)
{
        TREE_FOREACH (child, node) {
                if (child->text.n > 0)
                        explicit_bzero((char *)(uintptr_t)child->text.p, child->text.n);
                if (child->first != NULL)
                        wipe(child);
        }
}

/* Whatever else is wrong with it: what it does not refer to it has no say in. */
static ObjectKey gateway_ref(const Tree *object, Arena *arena)
{
        const Tree *ref = tree_get(tree_get(object, STR("spec")), STR("gatewayRef"));
        const Tree *namespace = tree_get(ref, STR("namespace"));
        Str name = tree_get_str(ref, STR("name"));
        Str in = namespace != NULL
                         ? tree_str(namespace)
                         : tree_get_str(tree_get(object, STR("metadata")), STR("namespace"));
        if (name.n == 0 || in.n == 0)
                return (ObjectKey){0};
        return (ObjectKey){arena_str(arena, in), arena_str(arena, name)};
}

void kube_kinds_read(const KubeKind *kind, const Tree *object, Arena *arena, KubeRead *ret)
{
        CLEANUP(faults_done) Faults faults;
        const Tree *meta = tree_get(object, STR("metadata"));
        *ret = (KubeRead){.deleting = tree_get_str(meta, STR("deletionTimestamp")).n > 0};
        faults_init(&faults);
        IGNORE(tree_i64(tree_get(meta, STR("generation")), 0, INT64_MAX, false, &ret->generation),
               "0 where it is none");
        if (kind->read != NULL)
                ret->leaf = kind->read(&(ManifestDoc){.root = object,
                                                      .faults = &faults,
                                                      .from_api = true,
                                                      .kind = str_of(kind->name)});
        if (kind->role == KUBE_OURS || kind->role == KUBE_MANAGED || kind->role == KUBE_MADE)
                ret->observed = observed_new(kind->observed, object);
        if (faults.n_total > 0)
                ret->faults = print_faults(&faults, arena);
        if (faults.n_total > 0 && kind->role == KUBE_OURS && kind->observed == OBSERVED_GATEWAY)
                ret->gateway = gateway_ref(object, arena);
        if (kind->is_secret)
                wipe(object);
}
