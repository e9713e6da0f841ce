/* SPDX-License-Identifier: Apache-2.0 */
#include "net/h2_transport.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        /* What a unix socket holds unread is 208 KiB by default, of which the writer hears when a
         * quarter is left: an answer of megabytes is then handed over in a dozen turns of both
         * sides. The kernel doubles this, and caps it at net.core.wmem_max first. */
        UNIX_SEND_BYTES = 256 << 10,
};

static bool is_unix(int fd)
{
        int domain = 0;
        socklen_t n = sizeof(domain);

        return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) == 0 && domain == AF_UNIX;
}

void h2_transport_init(H2Transport *t, int fd)
{
        const int one = 1, room = UNIX_SEND_BYTES;

        t->fd = fd;
        if (is_unix(fd)) {
                IGNORE(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)),
                       "only speed is lost");
                return;
        }
        /* Frames are gathered here; the kernel need not wait for more. It sizes its buffer. */
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
