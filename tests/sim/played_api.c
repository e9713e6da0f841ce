/* SPDX-License-Identifier: Apache-2.0 */
#include "played_api.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/http_server.h"
#include "proto/json.h"

enum {
        BOOKMARK_S = 60 /* as a real one */
};

typedef struct PlayedConn {
        Link link;
        PlayedApi *api;
        FdSource source;
        Buf in, out;
        const char *client;
        bool closes; /* when `out` is sent */
        bool hangs;  /* nothing is answered any more */
        bool watches;
        PlayedTarget target; /* of the watch; borrowed from: */
        char *path;
        char *only_name;  /* fieldSelector metadata.name; or NULL */
        char *only_label; /* "\"key\":\"value\"" of labelSelector key=value; or NULL */
        uint64_t from;    /* resourceVersion up to which it was told */
        Mono told;        /* when */
} PlayedConn;

static void conn_free(PlayedConn *c)
{
        int fd = c->source.fd;

        c->api->activity++;
        fd_source_close(&c->source);
        close(fd);
        link_remove(&c->link);
        buf_done(&c->in);
        buf_done(&c->out);
        mem_free(c->path);
        mem_free(c->only_name);
        mem_free(c->only_label);
        mem_free(c);
}

static bool happens(PlayedApi *api, unsigned per_thousand)
{
        api->chance = api->chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (api->chance >> 33) % 1000 < per_thousand;
}

/* ---- answers ---- */

static void want(PlayedConn *c)
{
        fd_source_want(&c->source, c->out.n > 0 ? FD_READ | FD_WRITE : FD_READ);
}

static void answer(PlayedConn *c, unsigned status, const char *more, Str body)
{
        buf_printf(&c->out,
                   "HTTP/1.1 %u X\r\nContent-Type: application/json\r\nContent-Length: "
                   "%zu\r\n%s\r\n",
                   status, body.n, more);
        buf_add_str(&c->out, body);
        want(c);
}

static void refuse(PlayedConn *c, unsigned status, const char *reason, const char *more)
{
        char body[256];
        int n = snprintf(body, sizeof(body),
                         "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\","
                         "\"reason\":\"%s\",\"code\":%u,\"message\":\"played: %s\"}",
                         reason, status, reason);

        answer(c, status, more, str_make(body, (size_t)n));
}

static const char *reason_of(unsigned status)
{
        return status == 404   ? "NotFound"
               : status == 409 ? "Conflict"
               : status == 410 ? "Expired"
               : status == 429 ? "TooManyRequests"
               : status == 400 ? "BadRequest"
                               : "InternalError";
}

/* ---- lists and watches ---- */

static bool is_wanted(const PlayedConn *c, const char *collection, const char *plural,
                      const char *ns, const char *name, const char *json)
{
        return played_store_is_in(&c->target, collection, plural, ns) &&
               (c->only_name == NULL || strcmp(c->only_name, name) == 0) &&
               (c->only_label == NULL || strstr(json, c->only_label) != NULL);
}

static void put_list(PlayedConn *c)
{
        CLEANUP(buf_done) Buf body;
        bool first = true;

        buf_init(&body, PLAYED_REQUEST_MAX);
        buf_printf(&body,
                   "{\"kind\":\"List\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":"
                   "\"%llu\"},\"items\":[",
                   (unsigned long long)c->api->store.version);
        LIST_FOREACH (PlayedObject, o, &c->api->store.objects, link) {
                if (!is_wanted(c, o->collection, o->plural, o->ns, o->name, o->json))
                        continue;
                buf_printf(&body, "%s%s", first ? "" : ",", o->json);
                first = false;
        }
        buf_add_str(&body, STR("]}"));
        answer(c, 200, "", buf_str(&body));
}

static void put_chunk(PlayedConn *c, Str line)
{
        buf_printf(&c->out, "%zx\r\n", line.n + 1);
        buf_add_str(&c->out, line);
        buf_add_str(&c->out, STR("\n\r\n"));
        want(c);
}

static void put_event(PlayedConn *c, const char *type, const char *json)
{
        CLEANUP(buf_done) Buf line;

        buf_init(&line, PLAYED_REQUEST_MAX);
        buf_printf(&line, "{\"type\":\"%s\",\"object\":%s}", type, json);
        put_chunk(c, buf_str(&line));
}

static void put_bookmark(PlayedConn *c, bool ends_list)
{
        char json[256];

        c->told = loop_now(c->api->loop);
        snprintf(
                json, sizeof(json),
                "{\"kind\":\"X\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"%llu\"%s"
                "}}",
                (unsigned long long)c->api->store.version,
                ends_list ? ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}" : "");
        put_event(c, "BOOKMARK", json);
}

