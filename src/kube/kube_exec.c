/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 1. What the program writes stands in memory that is wiped: the output, the tree that is made of
 *    it. What is kept is a Secret, but for the certificate, which everybody may see.
 * 2. Texts of errors hold nothing of it, nor its arguments.
 */
#include "kube/kube_exec.h"

#include <stdio.h>

#include "base/mem.h"
#include "io/file.h"
#include "io/process.h"
#include "proto/json.h"
#include "proto/json_writer.h"

enum {
        NODES_MAX = 1024,
        INFO_MAX = 1 << 20,
        ENV_MAX = 4096, /* variables of our own environment */
};

typedef struct Running {
        KubeConfig *config;
        bool done, ok;
        Wall now;
        Err *err;
} Running;

/* --- what it is told --- */

/* RFC 4648 4. */
static void add_base64(Buf *to, Str bytes)
{
        static const char digits[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

        for (size_t i = 0; i < bytes.n; i += 3) {
                size_t n = bytes.n - i < 3 ? bytes.n - i : 3;
                uint32_t bits = 0;

                for (size_t k = 0; k < 3; k++)
                        bits = bits << 8 | (k < n ? (uint8_t)bytes.p[i + k] : 0);
                for (size_t k = 0; k < 4; k++)
                        buf_add_char(to, k <= n ? digits[bits >> (18 - 6 * k) & 63] : '=');
        }
}

static bool write_trust(JsonWriter *w, const KubeConfig *c, Err *err)
{
        CLEANUP(buf_done) Buf pem, text;

        buf_init(&pem, KUBE_PEM_MAX);
        buf_init(&text, INFO_MAX);
        if (c->ca_pem.n > 0)
                buf_add_str(&pem, c->ca_pem);
        else if (c->ca_file != NULL && !file_read(c->ca_file, &pem, err))
                return false;
        add_base64(&text, buf_str(&pem));
        if (text.n > 0)
                json_key_str(w, STR("certificate-authority-data"), buf_str(&text));
        return true;
}

static bool write_cluster(JsonWriter *w, const KubeConfig *c, Err *err)
{
        json_key_object_begin(w, STR("cluster"));
        json_key_str(w, STR("server"), str_of(c->server));
        if (c->tls_server_name != NULL)
                json_key_str(w, STR("tls-server-name"), str_of(c->tls_server_name));
        if (c->insecure)
                json_key_bool(w, STR("insecure-skip-tls-verify"), true);
        if (!write_trust(w, c, err))
                return false;
        json_object_end(w);
        return true;
}

/* An ExecCredential, without what it is to become. */
static bool write_info(const KubeConfig *c, bool talks, Buf *ret, Err *err)
{
        JsonWriter w;

        buf_add_str(ret, STR("KUBERNETES_EXEC_INFO="));
        json_writer_init(&w, ret);
        json_object_begin(&w);
        json_key_str(&w, STR("kind"), STR("ExecCredential"));
        json_key_str(&w, STR("apiVersion"), str_of(c->plugin->version));
        json_key_object_begin(&w, STR("spec"));
        if (c->plugin->wants_cluster && !write_cluster(&w, c, err))
                return false;
        json_key_bool(&w, STR("interactive"), talks);
        json_object_end(&w);
        json_object_end(&w);
        buf_add_char(ret, '\0');
        return !ret->failed ||
               err_set(err, ERR_LIMIT, "TooLarge", "too much to tell the credential plugin");
}

static Str name_of(const char *variable)
{
        Str rest = str_of(variable), name;

        IGNORE(str_cut(&rest, '=', &name), "all of it where there is none");
        return name;
}

static bool has_variable(const char *const *env, size_t n, Str name)
{
        for (size_t i = 0; i < n; i++)
                if (str_eq(name_of(env[i]), name))
                        return true;
        return false;
}

/* Its own win over ours; a program finds the first of a name. */
static const char *const *make_env(const KubePlugin *plugin, const char *info,
                                   const char *const *ours, Arena *arena)
{
        const char **env =
                arena_new_array(arena, KUBE_PLUGIN_WORDS_MAX + ENV_MAX + 2, sizeof(*env));
        size_t n = 0, own;

        env[n++] = info;
        for (size_t i = 0; plugin->env[i] != NULL; i++)
                env[n++] = plugin->env[i];
        own = n;
        for (size_t i = 0; ours[i] != NULL && n < own + ENV_MAX; i++)
                if (!has_variable(env, own, name_of(ours[i])))
                        env[n++] = ours[i];
        return env;
}

static const char *const *make_argv(const KubePlugin *plugin, Arena *arena)
{
        const char **argv = arena_new_array(arena, KUBE_PLUGIN_WORDS_MAX + 2, sizeof(*argv));

        argv[0] = plugin->command;
        for (size_t i = 0; plugin->args[i] != NULL; i++)
                argv[i + 1] = plugin->args[i];
        return argv;
}

/* --- what it says --- */

static bool bad(const Running *r, const char *what)
{
        return err_set(r->err, ERR_INVALID, "BadCredential", "the credential plugin %s: %s",
                       r->config->plugin->command, what);
}

static bool is_pem(Str text)
{
        return str_find_str(text, STR("-----BEGIN ")) >= 0 &&
               memchr(text.p, '\0', text.n) == NULL && text.n <= KUBE_PEM_MAX;
}

static bool check_expiry(const Running *r, const Tree *status)
{
        Str text = tree_get_str(status, STR("expirationTimestamp"));
        Wall at;

        if (text.n == 0)
                return true;
        if (!wall_parse(text, &at))
                return bad(r, "status.expirationTimestamp is no time");
        return at.ms > r->now.ms ||
               err_set(r->err, ERR_DENIED, "CredentialExpired",
                       "the credential plugin %s gave one that expired already",
                       r->config->plugin->command);
}

static bool take_credential(const Running *r, const Tree *status)
{
        KubeConfig *c = r->config;
        Str token = tree_get_str(status, STR("token"));
        Str cert = tree_get_str(status, STR("clientCertificateData"));
        Str key = tree_get_str(status, STR("clientKeyData"));
        Secret *secret;

        if ((cert.n > 0) != (key.n > 0))
                return bad(r,
                           "clientCertificateData and clientKeyData come together or not at all");
        if (token.n == 0 && cert.n == 0)
                return bad(r, "it gives neither a token nor a certificate");
        if (cert.n > 0 && (!is_pem(cert) || !is_pem(key)))
                return bad(r, "its certificate or key is not PEM");
        if (cert.n > 0) {
                secret = secret_new(key);
                if (secret == NULL)
                        return bad(r, "its key is above 64 KiB");
                secret_free(c->key_pem);
                c->key_pem = secret;
                c->cert_pem = arena_str(&c->arena, cert);
        }
        if (token.n > 0) {
                secret = secret_new(token);
                if (secret == NULL)
                        return bad(r, "its token is above 64 KiB");
                secret_free(c->token);
                c->token = secret;
                c->token_file = NULL;
        }
        c->plugin = NULL;
        return true;
}

static bool read_credential(const Running *r, const Tree *doc)
{
        const Tree *status = tree_get(doc, STR("status"));

        if (doc == NULL || !str_eq(tree_get_str(doc, STR("kind")), STR("ExecCredential")))
                return bad(r, "what it wrote is no ExecCredential");
        if (!str_eq(tree_get_str(doc, STR("apiVersion")), str_of(r->config->plugin->version)))
                return bad(r,
                           "its ExecCredential is of another apiVersion than the kubeconfig says");
        return check_expiry(r, status) && take_credential(r, status);
}

static void wipe(const Tree *node)
{
        if (node == NULL)
                return;
        if (node->text.n > 0)
                explicit_bzero((char *)(uintptr_t)node->text.p, node->text.n);
        /* Its depth is that of a Tree. */
        TREE_FOREACH (child, node)
                wipe(child);
}

static void explain(const Running *r, const Err *why)
{
        const char *hint = r->config->plugin->install_hint;

        if (r->err == NULL)
                return;
        if (str_eq(str_of(why->reason), STR("NoProgram")) && hint != NULL)
                err_set(r->err, why->kind, why->reason, "the credential plugin %s. %s", why->text,
                        hint);
        else
                err_set(r->err, why->kind, why->reason, "the credential plugin %s", why->text);
}

bool kube_exec_take(KubeConfig *c, Str written, Wall now, Err *err)
{
        const JsonLimits limits = {KUBE_EXEC_BYTES_MAX, NODES_MAX};
        const Running r = {.config = c, .now = now, .err = err};
        const Tree *doc;
        Arena arena;
        bool ok;

        arena_init(&arena, 0);
        /* What a parser says may hold bytes of the text. */
        doc = json_read_within(&arena, written, &limits, NULL, NULL);
        ok = read_credential(&r, doc);
        wipe(doc);
        arena_done(&arena);
        return ok;
}

static void on_done(Process *p, const ProcessResult *result)
{
        Running *r = process_owner(p);

        r->done = true;
        if (result->err.kind != ERR_NONE)
                explain(r, &result->err);
        else
                r->ok = kube_exec_take(r->config, result->out, r->now, r->err);
}

/* --- the whole --- */

static bool run(KubeConfig *c, const KubeExecInput *in, const char *info, bool talks, Err *err)
{
        Loop *loop = loop_new(NULL);
        Running r = {.config = c, .now = loop_wall(loop), .err = err};
        Process *process;
        Arena arena;

        arena_init(&arena, 0);
        process = process_open(
                loop,
                &(ProcessInput){
                        .argv = make_argv(c->plugin, &arena),
                        .env = make_env(c->plugin, info, in->env, &arena),
                        .talks = talks,
                        .timeout = in->timeout.ns > 0 ? in->timeout : SPAN_S(KUBE_EXEC_TIMEOUT_S),
                        .max_bytes = KUBE_EXEC_BYTES_MAX,
                        .on_done = on_done,
                        .owner = &r,
                });
        while (!r.done)
                loop_turn(loop, SPAN_S(1));
        process_close(process);
        loop_free(loop);
        arena_done(&arena);
        return r.ok;
}

bool kube_exec_run(KubeConfig *c, const KubeExecInput *in, Err *err)
{
        bool talks = in->has_terminal && c->plugin->talk != KUBE_PLUGIN_NEVER_TALKS;
        CLEANUP(buf_done) Buf info;

        buf_init(&info, INFO_MAX);
        if (c->plugin->talk == KUBE_PLUGIN_MUST_TALK && !talks)
                return err_set(err, ERR_INVALID, "NoTerminal",
                               "the credential plugin %s asks people, and there is no terminal",
                               c->plugin->command);
        return write_info(c, talks, &info, err) && run(c, in, info.p, talks, err);
}
