/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/check_cluster.h"

#include "cli/crd_compare.h"
#include "model/observed.h"
#include "proto/yaml.h"

#include <stdio.h>

enum {
        CONFIG_BYTES_MAX = 1 << 20, /* of a ConfigMap */
        NAME_MAX = 600,
        LACKS_MAX = 4 << 10, /* CRD_COMPARE_NAMED paths */
};

#define UPGRADE "helm upgrade the chart " CHECK_NAME

/* Why it is not there, where that is no answer of its own. True where it was told. */
static bool tell_unknown(CheckRows *rows, const char *check, const CheckFound *f)
{
        if (f->object != NULL || f->err.kind == ERR_MISSING)
                return false;
        check_rows_add(rows, check, CHECK_UNKNOWN,
                       f->err.kind == ERR_DENIED ? "look with more rights" : NULL, "%s",
                       f->err.text);
        return true;
}

static const Tree *items_of(const CheckFound *list)
{
        return tree_get(list->object, STR("items"));
}

static Str meta_of(const Tree *object, Str member)
{
        return tree_get_str(tree_get(object, STR("metadata")), member);
}

static Str mark_of(const Tree *object, Str kind, Str name)
{
        return tree_get_str(tree_get(tree_get(object, STR("metadata")), kind), name);
}

static const Tree *condition_of(const Tree *list, Str type)
{
        TREE_FOREACH (c, list) {
                if (str_eq(tree_get_str(c, STR("type")), type))
                        return c;
        }
        return NULL;
}

static bool is_true(const Tree *condition)
{
        return str_eq(tree_get_str(condition, STR("status")), STR("True"));
}

/* ---- CustomResourceDefinitions ---- */

static bool serves_our_version(const Tree *crd)
{
        TREE_FOREACH (v, tree_get(tree_get(crd, STR("spec")), STR("versions"))) {
                if (str_eq(tree_get_str(v, STR("name")), STR("v1alpha1")) &&
                    tree_get_bool(v, STR("served"), false))
                        return true;
        }
        return false;
}

/* One that is ours and served. */
static void check_crd_version(CheckRows *rows, const char *check, const char *plural,
                              const Tree *crd, Arena *arena)
{
        Str bundle = mark_of(crd, STR("annotations"), STR(MODEL_GROUP "/bundle-version"));
        Str version = bundle.n > 0 ? bundle : STR("unknown");
        int order = crd_compare_versions(bundle, STR(TSGW_VERSION));
        CLEANUP(buf_done) Buf lacks;

        buf_init(&lacks, LACKS_MAX);
        if (crd_compare_lacks(crd_compare_kind(plural), crd, arena, &lacks) > 0)
                check_rows_add(rows, check, CHECK_WRONG,
                               order > 0 ? "upgrade this program"
                                         : UPGRADE " with crds.install, or apply deploy/crds",
                               "it is of version %.*s and lacks what this program (" TSGW_VERSION
                               ") knows: %.*s",
                               STR_FMT(version), STR_FMT(buf_str(&lacks)));
        else if (order > 0)
                check_rows_add(rows, check, CHECK_OK, NULL,
                               "of version %.*s, newer than this program (" TSGW_VERSION ")",
                               STR_FMT(version));
        else if (!str_eq(bundle, STR(TSGW_VERSION)))
                check_rows_add(rows, check, CHECK_WARNING, UPGRADE " with crds.install",
                               "it is of version %.*s, this program of " TSGW_VERSION,
                               STR_FMT(version));
        else
                check_rows_add(rows, check, CHECK_OK, NULL, "of version %.*s", STR_FMT(bundle));
}

void check_cluster_crd(CheckRows *rows, const char *plural, const CheckFound *crd, Arena *arena)
{
        char check[NAME_MAX];
        const Tree *o = crd->object;
        const Tree *conditions = tree_get(tree_get(o, STR("status")), STR("conditions"));

        IGNORE(snprintf(check, sizeof(check), "CustomResourceDefinition %s", plural), "it fits");
        if (tell_unknown(rows, check, crd))
                return;
        if (o == NULL)
                check_rows_add(rows, check, CHECK_WRONG, UPGRADE " with crds.install",
                               "it is not there");
        else if (!str_eq(mark_of(o, STR("labels"), STR("app.kubernetes.io/part-of")),
                         STR(CHECK_NAME)))
                check_rows_add(rows, check, CHECK_WRONG,
                               "find out whose it is; both cannot be in one cluster",
                               "it is somebody else's, of the same name");
        else if (!serves_our_version(o))
                check_rows_add(rows, check, CHECK_WRONG, UPGRADE " with crds.install",
                               "it does not serve v1alpha1");
        else if (!is_true(condition_of(conditions, STR("Established"))))
                check_rows_add(rows, check, CHECK_WRONG, "kubectl describe it",
                               "the API server has not established it");
        else
                check_crd_version(rows, check, plural, o, arena);
}

