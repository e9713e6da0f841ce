/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* KubeEvent: one line of a watch, `{"type":"ADDED","object":{…}}`, and what identifies an object.
 * Pure. */

#include "base/buf.h"
#include "kube/kube_status.h"

enum {
        /* etcd refuses an object above 1.5 MiB; its escapes may make it somewhat longer. */
        KUBE_EVENT_BYTES_MAX = 2 << 20,
        KUBE_EVENT_NODES_MAX = 64 << 10,
        KUBE_UID_MAX = 64,     /* a UUID has 36 */
        KUBE_VERSION_MAX = 32, /* opaque; in practice a decimal number of 64 bits */
        KUBE_KEY_MAX = 63 + 1 + 253,
};

/* All borrowed from the object but for the key. */
typedef struct KubeObjectId {
        Str ns, name, uid, version; /* of all but a bookmark name and version are not empty */
        char key[KUBE_KEY_MAX + 1]; /* "namespace/name", or "name" */
} KubeObjectId;

/* ERR_INVALID "BadObject": it has no name or resourceVersion, or longer ones than there can be. */
bool kube_object_id(const Tree *object, KubeObjectId *ret, Err *err) MUST_USE;

typedef enum KubeEventType {
        KUBE_EVENT_PUT, /* ADDED or MODIFIED: in a list that went on meanwhile both mean the same */
        KUBE_EVENT_GONE,
        KUBE_EVENT_BOOKMARK, /* id.version alone */
        KUBE_EVENT_ERROR,    /* status alone */
} KubeEventType;

typedef struct KubeEvent {
        KubeEventType type;
        const Tree *object; /* in the arena */
        bool ends_list;     /* of a bookmark: all that was there when the watch began was told */
        KubeObjectId id;
        KubeStatus status;
} KubeEvent;

/* ERR_INVALID "BadEvent", "BadObject"; ERR_LIMIT "TooLarge". */
bool kube_event_read(Str line, Arena *arena, KubeEvent *ret, Err *err) MUST_USE;
/* The same of a line that is too large for it, of an object that came, changed or went: that has of
 * its metadata what kube_event_core names, and nothing else. Memory is that of the line. */
bool kube_event_read_large(Str line, Arena *arena, KubeEvent *ret, Err *err) MUST_USE;
/* Members of metadata: what identifies an object, and its generation. */
StrList kube_event_core(void);

/* Lines from pieces of any size; init with kube_lines_init, done with buf_done. */
typedef struct KubeLines {
        Buf part; /* of the line that is not whole yet */
        bool given;
} KubeLines;

void kube_lines_init(KubeLines *l);
/* The next whole line in *ret, valid until the next call and as long as `bytes` are; its bytes are
 * cut off *bytes. False where there is none yet; all of *bytes is then kept. Empty lines are passed
 * over. A line above KUBE_EVENT_BYTES_MAX sets `part.failed`, and none comes after. */
bool kube_lines_next(KubeLines *l, Str *bytes, Str *ret);
