/* SPDX-License-Identifier: Apache-2.0 */
/* Every sample that a check takes, its form takes, too: by the pattern, the length and each rule
 * that is a regular expression. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <regex.h>
#include <stdio.h>

#include "model/cidr.h"
#include "model/port_spec.h"
#include "model/value_check.h"
#include "model/value_form.h"

#define N10 "0123456789"
#define N60 N10 N10 N10 N10 N10 N10

static const char *const samples[] = {
        "",
        "a",
        "a-b",
        "-a",
        "a-",
        "A",
        "0",
        "a.b",
        "a.b-c.0",
        "a..b",
        ".a",
        "a.",
        ".",
        "..",
        "a_b",
        "a b",
        " ",
        "\xc3\xa9",
        "a\xc2\xb5",
        N60 "abc",
        N60 "abcd",
        N60 "." N60 "." N60 "." N60,
        N60 "." N60 "." N60 "." N60 ".0123456",
        "x.Y.z.",
        "*",
        "**",
        "*x",
        "*.a",
        "*.a.b",
        "*.*.x",
        "*.a:80",
        "a:80",
        "a:0",
        "a:00080",
        "a:65536",
        "[::1]:80",
        "*.[::1]:80",
        "[::1]",
        "[1.2.3.4]:80",
        "::1",
        "::",
        "fd7a:115c:a1e0::1",
        "::ffff:1.2.3.4",
        "1.2.3.4",
        "255.255.255.255",
        "256.1.1.1",
        "01.2.3.4",
        "1.2.3",
        "1.2.3.4:3128",
        "/",
        "/run/p.sock",
        "/a b",
        "http://a",
        "https://a",
        "https://a/",
        "https://a:8443/b/c",
        "https://u@a",
        "https://a?x",
        "https://a#x",
        "https://a/\\",
        "https://[2001:db8::1]",
        "https://[2001:db8::1]:1/x",
        "http://localhost",
        "http://LocalHost:1",
        "http://127.0.0.1:8080",
        "http://10.1.2.3",
        "http://[::1]:80/",
        "http://[fe80::1]",
        "http://100.64.0.1",
        "http://100.127.0.1",
        "http://100.128.0.1",
        "http://172.16.0.1",
        "http://172.31.0.1/x",
        "http://172.32.0.1",
        "http://192.168.0.1",
        "http://169.254.1.1",
        "http://8.8.8.8",
        "http://example.com",
        "http://localhost.example.com",
        "tag:a",
        "tag:",
        "tag:A_b.c-1",
        "tag:a b",
        "tag:a/b",
        "Tag:a",
        "TSGW_KEY",
        "_a1",
        "1A",
        "api-*",
        "[a-z]?",
        "[!a]",
        "[!]",
        "[!]]",
        "[]a]",
        "[]",
        "[a",
        "[[]",
        "a[b-]c",
        "[a-]]",
        "[!!]",
        "[]-a]",
        "x[0-9][0-9]*",
        "{service}",
        "{service}.{tailnet}.{namespace}.x",
        "a-{service}-b.Example.COM",
        "{Service}.x",
        "{service}{port}",
        "-{service}",
        "{service}.",
        "{service}}",
        "{service}..a",
        "/{service}",
        "/tailscale/{service}/",
        "/a//b",
        "/a/../b",
        "/a/./b",
        "/{x}",
        "/a?b",
        "/a*",
        "/a}",
        "10.0.0.0/8",
        "10.0.0.1/8",
        "1.2.3.4/32",
        "1.2.3.4/33",
        "fd00::/8",
        "::/0",
        "::ffff:10.0.0.0/104",
        "443",
        "080",
        "0",
        "65535",
        "65536",
        "80-90",
        "90-80",
        "tcp:80",
        "TCP:80-90",
        "udp:53",
        "tcp:443, tcp:8080-8082",
        "80,",
        "tcp:*",
        "* , 80",
        "tcp:443,\ttcp:8080",
        "128Mi",
        "100m",
        "1",
        "0.5",
        ".5",
        "1.",
        "1e3",
        "1E-3",
        "1e",
        "1Kb",
        "-1",
        "1.5Gi",
};

/* As POSIX writes it: no escapes in brackets. */
static void posix_of(Str pattern, char out[2048])
{
        static const char control[] = "\\x00-\\x1f\\x7f";
        size_t n = 0;

        while (pattern.n > 0 && n < 2000) {
                if (str_starts(pattern, str_of(control))) {
                        out[n++] = 1;
                        out[n++] = '-';
                        out[n++] = 0x1f;
                        out[n++] = 0x7f;
                        pattern = str_sub(pattern, sizeof(control) - 1, pattern.n);
                        continue;
                }
                out[n++] = pattern.p[0];
                pattern = str_sub(pattern, 1, pattern.n);
        }
        out[n] = '\0';
}

