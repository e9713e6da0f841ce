/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For unit tests only: as much of an API server as it takes to be written to: server-side apply by
 * field managers (whose lists are atomic), the status subresource, delete with a precondition, and
 * one fault on demand. What stands there is told as a Table of Observed, as a watch would.
 * Header only, because test code is in no library.
 */

#include "execute/test_merge.h"
#include "kube/kube_test_world.h"
#include "model/observed.h"
#include "proto/json.h"

enum {
        API_OBJECTS_MAX = 32,
        API_MANAGERS_MAX = 8,
        API_REQUESTS_MAX = 512,
};

/* What happens to one request. */
typedef enum ApiFault {
        API_WELL,
        API_REFUSED_500,
        API_REFUSED_MISFIT, /* its definition is older */
        API_REFUSED_409,
        API_REFUSED_403,
        API_REFUSED_422,
        API_REFUSED_429,
        API_REFUSED_404,
        API_UNANSWERED,   /* done, but the answer is lost */
        API_NOT_ANSWERED, /* not done, and the connection is cut */
        API_FAULTS,
} ApiFault;

typedef struct ApiObject {
        char path[512]; /* "/apis/…/name"; empty: free */
        ObservedKind kind;
        char uid[32];
        uint64_t version, generation;
        struct {
                char name[128];
                char *body; /* owned */
                bool is_status;
        } managers[API_MANAGERS_MAX];
} ApiObject;

typedef struct ApiServer {
        KubeWorld w;
        Arena arena; /* of all that a test needs */
        ApiObject objects[API_OBJECTS_MAX];
        uint64_t version, uids;
        ScriptPath answers[API_REQUESTS_MAX];
        char *texts[API_REQUESTS_MAX];   /* owned */
        size_t n;                        /* requests */
        size_t n_writes;                 /* that changed something */
        char log[API_REQUESTS_MAX][160]; /* "PATCH name status manager" */
        size_t fault_at;                 /* the number of the request that meets it */
        ApiFault fault;
        const char *fault_in; /* what meets it, too: each request with this in its path; or NULL */
} ApiServer;

/* ---- objects ---- */

static inline ApiObject *api_find(ApiServer *s, Str path)
{
        for (size_t i = 0; i < API_OBJECTS_MAX; i++)
                if (s->objects[i].path[0] != '\0' && str_eq(str_of(s->objects[i].path), path))
                        return &s->objects[i];
        return NULL;
}

static inline const Tree *api_tree(ApiServer *s, const ApiObject *o)
{
        const Tree *trees[API_MANAGERS_MAX + 1];
        size_t n = 0;
        Buf b;
        JsonWriter w;
        buf_init(&b, 1 << 20);
        buf_printf(
                &b,
                "{\"metadata\":{\"uid\":\"%s\",\"resourceVersion\":\"%llu\",\"generation\":%llu}}",
                o->uid, (unsigned long long)o->version, (unsigned long long)o->generation);
        for (size_t i = 0; i < API_MANAGERS_MAX; i++)
                if (o->managers[i].body != NULL)
                        trees[n++] = json_read(&s->arena, str_of(o->managers[i].body), NULL, NULL);
        trees[n++] = json_read(&s->arena, buf_str(&b), NULL, NULL);
        buf_reset(&b);
        json_writer_init(&w, &b);
        api_merge(&w, trees, n);
        const Tree *all = json_read(&s->arena, buf_str(&b), NULL, NULL);
        INSIST(all != NULL);
        buf_done(&b);
        return all;
}

static inline void api_forget(ApiObject *o)
{
        for (size_t i = 0; i < API_MANAGERS_MAX; i++)
                mem_free(o->managers[i].body);
        *o = (ApiObject){0};
}

/* What the watches would show. */
static inline const Table *api_observed(ApiServer *s)
{
        const void *leaves[API_OBJECTS_MAX];
        size_t n = 0;
        for (size_t i = 0; i < API_OBJECTS_MAX; i++)
                if (s->objects[i].path[0] != '\0')
                        leaves[n++] = observed_new(s->objects[i].kind, api_tree(s, &s->objects[i]));
        return table_new(leaves, n, observed_order);
}

