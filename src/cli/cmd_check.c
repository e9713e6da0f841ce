/* SPDX-License-Identifier: Apache-2.0 */
/* Asks, and hands what came to those who judge it: check_cluster, check_gateway, check_state. */
#include "cli/cmd_check.h"

#include "cli/admin_get.h"
#include "cli/check_state.h"
#include "cli/cli_options.h"
#include "cli/kube_ask.h"
#include "cli/tree_print.h"
#include "model/object.h"
#include "model/value_check.h"
#include "proto/json_writer.h"

#include <stdio.h>

enum {
        OUTPUT_MAX = 16 << 20,
        BODY_MAX = 4 << 10,
        PATH_MAX_BYTES = 2 << 10,
};

#define OUR_API "/apis/" MODEL_API_VERSION

typedef struct Check {
        CliOutput output;
        Str kubeconfig, context, ns, gateway_ns, admin_address; /* each may be empty */
        KubeAsk *kube;
        Arena arena;
        CheckRows rows;
} Check;

/* ---- asking ---- */

static void get(Check *c, CheckFound *ret, const char *fmt, ...) PRINTF(3, 4);

static void get(Check *c, CheckFound *ret, const char *fmt, ...)
{
        char path[PATH_MAX_BYTES];
        va_list ap;

        va_start(ap, fmt);
        IGNORE(vsnprintf(path, sizeof(path), fmt, ap), "what is cut is not found");
        va_end(ap);
        kube_ask(c->kube, str_of(path), (Str){0}, &c->arena, ret);
}

/* Whether what Envoy Gateway's configuration names is there. */
static void check_there(Check *c, const char *kind, const char *plural, Str ns, Str name)
{
        CheckFound found;

        if (name.n == 0)
                return;
        kube_ask_meta(c->kube,
                      arena_printf(&c->arena, "/api/v1/namespaces/%.*s/%s/%.*s", STR_FMT(ns),
                                   plural, STR_FMT(name)),
                      &c->arena, &found);
        check_cluster_there(&c->rows, kind, ns, name, &found);
}

/* Whether `user` (empty: who asks) has a right in `ns` (empty: everywhere). */
static void review(Check *c, Str user, Str ns, const CheckRight *right, CheckFound *ret)
{
        bool self = user.n == 0;
        CLEANUP(buf_done) Buf body;
        char path[128];
        Str subresource = str_of(right->resource), resource;
        JsonWriter w;

        IGNORE(str_cut(&subresource, '/', &resource), "empty where there is none");
        buf_init(&body, BODY_MAX);
        json_writer_init(&w, &body);
        json_object_begin(&w);
        json_key_str(&w, STR("apiVersion"), STR("authorization.k8s.io/v1"));
        json_key_str(&w, STR("kind"),
                     self ? STR("SelfSubjectAccessReview") : STR("SubjectAccessReview"));
        json_key_object_begin(&w, STR("spec"));
        if (!self)
                json_key_str(&w, STR("user"), user);
        json_key_object_begin(&w, STR("resourceAttributes"));
        json_key_str(&w, STR("verb"), str_of(right->verb));
        json_key_str(&w, STR("group"), str_of(right->group));
        json_key_str(&w, STR("resource"), resource);
        json_key_str(&w, STR("subresource"), subresource);
        json_key_str(&w, STR("name"), str_of(right->name));
        json_key_str(&w, STR("namespace"), ns);
        json_object_end(&w);
        json_object_end(&w);
        json_object_end(&w);
        IGNORE(snprintf(path, sizeof(path), "/apis/authorization.k8s.io/v1/%ssubjectaccessreviews",
                        self ? "self" : ""),
               "it fits");
        kube_ask(c->kube, str_of(path), buf_str(&body), &c->arena, ret);
}

/* `watched`: a namespace that is watched; empty: all are. */
static void check_rights(Check *c, unsigned set, Str user, Str watched)
{
        CheckFound reviews[CHECK_RIGHTS_MAX];
        CheckRight rights[CHECK_RIGHTS_MAX];
        const Str places[CHECK_PLACES] = {
                [CHECK_IN_WATCHED] = watched,
                [CHECK_IN_OWN] = c->ns,
                [CHECK_IN_GATEWAYS] = c->gateway_ns,
        };
        size_t n = check_cluster_rights(set, watched.n == 0, rights);

        for (size_t i = 0; i < n; i++)
                review(c, user, places[rights[i].place], &rights[i], &reviews[i]);
        check_cluster_allowed(&c->rows, set, user.n > 0 ? user : STR("who asks"), rights, n,
                              reviews);
}

static Str user_of(Check *c, Str ns, Str account)
{
        return arena_printf(&c->arena, "system:serviceaccount:%.*s:%.*s", STR_FMT(ns),
                            STR_FMT(account));
}

/* ---- a cluster ---- */

