/* SPDX-License-Identifier: Apache-2.0 */
#include "app/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum {
        ARGS_MAX = 16
};

static bool read_args_of(Config *c, ConfigShape shape, Err *err, const char *line)
{
        static char text[1024];
        char *argv[ARGS_MAX];
        int argc = 0;
        IGNORE(snprintf(text, sizeof text, "%s", line), "short");
        for (char *p = text, *rest = NULL; (argv[argc] = strtok_r(p, " ", &rest)) != NULL; p = NULL)
                argc++;
        return config_read(c, shape, argc, argv, err);
}

static bool read_args(Config *c, Err *err, const char *line)
{
        return read_args_of(c, SHAPE_RUN, err, line);
}

static void fails(const char *line, const char *says)
{
        Config c;
        Err err = {0};
        assert_false(read_args(&c, &err, line));
        if (str_find_str(str_of(err.text), str_of(says)) < 0)
                fail_msg("%s: %s", line, err.text);
        config_done(&c);
}

static void test_defaults(void **state)
{
        (void)state;
        Config c;
        Err err = {0};
        assert_true(read_args(&c, &err, "--resources r --generated=g"));
        assert_string_equal(c.resources, "r");
        assert_string_equal(c.generated, "g");
        assert_null(c.gateway_resources);
        assert_int_equal(c.n_extension, 1);
        assert_string_equal(c.extension[0].text, "tcp://127.0.0.1:5005");
        assert_true(c.has_admin && c.has_metrics);
        assert_int_equal(c.log_level, LOG_INFO);
        assert_false(c.log_json);
        config_done(&c);
}

static void test_faults_name_the_option(void **state)
{
        (void)state;
        fails("--resources r", "--generated");
        fails("--resorces r", "did you mean --resources?");
        fails("--resources", "--resources: expected DIR");
        fails("stray", "unexpected argument stray");
        fails("--resources r --generated g --extension-address tcp://10.0.0.1:5005", "without TLS");
        fails("--resources r --generated g --extension-address nowhere", "--extension-address");
        fails("--resources r --generated g --log-level loud",
              "expected error, warn, info or debug");
        fails("--resources r --generated g --config does-not-exist", "does-not-exist");
        fails("--resources r --generated g --config", "--config: expected FILE");
        fails("--resources r --generated g --config=", "--config: expected FILE");
        setenv("TSGW_LOG_LEVEL", "loud", 1);
        fails("--resources r --generated g", "TSGW_LOG_LEVEL: loud: expected error");
        unsetenv("TSGW_LOG_LEVEL");
}

static void test_webhooks_need_tls_or_a_proxy_here(void **state)
{
        static const char *const good[] = {
                "",
                "--webhook-address=",
                "--webhook-address unix:///run/hooks",
                "--webhook-address 127.0.0.1:8080",
                "--webhook-address [::]:443 --webhook-tls-cert c --webhook-tls-key k",
                "--webhook-tls-cert c --webhook-address 10.0.0.1:443 --webhook-tls-key k",
        };
        static const struct {
                const char *line, *says;
        } bad[] = {
                {"--webhook-address 0.0.0.0:443", "--webhook-address 0.0.0.0:443: without"},
                {"--webhook-address 10.0.0.1:80", "speaks TLS"},
                {"--webhook-address x:80", "--webhook-address"},
                {"--webhook-address 0.0.0.0:443 --webhook-tls-cert c", "--webhook-tls-key is not"},
                {"--webhook-address 127.0.0.1:443 --webhook-tls-key c",
                 "--webhook-tls-cert is not"},
                {"--webhook-tls-cert c --webhook-tls-key k", "without --webhook-address"},
                {"--webhook-tls-cert=", "--webhook-tls-cert: expected a path"},
        };
        char line[256];

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(good); i++) {
                Config c;
                Err err = {0};
                snprintf(line, sizeof line, "--resources r --generated g %s", good[i]);
                if (!read_args(&c, &err, line))
                        fail_msg("%s: %s", line, err.text);
                assert_int_equal(c.has_webhook, i >= 2);
                config_done(&c);
        }
        for (size_t i = 0; i < LENGTH_OF(bad); i++) {
                snprintf(line, sizeof line, "--resources r --generated g %s", bad[i].line);
                fails(line, bad[i].says);
        }
}

static char *config_file(const char *text)
{
        static char path[] = "/tmp/tsgw-config-XXXXXX";
        memcpy(path + sizeof path - 7, "XXXXXX", 6);
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        close(fd);
        return path;
}

static void test_in_kubernetes(void **state)
{
        (void)state;
        Config c;
        Err err = {0};
        assert_true(read_args(&c, &err,
                              "--kubeconfig k --allow-insecure-api --allowed-cidrs "
                              "10.0.0.0/8 --allowed-cidrs=10.1.0.0/16"));
        assert_true(config_in_kubernetes(&c));
        assert_true(c.allow_insecure_api);
        assert_int_equal(c.allowed_cidrs.n, 2);
        assert_string_equal(c.kubeconfig, "k");
        config_done(&c);
        assert_true(read_args_of(&c, SHAPE_OPERATOR, &err, "--allow-insecure-api=false"));
        assert_true(config_in_kubernetes(&c) && !c.allow_insecure_api);
        assert_int_equal(c.n_extension, 0);
        assert_string_equal(c.gateway_namespace, "envoy-gateway-system");
        config_done(&c);
        assert_true(read_args_of(&c, SHAPE_EXTENSION, &err,
                                 "--extension-address 0.0.0.0:5005 --extension-tls-cert c "
                                 "--extension-tls-key k --extension-tls-client-ca a"));
        config_done(&c);
        fails("--resources r --generated g --kubeconfig k", "--kubeconfig is for Kubernetes");
        fails("--generated g", "since --generated is given");
        fails("--gateway-resources g", "since --gateway-resources is given");
        fails("--extension-tls-cert c", "--extension-tls-key is not given");
        fails("--allow-insecure-api=perhaps", "expected true or false");
        assert_false(read_args_of(&c, SHAPE_OPERATOR, &err, "--resources r"));
        assert_non_null(strstr(err.text, "unknown option --resources"));
        config_done(&c);
}