static bool matches(Str pattern, const char *value)
{
        bool folded = str_starts(pattern, STR("(?i)"));
        char text[2048];
        regex_t r;
        int code;

        posix_of(str_sub(pattern, folded ? 4 : 0, pattern.n), text);
        code = regcomp(&r, text, REG_EXTENDED | REG_NOSUB | (folded ? REG_ICASE : 0));
        if (code != 0)
                fail_msg("not an expression: %s", text);
        code = regexec(&r, value, 0, NULL, 0);
        regfree(&r);
        return code == 0;
}

/* What stands in quotes behind `begin`, or a NULL where `begin` is not the beginning. */
static Str argument(Str clause, const char *begin)
{
        Str rest = str_sub(clause, strlen(begin), clause.n);

        if (!str_starts(clause, str_of(begin)))
                return (Str){0};
        return str_sub(rest, 0, (size_t)str_find_str(rest, STR("')")));
}

/* One of the three clauses that rules of values are made of. */
static bool clause_takes(Str clause, const char *value)
{
        Str has = argument(clause, "self.contains('"), lacks = argument(clause, "!self.contains('");
        Str expression = argument(clause, "self.matches(r'");

        if (has.p != NULL)
                return str_find_str(str_of(value), has) >= 0;
        if (lacks.p != NULL)
                return str_find_str(str_of(value), lacks) < 0;
        assert_non_null(expression.p);
        return matches(expression, value);
}

static bool rule_takes(const char *cel, const char *value)
{
        static const Str unless = STR_INIT("!self.startsWith('http://') || ");
        Str rest = str_of(cel);

        if (str_starts(rest, unless) && !str_starts(str_of(value), STR("http://")))
                return true;
        if (str_starts(rest, unless))
                rest = str_sub(rest, unless.n, rest.n);
        while (rest.n > 0) {
                ptrdiff_t end = str_find_str(rest, STR(" && "));

                if (!clause_takes(str_sub(rest, 0, end < 0 ? rest.n : (size_t)end), value))
                        return false;
                rest = end < 0 ? (Str){0} : str_sub(rest, (size_t)end + 4, rest.n);
        }
        return true;
}

static size_t characters(const char *s)
{
        size_t n = 0;

        for (; *s != '\0'; s++)
                n += ((unsigned char)*s & 0xc0U) != 0x80;
        return n;
}

static bool takes(const ValueForm *form, const char *value)
{
        if (characters(value) < form->min || characters(value) > form->max)
                return false;
        if (form->pattern != NULL && !matches(str_of(form->pattern), value))
                return false;
        for (const SchemaRule *r = form->rules; r != NULL && r->cel != NULL; r++)
                if (!rule_takes(r->cel, value))
                        return false;
        return true;
}

static bool check_cidr(Str value, char expected[EXPECTED_MAX])
{
        Cidr c;

        (void)expected;
        return cidr_parse(value, &c);
}

static bool check_ports(Str value, char expected[EXPECTED_MAX])
{
        PortSpec s;

        return port_spec_parse(value, &s, expected);
}

/* And how many samples the form takes that the check does not: a change is looked at. */
static void a_form_is_as_wide_as_its_check(FieldCheck *check, const ValueForm *form, size_t n_wider,
                                           const char *name)
{
        char expected[EXPECTED_MAX];
        size_t n = 0;

        for (size_t i = 0; i < LENGTH_OF(samples); i++) {
                bool good = check == NULL || check(str_of(samples[i]), expected);

                if (good && !takes(form, samples[i]) && str_is_printable_utf8(str_of(samples[i])))
                        fail_msg("%s: the form refuses \"%s\"", name, samples[i]);
                n += !good && takes(form, samples[i]);
        }
        if (n > n_wider)
                fail_msg("%s: the form takes %zu samples that the check does not", name, n);
}

static void test_forms(void **state)
{
        static const struct {
                const char *name;
                FieldCheck *check;
                size_t n_wider;
        } cases[] = {
                {"any", NULL, 0},
                {"label", check_label, 0},
                {"name", check_name, 0},
                {"section", check_section, 0},
                {"dns_name", check_dns_name, 0},
                {"dns_suffix", check_dns_suffix, 0},
                {"service", check_service, 0},
                {"host", check_host, 0},
                {"word", check_word, 0},
                {"path", check_path, 0},
                {"revision", check_revision, 0},
                {"amount", check_amount, 0},
                {"env", check_env, 0},
                {"glob", check_glob, 2},
                {"tag", check_tag, 0},
                {"ip", check_ip, 0},
                {"path_host", check_path_host, 0},
                {"api_url", check_api_url, 0},
                {"proxy", check_proxy, 0},
                {"host_pattern", check_host_pattern, 0},
                {"path_prefix", check_path_prefix, 0},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++)
                a_form_is_as_wide_as_its_check(cases[i].check,
                                               cases[i].check == check_amount
                                                       ? value_form_amount()
                                                       : value_form(cases[i].check),
                                               cases[i].n_wider, cases[i].name);
        a_form_is_as_wide_as_its_check(check_cidr, value_form_cidr(), 2, "cidr");
        a_form_is_as_wide_as_its_check(check_ports, value_form_ports(), 1, "ports");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_forms),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
