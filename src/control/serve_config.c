/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts of tailscaled (ipn/serve.go, ipn/ipnlocal/serve.go):
 *  - TCP maps a port to a handler; a forward is {"TCPForward": "host:port", "ProxyProtocol": 2}.
 *  - A foreground session (a `tailscale serve` that runs in a terminal) wins over TCP on the same
 *    port, and while it lasts tailscaled refuses every configuration that has the port in TCP. So
 *    ours must not be in it, even where only something else is changed.
 *  - AllowFunnel maps "name:port" to whether the internet may connect to that port, whatever
 *    handles it. A forward of ours there would carry the internet to a listener that was made for
 *    a tailnet.
 *  - Services have addresses of their own, so their ports collide with nothing here.
 */
#include "control/serve_config.h"

#include "proto/json.h"
#include "proto/json_writer.h"

enum {
        PORT_MAX = 65535,
        PROXY_VERSION = 2,
};

typedef struct Merge {
        Arena *arena;
        const Tree *config; /* TREE_OBJECT or TREE_NULL */
        ServeForwards wanted, known;
        ServeStep *step;
} Merge;

int serve_forward_cmp(const ServeForward *a, const ServeForward *b)
{
        if (a->port != b->port)
                return a->port < b->port ? -1 : 1;
        return str_cmp(a->target, b->target);
}

/* Which of two members with one name counts, the daemon decides; it never writes such. */
static bool has_duplicate(const Tree *node)
{
        TREE_FOREACH (child, node)
                if (child->duplicate || has_duplicate(child))
                        return true;
        return false;
}

/* A Go map: an object, or nothing. */
static bool is_map(const Tree *node)
{
        return node == NULL || node->type == TREE_OBJECT || node->type == TREE_NULL;
}

static bool is_config(const Tree *node)
{
        return is_map(node) && is_map(tree_get(node, STR("TCP"))) &&
               is_map(tree_get(node, STR("AllowFunnel")));
}

/* What is wrong with it; NULL: nothing. */
static const char *fault_of(const Tree *root)
{
        if (!is_config(root) || !is_map(tree_get(root, STR("Foreground"))))
                return "has another form";
        TREE_FOREACH (session, tree_get(root, STR("Foreground")))
                if (!is_config(session))
                        return "has another form";
        return has_duplicate(root) ? "has a key twice" : NULL;
}

const Tree *serve_config_read(Arena *arena, Str bytes, Err *err)
{
        static const JsonLimits limits = {SERVE_CONFIG_BYTES_MAX, SERVE_CONFIG_NODES_MAX};
        Err why = {0};
        const Tree *root = json_read_within(arena, bytes, &limits, NULL, &why);

        if (root == NULL) {
                err_set(err, ERR_INVALID, "NotServeConfig", "the serve configuration is none: %s",
                        why.text);
                return NULL;
        }
        const char *fault = fault_of(root);
        if (fault != NULL) {
                err_set(err, ERR_INVALID, "NotServeConfig",
                        "the serve configuration is none: it %s", fault);
                return NULL;
        }
        return root;
}

/* 0: it is none, or not written as the daemon writes it. */
static uint16_t port_of(Str text)
{
        uint64_t port;

        return str_to_u64(text, PORT_MAX, &port) && text.p[0] != '0' ? (uint16_t)port : 0;
}

/* Where a handler of the form that we write leads; empty: it is another. */
static Str forward_target(const Tree *handler)
{
        int64_t version;

        if (handler->type != TREE_OBJECT || handler->n != 2 ||
            !tree_i64(tree_get(handler, STR("ProxyProtocol")), PROXY_VERSION, PROXY_VERSION, false,
                      &version))
                return (Str){0};
        return tree_get_str(handler, STR("TCPForward"));
}

static const ServeForward *wanted_at(const Merge *m, uint16_t port)
{
        for (size_t i = 0; i < m->wanted.n; i++)
                if (m->wanted.at[i].port == port)
                        return &m->wanted.at[i];
        return NULL;
}

static bool is_known(const Merge *m, uint16_t port, Str target)
{
        for (size_t i = 0; i < m->known.n; i++)
                if (m->known.at[i].port == port && str_eq(m->known.at[i].target, target))
                        return true;
        return false;
}

static bool is_ours(const Merge *m, const Tree *handler)
{
        uint16_t port = port_of(handler->key);
        Str target = forward_target(handler);
        const ServeForward *wanted = wanted_at(m, port);

        if (port == 0 || target.n == 0)
                return false;
        return (wanted != NULL && str_eq(wanted->target, target)) || is_known(m, port, target);
}

/* ---- who has a port ---- */

static const Tree *handler_at(const Tree *config, uint16_t port)
{
        TREE_FOREACH (handler, tree_get(config, STR("TCP")))
                if (port_of(handler->key) == port)
                        return handler;
        return NULL;
}

static bool is_in_foreground(const Merge *m, uint16_t port)
{
        TREE_FOREACH (session, tree_get(m->config, STR("Foreground")))
                if (handler_at(session, port) != NULL)
                        return true;
        return false;
}

