/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants:
 * 1. What is not permitted by a text is refused: an empty list permits nothing.
 * 2. An address is judged by its 128 bits, never by how it is written, so 10.0.0.1 and
 *    ::ffff:10.0.0.1 are one.
 */
#include "model/policy.h"

#include "base/glob.h"
#include "base/mem.h"
#include "model/proxies.h"
#include "model/value_check.h"

#include <stdlib.h>

enum {
        PATH_MAX_BYTES = 4096, /* Linux' PATH_MAX */
};

static const char *const flags[POLICY_LISTS] = {
        [POLICY_CIDRS] = "--allowed-cidrs",
        [POLICY_PROXIES] = "--allowed-proxies",
        [POLICY_IMAGES] = "--allowed-images",
        [POLICY_NAMESPACES] = "--watch-namespaces",
};

const char *policy_list_flag(PolicyList list)
{
        return flags[list];
}

/* ---- paths ---- */

/* The next component of an absolute path, without slashes; false at its end. */
static bool next_part(Str *path, Str *ret)
{
        while (path->n > 0) {
                if (!str_cut(path, '/', ret))
                        *path = (Str){0};
                if (ret->n > 0)
                        return true;
        }
        return false;
}

/*
 * `path` with `.`, `..` and repeated slashes resolved by its text, in `buf`; empty of the root.
 * False where it is relative, or longer than a path may be.
 */
static bool normalise(Str path, char buf[PATH_MAX_BYTES], Str *ret)
{
        size_t n = 0;
        Str part;

        if (path.n >= PATH_MAX_BYTES || !str_starts(path, STR("/")))
                return false;
        while (next_part(&path, &part)) {
                if (str_eq(part, STR(".")))
                        continue;
                if (str_eq(part, STR(".."))) {
                        while (n > 0 && buf[--n] != '/')
                                ;
                        continue;
                }
                buf[n++] = '/';
                memcpy(buf + n, part.p, part.n);
                n += part.n;
        }
        *ret = str_make(buf, n);
        return true;
}

/* Both are normal. Only what has a name in `dir` is below it. */
static bool is_below(Str path, Str dir)
{
        return path.n > dir.n + 1 && str_starts(path, dir) && path.p[dir.n] == '/';
}

bool policy_check_dir(Str path, Err *err)
{
        char buf[PATH_MAX_BYTES];
        Str normal;

        if (!str_is_printable_utf8(path) || !normalise(path, buf, &normal) || normal.n == 0)
                return err_set(err, ERR_INVALID, "InvalidValue",
                               "\"%.*s\", expected the absolute path of a directory that is not /",
                               STR_FMT(path));
        return true;
}

/* ---- lists ---- */

static bool check_socket(Str item, Err *err)
{
        char buf[PATH_MAX_BYTES];
        Str normal;

        if (str_is_printable_utf8(item) && normalise(item, buf, &normal) && normal.n > 0)
                return true;
        return err_set(err, ERR_INVALID, "InvalidValue",
                       "\"%.*s\", expected a socket's path, or a directory's with a slash at its "
                       "end that is not /",
                       STR_FMT(item));
}

static bool check_cidr(PolicyList list, Str item, Err *err)
{
        Cidr c;

        if (cidr_parse(item, &c))
                return true;
        return err_set(err, ERR_INVALID, "InvalidValue",
                       "\"%.*s\", expected an address range such as 10.0.0.0/8, whose host bits "
                       "are zero%s",
                       STR_FMT(item),
                       list == POLICY_PROXIES ? ", or the absolute path of a socket" : "");
}

static bool check_item(PolicyList list, Str item, Err *err)
{
        char expected[EXPECTED_MAX];

        switch (list) {
        case POLICY_CIDRS:
                return check_cidr(list, item, err);
        case POLICY_PROXIES:
                return str_starts(item, STR("/")) ? check_socket(item, err)
                                                  : check_cidr(list, item, err);
        case POLICY_IMAGES:
                return glob_is_valid(item) ||
                       err_set(err, ERR_INVALID, "InvalidValue",
                               "\"%.*s\", expected an image, or a glob of images", STR_FMT(item));
        case POLICY_NAMESPACES:
                return check_label(item, expected) ||
                       err_set(err, ERR_INVALID, "InvalidValue",
                               "\"%.*s\", expected a namespace: %s", STR_FMT(item), expected);
        case POLICY_LISTS:
        default:
                INSIST(false);
                return false;
        }
}

/* The next item of a text, without space around it; empty ones are passed over. */
static bool next_item(Str *text, Str *ret)
{
        while (text->n > 0) {
                Str item;

                if (!str_cut(text, ',', &item))
                        *text = (Str){0};
                *ret = str_trim(item);
                if (ret->n > 0)
                        return true;
        }
        return false;
}

