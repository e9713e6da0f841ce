/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants:
 * 1. Bytes of a credential stand in a Secret, or in memory of this file that is wiped before it is
 *    freed: the texts of files, the trees of them, what base64 gave.
 * 2. Texts of errors name places and fields, and of values only those that are no credential.
 */
#include "kube/kube_config.h"

#include <stdio.h>

#include "base/mem.h"
#include "io/file.h"
#include "proto/yaml.h"

enum {
        /* Nodes and strings of KUBE_CONFIG_BYTES_MAX, aliases counted each time. */
        TREE_MEMORY_MAX = 32 << 20,
        FIELD_MAX = 160,
};

/* A file's document. */
typedef struct Doc {
        const char *path;
        const Tree *root; /* NULL: an empty file */
} Doc;

typedef struct Reader {
        Doc docs[KUBE_CONFIG_FILES_MAX];
        size_t n;
        Arena trees;
        KubeConfig *config; /* what is being made */
        Err *err;
} Reader;

/* A section of the context that is in force: `node` of docs `doc`, told as `field`. */
typedef struct Section {
        const Doc *doc;
        const Tree *node; /* an object, or NULL */
        char field[FIELD_MAX];
} Section;

/* --- faults --- */

static bool fault(const Reader *r, const Doc *doc, TreeMark at, const char *field, const char *what)
{
        return err_set(r->err, ERR_INVALID, "InvalidKubeconfig", "%s:%u:%u: %s: %s", doc->path,
                       at.line, at.column, field, what);
}

static bool section_fault(const Reader *r, const Section *s, const Tree *node, const char *name,
                          const char *what)
{
        char field[2 * FIELD_MAX];

        snprintf(field, sizeof(field), "%s.%s", s->field, name);
        return fault(r, s->doc, node->at, field, what);
}

/* --- values --- */

static const Tree *member(const Tree *object, const char *name)
{
        const Tree *node = tree_get(object, str_of(name));

        if (node == NULL || node->type == TREE_NULL)
                return NULL;
        return node;
}

/* A text that is not empty; *ret stays where it is not there. */
static bool read_text(Reader *r, const Section *s, const char *name, Str *ret)
{
        const Tree *node = member(s->node, name);

        if (node == NULL || (node->type == TREE_STRING && node->text.n == 0))
                return true;
        if (node->type != TREE_STRING || !str_is_printable_utf8(node->text))
                return section_fault(r, s, node, name, "expected a text of one line");
        *ret = node->text;
        return true;
}

/* A path; one that is relative begins where the file is. */
static bool read_path(Reader *r, const Section *s, const char *name, const char **ret)
{
        Str path = {0}, dir = str_of(s->doc->path);

        if (!read_text(r, s, name, &path))
                return false;
        if (path.n == 0)
                return true;
        if (path.n + dir.n >= KUBE_PATH_MAX)
                return section_fault(r, s, member(s->node, name), name, "the path is too long");
        while (dir.n > 0 && dir.p[dir.n - 1] != '/')
                dir.n--;
        if (path.p[0] == '/')
                dir.n = 0;
        *ret = arena_printf(&r->config->arena, "%.*s%.*s", STR_FMT(dir), STR_FMT(path)).p;
        return true;
}

