/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The batch exists only while something waits, so that an idle connection costs nothing. Spans
 * into `small` are joined where they touch: heads of DATA frames and bodies alternate, all else
 * ends up in one span.
 */
#include "net/h2_out.h"

#include "base/mem.h"

typedef struct H2Span {
        const char *p;
        size_t n;
        H2Message *message; /* one reference; NULL: in `small` */
} H2Span;

struct H2Batch {
        size_t bytes;    /* that wait, in all spans */
        size_t first, n; /* spans [first, n) wait */
        size_t n_small;
        H2Span spans[H2_OUT_SPANS];
        char small[H2_OUT_SMALL];
};

H2Message *h2_message_new(Buf *b, int64_t *counter)
{
        H2Message *m = mem_new(sizeof(*m));

        m->refs = 1;
        m->bytes = buf_take(b, &m->n);
        m->counter = counter;
        *counter += (int64_t)m->n;
        grpc_frame_prefix(m->prefix, (uint32_t)m->n);
        return m;
}

void h2_message_unref(H2Message *m)
{
        if (m == NULL || --m->refs > 0)
                return;
        *m->counter -= (int64_t)m->n;
        mem_free(m->bytes);
        mem_free(m);
}

void h2_out_done(H2Out *o)
{
        H2Batch *b = o->batch;

        for (size_t i = b != NULL ? b->first : 0; b != NULL && i < b->n; i++)
                h2_message_unref(b->spans[i].message);
        o->batch = mem_free(b);
}

bool h2_out_has_room(const H2Out *o)
{
        const H2Batch *b = o->batch;

        /* A DATA frame takes three: its head with the message's prefix, and the body; one spare. */
        return b == NULL || (b->n + 3 <= H2_OUT_SPANS && b->bytes < H2_OUT_BYTES &&
                             b->n_small + H2_OUT_CHUNK <= H2_OUT_SMALL);
}

static H2Batch *batch_of(H2Out *o)
{
        /* Not zeroed: it is made for each burst of frames, and only what is filled is read. */
        if (o->batch == NULL) {
                o->batch = mem_resize(NULL, sizeof(H2Batch));
                o->batch->bytes = o->batch->first = o->batch->n = o->batch->n_small = 0;
        }
        return o->batch;
}

void h2_out_add(H2Out *o, const void *p, size_t n)
{
        H2Batch *b = batch_of(o);
        INSIST(n <= H2_OUT_SMALL - b->n_small && b->n < H2_OUT_SPANS);
        if (n == 0)
                return;

        char *to = b->small + b->n_small;
        memcpy(to, p, n);
        b->n_small += n;
        b->bytes += n;

        H2Span *last = b->n > b->first ? &b->spans[b->n - 1] : NULL;
        if (last != NULL && last->message == NULL && last->p + last->n == to)
                last->n += n;
        else
                b->spans[b->n++] = (H2Span){to, n, NULL};
}

void h2_out_add_message(H2Out *o, H2Message *m, size_t n)
{
        INSIST(n <= h2_message_left(m));
        if (m->sent < GRPC_PREFIX_BYTES) {
                size_t of_prefix = GRPC_PREFIX_BYTES - m->sent;
                of_prefix = n < of_prefix ? n : of_prefix;
                h2_out_add(o, m->prefix + m->sent, of_prefix);
                m->sent += of_prefix;
                n -= of_prefix;
        }
        if (n == 0)
                return;

        H2Batch *b = batch_of(o);
        INSIST(b->n < H2_OUT_SPANS);
        m->refs++;
        b->spans[b->n++] = (H2Span){m->bytes + m->sent - GRPC_PREFIX_BYTES, n, m};
        b->bytes += n;
        m->sent += n;
}

static void drop_sent(H2Batch *b, size_t n)
{
        b->bytes -= n;
        while (n > 0) {
                H2Span *s = &b->spans[b->first];
                if (n < s->n) {
                        s->p += n;
                        s->n -= n;
                        return;
                }
                n -= s->n;
                h2_message_unref(s->message);
                b->first++;
        }
}

ptrdiff_t h2_out_send(H2Out *o, Stream *to)
{
        H2Batch *b = o->batch;
        struct iovec at[H2_OUT_SPANS];
        size_t n = 0;

        for (size_t i = b->first; i < b->n; i++)
                at[n++] = (struct iovec){(char *)(uintptr_t)b->spans[i].p, b->spans[i].n};
        ptrdiff_t sent = stream_writev(to, at, n);
        if (sent > 0)
                drop_sent(b, (size_t)sent);
        if (b->bytes == 0)
                h2_out_done(o);
        return sent;
}
