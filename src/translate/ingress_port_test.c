/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "translate/ingress_port.h"

#define HTTP_PORT                                  \
        {                                          \
                STR_INIT("http"), 80, SERVICE_TCP, \
                {                                  \
                        0                          \
                }                                  \
        }
#define HTTPS_PORT                                   \
        {                                            \
                STR_INIT("https"), 443, SERVICE_TCP, \
                {                                    \
                        0                            \
                }                                    \
        }
#define GRPC_PORT                                        \
        {                                                \
                STR_INIT("grpc-api"), 9090, SERVICE_TCP, \
                {                                        \
                        0                                \
                }                                        \
        }
#define PLAIN(n)                                  \
        {                                         \
                STR_INIT("p" #n), n, SERVICE_TCP, \
                {                                 \
                        0                         \
                }                                 \
        }
#define SAYS(n, p)                                            \
        {                                                     \
                STR_INIT("p" #n), n, SERVICE_TCP, STR_INIT(p) \
        }
#define UDP_PORT                                   \
        {                                          \
                STR_INIT("http"), 53, SERVICE_UDP, \
                {                                  \
                        0                          \
                }                                  \
        }

typedef struct Case {
        ServicePortSpec ports[3];
        size_t n;
        const char *port, *protocol; /* annotations */
        Protocol listener;
        uint16_t number; /* 0: none, for … */
        Protocol speaks;
        const char *reason;
} Case;

static const Case cases[] = {
        /* What they say of themselves; plain HTTP first. */
        {{HTTPS_PORT, HTTP_PORT}, 2, "", "", PROTOCOL_HTTP, 80, PROTOCOL_HTTP, NULL},
        {{HTTPS_PORT, GRPC_PORT}, 2, "", "", PROTOCOL_HTTPS, 9090, PROTOCOL_GRPC, NULL},
        {{PLAIN(1), SAYS(2, "kubernetes.io/h2c")}, 2, "", "", PROTOCOL_HTTP, 2, PROTOCOL_H2C, NULL},
        {{SAYS(1, "kubernetes.io/ws"), PLAIN(2)}, 2, "", "", PROTOCOL_HTTP, 1, PROTOCOL_HTTP, NULL},
        /* appProtocol wins over the name. */
        {{{STR_INIT("http"), 80, SERVICE_TCP, STR_INIT("grpc")}},
         1,
         "",
         "",
         PROTOCOL_HTTP,
         80,
         PROTOCOL_GRPC,
         NULL},
        /* The only one; of several none is guessed. */
        {{PLAIN(1)}, 1, "", "", PROTOCOL_HTTP, 1, PROTOCOL_HTTP, NULL},
        {{PLAIN(1), UDP_PORT}, 2, "", "", PROTOCOL_HTTP, 1, PROTOCOL_HTTP, NULL},
        {{PLAIN(1), PLAIN(2)}, 2, "", "", PROTOCOL_HTTP, 0, PROTOCOL_NONE, "NoPort"},
        {{UDP_PORT}, 1, "", "", PROTOCOL_HTTP, 0, PROTOCOL_NONE, "NoPort"},
        {{PLAIN(1)}, 0, "", "", PROTOCOL_HTTP, 0, PROTOCOL_NONE, "NoPort"},
        /* Annotations. */
        {{HTTP_PORT, PLAIN(2)}, 2, "p2", "", PROTOCOL_HTTP, 2, PROTOCOL_HTTP, NULL},
        {{HTTP_PORT, PLAIN(2)}, 2, "2", "GRPC", PROTOCOL_HTTP, 2, PROTOCOL_GRPC, NULL},
        {{HTTP_PORT, PLAIN(2)}, 2, "3", "", PROTOCOL_HTTP, 0, PROTOCOL_NONE, "NoPort"},
        {{HTTP_PORT, GRPC_PORT}, 2, "", "GRPC", PROTOCOL_HTTP, 9090, PROTOCOL_GRPC, NULL},
        {{HTTP_PORT}, 1, "", "h2", PROTOCOL_HTTP, 0, PROTOCOL_NONE, "InvalidAnnotation"},
        {{HTTP_PORT}, 1, "", "UDP", PROTOCOL_HTTP, 0, PROTOCOL_NONE, "InvalidAnnotation"},
        {{UDP_PORT}, 1, "53", "", PROTOCOL_HTTP, 0, PROTOCOL_NONE, "NoPort"},
        {{HTTP_PORT}, 1, "", "TCP", PROTOCOL_HTTP, 0, PROTOCOL_NONE, "NoPort"},
        /* Other listeners. */
        {{HTTP_PORT}, 1, "", "", PROTOCOL_TCP, 80, PROTOCOL_TCP, NULL},
        {{HTTP_PORT, SAYS(5432, "tcp")}, 2, "", "", PROTOCOL_TCP, 5432, PROTOCOL_TCP, NULL},
        {{HTTP_PORT, PLAIN(2)}, 2, "", "", PROTOCOL_TCP, 0, PROTOCOL_NONE, "NoPort"},
        {{HTTP_PORT, HTTPS_PORT}, 2, "", "", PROTOCOL_TLS, 443, PROTOCOL_HTTPS, NULL},
        {{HTTP_PORT}, 1, "", "", PROTOCOL_TLS, 0, PROTOCOL_NONE, "NoPort"},
};

static void each_case(void **state)
{
        (void)state;
        Arena a;
        arena_init(&a, 0);
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                const Case *c = &cases[i];
                ServiceSpec s = {.ports = c->ports,
                                 .n_ports = c->n,
                                 .port = str_of(c->port),
                                 .protocol = str_of(c->protocol)};
                IngressPort p = ingress_port_choose(&a, &s, c->listener);
                if (p.number != c->number || p.protocol != c->speaks)
                        fail_msg("case %zu: port %u, %.*s", i, (unsigned)p.number,
                                 STR_FMT(protocol_name(p.protocol)));
                assert_int_equal(p.reason == NULL, c->reason == NULL);
                if (c->reason != NULL) {
                        assert_string_equal(p.reason, c->reason);
                        assert_true(p.text.n > 0);
                }
        }
        arena_done(&a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(each_case)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
