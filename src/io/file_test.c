/* SPDX-License-Identifier: Apache-2.0 */
#include "io/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "io/testing.h"

static int setup(void **state)
{
        static TestDir dir;

        test_dir_init(&dir);
        *state = &dir;
        return 0;
}

static int teardown(void **state)
{
        test_dir_done(*state);
        return 0;
}

static void assert_content(const TestDir *d, const char *name, Str expected)
{
        char path[TEST_PATH];
        Buf b;
        Err err;

        buf_init(&b, 1 << 20);
        if (!file_read(test_dir_join(d, name, path), &b, &err))
                fail_msg("%s", err.text);
        assert_true(str_eq(buf_str(&b), expected));
        buf_done(&b);
}

static void write_file(const TestDir *d, const char *name, Str content)
{
        assert_true(file_write_atomic(d->path, name, content, 0640, false, NULL));
}

static void writes_whole_files(void **state)
{
        const TestDir *d = *state;
        char path[TEST_PATH];
        struct stat st;
        Err err;

        assert_true(file_write_atomic(d->path, "a", STR("one"), 0600, true, &err));
        assert_content(d, "a", STR("one"));
        assert_true(file_write_atomic(d->path, "a", STR("two"), 0666, false, &err));
        assert_content(d, "a", STR("two"));
        /* Exactly the mode, whatever the umask. */
        assert_int_equal(stat(test_dir_join(d, "a", path), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0666);
        assert_true(file_write_atomic(d->path, "empty", (Str){0}, 0600, true, &err));
        assert_content(d, "empty", STR(""));
        assert_int_equal(access(test_dir_join(d, ".a.tmp", path), F_OK), -1);
}

static void a_leftover_or_a_planted_link_is_replaced(void **state)
{
        const TestDir *d = *state;
        char victim[TEST_PATH], temporary[TEST_PATH];

        write_file(d, "victim", STR("safe"));
        assert_int_equal(
                symlink(test_dir_join(d, "victim", victim), test_dir_join(d, ".a.tmp", temporary)),
                0);
        write_file(d, "a", STR("new"));
        assert_content(d, "victim", STR("safe"));
        assert_content(d, "a", STR("new"));
}

static void where_writing_fails_the_old_file_stays(void **state)
{
        const TestDir *d = *state;
        char path[TEST_PATH], name[300];
        Err err;

        write_file(d, "a", STR("old"));
        /* A directory cannot be replaced by a file. */
        assert_int_equal(mkdir(test_dir_join(d, "dir", path), 0700), 0);
        assert_false(file_write_atomic(d->path, "dir", STR("x"), 0600, false, &err));
        assert_int_equal(access(test_dir_join(d, ".dir.tmp", path), F_OK), -1);
        /* Where the temporary file cannot be made. */
        assert_int_equal(mkdir(test_dir_join(d, ".a.tmp", path), 0700), 0);
        assert_false(file_write_atomic(d->path, "a", STR("new"), 0600, false, &err));
        assert_content(d, "a", STR("old"));
        assert_false(file_write_atomic("/nonexistent", "a", STR("x"), 0600, false, &err));
        assert_int_equal(err.kind, ERR_MISSING);
        memset(name, 'x', sizeof(name) - 1);
        name[252] = '\0';
        assert_false(file_write_atomic(d->path, name, STR("x"), 0600, false, &err));
        assert_int_equal(err.kind, ERR_INVALID);
        name[250] = '\0';
        assert_true(file_write_atomic(d->path, name, STR("x"), 0600, false, &err));
}

static void names_stay_inside_the_directory(void **state)
{
        static const char *const bad[] = {"", ".", "..", "../x", "a/b", "/etc/x"};
        const TestDir *d = *state;
        Err err;

        for (size_t i = 0; i < LENGTH_OF(bad); i++) {
                assert_false(file_write_atomic(d->path, bad[i], STR("x"), 0600, false, &err));
                assert_int_equal(err.kind, ERR_INVALID);
                assert_false(file_remove(d->path, bad[i], &err));
                assert_int_equal(err.kind, ERR_INVALID);
        }
}

static void reads_up_to_the_maximum(void **state)
{
        static char content[200000];
        const TestDir *d = *state;
        char path[TEST_PATH];
        Err err;
        Buf b;

        for (size_t i = 0; i < sizeof(content); i++)
                content[i] = (char)(i % 251);
        write_file(d, "a", str_make(content, sizeof(content)));
        test_dir_join(d, "a", path);
        buf_init(&b, sizeof(content));
        assert_true(file_read(path, &b, &err));
        assert_true(str_eq(buf_str(&b), str_make(content, sizeof(content))));
        /* It adds: there is no room left for a second copy. */
        assert_false(file_read(path, &b, &err));
        assert_int_equal(err.kind, ERR_LIMIT);
        assert_int_equal(b.n, sizeof(content));
        buf_done(&b);
        buf_init(&b, sizeof(content) - 1);
        assert_false(file_read(path, &b, &err));
        assert_int_equal(err.kind, ERR_LIMIT);
        assert_int_equal(b.n, 0);
        buf_done(&b);
}

static void a_size_that_the_file_does_not_tell_is_capped_as_well(void **state)
{
        Err err;
        Buf b;

        (void)state;
        /* Regular, and of size 0 by stat. */
        buf_init(&b, 8);
        assert_false(file_read("/proc/self/status", &b, &err));
        assert_int_equal(err.kind, ERR_LIMIT);
        assert_int_equal(b.n, 0);
        buf_done(&b);
        buf_init(&b, 1 << 20);
        assert_true(file_read("/proc/self/status", &b, &err));
        assert_true(b.n > 8);
        buf_done(&b);
}

/* A buffer that grows leaves the bytes behind where it stood before. */
static void memory_is_taken_once(void **state)
{
        const TestDir *d = *state;
        static char content[200000];
        char path[TEST_PATH];
        Buf b;

        memset(content, 'x', sizeof(content));
        write_file(d, "a", str_make(content, sizeof(content)));
        buf_init(&b, 1 << 20);
        assert_true(buf_reserve(&b, sizeof(content) + 1));
        const char *before = b.p;
        assert_true(file_read(test_dir_join(d, "a", path), &b, NULL));
        assert_ptr_equal(b.p, before);
        assert_int_equal(b.n, sizeof(content));
        buf_done(&b);
}

static void what_is_no_file_is_refused(void **state)
{
        const TestDir *d = *state;
        char path[TEST_PATH];
        Err err;
        Buf b;

        buf_init(&b, 100);
        assert_false(file_read(test_dir_join(d, "none", path), &b, &err));
        assert_int_equal(err.kind, ERR_MISSING);
        assert_false(file_read(d->path, &b, &err));
        assert_int_equal(err.kind, ERR_INVALID);
        assert_int_equal(mkfifo(test_dir_join(d, "fifo", path), 0600), 0);
        assert_false(file_read(path, &b, &err));
        assert_int_equal(err.kind, ERR_INVALID);
        buf_done(&b);
}

static void removes(void **state)
{
        const TestDir *d = *state;
        Err err;

        write_file(d, "a", STR("x"));
        assert_true(file_remove(d->path, "a", &err));
        assert_false(file_remove(d->path, "a", &err));
        assert_int_equal(err.kind, ERR_MISSING);
        assert_false(file_remove("/nonexistent", "a", &err));
}

static void makes_directories(void **state)
{
        const TestDir *d = *state;
        char path[TEST_PATH];
        struct stat st;
        Err err;

        test_dir_join(d, "a/b//c/", path);
        assert_true(file_make_dir(path, 0700, &err));
        assert_true(file_make_dir(path, 0700, &err));
        assert_int_equal(stat(path, &st), 0);
        assert_true(S_ISDIR(st.st_mode));
        write_file(d, "file", STR("x"));
        assert_false(file_make_dir(test_dir_join(d, "file", path), 0700, &err));
        assert_false(file_make_dir(test_dir_join(d, "file/x", path), 0700, &err));
        assert_false(file_make_dir("", 0700, &err));
}

typedef struct Seen {
        char text[64];
        int stop_at, n;
} Seen;

static bool on_name(void *ctx, Str name, Err *err)
{
        Seen *seen = ctx;

        if (++seen->n == seen->stop_at)
                return err_set(err, ERR_INVALID, "Stopped", "at %.*s", STR_FMT(name));
        strncat(seen->text, name.p, name.n);
        strncat(seen->text, " ", 2);
        return true;
}

static void lists_sorted_without_dotted_names(void **state)
{
        static const char *const names[] = {"b", "a", "B", ".hidden", "a.yaml"};
        const TestDir *d = *state;
        Seen seen = {0};
        Err err;

        for (size_t i = 0; i < LENGTH_OF(names); i++)
                write_file(d, names[i], STR("x"));
        assert_true(file_list_dir(d->path, 4, on_name, &seen, &err));
        assert_string_equal(seen.text, "B a a.yaml b ");
        seen = (Seen){0};
        assert_false(file_list_dir(d->path, 3, on_name, &seen, &err));
        assert_int_equal(err.kind, ERR_LIMIT);
        assert_int_equal(seen.n, 0);
        seen = (Seen){.stop_at = 2};
        assert_false(file_list_dir(d->path, 4, on_name, &seen, &err));
        assert_string_equal(err.reason, "Stopped");
        assert_string_equal(seen.text, "B ");
        assert_false(file_list_dir("/nonexistent", 4, on_name, &seen, &err));
        assert_int_equal(err.kind, ERR_MISSING);
}

static void lists_an_empty_directory(void **state)
{
        const TestDir *d = *state;
        Seen seen = {0};

        assert_true(file_list_dir(d->path, 0, on_name, &seen, NULL));
        assert_int_equal(seen.n, 0);
}

#define FILE_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

static void follows_links_to_where_they_lead(void **state)
{
        const TestDir *d = *state;
        char dir[TEST_PATH], in[TEST_PATH], out[TEST_PATH], link_in[TEST_PATH], link_out[TEST_PATH],
                up[TEST_PATH], missing[TEST_PATH], beside[TEST_PATH], other[TEST_PATH];
        Err err = {0};

        test_dir_join(d, "dir", dir);
        assert_true(file_make_dir(dir, 0700, NULL));
        assert_true(file_make_dir(test_dir_join(d, "dirx", other), 0700, NULL));
        write_file(d, "out", STR("x"));
        assert_true(file_write_atomic(dir, "in", STR("x"), 0600, false, NULL));
        assert_true(file_write_atomic(other, "f", STR("x"), 0600, false, NULL));
        test_dir_join(d, "out", out);
        assert_int_equal(symlink("in", test_dir_join(d, "dir/a", link_in)), 0);
        assert_int_equal(symlink(out, test_dir_join(d, "dir/b", link_out)), 0);
        assert_int_equal(symlink("../dirx", test_dir_join(d, "dir/c", beside)), 0);
        assert_true(file_is_below(dir, test_dir_join(d, "dir/in", in), &err));
        assert_true(file_is_below(dir, link_in, &err));
        assert_true(file_is_below(dir, test_dir_join(d, "dir/../dir/in", up), &err));
        assert_false(file_is_below(dir, link_out, &err));
        assert_string_equal(err.reason, "PathRefused");
        assert_false(file_is_below(dir, test_dir_join(d, "dir/c/f", beside), &err));
        assert_false(file_is_below(dir, dir, &err));
        assert_false(file_is_below(dir, test_dir_join(d, "dir/../out", up), &err));
        assert_false(file_is_below(dir, test_dir_join(d, "dir/no", missing), &err));
        assert_int_equal(err.kind, ERR_MISSING);
        assert_false(file_is_below(missing, in, &err));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                FILE_TEST(writes_whole_files),
                FILE_TEST(a_leftover_or_a_planted_link_is_replaced),
                FILE_TEST(where_writing_fails_the_old_file_stays),
                FILE_TEST(names_stay_inside_the_directory),
                FILE_TEST(reads_up_to_the_maximum),
                FILE_TEST(a_size_that_the_file_does_not_tell_is_capped_as_well),
                FILE_TEST(memory_is_taken_once),
                FILE_TEST(what_is_no_file_is_refused),
                FILE_TEST(follows_links_to_where_they_lead),
                FILE_TEST(removes),
                FILE_TEST(makes_directories),
                FILE_TEST(lists_sorted_without_dotted_names),
                FILE_TEST(lists_an_empty_directory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
