/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_exec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/file.h"
#include "io/testing.h"

#define V1   "client.authentication.k8s.io/v1"
#define CERT "-----BEGIN CERTIFICATE-----\\nx\\n-----END CERTIFICATE-----\\n"
#define KEY  "-----BEGIN PRIVATE KEY-----\\ny\\n-----END PRIVATE KEY-----\\n"
#define SAYS(status)                                                                              \
        "cat <<'END'\n{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\",\"status\":{" status \
        "}}\nEND\n"

typedef struct Fixture {
        TestDir dir;
        KubeConfig *config;
        Err err;
        bool has_terminal;
} Fixture;

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof(*f));

        test_dir_init(&f->dir);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        kube_config_free(f->config);
        test_dir_done(&f->dir);
        mem_free(f);
        return 0;
}

/* `more`: members of exec, in flow style, behind the command. */
static bool run(Fixture *f, const char *script, const char *more)
{
        static const char *const env[] = {"PATH=/usr/bin:/bin", "COLOR=red", NULL};
        char text[2048], path[TEST_PATH], all[4096];
        KubeConfigFile file = {test_dir_join(&f->dir, "config", path), {0}};

        snprintf(all, sizeof(all), "#!/bin/sh\n%s", script);
        assert_true(file_write_atomic(f->dir.path, "plugin", str_of(all), 0700, false, NULL));
        snprintf(text, sizeof(text),
                 "current-context: c\ncontexts: [{name: c, context: {cluster: a, user: u}}]\n"
                 "clusters: [{name: a, cluster: {server: 'https://10.0.0.1', tls-server-name: api, "
                 "certificate-authority: ca}}]\n"
                 "users: [{name: u, user: {tokenFile: t, exec: {apiVersion: " V1 ", %s%s}}}]\n",
                 strncmp(more, "command:", 8) == 0 ? "" : "command: ./plugin, ", more);
        file.bytes = str_of(text);
        kube_config_free(f->config);
        f->config = kube_config_read(&file, 1, NULL, true, &f->err);
        assert_non_null(f->config);
        f->err = (Err){0};
        return kube_exec_run(f->config,
                             &(KubeExecInput){.env = env,
                                              .has_terminal = f->has_terminal,
                                              .timeout = SPAN_S(50)},
                             &f->err);
}

static bool is_token(const Fixture *f, const char *text)
{
        Secret *want = secret_new(str_of(text));
        bool is = secret_eq(f->config->token, want);

        secret_free(want);
        return is;
}

static void a_token_is_taken(void **state)
{
        Fixture *f = *state;

        assert_true(run(
                f, SAYS("\"token\":\"abc\",\"expirationTimestamp\":\"2999-01-01T00:00:00Z\""), ""));
        assert_string_equal(f->err.text, "");
        assert_true(is_token(f, "abc"));
        assert_null(f->config->token_file);
        assert_null(f->config->plugin);
        assert_int_equal(f->config->cert_pem.n, 0);
}

static void a_certificate_is_taken(void **state)
{
        Fixture *f = *state;
        Secret *key =
                secret_new(STR("-----BEGIN PRIVATE KEY-----\ny\n-----END PRIVATE KEY-----\n"));

        assert_true(
                run(f, SAYS("\"clientCertificateData\":\"" CERT "\",\"clientKeyData\":\"" KEY "\""),
                    ""));
        assert_true(str_starts(f->config->cert_pem, STR("-----BEGIN CERTIFICATE-----\nx\n")));
        assert_true(secret_eq(f->config->key_pem, key));
        assert_null(f->config->token);
        secret_free(key);
}

/* Arguments with white space, its environment over ours, nothing to read; no shell in between. */
static void it_is_started_as_the_file_says(void **state)
{
        static const char script[] =
                "echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1
                "\",\"status\":{\"token\":\"'\"$#,$1,$2,$COLOR,$SHAPE,$(cat)\"'\"}}'\n";
        Fixture *f = *state;

        assert_true(run(f, script, "args: ['a b', '$HOME'], env: [{name: COLOR, value: green}]"));
        assert_true(is_token(f, "2,a b,$HOME,green,,"));
        assert_true(run(f, script, ""));
        assert_true(is_token(f, "0,,,red,,"));
}