static int base64_digit(char c)
{
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* RFC 4648 4, with line feeds as `base64` writes them; `ret` was made with room for all. */
static bool decode_base64(Str text, Buf *ret)
{
        uint32_t bits = 0;
        unsigned n = 0, padding = 0;

        for (size_t i = 0; i < text.n; i++) {
                char c = text.p[i];
                int digit = base64_digit(c);

                if (c == '\n' || c == '\r' || c == ' ')
                        continue;
                padding += c == '=';
                if (c != '=' && (digit < 0 || padding > 0))
                        return false;
                bits = bits << 6 | (c == '=' ? 0 : (uint32_t)digit);
                if (++n % 4 != 0)
                        continue;
                for (unsigned k = 0; k < 3 && k + padding < 3; k++)
                        buf_add_char(ret, (char)(bits >> (16 - 8 * k) & 0xff));
        }
        return n % 4 == 0 && padding <= 2 && !ret->failed;
}

static void secret_buf_done(Buf *b)
{
        if (b->p != NULL)
                explicit_bzero(b->p, b->room);
        buf_done(b);
}

/* Decodes a `…-data` field; `ret` is the caller's to wipe, empty where the field is not there. */
static bool read_data(Reader *r, const Section *s, const char *name, Buf *ret)
{
        const Tree *node = member(s->node, name);

        buf_init(ret, KUBE_PEM_MAX);
        if (node == NULL || (node->type == TREE_STRING && node->text.n == 0))
                return true;
        if (node->type != TREE_STRING || node->text.n / 4 * 3 > KUBE_PEM_MAX)
                return section_fault(r, s, node, name, "expected base64 of at most 256 KiB");
        if (!buf_reserve(ret, node->text.n / 4 * 3 + 3) || !decode_base64(node->text, ret))
                return section_fault(r, s, node, name, "this is not base64");
        if (str_find_str(buf_str(ret), STR("-----BEGIN ")) < 0 ||
            memchr(ret->p, '\0', ret->n) != NULL)
                return section_fault(r, s, node, name, "expected PEM in base64");
        return true;
}

static bool read_pem(Reader *r, const Section *s, const char *name, Str *ret)
{
        CLEANUP(secret_buf_done) Buf pem;

        if (!read_data(r, s, name, &pem))
                return false;
        if (pem.n > 0)
                *ret = arena_str(&r->config->arena, buf_str(&pem));
        return true;
}

static bool read_key(Reader *r, const Section *s, const char *name)
{
        const Tree *node = member(s->node, name);
        CLEANUP(secret_buf_done) Buf pem;

        if (!read_data(r, s, name, &pem))
                return false;
        if (pem.n == 0 || node == NULL)
                return true;
        r->config->key_pem = secret_new(buf_str(&pem));
        return r->config->key_pem != NULL ||
               section_fault(r, s, node, name, "the key is above 64 KiB");
}

static bool read_flag(Reader *r, const Section *s, const char *name, bool *ret)
{
        const Tree *node = member(s->node, name);

        if (node != NULL && node->type != TREE_BOOL)
                return section_fault(r, s, node, name, "expected true or false");
        *ret = tree_bool(node, false);
        return true;
}

typedef struct Unable {
        const char *name, *why;
} Unable;

static bool refuse_unable(const Reader *r, const Section *s, const Unable *unable, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                const Tree *node = member(s->node, unable[i].name);
                bool is_empty = node == NULL || (node->type == TREE_STRING && node->text.n == 0);

                if (!is_empty)
                        return section_fault(r, s, node, unable[i].name, unable[i].why);
        }
        return true;
}

/* --- the three sections --- */

/* No user, no query, no white space; libcurl reads the rest. */
static bool is_server(Str url)
{
        Str rest = url;

        if (str_starts(url, STR("https://")))
                rest = str_sub(url, 8, SIZE_MAX);
        else if (str_starts(url, STR("http://")))
                rest = str_sub(url, 7, SIZE_MAX);
        else
                return false;
        for (size_t i = 0; i < rest.n; i++)
                if (rest.p[i] <= ' ' || rest.p[i] > '~' || strchr("?#@\\", rest.p[i]) != NULL)
                        return false;
        return rest.n > 0 && rest.p[0] != '/' && url.n <= KUBE_SERVER_MAX;
}

static bool read_server(Reader *r, const Section *s)
{
        const Tree *node = member(s->node, "server");
        Str url = tree_str(node);

        if (node == NULL)
                return fault(r, s->doc, s->node->at, s->field, "server is missing");
        while (str_ends(url, STR("/")))
                url.n--;
        if (!is_server(url))
                return section_fault(r, s, node, "server",
                                     "expected an http or https URL without user name and query");
        r->config->server = arena_str(&r->config->arena, url).p;
        return true;
}