static inline ObservedKind api_kind(Str path)
{
        static const struct {
                const char *plural;
                ObservedKind kind;
        } kinds[] = {
                {"/tailscaletailnets/", OBSERVED_TAILNET},
                {"/tailscalegateways/", OBSERVED_GATEWAY},
                {"/tailscaleendpoints/", OBSERVED_ENDPOINTS},
                {"/tailscalegatewaybindings/", OBSERVED_BINDING},
        };
        for (size_t i = 0; i < LENGTH_OF(kinds); i++)
                if (str_find_str(path, str_of(kinds[i].plural)) >= 0)
                        return kinds[i].kind;
        INSIST(false);
}

/* As `manager`; false: it was that already. */
static inline bool api_apply(ApiServer *s, Str path, const char *manager, bool is_status, Str body)
{
        ApiObject *o = api_find(s, path);
        for (size_t i = 0; o == NULL; i++) {
                INSIST(i < API_OBJECTS_MAX);
                if (s->objects[i].path[0] != '\0')
                        continue;
                o = &s->objects[i];
                *o = (ApiObject){.kind = api_kind(path)};
                snprintf(o->path, sizeof o->path, "%.*s", STR_FMT(path));
                snprintf(o->uid, sizeof o->uid, "uid-%llu", (unsigned long long)++s->uids);
        }
        for (size_t i = 0;; i++) {
                INSIST(i < API_MANAGERS_MAX);
                char *at = o->managers[i].name;
                if (at[0] != '\0' &&
                    (strcmp(at, manager) != 0 || o->managers[i].is_status != is_status))
                        continue;
                bool is_same =
                        o->managers[i].body != NULL && str_eq(str_of(o->managers[i].body), body);
                snprintf(at, sizeof o->managers[i].name, "%s", manager);
                mem_free(o->managers[i].body);
                o->managers[i].body = mem_new(body.n + 1);
                memcpy(o->managers[i].body, body.p, body.n);
                o->managers[i].is_status = is_status;
                if (!is_same)
                        o->version = ++s->version;
                o->generation += !is_same && !is_status;
                return !is_same;
        }
}

/* ---- requests ---- */

static inline const char *api_refusal(ApiFault fault)
{
        static const char *const all[API_FAULTS] = {
                [API_REFUSED_500] = KUBE_SAYS("500 Internal Server Error", "{}"),
                [API_REFUSED_MISFIT] = KUBE_SAYS(
                        "500 Internal Server Error",
                        "{\"kind\":\"Status\",\"message\":\"failed to create typed patch object "
                        "(demo/x; gateway.tailscale.com/v1alpha1, Kind=X): "
                        ".spec.list[name=\\\"a\\\",port=80].new: field not declared in schema\","
                        "\"code\":500}"),
                [API_REFUSED_409] =
                        KUBE_SAYS("409 Conflict", "{\"kind\":\"Status\",\"status\":\"Failure\","
                                                  "\"reason\":\"Conflict\",\"code\":409}"),
                [API_REFUSED_403] = KUBE_SAYS("403 Forbidden", "{}"),
                [API_REFUSED_422] = KUBE_SAYS("422 Unprocessable Entity", "{}"),
                [API_REFUSED_429] = "HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\n"
                                    "Retry-After: 20\r\n\r\n{}",
                [API_REFUSED_404] = KUBE_SAYS("404 Not Found", "{}"),
                [API_UNANSWERED] = "",
                [API_NOT_ANSWERED] = "",
        };
        return all[fault];
}

static inline char *api_answer(ApiServer *s, const ApiObject *o)
{
        Buf b;
        JsonWriter w;
        buf_init(&b, 1 << 20);
        buf_add_str(&b, STR("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"));
        json_writer_init(&w, &b);
        json_tree(&w, api_tree(s, o));
        return buf_take(&b, NULL);
}

static inline char *api_text(const char *z)
{
        char *p = mem_new(strlen(z) + 1);
        memcpy(p, z, strlen(z));
        return p;
}

