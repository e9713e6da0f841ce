/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>

#include "io/file.h"
#include "io/testing.h"

#define PEM64 "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==" /* -----BEGIN CERTIFICATE----- */
#define PEM   "-----BEGIN CERTIFICATE-----\n"

#define CONTEXT                              \
        "current-context: c\n"               \
        "contexts:\n"                        \
        "- name: other\n"                    \
        "  context: {cluster: b, user: u}\n" \
        "- name: c\n"                        \
        "  context: {cluster: a, user: u, namespace: team}\n"
#define CLUSTER        \
        "clusters:\n"  \
        "- name: a\n"  \
        "  cluster:\n" \
        "    server: https://10.0.0.1:6443/\n"
#define USER          \
        "users:\n"    \
        "- name: u\n" \
        "  user:\n"

static KubeConfig *read_one(const char *text, const char *context, bool allow_exec, Err *err)
{
        const KubeConfigFile file = {"/etc/kube/config", str_of(text)};

        return kube_config_read(&file, 1, context, allow_exec, err);
}

static void holds_secret(const Secret *s, const char *text)
{
        Secret *want = secret_new(str_of(text));

        assert_true(secret_eq(s, want));
        secret_free(want);
}

static void all_fields_are_read(void **state)
{
        Err err = {0};
        KubeConfig *c = read_one(CONTEXT CLUSTER "    tls-server-name: api.example\n"
                                                 "    certificate-authority: ../ca.crt\n" USER
                                                 "    client-certificate: /abs/tls.crt\n"
                                                 "    client-key-data: " PEM64 "\n"
                                                 "    token: abc\n"
                                                 "    tokenFile: token\n",
                                 NULL, false, &err);

        (void)state;
        assert_string_equal(err.text, "");
        assert_non_null(c);
        assert_string_equal(c->server, "https://10.0.0.1:6443");
        assert_string_equal(c->ns, "team");
        assert_string_equal(c->origin, "/etc/kube/config, context c");
        assert_string_equal(c->tls_server_name, "api.example");
        assert_string_equal(c->ca_file, "/etc/kube/../ca.crt");
        assert_string_equal(c->cert_file, "/abs/tls.crt");
        assert_null(c->key_file);
        holds_secret(c->key_pem, PEM);
        holds_secret(c->token, "abc");
        assert_string_equal(c->token_file, "/etc/kube/token");
        assert_false(c->insecure);
        assert_null(c->plugin);
        kube_config_free(c);
}

/* Data wins over the file beside it, as with kubectl. */
static void data_wins_over_files(void **state)
{
        Err err = {0};
        KubeConfig *c = read_one(CONTEXT CLUSTER "    certificate-authority: ca.crt\n"
                                                 "    certificate-authority-data: |\n"
                                                 "      LS0tLS1CRUdJTiBDRVJU\n"
                                                 "      SUZJQ0FURS0tLS0tCg==\n" USER
                                                 "    client-certificate: tls.crt\n"
                                                 "    client-certificate-data: " PEM64 "\n"
                                                 "    client-key: tls.key\n",
                                 NULL, false, &err);

        (void)state;
        assert_string_equal(err.text, "");
        assert_true(str_eq(c->ca_pem, STR(PEM)));
        assert_null(c->ca_file);
        assert_true(str_eq(c->cert_pem, STR(PEM)));
        assert_null(c->cert_file);
        assert_string_equal(c->key_file, "/etc/kube/tls.key");
        kube_config_free(c);
}

static void earlier_files_win(void **state)
{
        const KubeConfigFile files[] = {
                {"/a/one", STR_INIT("current-context: c\n")},
                {"/b/two", STR_INIT("# nothing\n")},
                {"/c/three", STR_INIT(CONTEXT CLUSTER "    insecure-skip-tls-verify: true\n")},
                {"/d/four",
                 STR_INIT("current-context: other\nclusters:\n- name: a\n"
                          "  cluster: {server: 'https://no'}\n" USER "    tokenFile: t\n")},
        };
        Err err = {0};
        KubeConfig *c = kube_config_read(files, LENGTH_OF(files), NULL, false, &err);

        (void)state;
        assert_string_equal(err.text, "");
        assert_string_equal(c->server, "https://10.0.0.1:6443");
        assert_string_equal(c->token_file, "/d/t");
        assert_true(c->insecure);
        kube_config_free(c);
}

