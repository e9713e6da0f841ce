/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For unit tests only: an API server that holds objects, lists them and tells watches of what
 * changes, as far as KubeWatch asks. What it does not have (a kind that is refused, …) is said per
 * collection. Header only, because test code is in no library.
 */

#include "kube/kube_test_world.h"

enum {
        TEST_API_OBJECTS = 64,
        TEST_API_WATCHES = 64, /* paths that were asked for */
};

typedef struct TestObject {
        char path[160]; /* of the collection: "/apis/…/tailscalegateways" */
        char ns[64], name[64];
        unsigned version, uid;
        char *json; /* whole; owned. NULL: it is gone */
} TestObject;

/* A collection as one asks for it. */
typedef struct TestCollection {
        char target[320]; /* path and selector, without what belongs to the list or the watch */
        ScriptPath list, watch;
        Buf answer, events;
} TestCollection;

typedef struct TestApi {
        KubeWorld w;
        TestObject objects[TEST_API_OBJECTS];
        TestCollection collections[TEST_API_WATCHES];
        size_t n_objects, n_collections;
        unsigned version;
        const char *refuse_path;   /* collections whose path holds this … */
        const char *refuse_answer; /* … are answered so */
        bool is_mute;              /* watches are told nothing */
        unsigned n_lists;
} TestApi;

static inline bool test_api_fits(const TestCollection *c, const TestObject *o)
{
        char all[320], one[320], named[480];
        const char *slash = strrchr(o->path, '/');
        snprintf(all, sizeof all, "%s", o->path);
        snprintf(one, sizeof one, "%.*s/namespaces/%s%s", (int)(slash - o->path), o->path, o->ns,
                 slash);
        snprintf(named, sizeof named, "%s?fieldSelector=metadata.name%%3D%s", one, o->name);
        return strcmp(c->target, all) == 0 || strcmp(c->target, one) == 0 ||
               strcmp(c->target, named) == 0;
}

/* Lists what there is. */
static inline void test_api_fill(TestApi *a, TestCollection *c)
{
        bool first = true;
        buf_reset(&c->answer);
        buf_printf(&c->answer,
                   "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
                   "{\"metadata\":{\"resourceVersion\":\"%u\"},\"items\":[",
                   a->version);
        for (size_t i = 0; i < a->n_objects; i++) {
                if (a->objects[i].json == NULL || !test_api_fits(c, &a->objects[i]))
                        continue;
                buf_printf(&c->answer, "%s%s", first ? "" : ",", a->objects[i].json);
                first = false;
        }
        buf_add(&c->answer, "]}", 3);
        INSIST(!c->answer.failed);
        c->list.answer = c->answer.p;
        c->list.end = SCRIPT_CLOSE;
}

/* What came since then; a watch stalls after, and is pushed to. */
static inline void test_api_begin_watch(TestApi *a, TestCollection *c, Str request)
{
        ptrdiff_t at = str_find_str(request, STR("resourceVersion="));
        uint64_t since = 0;
        Str rest =
                at >= 0 ? str_sub(request, (size_t)at + strlen("resourceVersion="), 20) : (Str){0};
        Str digits = str_sub(rest, 0, strspn(rest.n > 0 ? rest.p : "", "0123456789"));
        IGNORE(str_to_u64(digits, UINT64_MAX, &since), "0 where there is none");
        buf_reset(&c->events);
        buf_printf(&c->events, "HTTP/1.1 200 OK\r\n\r\n");
        for (size_t i = 0; i < a->n_objects; i++) {
                const TestObject *o = &a->objects[i];
                if (o->json != NULL && o->version > since && test_api_fits(c, o))
                        buf_printf(&c->events, "{\"type\":\"MODIFIED\",\"object\":%s}\n", o->json);
        }
        buf_add_char(&c->events, '\0');
        INSIST(!c->events.failed);
        c->watch.answer = c->events.p;
        c->watch.end = SCRIPT_STALL;
}

static inline TestCollection *test_api_collection(TestApi *a, Str target)
{
        for (size_t i = 0; i < a->n_collections; i++) {
                if (str_eq(str_of(a->collections[i].target), target))
                        return &a->collections[i];
        }
        TestCollection *c = &a->collections[a->n_collections++];
        INSIST(a->n_collections <= TEST_API_WATCHES && target.n < sizeof c->target);
        memcpy(c->target, target.p, target.n);
        buf_init(&c->answer, 16 << 20);
        buf_init(&c->events, 16 << 20);
        return c;
}

