/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* PortChoice: which ports of a device become endpoints, and which rule said so. Pure. */

#include "base/arena.h"
#include "model/device.h"
#include "model/gateway_spec.h"

enum {
        /* Port tags of one device that count; sorted, the rest is ignored. */
        PORT_CHOICES_MAX = 16,
};

typedef struct PortChoice {
        uint16_t port;
        Protocol protocol;
        Str source; /* "ports[1]", "tag:http-8080", "defaultPort"; arena, the device's, or literal
                     */
} PortChoice;

/* In the order of precedence: the first of ports[] that matches gives one; else each tag
 * `tag:<protocol>-<port>` or `tag:port-<port>` gives one; else defaultPort. Returns how many are in
 * `ret`; 0: none is known. */
size_t port_choice_of(const DiscoveryRules *rules, const Device *d, Arena *arena,
                      PortChoice ret[PORT_CHOICES_MAX]);
/* Reads a tag that names a port; false for any other. 443 and 8443 of `tag:port-` are HTTPS, all
 * others HTTP. */
bool port_choice_parse_tag(Str tag, PortChoice *ret);
