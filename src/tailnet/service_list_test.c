/* SPDX-License-Identifier: Apache-2.0 */
#include "tailnet/service_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"

enum {
        TEXT_MAX = 4096
};

static void print_list(Buf *b, StrList l)
{
        for (size_t i = 0; i < l.n; i++)
                buf_printf(b, "%s%.*s", i > 0 ? "," : "", STR_FMT(l.at[i]));
}

/* One line each, or the error; then what was left out. */
static void read_list(const char *body, size_t piece, char ret[TEXT_MAX])
{
        ServiceList *l = service_list_new();
        const char *why;
        Err err = {0};
        bool ok = true;
        Buf b;

        buf_init(&b, TEXT_MAX - 1);
        for (Str rest = str_of(body); ok && rest.n > 0; rest = str_sub(rest, piece, SIZE_MAX))
                ok = service_list_feed(l, str_sub(rest, 0, piece), &err);
        ok = ok && service_list_finish(l, &err);
        if (!ok) {
                buf_printf(&b, "%s %s", err.reason, err.text);
        } else {
                size_t n;
                const void **leaves = service_list_take(l, &n);

                for (size_t i = 0; i < n; i++) {
                        const TailnetService *s = leaves[i];

                        buf_printf(&b, "%.*s %.*s %.*s %.*s ", STR_FMT(s->name), STR_FMT(s->label),
                                   STR_FMT(s->ip4), STR_FMT(s->ip6));
                        print_list(&b, s->ports);
                        buf_add_char(&b, ' ');
                        print_list(&b, s->tags);
                        buf_add_char(&b, '\n');
                        assert_false(s->hosts_known);
                        leaf_unref(s);
                }
                mem_free(leaves);
                if (service_list_invalid(l, &why) > 0)
                        buf_printf(&b, "-%u %s", (unsigned)service_list_invalid(l, &why), why);
        }
        assert_false(b.failed);
        snprintf(ret, TEXT_MAX, "%.*s", STR_FMT(buf_str(&b)));
        buf_done(&b);
        service_list_free(l);
}

#define WEB "{\"name\":\"svc:web\",\"addrs\":[\"fd7a:115c:a1e0::7\",\"100.70.0.7\"]"
#define API "{\"name\":\"svc:api\",\"addrs\":[\"100.70.0.8\"]"

static void lists_as_they_come(void **state)
{
        static const struct {
                const char *body, *want;
        } cases[] = {
                {"{\"vipServices\":[" WEB ",\"displayName\":\"The web\",\"comment\":\"c\","
                 "\"annotations\":{\"k\":\"v\"},\"ports\":[\"tcp:443\",\"tcp:80-90\",\"tcp:443\"],"
                 "\"tags\":[\"tag:b\",\"tag:a\"]}," API ",\"ports\":[\"do-not-validate\"]}]}",
                 "svc:api api 100.70.0.8  do-not-validate \n"
                 "svc:web web 100.70.0.7 fd7a:115c:a1e0::7 tcp:443,tcp:80-90 tag:a,tag:b\n"},
                {"{\"services\":[" API "}],\"next\":null}", "svc:api api 100.70.0.8   \n"},
                {"{\"vipServices\":[]}", ""},
                {"{\"vipServices\":null}", ""},
                {"{}", "InvalidJson no list \"vipServices\" in it"},
                {"{\"vipServices\":[],\"services\":[]}",
                 "InvalidJson both \"vipServices\" and \"services\" in it"},
                {"{\"vipServices\":{}}", "InvalidJson the named member is no list, at byte 16"},
                {"{\"vipServices\":[" WEB "}]", "InvalidJson "},
                {"{\"vipServices\":[" WEB "}", "InvalidJson "},
                {"", "InvalidJson "},
                {"<html>", "InvalidJson "},
                {"[]", "InvalidJson "},
                {"{\"vipServices\":[" WEB "}," WEB ",\"ports\":[\"tcp:1\"]}]}",
                 "svc:web web 100.70.0.7 fd7a:115c:a1e0::7  \n"
                 "-1 Service \"svc:web\": another one has this name"},
                {"{\"vipServices\":[" WEB ",\"ports\":[\"tcp:1\"]}," WEB "}]}",
                 "svc:web web 100.70.0.7 fd7a:115c:a1e0::7  \n"
                 "-1 Service \"svc:web\": another one has this name"},
                {"{\"vipServices\":[{\"name\":\"svc:Web\",\"addrs\":[\"100.70.0.9\",\"100.70.0.7\","
                 "\"x\",7,null,[]],\"ports\":null,\"tags\":[\"x\",7,\"tag:\"]}]}",
                 "svc:web web 100.70.0.7   \n"},
                {"{\"vipServices\":[" API ",\"ports\":[7,\"\",\"tcp:\\n1\",\" tcp:2 \"]}]}",
                 "svc:api api 100.70.0.8  tcp:2 \n"},
        };
        char got[TEXT_MAX];

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                for (size_t piece = 1; piece < 400; piece = piece * 3 + 1) {
                        read_list(cases[i].body, piece, got);
                        /* What is no JSON is told in the parser's words. */
                        if (strcmp(cases[i].want, "InvalidJson ") == 0)
                                got[strlen("InvalidJson ")] = '\0';
                        assert_string_equal(got, cases[i].want);
                }
        }
}

