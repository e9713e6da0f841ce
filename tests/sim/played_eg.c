/* SPDX-License-Identifier: Apache-2.0 */
#include "played_eg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/grpc_test_peer.h"
#include "proto/json.h"
#include "proto/pb_writer.h"

enum {
        AGAIN_MS = 1000, /* after a call that failed */
        CALL_MAX_S = 5,  /* then it is given up */
        LOOK_MS = 50,    /* its own watch, and its translation */
};

/* What is translated: 0 of an object that is not there. */
typedef struct Translated {
        uint64_t gateway, binding;
} Translated;

struct PlayedEg {
        PlayedEgInput in;
        Peer peer;
        PeerCall *call;      /* under way; or NULL */
        Translated asks;     /* that is asked for */
        Translated answered; /* the last that was */
        bool has_hosts;
        Mono not_before, until;
        unsigned n_answered, n_failed;
};

static void put(Buf *b, uint32_t field, Str body)
{
        pb_put_len(b, field, body.n);
        buf_add_str(b, body);
}

/* A message with one field, as a field of another. */
static void put_in(Buf *b, uint32_t outer, uint32_t inner, Str body)
{
        pb_put_len(b, outer, pb_len_size(inner, body.n) + body.n);
        put(b, inner, body);
}

/* PostTranslateModifyRequest (proto/extension/service.proto): context 1, clusters 2, routes 5.
 * `binding` may be NULL. */
static void put_request(Buf *b, const char *binding, const char *routes)
{
        CLEANUP(buf_done) Buf resource;

        buf_init(&resource, PEER_BYTES_MAX);
        if (binding != NULL) {
                put(&resource, 1, str_of(binding)); /* ExtensionResource.unstructured_bytes */
                put_in(b, 1, 1, buf_str(&resource));
        }
        put_in(b, 2, 1, STR("theirs"));
        put_in(b, 5, 1, str_of(routes));
}

static const PlayedObject *object_at(const PlayedEg *eg, const char *path)
{
        PlayedTarget t;

        INSIST(played_target_of(str_of(path), &t));
        return played_store_find(&eg->in.api->store, &t);
}

/* Of no other object, and of no other spec of this one. */
static uint64_t number_of(const PlayedObject *o)
{
        return o != NULL ? strtoull(strrchr(o->uid, '-') + 1, NULL, 10) << 24 |
                                   (uint64_t)o->generation
                         : 0;
}

static bool is_listening(const PlayedEg *eg)
{
        int fd = socket(eg->in.server.sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool there = fd >= 0 &&
                     connect(fd, (const struct sockaddr *)&eg->in.server.sa, eg->in.server.n) == 0;

        if (fd >= 0)
                close(fd);
        return there;
}

static void wait_for(PlayedEg *eg, int64_t ms)
{
        eg->not_before = mono_add(loop_now(eg->in.loop), SPAN_MS(ms));
}

static bool begin(PlayedEg *eg)
{
        const PlayedObject *o = object_at(eg, eg->in.binding);
        Translated wanted = {number_of(object_at(eg, eg->in.gateway)), number_of(o)};
        CLEANUP(buf_done) Buf request;
        Mono now = loop_now(eg->in.loop);

        if (wanted.gateway == 0) {
                eg->answered = (Translated){0};
                eg->has_hosts = false;
                return false;
        }
        if ((wanted.gateway == eg->answered.gateway && wanted.binding == eg->answered.binding) ||
            mono_before(now, eg->not_before))
                return false;
        if (!is_listening(eg)) {
                wait_for(eg, AGAIN_MS);
                return false;
        }
        buf_init(&request, PEER_BYTES_MAX);
        put_request(&request, o != NULL ? o->json : NULL, eg->in.routes);
        peer_open(&eg->peer, eg->in.loop, &eg->in.server);
        eg->call = peer_call(&eg->peer,
                             "/envoygateway.extension.EnvoyGatewayExtension/PostTranslateModify",
                             buf_str(&request));
        eg->asks = wanted;
        eg->until = mono_add(now, SPAN_S(CALL_MAX_S));
        return true;
}

static void end(PlayedEg *eg, bool answered)
{
        if (answered) {
                Str body = buf_str(&eg->call->body);

                eg->answered = eg->asks;
                eg->has_hosts = memmem(body.p, body.n, eg->in.host, strlen(eg->in.host)) != NULL;
        }
        eg->n_answered += answered;
        eg->n_failed += !answered;
        eg->call = NULL;
        peer_close(&eg->peer);
        wait_for(eg, answered ? LOOK_MS : AGAIN_MS);
}

bool played_eg_turn(PlayedEg *eg)
{
        if (eg->call == NULL)
                return begin(eg);
        peer_flush(&eg->peer);
        peer_receive(&eg->peer);
        bool over = eg->call->closed || eg->peer.eof;
        if (over || !mono_before(loop_now(eg->in.loop), eg->until))
                end(eg, over && eg->call->grpc == GRPC_OK);
        return over;
}

bool played_eg_has_hosts(const PlayedEg *eg)
{
        return eg->has_hosts;
}

PlayedEg *played_eg_new(const PlayedEgInput *in)
{
        PlayedEg *eg = mem_new(sizeof(*eg));

        eg->in = *in;
        return eg;
}

void played_eg_counts(const PlayedEg *eg, unsigned *ret_answered, unsigned *ret_failed)
{
        *ret_answered = eg->n_answered;
        *ret_failed = eg->n_failed;
}

PlayedEg *played_eg_free(PlayedEg *eg)
{
        peer_close(&eg->peer);
        return mem_free(eg);
}
