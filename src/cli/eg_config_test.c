/* SPDX-License-Identifier: Apache-2.0 */
/* What is printed is what `check` finds right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/check_gateway.h"
#include "cli/eg_config.h"
#include "proto/yaml.h"

enum {
        BYTES_MAX = 1 << 20
};

typedef struct Fixture {
        Buf text;
        Arena arena;
        CheckRows rows;
        CheckService service;
        const Tree *root;
} Fixture;

static void set_up(Fixture *f, const EgConfig *c)
{
        CLEANUP(yaml_cleanup) Yaml *y = NULL;
        TreeMark at;
        Err err = {0};

        *f = (Fixture){0};
        buf_init(&f->text, EG_CONFIG_BYTES_MAX);
        arena_init(&f->arena, BYTES_MAX);
        check_rows_init(&f->rows);
        assert_true(eg_config_render(c, &f->text, &err));
        y = yaml_new(buf_str(&f->text));
        assert_true(yaml_next(y, &f->arena, &f->root, &at, &err));
        assert_true(check_gateway_config(&f->rows, f->root, &f->service));
        for (size_t i = 0; i < f->rows.n; i++)
                if (f->rows.at[i].result != CHECK_OK)
                        fail_msg("%.*s: %.*s", STR_FMT(f->rows.at[i].found),
                                 STR_FMT(f->rows.at[i].change));
}

static void tear_down(Fixture *f)
{
        check_rows_done(&f->rows);
        arena_done(&f->arena);
        buf_done(&f->text);
}

static Str at(const Tree *t, const char *path)
{
        Str rest = str_of(path), name;
        bool more;

        do {
                more = str_cut(&rest, '.', &name);
                t = tree_get(t, name);
        } while (more);
        return tree_str(t);
}

static void test_in_a_cluster(void **state)
{
        Fixture f;

        (void)state;
        set_up(&f, &(EgConfig){.namespace = STR("tsgw")});
        assert_true(str_eq(f.service.host, STR("tailscale-gateway-extension.tsgw.svc")));
        assert_int_equal(f.service.port, EG_CONFIG_PORT);
        assert_true(str_eq(f.service.ca_secret, STR("tailscale-gateway-extension-ca")));
        assert_true(str_eq(f.service.client_secret, STR("tailscale-gateway-extension-client")));
        assert_true(str_eq(at(f.root, "provider.type"), STR("Kubernetes")));
        tear_down(&f);
}

static void test_elsewhere(void **state)
{
        Fixture f;

        (void)state;
        set_up(&f, &(EgConfig){.address = STR("tcp://192.0.2.1:5005")});
        assert_true(str_eq(at(f.root, "extensionManager.service.ip.address"), STR("192.0.2.1")));
        assert_true(f.service.ca_secret.n > 0);
        tear_down(&f);
}

static void test_without_kubernetes(void **state)
{
        static const Str files[] = {STR_INIT("/srv/eg"), STR_INIT("/srv/gen/envoy-gateway")};
        static const Str loopback[] = {STR_INIT("tcp://127.0.0.1:5005"), STR_INIT("tcp://[::1]:1"),
                                       STR_INIT("tcp://localhost:5005")};
        EgConfig c = {.address = STR("unix:///run/tsgw.sock"), .files = {files, 2}};
        const Tree *paths;
        Fixture f;

        (void)state;
        set_up(&f, &c);
        assert_true(
                str_eq(at(f.root, "extensionManager.service.unix.path"), STR("/run/tsgw.sock")));
        assert_true(str_eq(at(f.root, "provider.custom.infrastructure.type"), STR("Host")));
        paths = tree_get(tree_get(f.root, STR("provider")), STR("custom"));
        paths = tree_get(tree_get(tree_get(paths, STR("resource")), STR("file")), STR("paths"));
        assert_int_equal(paths->n, 2);
        tear_down(&f);
        for (size_t i = 0; i < LENGTH_OF(loopback); i++) {
                c.address = loopback[i];
                set_up(&f, &c);
                assert_int_equal(f.service.ca_secret.n, 0);
                tear_down(&f);
        }
}

static void test_what_is_refused(void **state)
{
        static const Str files[] = {STR_INIT("/srv/eg")};
        static const Str bad[] = {STR_INIT("tcp://a"), STR_INIT("unix://a"), STR_INIT("a:1"),
                                  STR_INIT("tcp://a:0"), STR_INIT("http://a:1")};
        CLEANUP(buf_done) Buf out;
        Err err;

        (void)state;
        buf_init(&out, EG_CONFIG_BYTES_MAX);
        for (size_t i = 0; i < LENGTH_OF(bad); i++) {
                assert_false(eg_config_render(&(EgConfig){.address = bad[i]}, &out, &err));
                assert_string_equal(err.reason, "InvalidAddress");
        }
        assert_false(eg_config_render(&(EgConfig){.address = STR("tcp://a:1"), .files = {files, 1}},
                                      &out, &err));
        assert_string_equal(err.reason, "NoCertificates");
        assert_int_equal(out.n, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_in_a_cluster),
                cmocka_unit_test(test_elsewhere),
                cmocka_unit_test(test_without_kubernetes),
                cmocka_unit_test(test_what_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