/* The target without the parameters of lists and watches. */
static inline Str test_api_target(Str request, char buf[512])
{
        Str line, path, query = {0}, part;
        size_t n = 0;
        INSIST(str_cut(&request, ' ', &line) && str_cut(&request, ' ', &line));
        query = line;
        if (!str_cut(&query, '?', &path))
                query = (Str){0};
        memcpy(buf, path.p, path.n);
        n = path.n;
        while (query.n > 0) {
                IGNORE(str_cut(&query, '&', &part), "the last one");
                if (!str_starts(part, STR("fieldSelector")) &&
                    !str_starts(part, STR("labelSelector")))
                        continue;
                buf[n++] = '?';
                memcpy(buf + n, part.p, part.n);
                n += part.n;
        }
        return str_make(buf, n);
}

static inline ScriptPath *test_api_find(ScriptServer *s, Str request)
{
        TestApi *a = CONTAINER_OF(s, TestApi, w.server);
        static ScriptPath refused;
        char buf[512];
        Str target = test_api_target(request, buf);
        TestCollection *c = test_api_collection(a, target);
        if (a->refuse_path != NULL && strstr(c->target, a->refuse_path) != NULL) {
                refused = (ScriptPath){NULL, a->refuse_answer, SCRIPT_CLOSE, 0};
                return &refused;
        }
        /* As a server that cannot stream lists. */
        if (str_find_str(request, STR("sendInitialEvents=true")) >= 0) {
                refused = (ScriptPath){NULL,
                                       KUBE_SAYS("422 No",
                                                 "{\"kind\":\"Status\",\"reason\":\"Invalid\","
                                                 "\"message\":\"sendInitialEvents is forbidden\","
                                                 "\"code\":422}"),
                                       SCRIPT_CLOSE, 0};
                return &refused;
        }
        if (str_find_str(request, STR("watch=1")) >= 0) {
                test_api_begin_watch(a, c, request);
                return &c->watch;
        }
        test_api_fill(a, c);
        a->n_lists++;
        return &c->list;
}

static inline void test_api_tell(TestApi *a, const TestObject *o, const char *type)
{
        Buf line CLEANUP(buf_done);
        buf_init(&line, 1 << 20);
        buf_printf(&line, "{\"type\":\"%s\",\"object\":%s}\n", type, o->json);
        for (size_t i = 0; i < a->n_collections; i++) {
                if (!a->is_mute && test_api_fits(&a->collections[i], o))
                        script_server_push(&a->w.server, &a->collections[i].watch, buf_str(&line));
        }
}

static inline TestObject *test_api_object(TestApi *a, const char *path, const char *ns,
                                          const char *name)
{
        for (size_t i = 0; i < a->n_objects; i++) {
                TestObject *o = &a->objects[i];
                if (strcmp(o->path, path) == 0 && strcmp(o->ns, ns) == 0 &&
                    strcmp(o->name, name) == 0)
                        return o;
        }
        TestObject *o = &a->objects[a->n_objects++];
        INSIST(a->n_objects <= TEST_API_OBJECTS);
        snprintf(o->path, sizeof o->path, "%s", path);
        snprintf(o->ns, sizeof o->ns, "%s", ns);
        snprintf(o->name, sizeof o->name, "%s", name);
        return o;
}

/* `meta`: further members of metadata, each with a comma before it; `body`: of the object, with a
 * comma before it. */
static inline void test_api_put(TestApi *a, const char *path, const char *ns, const char *name,
                                const char *meta, const char *body)
{
        TestObject *o = test_api_object(a, path, ns, name);
        char *old = o->json;
        Buf json;
        o->version = ++a->version;
        if (old == NULL)
                o->uid = a->version;
        buf_init(&json, 1 << 20);
        buf_printf(
                &json,
                "{\"metadata\":{\"name\":\"%s\",%s%s%s\"uid\":\"u%u\",\"resourceVersion\":\"%u\","
                "\"generation\":%u%s}%s}",
                name, ns[0] != '\0' ? "\"namespace\":\"" : "", ns, ns[0] != '\0' ? "\"," : "",
                o->uid, o->version, o->version, meta, body);
        o->json = buf_take(&json, NULL);
        INSIST(o->json != NULL);
        mem_free(old);
        test_api_tell(a, o, old == NULL ? "ADDED" : "MODIFIED");
}

static inline void test_api_remove(TestApi *a, const char *path, const char *ns, const char *name)
{
        TestObject *o = test_api_object(a, path, ns, name);
        INSIST(o->json != NULL);
        a->version++;
        test_api_tell(a, o, "DELETED");
        o->json = mem_free(o->json);
}

static inline void test_api_init(TestApi *a)
{
        *a = (TestApi){.version = 1};
        kube_world_init(&a->w, "{token: abc}", 10000, 10000);
        a->w.server.find = test_api_find;
}

static inline void test_api_done(TestApi *a)
{
        kube_world_done(&a->w);
        for (size_t i = 0; i < a->n_objects; i++)
                mem_free(a->objects[i].json);
        for (size_t i = 0; i < a->n_collections; i++) {
                buf_done(&a->collections[i].answer);
                buf_done(&a->collections[i].events);
        }
}