static bool read_cluster(Reader *r, const Section *s)
{
        static const Unable unable[] = {{"proxy-url", "a proxy is not supported"}};
        KubeConfig *c = r->config;
        Str name = {0};

        if (!read_server(r, s) || !refuse_unable(r, s, unable, LENGTH_OF(unable)) ||
            !read_text(r, s, "tls-server-name", &name) ||
            !read_flag(r, s, "insecure-skip-tls-verify", &c->insecure) ||
            !read_pem(r, s, "certificate-authority-data", &c->ca_pem))
                return false;
        if (c->ca_pem.n == 0 && !read_path(r, s, "certificate-authority", &c->ca_file))
                return false;
        if (c->insecure && (c->ca_pem.n > 0 || c->ca_file != NULL))
                return section_fault(r, s, member(s->node, "insecure-skip-tls-verify"),
                                     "insecure-skip-tls-verify",
                                     "true beside certificates to trust");
        if (name.n > 0)
                c->tls_server_name = arena_str(&c->arena, name).p;
        return true;
}

/* --- a credential plugin --- */

/* "NAME=value" of a member of env, or an argument; NULL: a fault, told. */
static const char *read_word(Reader *r, const Section *s, const Tree *node, bool is_env)
{
        Str name = tree_get_str(node, STR("name")), value = tree_get_str(node, STR("value"));

        if (!is_env && node->type == TREE_STRING &&
            memchr(node->text.p, '\0', node->text.n) == NULL)
                return arena_str(&r->config->arena, node->text).p;
        if (is_env && name.n > 0 && str_find(name, '=') < 0 && str_is_printable_utf8(name) &&
            memchr(value.p != NULL ? value.p : "", '\0', value.n) == NULL)
                return arena_printf(&r->config->arena, "%.*s=%.*s", STR_FMT(name), STR_FMT(value))
                        .p;
        section_fault(r, s, node, is_env ? "env" : "args",
                      is_env ? "expected objects with name and value" : "expected texts");
        return NULL;
}

static bool read_words(Reader *r, const Section *s, const char *field, const char *const **ret)
{
        const Tree *list = member(s->node, field);
        size_t n = list != NULL ? list->n : 0, i = 0;
        const char **words;

        if (list != NULL && list->type != TREE_ARRAY)
                return section_fault(r, s, list, field, "expected a list");
        if (n > KUBE_PLUGIN_WORDS_MAX)
                return section_fault(r, s, list, field, "more than 256 of them");
        words = arena_new_array(&r->config->arena, n + 1, sizeof(*words));
        TREE_FOREACH (node, list) {
                words[i] = read_word(r, s, node, strcmp(field, "env") == 0);
                if (words[i++] == NULL)
                        return false;
        }
        *ret = words;
        return true;
}

static bool read_talk(Reader *r, const Section *s, KubePlugin *plugin)
{
        static const Str modes[] = {[KUBE_PLUGIN_MAY_TALK] = STR_INIT("IfAvailable"),
                                    [KUBE_PLUGIN_NEVER_TALKS] = STR_INIT("Never"),
                                    [KUBE_PLUGIN_MUST_TALK] = STR_INIT("Always")};
        const Tree *node = member(s->node, "interactiveMode");
        Str mode = modes[KUBE_PLUGIN_MAY_TALK];

        if (!read_text(r, s, "interactiveMode", &mode))
                return false;
        for (size_t i = 0; i < LENGTH_OF(modes); i++) {
                plugin->talk = (KubePluginTalk)i;
                if (str_eq(mode, modes[i]))
                        return true;
        }
        return section_fault(r, s, node != NULL ? node : s->node, "interactiveMode",
                             "expected Never, IfAvailable or Always");
}

