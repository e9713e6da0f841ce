/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A callback may close the listener and free what it stands in. So what runs after a callback looks
 * first at a flag on its own stack, which listener_close sets, and only then at the listener.
 */
#include "io/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
        BACKLOG = 1024,
        ACCEPTS_PER_TURN = 16, /* more would let a flood of connections hold up the open ones */
        PAUSE_MS = 100
};

static void on_pause_over(Timer *t)
{
        Listener *l = CONTAINER_OF(t, Listener, pause);

        fd_source_want(&l->source, FD_READ);
}

static bool is_shortage(int errnum)
{
        return errnum == EMFILE || errnum == ENFILE || errnum == ENOBUFS || errnum == ENOMEM;
}

static void on_connection(FdSource *s, unsigned ready)
{
        Listener *l = CONTAINER_OF(s, Listener, source);
        bool closed = false;

        (void)ready;
        l->closed = &closed;
        for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
                int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

                if (fd < 0 && is_shortage(errno)) {
                        /* The connection stays readable, so without a pause the loop would spin. */
                        fd_source_want(s, 0);
                        timer_set_in(&l->pause, SPAN_MS(PAUSE_MS));
                }
                /* Whatever else it is, it was that connection's fault or there is none left. */
                if (fd < 0)
                        break;
                l->fn(l, fd);
                if (closed)
                        return;
        }
        l->closed = NULL;
}

/* Does somebody accept at this path? Asked without waiting: a full backlog (EAGAIN) is a yes. */
static bool is_live(const Address *a)
{
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        bool live;

        if (fd < 0)
                return true;
        live = connect(fd, (const struct sockaddr *)&a->sa, a->n) == 0 || errno != ECONNREFUSED;
        close(fd);
        return live;
}

static bool bind_unix(int fd, const Address *a, Err *err)
{
        const char *path = address_path(a).p;
        struct stat st;

        if (bind(fd, (const struct sockaddr *)&a->sa, a->n) != 0) {
                if (errno != EADDRINUSE)
                        return err_errno(err, errno, "%s", a->text);
                if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
                        return err_set(err, ERR_CONFLICT, "AddressInUse",
                                       "%s: there is a file that is no socket", a->text);
                if (is_live(a))
                        return err_set(err, ERR_CONFLICT, "AddressInUse",
                                       "%s: another process accepts there", a->text);
                if (unlink(path) != 0 || bind(fd, (const struct sockaddr *)&a->sa, a->n) != 0)
                        return err_errno(err, errno, "%s", a->text);
        }
        /* Nobody can connect before listen(), so there is no moment with a wider mode. */
        if (chmod(path, S_IRUSR | S_IWUSR) != 0)
                return err_errno(err, errno, "%s", a->text);
        return true;
}

static bool bind_tcp(int fd, Address *a, Err *err)
{
        Address real = *a;
        socklen_t n = sizeof(real.sa);
        int on = 1;

        if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
            bind(fd, (const struct sockaddr *)&a->sa, a->n) != 0 ||
            getsockname(fd, (struct sockaddr *)&real.sa, &n) != 0)
                return err_errno(err, errno, "%s", a->text);
        if (address_port(a) == 0)
                address_set_port(a, address_port(&real));
        return true;
}

bool listener_open(Listener *l, Loop *loop, const Address *a, ListenerFn *fn, Err *err)
{
        bool is_unix = a->sa.ss_family == AF_UNIX;
        struct stat st = {0};
        int fd;

        *l = (Listener){.loop = loop, .fn = fn, .address = *a, .fd = -1};
        timer_init(&l->pause, loop, on_pause_over);
        fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return err_errno(err, errno, "%s", a->text);
        if (!(is_unix ? bind_unix(fd, &l->address, err) : bind_tcp(fd, &l->address, err))) {
                close(fd);
                return false;
        }
        if (listen(fd, BACKLOG) != 0) {
                err_errno(err, errno, "%s", a->text);
                close(fd);
                return false;
        }
        if (is_unix && stat(address_path(&l->address).p, &st) == 0)
                l->inode = st.st_ino;
        l->fd = fd;
        fd_source_init(&l->source, loop, fd, on_connection);
        fd_source_want(&l->source, FD_READ);
        return true;
}

void listener_close(Listener *l)
{
        Str path = address_path(&l->address);
        struct stat st;

        if (l->fd < 0 || l->loop == NULL)
                return;
        timer_clear(&l->pause);
        fd_source_close(&l->source);
        /* A successor may have put its own socket there. */
        if (path.n > 0 && lstat(path.p, &st) == 0 && st.st_ino == l->inode)
                IGNORE(unlink(path.p), "a socket file left behind is replaced by the next");
        close(l->fd);
        l->fd = -1;
        if (l->closed != NULL)
                *l->closed = true;
        l->closed = NULL;
}
