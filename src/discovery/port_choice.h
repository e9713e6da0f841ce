/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* PortChoice: which ports of a device or Service become endpoints, and which rule said so. Pure. */

#include "base/arena.h"
#include "model/device.h"
#include "model/gateway_spec.h"

enum {
        /* Of one device or Service; what its rule names beyond is left out as "TooManyPorts". */
        PORT_CHOICES_MAX = 16,
};

/* The source of a port that was found open by looking. */
#define PORT_SOURCE_PROBING "portProbing"

typedef struct PortChoice {
        uint16_t port;
        Protocol protocol;
        Str source; /* "service", "ports[1]", "tag:http-8080", "defaultPort", "portProbing"; arena,
                       the device's, or a literal */
} PortChoice;

/* Ports that something says of itself: a Tailscale Service's. */
typedef struct OwnPorts {
        const PortSpec *at;
        size_t n;
        Str fault; /* the first that could not be understood, and why; or empty */
} OwnPorts;

typedef struct PortChoices {
        PortChoice at[PORT_CHOICES_MAX];
        size_t n;
        size_t n_more; /* that are named beyond these */
        Str rule;      /* that named them, where there are more */
        Str fault;     /* of the own ports; the good ones among them are taken all the same */
        Str none;      /* n == 0: why; a literal or in the arena */
} PortChoices;

/* In the order of precedence: `own` (may be NULL) where it names any; else the first of ports[]
 * that matches; else each tag `tag:<protocol>-<port>` or `tag:port-<port>`; else defaultPort. The
 * protocol of an own port is that of the first ports[] that matches and has the port, else of a tag
 * with the port, else protocol_of_port. */
void port_choice_of(const DiscoveryRules *rules, const Device *d, const OwnPorts *own, Arena *arena,
                    PortChoices *ret);
/* Where no rule gave a port: those that were found open and are still among those looked for. The
 * protocol is that of an own port. */
void port_choice_add_open(const DiscoveryRules *rules, const Device *d, const PortSpec *open,
                          PortChoices *ret);
/* Reads a tag that names a port; false for any other. `tag:port-` speaks protocol_of_port. */
bool port_choice_parse_tag(Str tag, PortChoice *ret);
/* Into `arena`: what a Tailscale Service lists as its own. `do-not-validate` and `*` name none. */
OwnPorts port_choice_own(StrList ports, Arena *arena);