static void end_watch(PlayedConn *c)
{
        buf_add_str(&c->out, STR("0\r\n\r\n"));
        c->watches = false;
        c->closes = true;
        want(c);
}

static void put_expired(PlayedConn *c)
{
        put_event(c, "ERROR",
                  "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"reason\":"
                  "\"Expired\",\"code\":410,\"message\":\"too old resource version\"}");
        end_watch(c);
}

static void tell_changes(PlayedConn *c)
{
        PlayedStore *s = &c->api->store;
        bool any = false;

        LIST_FOREACH (PlayedChange, x, &s->changes, link) {
                if (x->version <= c->from ||
                    !is_wanted(c, x->collection, x->plural, x->ns, x->name, x->json))
                        continue;
                put_event(c, x->type, x->json);
                any = true;
        }
        c->from = s->version;
        if (!any)
                return;
        c->told = loop_now(c->api->loop);
        c->api->activity++;
        if (happens(c->api, c->api->faults.cut))
                end_watch(c);
}

static void tell(PlayedConn *c)
{
        const PlayedStore *s = &c->api->store;

        if (!c->watches || c->hangs)
                return;
        if (c->from < s->compacted && c->from != s->version) {
                put_expired(c);
                return;
        }
        if (c->from != s->version)
                tell_changes(c);
        if (c->watches && mono_since(loop_now(c->api->loop), c->told).ns >= SPAN_S(BOOKMARK_S).ns)
                put_bookmark(c, false);
}

static void begin_watch(PlayedConn *c, uint64_t version, bool initial)
{
        buf_add_str(&c->out, STR("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\n"));
        c->watches = true;
        c->from = version;
        c->told = loop_now(c->api->loop);
        if (initial) {
                LIST_FOREACH (PlayedObject, o, &c->api->store.objects, link) {
                        if (is_wanted(c, o->collection, o->plural, o->ns, o->name, o->json))
                                put_event(c, "ADDED", o->json);
                }
                c->from = c->api->store.version;
                put_bookmark(c, true);
        }
        want(c);
        tell(c);
}

/* ---- requests ---- */

static char *copy(Str s)
{
        char *p = mem_new(s.n + 1);

        if (s.n > 0)
                memcpy(p, s.p, s.n);
        return p;
}

/* The value of a member of the query, decoded; NULL where there is none. Owned by the caller. */
static char *query_get(Str query, const char *name)
{
        CLEANUP(buf_done) Buf value;

        buf_init(&value, 4096);
        return http_query_get(query, str_of(name), &value) ? copy(buf_str(&value)) : NULL;
}

static void take_selectors(PlayedConn *c, Str query)
{
        char *field = query_get(query, "fieldSelector"), *label = query_get(query, "labelSelector");

        c->only_name = mem_free(c->only_name);
        c->only_label = mem_free(c->only_label);
        if (field != NULL && strncmp(field, "metadata.name=", 14) == 0)
                c->only_name = copy(str_of(field + 14));
        if (label != NULL && strchr(label, '=') != NULL) {
                Str value = str_of(label), key;
                CLEANUP(buf_done) Buf text;

                INSIST(str_cut(&value, '=', &key));
                buf_init(&text, 4096);
                buf_printf(&text, "\"%.*s\":\"%.*s\"", STR_FMT(key), STR_FMT(value));
                c->only_label = copy(buf_str(&text));
        }
        mem_free(field);
        mem_free(label);
}

static void do_read(PlayedConn *c, Str query)
{
        PlayedStore *s = &c->api->store;
        char *watch = query_get(query, "watch"), *version = query_get(query, "resourceVersion");
        char *initial = query_get(query, "sendInitialEvents");
        uint64_t from = s->version;

        take_selectors(c, query);
        if (watch != NULL && version != NULL)
                IGNORE(str_to_u64(str_of(version), UINT64_MAX, &from), "then it is the newest");
        if (watch != NULL) {
                begin_watch(c, from, initial != NULL && strcmp(initial, "true") == 0);
        } else if (c->target.name.n == 0) {
                put_list(c);
        } else {
                const PlayedObject *o = played_store_find(s, &c->target);

                if (o != NULL)
                        answer(c, 200, "", str_of(o->json));
                else
                        refuse(c, 404, "NotFound", "");
        }
        mem_free(watch);
        mem_free(version);
        mem_free(initial);
}

