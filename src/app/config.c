/* SPDX-License-Identifier: Apache-2.0 */
#include "app/config.h"

#include "io/file.h"
#include "proto/yaml.h"

#include <ctype.h>
#include <stdlib.h>

typedef bool SetFn(Config *c, Str value, Err *err);

typedef struct Option {
        const char *name;     /* without dashes; also the key of the file */
        const char *value;    /* shown in --help */
        const char *fallback; /* NULL: none */
        const char *help;
        SetFn *set;
        bool repeats; /* several values; those of the strongest origin count */
} Option;

static bool set_path(Config *c, Str value, const char **ret, Err *err)
{
        if (value.n == 0)
                return err_set(err, ERR_INVALID, "EmptyPath", "expected a path");
        *ret = arena_str(&c->arena, value).p;
        return true;
}

static bool set_resources(Config *c, Str value, Err *err)
{
        return set_path(c, value, &c->resources, err);
}

static bool set_gateway_resources(Config *c, Str value, Err *err)
{
        return set_path(c, value, &c->gateway_resources, err);
}

static bool set_generated(Config *c, Str value, Err *err)
{
        return set_path(c, value, &c->generated, err);
}

static bool set_extension(Config *c, Str value, Err *err)
{
        if (c->n_extension == CONFIG_EXTENSION_ADDRESSES_MAX)
                return err_set(err, ERR_LIMIT, "TooMany", "at most %d addresses",
                               CONFIG_EXTENSION_ADDRESSES_MAX);
        Address *a = &c->extension[c->n_extension];
        if (!address_parse(value, a, err))
                return false;
        if (!address_is_local(a))
                return err_set(err, ERR_INVALID, "NotLocal",
                               "%s: without TLS it must be a unix socket or a loopback address",
                               a->text);
        c->n_extension++;
        return true;
}

static bool set_admin(Config *c, Str value, Err *err)
{
        c->has_admin = value.n > 0;
        return value.n == 0 || address_parse(value, &c->admin, err);
}

static bool set_metrics(Config *c, Str value, Err *err)
{
        c->has_metrics = value.n > 0;
        return value.n == 0 || address_parse(value, &c->metrics, err);
}

static bool set_webhook(Config *c, Str value, Err *err)
{
        c->has_webhook = value.n > 0;
        return value.n == 0 || address_parse(value, &c->webhook, err);
}

static bool set_webhook_cert(Config *c, Str value, Err *err)
{
        return set_path(c, value, &c->webhook_cert, err);
}

static bool set_webhook_key(Config *c, Str value, Err *err)
{
        return set_path(c, value, &c->webhook_key, err);
}

static bool set_log_level(Config *c, Str value, Err *err)
{
        return log_level_parse(value, &c->log_level) ||
               err_set(err, ERR_INVALID, "BadLevel", "%.*s: expected error, warn, info or debug",
                       STR_FMT(value));
}

static bool set_log_format(Config *c, Str value, Err *err)
{
        c->log_json = str_eq(value, STR("json"));
        return c->log_json || str_eq(value, STR("text")) ||
               err_set(err, ERR_INVALID, "BadFormat", "%.*s: expected text or json",
                       STR_FMT(value));
}

static const Option options[] = {
        {"resources", "DIR", NULL,
         "directory of TailscaleTailnet, TailscaleGateway, TailscaleEndpoints and Secret manifests",
         set_resources, false},
        {"gateway-resources", "DIR", NULL,
         "Envoy Gateway's own directory, read only (default: that of --resources)",
         set_gateway_resources, false},
        {"generated", "DIR", NULL,
         "where endpoints/ and envoy-gateway/ are written; the latter is to be one of Envoy "
         "Gateway's paths",
         set_generated, false},
        {"extension-address", "ADDRESS", "tcp://127.0.0.1:5005",
         "where Envoy Gateway's extension manager calls: unix:///path or tcp://127.0.0.1:port; may "
         "be repeated",
         set_extension, true},
        {"admin-address", "ADDRESS", "tcp://127.0.0.1:19005",
         "/state and the commands; loopback or a unix socket only, \"\" for none", set_admin,
         false},
        {"metrics-address", "ADDRESS", "tcp://127.0.0.1:19006",
         "/metrics, /healthz and /readyz, nothing else; \"\" for none", set_metrics, false},
        {"webhook-address", "ADDRESS", NULL,
         "where Tailscale tells of changes, at /webhook/NAMESPACE/NAME of a TailscaleTailnet; "
         "without TLS a loopback address or a unix socket, for a proxy (default: none)",
         set_webhook, false},
        {"webhook-tls-cert", "FILE", NULL,
         "PEM certificates for --webhook-address; read again when they change", set_webhook_cert,
         false},
        {"webhook-tls-key", "FILE", NULL, "the private key of --webhook-tls-cert, PEM",
         set_webhook_key, false},
        {"log-level", "LEVEL", "info", "error, warn, info or debug", set_log_level, false},
        {"log-format", "FORMAT", "text", "text or json", set_log_format, false},
};

