/* SPDX-License-Identifier: Apache-2.0 */
/* A watched directory takes effect whole or not at all; on a clock that stands still. */
#include "source/dir_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "io/file.h"
#include "io/testing.h"
#include "net/test_closer.h"
#include "source/manifest_files.h"

#define TAILNET(name)                                  \
        "apiVersion: gateway.tailscale.com/v1alpha1\n" \
        "kind: TailscaleTailnet\n"                     \
        "metadata: {name: " name "}\n"                 \
        "spec: {file: {path: d.list}}\n"

typedef struct Fixture {
        TestClock time;
        Clock clock;
        Loop *loop;
        TestDir dir;
        char path[TEST_PATH]; /* what is watched: below `dir` */
        DirFact fact;
        DirSource *source;
        bool close_inside;
        unsigned n_told;
} Fixture;

static void on_told(DirSource *d)
{
        Fixture *f = dir_source_owner(d);
        assert_ptr_equal(f->source, d);
        f->n_told++;
        if (f->close_inside)
                f->source = dir_source_close(f->source);
}

static void open_source(Fixture *f)
{
        f->source = dir_source_open(&(DirSourceInput){
                .loop = f->loop, .path = f->path, .fact = &f->fact, .fn = on_told, .owner = f});
        assert_non_null(f->source);
}

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof *f);
        f->time = (TestClock){{SPAN_S(1000).ns}, {INT64_C(1795381081000)}, 0};
        f->clock = test_clock(&f->time);
        f->loop = loop_new(&f->clock);
        test_dir_init(&f->dir);
        test_dir_join(&f->dir, "resources", f->path);
        assert_true(file_make_dir(f->path, 0755, NULL));
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;
        dir_source_close(f->source);
        loop_free(f->loop);
        test_dir_done(&f->dir);
        mem_free(f);
        return 0;
}

static void put(const Fixture *f, const char *name, const char *text)
{
        assert_true(file_write_atomic(f->path, name, str_of(text), 0644, false, NULL));
}

static void pass(Fixture *f, int64_t ms)
{
        for (; ms > 0; ms -= 20) {
                test_clock_advance(&f->time, SPAN_MS(20));
                for (int i = 0; i < 3; i++)
                        loop_turn(f->loop, SPAN_MS(0));
        }
}

/* Within a second, as promised. */
static void expect_told(Fixture *f, unsigned n)
{
        for (int i = 0; i < 50 && f->n_told < n; i++)
                pass(f, 20);
        assert_int_equal(f->n_told, n);
}

static size_t n_tailnets(const Fixture *f)
{
        return table_n(dir_source_table(f->source, MANIFEST_TAILNET));
}

/* ---- what is read ---- */

static void the_first_read_is_not_told(void **state)
{
        Fixture *f = *state;
        put(f, "a.yaml", TAILNET("a"));
        open_source(f);
        assert_true(dir_source_is_read(f->source));
        assert_int_equal(n_tailnets(f), 1);
        pass(f, 2000);
        assert_int_equal(f->n_told, 0);
        assert_int_equal(f->fact.generation, 1);
        assert_int_equal(f->fact.last_read.ms, INT64_C(1795381081000));
}

static void an_empty_directory_is_good(void **state)
{
        Fixture *f = *state;
        open_source(f);
        assert_true(dir_source_is_read(f->source));
        assert_int_equal(n_tailnets(f), 0);
}

static void only_manifests_are_read(void **state)
{
        Fixture *f = *state;
        char path[TEST_PATH + 16];
        put(f, "a.yaml", TAILNET("a"));
        put(f, "b.yml", TAILNET("b"));
        put(f, "c.json",
            "{\"apiVersion\":\"gateway.tailscale.com/v1alpha1\",\"kind\":"
            "\"TailscaleTailnet\",\"metadata\":{\"name\":\"c\"},\"spec\":{\"file\":"
            "{\"path\":\"d.list\"}}}");
        put(f, "devices.json", "{\"devices\":[]}");
        put(f, "README.md", "kind: [");
        put(f, "a.yaml~", "kind: [");
        put(f, ".a.yaml.swp", "kind: [");
        put(f, ".hidden.yaml", "kind: [");
        snprintf(path, sizeof path, "%s/below", f->path);
        assert_true(file_make_dir(path, 0755, NULL));
        open_source(f);
        assert_string_equal(f->fact.error, "");
        assert_int_equal(n_tailnets(f), 3);
}

