/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/admin_get.h"

#include "io/address.h"
#include "io/loop.h"
#include "net/http_client.h"
#include "proto/json.h"

#include <ctype.h>
#include <signal.h>

typedef struct Get {
        Loop *loop;
        Buf *out;
        Err *err;
        bool ok;
} Get;

static void on_done(HttpRequest *r, const HttpResult *result)
{
        Get *g = http_request_owner(r);
        if (result->err.kind != ERR_NONE)
                g->ok = err_set(g->err, result->err.kind, result->err.reason, "%s",
                                result->err.text);
        else if (result->status != 200)
                g->ok = err_set(g->err, ERR_INVALID, "UnexpectedStatus", "answered %u: %.*s",
                                result->status, STR_FMT(str_trim(result->body)));
        else
                buf_add_str(g->out, result->body);
        loop_stop(g->loop);
}

void admin_get_encode(Buf *out, Str value)
{
        for (size_t i = 0; i < value.n; i++) {
                unsigned char c = (unsigned char)value.p[i];
                if (isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~')
                        buf_add_char(out, (char)c);
                else
                        buf_printf(out, "%%%02X", c);
        }
}

/* `form`: of a POST, or NULL. */
static bool request(Str address, Str path, const Secret *form, Buf *out, Err *err)
{
        Address a;
        if (!address_parse(address, &a, err))
                return false;
        /* A peer that hangs up is told by the answer, not by a signal. */
        IGNORE(signal(SIGPIPE, SIG_IGN), "cannot fail for a signal that exists");
        Str socket = str_of(a.text), authority = socket;
        bool is_unix = str_starts(socket, STR("unix://"));
        if (str_starts(authority, STR("tcp://")))
                authority = str_sub(authority, strlen("tcp://"), authority.n);
        CLEANUP(buf_done) Buf url;
        buf_init(&url, HTTP_CLIENT_URL_MAX);
        buf_printf(&url, "http://%.*s%.*s", STR_FMT(is_unix ? STR("localhost") : authority),
                   STR_FMT(path));
        buf_add_char(&url, '\0');
        if (url.failed)
                return err_set(err, ERR_LIMIT, "TooLong", "the request is longer than %d bytes",
                               HTTP_CLIENT_URL_MAX);
        Get g = {.loop = loop_new(NULL), .out = out, .err = err, .ok = true};
        HttpClient *client = http_client_new(g.loop, NULL);
        HttpRequest *r = http_request_open(
                client, &(HttpRequestInput){
                                .url = url.p,
                                .unix_socket = is_unix ? a.text + strlen("unix://") : NULL,
                                .form = form,
                                .deadline = SPAN_S(ADMIN_GET_SECONDS),
                                .max_bytes = ADMIN_GET_BYTES_MAX,
                                .on_done = on_done,
                                .owner = &g,
                        });
        loop_run(g.loop);
        http_request_close(r);
        http_client_free(client);
        loop_free(g.loop);
        return g.ok || err_prefix(err, "%.*s", STR_FMT(address));
}

bool admin_get(Str address, Str path, Buf *out, Err *err)
{
        return request(address, path, NULL, out, err);
}

bool admin_post(Str address, Str path, Buf *out, Err *err)
{
        Secret *nothing = secret_new((Str){0});
        bool ok = request(address, path, nothing, out, err);
        secret_free(nothing);
        return ok;
}

const Tree *admin_get_read(Arena *arena, Str json, Err *err)
{
        static const JsonLimits limits = {ADMIN_GET_BYTES_MAX, ADMIN_GET_NODES_MAX};
        return json_read_within(arena, json, &limits, NULL, err);
}
