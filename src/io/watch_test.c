/* SPDX-License-Identifier: Apache-2.0 */
#include "io/watch.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "io/file.h"
#include "io/testing.h"

typedef struct Fixture {
        TestClock time;
        Clock clock;
        Loop *loop;
        TestDir dir;
        int fired;
} Fixture;

static void on_change(DirWatch *w)
{
        Fixture *f = dir_watch_owner(w);

        f->fired++;
}

static int setup(void **state)
{
        static Fixture f;

        f = (Fixture){.time = {.mono = {1000}}};
        f.clock = test_clock(&f.time);
        f.loop = loop_new(&f.clock);
        test_dir_init(&f.dir);
        *state = &f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        f->loop = loop_free(f->loop);
        test_dir_done(&f->dir);
        return 0;
}

/* Lets time go on in small steps, with what the kernel has to tell in each. */
static void advance(Fixture *f, int ms)
{
        for (; ms > 0; ms -= 10) {
                loop_turn(f->loop, SPAN_MS(0));
                test_clock_advance(&f->time, SPAN_MS(10));
        }
        loop_turn(f->loop, SPAN_MS(0));
}

static void put(const char *dir, const char *name, const char *content)
{
        assert_true(file_write_atomic(dir, name, str_of(content), 0600, false, NULL));
}

static void tells_changes_after_the_burst(void **state)
{
        Fixture *f = *state;
        DirWatch *w;
        Mono start;

        put(f->dir.path, "before", "x");
        w = dir_watch_open(f->loop, f->dir.path, on_change, f);
        advance(f, 2000);
        assert_int_equal(f->fired, 0);
        put(f->dir.path, "a", "x");
        loop_turn(f->loop, SPAN_MS(0));
        start = f->time.mono;
        test_clock_advance(&f->time, SPAN_MS(49));
        loop_turn(f->loop, SPAN_MS(0));
        assert_int_equal(f->fired, 0);
        test_clock_advance(&f->time, SPAN_MS(1));
        loop_turn(f->loop, SPAN_MS(0));
        assert_int_equal(f->fired, 1);
        assert_int_equal(mono_since(f->time.mono, start).ns, SPAN_MS(50).ns);
        advance(f, 2000);
        assert_int_equal(f->fired, 1);
        dir_watch_close(w);
        assert_null(dir_watch_close(NULL));
}

static void each_kind_of_change_counts(void **state)
{
        Fixture *f = *state;
        DirWatch *w;
        char a[TEST_PATH], b[TEST_PATH];
        FILE *file;

        put(f->dir.path, "a", "x");
        test_dir_join(&f->dir, "a", a);
        test_dir_join(&f->dir, "b", b);
        w = dir_watch_open(f->loop, f->dir.path, on_change, f);
        file = fopen(a, "a");
        assert_non_null(file);
        assert_true(fputs("more", file) >= 0);
        assert_int_equal(fclose(file), 0);
        advance(f, 100);
        assert_int_equal(f->fired, 1);
        assert_int_equal(rename(a, b), 0);
        advance(f, 100);
        assert_int_equal(f->fired, 2);
        assert_int_equal(chmod(b, 0400), 0);
        advance(f, 100);
        assert_int_equal(f->fired, 3);
        assert_int_equal(unlink(b), 0);
        advance(f, 100);
        assert_int_equal(f->fired, 4);
        dir_watch_close(w);
}

static void an_endless_burst_is_told_after_300_ms(void **state)
{
        Fixture *f = *state;
        DirWatch *w = dir_watch_open(f->loop, f->dir.path, on_change, f);

        for (int ms = 0; ms < 1500; ms += 20) {
                put(f->dir.path, "a", "x");
                loop_turn(f->loop, SPAN_MS(0));
                test_clock_advance(&f->time, SPAN_MS(20));
        }
        /* 300 ms after the first of each burst. */
        assert_true(f->fired == 4 || f->fired == 5);
        dir_watch_close(w);
}