enum {
        N_OPTIONS = LENGTH_OF(options)
};

static const Option *find_option(Str name, Err *err)
{
        Str known[N_OPTIONS];
        for (size_t i = 0; i < N_OPTIONS; i++) {
                known[i] = str_of(options[i].name);
                if (str_eq(known[i], name))
                        return &options[i];
        }
        Str near = str_nearest(name, known, N_OPTIONS);
        IGNORE(err_set(err, ERR_INVALID, "UnknownOption", "unknown option --%.*s%s%.*s%s",
                       STR_FMT(name), near.n > 0 ? ", did you mean --" : "", STR_FMT(near),
                       near.n > 0 ? "?" : ""),
               "it is told by NULL");
        return NULL;
}

static bool apply(Config *c, const Option *o, Str value, const char *origin, Err *err)
{
        return o->set(c, value, err) || err_prefix(err, "%s%s", origin, o->name);
}

/* ---- flags ---- */

static bool read_flag(Config *c, int *i, int argc, char **argv, bool *given, Err *err)
{
        Str arg = str_of(argv[*i]), name;
        if (str_eq(arg, STR("--help")) || str_eq(arg, STR("-h"))) {
                c->help = true;
                return true;
        }
        if (!str_starts(arg, STR("--")))
                return err_set(err, ERR_INVALID, "UnexpectedArgument", "unexpected argument %s",
                               argv[*i]);
        Str value = str_sub(arg, 2, arg.n);
        bool has_value = str_cut(&value, '=', &name);
        const Option *o = find_option(name, err);
        if (o == NULL)
                return false;
        if (!has_value && ++*i == argc)
                return err_set(err, ERR_INVALID, "MissingValue", "--%s: expected %s", o->name,
                               o->value);
        if (!has_value)
                value = str_of(argv[*i]);
        given[o - options] = true;
        return apply(c, o, value, "--", err);
}

/* `--config` is looked for first, since everything else is stronger than what it names. */
static const char *config_path(int argc, char **argv)
{
        for (int i = 0; i < argc; i++) {
                Str arg = str_of(argv[i]);
                if (str_eq(arg, STR("--config")) && i + 1 < argc)
                        return argv[i + 1];
                if (str_starts(arg, STR("--config=")))
                        return argv[i] + strlen("--config=");
        }
        return getenv("TSGW_CONFIG");
}

/* Its file is read later; here it is only passed over. */
static bool skip_config_flag(int *i, int argc, char **argv, Err *err)
{
        Str value = str_of(argv[*i]), name;
        if (!str_cut(&value, '=', &name))
                value = str_of(++*i < argc ? argv[*i] : "");
        return value.n > 0 || err_set(err, ERR_INVALID, "MissingValue", "--config: expected FILE");
}

static bool read_flags(Config *c, int argc, char **argv, bool *given, Err *err)
{
        for (int i = 0; i < argc; i++) {
                Str arg = str_of(argv[i]);
                bool is_config = str_eq(arg, STR("--config")) || str_starts(arg, STR("--config="));
                if (!(is_config ? skip_config_flag(&i, argc, argv, err)
                                : read_flag(c, &i, argc, argv, given, err)))
                        return false;
        }
        return true;
}

/* ---- environment ---- */

enum {
        VARIABLE_MAX = 64
};

static void variable_of(const Option *o, char name[VARIABLE_MAX])
{
        size_t n = strlen("TSGW_");
        memcpy(name, "TSGW_", n);
        for (const char *p = o->name; *p != '\0' && n + 1 < VARIABLE_MAX; p++)
                name[n++] = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
        name[n] = '\0';
}

/* A repeated option's values are separated by commas. */
static bool read_list(Config *c, const Option *o, Str list, Err *err)
{
        Str value;
        bool more = true;
        while (more) {
                more = o->repeats && str_cut(&list, ',', &value);
                if (!o->set(c, str_trim(more ? value : list), err))
                        return false;
        }
        return true;
}

static bool read_environment(Config *c, bool *given, Err *err)
{
        for (size_t i = 0; i < N_OPTIONS; i++) {
                char name[VARIABLE_MAX];
                variable_of(&options[i], name);
                const char *value = given[i] ? NULL : getenv(name);
                if (value == NULL)
                        continue;
                if (!read_list(c, &options[i], str_of(value), err))
                        return err_prefix(err, "%s", name);
                given[i] = true;
        }
        return true;
}

/* ---- file ---- */