bool policy_check_text(PolicyList list, Str text, Err *err)
{
        Str item;
        size_t n = 0;

        while (next_item(&text, &item)) {
                if (!check_item(list, item, err))
                        return false;
                if (++n > POLICY_ITEMS_MAX)
                        return err_set(err, ERR_LIMIT, "TooMany", "more than %d of them",
                                       POLICY_ITEMS_MAX);
        }
        return true;
}

/* All items of a list, borrowed. */
static bool collect(PolicyList list, StrList texts, Str at[POLICY_ITEMS_MAX], size_t *ret_n,
                    Err *err)
{
        size_t n = 0;

        for (size_t i = 0; i < texts.n; i++) {
                Str rest = texts.at[i], item;

                if (!policy_check_text(list, rest, err))
                        return err_prefix(err, "%s", flags[list]);
                while (next_item(&rest, &item)) {
                        if (n == POLICY_ITEMS_MAX)
                                return err_set(err, ERR_LIMIT, "TooMany", "%s: more than %d",
                                               flags[list], POLICY_ITEMS_MAX);
                        at[n++] = item;
                }
        }
        *ret_n = n;
        return true;
}

static int text_order(const void *a, const void *b)
{
        return str_cmp(*(const Str *)a, *(const Str *)b);
}

static StrList sorted_once(Str *at, size_t n)
{
        size_t kept = 0;

        if (n > 0)
                qsort(at, n, sizeof(*at), text_order);
        for (size_t i = 0; i < n; i++)
                if (kept == 0 || !str_eq(at[kept - 1], at[i]))
                        at[kept++] = at[i];
        return (StrList){at, kept};
}

/* Items of the list that are ranges. */
static CidrList keep_cidrs(Leaf *leaf, const Str *at, size_t n)
{
        Cidr *c = leaf_alloc(leaf, n * sizeof(*c));
        size_t kept = 0;

        for (size_t i = 0; i < n; i++)
                kept += cidr_parse(at[i], &c[kept]);
        return (CidrList){c, kept};
}

/* A path in its normal form, with the slash at its end that says that it is a directory. */
static Str keep_path(Leaf *leaf, Str path, bool with_slash)
{
        char buf[PATH_MAX_BYTES + 1];
        Str normal;

        INSIST(normalise(path, buf, &normal));
        if (with_slash && str_ends(path, STR("/")))
                buf[normal.n++] = '/';
        return leaf_str(leaf, normal);
}

static StrList keep_sockets(Leaf *leaf, const Str *at, size_t n)
{
        Str *kept = leaf_alloc(leaf, n * sizeof(*kept));
        size_t m = 0;

        for (size_t i = 0; i < n; i++)
                if (str_starts(at[i], STR("/")))
                        kept[m++] = keep_path(leaf, at[i], true);
        return (StrList){kept, m};
}

const Policy *policy_new(const PolicyInput *in, Err *err)
{
        CLEANUP(leaf_cleanup) Policy *p = leaf_new(sizeof(*p), 0, NULL);
        CLEANUP(mem_cleanup) Str *at = mem_new_array(POLICY_ITEMS_MAX, sizeof(*at));
        size_t n = 0;

        p->in_kubernetes = in->in_kubernetes;
        p->allow_insecure_api = in->allow_insecure_api;
        if (in->local_sources_dir.n > 0) {
                if (!policy_check_dir(in->local_sources_dir, err)) {
                        IGNORE(err_prefix(err, "--local-sources-dir"), "it is refused anyway");
                        return NULL;
                }
                p->local_sources_dir = keep_path(&p->leaf, in->local_sources_dir, false);
        }
        if (!collect(POLICY_CIDRS, in->lists[POLICY_CIDRS], at, &n, err))
                return NULL;
        p->allowed_cidrs = keep_cidrs(&p->leaf, at, n);
        if (!collect(POLICY_PROXIES, in->lists[POLICY_PROXIES], at, &n, err))
                return NULL;
        p->allowed_proxies = keep_cidrs(&p->leaf, at, n);
        p->allowed_sockets = keep_sockets(&p->leaf, at, n);
        if (!collect(POLICY_IMAGES, in->lists[POLICY_IMAGES], at, &n, err))
                return NULL;
        p->allowed_images = leaf_strlist(&p->leaf, sorted_once(at, n));
        if (!collect(POLICY_NAMESPACES, in->lists[POLICY_NAMESPACES], at, &n, err))
                return NULL;
        p->watch_namespaces = leaf_strlist(&p->leaf, sorted_once(at, n));
        return TAKE(p);
}

/* ---- addresses ---- */

static bool is_open(const Policy *p)
{
        return p == NULL || !p->in_kubernetes;
}

static bool has(const CidrList *list, const IpAddr *a)
{
        for (size_t i = 0; i < list->n; i++)
                if (cidr_has(&list->at[i], a))
                        return true;
        return false;
}

static bool refuse_address(const IpAddr *a, const char *why, Err *err)
{
        char text[IP_TEXT];

        return err_set(err, ERR_DENIED, "AddressRefused", "%s is %s", ip_format(a, text), why);
}