static void a_directory_that_appears_is_picked_up(void **state)
{
        Fixture *f = *state;
        char path[TEST_PATH];
        DirWatch *w = dir_watch_open(f->loop, test_dir_join(&f->dir, "later", path), on_change, f);

        advance(f, 2000);
        assert_int_equal(f->fired, 0);
        assert_int_equal(mkdir(path, 0700), 0);
        advance(f, 600);
        assert_int_equal(f->fired, 1);
        put(path, "a", "x");
        advance(f, 60);
        assert_int_equal(f->fired, 2);
        dir_watch_close(w);
}

static void a_directory_that_goes_and_comes_back(void **state)
{
        Fixture *f = *state;
        char path[TEST_PATH];
        DirWatch *w;

        assert_int_equal(mkdir(test_dir_join(&f->dir, "d", path), 0700), 0);
        w = dir_watch_open(f->loop, path, on_change, f);
        assert_int_equal(rmdir(path), 0);
        advance(f, 100);
        assert_int_equal(f->fired, 1);
        advance(f, 2000);
        assert_int_equal(f->fired, 1);
        assert_int_equal(mkdir(path, 0700), 0);
        advance(f, 600);
        assert_int_equal(f->fired, 2);
        put(path, "a", "x");
        advance(f, 60);
        assert_int_equal(f->fired, 3);
        dir_watch_close(w);
}

static void a_replaced_directory_is_followed(void **state)
{
        Fixture *f = *state;
        char path[TEST_PATH], old[TEST_PATH], new[TEST_PATH];
        DirWatch *w;
        int before;

        assert_int_equal(mkdir(test_dir_join(&f->dir, "d", path), 0700), 0);
        assert_int_equal(mkdir(test_dir_join(&f->dir, "new", new), 0700), 0);
        w = dir_watch_open(f->loop, path, on_change, f);
        assert_int_equal(rename(path, test_dir_join(&f->dir, "old", old)), 0);
        assert_int_equal(rename(new, path), 0);
        advance(f, 1000);
        assert_true(f->fired >= 1);
        before = f->fired;
        put(old, "a", "x");
        advance(f, 1000);
        assert_int_equal(f->fired, before);
        put(path, "a", "x");
        advance(f, 60);
        assert_int_equal(f->fired, before + 1);
        dir_watch_close(w);
}

/* As Kubernetes swaps a ConfigMap: the files are links through `..data`, which is a link that is
 * replaced by rename. */
static void a_swapped_link_inside_is_told(void **state)
{
        Fixture *f = *state;
        char v1[TEST_PATH], v2[TEST_PATH], data[TEST_PATH], next[TEST_PATH], file[TEST_PATH];
        DirWatch *w;

        assert_int_equal(mkdir(test_dir_join(&f->dir, "..v1", v1), 0700), 0);
        assert_int_equal(mkdir(test_dir_join(&f->dir, "..v2", v2), 0700), 0);
        put(v1, "a.yaml", "1");
        put(v2, "a.yaml", "2");
        assert_int_equal(symlink("..v1", test_dir_join(&f->dir, "..data", data)), 0);
        assert_int_equal(symlink("..data/a.yaml", test_dir_join(&f->dir, "a.yaml", file)), 0);
        w = dir_watch_open(f->loop, f->dir.path, on_change, f);
        assert_int_equal(symlink("..v2", test_dir_join(&f->dir, "..data_tmp", next)), 0);
        assert_int_equal(rename(next, data), 0);
        advance(f, 60);
        assert_int_equal(f->fired, 1);
        dir_watch_close(w);
}

