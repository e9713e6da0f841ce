/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For unit tests only: a loop on a test clock, an HTTP client, and a control server on the same
 * loop that answers each path with what the test says, and keeps what it was asked.
 */

#include "io/testing.h"
#include "net/http_client.h"
#include "net/script_server.h"

enum {
        API_ROUTES_MAX = 32,
        API_TURNS_MAX = 4000,
};

typedef struct ApiRoute {
        const char *prefix; /* "GET /api/v1/node"; the longest that fits counts */
        const char *answer; /* whole, with its head */
        ScriptEnd end;
} ApiRoute;

typedef struct ApiWorld {
        TestClock time;
        Clock clock;
        Loop *loop;
        HttpClient *http;
        ScriptServer server;
        char url[64];
        ApiRoute routes[API_ROUTES_MAX];
        size_t n_routes, seen;
        /* A line for each request: method, path, what is behind "Bearer", the body. */
        Buf log;
} ApiWorld;

#define API_OK(body) "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" body
#define API_SAYS(status, body) \
        "HTTP/1.1 " status "\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" body
#define API_404 API_SAYS("404 Not Found", "404 page not found\n")

static inline void api_world_init(ApiWorld *w)
{
        *w = (ApiWorld){.time = {{SPAN_S(1000).ns}, {INT64_C(1795381081000)}, 0}};
        w->clock = test_clock(&w->time);
        w->loop = loop_new(&w->clock);
        w->http = http_client_new(w->loop, NULL);
        script_server_open(&w->server, w->loop);
        script_server_set(&w->server, API_404, SCRIPT_CLOSE);
        snprintf(w->url, sizeof(w->url), "http://127.0.0.1:%u", w->server.port);
        buf_init(&w->log, 1 << 20);
}

static inline void api_world_done(ApiWorld *w)
{
        http_client_free(w->http);
        script_server_close(&w->server);
        loop_turn(w->loop, SPAN_MS(0));
        loop_free(w->loop);
        buf_done(&w->log);
}

/* From now on; what no prefix fits is a 404. */
static inline void api_route_end(ApiWorld *w, const char *prefix, const char *answer, ScriptEnd end)
{
        size_t i = 0;

        while (i < w->n_routes && strcmp(w->routes[i].prefix, prefix) != 0)
                i++;
        INSIST(i < API_ROUTES_MAX);
        w->routes[i] = (ApiRoute){prefix, answer, end};
        if (i == w->n_routes)
                w->n_routes++;
}

static inline void api_route(ApiWorld *w, const char *prefix, const char *answer)
{
        api_route_end(w, prefix, answer, SCRIPT_CLOSE);
}

static inline void api_choose(ApiWorld *w, Str request)
{
        const ApiRoute *best = NULL;

        for (size_t i = 0; i < w->n_routes; i++)
                if (str_starts(request, str_of(w->routes[i].prefix)) &&
                    (best == NULL || strlen(w->routes[i].prefix) > strlen(best->prefix)))
                        best = &w->routes[i];
        script_server_set(&w->server, best != NULL ? best->answer : API_404,
                          best != NULL ? best->end : SCRIPT_CLOSE);
}

static inline void api_note(ApiWorld *w, Str request)
{
        Str mark = STR("Authorization: Bearer "), rest = request, line, path;
        ptrdiff_t bearer = str_find_str(request, mark);
        ptrdiff_t body = str_find_str(request, STR("\r\n\r\n"));

        IGNORE(str_cut(&rest, ' ', &line), "the method");
        IGNORE(str_cut(&rest, ' ', &path), "the path");
        buf_printf(&w->log, "%.*s %.*s", STR_FMT(line), STR_FMT(path));
        if (bearer >= 0) {
                rest = str_sub(request, (size_t)bearer + mark.n, SIZE_MAX);
                IGNORE(str_cut(&rest, '\r', &line), "the credential");
                buf_printf(&w->log, " %.*s", STR_FMT(line));
        }
        if (body >= 0 && (size_t)body + 4 < request.n)
                buf_printf(&w->log, " %.*s", STR_FMT(str_sub(request, (size_t)body + 4, SIZE_MAX)));
        buf_add_char(&w->log, '\n');
}

/* A request that came whole is answered in a later turn, so there is time to choose. */
static inline void api_turn(ApiWorld *w)
{
        loop_turn(w->loop, SPAN_MS(5));
        if (w->server.n_requests == w->seen)
                return;
        INSIST(w->server.n_requests == w->seen + 1);
        w->seen++;
        api_choose(w, buf_str(&w->server.request));
        api_note(w, buf_str(&w->server.request));
}

/* Until *n is `to`. */
static inline void api_turn_until(ApiWorld *w, const unsigned *n, unsigned to)
{
        for (int i = 0; i < API_TURNS_MAX && *n < to; i++)
                api_turn(w);
        INSIST(*n == to);
}

/* Until it was asked `to` times in all. */
static inline void api_turn_until_asked(ApiWorld *w, size_t to)
{
        for (int i = 0; i < API_TURNS_MAX && w->seen < to; i++)
                api_turn(w);
        INSIST(w->seen == to);
}

/* What was asked since the last time, one line each. */
static inline const char *api_asked(ApiWorld *w, char *ret, size_t room)
{
        snprintf(ret, room, "%.*s", STR_FMT(buf_str(&w->log)));
        buf_reset(&w->log);
        return ret;
}
