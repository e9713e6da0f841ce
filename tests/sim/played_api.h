/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * PlayedApi: an API server on the test's own loop and clock: lists, watches (streaming lists too),
 * server-side apply, status, create, update, delete, over HTTP on loopback; and all the ways in
 * which a real one does not do what it was asked. Who asks is known by the bearer token.
 *
 * What is asked is done when it arrives, or not at all; only the answer may be late or lost.
 */

#include "io/loop.h"
#include "played_store.h"

enum {
        PLAYED_CLIENTS = 4,
        PLAYED_REQUEST_MAX = 8 << 20,
};

/* In a thousand requests, each by itself. */
typedef struct PlayedApiFaults {
        unsigned lost;   /* the connection is closed, nothing was done */
        unsigned unsaid; /* it was done, and the connection is closed without a word */
        unsigned busy;   /* 429 with Retry-After: 1 */
        unsigned broken; /* 500 */
        unsigned hung;   /* nothing was done, no answer ever comes */
        unsigned cut;    /* of a watch, each time that something is sent: it ends */
} PlayedApiFaults;

/* What was done to an object, before it is answered. */
typedef struct PlayedCall {
        const char *client, *method;
        PlayedTarget target;
        Str manager, body;
        unsigned status;
} PlayedCall;

typedef struct PlayedApi {
        Loop *loop;
        PlayedStore store;
        uint16_t port;
        int fd;
        FdSource accept;
        Link conns;
        uint64_t chance;
        PlayedApiFaults faults;
        const char *clients[PLAYED_CLIENTS]; /* tokens, by which they are told apart */
        bool is_cut_off[PLAYED_CLIENTS];     /* nothing of theirs arrives, nothing reaches them */
        bool is_down;                        /* likewise, of everybody */
        void (*on_write)(void *owner, const PlayedCall *call); /* NULL is welcome */
        void *owner;
        uint64_t n_requests, n_writes; /* so far; those that changed nothing are writes, too */
        uint64_t activity;             /* moves with everything that happens */
} PlayedApi;

/* `api` is zeroed but for clients, on_write, owner. */
void played_api_open(PlayedApi *api, Loop *loop, uint64_t seed);
void played_api_close(PlayedApi *api);
/* What a user does with kubectl, past all faults: whoever had a field, it is the user's now. The
 * body is JSON with apiVersion, kind and metadata; its collection is that of `path`
 * ("/apis/…/PLURAL/NAME"). */
void played_api_put(PlayedApi *api, const char *path, const char *body);
void played_api_remove(PlayedApi *api, const char *path);
/* The object as JSON, or NULL; until the next change. */
const char *played_api_get(const PlayedApi *api, const char *path);
/* Sends watchers what is new. Before the turns of each step. */
void played_api_tell(PlayedApi *api);
/* Ends all watches. */
void played_api_cut_watches(PlayedApi *api);