/* ---- what runs ---- */

static int64_t number(const Tree *object, Str member, int64_t fallback)
{
        int64_t n = fallback;

        IGNORE(tree_i64(tree_get(object, member), 0, INT32_MAX, false, &n), "then the fallback");
        return n;
}

/* One row for a Deployment, by how many of its pods are ready. */
static void tell_replicas(CheckRows *rows, const char *check, const Tree *deployment)
{
        int64_t wanted = number(tree_get(deployment, STR("spec")), STR("replicas"), 1);
        int64_t ready = number(tree_get(deployment, STR("status")), STR("readyReplicas"), 0);
        CheckResult result = ready == 0 && wanted > 0 ? CHECK_WRONG
                             : ready < wanted         ? CHECK_WARNING
                                                      : CHECK_OK;
        Str ns = meta_of(deployment, STR("namespace")), name = meta_of(deployment, STR("name"));

        check_rows_add(rows, check, result,
                       result != CHECK_OK ? "kubectl describe the Deployment and its pods" : NULL,
                       "%.*s/%.*s: %lld of %lld replicas are ready", STR_FMT(ns), STR_FMT(name),
                       (long long)ready, (long long)wanted);
}

static const Tree *pod_of(const Tree *deployment)
{
        return tree_get(tree_get(tree_get(deployment, STR("spec")), STR("template")), STR("spec"));
}

void check_cluster_deployment(CheckRows *rows, const char *component, const CheckFound *list,
                              Str *ret_account)
{
        char check[NAME_MAX];
        const Tree *items = items_of(list);

        *ret_account = (Str){0};
        IGNORE(snprintf(check, sizeof(check), "Deployment of the %s", component), "it fits");
        if (tell_unknown(rows, check, list))
                return;
        if (items == NULL || items->n == 0) {
                check_rows_add(rows, check, CHECK_WRONG, "helm install the chart " CHECK_NAME,
                               "there is none with the label app.kubernetes.io/component: %s",
                               component);
                return;
        }
        TREE_FOREACH (d, items)
                tell_replicas(rows, check, d);
        if (items->n > 1)
                check_rows_add(rows, check, CHECK_WRONG, "uninstall all but one release",
                               "there are %zu, which write the same objects", items->n);
        *ret_account = tree_get_str(pod_of(items->first), STR("serviceAccountName"));
}

void check_cluster_lease(CheckRows *rows, const CheckFound *lease)
{
        static const char check[] = "Leader";
        Str holder = tree_get_str(tree_get(lease->object, STR("spec")), STR("holderIdentity"));

        if (tell_unknown(rows, check, lease))
                return;
        if (holder.n == 0)
                check_rows_add(rows, check, CHECK_WRONG,
                               "look into the log of the operator: it takes the Lease",
                               lease->object == NULL ? "there is no Lease" : "nobody leads");
        else
                check_rows_add(rows, check, CHECK_OK, NULL, "%.*s", STR_FMT(holder));
}

/* ---- Envoy Gateway ---- */

bool check_cluster_gateway_config(CheckRows *rows, const CheckFound *config_map, Arena *arena,
                                  CheckService *ret)
{
        static const char check[] = "Envoy Gateway's configuration";
        const Tree *data = tree_get(config_map->object, STR("data"));
        Str text = tree_get_str(data, STR("envoy-gateway.yaml"));
        const Tree *root = NULL;
        Err err = {0};

        *ret = (CheckService){0};
        if (tell_unknown(rows, check, config_map))
                return false;
        if (text.n == 0 || text.n > CONFIG_BYTES_MAX) {
                check_rows_add(rows, check, CHECK_WRONG,
                               "give Envoy Gateway's namespace by --gateway-namespace",
                               config_map->object == NULL
                                       ? "there is no ConfigMap envoy-gateway-config"
                                       : "its ConfigMap has no envoy-gateway.yaml");
                return false;
        }
        CLEANUP(yaml_cleanup) Yaml *yaml = yaml_new(text);
        if (!yaml_next(yaml, arena, &root, NULL, &err)) {
                check_rows_add(rows, check, CHECK_WRONG, "mend the ConfigMap", "%s", err.text);
                return false;
        }
        return check_gateway_config(rows, root, ret);
}

