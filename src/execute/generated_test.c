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

#include "io/testing.h"
#include "net/test_closer.h"

static const ObjectKey gateway = {STR_INIT("infra"), STR_INIT("eg")};

typedef struct Fixture {
        char dir[64];
        Loop *loop;
        Generated *g;
        WriteFact fact;
        Log *log;
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
                                                .log = f->log,
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
        snprintf(f->dir, sizeof f->dir, "/tmp/tsgw-generated-XXXXXX");
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
        const Table *bindings = generated_bindings(f->g);
        assert_non_null(table_find(bindings, &gateway, binding_spec_find));
        table_unref(bindings);
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

/* ---- another hand ---- */

static void wait_for_done(Fixture *f, unsigned n)
{
        for (int i = 0; i < 1000 && f->done < n; i++)
                loop_turn(f->loop, SPAN_MS(10));
        assert_int_equal(f->done, n);
}

/* Longer than a watch holds a change off. */
static void settle(Fixture *f)
{
        for (int i = 0; i < 12; i++)
                loop_turn(f->loop, SPAN_MS(40));
}

static const char *in_bindings(const Fixture *f, char path[128])
{
        snprintf(path, 128, "%s/envoy-gateway", f->dir);
        return path;
}

static void test_what_it_writes_is_no_news(void **state)
{
        Fixture *f = *state;
        Plan p;
        plan_binding(&p, "r1");
        run(f, &p, 1);
        settle(f);
        assert_int_equal(f->done, 1);
        plan_done(&p);
}

static void test_a_file_that_is_removed_comes_back(void **state)
{
        Fixture *f = *state;
        char path[128];
        Plan p;
        plan_binding(&p, "r1");
        run(f, &p, 1);
        assert_true(file_remove(in_bindings(f, path), "infra.eg.yaml", NULL));
        wait_for_done(f, 2);
        assert_int_equal(generated_outside(f->g)->n_bindings, 0);
        run(f, &p, 1);
        assert_int_equal(generated_outside(f->g)->n_bindings, 1);
        assert_int_equal(f->fact.writes, 2);
        plan_done(&p);
}

static void test_a_file_that_is_changed_is_seen(void **state)
{
        Fixture *f = *state;
        char path[128];
        Plan p;
        Buf b;
        plan_binding(&p, "r1");
        run(f, &p, 1);
        Mono written = generated_outside(f->g)->bindings[0].at;
        buf_init(&b, 4096);
        render_binding(gateway, STR("by-hand"), 9, &b);
        assert_true(file_write_atomic(in_bindings(f, path), "infra.eg.yaml", buf_str(&b), 0644,
                                      false, NULL));
        buf_done(&b);
        wait_for_done(f, 2);
        const Outside *o = generated_outside(f->g);
        assert_int_equal(o->n_bindings, 1);
        assert_true(str_eq(o->bindings[0].revision, STR("by-hand")));
        assert_int_equal(o->bindings[0].at.ns, written.ns);
        run(f, &p, 1);
        assert_true(str_eq(generated_outside(f->g)->bindings[0].revision, STR("r1")));
        plan_done(&p);
}

static void test_a_directory_that_is_removed_comes_back(void **state)
{
        Fixture *f = *state;
        Plan p;
        plan_binding(&p, "r1");
        plan_add(&p, PLAN_ENDPOINTS, STR("a.yaml"), STR("x\n"), false);
        run(f, &p, 1);
        remove_dir(f->dir, "endpoints");
        remove_dir(f->dir, "envoy-gateway");
        for (int i = 0; i < 300 && (generated_outside(f->g)->n_bindings > 0 ||
                                    generated_outside(f->g)->n_endpoints_files > 0);
             i++)
                loop_turn(f->loop, SPAN_MS(10));
        assert_int_equal(generated_outside(f->g)->n_bindings, 0);
        assert_int_equal(generated_outside(f->g)->n_endpoints_files, 0);
        run(f, &p, 1);
        assert_int_equal(generated_outside(f->g)->n_bindings, 1);
        assert_int_equal(generated_outside(f->g)->n_endpoints_files, 1);
        plan_done(&p);
}

/* Turns until nothing is delivered any more; time stands still. */
static void drain(Fixture *f)
{
        for (int i = 0; i < 200; i++) {
                if (!loop_turn(f->loop, SPAN_MS(1)) && i > 20)
                        break;
        }
}

/* Two that write to one directory do not keep each other, and the disk, busy. */
static void test_a_hand_that_does_it_again_is_answered_once_a_second(void **state)
{
        Fixture *f = *state;
        TestClock time = {{SPAN_S(1000).ns}, {1}, 0};
        Clock clock = test_clock(&time);
        char path[128];
        Plan p;
        f->g = generated_close(f->g);
        loop_free(f->loop);
        f->loop = loop_new(&clock);
        open_it(f);
        plan_binding(&p, "r1");
        run(f, &p, 1);
        for (int i = 0; i < 5; i++) {
                unsigned before = f->done;
                assert_true(file_remove(in_bindings(f, path), "infra.eg.yaml", NULL));
                drain(f);
                test_clock_advance(&time, SPAN_MS(400));
                drain(f);
                assert_int_equal(f->done, before + (i == 0));
                if (i > 0) {
                        test_clock_advance(&time, SPAN_MS(600));
                        drain(f);
                        assert_int_equal(f->done, before + 1);
                }
                run(f, &p, 1);
        }
        plan_done(&p);
        f->g = generated_close(f->g);
        f->loop = loop_free(f->loop);
}

/* It is gone, and nobody was told so yet. */
static void test_a_directory_that_is_not_there_is_made(void **state)
{
        Fixture *f = *state;
        Plan p;
        remove_dir(f->dir, "envoy-gateway");
        plan_binding(&p, "r1");
        run(f, &p, 1);
        assert_int_equal(f->fact.failures, 0);
        assert_int_equal(generated_outside(f->g)->n_bindings, 1);
        plan_done(&p);
}

static void test_closing_before_a_change_is_told_delivers_nothing(void **state)
{
        Fixture *f = *state;
        char path[128];
        Plan p;
        plan_binding(&p, "r1");
        run(f, &p, 1);
        assert_true(file_remove(in_bindings(f, path), "infra.eg.yaml", NULL));
        loop_turn(f->loop, SPAN_MS(20));
        f->g = generated_close(f->g);
        settle(f);
        assert_int_equal(f->done, 1);
        plan_done(&p);
}

static Wall no_time(void *ctx)
{
        (void)ctx;
        return (Wall){0};
}

static void count_line(void *ctx, Str line)
{
        (void)line;
        ++*(int *)ctx;
}

/* It does not fill the log, and is no fault any more when nothing is to be written. */
static void test_a_fault_that_lasts_is_told_once(void **state)
{
        Fixture *f = *state;
        char path[128];
        int lines = 0;
        Log log = {.level = LOG_WARN, .now = no_time, .write = count_line, .ctx = &lines};
        f->g = generated_close(f->g);
        f->log = &log;
        open_it(f);
        snprintf(path, sizeof path, "%s/endpoints/a.yaml", f->dir);
        assert_true(file_make_dir(path, 0755, NULL));
        Plan p = {0};
        arena_init(&p.arena, 0);
        plan_add(&p, PLAN_ENDPOINTS, STR("a.yaml"), STR("x\n"), false);
        for (int i = 0; i < 3; i++)
                run(f, &p, 1);
        assert_int_equal(f->fact.failures, 3);
        assert_int_equal(lines, 1);
        plan_done(&p);
        p = (Plan){0};
        arena_init(&p.arena, 0);
        run(f, &p, 0);
        assert_int_equal(f->fact.error[0], '\0');
        plan_done(&p);
        rmdir(path);
        f->g = generated_close(f->g);
        f->log = NULL;
}

/* ---- closing ---- */

typedef enum Moment {
        IDLE,
        JUST_SUBMITTED,
        BEING_WRITTEN_OR_DONE,
        CHANGE_JUST_CAME,
        MOMENTS,
} Moment;

static void close_generated(void *ctx)
{
        Fixture *f = ctx;
        f->g = generated_close(f->g);
}

static void test_closed_at_every_moment_in_every_way(void **state)
{
        Fixture *f = *state;
        char path[128];
        f->g = generated_close(f->g);
        for (unsigned i = 0; i < (unsigned)MOMENTS * CLOSER_KINDS; i++) {
                Moment m = i / CLOSER_KINDS;
                char revision[16];
                Plan p;
                open_it(f);
                snprintf(revision, sizeof revision, "r%u", i);
                plan_binding(&p, revision);
                if (m == JUST_SUBMITTED || m == BEING_WRITTEN_OR_DONE)
                        assert_true(generated_run(f->g, &p));
                if (m == BEING_WRITTEN_OR_DONE)
                        loop_turn(f->loop, SPAN_MS(0));
                if (m == CHANGE_JUST_CAME)
                        assert_true(file_write_atomic(in_bindings(f, path), "by-hand.yaml",
                                                      str_of(revision), 0644, false, NULL));
                closer_play(f->loop, i % CLOSER_KINDS, close_generated, f);
                unsigned done = f->done;
                for (int t = 0; t < 10; t++)
                        loop_turn(f->loop, SPAN_MS(1));
                assert_int_equal(f->done, done);
                plan_done(&p);
        }
}

static void on_done_close(void *owner)
{
        Fixture *f = owner;
        f->done++;
        f->g = generated_close(f->g);
}

static void test_closed_inside_its_own_delivery(void **state)
{
        Fixture *f = *state;
        char path[128];
        for (int by_hand = 0; by_hand < 2; by_hand++) {
                Plan p;
                f->g = generated_close(f->g);
                f->done = 0;
                f->g = generated_open(&(GeneratedInput){.loop = f->loop,
                                                        .dir = f->dir,
                                                        .fact = &f->fact,
                                                        .on_done = on_done_close,
                                                        .owner = f},
                                      NULL);
                plan_binding(&p, "r1");
                if (by_hand)
                        assert_true(file_remove(in_bindings(f, path), "infra.eg.yaml", NULL));
                else
                        assert_true(generated_run(f->g, &p));
                wait_for_done(f, 1);
                assert_null(f->g);
                settle(f);
                assert_int_equal(f->done, 1);
                plan_done(&p);
        }
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
                cmocka_unit_test_setup_teardown(test_what_it_writes_is_no_news, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_file_that_is_removed_comes_back, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_a_file_that_is_changed_is_seen, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_a_directory_that_is_removed_comes_back, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_a_directory_that_is_not_there_is_made, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(
                        test_a_hand_that_does_it_again_is_answered_once_a_second, setup, teardown),
                cmocka_unit_test_setup_teardown(
                        test_closing_before_a_change_is_told_delivers_nothing, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_fault_that_lasts_is_told_once, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_closed_at_every_moment_in_every_way, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_closed_inside_its_own_delivery, setup,
                                                teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