#define A16 "aaaaaaaaaaaaaaaa"

static void what_cannot_be_understood_is_counted(void **state)
{
        static const char *const bad[] = {
                "null",
                "7",
                "[]",
                "{}",
                "{\"name\":7,\"addrs\":[\"100.70.0.1\"]}",
                "{\"name\":\"web\",\"addrs\":[\"100.70.0.1\"]}",
                "{\"name\":\"svc:\",\"addrs\":[\"100.70.0.1\"]}",
                "{\"name\":\"svc:a.b\",\"addrs\":[\"100.70.0.1\"]}",
                "{\"name\":\"svc:-a\",\"addrs\":[\"100.70.0.1\"]}",
                "{\"name\":\"svc:a\\u0000b\",\"addrs\":[\"100.70.0.1\"]}",
                "{\"name\":\"svc:\\u00e9\",\"addrs\":[\"100.70.0.1\"]}",
                "{\"name\":\"svc:a\"}",
                "{\"name\":\"svc:a\",\"addrs\":[]}",
                "{\"name\":\"svc:a\",\"addrs\":\"100.70.0.1\"}",
                "{\"name\":\"svc:a\",\"addrs\":[\"web.example\",{},7]}",
                "{\"name\":\"svc:" A16 A16 A16 A16 "\",\"addrs\":[\"100.70.0.1\"]}",
        };
        char body[1024], got[TEXT_MAX];

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(bad); i++) {
                snprintf(body, sizeof(body), "{\"vipServices\":[%s," API "}]}", bad[i]);
                read_list(body, SIZE_MAX, got);
                assert_true(
                        str_starts(str_of(got), STR("svc:api api 100.70.0.8   \n-1 Service \"")));
                snprintf(body, sizeof(body), "{\"vipServices\":[%s]}", bad[i]);
                read_list(body, SIZE_MAX, got);
                assert_true(str_starts(str_of(got), STR("InvalidService none of 1 Services")));
        }
}

static void a_list_has_a_cap(void **state)
{
        ServiceList *l = service_list_new();
        Err err = {0};
        bool ok = service_list_feed(l, STR("{\"vipServices\":[{}"), &err);

        (void)state;
        for (unsigned i = 1; ok && i < TAILNET_SERVICES_MAX; i++)
                ok = service_list_feed(l, STR(",{}"), &err);
        assert_true(ok);
        assert_false(service_list_feed(l, STR(",{}"), &err));
        assert_int_equal(err.kind, ERR_LIMIT);
        service_list_free(l);
}

#define HOST(id, level, configured)                               \
        "{\"stableNodeID\":\"" id "\",\"approvalLevel\":\"" level \
        "\",\"configured\":\"" configured "\"}"

#define UP(id) HOST(id, "approved:auto", "ready")

