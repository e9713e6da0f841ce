/* SPDX-License-Identifier: Apache-2.0 */
#include "app/config_options.h"

#include "model/quantity.h"
#include "model/value_check.h"
#include "source/kube_source.h"

#include <stddef.h>

enum {
        REPLICAS_MOST = 100, /* as a TailscaleGateway may say */
};

/* ---- what a value may be ---- */

static bool set_text(Config *c, void *to, Str value, Err *err)
{
        const char **ret = to;
        if (value.n == 0)
                return err_set(err, ERR_INVALID, "Empty", "expected a value that is not empty");
        *ret = arena_str(&c->arena, value).p;
        return true;
}

static bool set_path(Config *c, void *to, Str value, Err *err)
{
        if (value.n == 0)
                return err_set(err, ERR_INVALID, "EmptyPath", "expected a path");
        return set_text(c, to, value, err);
}

static bool add_to_list(Config *c, void *to, Str value, Err *err)
{
        ConfigList *l = to;
        if (value.n == 0)
                return true;
        if (l->n == CONFIG_LIST_MAX)
                return err_set(err, ERR_LIMIT, "TooMany", "at most %d values", CONFIG_LIST_MAX);
        l->at[l->n++] = arena_str(&c->arena, value);
        return true;
}

/* Each once: it has watches of its own. */
static bool add_namespace(Config *c, void *to, Str value, Err *err)
{
        ConfigList *l = to;
        char expected[EXPECTED_MAX];
        for (size_t i = 0; i < l->n; i++) {
                if (str_eq(l->at[i], value))
                        return true;
        }
        if (value.n > 0 && !check_label(value, expected))
                return err_set(err, ERR_INVALID, "BadValue", "%.*s: expected %s", STR_FMT(value),
                               expected);
        if (l->n == KUBE_SOURCE_NAMESPACES_MAX)
                return err_set(err, ERR_LIMIT, "TooMany",
                               "at most %d namespaces, since each has watches of its own; where "
                               "the option is not given, all are watched",
                               KUBE_SOURCE_NAMESPACES_MAX);
        return add_to_list(c, to, value, err);
}

static bool set_bool(Config *c, void *to, Str value, Err *err)
{
        bool *ret = to;
        (void)c;
        *ret = str_eq(value, STR("true"));
        return *ret || str_eq(value, STR("false")) ||
               err_set(err, ERR_INVALID, "BadValue", "%.*s: expected true or false",
                       STR_FMT(value));
}

static bool set_replicas(Config *c, void *to, Str value, Err *err)
{
        uint64_t n;
        (void)c;
        if (!str_to_u64(value, REPLICAS_MOST, &n) || n < 1)
                return err_set(err, ERR_INVALID, "BadValue", "%.*s: expected a number of 1 to %d",
                               STR_FMT(value), REPLICAS_MOST);
        *(int32_t *)to = (int32_t)n;
        return true;
}

static bool set_quantity(Config *c, void *to, Str value, Err *err)
{
        int64_t milli;
        (void)c;
        if (!quantity_parse(value, &milli) || milli < 1)
                return err_set(err, ERR_INVALID, "BadValue",
                               "%.*s: expected an amount as Kubernetes writes it, such as 500m or "
                               "2Gi",
                               STR_FMT(value));
        *(int64_t *)to = milli;
        return true;
}

static bool add_extension(Config *c, void *to, Str value, Err *err)
{
        Address *all = to;
        if (c->n_extension == CONFIG_EXTENSION_ADDRESSES_MAX)
                return err_set(err, ERR_LIMIT, "TooMany", "at most %d addresses",
                               CONFIG_EXTENSION_ADDRESSES_MAX);
        if (!address_parse(value, &all[c->n_extension], err))
                return false;
        c->n_extension++;
        return true;
}

static bool set_admin(Config *c, void *to, Str value, Err *err)
{
        c->has_admin = value.n > 0;
        return value.n == 0 || address_parse(value, to, err);
}

