/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * PortSpec: ports as Tailscale writes them in policies and Services: `443`, `80-90`, `tcp:443`,
 * `tcp:80-90`, `tcp:*`, `*`, and lists of these with commas between. Pure.
 */

#include "model/schema.h"

enum {
        PORT_RANGES_MAX = 16 /* ports and ranges of one text: more than people keep in mind */
};

typedef struct PortRange {
        uint16_t first, last; /* both within */
} PortRange;

typedef struct PortSpec {
        PortRange ranges[PORT_RANGES_MAX]; /* as given: in that order, and they may overlap */
        size_t n;
        bool any; /* `*` is among them: it names no port */
} PortSpec;

/* All of `text` or nothing; spaces around commas are skipped, the protocol's name is in any case.
 * Only TCP has ports for us. On failure `expected` says what was expected, and at which byte
 * (counted from 1). */
bool port_spec_parse(Str text, PortSpec *ret, char expected[EXPECTED_MAX]);
/* A single port. */
PortSpec port_spec_of(uint16_t port);
/* Is the port one of them? `*` has every port. */
bool port_spec_has(const PortSpec *s, uint16_t port);
/* How many ports are named, each counted once. */
size_t port_spec_count(const PortSpec *s);
/* The first `max` of them in the order given, each once; how many that are. */
size_t port_spec_take(const PortSpec *s, uint16_t *ret, size_t max);
bool port_spec_same(const PortSpec *a, const PortSpec *b);
