/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/check_gateway.h"

#include "cli/test_check.h"

#define POLICY                                                                       \
        "policyResources: [{group: gateway.tailscale.com, version: v1alpha1, kind: " \
        "TailscaleGatewayBinding}]\n"
#define HOOKS(post, secret)                                                                   \
        "hooks: {xdsTranslator: {post: [" post "], translation: {route: {includeAll: true}, " \
        "listener: {includeAll: true}" secret "}}}\n"
#define QUIET   ", secret: {includeAll: false}"
#define SERVICE "service: {fqdn: {hostname: x.y.svc, port: 5005}" TLS "}\n"
#define TLS     ", tls: {certificateRef: {name: ca}, clientCertificateRef: {name: me}}"
#define LIMITS  "maxMessageSize: 64Mi\n"

static void versions_are_read_of_images(void **state)
{
        static const struct {
                const char *image;
                unsigned minor;
        } cases[] = {
                {"docker.io/envoyproxy/gateway:v1.9.0", 9},
                {"envoyproxy/gateway:v1.10.2", 10},
                {"localhost:5000/gateway:v1.6.0-rc.1", 6},
                {"localhost:5000/gateway", 0},
                {"envoyproxy/gateway:v1.9.0@sha256:abc", 9},
                {"envoyproxy/gateway@sha256:abc", 0},
                {"envoyproxy/gateway:v2.1.0", 0},
                {"envoyproxy/gateway:latest", 0},
                {"gateway:v1", 0},
                {"", 0},
        };
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(cases); i++)
                if (check_gateway_minor(str_of(cases[i].image)) != cases[i].minor)
                        fail_msg("%s", cases[i].image);
        check_gateway_version(&f->rows, STR("gateway:v1.4.9"));
        assert_string_equal(told(f), "wrong: 1.4\n");
        check_gateway_version(&f->rows, STR("gateway:v1.5.0"));
        assert_string_equal(told(f), "warning: 1.5\n");
        check_gateway_version(&f->rows, STR("gateway:v1.9.1"));
        assert_string_equal(told(f), "ok: 1.9\n");
        check_gateway_version(&f->rows, STR("gateway:main"));
        assert_string_equal(told(f), "warning: image gateway:main does not say which\n");
}

/* `body` under extensionManager, each line indented. */
static const char *judge(Fixture *f, const char *body, CheckService *ret)
{
        CLEANUP(buf_done) Buf text;
        Str rest = str_of(body), line;

        buf_init(&text, 1 << 14);
        buf_add_str(&text, STR("extensionManager:\n"));
        while (rest.n > 0) {
                if (!str_cut(&rest, '\n', &line))
                        rest = (Str){0};
                buf_printf(&text, "  %.*s\n", STR_FMT(line));
        }
        buf_add_char(&text, '\0');
        IGNORE(check_gateway_config(&f->rows, tree_of(f, text.p), ret), "rows tell");
        return told(f);
}