static bool read_version(Reader *r, const Section *s, KubePlugin *plugin)
{
        static const Str known[] = {STR_INIT("client.authentication.k8s.io/v1"),
                                    STR_INIT("client.authentication.k8s.io/v1beta1")};
        const StrList versions = {known, LENGTH_OF(known)};
        const Tree *node = member(s->node, "apiVersion");
        Str version = {0};

        if (!read_text(r, s, "apiVersion", &version))
                return false;
        if (!strlist_has(versions, version))
                return section_fault(r, s, node != NULL ? node : s->node, "apiVersion",
                                     "expected client.authentication.k8s.io/v1 or …/v1beta1");
        plugin->version = arena_str(&r->config->arena, version).p;
        return true;
}

/* One that is a path is relative to the file; a name is looked for in PATH. */
static bool read_command(Reader *r, const Section *s, KubePlugin *plugin)
{
        const Tree *node = member(s->node, "command");
        Str command = {0};

        if (!read_text(r, s, "command", &command))
                return false;
        if (command.n == 0)
                return section_fault(r, s, node != NULL ? node : s->node, "command", "is missing");
        if (str_find(command, '/') >= 0)
                return read_path(r, s, "command", &plugin->command);
        plugin->command = arena_str(&r->config->arena, command).p;
        return true;
}

static bool read_plugin(Reader *r, const Section *s)
{
        KubePlugin *plugin = ARENA_NEW(&r->config->arena, KubePlugin);
        const Tree *hint = member(s->node, "installHint");

        if (!read_version(r, s, plugin) || !read_command(r, s, plugin) ||
            !read_words(r, s, "args", &plugin->args) || !read_words(r, s, "env", &plugin->env) ||
            !read_talk(r, s, plugin) ||
            !read_flag(r, s, "provideClusterInfo", &plugin->wants_cluster))
                return false;
        if (tree_str(hint).n > 0)
                plugin->install_hint = arena_str(&r->config->arena, str_trim(tree_str(hint))).p;
        r->config->plugin = plugin;
        return true;
}

static bool read_exec(Reader *r, const Section *s, bool allow_exec)
{
        const Tree *exec = member(s->node, "exec");
        Section plugin = {.doc = s->doc, .node = exec};

        if (exec == NULL)
                return true;
        if (!allow_exec)
                return err_set(r->err, ERR_INVALID, "ExecRefused",
                               "%s:%u:%u: %s.exec: a credential plugin is not started by what runs "
                               "for long; use a token, a tokenFile or a client certificate",
                               s->doc->path, exec->at.line, exec->at.column, s->field);
        if (exec->type != TREE_OBJECT)
                return section_fault(r, s, exec, "exec", "expected an object");
        snprintf(plugin.field, sizeof(plugin.field), "%.100s.exec", s->field);
        return read_plugin(r, &plugin);
}

/* --- a user --- */

static bool read_certificate(Reader *r, const Section *s)
{
        KubeConfig *c = r->config;
        bool has_cert, has_key;

        if (!read_pem(r, s, "client-certificate-data", &c->cert_pem) ||
            !read_key(r, s, "client-key-data"))
                return false;
        if (c->cert_pem.n == 0 && !read_path(r, s, "client-certificate", &c->cert_file))
                return false;
        if (c->key_pem == NULL && !read_path(r, s, "client-key", &c->key_file))
                return false;
        has_cert = c->cert_pem.n > 0 || c->cert_file != NULL;
        has_key = c->key_pem != NULL || c->key_file != NULL;
        return has_cert == has_key ||
               fault(r, s->doc, s->node->at, s->field,
                     has_cert ? "a client certificate without client-key(-data)"
                              : "a client key without client-certificate(-data)");
}

static bool read_user(Reader *r, const Section *s, bool allow_exec)
{
        static const Unable unable[] = {
                {"auth-provider", "auth providers are not supported any more"},
                {"username", "passwords are not supported"},
                {"password", "passwords are not supported"},
                {"as", "impersonation is not supported"},
                {"as-uid", "impersonation is not supported"},
                {"as-groups", "impersonation is not supported"},
                {"as-user-extra", "impersonation is not supported"},
        };
        Str token = {0};

        if (!refuse_unable(r, s, unable, LENGTH_OF(unable)) || !read_exec(r, s, allow_exec) ||
            !read_certificate(r, s) || !read_path(r, s, "tokenFile", &r->config->token_file) ||
            !read_text(r, s, "token", &token))
                return false;
        if (token.n == 0)
                return true;
        r->config->token = secret_new(token);
        return r->config->token != NULL ||
               section_fault(r, s, member(s->node, "token"), "token", "longer than 64 KiB");
}