static bool set_metrics(Config *c, void *to, Str value, Err *err)
{
        c->has_metrics = value.n > 0;
        return value.n == 0 || address_parse(value, to, err);
}

static bool set_webhook(Config *c, void *to, Str value, Err *err)
{
        c->has_webhook = value.n > 0;
        return value.n == 0 || address_parse(value, to, err);
}

static bool set_log_level(Config *c, void *to, Str value, Err *err)
{
        (void)c;
        return log_level_parse(value, to) ||
               err_set(err, ERR_INVALID, "BadLevel", "%.*s: expected error, warn, info or debug",
                       STR_FMT(value));
}

static bool set_log_format(Config *c, void *to, Str value, Err *err)
{
        bool *json = to;
        (void)c;
        *json = str_eq(value, STR("json"));
        return *json || str_eq(value, STR("text")) ||
               err_set(err, ERR_INVALID, "BadFormat", "%.*s: expected text or json",
                       STR_FMT(value));
}

/* ---- the table ---- */

enum {
        OF_RUN = 1 << SHAPE_RUN,
        OF_OPERATOR = 1 << SHAPE_OPERATOR,
        OF_EXTENSION = 1 << SHAPE_EXTENSION,
        OF_ALL = OF_RUN | OF_OPERATOR | OF_EXTENSION,
        OF_HOOKS = OF_RUN | OF_EXTENSION,  /* answers them */
        OF_CONTROL = OF_RUN | OF_OPERATOR, /* asks tailnets, and writes */
        OF_CLUSTER = OF_ALL,               /* of `run`: where it is not told directories */
};

#define TO(member) offsetof(Config, member)

