/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants:
 *  1. The handshake goes on from the descriptor's delivery alone; read and write answer
 *     STREAM_AGAIN until it is done.
 *  2. TLS may need the other direction of the descriptor than the caller wants (a key update is
 *     answered while reading). What each direction needs is what TLS said last; a call that went
 *     through sets it back.
 *  3. Bytes that TLS has taken from the descriptor make it look empty, so they are told by a Post.
 */
#include "io/stream.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static void arm(Stream *s)
{
        unsigned needs = 0;

        if ((s->want & FD_READ) != 0)
                needs |= s->read_needs;
        if ((s->want & FD_WRITE) != 0)
                needs |= s->write_needs;
        fd_source_want(&s->source, needs);
        if (s->tls != NULL && (s->want & FD_READ) != 0 && tls_stream_has_more(s->tls))
                post_send(&s->more);
}

static void fail(Stream *s, const Err *fault)
{
        s->fault = *fault;
        s->read_needs = FD_READ;
        s->write_needs = FD_WRITE;
        timer_clear(&s->handshake);
        arm(s);
}

static bool is_broken(const Stream *s)
{
        return s->fault.kind != ERR_NONE;
}

static void shake_hands(Stream *s)
{
        int code = tls_stream_handshake(s->tls);

        if (code == TLS_BROKEN) {
                fail(s, tls_stream_fault(s->tls));
                return;
        }
        s->is_open = code == 1;
        s->read_needs = code == TLS_WANTS_WRITE ? FD_WRITE : FD_READ;
        s->write_needs = code == TLS_WANTS_READ ? FD_READ : FD_WRITE;
        if (s->is_open)
                timer_clear(&s->handshake);
        arm(s);
}

static void on_ready(FdSource *source, unsigned ready)
{
        Stream *s = CONTAINER_OF(source, Stream, source);

        (void)ready;
        if (!s->is_open && !is_broken(s)) {
                shake_hands(s);
                if (!is_broken(s))
                        return;
        }
        s->fn(s);
}

static void on_more(Post *p)
{
        Stream *s = CONTAINER_OF(p, Stream, more);

        if ((s->want & FD_READ) != 0)
                s->fn(s);
}

static void on_handshake_over(Timer *t)
{
        Stream *s = CONTAINER_OF(t, Stream, handshake);
        Err fault = {0};

        err_set(&fault, ERR_TRANSIENT, "TLSFailed", "no handshake within %d s",
                STREAM_HANDSHAKE_SECONDS);
        fail(s, &fault);
        if (s->want != 0)
                s->fn(s);
}

void stream_init(Stream *s, Loop *loop, int fd, TlsServer *tls, StreamFn *fn)
{
        *s = (Stream){.fn = fn, .read_needs = FD_READ, .write_needs = FD_WRITE};
        fd_source_init(&s->source, loop, fd, on_ready);
        timer_init(&s->handshake, loop, on_handshake_over);
        post_init(&s->more, loop, on_more);
        s->is_open = tls == NULL;
        if (tls == NULL)
                return;
        s->tls = tls_stream_open(tls, fd);
        /* The client speaks first. */
        s->write_needs = FD_READ;
        timer_set_in(&s->handshake, SPAN_S(STREAM_HANDSHAKE_SECONDS));
}

void stream_want(Stream *s, unsigned want)
{
        s->want = want;
        arm(s);
}

/* Of a call in the direction whose readiness is usually `usual`. */
static ptrdiff_t settle(Stream *s, ptrdiff_t result, unsigned *needs, unsigned usual)
{
        if (result == TLS_BROKEN) {
                fail(s, tls_stream_fault(s->tls));
                return STREAM_BROKEN;
        }
        *needs = result == TLS_WANTS_READ ? FD_READ : result == TLS_WANTS_WRITE ? FD_WRITE : usual;
        arm(s);
        return result >= 0 ? result : STREAM_AGAIN;
}

static ptrdiff_t settle_plain(Stream *s, ssize_t n)
{
        if (n >= 0)
                return n;
        if (errno == EAGAIN || errno == EINTR)
                return STREAM_AGAIN;
        err_errno(&s->fault, errno, "the connection ended");
        return STREAM_BROKEN;
}

ptrdiff_t stream_read(Stream *s, void *p, size_t n)
{
        if (is_broken(s))
                return STREAM_BROKEN;
        if (!s->is_open)
                return STREAM_AGAIN;
        if (s->tls == NULL)
                return settle_plain(s, recv(s->source.fd, p, n, 0));
        return settle(s, tls_stream_read(s->tls, p, n), &s->read_needs, FD_READ);
}

ptrdiff_t stream_write(Stream *s, Str bytes, bool more)
{
        if (is_broken(s))
                return STREAM_BROKEN;
        if (!s->is_open)
                return STREAM_AGAIN;
        if (s->tls == NULL)
                return settle_plain(s, send(s->source.fd, bytes.p, bytes.n,
                                            MSG_NOSIGNAL | (more ? MSG_MORE : 0)));
        return settle(s, tls_stream_write(s->tls, bytes), &s->write_needs, FD_WRITE);
}

/* What follows the first `skip` bytes, as much as a record takes. */
static size_t gather(const struct iovec *at, size_t n, size_t skip, char *to)
{
        size_t got = 0;

        for (size_t i = 0; i < n && got < TLS_RECORD_BYTES; i++) {
                size_t from = skip < at[i].iov_len ? skip : at[i].iov_len;
                size_t part = at[i].iov_len - from;

                skip -= from;
                part = part < TLS_RECORD_BYTES - got ? part : TLS_RECORD_BYTES - got;
                memcpy(to + got, (const char *)at[i].iov_base + from, part);
                got += part;
        }
        return got;
}

static ptrdiff_t write_records(Stream *s, const struct iovec *at, size_t n)
{
        char record[TLS_RECORD_BYTES];
        size_t sent = 0, n_record;

        while ((n_record = gather(at, n, sent, record)) > 0) {
                ptrdiff_t taken = stream_write(s, str_make(record, n_record), false);
                if (taken < 0)
                        return sent > 0 ? (ptrdiff_t)sent : taken;
                sent += (size_t)taken;
        }
        return (ptrdiff_t)sent;
}

ptrdiff_t stream_writev(Stream *s, const struct iovec *at, size_t n)
{
        const struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)at, .msg_iovlen = n};

        if (is_broken(s))
                return STREAM_BROKEN;
        if (s->tls != NULL)
                return write_records(s, at, n);
        return settle_plain(s, sendmsg(s->source.fd, &m, MSG_NOSIGNAL));
}

void stream_finish(Stream *s)
{
        if (s->tls != NULL)
                tls_stream_finish(s->tls);
        IGNORE(shutdown(s->source.fd, SHUT_WR), "a peer that is gone needs no word");
}

const Err *stream_fault(const Stream *s)
{
        return &s->fault;
}

void stream_close(Stream *s)
{
        int fd = s->source.fd;

        if (s->fn == NULL)
                return;
        fd_source_close(&s->source);
        timer_clear(&s->handshake);
        post_cancel(&s->more);
        s->tls = tls_stream_close(s->tls);
        close(fd);
        s->fn = NULL;
}
