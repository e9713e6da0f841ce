/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libc's inet_pton reads and inet_ntop writes; both are pure. inet_ntop's IPv6 form is RFC 5952's
 * but for IPv4-compatible addresses (::1.2.3.4), which no tailnet has.
 */
#include "model/cidr.h"

#include <arpa/inet.h>

enum {
        V4_AT = 12, /* where an IPv4 address stands in the 128 bits */
        V4_BITS = 96,
        ALL_BITS = 128,
};

static const uint8_t v4_prefix[V4_AT] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool ip_parse(Str s, IpAddr *ret)
{
        char z[INET6_ADDRSTRLEN];
        IpAddr a = {0};

        if (s.n == 0 || s.n >= sizeof(z) || memchr(s.p, '\0', s.n) != NULL)
                return false;
        memcpy(z, s.p, s.n);
        z[s.n] = '\0';
        if (inet_pton(AF_INET6, z, a.b) != 1) {
                memcpy(a.b, v4_prefix, V4_AT);
                if (inet_pton(AF_INET, z, a.b + V4_AT) != 1)
                        return false;
        }
        *ret = a;
        return true;
}

bool ip_is_v4(const IpAddr *a)
{
        return memcmp(a->b, v4_prefix, V4_AT) == 0;
}

const char *ip_format(const IpAddr *a, char buf[IP_TEXT])
{
        if (ip_is_v4(a))
                INSIST(inet_ntop(AF_INET, a->b + V4_AT, buf, IP_TEXT) != NULL);
        else
                INSIST(inet_ntop(AF_INET6, a->b, buf, IP_TEXT) != NULL);
        return buf;
}

/* The address with all bits from `bits` on cleared. */
static IpAddr masked(const uint8_t b[16], unsigned bits)
{
        IpAddr a = {0};

        for (unsigned i = 0; i < sizeof(a.b); i++) {
                unsigned left = bits > i * 8 ? bits - i * 8 : 0;

                a.b[i] = (uint8_t)(b[i] & (left >= 8 ? 0xffU : 0xff00U >> left));
        }
        return a;
}

bool cidr_parse(Str s, Cidr *ret)
{
        uint64_t bits = 0;
        bool has_bits;
        IpAddr a, base;
        Cidr c;
        Str ip;

        has_bits = str_cut(&s, '/', &ip);
        if (!ip_parse(ip, &a))
                return false;
        c.bits = ALL_BITS;
        if (has_bits) {
                /* ::ffff:10.0.0.0/104 is an IPv6 range by its text. */
                bool v4 = str_find(ip, ':') < 0;

                if (!str_to_u64(s, v4 ? ALL_BITS - V4_BITS : ALL_BITS, &bits) || s.n > 3)
                        return false;
                c.bits = (unsigned)bits + (v4 ? V4_BITS : 0);
        }
        base = masked(a.b, c.bits);
        if (memcmp(base.b, a.b, sizeof(a.b)) != 0)
                return false;
        memcpy(c.addr, a.b, sizeof(c.addr));
        *ret = c;
        return true;
}

bool cidr_has(const Cidr *c, const IpAddr *a)
{
        /* Whoever writes ::/0 means IPv6. */
        if (ip_is_v4(a) && c->bits < V4_BITS)
                return false;
        IpAddr base = masked(a->b, c->bits);

        return memcmp(base.b, c->addr, sizeof(base.b)) == 0;
}

static bool is_in(const IpAddr *a, const char *const *ranges, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                Cidr c;

                INSIST(cidr_parse(str_of(ranges[i]), &c));
                if (cidr_has(&c, a))
                        return true;
        }
        return false;
}

bool ip_is_tailnet(const IpAddr *a)
{
        static const char *const ranges[] = {"100.64.0.0/10", "fd7a:115c:a1e0::/48"};

        return is_in(a, ranges, LENGTH_OF(ranges));
}

bool ip_is_private(const IpAddr *a)
{
        static const char *const ranges[] = {
                "127.0.0.0/8",   "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16",
                "100.64.0.0/10", "::1",        "fc00::/7",      "fe80::/10",
        };

        return is_in(a, ranges, LENGTH_OF(ranges));
}

bool ip_is_allowed(const IpAddr *a, const Cidr *allowed, size_t n)
{
        if (ip_is_tailnet(a))
                return true;
        for (size_t i = 0; i < n; i++)
                if (cidr_has(&allowed[i], a))
                        return true;
        return false;
}
