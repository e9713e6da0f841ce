/* SPDX-License-Identifier: Apache-2.0 */
#include "net/h2_transport.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

void h2_transport_init(H2Transport *t, int fd)
{
        const int one = 1;

        t->fd = fd;
        /* Frames are gathered here; the kernel need not wait for more. Fails on a unix socket,
         * where nothing waits anyway. */
        IGNORE(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), "only speed is lost");
}

static ptrdiff_t result(ssize_t n)
{
        if (n >= 0)
                return n;
        if (errno == EAGAIN || errno == EINTR)
                return H2_TRANSPORT_AGAIN;
        return H2_TRANSPORT_BROKEN;
}

ptrdiff_t h2_transport_recv(H2Transport *t, void *p, size_t n)
{
        return result(recv(t->fd, p, n, 0));
}

ptrdiff_t h2_transport_sendv(H2Transport *t, struct iovec *at, size_t n)
{
        const struct msghdr m = {.msg_iov = at, .msg_iovlen = n};

        return result(sendmsg(t->fd, &m, MSG_NOSIGNAL));
}

void h2_transport_finish(H2Transport *t)
{
        IGNORE(shutdown(t->fd, SHUT_WR), "a peer that is gone needs no word");
}

void h2_transport_done(H2Transport *t)
{
        if (t->fd >= 0)
                close(t->fd);
        t->fd = -1;
}
