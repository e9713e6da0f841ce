/* SPDX-License-Identifier: Apache-2.0 */
#include "translate/hostname.h"

#include <stdio.h>

static char lower(char c)
{
        return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_alnum(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

Str hostname_label(Arena *a, Str s)
{
        char out[HOSTNAME_LABEL_MAX];
        size_t n = 0;
        for (size_t i = 0; i < s.n && n < sizeof(out); i++) {
                char c = lower(s.p[i]);
                if (!is_alnum(c))
                        c = '-';
                if (c != '-' || n > 0)
                        out[n++] = c;
        }
        while (n > 0 && out[n - 1] == '-')
                n--;
        return arena_str(a, str_make(out, n));
}

/* The value of the placeholder at the beginning of `s`, and its length; 0 where there is none. */
static size_t placeholder(Arena *a, Str s, const HostVars *v, Str *ret)
{
        const struct {
                Str name, value;
        } known[] = {
                {STR("{service}"), v->service},
                {STR("{tailnet}"), v->tailnet},
                {STR("{namespace}"), v->namespace},
                {STR("{gateway}"), v->gateway},
        };
        for (size_t i = 0; i < LENGTH_OF(known); i++) {
                if (!str_starts(s, known[i].name))
                        continue;
                *ret = hostname_label(a, known[i].value);
                return known[i].name.n;
        }
        if (!str_starts(s, STR("{port}")))
                return 0;
        *ret = arena_printf(a, "%u", v->port);
        return sizeof("{port}") - 1;
}

/* All placeholders replaced; false where one has no value left or the text is longer than `max`. */
static bool expand(Arena *a, Str pattern, const HostVars *v, char *out, size_t max, size_t *ret_n)
{
        size_t n = 0;
        for (size_t i = 0; i < pattern.n;) {
                Str value = str_sub(pattern, i, 1);
                size_t used = placeholder(a, str_sub(pattern, i, pattern.n), v, &value);
                i += used > 0 ? used : 1;
                if (value.n == 0 || n + value.n > max)
                        return false;
                memcpy(out + n, value.p, value.n);
                n += value.n;
        }
        *ret_n = n;
        return true;
}

bool hostname_is_valid(Str host)
{
        if (host.n == 0 || host.n > HOSTNAME_MAX)
                return false;
        size_t label = 0;
        for (size_t i = 0; i < host.n; i++) {
                char c = lower(host.p[i]);
                if (c == '.') {
                        if (label == 0)
                                return false;
                        label = 0;
                } else if ((!is_alnum(c) && c != '-' && c != '_') || ++label > HOSTNAME_LABEL_MAX) {
                        return false;
                }
        }
        return label > 0;
}

Str hostname_expand(Arena *a, Str pattern, const HostVars *v)
{
        enum {
                ROOM = 4 * HOSTNAME_MAX /* before labels are cut */
        };
        char full[ROOM], out[HOSTNAME_MAX];
        size_t n_full = 0, n = 0, label = 0;
        if (!expand(a, pattern, v, full, sizeof(full), &n_full))
                return (Str){0};
        for (size_t i = 0; i <= n_full; i++) {
                bool is_end = i == n_full || full[i] == '.';
                /* One that was cut may end in the middle of what joined two names. */
                while (is_end && label > HOSTNAME_LABEL_MAX && n > 0 && out[n - 1] == '-')
                        n--;
                if (is_end)
                        label = 0;
                else if (++label > HOSTNAME_LABEL_MAX)
                        continue;
                if (i == n_full)
                        break;
                if (n == sizeof(out))
                        return (Str){0};
                out[n++] = lower(full[i]);
        }
        Str host = str_make(out, n);
        return hostname_is_valid(host) ? arena_str(a, host) : (Str){0};
}

static bool is_path_char(char c)
{
        return is_alnum(lower(c)) || (c != '\0' && strchr("-._~!$&'()*+,;=:@/", c) != NULL);
}

Str hostname_expand_path(Arena *a, Str pattern, const HostVars *v)
{
        char out[HOSTNAME_PATH_MAX + 1];
        size_t n = 0;
        if (!expand(a, pattern, v, out, HOSTNAME_PATH_MAX, &n) || n == 0 || out[0] != '/')
                return (Str){0};
        if (out[n - 1] != '/')
                out[n++] = '/';
        Str path = str_make(out, n);
        for (size_t i = 0; i < n; i++) {
                if (!is_path_char(out[i]))
                        return (Str){0};
        }
        if (str_find_str(path, STR("//")) >= 0 || str_find_str(path, STR("/./")) >= 0 ||
            str_find_str(path, STR("/../")) >= 0)
                return (Str){0};
        return arena_str(a, path);
}

static bool is_below(Str wildcard, Str host)
{
        /* "*.x" has ".x" as suffix, and something must stand before it. */
        return host.n > wildcard.n - 1 && str_ends_fold(host, str_sub(wildcard, 1, wildcard.n));
}

bool hostname_within(Str listener, Str host)
{
        if (listener.n == 0 || str_eq(listener, STR("*")))
                return true;
        return str_starts(listener, STR("*.")) ? is_below(listener, host)
                                               : str_eq_fold(listener, host);
}

bool hostname_names(Str pattern, Str domain)
{
        if (str_eq_fold(pattern, domain))
                return true;
        return str_starts(pattern, STR("*.")) && is_below(pattern, domain);
}