/* --- which sections --- */

/* The first entry of that name in `list` ("clusters") of all files, and in it its `part`
 * ("cluster"). False with a fault where it is there and wrong, or not there. */
static bool find_section(Reader *r, const char *list, const char *part, Str name, Section *ret)
{
        for (size_t i = 0; i < r->n; i++) {
                const Tree *entries = member(r->docs[i].root, list);
                size_t index = 0;

                if (entries != NULL && entries->type != TREE_ARRAY)
                        return fault(r, &r->docs[i], entries->at, list, "expected a list");
                TREE_FOREACH (entry, entries) {
                        if (str_eq(tree_get_str(entry, STR("name")), name)) {
                                ret->doc = &r->docs[i];
                                ret->node = member(entry, part);
                                snprintf(ret->field, sizeof(ret->field), "%s[%zu].%s", list, index,
                                         part);
                                return (ret->node != NULL && ret->node->type == TREE_OBJECT) ||
                                       fault(r, ret->doc, entry->at, ret->field,
                                             "expected an object");
                        }
                        index++;
                }
        }
        return err_set(r->err, ERR_INVALID, "InvalidKubeconfig",
                       "%s: %s: there is none with the name \"%.*s\"", r->docs[0].path, list,
                       STR_FMT(str_sub(name, 0, FIELD_MAX)));
}

static bool find_context(Reader *r, const char *wanted, Str *ret)
{
        *ret = str_of(wanted);
        for (size_t i = 0; i < r->n && ret->n == 0; i++) {
                const Tree *node = member(r->docs[i].root, "current-context");

                *ret = tree_str(node);
                if (node != NULL && (node->type != TREE_STRING || !str_is_printable_utf8(*ret)))
                        return fault(r, &r->docs[i], node->at, "current-context",
                                     "expected a name");
        }
        return ret->n > 0 || err_set(r->err, ERR_INVALID, "InvalidKubeconfig",
                                     "%s: current-context: is not set, and no context was named",
                                     r->docs[0].path);
}

static bool read_docs(Reader *r, const KubeConfigFile *files, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                CLEANUP(yaml_cleanup) Yaml *y = yaml_new(files[i].bytes);
                Doc *doc = &r->docs[r->n++];
                TreeMark at = {0};
                bool ok;

                doc->path = files[i].path;
                ok = files[i].bytes.n <= KUBE_CONFIG_BYTES_MAX;
                if (!ok)
                        return err_set(r->err, ERR_LIMIT, "InvalidKubeconfig",
                                       "%s: longer than 2 MiB", doc->path);
                /* What a parser says may hold bytes of the text. */
                if (!yaml_next(y, &r->trees, &doc->root, &at, NULL))
                        return fault(r, doc, at, "(document)", "this is not YAML");
                if (doc->root != NULL && doc->root->type == TREE_NULL)
                        doc->root = NULL;
                if (doc->root != NULL && doc->root->type != TREE_OBJECT)
                        return fault(r, doc, doc->root->at, "(document)", "expected an object");
        }
        return true;
}

/* The names of cluster and user, and the namespace, of the context. */
static bool read_context(Reader *r, const char *wanted, Str *ret_cluster, Str *ret_user)
{
        Section s = {0};
        Str name, ns = {0};

        if (!find_context(r, wanted, &name) || !find_section(r, "contexts", "context", name, &s) ||
            !read_text(r, &s, "cluster", ret_cluster) || !read_text(r, &s, "user", ret_user) ||
            !read_text(r, &s, "namespace", &ns))
                return false;
        if (ret_cluster->n == 0)
                return fault(r, s.doc, s.node->at, s.field, "cluster is missing");
        r->config->ns = arena_str(&r->config->arena, ns.n > 0 ? ns : STR("default")).p;
        r->config->origin =
                arena_printf(&r->config->arena, "%s, context %.*s", s.doc->path, STR_FMT(name)).p;
        return true;
}

