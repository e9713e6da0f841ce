/* SPDX-License-Identifier: Apache-2.0 */
#include "model/value_check.h"

#include "base/glob.h"
#include "model/cidr.h"

#include <stdarg.h>
#include <stdio.h>

enum {
        LABEL_MAX = 63,
        DNS_MAX = 253,
        PORT_MAX = 65535,
        PATH_BYTES_MAX = 4095,
        SOCKET_MAX = 107, /* sun_path, with room for the NUL */
        REVISION_BYTES_MAX = 32,
        AMOUNT_BYTES_MAX = 32,
};

/* Always false, for `return say(…)`. */
static bool say(char expected[EXPECTED_MAX], const char *fmt, ...) PRINTF(2, 3);
static bool say(char expected[EXPECTED_MAX], const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        IGNORE(vsnprintf(expected, EXPECTED_MAX, fmt, ap), "cut where too long");
        va_end(ap);
        return false;
}

static bool is_lower_or_digit(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static char lower(char c)
{
        return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_letter_or_digit(char c)
{
        return is_lower_or_digit(lower(c));
}

static bool is_label(Str s)
{
        if (s.n == 0 || s.n > LABEL_MAX || s.p[0] == '-' || s.p[s.n - 1] == '-')
                return false;
        for (size_t i = 0; i < s.n; i++)
                if (!is_lower_or_digit(s.p[i]) && s.p[i] != '-')
                        return false;
        return true;
}

/* Every part between dots is good. */
static bool each_label(Str s, bool (*good)(Str))
{
        Str label;

        if (s.n == 0 || s.n > DNS_MAX)
                return false;
        while (str_cut(&s, '.', &label))
                if (!good(label))
                        return false;
        return good(label);
}

bool check_label(Str value, char expected[EXPECTED_MAX])
{
        return is_label(value) ||
               say(expected, "a DNS label: a-z, 0-9 and - inside, at most %d bytes", LABEL_MAX);
}

bool check_name(Str value, char expected[EXPECTED_MAX])
{
        return each_label(value, is_label) ||
               say(expected, "a name: a-z, 0-9, - and . inside, at most %d bytes", DNS_MAX);
}

bool check_section(Str value, char expected[EXPECTED_MAX])
{
        return value.n == 0 || check_name(value, expected);
}

/* As hosts are written by people: any case, underscores. */
static bool is_loose_label(Str s)
{
        if (s.n == 0 || s.n > LABEL_MAX)
                return false;
        for (size_t i = 0; i < s.n; i++)
                if (!is_letter_or_digit(s.p[i]) && s.p[i] != '-' && s.p[i] != '_')
                        return false;
        return true;
}

bool check_dns_name(Str value, char expected[EXPECTED_MAX])
{
        Str s = str_ends(value, STR(".")) ? str_sub(value, 0, value.n - 1) : value;

        return each_label(s, is_loose_label) ||
               say(expected, "a DNS name, at most %d bytes", DNS_MAX);
}

bool check_dns_suffix(Str value, char expected[EXPECTED_MAX])
{
        Str s = str_starts(value, STR(".")) ? str_sub(value, 1, value.n) : value;

        return value.n == 0 || check_dns_name(s, expected);
}

static bool has_any(Str s, const char *unwanted)
{
        for (size_t i = 0; i < s.n; i++)
                if (s.p[i] != '\0' && strchr(unwanted, s.p[i]) != NULL)
                        return true;
        return false;
}

bool check_service(Str value, char expected[EXPECTED_MAX])
{
        return (value.n > 0 && value.n <= DNS_MAX) ||
               say(expected, "a name, at most %d bytes", DNS_MAX);
}

bool check_host(Str value, char expected[EXPECTED_MAX])
{
        return value.n == 0 || check_service(value, expected);
}

bool check_revision(Str value, char expected[EXPECTED_MAX])
{
        return (value.n > 0 && value.n <= REVISION_BYTES_MAX) ||
               say(expected, "a revision, at most %d bytes", REVISION_BYTES_MAX);
}

static size_t digits(Str s)
{
        size_t n = 0;

        while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
                n++;
        return n;
}

/* A number with at most one point, from the front of *s; false where no digit is in it. */
static bool take_decimal(Str *s)
{
        size_t whole = digits(*s), part = 0;

        *s = str_sub(*s, whole, s->n);
        if (str_starts(*s, STR("."))) {
                *s = str_sub(*s, 1, s->n);
                part = digits(*s);
                *s = str_sub(*s, part, s->n);
        }
        return whole + part > 0;
}

bool check_amount(Str value, char expected[EXPECTED_MAX])
{
        static const Str suffixes[] = {
                STR_INIT(""),   STR_INIT("n"),  STR_INIT("u"),  STR_INIT("m"),
                STR_INIT("k"),  STR_INIT("M"),  STR_INIT("G"),  STR_INIT("T"),
                STR_INIT("P"),  STR_INIT("E"),  STR_INIT("Ki"), STR_INIT("Mi"),
                STR_INIT("Gi"), STR_INIT("Ti"), STR_INIT("Pi"), STR_INIT("Ei")};
        Str rest = value;
        bool good = value.n <= AMOUNT_BYTES_MAX && take_decimal(&rest);

        if (good && !strlist_has((StrList){suffixes, LENGTH_OF(suffixes)}, rest)) {
                size_t sign = rest.n > 1 && (rest.p[1] == '+' || rest.p[1] == '-') ? 2 : 1;
                Str exponent = str_sub(rest, sign, rest.n);

                good = (rest.p[0] == 'e' || rest.p[0] == 'E') && exponent.n > 0 &&
                       digits(exponent) == exponent.n;
        }
        return good || say(expected, "a quantity such as \"128Mi\" or \"100m\"");
}

bool check_word(Str value, char expected[EXPECTED_MAX])
{
        return value.n > 0 || say(expected, "text");
}

bool check_glob(Str value, char expected[EXPECTED_MAX])
{
        return glob_is_valid(value) ||
               say(expected, "a glob such as \"api-*\" (*, ?, [a-z]), at most %d bytes", GLOB_MAX);
}

bool check_tag(Str value, char expected[EXPECTED_MAX])
{
        Str name = str_sub(value, 4, value.n);

        return (str_starts(value, STR("tag:")) && name.n > 0 && name.n <= DNS_MAX &&
                !has_any(name, " ,/")) ||
               say(expected, "a tag such as \"tag:web\"");
}

bool check_ip(Str value, char expected[EXPECTED_MAX])
{
        IpAddr a;

        return ip_parse(value, &a) || say(expected, "an IP address");
}

static bool is_port(Str s, uint16_t *ret)
{
        uint64_t v;

        if (s.n == 0 || s.n > 5 || !str_to_u64(s, PORT_MAX, &v) || v == 0)
                return false;
        *ret = (uint16_t)v;
        return true;
}

static bool is_dns_name(Str s)
{
        char ignored[EXPECTED_MAX];

        return check_dns_name(s, ignored);
}

bool check_service_pattern(Str value, char expected[EXPECTED_MAX])
{
        static const Str hole = STR_INIT("{service}");
        Str s = value;
        bool good = value.n > 0 && value.n <= DNS_MAX && s.p[0] != '-';

        while (good && s.n > 0) {
                bool is_hole = str_starts(s, hole);

                good = is_hole || is_lower_or_digit(s.p[0]) || s.p[0] == '-';
                s = str_sub(s, is_hole ? hole.n : 1, s.n);
        }
        return good || say(expected, "the name of a Service, in which {service} may stand");
}

bool check_token(Str value, char expected[EXPECTED_MAX])
{
        bool good = value.n > 0 && value.n <= DNS_MAX;

        for (size_t i = 0; good && i < value.n; i++) {
                char c = value.p[i];

                good = is_letter_or_digit(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
        }
        return good ||
               say(expected, "a name of letters, digits and dashes, at most %d bytes", DNS_MAX);
}

bool value_host_port(Str value, Str *ret_host, uint16_t *ret_port)
{
        Str host, rest = value;
        uint16_t port;
        IpAddr a;

        if (str_starts(value, STR("["))) {
                rest = str_sub(value, 1, value.n);
                if (!str_cut(&rest, ']', &host) || !str_starts(rest, STR(":")) ||
                    !ip_parse(host, &a) || ip_is_v4(&a))
                        return false;
                rest = str_sub(rest, 1, rest.n);
        } else if (!str_cut(&rest, ':', &host) || !is_dns_name(host)) {
                return false;
        }
        if (!is_port(rest, &port))
                return false;
        *ret_host = host;
        *ret_port = port;
        return true;
}

/* "host", "host:port", "[v6]" or "[v6]:port"; `s` ends with the authority. */
static bool authority_host(Str s, Str *ret_host)
{
        uint16_t port;
        IpAddr a;

        if (value_host_port(s, ret_host, &port))
                return true;
        if (s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']') {
                *ret_host = str_sub(s, 1, s.n - 2);
                return ip_parse(*ret_host, &a) && !ip_is_v4(&a);
        }
        *ret_host = s;
        return is_dns_name(s);
}

/* Splits off "https://" or "http://" and the authority. */
static bool split_url(Str url, bool *ret_plain, Str *ret_authority, Str *ret_path)
{
        ptrdiff_t slash;
        Str rest;

        *ret_plain = str_starts(url, STR("http://"));
        if (!*ret_plain && !str_starts(url, STR("https://")))
                return false;
        rest = str_sub(url, *ret_plain ? 7 : 8, url.n);
        slash = str_find(rest, '/');
        *ret_authority = slash < 0 ? rest : str_sub(rest, 0, (size_t)slash);
        *ret_path = slash < 0 ? STR("") : str_sub(rest, (size_t)slash, rest.n);
        return true;
}

static bool is_near(Str host)
{
        IpAddr a;

        return str_eq_fold(host, STR("localhost")) || (ip_parse(host, &a) && ip_is_private(&a));
}

bool check_api_url(Str value, char expected[EXPECTED_MAX])
{
        Str authority, path, host;
        bool plain;

        if (!split_url(value, &plain, &authority, &path))
                return say(expected, "a URL that begins with https://");
        if (str_find(authority, '@') >= 0)
                return say(expected, "a URL without user name or password (use credentials)");
        if (!authority_host(authority, &host))
                return say(expected, "a URL with a host, and a port from 1 to 65535 if any");
        if (has_any(path, " ?#\\") || str_find_str(path, STR("/../")) >= 0)
                return say(expected, "a URL without query or fragment");
        if (plain && !is_near(host))
                return say(expected, "https:// (http:// is for loopback and private addresses)");
        return true;
}

Str value_url_host(Str url)
{
        Str authority, path, host;
        bool plain;

        if (!split_url(url, &plain, &authority, &path) || !authority_host(authority, &host))
                return STR("");
        return host;
}

bool check_path(Str value, char expected[EXPECTED_MAX])
{
        return (value.n > 0 && value.n <= PATH_BYTES_MAX) || say(expected, "a path");
}

bool check_proxy(Str value, char expected[EXPECTED_MAX])
{
        uint16_t port;
        Str host;

        if (str_starts(value, STR("/")))
                return (value.n > 1 && value.n <= SOCKET_MAX) ||
                       say(expected, "the path of a unix socket, at most %d bytes", SOCKET_MAX);
        return value_host_port(value, &host, &port) ||
               say(expected, "an address and port such as \"127.0.0.1:3128\", or a unix socket's "
                             "path");
}

bool check_env(Str value, char expected[EXPECTED_MAX])
{
        bool good = value.n > 0 && value.n <= DNS_MAX && !(value.p[0] >= '0' && value.p[0] <= '9');

        for (size_t i = 0; good && i < value.n; i++)
                good = is_letter_or_digit(value.p[i]) || value.p[i] == '_';
        return good || say(expected, "the name of an environment variable");
}

static const Str placeholders[] = {STR_INIT("service"), STR_INIT("tailnet"), STR_INIT("namespace"),
                                   STR_INIT("gateway"), STR_INIT("port")};

static bool unknown_placeholder(Str name, char expected[EXPECTED_MAX])
{
        Str nearest = str_nearest(name, placeholders, LENGTH_OF(placeholders));

        return say(expected,
                   "only the placeholders {service}, {tailnet}, {namespace}, {gateway}, "
                   "{port}%s%.*s%s",
                   nearest.n > 0 ? ", did you mean {" : "", STR_FMT(nearest),
                   nearest.n > 0 ? "}?" : "");
}

/* Copies `value` to `out` (of at least its size) with an `x` in place of each placeholder. */
static bool fill_placeholders(Str value, char *out, size_t *ret_n, char expected[EXPECTED_MAX])
{
        size_t n = 0;

        while (value.n > 0) {
                ptrdiff_t end;
                Str name;

                if (value.p[0] != '{') {
                        if (value.p[0] == '}')
                                return say(expected, "a { before each }");
                        out[n++] = value.p[0];
                        value = str_sub(value, 1, value.n);
                        continue;
                }
                end = str_find(value, '}');
                if (end < 0)
                        return say(expected, "a } behind each {");
                name = str_sub(value, 1, (size_t)end - 1);
                if (!strlist_has((StrList){placeholders, LENGTH_OF(placeholders)}, name))
                        return unknown_placeholder(name, expected);
                out[n++] = 'x';
                value = str_sub(value, (size_t)end + 1, value.n);
        }
        *ret_n = n;
        return true;
}

bool check_host_pattern(Str value, char expected[EXPECTED_MAX])
{
        char filled[STRING_MAX];
        size_t n;

        if (value.n > STRING_MAX)
                return say(expected, "at most %d bytes", STRING_MAX);
        if (str_find_str(value, STR("{service}")) < 0)
                return say(expected, "a host with {service} in it");
        if (!fill_placeholders(value, filled, &n, expected))
                return false;
        for (size_t i = 0; i < n; i++)
                filled[i] = lower(filled[i]);
        return each_label(str_make(filled, n), is_label) ||
               say(expected, "a host such as \"{service}.{tailnet}.example.com\"");
}

bool check_path_prefix(Str value, char expected[EXPECTED_MAX])
{
        char filled[STRING_MAX];
        size_t n;

        if (value.n == 0)
                return true;
        if (value.n > STRING_MAX || value.p[0] != '/')
                return say(expected, "a path that begins with /");
        if (has_any(value, " ?#\\*") || str_find_str(value, STR("//")) >= 0 ||
            str_find_str(value, STR("/../")) >= 0 || str_find_str(value, STR("/./")) >= 0)
                return say(expected, "a path without space, ?, #, \\, *, //, /./ and /../");
        return fill_placeholders(value, filled, &n, expected);
}

bool check_path_host(Str value, char expected[EXPECTED_MAX])
{
        Str host = value, h;
        uint16_t port;

        if (str_eq(value, STR("*")))
                return true;
        if (str_starts(value, STR("*.")))
                host = str_sub(value, 2, value.n);
        return is_dns_name(host) || value_host_port(host, &h, &port) ||
               say(expected, "a host, \"*\" or \"*.example.com\"");
}