/* The name of what is created stands in its body. */
static Str name_in(Arena *arena, Str body)
{
        Err err = {0};
        const Tree *t = json_read(arena, body, NULL, &err);

        return tree_get_str(tree_get(t, STR("metadata")), STR("name"));
}

static Str uid_condition(Arena *arena, Str body)
{
        Err err = {0};
        const Tree *t = body.n > 0 ? json_read(arena, body, NULL, &err) : NULL;

        return tree_get_str(tree_get(t, STR("preconditions")), STR("uid"));
}

static void do_write(PlayedConn *c, const char *method, Str query, Str body, bool unsaid)
{
        PlayedApi *api = c->api;
        CLEANUP(arena_done) Arena arena;
        const PlayedObject *o = NULL;
        char *manager = query_get(query, "fieldManager");
        PlayedWrite w = {.target = c->target, .body = body, .now = loop_wall(api->loop)};
        PlayedCall call = {.client = c->client, .method = method, .body = body};
        unsigned status;

        arena_init(&arena, 0);
        if (strcmp(method, "POST") == 0)
                w.target.name = name_in(&arena, body);
        w.create = strcmp(method, "POST") == 0;
        if (strcmp(method, "PATCH") == 0 && manager != NULL)
                w.manager = str_of(manager);
        if (strcmp(method, "DELETE") == 0) {
                w.uid = uid_condition(&arena, body);
                status = played_store_delete(&api->store, &w);
        } else {
                status = played_store_write(&api->store, &w, &o);
        }
        api->n_writes++;
        call.target = w.target;
        call.manager = w.manager;
        call.status = status;
        if (api->on_write != NULL)
                api->on_write(api->owner, &call);
        if (unsaid)
                c->closes = true;
        else if (status > 201)
                refuse(c, status, reason_of(status), "");
        else
                answer(c, status, "", o != NULL ? str_of(o->json) : STR("{\"kind\":\"Status\"}"));
        mem_free(manager);
        arena_done(&arena);
        arena_init(&arena, 0);
}

static unsigned client_of(const PlayedApi *api, Str head)
{
        for (unsigned i = 0; i < PLAYED_CLIENTS; i++) {
                char text[80];

                if (api->clients[i] == NULL)
                        continue;
                snprintf(text, sizeof(text), "Bearer %s\r\n", api->clients[i]);
                if (str_find_str(head, str_of(text)) >= 0)
                        return i;
        }
        return PLAYED_CLIENTS;
}

static void take_request(PlayedConn *c, Str head, Str body)
{
        PlayedApi *api = c->api;
        const PlayedApiFaults *f = &api->faults;
        unsigned client = client_of(api, head);
        Str rest = head, method, path, query;
        char name[8];

        api->n_requests++;
        INSIST(str_cut(&rest, ' ', &method) && str_cut(&rest, ' ', &path) && method.n < 8);
        snprintf(name, sizeof(name), "%.*s", STR_FMT(method));
        c->client = client < PLAYED_CLIENTS ? api->clients[client] : "";
        mem_free(c->path);
        c->path = copy(path);
        query = str_of(c->path);
        if (!str_cut(&query, '?', &path))
                query = (Str){0};
        if (api->is_down || (client < PLAYED_CLIENTS && api->is_cut_off[client]) ||
            happens(api, f->hung))
                c->hangs = true;
        else if (happens(api, f->lost))
                c->closes = true;
        else if (happens(api, f->busy))
                refuse(c, 429, "TooManyRequests", "Retry-After: 1\r\n");
        else if (happens(api, f->broken))
                refuse(c, 500, "InternalError", "");
        else if (!played_target_of(path, &c->target))
                refuse(c, 404, "NotFound", "");
        else if (strcmp(name, "GET") == 0)
                do_read(c, query);
        else
                do_write(c, name, query, body, happens(api, f->unsaid));
}

/* ---- connections ---- */

/* One whole request of `in`, if there is one. */
static bool take_one(PlayedConn *c)
{
        Str in = buf_str(&c->in);
        ptrdiff_t end = str_find_str(in, STR("\r\n\r\n"));
        uint64_t n = 0;

        if (end < 0 || c->hangs || c->watches || c->closes)
                return false;
        Str head = str_sub(in, 0, (size_t)end + 2), value;
        ptrdiff_t length = str_find_str(head, STR("\r\nContent-Length: "));
        if (length >= 0) {
                Str rest = str_sub(head, (size_t)length + strlen("\r\nContent-Length: "), SIZE_MAX);

                INSIST(str_cut(&rest, '\r', &value) && str_to_u64(value, 1 << 24, &n));
        }
        if (in.n < (size_t)end + 4 + n)
                return false;
        take_request(c, head, str_sub(in, (size_t)end + 4, n));
        buf_consume(&c->in, (size_t)end + 4 + n);
        return true;
}