/* Of "name:port", of an IPv6 address "[::1]:443". */
static bool ends_in_port(Str host_port, uint16_t port)
{
        for (size_t i = host_port.n; i > 0; i--)
                if (host_port.p[i - 1] == ':')
                        return port_of(str_sub(host_port, i, SIZE_MAX)) == port;
        return false;
}

static bool has_funnel(const Tree *config, uint16_t port)
{
        TREE_FOREACH (funnel, tree_get(config, STR("AllowFunnel")))
                if (tree_bool(funnel, false) && ends_in_port(funnel->key, port))
                        return true;
        return false;
}

static bool is_funnelled(const Merge *m, uint16_t port)
{
        if (has_funnel(m->config, port))
                return true;
        TREE_FOREACH (session, tree_get(m->config, STR("Foreground")))
                if (has_funnel(session, port))
                        return true;
        return false;
}

static Str describe(const Merge *m, const Tree *handler)
{
        Str to = tree_get_str(handler, STR("TCPForward"));

        if (tree_get_bool(handler, STR("HTTPS"), false))
                return STR("tailscaled serves HTTPS there");
        if (tree_get_bool(handler, STR("HTTP"), false))
                return STR("tailscaled serves HTTP there");
        return to.n > 0 ? arena_printf(m->arena, "it is forwarded to %.*s", STR_FMT(to))
                        : STR("it has another handler");
}

static ServeDecision decide(const Merge *m, const ServeForward *f)
{
        const Tree *handler = handler_at(m->config, f->port);

        if (is_funnelled(m, f->port))
                return (ServeDecision){SERVE_FUNNEL_ON,
                                       STR("Funnel opens it to the internet (AllowFunnel)")};
        if (is_in_foreground(m, f->port))
                return (ServeDecision){SERVE_PORT_TAKEN,
                                       STR("a `tailscale serve` that runs in a terminal has it")};
        if (handler == NULL)
                return (ServeDecision){.verdict = SERVE_SETS};
        if (!is_ours(m, handler))
                return (ServeDecision){SERVE_PORT_TAKEN, describe(m, handler)};
        return (ServeDecision){.verdict = str_eq(forward_target(handler), f->target) ? SERVE_STANDS
                                                                                     : SERVE_SETS};
}

static bool is_written(const ServeDecision *d)
{
        return d->verdict == SERVE_STANDS || d->verdict == SERVE_SETS;
}

/* ---- the next one ---- */

static void write_forward(const Merge *m, JsonWriter *w, const ServeForward *f)
{
        json_key_object_begin(w, arena_printf(m->arena, "%u", f->port));
        json_key_str(w, STR("TCPForward"), f->target);
        json_key_u64(w, STR("ProxyProtocol"), PROXY_VERSION);
        json_object_end(w);
}

static bool has_tcp_next(const Merge *m)
{
        for (size_t i = 0; i < m->wanted.n; i++)
                if (is_written(&m->step->decisions[i]))
                        return true;
        TREE_FOREACH (handler, tree_get(m->config, STR("TCP")))
                if (!is_ours(m, handler))
                        return true;
        return false;
}

static void write_tcp(const Merge *m, JsonWriter *w)
{
        json_key_object_begin(w, STR("TCP"));
        TREE_FOREACH (handler, tree_get(m->config, STR("TCP"))) {
                if (is_ours(m, handler))
                        continue;
                json_key(w, handler->key);
                json_tree(w, handler);
        }
        for (size_t i = 0; i < m->wanted.n; i++)
                if (is_written(&m->step->decisions[i]))
                        write_forward(m, w, &m->wanted.at[i]);
        json_object_end(w);
}

static void write_next(const Merge *m, Buf *next)
{
        bool has_tcp = has_tcp_next(m);
        JsonWriter w;

        json_writer_init(&w, next);
        json_object_begin(&w);
        TREE_FOREACH (member, m->config) {
                if (str_eq(member->key, STR("TCP")))
                        continue;
                json_key(&w, member->key);
                json_tree(&w, member);
        }
        if (has_tcp)
                write_tcp(m, &w);
        json_object_end(&w);
}

/* Ours that stand where nothing of ours is to stand. */
static size_t count_removed(const Merge *m)
{
        size_t n = 0;

        TREE_FOREACH (handler, tree_get(m->config, STR("TCP"))) {
                const ServeForward *wanted = wanted_at(m, port_of(handler->key));
                if (is_ours(m, handler) &&
                    (wanted == NULL || !is_written(&m->step->decisions[wanted - m->wanted.at])))
                        n++;
        }
        return n;
}

void serve_config_step(Arena *arena, const Tree *config, ServeForwards wanted, ServeForwards known,
                       Buf *next, ServeStep *ret)
{
        Merge m = {arena, config, wanted, known, ret};

        *ret = (ServeStep){.decisions =
                                   arena_new_array(arena, wanted.n + 1, sizeof *ret->decisions)};
        for (size_t i = 0; i < wanted.n; i++) {
                ret->decisions[i] = decide(&m, &wanted.at[i]);
                ret->is_changed |= ret->decisions[i].verdict == SERVE_SETS;
        }
        ret->n_removed = count_removed(&m);
        ret->is_changed |= ret->n_removed > 0;
        buf_reset(next);
        write_next(&m, next);
}