static void a_burst_is_told_once(void **state)
{
        Fixture *f = *state;
        open_source(f);
        put(f, "a.yaml", TAILNET("a"));
        pass(f, 20);
        put(f, "b.yaml", TAILNET("b"));
        pass(f, 20);
        put(f, "c.yaml", TAILNET("c"));
        expect_told(f, 1);
        assert_int_equal(n_tailnets(f), 3);
        pass(f, 2000);
        assert_int_equal(f->n_told, 1);
}

static void the_same_content_is_no_news(void **state)
{
        Fixture *f = *state;
        put(f, "a.yaml", TAILNET("a"));
        open_source(f);
        const Table *before = dir_source_table(f->source, MANIFEST_TAILNET);
        uint64_t reads = f->fact.reads;
        put(f, "a.yaml", TAILNET("a"));
        put(f, "b.yaml", "# nothing\n");
        pass(f, 1000);
        assert_true(f->fact.reads > reads);
        assert_int_equal(f->n_told, 0);
        assert_ptr_equal(dir_source_table(f->source, MANIFEST_TAILNET), before);
}

/* ---- whole or not at all ---- */

static void a_fault_keeps_what_was_good_and_is_told(void **state)
{
        Fixture *f = *state;
        put(f, "a.yaml", TAILNET("a"));
        open_source(f);
        put(f, "b.yaml", TAILNET("b"));
        put(f, "c.yaml", TAILNET("c") "---\nkind: [\n");
        pass(f, 1000);
        assert_int_equal(f->n_told, 0);
        assert_int_equal(n_tailnets(f), 1);
        assert_int_equal(f->fact.failures, 1);
        assert_non_null(strstr(f->fact.error, "c.yaml:"));
        put(f, "c.yaml", TAILNET("c"));
        expect_told(f, 1);
        assert_int_equal(n_tailnets(f), 3);
        assert_string_equal(f->fact.error, "");
}

static void a_fault_that_is_taken_back_is_no_news(void **state)
{
        Fixture *f = *state;
        put(f, "a.yaml", TAILNET("a"));
        open_source(f);
        put(f, "b.yaml", "kind: [\n");
        pass(f, 1000);
        assert_string_not_equal(f->fact.error, "");
        assert_true(file_remove(f->path, "b.yaml", NULL));
        pass(f, 1000);
        assert_string_equal(f->fact.error, "");
        assert_int_equal(f->n_told, 0);
        assert_int_equal(f->fact.generation, 1);
}

static void the_same_name_twice_is_a_fault(void **state)
{
        Fixture *f = *state;
        put(f, "a.yaml", TAILNET("a"));
        open_source(f);
        put(f, "b.yaml", TAILNET("a"));
        pass(f, 1000);
        assert_string_not_equal(f->fact.error, "");
        assert_int_equal(n_tailnets(f), 1);
}

static void a_file_that_is_too_large_is_a_fault(void **state)
{
        Fixture *f = *state;
        char path[TEST_PATH + 16];
        open_source(f);
        snprintf(path, sizeof path, "%s/big.yaml", f->path);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, (off_t)MANIFEST_BYTES_MAX + 1), 0);
        close(fd);
        pass(f, 1000);
        assert_non_null(strstr(f->fact.error, "big.yaml"));
}

static void too_many_files_are_a_fault(void **state)
{
        Fixture *f = *state;
        put(f, "a.yaml", TAILNET("a"));
        open_source(f);
        for (int i = 0; i < MANIFEST_FILES_MAX; i++) {
                char path[TEST_PATH + 16];
                snprintf(path, sizeof path, "%s/x%d", f->path, i);
                int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
                assert_true(fd >= 0);
                close(fd);
        }
        pass(f, 1000);
        assert_string_not_equal(f->fact.error, "");
        assert_int_equal(n_tailnets(f), 1);
}

/* ---- the directory itself ---- */

static void a_directory_that_comes_later_is_read_then(void **state)
{
        Fixture *f = *state;
        assert_int_equal(rmdir(f->path), 0);
        open_source(f);
        assert_false(dir_source_is_read(f->source));
        assert_string_not_equal(f->fact.error, "");
        assert_int_equal(n_tailnets(f), 0);
        assert_true(file_make_dir(f->path, 0755, NULL));
        put(f, "a.yaml", TAILNET("a"));
        expect_told(f, 1);
        assert_true(dir_source_is_read(f->source));
        assert_int_equal(n_tailnets(f), 1);
}