static void a_swapped_link_that_is_the_path_is_told(void **state)
{
        Fixture *f = *state;
        char v1[TEST_PATH], v2[TEST_PATH], path[TEST_PATH], next[TEST_PATH];
        DirWatch *w;

        assert_int_equal(mkdir(test_dir_join(&f->dir, "v1", v1), 0700), 0);
        assert_int_equal(mkdir(test_dir_join(&f->dir, "v2", v2), 0700), 0);
        assert_int_equal(symlink("v1", test_dir_join(&f->dir, "current", path)), 0);
        w = dir_watch_open(f->loop, path, on_change, f);
        assert_int_equal(symlink("v2", test_dir_join(&f->dir, "next", next)), 0);
        assert_int_equal(rename(next, path), 0);
        advance(f, 600);
        assert_int_equal(f->fired, 1);
        put(v1, "a", "x");
        advance(f, 600);
        assert_int_equal(f->fired, 1);
        put(v2, "a", "x");
        advance(f, 60);
        assert_int_equal(f->fired, 2);
        dir_watch_close(w);
}

/* No descriptor is to be had for inotify at first. */
static void a_change_before_inotify_was_had_is_told(void **state)
{
        Fixture *f = *state;
        struct rlimit before, tight;
        DirWatch *w;
        int lowest = dup(0);

        assert_true(lowest >= 0);
        close(lowest);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        tight = before;
        tight.rlim_cur = (rlim_t)lowest;
        put(f->dir.path, "a", "x");
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
        w = dir_watch_open(f->loop, f->dir.path, on_change, f);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        put(f->dir.path, "a", "more");
        advance(f, 600);
        assert_int_equal(f->fired, 1);
        put(f->dir.path, "b", "x");
        advance(f, 60);
        assert_int_equal(f->fired, 2);
        dir_watch_close(w);
}

/* As on NFS, where others change what this kernel does not see. */
static void where_inotify_is_silent_the_poll_compares(void **state)
{
        Fixture *f = *state;
        char a[TEST_PATH];
        DirWatch *w;

        put(f->dir.path, "a", "x");
        w = dir_watch_open(f->loop, f->dir.path, on_change, f);
        w->is_remote = true;
        fd_source_want(&w->source, 0);
        /* The first poll has nothing to compare with. */
        advance(f, 1000);
        f->fired = 0;
        advance(f, 2000);
        assert_int_equal(f->fired, 0);
        put(f->dir.path, "b", "x");
        advance(f, 600);
        assert_int_equal(f->fired, 1);
        put(f->dir.path, "a", "longer");
        advance(f, 600);
        assert_int_equal(f->fired, 2);
        assert_int_equal(unlink(test_dir_join(&f->dir, "a", a)), 0);
        advance(f, 600);
        assert_int_equal(f->fired, 3);
        advance(f, 2000);
        assert_int_equal(f->fired, 3);
        dir_watch_close(w);
}

static void more_events_than_one_read_takes(void **state)
{
        Fixture *f = *state;
        DirWatch *w = dir_watch_open(f->loop, f->dir.path, on_change, f);

        for (int i = 0; i < 300; i++) {
                put(f->dir.path, "a-name-of-some-length-1", "x");
                put(f->dir.path, "a-name-of-some-length-2", "x");
        }
        advance(f, 400);
        assert_int_equal(f->fired, 1);
        advance(f, 1000);
        assert_int_equal(f->fired, 1);
        dir_watch_close(w);
}

#define WATCH_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                WATCH_TEST(tells_changes_after_the_burst),
                WATCH_TEST(each_kind_of_change_counts),
                WATCH_TEST(an_endless_burst_is_told_after_300_ms),
                WATCH_TEST(a_directory_that_appears_is_picked_up),
                WATCH_TEST(a_directory_that_goes_and_comes_back),
                WATCH_TEST(a_replaced_directory_is_followed),
                WATCH_TEST(a_swapped_link_inside_is_told),
                WATCH_TEST(a_swapped_link_that_is_the_path_is_told),
                WATCH_TEST(a_change_before_inotify_was_had_is_told),
                WATCH_TEST(where_inotify_is_silent_the_poll_compares),
                WATCH_TEST(more_events_than_one_read_takes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