static void it_is_told_about_the_server(void **state)
{
        static const char script[] =
                "echo \"$KUBERNETES_EXEC_INFO\" > \"$(dirname \"$0\")/info\"\n" SAYS(
                        "\"token\":\"abc\"");
        char path[TEST_PATH];
        Fixture *f = *state;
        Buf info;

        assert_true(file_write_atomic(f->dir.path, "ca", STR("pem!"), 0600, false, NULL));
        buf_init(&info, 4096);
        assert_true(run(f, script, ""));
        assert_true(file_read(test_dir_join(&f->dir, "info", path), &info, NULL));
        assert_true(str_eq(str_trim(buf_str(&info)),
                           STR("{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1
                               "\",\"spec\":{\"interactive\":false}}")));
        f->has_terminal = true;
        assert_true(run(f, script, "provideClusterInfo: true, interactiveMode: Always"));
        buf_reset(&info);
        assert_true(file_read(test_dir_join(&f->dir, "info", path), &info, NULL));
        assert_true(str_eq(
                str_trim(buf_str(&info)),
                STR("{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1
                    "\",\"spec\":{\"cluster\":{\"server\":\"https://10.0.0.1\",\"tls-server-name\":"
                    "\"api\",\"certificate-authority-data\":\"cGVtIQ==\"},\"interactive\":true}"
                    "}")));
        assert_true(run(f, script, "interactiveMode: Never"));
        buf_reset(&info);
        assert_true(file_read(path, &info, NULL));
        assert_true(str_find_str(buf_str(&info), STR("\"interactive\":false")) > 0);
        buf_done(&info);
}

static void what_is_no_credential_is_refused(void **state)
{
        static const struct {
                const char *script, *more, *reason, *text;
        } cases[] = {
                {"exit 7\n", "", "ProgramFailed", "ended with exit code 7"},
                {"echo abc-secret\n", "", "BadCredential", "what it wrote is no ExecCredential"},
                {"echo '{\"kind\":\"abc-secret\"}'\n", "", "BadCredential", "is no ExecCredential"},
                {"echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1
                 "beta1\",\"status\":{\"token\":\"abc-secret\"}}'\n",
                 "", "BadCredential", "is of another apiVersion"},
                {SAYS(""), "", "BadCredential", "neither a token nor a certificate"},
                {SAYS("\"token\":\"abc-secret\",\"clientKeyData\":\"" KEY "\""), "",
                 "BadCredential", "come together or not at all"},
                {SAYS("\"clientCertificateData\":\"abc-secret\",\"clientKeyData\":\"" KEY "\""), "",
                 "BadCredential", "is not PEM"},
                {SAYS("\"token\":\"abc-secret\",\"expirationTimestamp\":\"2001-01-01T00:00:00Z\""),
                 "", "CredentialExpired", "expired already"},
                {SAYS("\"token\":\"abc-secret\",\"expirationTimestamp\":\"soon\""), "",
                 "BadCredential", "is no time"},
                {"yes abc-secret\n", "", "TooMuchOutput", "wrote more than 262144 bytes"},
                {SAYS("\"token\":\"abc\""), "interactiveMode: Always", "NoTerminal",
                 "there is no terminal"},
        };
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                assert_false(run(f, cases[i].script, cases[i].more));
                assert_string_equal(f->err.reason, cases[i].reason);
                assert_non_null(strstr(f->err.text, cases[i].text));
                assert_null(strstr(f->err.text, "abc-secret"));
                assert_non_null(f->config->plugin);
                assert_null(f->config->token);
        }
}

static void a_missing_program_is_told_with_its_hint(void **state)
{
        Fixture *f = *state;

        assert_false(run(f, "", "command: no-such-plugin-here, installHint: Install it."));
        assert_int_equal(f->err.kind, ERR_MISSING);
        assert_string_equal(f->err.text, "the credential plugin no-such-plugin-here: there is no "
                                         "such program. Install it.");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_token_is_taken),
                TEST(a_certificate_is_taken),
                TEST(it_is_started_as_the_file_says),
                TEST(it_is_told_about_the_server),
                TEST(what_is_no_credential_is_refused),
                TEST(a_missing_program_is_told_with_its_hint),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
