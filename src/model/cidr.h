/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* IP literals and ranges, in one 128-bit form (IPv4 as ::ffff:a.b.c.d). No name is ever looked up.
 */

#include "model/gateway_spec.h"

typedef struct IpAddr {
        uint8_t b[16];
} IpAddr;

enum {
        IP_TEXT = 48
};

/* IPv4 dotted quad or IPv6 literal without brackets or zone; false for anything else. */
bool ip_parse(Str s, IpAddr *ret);
bool ip_is_v4(const IpAddr *a);
/* Canonical text (RFC 5952); returns buf. */
const char *ip_format(const IpAddr *a, char buf[IP_TEXT]);
/* "10.0.0.0/8", "fd7a::/48", or a bare address (one host). Host bits must be zero. */
bool cidr_parse(Str s, Cidr *ret);
/* A range of IPv6, be it ::/0, holds no address of IPv4. */
bool cidr_has(const Cidr *c, const IpAddr *a);
/* 100.100.100.100 or fd7a:115c:a1e0::53: where tailscaled itself answers on whatever machine, with
 * DNS, its web page, Taildrive. A proxy that is asked to connect there talks with itself. */
bool ip_is_tailscaled(const IpAddr *a);
/* In 100.64.0.0/10 or fd7a:115c:a1e0::/48, the ranges of every tailnet, and not tailscaled's own.
 */
bool ip_is_tailnet(const IpAddr *a);
/* Loopback, link-local or a private range (RFC 1918, 4193, 6598): never on the public internet. */
bool ip_is_private(const IpAddr *a);
/* Loopback, link-local, unspecified (all of 0.0.0.0/8), multicast or broadcast, also where it is
 * wrapped for NAT64, 6to4 or as IPv4-compatible IPv6: of no other machine, whatever a list says. */
bool ip_is_never_dialled(const IpAddr *a);
/* Tailnet range or within one of `allowed`. */
bool ip_is_allowed(const IpAddr *a, const Cidr *allowed, size_t n);