static void on_conn(FdSource *source, unsigned ready)
{
        PlayedConn *c = CONTAINER_OF(source, PlayedConn, source);
        char bytes[65536];

        c->api->activity++;
        if ((ready & FD_READ) != 0) {
                ssize_t n = recv(source->fd, bytes, sizeof(bytes), 0);

                if (n == 0 || (n < 0 && errno != EAGAIN)) {
                        conn_free(c);
                        return;
                }
                if (n > 0)
                        buf_add(&c->in, bytes, (size_t)n);
                while (take_one(c))
                        continue;
        }
        if (c->out.n > 0) {
                ssize_t n = send(source->fd, c->out.p, c->out.n, MSG_NOSIGNAL);

                if (n < 0 && errno != EAGAIN) {
                        conn_free(c);
                        return;
                }
                if (n > 0)
                        buf_consume(&c->out, (size_t)n);
        }
        if (c->closes && c->out.n == 0)
                conn_free(c);
        else
                want(c);
}

static void on_accept(FdSource *source, unsigned ready)
{
        PlayedApi *api = CONTAINER_OF(source, PlayedApi, accept);
        int fd = accept4(api->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        (void)ready;
        if (fd < 0)
                return;
        /* What waits for an acknowledgement waits 40 ms of real time, which may be minutes here. */
        INSIST(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) == 0);
        PlayedConn *c = mem_new(sizeof(*c));
        c->api = api;
        c->client = "";
        buf_init(&c->in, PLAYED_REQUEST_MAX);
        buf_init(&c->out, 4 * PLAYED_REQUEST_MAX);
        fd_source_init(&c->source, api->loop, fd, on_conn);
        fd_source_want(&c->source, FD_READ);
        list_add(&api->conns, &c->link);
        api->activity++;
}

void played_api_open(PlayedApi *api, Loop *loop, uint64_t seed)
{
        struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        socklen_t n = sizeof(sa);

        api->loop = loop;
        api->chance = seed;
        played_store_init(&api->store);
        list_init(&api->conns);
        api->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        INSIST(api->fd >= 0 && bind(api->fd, (struct sockaddr *)&sa, n) == 0 &&
               listen(api->fd, 1024) == 0 && getsockname(api->fd, (struct sockaddr *)&sa, &n) == 0);
        api->port = ntohs(sa.sin_port);
        fd_source_init(&api->accept, loop, api->fd, on_accept);
        fd_source_want(&api->accept, FD_READ);
}

void played_api_close(PlayedApi *api)
{
        LIST_FOREACH (PlayedConn, c, &api->conns, link)
                conn_free(c);
        fd_source_close(&api->accept);
        close(api->fd);
        played_store_done(&api->store);
}

/* ---- what a test does ---- */

void played_api_put(PlayedApi *api, const char *path, const char *body)
{
        const PlayedObject *o;
        PlayedWrite w = {.manager = STR("user"), .body = str_of(body), .now = loop_wall(api->loop)};

        INSIST(played_target_of(str_of(path), &w.target));
        INSIST(played_store_write(&api->store, &w, &o) <= 201);
}

void played_api_remove(PlayedApi *api, const char *path)
{
        PlayedWrite w = {.now = loop_wall(api->loop)};

        INSIST(played_target_of(str_of(path), &w.target));
        IGNORE(played_store_delete(&api->store, &w), "it may be gone");
}

const char *played_api_get(const PlayedApi *api, const char *path)
{
        PlayedTarget t;

        INSIST(played_target_of(str_of(path), &t));
        const PlayedObject *o = played_store_find(&api->store, &t);
        return o != NULL ? o->json : NULL;
}

static bool is_reached(const PlayedApi *api, const PlayedConn *c)
{
        for (unsigned i = 0; i < PLAYED_CLIENTS; i++) {
                if (api->is_cut_off[i] && c->client == api->clients[i])
                        return false;
        }
        return !api->is_down;
}

void played_api_tell(PlayedApi *api)
{
        LIST_FOREACH (PlayedConn, c, &api->conns, link) {
                if (is_reached(api, c))
                        tell(c);
        }
}

void played_api_cut_watches(PlayedApi *api)
{
        LIST_FOREACH (PlayedConn, c, &api->conns, link) {
                if (c->watches)
                        end_watch(c);
        }
}