static void check_definitions(Check *c)
{
        static const char *const kinds[] = {"tailscaletailnets", "tailscalegateways",
                                            "tailscaleendpoints", "tailscalegatewaybindings"};
        CheckFound crd;

        for (size_t i = 0; i < LENGTH_OF(kinds); i++) {
                get(c, &crd,
                    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/%s." MODEL_GROUP,
                    kinds[i]);
                check_cluster_crd(&c->rows, kinds[i], &crd, &c->arena);
        }
}

static void check_gateway(Check *c)
{
        CheckFound found;
        CheckService service;
        Str ns = c->gateway_ns, account;

        get(c, &found, "/apis/apps/v1/namespaces/%.*s/deployments/envoy-gateway", STR_FMT(ns));
        check_cluster_gateway(&c->rows, &found, &account);
        get(c, &found, "/api/v1/namespaces/%.*s/configmaps/envoy-gateway-config", STR_FMT(ns));
        if (check_cluster_gateway_config(&c->rows, &found, &c->arena, &service)) {
                Str name, rest = service.host, host_ns;

                /* "service.namespace.svc…"; anything else is found another way. */
                if (str_cut(&rest, '.', &name) && str_cut(&rest, '.', &host_ns) &&
                    str_starts(rest, STR("svc")))
                        check_there(c, "Service", "services", host_ns, name);
                check_there(c, "Secret", "secrets", ns, service.ca_secret);
                check_there(c, "Secret", "secrets", ns, service.client_secret);
        }
        check_rights(c, CHECK_RIGHTS_OF_GATEWAY, user_of(c, ns, account), (Str){0});
}

/* The first of --watch-namespaces among the arguments of a Deployment; empty: all are watched. */
static Str watched_namespace(const CheckFound *list)
{
        static const Str flag = STR_INIT("--watch-namespaces=");
        const Tree *d = tree_get(list->object, STR("items"));
        const Tree *spec = tree_get(d != NULL ? d->first : NULL, STR("spec"));
        const Tree *pod = tree_get(tree_get(spec, STR("template")), STR("spec"));

        TREE_FOREACH (container, tree_get(pod, STR("containers"))) {
                TREE_FOREACH (arg, tree_get(container, STR("args"))) {
                        Str value = tree_str(arg), first;

                        if (!str_starts(value, flag))
                                continue;
                        value = str_sub(value, flag.n, value.n);
                        IGNORE(str_cut(&value, ',', &first), "one is as good as several");
                        return first;
                }
        }
        return (Str){0};
}

static void check_component(Check *c, const char *component, unsigned set)
{
        bool is_pod = str_eq(str_of(kube_ask_config(c->kube)->origin), STR("in-cluster"));
        CheckFound list;
        Str account;

        get(c, &list,
            "/apis/apps/v1/namespaces/%.*s/deployments?labelSelector="
            "app.kubernetes.io%%2Fname%%3D" CHECK_NAME "%%2Capp.kubernetes.io%%2Fcomponent%%3D%s",
            STR_FMT(c->ns), component);
        check_cluster_deployment(&c->rows, component, &list, &account);
        if (account.n == 0)
                return;
        /* In its own pod it may ask about itself alone. */
        if (is_pod && set == CHECK_RIGHTS_OF_OPERATOR)
                check_rights(c, set, (Str){0}, watched_namespace(&list));
        else
                check_rights(c, set, user_of(c, c->ns, account), watched_namespace(&list));
}

static void check_objects(Check *c)
{
        static const struct {
                const char *kind, *plural;
        } kinds[] = {{"TailscaleTailnet", "tailscaletailnets"},
                     {"TailscaleGateway", "tailscalegateways"}};
        CheckFound list;

        for (size_t i = 0; i < LENGTH_OF(kinds); i++) {
                get(c, &list, OUR_API "/%s", kinds[i].plural);
                check_cluster_conditions(&c->rows, kinds[i].kind, &list);
        }
        get(c, &list, OUR_API "/tailscalegatewaybindings");
        check_cluster_bindings(&c->rows, &list);
}

static void check_cluster(Check *c)
{
        const KubeConfig *config = kube_ask_config(c->kube);
        CheckFound found;

        if (c->ns.n == 0)
                c->ns = str_of(config->ns);
        get(c, &found, "/version");
        if (found.object == NULL) {
                check_rows_add(&c->rows, "API server", CHECK_UNKNOWN,
                               "see with kubectl whether it answers", "%s: %s", config->server,
                               found.err.text);
                return;
        }
        check_rows_add(&c->rows, "API server", CHECK_OK, NULL, "%.*s, by %s",
                       STR_FMT(tree_get_str(found.object, STR("gitVersion"))), config->origin);
        check_definitions(c);
        check_component(c, "operator", CHECK_RIGHTS_OF_OPERATOR);
        get(c, &found, "/apis/coordination.k8s.io/v1/namespaces/%.*s/leases/" CHECK_NAME,
            STR_FMT(c->ns));
        check_cluster_lease(&c->rows, &found);
        check_component(c, "extension", CHECK_RIGHTS_OF_EXTENSION);
        check_gateway(c);
        check_objects(c);
}

/* ---- a process ---- */