static bool read_all(Reader *r, const KubeConfigFile *files, size_t n, const char *context,
                     bool allow_exec)
{
        Str cluster = {0}, user = {0};
        Section s = {0};

        return read_docs(r, files, n) && read_context(r, context, &cluster, &user) &&
               find_section(r, "clusters", "cluster", cluster, &s) && read_cluster(r, &s) &&
               (user.n == 0 ||
                (find_section(r, "users", "user", user, &s) && read_user(r, &s, allow_exec)));
}

static void wipe_tree(const Tree *node)
{
        if (node == NULL)
                return;
        if (node->text.n > 0)
                explicit_bzero((char *)(uintptr_t)node->text.p, node->text.n);
        /* Its depth is that of a Tree. */
        TREE_FOREACH (child, node)
                wipe_tree(child);
}

static KubeConfig *config_new(void)
{
        KubeConfig *c = mem_new(sizeof(*c));

        arena_init(&c->arena, 0);
        return c;
}

KubeConfig *kube_config_read(const KubeConfigFile *files, size_t n, const char *context,
                             bool allow_exec, Err *err)
{
        CLEANUP(kube_config_cleanup) KubeConfig *c = config_new();
        Reader r = {.config = c, .err = err};
        bool ok;

        INSIST(n > 0);
        if (n > KUBE_CONFIG_FILES_MAX) {
                IGNORE(err_set(err, ERR_LIMIT, "InvalidKubeconfig", "more than %d kubeconfig files",
                               KUBE_CONFIG_FILES_MAX),
                       "it is one");
                return NULL;
        }
        arena_init(&r.trees, TREE_MEMORY_MAX);
        ok = read_all(&r, files, n, context, allow_exec);
        for (size_t i = 0; i < r.n; i++)
                wipe_tree(r.docs[i].root);
        arena_done(&r.trees);
        return ok ? TAKE(c) : NULL;
}

/* --- files --- */

typedef struct Files {
        KubeConfigFile at[KUBE_CONFIG_FILES_MAX];
        Buf bytes[KUBE_CONFIG_FILES_MAX];
        size_t n;
        Arena arena;
} Files;

static void files_done(Files *f)
{
        for (size_t i = 0; i < f->n; i++)
                secret_buf_done(&f->bytes[i]);
        arena_done(&f->arena);
}

/* False where it cannot be read; one that is not there is passed over. */
static bool add_file(Files *f, Str path, Err *err)
{
        Err why = {0};
        const char *copy = arena_str(&f->arena, path).p;

        if (f->n == KUBE_CONFIG_FILES_MAX)
                return err_set(err, ERR_LIMIT, "InvalidKubeconfig", "more than %d kubeconfig files",
                               KUBE_CONFIG_FILES_MAX);
        buf_init(&f->bytes[f->n], KUBE_CONFIG_BYTES_MAX);
        if (file_read(copy, &f->bytes[f->n], &why)) {
                f->at[f->n] = (KubeConfigFile){copy, buf_str(&f->bytes[f->n])};
                f->n++;
                return true;
        }
        secret_buf_done(&f->bytes[f->n]);
        if (err != NULL && why.kind != ERR_MISSING)
                *err = why;
        return why.kind == ERR_MISSING;
}

static KubeConfig *load_files(const KubeConfigInput *in, const char *paths, Err *err)
{
        CLEANUP(files_done) Files f = {0};
        Str rest = str_of(paths), path;

        if (in->path != NULL && !add_file(&f, str_of(in->path), err))
                return NULL;
        while (in->path == NULL && rest.n > 0) {
                IGNORE(str_cut(&rest, ':', &path), "gives the rest where there is none");
                if (path.n > 0 && !add_file(&f, path, err))
                        return NULL;
        }
        if (f.n == 0) {
                err_set(err, ERR_MISSING, "NoKubeconfig", "%s: no such file",
                        in->path != NULL ? in->path : paths);
                return NULL;
        }
        return kube_config_read(f.at, f.n, in->context, in->allow_exec, err);
}

