/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_refresh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/file.h"
#include "kube/kube_test_world.h"

typedef struct Fixture {
        KubeWorld w;
        TestDir dir;
        KubeRefresh *refresh;
        unsigned n_updated, n_failed;
        bool closes;
        Err err;
} Fixture;

static void on_updated(KubeRefresh *r)
{
        Fixture *f = kube_refresh_owner(r);

        f->n_updated++;
        if (f->closes)
                f->refresh = kube_refresh_close(r);
}

static void on_failed(KubeRefresh *r, const Err *err)
{
        Fixture *f = kube_refresh_owner(r);

        f->n_failed++;
        f->err = *err;
        if (f->closes)
                f->refresh = kube_refresh_close(r);
}

static void write_config(Fixture *f, const char *server, const char *user)
{
        char text[1024];

        snprintf(text, sizeof(text),
                 "current-context: c\ncontexts: [{name: c, context: {cluster: a, user: u}}]\n"
                 "clusters: [{name: a, cluster: {server: '%s'}}]\nusers: [{name: u, user: %s}]\n",
                 server, user);
        assert_true(file_write_atomic(f->dir.path, "config", str_of(text), 0600, false, NULL));
}

static void begin(Fixture *f)
{
        char path[TEST_PATH];
        KubeConfigInput config = {.path = test_dir_join(&f->dir, "config", path)};

        f->refresh =
                kube_refresh_open(&(KubeRefreshInput){f->w.api, &config, on_updated, on_failed, f});
        memset(path, 'x', sizeof(path) - 1);
}

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof(*f));
        char server[64];

        kube_world_init(&f->w, "{token: abc}", 0, 0);
        test_dir_init(&f->dir);
        snprintf(server, sizeof(server), "http://127.0.0.1:%u", f->w.server.port);
        write_config(f, server, "{token: abc}");
        begin(f);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        kube_refresh_close(f->refresh);
        kube_world_done(&f->w);
        test_dir_done(&f->dir);
        mem_free(f);
        return 0;
}

static void pass(Fixture *f)
{
        test_clock_advance(&f->w.time, SPAN_S(KUBE_REFRESH_S));
        kube_turns(&f->w, 3);
}

static void what_is_another_takes_effect(void **state)
{
        Fixture *f = *state;

        pass(f);
        assert_int_equal(f->n_updated, 0);
        write_config(f, "https://10.0.0.1:6443", "{token: xyz}");
        kube_turns(&f->w, 3);
        assert_int_equal(f->n_updated, 0);
        pass(f);
        assert_int_equal(f->n_updated, 1);
        assert_string_equal(kube_api_config(f->w.api)->server, "https://10.0.0.1:6443");
        assert_int_equal(kube_api_moves(f->w.api), 1);
        /* A credential alone is no other server. */
        write_config(f, "https://10.0.0.1:6443", "{token: xyw}");
        kube_refresh_now(f->refresh);
        kube_turns(&f->w, 3);
        assert_int_equal(f->n_updated, 2);
        assert_int_equal(kube_api_moves(f->w.api), 1);
        pass(f);
        assert_int_equal(f->n_updated, 2);
        assert_int_equal(f->n_failed, 0);
}

static void what_cannot_be_read_changes_nothing(void **state)
{
        Fixture *f = *state;
        char server[64];

        snprintf(server, sizeof(server), "%s", kube_api_config(f->w.api)->server);
        assert_true(
                file_write_atomic(f->dir.path, "config", STR("current-con"), 0600, false, NULL));
        pass(f);
        pass(f);
        assert_int_equal(f->n_failed, 1);
        assert_string_equal(f->err.reason, "InvalidKubeconfig");
        /* What runs for long starts no programs, also not later on. */
        write_config(f, server,
                     "{exec: {apiVersion: client.authentication.k8s.io/v1, command: x}}");
        pass(f);
        assert_string_equal(f->err.reason, "ExecRefused");
        assert_true(file_remove(f->dir.path, "config", NULL));
        pass(f);
        pass(f);
        assert_int_equal(f->n_failed, 3);
        assert_int_equal(f->err.kind, ERR_MISSING);
        assert_int_equal(f->n_updated, 0);
        assert_string_equal(kube_api_config(f->w.api)->server, server);
        write_config(f, server, "{token: abc}");
        pass(f);
        assert_int_equal(f->n_updated, 0);
        /* It went well, so the same fault is news. */
        assert_true(file_remove(f->dir.path, "config", NULL));
        pass(f);
        assert_int_equal(f->n_failed, 4);
}

static void the_owner_may_close_inside(void **state)
{
        Fixture *f = *state;

        f->closes = true;
        write_config(f, "https://10.0.0.1:6443", "{token: xyz}");
        pass(f);
        assert_null(f->refresh);
        assert_true(file_remove(f->dir.path, "config", NULL));
        begin(f);
        pass(f);
        assert_null(f->refresh);
        pass(f);
        assert_int_equal(f->n_updated, 1);
        assert_int_equal(f->n_failed, 1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(what_is_another_takes_effect),
                TEST(what_cannot_be_read_changes_nothing),
                TEST(the_owner_may_close_inside),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