static void check_process(Check *c)
{
        CLEANUP(buf_done) Buf body;
        const Tree *state = NULL;
        Err err = {0};

        buf_init(&body, ADMIN_GET_BYTES_MAX);
        if (admin_get(c->admin_address, STR("/state"), &body, &err))
                state = admin_get_read(&c->arena, buf_str(&body), &err);
        if (state == NULL)
                check_rows_add(&c->rows, "Admin address", CHECK_UNKNOWN,
                               "is it running, with this --admin-address?", "%s", err.text);
        else
                check_state(&c->rows, state);
}

/* ---- the command ---- */

static int help(void)
{
        fputs("usage: tailscale-gateway check [options]\n\n"
              "Whether a cluster is set up as it should be, and what is to be changed: definitions "
              "of resources,\nwhat runs, rights, Envoy Gateway's version and configuration, "
              "whether hooks arrive and replicas agree.\nWith --admin-address the gateway there, "
              "without Kubernetes. Nothing is changed.\n\n"
              "  --kubeconfig FILE\n        how the API server is reached (default: KUBECONFIG, "
              "the pod's ServiceAccount, ~/.kube/config)\n"
              "  --context NAME\n        of the kubeconfig (default: its current one)\n"
              "  --namespace NAME\n        where the operator runs (default: that of the context)\n"
              "  --gateway-namespace NAME\n        where Envoy Gateway runs (default "
              "envoy-gateway-system)\n"
              "  --admin-address ADDRESS\n        of a running gateway, which is asked instead of "
              "a "
              "cluster\n"
              "  -o FORMAT\n        table, json or yaml (default table)\n\n"
              "exit code: 0 nothing is wrong, 1 something is or cannot be found out, 2 usage\n",
              stdout);
        return 0;
}

/* Returns -1 to go on, else the exit code. */
static int read_options(Check *c, int argc, char **argv)
{
        const struct {
                Str flag;
                Str *to;
                bool is_name;
        } flags[] = {{STR("--kubeconfig"), &c->kubeconfig, false},
                     {STR("--context"), &c->context, false},
                     {STR("--namespace"), &c->ns, true},
                     {STR("--gateway-namespace"), &c->gateway_ns, true},
                     {STR("--admin-address"), &c->admin_address, false}};
        char expected[EXPECTED_MAX];

        for (int i = 1; i < argc; i++) {
                Str arg = str_of(argv[i]), value;
                size_t f = 0;

                if (str_eq(arg, STR("--help")) || str_eq(arg, STR("-h")))
                        return help();
                if (cli_flag_value(STR("-o"), &i, argc, argv, &value)) {
                        if (!cli_output_parse(value, &c->output))
                                return cli_usage_fault(
                                        argv[0], "-o: expected table, json or yaml, found ", value);
                        continue;
                }
                while (f < LENGTH_OF(flags) &&
                       !cli_flag_value(flags[f].flag, &i, argc, argv, flags[f].to))
                        f++;
                if (f == LENGTH_OF(flags))
                        return cli_usage_fault(argv[0], "unknown option or missing value: ", arg);
                if (flags[f].is_name && !check_label(*flags[f].to, expected))
                        return cli_usage_fault(argv[0], "expected a namespace, found ",
                                               *flags[f].to);
        }
        return -1;
}

static int show(Check *c)
{
        CLEANUP(buf_done) Buf json, out;
        Err err = {0};

        buf_init(&json, OUTPUT_MAX);
        buf_init(&out, OUTPUT_MAX);
        if (c->output == CLI_TABLE) {
                check_rows_print(&c->rows, &out);
        } else {
                const Tree *root;

                check_rows_json(&c->rows, &json);
                root = admin_get_read(&c->arena, buf_str(&json), &err);
                INSIST(root != NULL);
                if (c->output == CLI_JSON)
                        tree_print_json(root, &out);
                else
                        tree_print_yaml(root, &out);
        }
        IGNORE(fwrite(out.p, 1, out.n, stdout), "nobody to tell");
        return check_rows_are_good(&c->rows) ? 0 : 1;
}

static const char *or_null(Str s)
{
        return s.n > 0 ? s.p : NULL;
}

int cmd_check(int argc, char **argv)
{
        Check c = {.gateway_ns = STR(MODEL_DEFAULT_NAMESPACE)};
        int code = read_options(&c, argc, argv);
        Err err = {0};

        if (code >= 0)
                return code;
        arena_init(&c.arena, ADMIN_GET_MEMORY_MAX);
        check_rows_init(&c.rows);
        if (c.admin_address.n > 0) {
                check_process(&c);
        } else {
                c.kube = kube_ask_open(or_null(c.kubeconfig), or_null(c.context), &err);
                if (c.kube != NULL)
                        check_cluster(&c);
                else
                        check_rows_add(&c.rows, "API server", CHECK_UNKNOWN,
                                       "--kubeconfig FILE, or --admin-address of a gateway without "
                                       "Kubernetes",
                                       "%s", err.text);
        }
        code = show(&c);
        kube_ask_close(c.kube);
        check_rows_done(&c.rows);
        arena_done(&c.arena);
        return code;
}