/* --- in a pod --- */

/* A file of one line; *ret stays where it is not there or says nothing usable. */
static void read_line(const char *path, Arena *arena, const char **ret)
{
        Buf b;

        buf_init(&b, KUBE_PATH_MAX);
        if (file_read(path, &b, NULL)) {
                Str line = str_trim(buf_str(&b));

                if (line.n > 0 && str_is_printable_utf8(line))
                        *ret = arena_str(arena, line).p;
        }
        buf_done(&b);
}

static KubeConfig *load_pod(const KubeConfigInput *in, Err *err)
{
        CLEANUP(kube_config_cleanup) KubeConfig *c = config_new();
        const char *dir = in->cluster_dir != NULL ? in->cluster_dir : KUBE_CLUSTER_DIR;
        bool is_ip6 = strchr(in->host, ':') != NULL;
        uint64_t port;
        Str server = arena_printf(&c->arena, "https://%s%s%s:%s", is_ip6 ? "[" : "", in->host,
                                  is_ip6 ? "]" : "", in->port);

        if (!is_server(server) || !str_to_u64(str_of(in->port), UINT16_MAX, &port) || port == 0) {
                err_set(err, ERR_INVALID, "InvalidEnvironment",
                        "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are no address");
                return NULL;
        }
        c->origin = "in-cluster";
        c->server = server.p;
        c->token_file = arena_printf(&c->arena, "%s/token", dir).p;
        c->ca_file = arena_printf(&c->arena, "%s/ca.crt", dir).p;
        c->ns = "default";
        read_line(arena_printf(&c->arena, "%s/namespace", dir).p, &c->arena, &c->ns);
        return TAKE(c);
}

static bool is_set(const char *value)
{
        return value != NULL && value[0] != '\0';
}

KubeConfig *kube_config_load(const KubeConfigInput *in, Err *err)
{
        char path[KUBE_PATH_MAX];

        if (is_set(in->path) || is_set(in->paths))
                return load_files(in, in->paths, err);
        if (is_set(in->host) && is_set(in->port))
                return load_pod(in, err);
        if (!is_set(in->home)) {
                err_set(err, ERR_MISSING, "NoKubeconfig",
                        "no --kubeconfig, no KUBECONFIG, and this is no pod");
                return NULL;
        }
        snprintf(path, sizeof(path), "%s/.kube/config", in->home);
        return load_files(in, path, err);
}

static bool is_same(const char *a, const char *b)
{
        return str_eq(str_of(a), str_of(b));
}

bool kube_config_is_same_server(const KubeConfig *a, const KubeConfig *b)
{
        return is_same(a->server, b->server) && is_same(a->tls_server_name, b->tls_server_name) &&
               is_same(a->ca_file, b->ca_file) && str_eq(a->ca_pem, b->ca_pem) &&
               a->insecure == b->insecure;
}

bool kube_config_eq(const KubeConfig *a, const KubeConfig *b)
{
        return kube_config_is_same_server(a, b) && is_same(a->ns, b->ns) &&
               is_same(a->cert_file, b->cert_file) && str_eq(a->cert_pem, b->cert_pem) &&
               is_same(a->key_file, b->key_file) && secret_eq(a->key_pem, b->key_pem) &&
               is_same(a->token_file, b->token_file) && secret_eq(a->token, b->token) &&
               (a->plugin == NULL) == (b->plugin == NULL);
}

KubeConfig *kube_config_free(KubeConfig *c)
{
        if (c == NULL)
                return NULL;
        secret_free(c->token);
        secret_free(c->key_pem);
        arena_done(&c->arena);
        return mem_free(c);
}