static void hosts_that_serve(void **state)
{
        static const struct {
                const char *body, *want; /* NULL: an error */
        } cases[] = {
                {"{\"hosts\":[" UP("n2") "," HOST("n1", "approved:manual", "ready") "]}",
                 "2 n1,n2"},
                {"{\"hosts\":[" HOST("n3", "not-approved", "ready") "," UP("n1") "]}", "2 n1"},
                {"{\"hosts\":[" HOST("n4", "approved:auto", "no") "," HOST("n5", "", "") "]}",
                 "2 "},
                {"{\"hosts\":[" UP("") "," UP("n1") "," UP("n1") "]}", "3 n1"},
                {"{\"hosts\":[]}", "0 "},
                {"{\"hosts\":null,\"more\":1}", "0 "},
                {"{\"hosts\":[7,null,[],{\"stableNodeID\":7,\"approvalLevel\":[],"
                 "\"configured\":{}}," UP("n1") "]}",
                 "5 n1"},
                {"{\"hosts\":[7,null,[],{\"stableNodeID\":7,\"approvalLevel\":[],"
                 "\"configured\":{}}]}",
                 NULL},
                {"{\"hosts\":[\"a\"]}", NULL},
                {"{\"hosts\":{}}", NULL},
                {"{\"hosts\":\"n1\"}", NULL},
                {"{}", NULL},
                {"[]", NULL},
                {"", NULL},
                {"{\"hosts\":[", NULL},
                {"{\"hosts\":[]} x", NULL},
        };
        const TailnetService of = {
                .name = STR("svc:web"), .label = STR("web"), .ip4 = STR("1.2.3.4")};

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                Err err = {0};
                TailnetService *s = service_list_read_hosts(&of, str_of(cases[i].body), &err);
                Buf b;

                assert_int_equal(s != NULL, cases[i].want != NULL);
                assert_int_equal(err.kind, s != NULL ? ERR_NONE : ERR_INVALID);
                if (s == NULL)
                        continue;
                buf_init(&b, TEXT_MAX);
                buf_printf(&b, "%u ", (unsigned)s->n_hosts);
                print_list(&b, s->hosts);
                assert_true(str_eq(buf_str(&b), str_of(cases[i].want)));
                assert_true(s->hosts_known && str_eq(s->label, STR("web")));
                buf_done(&b);
                leaf_unref(s);
        }
}

/* Garbage takes nobody away who served before. */
static void hosts_that_are_garbled_stay(void **state)
{
        static const struct {
                const char *body, *want; /* NULL: an error */
        } cases[] = {
                {"{\"hosts\":[{\"stableNodeID\":\"n1\",\"approvalLevel\":7}," UP("n2") "]}",
                 "n1,n2"},
                {"{\"hosts\":[{\"stableNodeID\":\"n1\",\"approvalLevel\":\"approved:auto\","
                 "\"configured\":true}," UP("n2") "]}",
                 "n1,n2"},
                {"{\"hosts\":[{\"stableNodeID\":\"n3\",\"approvalLevel\":7}," UP("n2") "]}", "n2"},
                {"{\"hosts\":[" HOST("n1", "approved:auto", "no") "," UP("n2") "]}", "n2"},
                {"{\"hosts\":[]}", ""},
                {"{\"hosts\":null}", NULL},
                {"{\"hosts\":[{\"stableNodeID\":\"n1\"}]}", NULL},
        };
        static const Str before[] = {STR_INIT("n1"), STR_INIT("n9")};
        const TailnetService of = {
                .name = STR("svc:web"), .hosts_known = true, .hosts = {before, LENGTH_OF(before)}};

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                Err err = {0};
                TailnetService *s = service_list_read_hosts(&of, str_of(cases[i].body), &err);
                Buf b;

                assert_int_equal(s != NULL, cases[i].want != NULL);
                if (s == NULL)
                        continue;
                buf_init(&b, TEXT_MAX);
                print_list(&b, s->hosts);
                assert_true(str_eq(buf_str(&b), str_of(cases[i].want)));
                buf_done(&b);
                leaf_unref(s);
        }
}

/* Of too many the same ones are kept in any order. */
static void hosts_have_a_cap(void **state)
{
        const TailnetService of = {.name = STR("svc:web")};

        (void)state;
        for (int up = 0; up < 2; up++) {
                TailnetService *s;
                Err err = {0};
                Buf b;

                buf_init(&b, SERVICE_HOSTS_BYTES_MAX);
                buf_add_str(&b, STR("{\"hosts\":["));
                for (int i = 0; i < 1000; i++)
                        buf_printf(&b, "%s" UP("n%04d"), i > 0 ? "," : "", up ? i : 999 - i);
                buf_add_str(&b, STR("]}"));
                s = service_list_read_hosts(&of, buf_str(&b), &err);
                assert_non_null(s);
                assert_int_equal(s->n_hosts, 1000);
                assert_int_equal(s->hosts.n, TAILNET_SERVICE_HOSTS_MAX);
                assert_true(str_eq(s->hosts.at[0], STR("n0000")));
                assert_true(str_eq(s->hosts.at[s->hosts.n - 1], STR("n0255")));
                leaf_unref(s);
                buf_done(&b);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lists_as_they_come),
                cmocka_unit_test(what_cannot_be_understood_is_counted),
                cmocka_unit_test(a_list_has_a_cap),
                cmocka_unit_test(hosts_that_serve),
                cmocka_unit_test(hosts_that_are_garbled_stay),
                cmocka_unit_test(hosts_have_a_cap),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