static void faults_say_where(void **state)
{
        const struct {
                const char *text, *says;
        } cases[] = {
                {"a: [\n", "/etc/kube/config:2:1: (document): this is not YAML"},
                {"- a\n", "/etc/kube/config:1:1: (document): expected an object"},
                {"a: b\n",
                 "/etc/kube/config: current-context: is not set, and no context was named"},
                {"current-context: x\n",
                 "/etc/kube/config: contexts: there is none with the name \"x\""},
                {"current-context: 1\n", "/etc/kube/config:1:18: current-context: expected a name"},
                {"current-context: x\ncontexts: {}\n",
                 "/etc/kube/config:2:11: contexts: expected a list"},
                {"current-context: x\ncontexts:\n- name: x\n",
                 "/etc/kube/config:3:3: contexts[0].context: expected an object"},
                {"current-context: x\ncontexts:\n- name: x\n  context: {user: u}\n",
                 "/etc/kube/config:4:12: contexts[0].context: cluster is missing"},
                {CONTEXT, "/etc/kube/config: clusters: there is none with the name \"a\""},
                {CONTEXT "clusters:\n- {name: a, cluster: {x: y}}\n",
                 "/etc/kube/config:8:22: clusters[0].cluster: server is missing"},
                {CONTEXT "clusters:\n- {name: a, cluster: {server: 'https://u@x'}}\n",
                 "/etc/kube/config:8:31: clusters[0].cluster.server: expected an http or https URL "
                 "without user name and query"},
                {CONTEXT CLUSTER "    proxy-url: http://p\n",
                 "/etc/kube/config:11:16: clusters[0].cluster.proxy-url: a proxy is not supported"},
                {CONTEXT CLUSTER "    certificate-authority-data: '%'\n",
                 "/etc/kube/config:11:33: clusters[0].cluster.certificate-authority-data: this is "
                 "not base64"},
                {CONTEXT CLUSTER "    certificate-authority-data: QUJD\n",
                 "/etc/kube/config:11:33: clusters[0].cluster.certificate-authority-data: expected "
                 "PEM in base64"},
                {CONTEXT CLUSTER "    insecure-skip-tls-verify: 'yes'\n",
                 "/etc/kube/config:11:31: clusters[0].cluster.insecure-skip-tls-verify: expected "
                 "true or false"},
                {CONTEXT CLUSTER "    insecure-skip-tls-verify: true\n"
                                 "    certificate-authority: x\n",
                 "/etc/kube/config:11:31: clusters[0].cluster.insecure-skip-tls-verify: true "
                 "beside "
                 "certificates to trust"},
                {CONTEXT CLUSTER, "/etc/kube/config: users: there is none with the name \"u\""},
                {CONTEXT CLUSTER USER "    client-certificate: x\n",
                 "/etc/kube/config:14:5: users[0].user: a client certificate without "
                 "client-key(-data)"},
                {CONTEXT CLUSTER USER "    password: sesame\n",
                 "/etc/kube/config:14:15: users[0].user.password: passwords are not supported"},
                {CONTEXT CLUSTER USER "    token: \"a\\nb\"\n",
                 "/etc/kube/config:14:12: users[0].user.token: expected a text of one line"},
                {CONTEXT CLUSTER USER "    as: admin\n",
                 "/etc/kube/config:14:9: users[0].user.as: impersonation is not supported"},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                Err err = {0};

                assert_null(read_one(cases[i].text, NULL, false, &err));
                assert_string_equal(err.text, cases[i].says);
                assert_string_equal(err.reason, "InvalidKubeconfig");
        }
}