static void the_configuration_is_compared(void **state)
{
        static const struct {
                const char *body, *says;
        } cases[] = {
                {POLICY HOOKS("VirtualHost, Translation", QUIET) SERVICE LIMITS,
                 "ok: it calls us at x.y.svc, port 5005\n"},
                {POLICY HOOKS("VirtualHost, Translation", QUIET) LIMITS
                 "service: {unix: {path: /run/x.sock}}\n",
                 "ok: it calls us at a unix socket\n"},
                {POLICY HOOKS("VirtualHost, Translation", QUIET) LIMITS
                 "service: {ip: {address: 127.0.0.1, port: 5005}}\n",
                 "ok: it calls us at 127.0.0.1, port 5005\n"},
                {"policyResources: [{group: other.example, version: v1, kind: "
                 "TailscaleGatewayBinding}]\n",
                 "wrong: no extensionManager has TailscaleGatewayBinding of gateway.tailscale.com "
                 "among its policyResources\n"},
                {POLICY HOOKS("Translation, Route", QUIET) SERVICE LIMITS,
                 "warning: it does not call PostVirtualHostModify\n"
                 "warning: it calls Route, too, which costs time and changes nothing\n"
                 "ok: it calls us at x.y.svc, port 5005\n"},
                {POLICY HOOKS("VirtualHost", QUIET) SERVICE LIMITS,
                 "wrong: it does not call PostTranslateModify: nothing is programmed\n"},
                {POLICY HOOKS("VirtualHost, Translation", "") SERVICE LIMITS,
                 "warning: every secret, private keys too, is sent to us\n"
                 "ok: it calls us at x.y.svc, port 5005\n"},
                {POLICY
                 "hooks: {xdsTranslator: {post: [VirtualHost, Translation]}}\n" SERVICE LIMITS,
                 "wrong: PostTranslateModify is not told all listeners\n"
                 "wrong: PostTranslateModify is not told all routes\n"
                 "warning: every secret, private keys too, is sent to us\n"},
                {POLICY HOOKS("VirtualHost, Translation", QUIET ", cluster: {includeAll: false}")
                         SERVICE LIMITS,
                 "wrong: PostTranslateModify is not told all clusters\n"},
                {POLICY HOOKS("VirtualHost, Translation", QUIET) SERVICE,
                 "wrong: maxMessageSize is not there: 4 MiB is all that comes back\n"},
                {POLICY HOOKS("VirtualHost, Translation", QUIET) SERVICE "maxMessageSize: 63Mi\n",
                 "wrong: maxMessageSize is too small\n"},
                {POLICY HOOKS("VirtualHost, Translation", QUIET) SERVICE
                 "maxMessageSize: 67108864\n",
                 "ok: it calls us at x.y.svc, port 5005\n"},
                {POLICY HOOKS("VirtualHost, Translation", QUIET) SERVICE LIMITS "failOpen: true\n",
                 "wrong: failOpen is true: an error takes every host of ours from Envoy\n"},
                {POLICY HOOKS("VirtualHost, Translation", QUIET) LIMITS
                 "service: {fqdn: {hostname: x.y.svc, port: 5005}}\n",
                 "wrong: it calls x.y.svc without mutual TLS\n"},
                {POLICY HOOKS("VirtualHost, Translation", QUIET) LIMITS
                 "service: {ip: {address: 10.0.0.1, port: 5005}, tls: "
                 "{certificateRef: {name: ca}}}\n",
                 "wrong: it calls 10.0.0.1 without mutual TLS\n"},
                {POLICY HOOKS("VirtualHost, Translation", QUIET) LIMITS,
                 "wrong: it does not say where the extension server is\n"},
        };
        Fixture *f = *state;
        CheckService service;

        for (size_t i = 0; i < LENGTH_OF(cases); i++)
                assert_string_equal(judge(f, cases[i].body, &service), cases[i].says);
        judge(f, cases[0].body, &service);
        assert_true(str_eq(service.host, STR("x.y.svc")) && service.port == 5005);
        assert_true(str_eq(service.ca_secret, STR("ca")));
        assert_true(str_eq(service.client_secret, STR("me")));
}

/* Envoy Gateway 1.8 may have several. */
static void one_of_several_managers_is_enough(void **state)
{
        Fixture *f = *state;
        CheckService service;
        const Tree *root = tree_of(
                f, "extensionManagers:\n- name: other\n  policyResources: [{group: a.b, kind: C}]\n"
                   "- name: ours\n  policyResources: [{group: gateway.tailscale.com, kind: "
                   "TailscaleGatewayBinding}]\n  failOpen: true\n");

        assert_true(check_gateway_config(&f->rows, root, &service));
        assert_non_null(strstr(told(f), "failOpen is true"));
        assert_false(check_gateway_config(&f->rows, NULL, &service));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(versions_are_read_of_images),
                TEST(the_configuration_is_compared),
                TEST(one_of_several_managers_is_enough),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