const ConfigOption config_options[CONFIG_OPTIONS] = {
        {"resources", "DIR", NULL,
         "directory of TailscaleTailnet, TailscaleGateway, TailscaleEndpoints and Secret "
         "manifests; without it they are read from Kubernetes",
         set_path, TO(resources), OF_RUN, false},
        {"gateway-resources", "DIR", NULL,
         "Envoy Gateway's own directory, read only (default: that of --resources)", set_path,
         TO(gateway_resources), OF_RUN, false},
        {"generated", "DIR", NULL,
         "where endpoints/ and envoy-gateway/ are written, with --resources; the latter is to be "
         "one of Envoy Gateway's paths",
         set_path, TO(generated), OF_RUN, false},
        {"kubeconfig", "FILE", NULL,
         "how the API server is reached (default: KUBECONFIG, the pod's ServiceAccount, "
         "~/.kube/config)",
         set_path, TO(kubeconfig), OF_CLUSTER, false},
        {"namespace", "NAME", NULL,
         "our own namespace: of the Lease and of what is managed (default: that of the pod, or of "
         "the kubeconfig's context)",
         set_text, TO(namespace), OF_CLUSTER, false},
        {"identity", "NAME", NULL,
         "what this replica is called in Lease and Bindings (default: the host's name, which is "
         "the pod's)",
         set_text, TO(identity), OF_CLUSTER, false},
        {"watch-namespaces", "NAME", NULL,
         "namespaces whose resources are read, at most 64; may be repeated (default: all)",
         add_namespace, TO(watch_namespaces), OF_CLUSTER, true},
        {"allowed-cidrs", "CIDR", NULL,
         "addresses beside those of tailnets that allowedCIDRs of a TailscaleGateway may name; may "
         "be repeated (default: none)",
         add_to_list, TO(allowed_cidrs), OF_CLUSTER, true},
        {"allowed-proxies", "CIDR|PATH", NULL,
         "where proxies of tailnets may be: ranges of addresses, and paths of unix sockets; may be "
         "repeated (default: none)",
         add_to_list, TO(allowed_proxies), OF_CLUSTER, true},
        {"allowed-images", "GLOB", NULL,
         "images that extensionServer.image of a TailscaleGateway may name; may be repeated "
         "(default: none)",
         add_to_list, TO(allowed_images), OF_CONTROL, true},
        {"local-sources-dir", "DIR", NULL,
         "directory that localAPI, file and tokenFile of a TailscaleTailnet may name paths in "
         "(default: none)",
         set_path, TO(local_sources_dir), OF_CLUSTER, false},
        {"allow-insecure-api", NULL, NULL, "lets an apiURL of a TailscaleTailnet be plain http",
         set_bool, TO(allow_insecure_api), OF_CLUSTER, false},
        {"extension-image", "IMAGE", NULL,
         "image of the managed extension server (default: none is managed)", set_text,
         TO(extension_image), OF_OPERATOR, false},
        {"extension-service-account", "NAME", "tailscale-gateway-extension",
         "ServiceAccount that the managed extension server runs as", set_text,
         TO(extension_service_account), OF_OPERATOR, false},
        {"max-extension-replicas", "N", "10",
         "replicas of the managed extension server that a TailscaleGateway may ask for",
         set_replicas, TO(max_extension_replicas), OF_OPERATOR, false},
        {"max-extension-cpu", "AMOUNT", "2", "cpu of each, likewise", set_quantity,
         TO(max_extension_cpu), OF_OPERATOR, false},
        {"max-extension-memory", "AMOUNT", "2Gi", "memory of each, likewise", set_quantity,
         TO(max_extension_memory), OF_OPERATOR, false},
        {"max-extension-storage", "AMOUNT", "2Gi", "ephemeral-storage of each, likewise",
         set_quantity, TO(max_extension_storage), OF_OPERATOR, false},
        {"gateway-namespace", "NAME", "envoy-gateway-system",
         "where Envoy Gateway runs: it finds the certificates for our hooks there", set_text,
         TO(gateway_namespace), OF_OPERATOR, false},
        {"extension-address", "ADDRESS", "tcp://127.0.0.1:5005",
         "where Envoy Gateway's extension manager calls: unix:///path or tcp://127.0.0.1:port; may "
         "be repeated",
         add_extension, TO(extension), OF_HOOKS, true},
        {"extension-tls-cert", "FILE", NULL,
         "PEM certificates for --extension-address; read again when they change", set_path,
         TO(extension_cert), OF_HOOKS, false},
        {"extension-tls-key", "FILE", NULL, "the private key of --extension-tls-cert, PEM",
         set_path, TO(extension_key), OF_HOOKS, false},
        {"extension-tls-client-ca", "FILE", NULL,
         "PEM certificates of whom Envoy Gateway's client certificate must be of", set_path,
         TO(extension_client_ca), OF_HOOKS, false},
        {"admin-address", "ADDRESS", "tcp://127.0.0.1:19005",
         "/state and the commands; loopback or a unix socket only, \"\" for none", set_admin,
         TO(admin), OF_ALL, false},
        {"metrics-address", "ADDRESS", "tcp://127.0.0.1:19006",
         "/metrics, /healthz and /readyz, nothing else; \"\" for none", set_metrics, TO(metrics),
         OF_ALL, false},
        {"webhook-address", "ADDRESS", NULL,
         "where Tailscale tells of changes, at /webhook/NAMESPACE/NAME of a TailscaleTailnet; "
         "without TLS a loopback address or a unix socket, for a proxy (default: none)",
         set_webhook, TO(webhook), OF_CONTROL, false},
        {"webhook-tls-cert", "FILE", NULL,
         "PEM certificates for --webhook-address; read again when they change", set_path,
         TO(webhook_cert), OF_CONTROL, false},
        {"webhook-tls-key", "FILE", NULL, "the private key of --webhook-tls-cert, PEM", set_path,
         TO(webhook_key), OF_CONTROL, false},
        {"log-level", "LEVEL", "info", "error, warn, info or debug", set_log_level, TO(log_level),
         OF_ALL, false},
        {"log-format", "FORMAT", "text", "text or json", set_log_format, TO(log_json), OF_ALL,
         false},
};

