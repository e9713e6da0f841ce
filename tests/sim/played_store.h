/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * PlayedStore: what an API server keeps, as far as it takes to play one: objects of any kind with
 * uid, resourceVersion and generation; server-side apply (what a field manager names is its own,
 * maps are merged, all else is the last one's); a status that is written by itself; what an owner's
 * end takes with it; and the changes, until they are compacted away. Kinds have no schema here.
 */

#include "base/buf.h"
#include "base/instant.h"
#include "base/list.h"
#include "proto/tree.h"

enum {
        PLAYED_PARTS_MAX = 12, /* field managers of one object, each twice */
        PLAYED_BODY_MAX = 4 << 20,
};

/* A path of the API, taken apart; borrowed from it. */
typedef struct PlayedTarget {
        Str collection; /* "apis/GROUP/VERSION" or "api/v1" */
        Str plural;
        Str ns, name, sub; /* each may be empty */
} PlayedTarget;

/* False where it is none that we play. `path` without its query. */
bool played_target_of(Str path, PlayedTarget *ret);

typedef struct PlayedObject {
        Link link;
        char *collection, *plural, *ns, *name; /* owned, as are all pointers here */
        char uid[40];
        uint64_t version;
        int64_t generation;
        Wall created;
        struct PlayedPart {
                char *manager, *body;
                bool is_status;
        } parts[PLAYED_PARTS_MAX];
        size_t n_parts;
        char *spec; /* without metadata and status: another one is another generation */
        char *core; /* all but resourceVersion and generation: another one is another version */
        char *json; /* all of it */
} PlayedObject;

typedef struct PlayedChange {
        Link link;
        uint64_t version;
        const char *type; /* "ADDED", "MODIFIED", "DELETED" */
        char *collection, *plural, *ns, *name, *json;
} PlayedChange;

typedef struct PlayedStore {
        Link objects; /* of PlayedObject, in the order in which they came */
        Link changes; /* of PlayedChange, oldest first */
        uint64_t version;
        uint64_t compacted; /* changes up to here are forgotten */
        uint64_t uids;
} PlayedStore;

typedef struct PlayedWrite {
        PlayedTarget target;
        Str manager; /* empty: the body is all of it, from whoever had what */
        Str body;    /* JSON */
        Str uid;     /* of a delete: a condition, or empty */
        bool create; /* it must not be there yet */
        Wall now;
} PlayedWrite;

void played_store_init(PlayedStore *s);
void played_store_done(PlayedStore *s);
/* NULL where there is none. */
const PlayedObject *played_store_find(const PlayedStore *s, const PlayedTarget *t);
/* Each returns the HTTP status, and in `ret` the object where it is 2xx. */
unsigned played_store_write(PlayedStore *s, const PlayedWrite *w, const PlayedObject **ret);
unsigned played_store_delete(PlayedStore *s, const PlayedWrite *w);
/* What has an owner that is not there any more goes, as the garbage collector sees to. */
void played_store_collect(PlayedStore *s);
/* Forgets all changes so far: who watches from before is told 410. */
void played_store_compact(PlayedStore *s);
/* Is it of this collection (and namespace, where it is not empty)? */
bool played_store_is_in(const PlayedTarget *t, const char *collection, const char *plural,
                        const char *ns);