static void plugins_are_refused_by_what_runs_for_long(void **state)
{
        static const char text[] =
                CONTEXT CLUSTER USER "    exec: {apiVersion: client.authentication.k8s.io/v1,"
                                     " command: aws, args: [eks, get-token]}\n";
        Err err = {0};
        KubeConfig *c = read_one(text, NULL, false, &err);

        (void)state;
        assert_null(c);
        assert_string_equal(err.reason, "ExecRefused");
        assert_string_equal(
                err.text, "/etc/kube/config:14:11: users[0].user.exec: a credential plugin is not "
                          "started by what runs for long; use a token, a tokenFile or a client "
                          "certificate");
        c = read_one(text, NULL, true, &err);
        assert_non_null(c);
        assert_string_equal(c->plugin->version, "client.authentication.k8s.io/v1");
        assert_string_equal(c->plugin->command, "aws");
        assert_string_equal(c->plugin->args[0], "eks");
        assert_string_equal(c->plugin->args[1], "get-token");
        assert_null(c->plugin->args[2]);
        assert_null(c->plugin->env[0]);
        assert_null(c->plugin->install_hint);
        assert_int_equal(c->plugin->talk, KUBE_PLUGIN_MAY_TALK);
        kube_config_free(c);
        c = read_one(CONTEXT CLUSTER USER "    exec:\n"
                                          "      apiVersion: client.authentication.k8s.io/v1beta1\n"
                                          "      command: ../bin/get-token\n"
                                          "      env: [{name: A, value: b=c}, {name: D}]\n"
                                          "      installHint: |\n"
                                          "        make it\n"
                                          "        so\n"
                                          "      interactiveMode: Never\n"
                                          "      provideClusterInfo: true\n",
                     NULL, true, &err);
        assert_non_null(c);
        assert_string_equal(c->plugin->command, "/etc/kube/../bin/get-token");
        assert_string_equal(c->plugin->env[0], "A=b=c");
        assert_string_equal(c->plugin->env[1], "D=");
        assert_string_equal(c->plugin->install_hint, "make it\nso");
        assert_int_equal(c->plugin->talk, KUBE_PLUGIN_NEVER_TALKS);
        assert_true(c->plugin->wants_cluster);
        kube_config_free(c);
}

static void faults_of_a_plugin_say_where(void **state)
{
        static const struct {
                const char *exec, *text;
        } cases[] = {
                {"x", "/etc/kube/config:14:11: users[0].user.exec: expected an object"},
                {"{command: x}", "/etc/kube/config:14:11: users[0].user.exec.apiVersion: expected "
                                 "client.authentication.k8s.io/v1 or …/v1beta1"},
                {"{apiVersion: client.authentication.k8s.io/v1alpha1, command: x}",
                 "/etc/kube/config:14:24: users[0].user.exec.apiVersion: expected "
                 "client.authentication.k8s.io/v1 or …/v1beta1"},
                {"{apiVersion: client.authentication.k8s.io/v1}",
                 "/etc/kube/config:14:11: users[0].user.exec.command: is missing"},
                {"{apiVersion: client.authentication.k8s.io/v1, command: x, args: x}",
                 "/etc/kube/config:14:75: users[0].user.exec.args: expected a list"},
                {"{apiVersion: client.authentication.k8s.io/v1, command: x, args: [{}]}",
                 "/etc/kube/config:14:76: users[0].user.exec.args: expected texts"},
                {"{apiVersion: client.authentication.k8s.io/v1, command: x, env: [x]}",
                 "/etc/kube/config:14:75: users[0].user.exec.env: expected objects with name and "
                 "value"},
                {"{apiVersion: client.authentication.k8s.io/v1, command: x, interactiveMode: x}",
                 "/etc/kube/config:14:86: users[0].user.exec.interactiveMode: expected Never, "
                 "IfAvailable or Always"},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                char text[2048];
                Err err = {0};

                snprintf(text, sizeof(text), "%s%s%s    exec: %s\n", CONTEXT, CLUSTER, USER,
                         cases[i].exec);
                assert_null(read_one(text, NULL, true, &err));
                assert_string_equal(err.text, cases[i].text);
                assert_string_equal(err.reason, "InvalidKubeconfig");
        }
}

