/* SPDX-License-Identifier: Apache-2.0 */
#include "app/config.h"

#include "app/config_options.h"
#include "io/file.h"
#include "proto/yaml.h"

#include <ctype.h>
#include <stdlib.h>

static const ConfigOption *find_option(const Config *c, Str name, Err *err)
{
        Str known[CONFIG_OPTIONS];
        size_t n = 0;
        for (size_t i = 0; i < CONFIG_OPTIONS; i++) {
                if (!config_option_is_of(&config_options[i], c->shape))
                        continue;
                known[n++] = str_of(config_options[i].name);
                if (str_eq(known[n - 1], name))
                        return &config_options[i];
        }
        Str near = str_nearest(name, known, n);
        IGNORE(err_set(err, ERR_INVALID, "UnknownOption", "unknown option --%.*s%s%.*s%s",
                       STR_FMT(name), near.n > 0 ? ", did you mean --" : "", STR_FMT(near),
                       near.n > 0 ? "?" : ""),
               "it is told by NULL");
        return NULL;
}

/* The values of an option that repeats may also stand behind one another, with commas between. */
static bool set_all(Config *c, const ConfigOption *o, Str list, Err *err)
{
        bool more = true;
        while (more) {
                Str value = list;
                more = o->repeats && str_cut(&list, ',', &value);
                if (!o->set(c, (char *)c + o->to, str_trim(value), err))
                        return false;
        }
        return true;
}

static bool apply(Config *c, const ConfigOption *o, Str value, const char *origin, Err *err)
{
        return set_all(c, o, value, err) || err_prefix(err, "%s%s", origin, o->name);
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
        const ConfigOption *o = find_option(c, name, err);
        if (o == NULL)
                return false;
        if (!has_value && o->value == NULL)
                value = STR("true");
        else if (!has_value && ++*i == argc)
                return err_set(err, ERR_INVALID, "MissingValue", "--%s: expected %s", o->name,
                               o->value);
        else if (!has_value)
                value = str_of(argv[*i]);
        given[o - config_options] = true;
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

static void variable_of(const ConfigOption *o, char name[VARIABLE_MAX])
{
        size_t n = strlen("TSGW_");
        memcpy(name, "TSGW_", n);
        for (const char *p = o->name; *p != '\0' && n + 1 < VARIABLE_MAX; p++)
                name[n++] = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
        name[n] = '\0';
}

static bool read_environment(Config *c, bool *given, Err *err)
{
        for (size_t i = 0; i < CONFIG_OPTIONS; i++) {
                char name[VARIABLE_MAX];
                variable_of(&config_options[i], name);
                bool is_asked = !given[i] && config_option_is_of(&config_options[i], c->shape);
                const char *value = is_asked ? getenv(name) : NULL;
                if (value == NULL)
                        continue;
                if (!set_all(c, &config_options[i], str_of(value), err))
                        return err_prefix(err, "%s", name);
                given[i] = true;
        }
        return true;
}

/* ---- file ---- */

static bool read_key(Config *c, const Tree *key, bool *given, Err *err)
{
        const ConfigOption *o = find_option(c, key->key, err);
        if (o == NULL || given[o - config_options])
                return o != NULL;
        given[o - config_options] = true;
        if (key->type == TREE_STRING)
                return apply(c, o, key->text, "", err);
        if (key->type == TREE_BOOL && o->value == NULL)
                return apply(c, o, key->boolean ? STR("true") : STR("false"), "", err);
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

static bool apply_defaults(Config *c, const bool *given, Err *err)
{
        for (size_t i = 0; i < CONFIG_OPTIONS; i++) {
                const ConfigOption *o = &config_options[i];
                if (!given[i] && o->fallback != NULL && config_option_is_of(o, c->shape) &&
                    !apply(c, o, str_of(o->fallback), "--", err))
                        return false;
        }
        return config_check(c, err);
}

bool config_read(Config *c, ConfigShape shape, int argc, char **argv, Err *err)
{
        bool given[CONFIG_OPTIONS] = {false};
        *c = (Config){.shape = shape};
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

void config_help(ConfigShape shape, Buf *out)
{
        for (size_t i = 0; i < CONFIG_OPTIONS; i++) {
                const ConfigOption *o = &config_options[i];
                if (!config_option_is_of(o, shape))
                        continue;
                buf_printf(out, "  --%s%s%s\n        %s", o->name, o->value != NULL ? " " : "",
                           o->value != NULL ? o->value : "", o->help);
                if (o->fallback != NULL)
                        buf_printf(out, " (default %s)", o->fallback);
                buf_add_char(out, '\n');
        }
        buf_add_str(out, STR("  --config FILE\n        the same options as YAML, by their names; "
                             "TSGW_… in the environment works, too\n\n"
                             "SSL_CERT_FILE in the environment: PEM certificates to trust instead "
                             "of the system's, when control servers are asked\n"));
}
