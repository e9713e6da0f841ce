/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/admin.h"

#include "base/mem.h"
#include "net/http_server.h"
#include "translate/explain.h"

struct Admin {
        AdminInput in;
        HttpServer *admin, *metrics;
};

static void text(HttpExchange *x, unsigned status, const char *line)
{
        x->status = status;
        buf_add_str(&x->out, str_of(line));
        buf_add_char(&x->out, '\n');
}

static void ready(const AdminView *v, HttpExchange *x)
{
        if (v->world->complete && v->snapshot != NULL)
                text(x, 200, "ok");
        else if (!v->world->resources_read)
                text(x, 503,
                     "not ready: the resource directories have not been read without a fault yet");
        else
                text(x, 503, "not ready: a tailnet has neither answered nor a cached list yet");
}

/* What both addresses answer; false where it is none of these. */
static bool common(const AdminView *v, HttpExchange *x)
{
        if (str_eq(x->path, STR("/healthz"))) {
                text(x, 200, "ok");
        } else if (str_eq(x->path, STR("/readyz"))) {
                ready(v, x);
        } else if (str_eq(x->path, STR("/metrics"))) {
                x->content_type = "text/plain; version=0.0.4; charset=utf-8";
                metrics_page(v, &x->out);
        } else {
                return false;
        }
        return true;
}

static void explain(const AdminView *v, HttpExchange *x)
{
        Buf url;
        buf_init(&url, 8 << 10);
        if (!http_query_get(x->query, STR("url"), &url)) {
                text(x, 400, "explain: give the URL as ?url=…");
        } else if (v->snapshot == NULL) {
                text(x, 503, "explain: nothing has been read yet");
        } else {
                x->content_type = "application/json";
                explain_url(v->snapshot, v->report, v->facts, buf_str(&url), &x->out);
        }
        buf_done(&url);
}

/* ?namespace=…&gateway=…&tailnet=…&digest=… */
static void approve(Admin *a, HttpExchange *x)
{
        static const char *const names[] = {"namespace", "gateway", "tailnet", "digest"};
        Buf values[LENGTH_OF(names)];
        bool all = true;
        for (size_t i = 0; i < LENGTH_OF(names); i++) {
                buf_init(&values[i], 256);
                all &= http_query_get(x->query, str_of(names[i]), &values[i]);
        }
        Err err = {0};
        EntryKey key = {{buf_str(&values[0]), buf_str(&values[1])}, buf_str(&values[2])};
        if (!all)
                text(x, 400, "approve-removal: give namespace, gateway, tailnet and digest");
        else if (a->in.approve(a->in.owner, key, buf_str(&values[3]), &err))
                text(x, 200, "approved");
        else
                text(x, 409, err.text);
        for (size_t i = 0; i < LENGTH_OF(names); i++)
                buf_done(&values[i]);
}

static void on_metrics(void *ctx, HttpExchange *x)
{
        const Admin *a = ctx;
        AdminView v = {0};
        a->in.view(a->in.owner, &v);
        if (x->verb != HTTP_GET)
                text(x, 405, "only GET is answered here");
        else if (!common(&v, x))
                text(x, 404, "not found; there are /metrics, /healthz and /readyz");
}

static void on_admin(void *ctx, HttpExchange *x)
{
        Admin *a = ctx;
        if (x->verb == HTTP_POST && str_eq(x->path, STR("/approve-removal"))) {
                approve(a, x);
                return;
        }
        AdminView v = {0};
        a->in.view(a->in.owner, &v);
        if (x->verb != HTTP_GET) {
                text(x, 405, "only GET is answered here");
        } else if (str_eq(x->path, STR("/state"))) {
                x->content_type = "application/json";
                state_page(&v, &x->out);
        } else if (str_eq(x->path, STR("/explain"))) {
                explain(&v, x);
        } else if (!common(&v, x)) {
                text(x, 404,
                     "not found; there are /state, /explain?url=…, /metrics, /healthz and /readyz");
        }
}

static HttpServer *open_server(Admin *a, const Address *address, HttpHandler *fn, Err *err)
{
        return http_server_open(
                &(HttpServerInput){
                        .loop = a->in.loop,
                        .log = a->in.log,
                        .address = address,
                        .fn = fn,
                        .ctx = a,
                },
                err);
}

static bool open_servers(Admin *a, Err *err)
{
        if (a->in.admin != NULL && !address_is_local(a->in.admin))
                return err_set(err, ERR_INVALID, "NotLocal",
                               "--admin-address %s: it shows everything, so it must be a loopback "
                               "address or a unix socket",
                               a->in.admin->text);
        if (a->in.admin != NULL) {
                a->admin = open_server(a, a->in.admin, on_admin, err);
                if (a->admin == NULL)
                        return err_prefix(err, "--admin-address");
        }
        if (a->in.metrics != NULL) {
                a->metrics = open_server(a, a->in.metrics, on_metrics, err);
                if (a->metrics == NULL)
                        return err_prefix(err, "--metrics-address");
        }
        return true;
}

Admin *admin_open(const AdminInput *in, Err *err)
{
        Admin *a = mem_new(sizeof *a);
        a->in = *in;
        if (!open_servers(a, err))
                return admin_close(a);
        return a;
}

Admin *admin_close(Admin *a)
{
        if (a == NULL)
                return NULL;
        a->admin = http_server_close(a->admin);
        a->metrics = http_server_close(a->metrics);
        return mem_free(a);
}