bool config_option_is_of(const ConfigOption *o, ConfigShape shape)
{
        return (o->shapes & (1U << shape)) != 0;
}

/* ---- what depends on one another ---- */

static bool check_webhook(const Config *c, Err *err)
{
        if ((c->webhook_cert == NULL) != (c->webhook_key == NULL))
                return err_set(err, ERR_INVALID, "MissingOption",
                               "--webhook-tls-%s is given, --webhook-tls-%s is not",
                               c->webhook_cert != NULL ? "cert" : "key",
                               c->webhook_cert != NULL ? "key" : "cert");
        if (c->webhook_cert != NULL && !c->has_webhook)
                return err_set(err, ERR_INVALID, "MissingOption",
                               "--webhook-tls-cert: without --webhook-address nothing is served");
        if (!c->has_webhook || c->webhook_cert != NULL || address_is_local(&c->webhook))
                return true;
        return err_set(err, ERR_INVALID, "NotLocal",
                       "--webhook-address %s: without --webhook-tls-cert and --webhook-tls-key it "
                       "must be a loopback address or a unix socket, with a proxy before it that "
                       "speaks TLS",
                       c->webhook.text);
}

/* All three or none: without a client certificate anybody could read what is programmed. */
static bool check_extension(const Config *c, Err *err)
{
        const char *missing = c->extension_cert == NULL        ? "cert"
                              : c->extension_key == NULL       ? "key"
                              : c->extension_client_ca == NULL ? "client-ca"
                                                               : NULL;
        bool some = c->extension_cert != NULL || c->extension_key != NULL ||
                    c->extension_client_ca != NULL;
        if (some && missing != NULL)
                return err_set(err, ERR_INVALID, "MissingOption",
                               "--extension-tls-%s is not given: mutual TLS takes "
                               "--extension-tls-cert, --extension-tls-key and "
                               "--extension-tls-client-ca",
                               missing);
        for (size_t i = 0; !some && i < c->n_extension; i++) {
                if (!address_is_local(&c->extension[i]))
                        return err_set(err, ERR_INVALID, "NotLocal",
                                       "--extension-address %s: without TLS it must be a unix "
                                       "socket or a loopback address",
                                       c->extension[i].text);
        }
        return true;
}

static bool check_directories(const Config *c, Err *err)
{
        if (c->resources != NULL && c->generated == NULL)
                return err_set(err, ERR_INVALID, "MissingOption",
                               "--generated: expected a directory for what is generated");
        if (c->resources == NULL && (c->generated != NULL || c->gateway_resources != NULL))
                return err_set(err, ERR_INVALID, "MissingOption",
                               "--resources: expected a directory of manifests, since --%s is "
                               "given",
                               c->generated != NULL ? "generated" : "gateway-resources");
        return true;
}

/* Options that mean something in Kubernetes alone. */
static bool check_cluster(const Config *c, Err *err)
{
        const char *name = c->kubeconfig != NULL          ? "kubeconfig"
                           : c->namespace != NULL         ? "namespace"
                           : c->identity != NULL          ? "identity"
                           : c->watch_namespaces.n > 0    ? "watch-namespaces"
                           : c->allowed_cidrs.n > 0       ? "allowed-cidrs"
                           : c->allowed_proxies.n > 0     ? "allowed-proxies"
                           : c->allowed_images.n > 0      ? "allowed-images"
                           : c->local_sources_dir != NULL ? "local-sources-dir"
                           : c->allow_insecure_api        ? "allow-insecure-api"
                                                          : NULL;
        if (config_in_kubernetes(c) || name == NULL)
                return true;
        return err_set(err, ERR_INVALID, "UnexpectedOption",
                       "--%s is for Kubernetes, and with --resources nothing is read from there",
                       name);
}

bool config_in_kubernetes(const Config *c)
{
        return c->resources == NULL;
}

bool config_check(const Config *c, Err *err)
{
        return check_directories(c, err) && check_cluster(c, err) && check_extension(c, err) &&
               check_webhook(c, err);
}
