/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Off this machine calls are mutual TLS, always: who can call the extension server learns the
 * tailnets, and who can answer for it decides what Envoy does.
 */
#include "cli/eg_config.h"

#include "model/cert_secret.h"
#include "model/cidr.h"
#include "model/doc_writer.h"
#include "model/object.h"
#include "model/value_check.h"

#include <stdio.h>

enum {
        HOST_MAX = 320,
};

typedef struct Target {
        Str path; /* of a unix socket; or empty */
        Str host;
        uint16_t port;
        bool is_ip, is_near;
} Target;

static bool target_of(const EgConfig *c, char buf[HOST_MAX], Target *ret, Err *err)
{
        IpAddr ip;

        *ret = (Target){0};
        if (c->address.n == 0) {
                IGNORE(snprintf(buf, HOST_MAX, "tailscale-gateway-extension.%.*s.svc",
                                STR_FMT(c->namespace)),
                       "a namespace is a label");
                ret->host = str_of(buf);
                ret->port = EG_CONFIG_PORT;
                return true;
        }
        if (str_starts(c->address, STR("unix:///"))) {
                ret->path = str_sub(c->address, 7, c->address.n);
                ret->is_near = true;
                return true;
        }
        if (!str_starts(c->address, STR("tcp://")) ||
            !value_host_port(str_sub(c->address, 6, c->address.n), &ret->host, &ret->port))
                return err_set(err, ERR_INVALID, "InvalidAddress",
                               "expected unix:///PATH or tcp://HOST:PORT, found %.*s",
                               STR_FMT(c->address));
        ret->is_ip = ip_parse(ret->host, &ip);
        ret->is_near = str_eq_fold(ret->host, STR("localhost")) ||
                       (ret->is_ip &&
                        (str_starts(ret->host, STR("127.")) || str_eq(ret->host, STR("::1"))));
        return true;
}

static void put_include(DocWriter *d, Str what, bool all)
{
        doc_object(d, what);
        doc_bool(d, STR("includeAll"), all);
        doc_object_end(d);
}

static void put_hooks(DocWriter *d)
{
        doc_object(d, STR("hooks"));
        doc_object(d, STR("xdsTranslator"));
        doc_list(d, STR("post"), 2);
        doc_item_str(d, STR("VirtualHost"));
        doc_item_str(d, STR("Translation"));
        doc_list_end(d);
        doc_object(d, STR("translation"));
        put_include(d, STR("cluster"), true);
        put_include(d, STR("listener"), true);
        put_include(d, STR("route"), true);
        put_include(d, STR("secret"), false);
        doc_object_end(d);
        doc_object_end(d);
        doc_object_end(d);
}

static void put_secret(DocWriter *d, Str member, CertSecretRole role)
{
        doc_object(d, member);
        doc_str(d, STR("name"), cert_secret_name(role));
        doc_object_end(d);
}

static void put_service(DocWriter *d, const Target *t)
{
        doc_object(d, STR("service"));
        if (t->path.n > 0) {
                doc_object(d, STR("unix"));
                doc_str(d, STR("path"), t->path);
        } else {
                doc_object(d, t->is_ip ? STR("ip") : STR("fqdn"));
                doc_str(d, t->is_ip ? STR("address") : STR("hostname"), t->host);
                doc_u64(d, STR("port"), t->port);
        }
        doc_object_end(d);
        if (!t->is_near) {
                doc_object(d, STR("tls"));
                put_secret(d, STR("certificateRef"), CERT_SECRET_EG_CA);
                put_secret(d, STR("clientCertificateRef"), CERT_SECRET_EG_CLIENT);
                doc_object_end(d);
        }
        doc_object_end(d);
}

static void put_manager(DocWriter *d, const Target *t)
{
        doc_object(d, STR("extensionManager"));
        doc_bool(d, STR("failOpen"), false);
        put_hooks(d);
        doc_str(d, STR("maxMessageSize"), STR("64Mi"));
        doc_list(d, STR("policyResources"), 1);
        doc_item(d);
        doc_str(d, STR("group"), STR(MODEL_GROUP));
        doc_str(d, STR("kind"), STR("TailscaleGatewayBinding"));
        doc_str(d, STR("version"), STR("v1alpha1"));
        doc_item_end(d);
        doc_list_end(d);
        put_service(d, t);
        doc_object_end(d);
}

static void put_provider(DocWriter *d, StrList files)
{
        doc_object(d, STR("provider"));
        if (files.n == 0) {
                doc_str(d, STR("type"), STR("Kubernetes"));
                doc_object_end(d);
                return;
        }
        doc_object(d, STR("custom"));
        doc_object(d, STR("infrastructure"));
        /* Empty, and without it Envoy Gateway does not start. */
        buf_add_str(d->json.out, STR("      host: {}\n"));
        doc_str(d, STR("type"), STR("Host"));
        doc_object_end(d);
        doc_object(d, STR("resource"));
        doc_object(d, STR("file"));
        doc_list(d, STR("paths"), files.n);
        for (size_t i = 0; i < files.n; i++)
                doc_item_str(d, files.at[i]);
        doc_list_end(d);
        doc_object_end(d);
        doc_str(d, STR("type"), STR("File"));
        doc_object_end(d);
        doc_object_end(d);
        doc_str(d, STR("type"), STR("Custom"));
        doc_object_end(d);
}

bool eg_config_render(const EgConfig *c, Buf *out, Err *err)
{
        char host[HOST_MAX];
        DocWriter d;
        Target t;

        if (!target_of(c, host, &t, err))
                return false;
        if (c->files.n > 0 && !t.is_near)
                return err_set(err, ERR_INVALID, "NoCertificates",
                               "without Kubernetes Envoy Gateway has no certificates: expected a "
                               "unix socket or a loopback address");
        doc_yaml_init(&d, out);
        doc_begin(&d);
        doc_str(&d, STR("apiVersion"), STR("gateway.envoyproxy.io/v1alpha1"));
        doc_str(&d, STR("kind"), STR("EnvoyGateway"));
        put_manager(&d, &t);
        doc_object(&d, STR("gateway"));
        doc_str(&d, STR("controllerName"), STR("gateway.envoyproxy.io/gatewayclass-controller"));
        doc_object_end(&d);
        put_provider(&d, c->files);
        doc_end(&d);
        return true;
}
