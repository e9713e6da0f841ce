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

struct PlayedEg {
        PlayedEgInput in;
        Peer peer;
        PeerCall *call;    /* under way; or NULL */
        uint64_t asks;     /* generation of the Binding that is asked for */
        uint64_t answered; /* the last that was */
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

/* PostTranslateModifyRequest (proto/extension/service.proto): context 1, clusters 2, routes 5. */
static void put_request(Buf *b, const char *binding)
{
        CLEANUP(buf_done) Buf resource;

        buf_init(&resource, PEER_BYTES_MAX);
        put(&resource, 1, str_of(binding)); /* ExtensionResource.unstructured_bytes */
        put_in(b, 1, 1, buf_str(&resource));
        put_in(b, 2, 1, STR("theirs"));
        put_in(b, 5, 1, STR("tsgw/eg/http"));
}

static const PlayedObject *binding_of(const PlayedEg *eg)
{
        PlayedTarget t;

        INSIST(played_target_of(str_of(eg->in.binding), &t));
        return played_store_find(&eg->in.api->store, &t);
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
        const PlayedObject *o = binding_of(eg);
        CLEANUP(buf_done) Buf request;
        Mono now = loop_now(eg->in.loop);

        if (o == NULL || (uint64_t)o->generation == eg->answered ||
            mono_before(now, eg->not_before))
                return false;
        if (!is_listening(eg)) {
                wait_for(eg, AGAIN_MS);
                return false;
        }
        buf_init(&request, PEER_BYTES_MAX);
        put_request(&request, o->json);
        peer_open(&eg->peer, eg->in.loop, &eg->in.server);
        eg->call = peer_call(&eg->peer,
                             "/envoygateway.extension.EnvoyGatewayExtension/PostTranslateModify",
                             buf_str(&request));
        eg->asks = (uint64_t)o->generation;
        eg->until = mono_add(now, SPAN_S(CALL_MAX_S));
        return true;
}

static void end(PlayedEg *eg, bool answered)
{
        if (answered)
                eg->answered = eg->asks;
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