static bool read_key(Config *c, const Tree *key, bool *given, Err *err)
{
        const Option *o = find_option(key->key, err);
        if (o == NULL || given[o - options])
                return o != NULL;
        given[o - options] = true;
        if (key->type == TREE_STRING)
                return apply(c, o, key->text, "", err);
        if (key->type != TREE_ARRAY || !o->repeats)
                return err_set(err, ERR_INVALID, "WrongType", "%s: found %s, expected a string%s",
                               o->name, tree_type_name(key->type),
                               o->repeats ? " or an array of them" : "");
        TREE_FOREACH (item, key) {
                if (!apply(c, o, tree_str(item), "", err))
                        return false;
        }
        return true;
}

static bool read_document(Config *c, const char *path, const Tree *root, bool *given, Err *err)
{
        if (root->type != TREE_OBJECT)
                return err_set(err, ERR_INVALID, "WrongType",
                               "%s: found %s, expected options by name", path,
                               tree_type_name(root->type));
        TREE_FOREACH (key, root) {
                if (!read_key(c, key, given, err))
                        return err_prefix(err, "%s:%u:%u", path, key->key_at.line,
                                          key->key_at.column);
        }
        return true;
}

static bool read_file(Config *c, const char *path, bool *given, Err *err)
{
        CLEANUP(buf_done) Buf bytes;
        buf_init(&bytes, CONFIG_FILE_BYTES_MAX);
        if (!file_read(path, &bytes, err))
                return err_prefix(err, "--config");
        CLEANUP(yaml_cleanup) Yaml *yaml = yaml_new(buf_str(&bytes));
        TreeMark at = {0};
        const Tree *root = NULL;
        if (!yaml_next(yaml, &c->arena, &root, &at, err))
                return err_prefix(err, "%s:%u:%u", path, at.line, at.column);
        return root == NULL || root->type == TREE_NULL || read_document(c, path, root, given, err);
}

/* ---- all ---- */

/* What one option means depends on another. */
static bool check_webhook(const Config *c, Err *err)
{
        if ((c->webhook_cert == NULL) != (c->webhook_key == NULL))
                return err_set(err, ERR_INVALID, "MissingOption",
                               "--webhook-tls-%s is given, --webhook-tls-%s is not",
                               c->webhook_cert != NULL ? "cert" : "key",
                               c->webhook_cert != NULL ? "key" : "cert");
        if (c->webhook_cert != NULL && !c->has_webhook)
                return err_set(err, ERR_INVALID, "MissingOption",
                               "--webhook-tls-cert: without --webhook-address nothing is served");
        if (!c->has_webhook || c->webhook_cert != NULL || address_is_local(&c->webhook))
                return true;
        return err_set(err, ERR_INVALID, "NotLocal",
                       "--webhook-address %s: without --webhook-tls-cert and --webhook-tls-key it "
                       "must be a loopback address or a unix socket, with a proxy before it that "
                       "speaks TLS",
                       c->webhook.text);
}

static bool apply_defaults(Config *c, const bool *given, Err *err)
{
        for (size_t i = 0; i < N_OPTIONS; i++) {
                const Option *o = &options[i];
                if (!given[i] && o->fallback != NULL &&
                    !apply(c, o, str_of(o->fallback), "--", err))
                        return false;
        }
        if (c->resources == NULL)
                return err_set(err, ERR_INVALID, "MissingOption",
                               "--resources: expected a directory of manifests");
        if (c->generated == NULL)
                return err_set(err, ERR_INVALID, "MissingOption",
                               "--generated: expected a directory for what is generated");
        return check_webhook(c, err);
}

bool config_read(Config *c, int argc, char **argv, Err *err)
{
        bool given[N_OPTIONS] = {false};
        *c = (Config){0};
        arena_init(&c->arena, 0);
        if (!read_flags(c, argc, argv, given, err))
                return false;
        if (c->help)
                return true;
        const char *path = config_path(argc, argv);
        return read_environment(c, given, err) &&
               (path == NULL || read_file(c, path, given, err)) && apply_defaults(c, given, err);
}

void config_done(Config *c)
{
        arena_done(&c->arena);
}

void config_help(Buf *out)
{
        for (size_t i = 0; i < N_OPTIONS; i++) {
                const Option *o = &options[i];
                buf_printf(out, "  --%s %s\n        %s", o->name, o->value, o->help);
                if (o->fallback != NULL)
                        buf_printf(out, " (default %s)", o->fallback);
                buf_add_char(out, '\n');
        }
        buf_add_str(out, STR("  --config FILE\n        the same options as YAML, by their names; "
                             "TSGW_… in the environment works, too\n\n"
                             "SSL_CERT_FILE in the environment: PEM certificates to trust instead "
                             "of the system's, when control servers are asked\n"));
}