static inline char *api_patch(ApiServer *s, Str path, const char *manager, Str body)
{
        bool is_status = str_ends(path, STR("/status"));
        Str object = is_status ? str_sub(path, 0, path.n - strlen("/status")) : path;
        const Tree *t = json_read(&s->arena, body, NULL, NULL);
        INSIST(t != NULL);
        Str uid = tree_get_str(tree_get(t, STR("metadata")), STR("uid"));
        const ApiObject *o = api_find(s, object);
        if (o == NULL && is_status)
                return api_text(api_refusal(API_REFUSED_404));
        if (uid.n > 0 && (o == NULL || !str_eq(str_of(o->uid), uid)))
                return api_text(api_refusal(API_REFUSED_409));
        s->n_writes += api_apply(s, object, manager, is_status, body);
        return api_answer(s, api_find(s, object));
}

static inline char *api_delete(ApiServer *s, Str path, Str body)
{
        ApiObject *o = api_find(s, path);
        if (o == NULL)
                return api_text(api_refusal(API_REFUSED_404));
        const Tree *t = body.n > 0 ? json_read(&s->arena, body, NULL, NULL) : NULL;
        Str uid = tree_get_str(tree_get(t, STR("preconditions")), STR("uid"));
        if (uid.n > 0 && !str_eq(uid, str_of(o->uid)))
                return api_text(api_refusal(API_REFUSED_409));
        api_forget(o);
        s->version++;
        s->n_writes++;
        return api_text(KUBE_OK("{\"kind\":\"Status\",\"status\":\"Success\"}"));
}

static inline char *api_serve(ApiServer *s, Str request, size_t number)
{
        Str method, target, path, rest = request, manager = {0};
        ptrdiff_t head = str_find_str(request, STR("\r\n\r\n"));
        Str body = str_sub(request, (size_t)head + 4, request.n);
        char name[128];
        INSIST(str_cut(&rest, ' ', &method) && str_cut(&rest, ' ', &target));
        if (!str_cut(&target, '?', &path))
                path = target.n > 0 ? target : path;
        ptrdiff_t at = str_find_str(target, STR("fieldManager="));
        if (at >= 0) {
                manager = str_sub(target, (size_t)at + strlen("fieldManager="), target.n);
                Str all = manager;
                IGNORE(str_cut(&all, '&', &manager), "it may be the last");
        }
        snprintf(name, sizeof name, "%.*s", STR_FMT(manager));
        snprintf(s->log[number], sizeof s->log[number], "%.*s %.*s %s", STR_FMT(method),
                 STR_FMT(path), name);
        bool is_met = s->fault_in != NULL && str_find_str(path, str_of(s->fault_in)) >= 0;
        bool is_fault = (is_met || number == s->fault_at) && s->fault != API_WELL;
        if (is_fault && s->fault != API_UNANSWERED)
                return api_text(api_refusal(s->fault));
        char *answer = str_eq(method, STR("DELETE")) ? api_delete(s, path, body)
                                                     : api_patch(s, path, name, body);
        if (!is_fault)
                return answer;
        mem_free(answer);
        return api_text("");
}

static inline ScriptPath *api_find_answer(ScriptServer *script, Str request)
{
        KubeWorld *w = CONTAINER_OF(script, KubeWorld, server);
        ApiServer *s = CONTAINER_OF(w, ApiServer, w);
        INSIST(s->n < API_REQUESTS_MAX);
        size_t number = s->n++;
        s->texts[number] = api_serve(s, request, number);
        s->answers[number] = (ScriptPath){.answer = s->texts[number], .end = SCRIPT_CLOSE};
        return &s->answers[number];
}

static inline void api_server_init(ApiServer *s)
{
        *s = (ApiServer){.version = 100, .fault_at = SIZE_MAX};
        arena_init(&s->arena, 0);
        kube_world_init(&s->w, "{token: abc}", 10000, 1000);
        s->w.server.find = api_find_answer;
}

static inline void api_server_done(ApiServer *s)
{
        kube_world_done(&s->w);
        for (size_t i = 0; i < s->n; i++)
                mem_free(s->texts[i]);
        for (size_t i = 0; i < API_OBJECTS_MAX; i++)
                api_forget(&s->objects[i]);
        arena_done(&s->arena);
}