bool policy_admits_address(const Policy *p, const IpAddr *a, const Cidr *allowed, size_t n,
                           Err *err)
{
        if (ip_is_tailnet(a))
                return true;
        if (!ip_is_allowed(a, allowed, n))
                return refuse_address(a,
                                      ip_is_tailscaled(a)
                                              ? "tailscaled's own on every machine, no device's, "
                                                "nor in allowedCIDRs"
                                              : "neither a tailnet address nor in allowedCIDRs",
                                      err);
        if (is_open(p))
                return true;
        if (ip_is_never_dialled(a))
                return refuse_address(
                        a, "loopback, link-local, unspecified or multicast: no device's", err);
        return has(&p->allowed_cidrs, a) ||
               refuse_address(a, "in allowedCIDRs, but not within the operator's --allowed-cidrs",
                              err);
}

static bool has_socket(StrList allowed, Str path)
{
        char buf[PATH_MAX_BYTES];
        Str normal;

        if (!normalise(path, buf, &normal))
                return false;
        for (size_t i = 0; i < allowed.n; i++) {
                Str s = allowed.at[i];

                if (str_eq(s, normal))
                        return true;
                if (str_ends(s, STR("/")) && is_below(normal, str_sub(s, 0, s.n - 1)))
                        return true;
        }
        return false;
}

bool policy_admits_proxy(const Policy *p, const struct ProxyAddr *proxy, Err *err)
{
        bool is_v6 = str_find(proxy->ip, ':') >= 0;
        IpAddr a;

        if (is_open(p))
                return true;
        if (proxy->path.n > 0)
                return has_socket(p->allowed_sockets, proxy->path) ||
                       err_set(err, ERR_DENIED, "ProxyRefused",
                               "proxy %.*s is not within the operator's --allowed-proxies",
                               STR_FMT(proxy->path));
        return (ip_parse(proxy->ip, &a) && has(&p->allowed_proxies, &a)) ||
               err_set(err, ERR_DENIED, "ProxyRefused",
                       "proxy %s%.*s%s:%u is not within the operator's --allowed-proxies",
                       is_v6 ? "[" : "", STR_FMT(proxy->ip), is_v6 ? "]" : "",
                       (unsigned)proxy->port);
}

/* ---- sources ---- */

static bool admits_path(const Policy *p, const char *field, Str path, Err *err)
{
        char buf[PATH_MAX_BYTES];
        Str normal;

        if (p->local_sources_dir.n == 0)
                return err_set(err, ERR_DENIED, "PathRefused",
                               "%s: the operator reads no paths of its machine: it runs without "
                               "--local-sources-dir",
                               field);
        if (normalise(path, buf, &normal) && is_below(normal, p->local_sources_dir))
                return true;
        return err_set(err, ERR_DENIED, "PathRefused",
                       "%s: %.*s is not below the operator's --local-sources-dir %.*s", field,
                       STR_FMT(path), STR_FMT(p->local_sources_dir));
}

static bool admits_primary(const Policy *p, const TailnetSpec *t, Err *err)
{
        if (t->file_path.n > 0)
                return admits_path(p, "spec.file.path", t->file_path, err);
        if (t->credentials_env.n > 0)
                return err_set(err, ERR_DENIED, "EnvRefused",
                               "spec.credentials.env: the operator's environment is nobody's "
                               "credential, expected secretRef");
        if (t->token_file.n > 0 &&
            !admits_path(p, "spec.credentials.tokenFile", t->token_file, err))
                return false;
        return p->allow_insecure_api || str_starts(t->api_url, STR("https://")) ||
               err_set(err, ERR_DENIED, "InsecureAPI",
                       "spec.apiURL: %.*s is not https://, and the operator runs without "
                       "--allow-insecure-api",
                       STR_FMT(t->api_url));
}

bool policy_admits_source(const Policy *p, const TailnetSpec *t, bool local, Err *err)
{
        if (is_open(p))
                return true;
        if (!local && !tailnet_spec_is_local(t))
                return admits_primary(p, t, err);
        return t->local_socket.n == 0 ||
               admits_path(p, "spec.localAPI.socket", t->local_socket, err);
}

Str policy_source_path(const Policy *p, const TailnetSpec *t, bool local)
{
        if (is_open(p))
                return (Str){0};
        if (local || tailnet_spec_is_local(t))
                return t->local_socket;
        return t->file_path.n > 0 ? t->file_path : t->token_file;
}

bool policy_admits_socket(const Policy *p, const char *field, Str path, Err *err)
{
        return is_open(p) || admits_path(p, field, path, err);
}

/* ---- images ---- */

bool policy_admits_image(const Policy *p, Str image, Err *err)
{
        if (is_open(p))
                return true;
        for (size_t i = 0; i < p->allowed_images.n; i++)
                if (glob_match(p->allowed_images.at[i], image))
                        return true;
        return err_set(err, ERR_DENIED, "ImageRefused",
                       "image %.*s is not one of the operator's --allowed-images", STR_FMT(image));
}
