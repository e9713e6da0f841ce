/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/check_gateway.h"

#include "model/cidr.h"
#include "model/object.h"

#include <stdio.h>

enum {
        MESSAGE_MIN = 64 << 20,
};

#define CONFIG  "Envoy Gateway's configuration"
#define VERSION "Envoy Gateway's version"

/* ---- version ---- */

/* "…:v1.9.0" or "…:v1.9.0-rc.1@sha256:…"; a port of the registry stands before a slash. */
unsigned check_gateway_minor(Str image)
{
        Str rest = image, part, major, minor;
        uint64_t n;

        while (str_cut(&rest, '/', &part))
                ;
        rest = part;
        if (!str_cut(&rest, ':', &part) || !str_starts(rest, STR("v")))
                return 0;
        rest = str_sub(rest, 1, rest.n);
        if (!str_cut(&rest, '.', &major) || !str_eq(major, STR("1")))
                return 0;
        IGNORE(str_cut(&rest, '.', &minor), "what is behind it does not count");
        return str_to_u64(minor, 1000, &n) ? (unsigned)n : 0;
}

void check_gateway_version(CheckRows *rows, Str image)
{
        unsigned minor = check_gateway_minor(image);

        if (minor == 0)
                check_rows_add(rows, VERSION, CHECK_WARNING, "look by hand that it is 1.5 or newer",
                               "image %.*s does not say which", STR_FMT(image));
        else if (minor < CHECK_GATEWAY_MINOR_MIN)
                check_rows_add(rows, VERSION, CHECK_WRONG,
                               "upgrade Envoy Gateway to 1.5 or newer, better 1.9", "1.%u", minor);
        else if (minor < CHECK_GATEWAY_MINOR_TLS)
                check_rows_add(rows, VERSION, CHECK_WARNING,
                               "upgrade Envoy Gateway to 1.6 or newer: it shows no certificate to "
                               "the extension server",
                               "1.%u", minor);
        else
                check_rows_add(rows, VERSION, CHECK_OK,
                               minor > CHECK_GATEWAY_MINOR_TESTED ? "newer than what was tested"
                                                                  : NULL,
                               "1.%u", minor);
}

/* ---- configuration ---- */

static bool names_us(const Tree *manager)
{
        TREE_FOREACH (p, tree_get(manager, STR("policyResources"))) {
                if (str_eq(tree_get_str(p, STR("group")), STR(MODEL_GROUP)) &&
                    str_eq(tree_get_str(p, STR("kind")), STR("TailscaleGatewayBinding")))
                        return true;
        }
        return false;
}

/* The entry of extensionManager or extensionManagers that has our policy; NULL: none. */
static const Tree *find_manager(const Tree *config)
{
        const Tree *one = tree_get(config, STR("extensionManager"));

        if (names_us(one))
                return one;
        TREE_FOREACH (m, tree_get(config, STR("extensionManagers"))) {
                if (names_us(m))
                        return m;
        }
        return NULL;
}

static bool has(const Tree *list, Str word)
{
        TREE_FOREACH (item, list) {
                if (str_eq(tree_str(item), word))
                        return true;
        }
        return false;
}

static unsigned check_hooks(CheckRows *rows, const Tree *translator)
{
        const Tree *post = tree_get(translator, STR("post"));
        unsigned wrong = 0;

        if (!has(post, STR("Translation"))) {
                check_rows_add(rows, CONFIG, CHECK_WRONG,
                               "hooks.xdsTranslator.post: add Translation, and VirtualHost",
                               "it does not call PostTranslateModify: nothing is programmed");
                wrong++;
        } else if (!has(post, STR("VirtualHost"))) {
                check_rows_add(rows, CONFIG, CHECK_WARNING,
                               "hooks.xdsTranslator.post: add VirtualHost",
                               "it does not call PostVirtualHostModify");
        }
        TREE_FOREACH (hook, post) {
                Str name = tree_str(hook);

                if (!str_eq(name, STR("Translation")) && !str_eq(name, STR("VirtualHost")))
                        check_rows_add(rows, CONFIG, CHECK_WARNING,
                                       "hooks.xdsTranslator.post: leave it out",
                                       "it calls %.*s, too, which costs time and changes nothing",
                                       STR_FMT(name));
        }
        return wrong;
}

static unsigned check_translation(CheckRows *rows, const Tree *translation)
{
        static const struct {
                const char *name;
                bool fallback, wanted;
        } parts[] = {{"listener", false, true},
                     {"route", false, true},
                     {"cluster", true, true},
                     {"secret", true, false}};
        unsigned wrong = 0;

        for (size_t i = 0; i < LENGTH_OF(parts); i++) {
                const Tree *part = tree_get(translation, str_of(parts[i].name));
                bool all = tree_get_bool(part, STR("includeAll"), parts[i].fallback);
                char change[128];

                if (all == parts[i].wanted)
                        continue;
                IGNORE(snprintf(change, sizeof(change),
                                "hooks.xdsTranslator.translation.%s: {includeAll: %s}",
                                parts[i].name, parts[i].wanted ? "true" : "false"),
                       "it fits");
                check_rows_add(rows, CONFIG, parts[i].wanted ? CHECK_WRONG : CHECK_WARNING, change,
                               parts[i].wanted ? "PostTranslateModify is not told all %ss"
                                               : "every %s, private keys too, is sent to us",
                               parts[i].name);
                wrong += parts[i].wanted;
        }
        return wrong;
}