void check_cluster_gateway(CheckRows *rows, const CheckFound *deployment, Str *ret_account)
{
        static const char check[] = "Envoy Gateway";
        const Tree *containers = tree_get(pod_of(deployment->object), STR("containers"));

        *ret_account = tree_get_str(pod_of(deployment->object), STR("serviceAccountName"));
        if (ret_account->n == 0)
                *ret_account = STR("envoy-gateway");

        if (tell_unknown(rows, check, deployment))
                return;
        if (deployment->object == NULL) {
                check_rows_add(rows, check, CHECK_WRONG,
                               "install it, or give its namespace by --gateway-namespace",
                               "there is no Deployment envoy-gateway");
                return;
        }
        tell_replicas(rows, check, deployment->object);
        TREE_FOREACH (c, containers) {
                if (str_eq(tree_get_str(c, STR("name")), STR("envoy-gateway")))
                        check_gateway_version(rows, tree_get_str(c, STR("image")));
        }
}

void check_cluster_there(CheckRows *rows, const char *kind, Str ns, Str name,
                         const CheckFound *object)
{
        static const char check[] = "Envoy Gateway's way to us";

        if (tell_unknown(rows, check, object))
                return;
        check_rows_add(rows, check, object->object != NULL ? CHECK_OK : CHECK_WRONG,
                       object->object != NULL
                               ? NULL
                               : "mend service of its extensionManager, or find out why the "
                                 "operator has not made it",
                       "%s %.*s/%.*s is %sthere", kind, STR_FMT(ns), STR_FMT(name),
                       object->object != NULL ? "" : "not ");
}

/* ---- rights ---- */

#define OURS    MODEL_GROUP
#define GATEWAY "gateway.networking.k8s.io"
#define EVENTS  "events.k8s.io"
#define LEASES  "coordination.k8s.io"
#define FOR_EG  CHECK_NAME "-extension-"
#define LOOKS                   \
        {                       \
                "list", "watch" \
        }
#define MAKES                               \
        {                                   \
                "create", "patch", "delete" \
        }
#define KEEPS                                      \
        {                                          \
                "list", "watch", "create", "patch" \
        }

/* As the roles of the chart have them: each verb of each resource. */
typedef struct Rule {
        CheckPlace place;
        const char *group, *resources[5], *verbs[5]; /* end in NULL */
        const char *name;
} Rule;

static const Rule of_gateway[] = {
        {CHECK_IN_WATCHED, OURS, {"tailscalegatewaybindings"}, LOOKS, NULL},
        {CHECK_IN_WATCHED, OURS, {"tailscalegatewaybindings/status"}, {"update"}, NULL},
};

enum {
        RULES_OF_BOTH = 5
};

/* Of the operator; the first of them of the extension server, too. */
static const Rule of_ours[] = {
        {CHECK_IN_WATCHED,
         OURS,
         {"tailscaletailnets", "tailscalegateways", "tailscaleendpoints",
          "tailscalegatewaybindings"},
         LOOKS,
         NULL},
        {CHECK_IN_WATCHED,
         GATEWAY,
         {"gateways", "httproutes", "grpcroutes", "referencegrants"},
         LOOKS,
         NULL},
        {CHECK_IN_WATCHED, "", {"services"}, LOOKS, NULL},
        {CHECK_IN_CLUSTER, "", {"namespaces"}, LOOKS, NULL},
        {CHECK_IN_WATCHED, OURS, {"tailscalegatewaybindings"}, {"patch"}, NULL},
        /* RULES_OF_BOTH */
        {CHECK_IN_WATCHED, OURS, {"tailscalegatewaybindings"}, {"create", "delete"}, NULL},
        {CHECK_IN_WATCHED, OURS, {"tailscaleendpoints"}, MAKES, NULL},
        {CHECK_IN_WATCHED,
         OURS,
         {"tailscaletailnets/status", "tailscalegateways/status", "tailscaleendpoints/status"},
         {"patch"},
         NULL},
        {CHECK_IN_WATCHED, GATEWAY, {"httproutes", "grpcroutes"}, MAKES, NULL},
        {CHECK_IN_WATCHED, EVENTS, {"events"}, {"create", "patch"}, NULL},
        {CHECK_IN_OWN, LEASES, {"leases"}, {"create"}, NULL},
        {CHECK_IN_OWN, LEASES, {"leases"}, {"get", "update"}, CHECK_NAME},
        {CHECK_IN_OWN, "", {"secrets", "services"}, KEEPS, NULL},
        {CHECK_IN_OWN, "apps", {"deployments"}, KEEPS, NULL},
        {CHECK_IN_OWN, "policy", {"poddisruptionbudgets"}, KEEPS, NULL},
        {CHECK_IN_GATEWAYS, "", {"secrets"}, {"list", "watch", "patch"}, FOR_EG "ca"},
        {CHECK_IN_GATEWAYS, "", {"secrets"}, {"list", "watch", "patch"}, FOR_EG "client"},
        {CHECK_IN_GATEWAYS, "", {"secrets"}, {"create"}, NULL},
};

