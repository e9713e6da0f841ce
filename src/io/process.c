/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a program is seen by a pidfd, which no other program that was started (or whoever
 * waits for one) can take for its own. What it wrote is read until then; a grandchild that keeps
 * the pipe open is not waited for.
 *
 *   process_open ──> RUNS ──(it ended, its time is up, too much)──> ENDED ──Post──> TOLD
 *        └──────────────(it cannot be started)─────────────────────> ENDED
 */
#include "io/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

enum {
        NAME_MAX_SHOWN = 100
};

struct Process {
        Loop *loop;
        pid_t pid; /* 0: not running, or reaped */
        bool leads_group;
        FdSource out, end; /* the pipe, the pidfd; fd -1: closed */
        Timer timeout;
        Post tell;
        Buf bytes;
        ProcessResult result;
        ProcessFn *on_done;
        void *owner;
        char name[NAME_MAX_SHOWN]; /* for people */
        Span allowed;
};

static void close_fd(FdSource *s)
{
        if (s->fd < 0)
                return;
        fd_source_close(s);
        close(s->fd);
        s->fd = -1;
}

/* It may have ended already; its number is its own until it is waited for. */
static int reap(Process *p, bool kills)
{
        int status = 0;

        if (p->pid == 0)
                return 0;
        if (kills)
                kill(p->leads_group ? -p->pid : p->pid, SIGKILL);
        while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
                continue;
        p->pid = 0;
        return status;
}

static void end_process(Process *p)
{
        close_fd(&p->out);
        close_fd(&p->end);
        timer_clear(&p->timeout);
        p->result.out = buf_str(&p->bytes);
        post_send(&p->tell);
}

static void on_tell(Post *post)
{
        Process *p = CONTAINER_OF(post, Process, tell);

        p->on_done(p, &p->result);
}

static void fail(Process *p)
{
        IGNORE(reap(p, true), "it was killed");
        end_process(p);
}

static void on_timeout(Timer *t)
{
        Process *p = CONTAINER_OF(t, Process, timeout);
        char span[WALL_TEXT];

        err_set(&p->result.err, ERR_TRANSIENT, "Timeout", "%s did not end within %s", p->name,
                span_format(p->allowed, span));
        fail(p);
}

/* What is there now. False: too much. */
static bool read_out(Process *p)
{
        char chunk[4096];
        ssize_t n;

        while (p->out.fd >= 0) {
                n = read(p->out.fd, chunk, sizeof(chunk));
                if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
                        if (errno == EAGAIN)
                                break;
                        continue;
                }
                if (n <= 0) {
                        close_fd(&p->out);
                        break;
                }
                buf_add(&p->bytes, chunk, (size_t)n);
                explicit_bzero(chunk, sizeof(chunk));
                if (p->bytes.failed)
                        return err_set(&p->result.err, ERR_LIMIT, "TooMuchOutput",
                                       "%s wrote more than %zu bytes", p->name, p->bytes.max);
        }
        return true;
}

static void on_out(FdSource *s, unsigned ready)
{
        Process *p = CONTAINER_OF(s, Process, out);

        (void)ready;
        if (!read_out(p))
                fail(p);
}

static void on_end(FdSource *s, unsigned ready)
{
        Process *p = CONTAINER_OF(s, Process, end);
        int status;

        (void)ready;
        if (!read_out(p)) {
                fail(p);
                return;
        }
        status = reap(p, false);
        if (WIFSIGNALED(status))
                err_set(&p->result.err, ERR_INVALID, "ProgramFailed", "%s was ended by signal %d",
                        p->name, WTERMSIG(status));
        else if (WEXITSTATUS(status) != 0)
                err_set(&p->result.err, ERR_INVALID, "ProgramFailed", "%s ended with exit code %d",
                        p->name, WEXITSTATUS(status));
        end_process(p);
}

/* Signals are as they are for a program that a shell starts. */
static void set_signals(posix_spawnattr_t *attr)
{
        sigset_t all, none;

        sigfillset(&all);
        sigemptyset(&none);
        posix_spawnattr_setsigdefault(attr, &all);
        posix_spawnattr_setsigmask(attr, &none);
}

/* An errno value; 0: it runs. `out`: its end of the pipe. */
static int spawn(Process *p, const ProcessInput *in, int out)
{
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attr;
        short flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
        int e;

        posix_spawn_file_actions_init(&actions);
        posix_spawnattr_init(&attr);
        set_signals(&attr);
        if (!in->talks) {
                flags |= POSIX_SPAWN_SETPGROUP;
                posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        }
        posix_spawnattr_setflags(&attr, flags);
        posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
        /* It writes to neither of them. */
        e = posix_spawnp(&p->pid, in->argv[0], &actions, &attr, (char *const *)(uintptr_t)in->argv,
                         (char *const *)(uintptr_t)in->env);
        p->leads_group = !in->talks;
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attr);
        if (e != 0)
                p->pid = 0;
        return e;
}

static bool start(Process *p, const ProcessInput *in)
{
        Err *err = &p->result.err;
        int pipes[2], e, fd;

        if (pipe2(pipes, O_CLOEXEC) != 0)
                return err_errno(err, errno, "%s", p->name);
        fd_source_init(&p->out, p->loop, pipes[0], on_out);
        e = spawn(p, in, pipes[1]);
        close(pipes[1]);
        if (e == ENOENT)
                return err_set(err, ERR_MISSING, "NoProgram", "%s: there is no such program",
                               p->name);
        if (e != 0)
                return err_errno(err, e, "cannot start %s", p->name);
        fd = pidfd_open(p->pid, 0);
        if (fd < 0 || fcntl(pipes[0], F_SETFL, O_NONBLOCK) != 0) {
                IGNORE(err_errno(err, errno, "cannot wait for %s", p->name), "it is one");
                if (fd >= 0)
                        close(fd);
                return false;
        }
        fd_source_init(&p->end, p->loop, fd, on_end);
        fd_source_want(&p->out, FD_READ);
        fd_source_want(&p->end, FD_READ);
        return true;
}

Process *process_open(Loop *l, const ProcessInput *in)
{
        Process *p = mem_new(sizeof(*p));
        Str name = str_sub(str_of(in->argv[0]), 0, sizeof(p->name) - 1);

        p->loop = l;
        p->on_done = in->on_done;
        p->owner = in->owner;
        p->allowed = in->timeout;
        p->out.fd = p->end.fd = -1;
        memcpy(p->name, name.p, name.n);
        buf_init(&p->bytes, in->max_bytes);
        timer_init(&p->timeout, l, on_timeout);
        post_init(&p->tell, l, on_tell);
        /* In one piece, so that growth leaves no copy behind. */
        if (!buf_reserve(&p->bytes, in->max_bytes))
                err_set(&p->result.err, ERR_LIMIT, "NoMemory", "no memory for what %s writes",
                        p->name);
        else if (start(p, in))
                timer_set_in(&p->timeout, in->timeout);
        if (p->result.err.kind != ERR_NONE)
                fail(p);
        return p;
}

void *process_owner(const Process *p)
{
        return p->owner;
}

Process *process_close(Process *p)
{
        if (p == NULL)
                return NULL;
        IGNORE(reap(p, true), "nobody asks any more");
        close_fd(&p->out);
        close_fd(&p->end);
        timer_clear(&p->timeout);
        post_cancel(&p->tell);
        if (p->bytes.p != NULL)
                explicit_bzero(p->bytes.p, p->bytes.room);
        buf_done(&p->bytes);
        return mem_free(p);
}
