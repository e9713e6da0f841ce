/* SPDX-License-Identifier: Apache-2.0 */
#include "translate/ingress_port.h"

typedef struct Said {
        const char *word;
        Protocol protocol;
} Said;

/* Of appProtocol, which names of IANA's registry and those of Kubernetes and its users stand in; of
 * a port's name what is before the first '-'. */
static const Said said[] = {
        {"http", PROTOCOL_HTTP}, {"http2", PROTOCOL_H2C},
        {"h2c", PROTOCOL_H2C},   {"kubernetes.io/h2c", PROTOCOL_H2C},
        {"ws", PROTOCOL_HTTP},   {"kubernetes.io/ws", PROTOCOL_HTTP},
        {"web", PROTOCOL_HTTP},  {"https", PROTOCOL_HTTPS},
        {"wss", PROTOCOL_HTTPS}, {"kubernetes.io/wss", PROTOCOL_HTTPS},
        {"grpc", PROTOCOL_GRPC}, {"grpcs", PROTOCOL_GRPCS},
        {"tcp", PROTOCOL_TCP},   {"tls", PROTOCOL_TLS},
};

static Protocol meaning(Str word)
{
        for (size_t i = 0; i < LENGTH_OF(said); i++) {
                if (str_eq_fold(word, str_of(said[i].word)))
                        return said[i].protocol;
        }
        return PROTOCOL_NONE;
}

Protocol ingress_port_speaks(const ServicePortSpec *p)
{
        Str rest = p->name, word;
        if (p->app_protocol.n > 0)
                return meaning(p->app_protocol);
        return meaning(str_cut(&rest, '-', &word) ? word : p->name);
}

/* How well a protocol suits a listener: the lower the better; 0: not at all. */
static unsigned rank_of(Protocol listener, Protocol p)
{
        static const unsigned http[] = {
                [PROTOCOL_HTTP] = 1,  [PROTOCOL_H2C] = 2,   [PROTOCOL_GRPC] = 3,
                [PROTOCOL_HTTPS] = 4, [PROTOCOL_GRPCS] = 5, [PROTOCOL_UDP] = 0,
        };
        if (listener == PROTOCOL_TCP)
                return p == PROTOCOL_TCP ? 1 : 2;
        if (listener == PROTOCOL_TLS)
                return p == PROTOCOL_TLS || p == PROTOCOL_HTTPS || p == PROTOCOL_GRPCS;
        return p < LENGTH_OF(http) ? http[p] : 0;
}

static Protocol usual(Protocol listener)
{
        return listener == PROTOCOL_TCP || listener == PROTOCOL_TLS ? listener : PROTOCOL_HTTP;
}

static IngressPort none(const char *reason, Str text)
{
        return (IngressPort){.reason = reason, .text = text};
}

/* The port that the annotation names, by name or number. */
static const ServicePortSpec *named(const ServiceSpec *s)
{
        uint64_t number = 0;
        bool is_number = str_to_u64(s->port, UINT16_MAX, &number);
        for (size_t i = 0; i < s->n_ports; i++) {
                const ServicePortSpec *p = &s->ports[i];
                if (is_number ? p->number == number : str_eq(p->name, s->port))
                        return p;
        }
        return NULL;
}

/* Of those that say what they speak the one that suits best; else the only one. */
static const ServicePortSpec *found(const ServiceSpec *s, Protocol listener, Protocol wanted)
{
        const ServicePortSpec *best = NULL, *only = NULL;
        unsigned best_rank = UINT32_MAX;
        size_t n = 0;
        for (size_t i = 0; i < s->n_ports; i++) {
                const ServicePortSpec *p = &s->ports[i];
                Protocol speaks = ingress_port_speaks(p);
                unsigned rank = speaks == PROTOCOL_NONE ? 0 : rank_of(listener, speaks);
                if (p->transport != SERVICE_TCP)
                        continue;
                n++;
                only = p;
                if (rank == 0 || rank >= best_rank || (wanted != PROTOCOL_NONE && speaks != wanted))
                        continue;
                best = p;
                best_rank = rank;
        }
        /* A port of TCP may be anything: of several none says that it is meant. */
        if (listener == PROTOCOL_TCP && n > 1)
                return best_rank == 1 ? best : NULL;
        return best != NULL ? best : n == 1 ? only : NULL;
}

IngressPort ingress_port_choose(Arena *a, const ServiceSpec *s, Protocol listener)
{
        Protocol wanted = PROTOCOL_NONE;
        if (s->protocol.n > 0 && (!protocol_parse(s->protocol, &wanted) || wanted == PROTOCOL_UDP ||
                                  wanted == PROTOCOL_NONE))
                return none("InvalidAnnotation",
                            arena_printf(a,
                                         SERVICE_PROTOCOL " is \"%.*s\", expected HTTP, HTTPS, "
                                                          "H2C, GRPC, GRPCS, TCP or TLS",
                                         STR_FMT(s->protocol)));
        const ServicePortSpec *p = s->port.n > 0 ? named(s) : found(s, listener, wanted);
        if (p == NULL && s->port.n > 0)
                return none("NoPort", arena_printf(a,
                                                   SERVICE_PORT " is \"%.*s\", and the Service has "
                                                                "no port of that name or number",
                                                   STR_FMT(s->port)));
        if (p == NULL)
                return none("NoPort",
                            arena_printf(a,
                                         "of its %zu ports none says that it is for %.*s "
                                         "(appProtocol, name): name one with " SERVICE_PORT,
                                         s->n_ports, STR_FMT(protocol_name(listener))));
        if (p->transport != SERVICE_TCP)
                return none("NoPort",
                            arena_printf(a, "port %u is not of TCP", (unsigned)p->number));
        Protocol speaks = wanted != PROTOCOL_NONE ? wanted : ingress_port_speaks(p);
        if (speaks == PROTOCOL_NONE || listener == PROTOCOL_TCP)
                speaks = usual(listener);
        if (rank_of(listener, speaks) == 0)
                return none("NoPort",
                            arena_printf(a, "port %u speaks %.*s, the listener %.*s",
                                         (unsigned)p->number, STR_FMT(protocol_name(speaks)),
                                         STR_FMT(protocol_name(listener))));
        return (IngressPort){.number = p->number, .protocol = speaks};
}