static void every_field_makes_another(void **state)
{
        static const struct {
                const char *cluster, *user;
                bool moves;
        } cases[] = {
                {"    certificate-authority: ca\n", "    token: abc\n", false},
                {"    certificate-authority: cb\n", "    token: abc\n", true},
                {"    certificate-authority-data: " PEM64 "\n", "    token: abc\n", true},
                {"    insecure-skip-tls-verify: true\n", "    token: abc\n", true},
                {"    certificate-authority: ca\n    tls-server-name: x\n", "    token: abc\n",
                 true},
                {"    certificate-authority: ca\n", "    token: abd\n", false},
                {"    certificate-authority: ca\n", "    tokenFile: abc\n", false},
                {"    certificate-authority: ca\n",
                 "    client-certificate: a\n    client-key: b\n", false},
                {"    certificate-authority: ca\n",
                 "    client-certificate: a\n    client-key-data: " PEM64 "\n", false},
                {"    certificate-authority: ca\n",
                 "    client-certificate-data: " PEM64 "\n    client-key: b\n", false},
        };
        KubeConfig *all[LENGTH_OF(cases)];

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                char text[2048];

                snprintf(text, sizeof(text), "%s%s%s%s%s", CONTEXT, CLUSTER, cases[i].cluster, USER,
                         cases[i].user);
                all[i] = read_one(text, NULL, false, NULL);
                assert_non_null(all[i]);
                for (size_t k = 0; k < i; k++)
                        assert_false(kube_config_eq(all[i], all[k]));
                assert_true(kube_config_eq(all[i], all[i]));
                assert_int_equal(kube_config_is_same_server(all[i], all[0]), !cases[i].moves);
        }
        for (size_t i = 0; i < LENGTH_OF(cases); i++)
                kube_config_free(all[i]);
}

static void write_file(const TestDir *d, const char *name, const char *text)
{
        assert_true(file_write_atomic(d->path, name, str_of(text), 0600, false, NULL));
}

static void pods_are_known_by_their_environment(void **state)
{
        TestDir d;
        char want[TEST_PATH];
        Err err = {0};
        KubeConfig *c;

        (void)state;
        test_dir_init(&d);
        write_file(&d, "namespace", "gateways\n");
        c = kube_config_load(
                &(KubeConfigInput){
                        .host = "fd00::1", .port = "443", .cluster_dir = d.path, .home = d.path},
                &err);
        assert_non_null(c);
        assert_string_equal(c->server, "https://[fd00::1]:443");
        assert_string_equal(c->ns, "gateways");
        assert_string_equal(c->token_file, test_dir_join(&d, "token", want));
        assert_string_equal(c->ca_file, test_dir_join(&d, "ca.crt", want));
        kube_config_free(c);
        assert_null(kube_config_load(
                &(KubeConfigInput){.host = "10.0.0.1", .port = "x", .cluster_dir = d.path}, &err));
        assert_string_equal(err.reason, "InvalidEnvironment");
        test_dir_done(&d);
}

static void files_are_found_in_their_order(void **state)
{
        TestDir d;
        char config[TEST_PATH], gone[TEST_PATH], paths[3 * TEST_PATH];
        Err err = {0};
        KubeConfig *c;

        (void)state;
        test_dir_init(&d);
        write_file(&d, "config", CONTEXT CLUSTER USER "    token: abc\n");
        test_dir_join(&d, "config", config);
        test_dir_join(&d, "gone", gone);
        snprintf(paths, sizeof(paths), "%s::%s", gone, config);
        c = kube_config_load(&(KubeConfigInput){.paths = paths, .host = "10.9.9.9", .port = "443"},
                             &err);
        assert_non_null(c);
        assert_string_equal(c->server, "https://10.0.0.1:6443");
        kube_config_free(c);
        assert_null(kube_config_load(&(KubeConfigInput){.path = gone, .paths = paths}, &err));
        assert_string_equal(err.reason, "NoKubeconfig");
        assert_null(kube_config_load(&(KubeConfigInput){.home = d.path}, &err));
        assert_string_equal(err.reason, "NoKubeconfig");
        assert_null(kube_config_load(&(KubeConfigInput){0}, &err));
        assert_string_equal(err.reason, "NoKubeconfig");
        assert_null(kube_config_load(&(KubeConfigInput){.path = d.path}, &err));
        assert_int_not_equal(err.kind, ERR_MISSING);
        test_dir_done(&d);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(all_fields_are_read),
                cmocka_unit_test(data_wins_over_files),
                cmocka_unit_test(earlier_files_win),
                cmocka_unit_test(faults_say_where),
                cmocka_unit_test(plugins_are_refused_by_what_runs_for_long),
                cmocka_unit_test(faults_of_a_plugin_say_where),
                cmocka_unit_test(every_field_makes_another),
                cmocka_unit_test(pods_are_known_by_their_environment),
                cmocka_unit_test(files_are_found_in_their_order),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
