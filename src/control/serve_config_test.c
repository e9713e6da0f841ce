/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "control/serve_config.h"
#include "proto/json.h"

#define ENVOY "127.0.0.1:10443"
#define OURS  "{\"TCPForward\":\"" ENVOY "\",\"ProxyProtocol\":2}"
#define OLD   "{\"TCPForward\":\"127.0.0.1:9443\",\"ProxyProtocol\":2}"

static const ServeForward envoy = {443, STR_INIT(ENVOY)};
static const ServeForward old = {443, STR_INIT("127.0.0.1:9443")};

typedef struct Merged {
        Arena arena;
        Buf next;
        ServeStep step;
} Merged;

static Merged merge(const char *config, ServeForwards wanted, ServeForwards known)
{
        Merged m = {0};
        Err err = {0};

        arena_init(&m.arena, 0);
        buf_init(&m.next, SERVE_CONFIG_BYTES_MAX);
        const Tree *root = serve_config_read(&m.arena, str_of(config), &err);
        assert_non_null(root);
        serve_config_step(&m.arena, root, wanted, known, &m.next, &m.step);
        assert_false(m.next.failed);
        return m;
}

static void merged_done(Merged *m)
{
        arena_done(&m->arena);
        buf_done(&m->next);
}

/* With port 443 wanted, or not, and known to have led to 9443. */
static const struct Case {
        const char *about, *config;
        bool wanted, known;
        ServeVerdict verdict;
        const char *next; /* NULL: nothing is to be written */
        size_t n_removed;
} cases[] = {
        {"nothing, nothing wanted", "null", false, true, SERVE_STANDS, NULL, 0},
        {"nothing", "null", true, false, SERVE_SETS, "{\"TCP\":{\"443\":" OURS "}}", 0},
        {"empty", "{}", true, false, SERVE_SETS, "{\"TCP\":{\"443\":" OURS "}}", 0},
        {"it stands", "{\"TCP\":{\"443\":" OURS "}}", true, false, SERVE_STANDS, NULL, 0},
        {"it stands, with more", "{\"TCP\":{\"443\":" OURS ",\"22\":{\"TCPForward\":\"x:22\"}}}",
         true, false, SERVE_STANDS, NULL, 0},
        {"it moves", "{\"TCP\":{\"443\":" OLD "}}", true, true, SERVE_SETS,
         "{\"TCP\":{\"443\":" OURS "}}", 0},
        {"somebody's, of our form", "{\"TCP\":{\"443\":" OLD "}}", true, false, SERVE_PORT_TAKEN,
         NULL, 0},
        {"our target without a header", "{\"TCP\":{\"443\":{\"TCPForward\":\"" ENVOY "\"}}}", true,
         true, SERVE_PORT_TAKEN, NULL, 0},
        {"our target with version 1",
         "{\"TCP\":{\"443\":{\"TCPForward\":\"" ENVOY "\",\"ProxyProtocol\":1}}}", true, true,
         SERVE_PORT_TAKEN, NULL, 0},
        {"our target, and TLS ends there",
         "{\"TCP\":{\"443\":{\"TCPForward\":\"" ENVOY
         "\",\"TerminateTLS\":\"a.ts.net\",\"ProxyProtocol\":2}}}",
         true, true, SERVE_PORT_TAKEN, NULL, 0},
        {"HTTPS", "{\"TCP\":{\"443\":{\"HTTPS\":true}},\"Web\":{\"a.ts.net:443\":{}}}", true, false,
         SERVE_PORT_TAKEN, NULL, 0},
        {"a handler that is null", "{\"TCP\":{\"443\":null}}", true, false, SERVE_PORT_TAKEN, NULL,
         0},
        {"others stay, in their order",
         "{\"Web\":{\"a:80\":{\"Handlers\":{\"/\":{\"Text\":\"h\\u00e9\\u0000\"}}}},"
         "\"TCP\":{\"80\":{\"HTTP\":true},\"8443\":{\"TCPForward\":\"x:1\"}},"
         "\"New\":[1.50,1e400,{\"a\":null}],\"AllowFunnel\":{\"a:80\":true,\"a:443\":false}}",
         true, false, SERVE_SETS,
         "{\"Web\":{\"a:80\":{\"Handlers\":{\"/\":{\"Text\":\"h\xc3\xa9\\u0000\"}}}},"
         "\"New\":[1.50,1e400,{\"a\":null}],\"AllowFunnel\":{\"a:80\":true,\"a:443\":false},"
         "\"TCP\":{\"80\":{\"HTTP\":true},\"8443\":{\"TCPForward\":\"x:1\"},\"443\":" OURS "}}",
         0},
        {"gone", "{\"TCP\":{\"443\":" OLD "}}", false, true, SERVE_STANDS, "{}", 1},
        {"gone, others stay", "{\"TCP\":{\"443\":" OLD ",\"444\":" OLD "}}", false, true,
         SERVE_STANDS, "{\"TCP\":{\"444\":" OLD "}}", 1},
        {"not known, so it stays", "{\"TCP\":{\"443\":" OLD "}}", false, false, SERVE_STANDS, NULL,
         0},
        {"in a terminal", "{\"Foreground\":{\"s\":{\"TCP\":{\"443\":{\"HTTPS\":true}}}}}", true,
         false, SERVE_PORT_TAKEN, NULL, 0},
        {"in a terminal, over ours",
         "{\"TCP\":{\"443\":" OURS "},\"Foreground\":{\"s\":{\"TCP\":{\"443\":{\"HTTPS\":true}}}}}",
         true, false, SERVE_PORT_TAKEN,
         "{\"Foreground\":{\"s\":{\"TCP\":{\"443\":{\"HTTPS\":true}}}}}", 1},
        {"another port in a terminal", "{\"Foreground\":{\"s\":{\"TCP\":{\"444\":{}}},\"t\":null}}",
         true, false, SERVE_SETS,
         "{\"Foreground\":{\"s\":{\"TCP\":{\"444\":{}}},\"t\":null},\"TCP\":{\"443\":" OURS "}}",
         0},
        {"Funnel before us", "{\"AllowFunnel\":{\"a.ts.net:443\":true}}", true, false,
         SERVE_FUNNEL_ON, NULL, 0},
        {"Funnel over ours",
         "{\"TCP\":{\"443\":" OURS "},\"AllowFunnel\":{\"[fd7a::1]:443\":true}}", true, false,
         SERVE_FUNNEL_ON, "{\"AllowFunnel\":{\"[fd7a::1]:443\":true}}", 1},
        {"Funnel in a terminal", "{\"Foreground\":{\"s\":{\"AllowFunnel\":{\"a:443\":true}}}}",
         true, false, SERVE_FUNNEL_ON, NULL, 0},
        {"Funnel of another port", "{\"AllowFunnel\":{\"a:4443\":true,\"443\":true,\"a:\":true}}",
         true, false, SERVE_SETS,
         "{\"AllowFunnel\":{\"a:4443\":true,\"443\":true,\"a:\":true},\"TCP\":{\"443\":" OURS "}}",
         0},
        {"a Service's port is of another address",
         "{\"Services\":{\"svc:a\":{\"TCP\":{\"443\":{\"HTTPS\":true}}}}}", true, false, SERVE_SETS,
         "{\"Services\":{\"svc:a\":{\"TCP\":{\"443\":{\"HTTPS\":true}}}},\"TCP\":{\"443\":" OURS
         "}}",
         0},
        {"a port as it is never written", "{\"TCP\":{\"0443\":{\"HTTPS\":true}}}", true, false,
         SERVE_SETS, "{\"TCP\":{\"0443\":{\"HTTPS\":true},\"443\":" OURS "}}", 0},
};

