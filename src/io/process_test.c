/* SPDX-License-Identifier: Apache-2.0 */
#include "io/process.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/testing.h"

enum {
        TURNS_MAX = 20000
};

typedef struct Fixture {
        TestClock time;
        Clock clock;
        Loop *loop;
        Process *process;
        unsigned n_done;
        bool close_inside;
        Err err;
        char out[256];
} Fixture;

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof(*f));

        f->time = (TestClock){{SPAN_S(1000).ns}, {INT64_C(1795381081000)}, 0};
        f->clock = test_clock(&f->time);
        f->loop = loop_new(&f->clock);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        process_close(f->process);
        loop_free(f->loop);
        mem_free(f);
        return 0;
}

static void on_done(Process *p, const ProcessResult *result)
{
        Fixture *f = process_owner(p);

        f->n_done++;
        f->err = result->err;
        snprintf(f->out, sizeof(f->out), "%.*s", STR_FMT(result->out));
        if (f->close_inside)
                f->process = process_close(f->process);
}

static void begin(Fixture *f, const char *program, const char *arg, const char *script)
{
        const char *argv[] = {program, arg, script, NULL};
        const char *env[] = {"PATH=/usr/bin:/bin", "WORD=from outside", NULL};

        f->process = process_close(f->process);
        f->n_done = 0;
        f->process = process_open(f->loop, &(ProcessInput){.argv = argv,
                                                           .env = env,
                                                           .timeout = SPAN_S(60),
                                                           .max_bytes = 100,
                                                           .on_done = on_done,
                                                           .owner = f});
        assert_int_equal(f->n_done, 0);
}

static void finish(Fixture *f)
{
        for (int i = 0; i < TURNS_MAX && f->n_done == 0; i++)
                loop_turn(f->loop, SPAN_MS(10));
        assert_int_equal(f->n_done, 1);
}

static void what_it_writes_comes_whole(void **state)
{
        Fixture *f = *state;

        begin(f, "sh", "-c", "echo one; echo \"$WORD\"; cat; echo three");
        finish(f);
        assert_string_equal(f->err.text, "");
        assert_string_equal(f->out, "one\nfrom outside\nthree\n");
        begin(f, "/bin/sh", "-c", "exit 0");
        finish(f);
        assert_string_equal(f->out, "");
        assert_int_equal(f->err.kind, ERR_NONE);
        f->close_inside = true;
        begin(f, "/bin/sh", "-c", "exit 0");
        finish(f);
        assert_null(f->process);
}

static void failures_are_told(void **state)
{
        static const struct {
                const char *program, *script, *reason, *text;
                ErrKind kind;
        } cases[] = {
                {"sh", "echo x; exit 3", "ProgramFailed", "sh ended with exit code 3", ERR_INVALID},
                {"sh", "kill -9 $$", "ProgramFailed", "sh was ended by signal 9", ERR_INVALID},
                {"no-such-program-here", "", "NoProgram",
                 "no-such-program-here: there is no such program", ERR_MISSING},
                {"/dev/null", "", NULL, "cannot start /dev/null: Permission denied", ERR_DENIED},
                {"sh", "while :; do echo 0123456789; done", "TooMuchOutput",
                 "sh wrote more than 100 bytes", ERR_LIMIT},
        };
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                begin(f, cases[i].program, "-c", cases[i].script);
                finish(f);
                assert_string_equal(f->err.text, cases[i].text);
                assert_int_equal(f->err.kind, cases[i].kind);
                if (cases[i].reason != NULL)
                        assert_string_equal(f->err.reason, cases[i].reason);
        }
}

static void its_time_is_bounded(void **state)
{
        Fixture *f = *state;

        begin(f, "sh", "-c", "echo x; sleep 1000");
        for (int i = 0; i < 20; i++)
                loop_turn(f->loop, SPAN_MS(1));
        assert_int_equal(f->n_done, 0);
        test_clock_advance(&f->time, SPAN_S(60));
        finish(f);
        assert_string_equal(f->err.reason, "Timeout");
        assert_string_equal(f->err.text, "sh did not end within 1m");
}

/* Its grandchild has the pipe, and is not waited for. */
static void who_it_left_behind_is_not_waited_for(void **state)
{
        Fixture *f = *state;
        uint64_t pid;

        begin(f, "sh", "-c", "sleep 1000 & echo $!");
        finish(f);
        assert_int_equal(f->err.kind, ERR_NONE);
        assert_true(str_to_u64(str_trim(str_of(f->out)), INT32_MAX, &pid));
        assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
}

static void a_close_kills(void **state)
{
        Fixture *f = *state;

        begin(f, "sh", "-c", "sleep 1000 & echo $!; wait");
        for (int i = 0; i < 20; i++)
                loop_turn(f->loop, SPAN_MS(1));
        f->process = process_close(f->process);
        loop_turn(f->loop, SPAN_MS(0));
        assert_int_equal(f->n_done, 0);
        begin(f, "no-such-program-here", NULL, NULL);
        f->process = process_close(f->process);
        loop_turn(f->loop, SPAN_MS(0));
        assert_int_equal(f->n_done, 0);
}

#define PROCESS_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                PROCESS_TEST(what_it_writes_comes_whole),
                PROCESS_TEST(failures_are_told),
                PROCESS_TEST(its_time_is_bounded),
                PROCESS_TEST(who_it_left_behind_is_not_waited_for),
                PROCESS_TEST(a_close_kills),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