static const struct {
        const char *check;
        const Rule *at;
        size_t n;
} sets[CHECK_RIGHTS_SETS] = {
        [CHECK_RIGHTS_OF_GATEWAY] = {"Rights of Envoy Gateway", of_gateway, LENGTH_OF(of_gateway)},
        [CHECK_RIGHTS_OF_OPERATOR] = {"Rights of the operator", of_ours, LENGTH_OF(of_ours)},
        [CHECK_RIGHTS_OF_EXTENSION] = {"Rights of the extension server", of_ours, RULES_OF_BOTH},
};

static size_t expand(const Rule *rule, CheckRight *ret, size_t n)
{
        for (const char *const *resource = rule->resources; *resource != NULL; resource++) {
                for (const char *const *verb = rule->verbs; *verb != NULL; verb++) {
                        INSIST(n < CHECK_RIGHTS_MAX);
                        ret[n++] = (CheckRight){rule->place, *verb, rule->group, *resource,
                                                rule->name};
                }
        }
        return n;
}

size_t check_cluster_rights(unsigned set, bool is_wide, CheckRight ret[CHECK_RIGHTS_MAX])
{
        size_t n = 0;

        for (size_t i = 0; i < sets[set].n; i++) {
                if (is_wide || sets[set].at[i].place != CHECK_IN_CLUSTER)
                        n = expand(&sets[set].at[i], ret, n);
        }
        return n;
}

/* "tailscalegateways/status of gateway.tailscale.com", "leases tailscale-gateway of … in its own
 * namespace" */
static Str right_text(const CheckRight *r, Buf *out)
{
        static const char *const places[CHECK_PLACES] = {
                [CHECK_IN_WATCHED] = "",
                [CHECK_IN_CLUSTER] = "",
                [CHECK_IN_OWN] = " in its own namespace",
                [CHECK_IN_GATEWAYS] = " in the namespace of Envoy Gateway",
        };

        buf_printf(out, "%s %s%s%s%s%s%s", r->verb, r->resource, r->name != NULL ? " " : "",
                   r->name != NULL ? r->name : "", *r->group != '\0' ? " of " : "", r->group,
                   places[r->place]);
        return buf_str(out);
}

void check_cluster_allowed(CheckRows *rows, unsigned set, Str who, const CheckRight *rights,
                           size_t n, const CheckFound *reviews)
{
        const char *check = sets[set].check;
        size_t missing = 0;

        for (size_t i = 0; i < n; i++) {
                CLEANUP(buf_done) Buf text;
                Str what;

                buf_init(&text, NAME_MAX);
                if (tell_unknown(rows, check, &reviews[i]))
                        return;
                if (tree_get_bool(tree_get(reviews[i].object, STR("status")), STR("allowed"),
                                  false))
                        continue;
                missing++;
                what = right_text(&rights[i], &text);
                check_rows_add(rows, check, CHECK_WRONG,
                               set == CHECK_RIGHTS_OF_GATEWAY ? UPGRADE
                                       " with envoyGateway.rbac: without this Envoy "
                                       "Gateway does not start"
                                                              : UPGRADE,
                               "%.*s may not %.*s", STR_FMT(who), STR_FMT(what));
        }
        if (missing == 0)
                check_rows_add(rows, check, CHECK_OK, NULL, "%.*s may all that is needed",
                               STR_FMT(who));
}

/* ---- Bindings ---- */

/* Does Envoy Gateway see it, and what does it say? */
static bool is_accepted(const Tree *binding)
{
        const Tree *ancestors = tree_get(tree_get(binding, STR("status")), STR("ancestors"));

        TREE_FOREACH (a, ancestors) {
                if (is_true(condition_of(tree_get(a, STR("conditions")), STR("Accepted"))))
                        return true;
        }
        return false;
}