/* A repeated option in the environment, and one without a value in the file. */
static void test_lists_and_switches_elsewhere(void **state)
{
        (void)state;
        char *path = config_file("allow-insecure-api: true\nwatch-namespaces: [a, b]\n");
        char line[256];
        IGNORE(snprintf(line, sizeof line, "--config %s", path), "short");
        setenv("TSGW_ALLOWED_PROXIES", "10.0.0.0/8, /run/proxy.sock", 1);
        Config c;
        Err err = {0};
        assert_true(read_args_of(&c, SHAPE_OPERATOR, &err, line));
        assert_true(c.allow_insecure_api);
        assert_int_equal(c.watch_namespaces.n, 2);
        assert_int_equal(c.allowed_proxies.n, 2);
        assert_true(str_eq(c.allowed_proxies.at[1], STR("/run/proxy.sock")));
        config_done(&c);
        unsetenv("TSGW_ALLOWED_PROXIES");
        unlink(path);
}

/* More than can be watched one by one are refused, and none is left out in silence. */
static void test_what_an_extension_server_may_ask_for(void **state)
{
        static const char *const bad[] = {
                "--max-extension-replicas 0", "--max-extension-replicas 101",
                "--max-extension-cpu 0",      "--max-extension-memory much",
                "--max-extension-storage -1",
        };
        (void)state;
        Config c;
        Err err = {0};
        assert_true(read_args_of(&c, SHAPE_OPERATOR, &err, "--max-extension-cpu=500m"));
        assert_int_equal(c.max_extension_replicas, 10);
        assert_int_equal(c.max_extension_cpu, 500);
        assert_int_equal(c.max_extension_memory, INT64_C(2147483648000));
        assert_int_equal(c.max_extension_storage, INT64_C(2147483648000));
        config_done(&c);
        for (size_t i = 0; i < LENGTH_OF(bad); i++) {
                err = (Err){0};
                assert_false(read_args_of(&c, SHAPE_OPERATOR, &err, bad[i]));
        }
}

static void test_namespaces_are_counted(void **state)
{
        (void)state;
        Config c;
        Err err = {0};
        CLEANUP(buf_done) Buf names;
        buf_init(&names, 4096);
        for (int i = 0; i < 64; i++)
                buf_printf(&names, "%sns-%d", i > 0 ? "," : "", i);
        buf_add_char(&names, '\0');
        setenv("TSGW_WATCH_NAMESPACES", names.p, 1);
        assert_true(read_args(&c, &err, "--log-level debug"));
        assert_int_equal(c.watch_namespaces.n, 64);
        config_done(&c);
        names.n--;
        buf_add_str(&names, STR(",ns-64"));
        buf_add_char(&names, '\0');
        setenv("TSGW_WATCH_NAMESPACES", names.p, 1);
        fails("--log-level debug", "TSGW_WATCH_NAMESPACES: at most 64 namespaces");
        unsetenv("TSGW_WATCH_NAMESPACES");
        assert_true(read_args(&c, &err, "--watch-namespaces a,b,a, --watch-namespaces b"));
        assert_int_equal(c.watch_namespaces.n, 2);
        config_done(&c);
        fails("--watch-namespaces a,Team_A", "--watch-namespaces: Team_A: expected");
}

/* Flag over environment over file over default. */
static void test_precedence(void **state)
{
        (void)state;
        char *path = config_file("resources: from-file\ngenerated: from-file\nlog-level: debug\n"
                                 "extension-address: ['unix:///tmp/a', 'unix:///tmp/b']\n");
        char line[256];
        IGNORE(snprintf(line, sizeof line, "--config %s --resources from-flag", path), "short");
        setenv("TSGW_GENERATED", "from-environment", 1);
        setenv("TSGW_RESOURCES", "from-environment", 1);
        Config c;
        Err err = {0};
        assert_true(read_args(&c, &err, line));
        assert_string_equal(c.resources, "from-flag");
        assert_string_equal(c.generated, "from-environment");
        assert_int_equal(c.log_level, LOG_DEBUG);
        assert_int_equal(c.n_extension, 2);
        assert_string_equal(c.extension[1].text, "unix:///tmp/b");
        config_done(&c);
        unsetenv("TSGW_GENERATED");
        unsetenv("TSGW_RESOURCES");
        unlink(path);
}

static void test_faults_of_the_file_have_a_place(void **state)
{
        (void)state;
        char *path = config_file("resources: r\nlog-levle: debug\n");
        char line[256];
        IGNORE(snprintf(line, sizeof line, "--config %s", path), "short");
        fails(line, ":2:1: unknown option --log-levle, did you mean --log-level?");
        unlink(path);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_defaults),
                cmocka_unit_test(test_faults_name_the_option),
                cmocka_unit_test(test_webhooks_need_tls_or_a_proxy_here),
                cmocka_unit_test(test_in_kubernetes),
                cmocka_unit_test(test_lists_and_switches_elsewhere),
                cmocka_unit_test(test_what_an_extension_server_may_ask_for),
                cmocka_unit_test(test_namespaces_are_counted),
                cmocka_unit_test(test_precedence),
                cmocka_unit_test(test_faults_of_the_file_have_a_place),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