static void test_steps(void **state)
{
        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                const struct Case *c = &cases[i];
                ServeForwards wanted = {&envoy, c->wanted ? 1 : 0};
                Merged m = merge(c->config, wanted, (ServeForwards){&old, c->known ? 1 : 0});
                Str next = buf_str(&m.next);
                print_message("%s: %.*s\n", c->about, STR_FMT(next));
                assert_int_equal(m.step.is_changed, c->next != NULL);
                if (c->next != NULL)
                        assert_true(str_eq(next, str_of(c->next)));
                assert_int_equal(m.step.n_removed, c->n_removed);
                if (c->wanted) {
                        const ServeDecision *d = &m.step.decisions[0];
                        assert_int_equal(d->verdict, c->verdict);
                        assert_int_equal(d->text.n > 0, d->verdict == SERVE_PORT_TAKEN ||
                                                                d->verdict == SERVE_FUNNEL_ON);
                }
                merged_done(&m);
        }
}

static void test_several_ports(void **state)
{
        static const ServeForward wanted[] = {
                {80, STR_INIT("127.0.0.1:10080")}, {443, STR_INIT(ENVOY)}, {8443, STR_INIT(ENVOY)}};
        static const ServeForward known[] = {{22, STR_INIT("127.0.0.1:10022")},
                                             {443, STR_INIT("127.0.0.1:1")},
                                             {443, STR_INIT("127.0.0.1:2")}};
        Merged m = merge("{\"TCP\":{\"443\":{\"TCPForward\":\"127.0.0.1:2\",\"ProxyProtocol\":2},"
                         "\"80\":{\"HTTP\":true},"
                         "\"22\":{\"TCPForward\":\"127.0.0.1:10022\",\"ProxyProtocol\":2}}}",
                         (ServeForwards){wanted, 3}, (ServeForwards){known, 3});

        (void)state;
        assert_int_equal(m.step.decisions[0].verdict, SERVE_PORT_TAKEN);
        assert_int_equal(m.step.decisions[1].verdict, SERVE_SETS);
        assert_int_equal(m.step.decisions[2].verdict, SERVE_SETS);
        assert_int_equal(m.step.n_removed, 1);
        assert_true(str_eq(buf_str(&m.next), STR("{\"TCP\":{\"80\":{\"HTTP\":true},\"443\":" OURS
                                                 ",\"8443\":" OURS "}}")));
        merged_done(&m);
}