/* An unmounted volume removes nothing. */
static void a_directory_that_goes_keeps_what_was_good(void **state)
{
        Fixture *f = *state;
        char away[TEST_PATH];
        put(f, "a.yaml", TAILNET("a"));
        open_source(f);
        assert_int_equal(rename(f->path, test_dir_join(&f->dir, "away", away)), 0);
        pass(f, 2000);
        assert_int_equal(n_tailnets(f), 1);
        assert_string_not_equal(f->fact.error, "");
        assert_int_equal(rename(away, f->path), 0);
        pass(f, 2000);
        assert_string_equal(f->fact.error, "");
        assert_int_equal(f->n_told, 0);
}

/* As a ConfigMap that is mounted changes: a link to another directory. */
static void a_link_that_is_swapped_is_read(void **state)
{
        Fixture *f = *state;
        char one[TEST_PATH], two[TEST_PATH], link[TEST_PATH];
        put(f, "a.yaml", TAILNET("a"));
        assert_int_equal(rename(f->path, test_dir_join(&f->dir, "one", one)), 0);
        assert_true(file_make_dir(test_dir_join(&f->dir, "two", two), 0755, NULL));
        assert_true(file_write_atomic(two, "a.yaml", STR(TAILNET("a") "---\n" TAILNET("b")), 0644,
                                      false, NULL));
        assert_int_equal(symlink(one, f->path), 0);
        open_source(f);
        assert_int_equal(n_tailnets(f), 1);
        assert_int_equal(symlink(two, test_dir_join(&f->dir, "new", link)), 0);
        assert_int_equal(rename(link, f->path), 0);
        expect_told(f, 1);
        assert_int_equal(n_tailnets(f), 2);
}

/* ---- SIGHUP, and the end ---- */

static void rereading_tells_from_the_loop(void **state)
{
        Fixture *f = *state;
        open_source(f);
        put(f, "a.yaml", TAILNET("a"));
        dir_source_reread(f->source);
        assert_int_equal(f->n_told, 0);
        assert_int_equal(n_tailnets(f), 1);
        expect_told(f, 1);
        pass(f, 1000);
        assert_int_equal(f->n_told, 1);
}

typedef enum Moment {
        IDLE,
        CHANGE_JUST_CAME,
        CHANGE_IS_DUE,
        NEWS_ARE_DUE,
        MOMENTS,
} Moment;

static void close_source(void *ctx)
{
        Fixture *f = ctx;
        f->source = dir_source_close(f->source);
}

static void closed_at_every_moment_in_every_way(void **state)
{
        Fixture *f = *state;
        for (unsigned i = 0; i < (unsigned)MOMENTS * CLOSER_KINDS; i++) {
                Moment m = i / CLOSER_KINDS;
                assert_true(file_write_atomic(f->path, "a.yaml", STR("# nothing\n"), 0644, false,
                                              NULL));
                open_source(f);
                f->n_told = 0;
                if (m != IDLE)
                        put(f, "a.yaml", TAILNET("a"));
                if (m == NEWS_ARE_DUE)
                        dir_source_reread(f->source);
                if (m == CHANGE_IS_DUE) {
                        loop_turn(f->loop, SPAN_MS(0));
                        test_clock_advance(&f->time, SPAN_MS(60));
                }
                /* A Post or a descriptor may be delivered after what was due before it. */
                closer_play(f->loop, i % CLOSER_KINDS, close_source, f);
                unsigned told = f->n_told;
                pass(f, 2000);
                assert_int_equal(f->n_told, told);
        }
}

static void closed_inside_its_own_delivery(void **state)
{
        Fixture *f = *state;
        open_source(f);
        f->close_inside = true;
        put(f, "a.yaml", TAILNET("a"));
        expect_told(f, 1);
        assert_null(f->source);
        put(f, "a.yaml", TAILNET("b"));
        pass(f, 2000);
        assert_int_equal(f->n_told, 1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(the_first_read_is_not_told),
                TEST(an_empty_directory_is_good),
                TEST(only_manifests_are_read),
                TEST(a_burst_is_told_once),
                TEST(the_same_content_is_no_news),
                TEST(a_fault_keeps_what_was_good_and_is_told),
                TEST(a_fault_that_is_taken_back_is_no_news),
                TEST(the_same_name_twice_is_a_fault),
                TEST(a_file_that_is_too_large_is_a_fault),
                TEST(too_many_files_are_a_fault),
                TEST(a_directory_that_comes_later_is_read_then),
                TEST(a_directory_that_goes_keeps_what_was_good),
                TEST(a_link_that_is_swapped_is_read),
                TEST(rereading_tells_from_the_loop),
                TEST(closed_at_every_moment_in_every_way),
                TEST(closed_inside_its_own_delivery),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