/* A quantity of bytes: a whole number with k, M, G, Ki, Mi, Gi or nothing behind. 0: none. */
static uint64_t bytes_of(Str s)
{
        static const struct {
                const char *unit;
                uint64_t factor;
        } units[] = {{"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30},
                     {"k", 1000},     {"M", 1000000},  {"G", 1000000000}};
        uint64_t n, factor = 1;

        for (size_t i = 0; i < LENGTH_OF(units) && factor == 1; i++) {
                Str unit = str_of(units[i].unit);

                if (!str_ends(s, unit))
                        continue;
                factor = units[i].factor;
                s = str_sub(s, 0, s.n - unit.n);
        }
        return str_to_u64(s, UINT32_MAX, &n) ? n * factor : 0;
}

static unsigned check_manners(CheckRows *rows, const Tree *manager)
{
        const Tree *size = tree_get(manager, STR("maxMessageSize"));
        unsigned wrong = 0;

        if (tree_get_bool(manager, STR("failOpen"), false)) {
                check_rows_add(rows, CONFIG, CHECK_WRONG, "failOpen: false",
                               "failOpen is true: an error takes every host of ours from Envoy");
                wrong++;
        }
        if (size == NULL || bytes_of(size->text) < MESSAGE_MIN) {
                check_rows_add(rows, CONFIG, CHECK_WRONG, "maxMessageSize: 64Mi",
                               size == NULL ? "maxMessageSize is not there: 4 MiB is all that "
                                              "comes back"
                                            : "maxMessageSize is too small");
                wrong++;
        }
        return wrong;
}

static bool is_local(Str host)
{
        IpAddr a;

        return str_eq(host, STR("localhost")) ||
               (ip_parse(host, &a) && ip_is_never_dialled(&a) && ip_is_private(&a));
}

static uint16_t port_of(const Tree *service)
{
        int64_t port = 0;

        IGNORE(tree_i64(tree_get(service, STR("port")), 1, UINT16_MAX, false, &port),
               "0 where it is none");
        return (uint16_t)port;
}

static unsigned check_service(CheckRows *rows, const Tree *service, CheckService *ret)
{
        const Tree *fqdn = tree_get(service, STR("fqdn")), *ip = tree_get(service, STR("ip"));
        const Tree *tls = tree_get(service, STR("tls"));

        *ret = (CheckService){0};
        if (fqdn != NULL)
                *ret = (CheckService){.host = tree_get_str(fqdn, STR("hostname")),
                                      .port = port_of(fqdn)};
        else if (ip != NULL)
                *ret = (CheckService){.host = tree_get_str(ip, STR("address")),
                                      .port = port_of(ip)};
        ret->ca_secret = tree_get_str(tree_get(tls, STR("certificateRef")), STR("name"));
        ret->client_secret = tree_get_str(tree_get(tls, STR("clientCertificateRef")), STR("name"));
        if (ret->host.n == 0 && tree_get(service, STR("unix")) == NULL) {
                check_rows_add(rows, CONFIG, CHECK_WRONG,
                               "service: {fqdn: {hostname: …, port: …}}, or {unix: {path: …}}",
                               "it does not say where the extension server is");
                return 1;
        }
        if (ret->host.n == 0 || is_local(ret->host))
                return 0;
        if (ret->ca_secret.n > 0 && ret->client_secret.n > 0)
                return 0;
        check_rows_add(rows, CONFIG, CHECK_WRONG,
                       "service.tls: {certificateRef: …, clientCertificateRef: …}",
                       "it calls %.*s without mutual TLS", STR_FMT(ret->host));
        return 1;
}

bool check_gateway_config(CheckRows *rows, const Tree *config, CheckService *ret)
{
        const Tree *manager = find_manager(config);
        const Tree *translator = tree_get(tree_get(manager, STR("hooks")), STR("xdsTranslator"));
        unsigned wrong;

        *ret = (CheckService){0};
        if (manager == NULL) {
                check_rows_add(rows, CONFIG, CHECK_WRONG,
                               "add extensionManager as tailscale-gateway render "
                               "--envoy-gateway-config prints it, and restart Envoy Gateway",
                               "no extensionManager has TailscaleGatewayBinding of " MODEL_GROUP
                               " among its policyResources");
                return false;
        }
        wrong = check_hooks(rows, translator);
        wrong += check_translation(rows, tree_get(translator, STR("translation")));
        wrong += check_manners(rows, manager);
        wrong += check_service(rows, tree_get(manager, STR("service")), ret);
        if (wrong > 0)
                return true;
        if (ret->host.n > 0)
                check_rows_add(rows, CONFIG, CHECK_OK, NULL, "it calls us at %.*s, port %u",
                               STR_FMT(ret->host), (unsigned)ret->port);
        else
                check_rows_add(rows, CONFIG, CHECK_OK, NULL, "it calls us at a unix socket");
        return true;
}