static void test_no_configuration(void **state)
{
        static const char *const none[] = {"",
                                           "{",
                                           "[]",
                                           "1",
                                           "\"x\"",
                                           "not found\n",
                                           "{\"TCP\":[]}",
                                           "{\"TCP\":{},\"TCP\":{}}",
                                           "{\"Web\":{\"a\":1,\"a\":1}}",
                                           "{\"Foreground\":[]}",
                                           "{\"Foreground\":{\"s\":1}}",
                                           "{\"Foreground\":{\"s\":{\"TCP\":1}}}",
                                           "{\"AllowFunnel\":true}"};

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(none); i++) {
                Arena arena;
                Err err = {0};
                arena_init(&arena, 0);
                assert_null(serve_config_read(&arena, str_of(none[i]), &err));
                assert_int_equal(err.kind, ERR_INVALID);
                assert_string_equal(err.reason, "NotServeConfig");
                arena_done(&arena);
        }
}

/* A maximum that is passed is the buffer's to tell. */
static void test_too_large(void **state)
{
        Arena arena;
        Buf next;
        ServeStep step;

        (void)state;
        arena_init(&arena, 0);
        buf_init(&next, 16);
        const Tree *root = serve_config_read(&arena, STR("{\"Web\":{\"a:80\":{}}}"), NULL);
        serve_config_step(&arena, root, (ServeForwards){&envoy, 1}, (ServeForwards){0}, &next,
                          &step);
        assert_true(next.failed);
        arena_done(&arena);
        buf_done(&next);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_steps),
                cmocka_unit_test(test_several_ports),
                cmocka_unit_test(test_no_configuration),
                cmocka_unit_test(test_too_large),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