/* A replica that said something else later than one that said what is wished: it answered so after
 * it could know better. */
static const ServedSeen *find_dissenter(const Observed *o)
{
        Wall good = {0};

        for (size_t i = 0; i < o->n_served; i++) {
                if (str_eq(o->served[i].revision, o->revision) && o->served[i].at.ms > good.ms)
                        good = o->served[i].at;
        }
        for (size_t i = 0; good.ms > 0 && i < o->n_served; i++) {
                if (!str_eq(o->served[i].revision, o->revision) && o->served[i].at.ms > good.ms)
                        return &o->served[i];
        }
        return NULL;
}

static void check_binding(CheckRows *rows, const Tree *binding)
{
        static const char check[] = "Hooks";
        CLEANUP(leaf_cleanup) const Observed *o = observed_new(OBSERVED_BINDING, binding);
        const ServedSeen *other;
        char name[OBJECT_KEY_TEXT];

        if (o == NULL)
                return;
        IGNORE(object_key_text(o->key, name), "it is in `name`");
        other = find_dissenter(o);
        if (!is_accepted(binding))
                check_rows_add(rows, check, CHECK_WRONG,
                               "see Envoy Gateway's configuration, rights and log",
                               "%s: Envoy Gateway has not taken the Binding", name);
        if (!observed_is_served(o, o->revision))
                check_rows_add(rows, check, CHECK_WRONG,
                               "look into the logs of Envoy Gateway and of the extension server",
                               "%s: no replica has been asked for revision %.*s", name,
                               STR_FMT(o->revision));
        else if (other != NULL)
                check_rows_add(
                        rows, check, CHECK_WRONG, "look into that replica's log: it lags behind",
                        "%s: replica %.*s served revision %.*s, others %.*s before it", name,
                        STR_FMT(other->replica), STR_FMT(other->revision), STR_FMT(o->revision));
        else
                check_rows_add(rows, check, CHECK_OK, NULL, "%s: revision %.*s was served", name,
                               STR_FMT(o->revision));
}

void check_cluster_bindings(CheckRows *rows, const CheckFound *list)
{
        static const char check[] = "Hooks";
        const Tree *items = items_of(list);

        if (tell_unknown(rows, check, list))
                return;
        TREE_FOREACH (binding, items)
                check_binding(rows, binding);
        if (items == NULL || items->n == 0)
                check_rows_add(rows, check, CHECK_WARNING,
                               "make a TailscaleGateway that refers to a Gateway",
                               "there is no TailscaleGatewayBinding");
}

/* ---- conditions ---- */

static bool is_problem(const Tree *condition)
{
        Str status = tree_get_str(condition, STR("status"));
        bool is_bad_news = str_eq(tree_get_str(condition, STR("type")), STR("Conflicted"));

        return str_eq(status, is_bad_news ? STR("True") : STR("False"));
}

void check_cluster_conditions(CheckRows *rows, const char *kind, const CheckFound *list)
{
        const Tree *items = items_of(list);

        if (tell_unknown(rows, kind, list))
                return;
        TREE_FOREACH (o, items) {
                const Tree *conditions = tree_get(tree_get(o, STR("status")), STR("conditions"));
                Str ns = meta_of(o, STR("namespace")), name = meta_of(o, STR("name"));
                size_t problems = 0;

                TREE_FOREACH (c, conditions) {
                        if (!is_problem(c))
                                continue;
                        problems++;
                        check_rows_add(rows, kind, CHECK_WRONG,
                                       "docs/conditions.md has each reason",
                                       "%.*s/%.*s: %.*s is %.*s: %.*s: %.*s", STR_FMT(ns),
                                       STR_FMT(name), STR_FMT(tree_get_str(c, STR("type"))),
                                       STR_FMT(tree_get_str(c, STR("status"))),
                                       STR_FMT(tree_get_str(c, STR("reason"))),
                                       STR_FMT(tree_get_str(c, STR("message"))));
                }
                if (conditions == NULL || conditions->n == 0)
                        check_rows_add(rows, kind, CHECK_WRONG,
                                       "look into the log of the operator that leads",
                                       "%.*s/%.*s: nobody has looked at it", STR_FMT(ns),
                                       STR_FMT(name));
                else if (problems == 0)
                        check_rows_add(rows, kind, CHECK_OK, NULL, "%.*s/%.*s", STR_FMT(ns),
                                       STR_FMT(name));
        }
}
