/* SPDX-License-Identifier: Apache-2.0 */
#include "execute/generated.h"

#include "io/file.h"
#include "model/render.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const ObjectKey gateway = {STR_INIT("infra"), STR_INIT("eg")};

typedef struct Fixture {
        char dir[64];
        Loop *loop;
        Generated *g;
        WriteFact fact;
        unsigned done;
} Fixture;

static void on_done(void *owner)
{
        ((Fixture *)owner)->done++;
}

static void open_it(Fixture *f)
{
        Err err = {0};
        f->g = generated_open(&(GeneratedInput){.loop = f->loop,
                                                .dir = f->dir,
                                                .fact = &f->fact,
                                                .on_done = on_done,
                                                .owner = f},
                              &err);
        assert_non_null(f->g);
}

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof *f);
        strcat(f->dir, "/tmp/tsgw-generated-XXXXXX");
        assert_non_null(mkdtemp(f->dir));
        f->loop = loop_new(NULL);
        open_it(f);
        *state = f;
        return 0;
}

static bool remove_one(void *ctx, Str name, Err *err)
{
        return file_remove(ctx, name.p, err);
}

static void remove_dir(const char *parent, const char *name)
{
        char path[128];
        snprintf(path, sizeof path, "%s/%s", parent, name);
        IGNORE(file_list_dir(path, 100, remove_one, path, NULL), "it may be gone");
        rmdir(path);
}

static int teardown(void **state)
{
        Fixture *f = *state;
        generated_close(f->g);
        loop_free(f->loop);
        remove_dir(f->dir, "endpoints");
        remove_dir(f->dir, "envoy-gateway");
        rmdir(f->dir);
        free(f);
        return 0;
}

static void run(Fixture *f, const Plan *p, unsigned expect_done)
{
        unsigned before = f->done;
        assert_true(generated_run(f->g, p));
        for (int i = 0; i < 1000 && f->done < before + expect_done; i++)
                loop_turn(f->loop, SPAN_MS(10));
        assert_int_equal(f->done, before + expect_done);
}

static void plan_binding(Plan *p, const char *revision)
{
        Buf b;
        buf_init(&b, 4096);
        *p = (Plan){0};
        arena_init(&p->arena, 0);
        render_binding(gateway, str_of(revision), 3, &b);
        plan_add(p, PLAN_BINDINGS, STR("infra.eg.yaml"), buf_str(&b), false);
        buf_done(&b);
}

static void test_writes_once_and_only_on_change(void **state)
{
        Fixture *f = *state;
        Plan p;
        plan_binding(&p, "r1");
        run(f, &p, 1);
        assert_int_equal(f->fact.writes, 1);
        const Outside *o = generated_outside(f->g);
        assert_int_equal(o->n_bindings, 1);
        assert_true(str_eq(o->bindings[0].revision, STR("r1")));
        assert_int_equal(o->bindings[0].attempt, 3);
        assert_true(o->bindings[0].at.ns != 0);
        run(f, &p, 0);
        assert_int_equal(f->fact.writes, 1);
        plan_done(&p);
}

/* Another process finds what this one wrote, and has nothing to write. */
static void test_what_stands_there_is_read_at_start(void **state)
{
        Fixture *f = *state;
        Plan p;
        plan_binding(&p, "r1");
        run(f, &p, 1);
        generated_close(f->g);
        open_it(f);
        const Outside *o = generated_outside(f->g);
        assert_int_equal(o->n_bindings, 1);
        assert_true(str_eq(o->bindings[0].revision, STR("r1")));
        assert_int_equal(o->bindings[0].at.ns, 0);
        run(f, &p, 0);
        assert_int_equal(f->fact.writes, 1);
        plan_done(&p);
}

static void test_removes(void **state)
{
        Fixture *f = *state;
        Plan p;
        plan_binding(&p, "r1");
        run(f, &p, 1);
        plan_done(&p);
        p = (Plan){0};
        arena_init(&p.arena, 0);
        plan_add(&p, PLAN_BINDINGS, STR("infra.eg.yaml"), (Str){0}, true);
        run(f, &p, 1);
        assert_int_equal(generated_outside(f->g)->n_bindings, 0);
        run(f, &p, 0);
        plan_done(&p);
}

/* A Binding never stands before what its revision digests: the plan stops at the first failure. */
static void test_stops_at_the_first_failure(void **state)
{
        Fixture *f = *state;
        char path[128];
        snprintf(path, sizeof path, "%s/endpoints", f->dir);
        rmdir(path);
        FILE *in_the_way = fopen(path, "w");
        assert_non_null(in_the_way);
        fclose(in_the_way);
        Plan p, binding;
        plan_binding(&binding, "r1");
        p = (Plan){0};
        arena_init(&p.arena, 0);
        plan_add(&p, PLAN_ENDPOINTS, STR("a.yaml"), STR("x\n"), false);
        plan_add(&p, PLAN_BINDINGS, STR("infra.eg.yaml"), binding.files[0].content, false);
        run(f, &p, 1);
        assert_int_equal(f->fact.failures, 1);
        assert_true(f->fact.error[0] != '\0');
        assert_int_equal(generated_outside(f->g)->n_bindings, 0);
        unlink(path);
        assert_true(file_make_dir(path, 0755, NULL));
        run(f, &p, 1);
        assert_int_equal(generated_outside(f->g)->n_bindings, 1);
        assert_int_equal(f->fact.error[0], '\0');
        plan_done(&p);
        plan_done(&binding);
}

static void test_closing_while_it_writes_delivers_nothing(void **state)
{
        Fixture *f = *state;
        Plan p;
        plan_binding(&p, "r1");
        assert_true(generated_run(f->g, &p));
        assert_false(generated_run(f->g, &p));
        f->g = generated_close(f->g);
        while (loop_turn(f->loop, SPAN_MS(1)))
                continue;
        assert_int_equal(f->done, 0);
        plan_done(&p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_writes_once_and_only_on_change, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_what_stands_there_is_read_at_start, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_removes, setup, teardown),
                cmocka_unit_test_setup_teardown(test_stops_at_the_first_failure, setup, teardown),
                cmocka_unit_test_setup_teardown(test_closing_while_it_writes_delivers_nothing,
                                                setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
