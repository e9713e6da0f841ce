/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libc's inet_pton reads. Writing is done here, in the form of RFC 5952: it is asked for two
 * addresses of each device of a list, and inet_ntop, which is made of sprintf, took more time than
 * the rest of a device.
 */
#include "model/cidr.h"

#include <arpa/inet.h>

enum {
        V4_AT = 12, /* where an IPv4 address stands in the 128 bits */
        V4_BITS = 96,
        ALL_BITS = 128,
        GROUPS = 8, /* of an IPv6 address */
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
        if (str_find(s, ':') >= 0) {
                if (inet_pton(AF_INET6, z, a.b) != 1)
                        return false;
        } else {
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

/* Each puts `v` without leading zeros, and gives what is behind it. */
static char *put_decimal(char *p, unsigned v)
{
        if (v >= 100)
                *p++ = (char)('0' + v / 100);
        if (v >= 10)
                *p++ = (char)('0' + v / 10 % 10);
        *p++ = (char)('0' + v % 10);
        return p;
}

static char *put_hex(char *p, unsigned v)
{
        static const char digits[] = "0123456789abcdef";

        for (int shift = 12; shift >= 0; shift -= 4)
                if (v >> shift != 0 || shift == 0)
                        *p++ = digits[v >> shift & 15];
        return p;
}

static unsigned group_of(const IpAddr *a, unsigned i)
{
        return (unsigned)a->b[2 * i] << 8 | a->b[2 * i + 1];
}

/* The first of the longest runs of zero groups; fewer than two are not shortened. */
static unsigned zero_run(const IpAddr *a, unsigned *ret_n)
{
        unsigned best = GROUPS, n = 1;

        for (unsigned from = 0, to; from < GROUPS; from = to + 1) {
                for (to = from; to < GROUPS && group_of(a, to) == 0;)
                        to++;
                if (to - from > n) {
                        best = from;
                        n = to - from;
                }
        }
        *ret_n = n;
        return best;
}

static char *put_v4(char *p, const uint8_t b[4])
{
        for (unsigned i = 0; i < 4; i++) {
                if (i > 0)
                        *p++ = '.';
                p = put_decimal(p, b[i]);
        }
        return p;
}

static char *put_v6(char *p, const IpAddr *a)
{
        unsigned n, run = zero_run(a, &n);

        for (unsigned i = 0; i < GROUPS; i++) {
                if (i == run) {
                        *p++ = ':';
                        i += n - 1;
                        if (i == GROUPS - 1)
                                *p++ = ':';
                        continue;
                }
                if (i > 0)
                        *p++ = ':';
                p = put_hex(p, group_of(a, i));
        }
        return p;
}

const char *ip_format(const IpAddr *a, char buf[IP_TEXT])
{
        char *end = ip_is_v4(a) ? put_v4(buf, a->b + V4_AT) : put_v6(buf, a);

        *end = '\0';
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

bool ip_is_tailscaled(const IpAddr *a)
{
        static const char *const ranges[] = {"100.100.100.100", "fd7a:115c:a1e0::53"};

        return is_in(a, ranges, LENGTH_OF(ranges));
}

bool ip_is_tailnet(const IpAddr *a)
{
        static const char *const ranges[] = {"100.64.0.0/10", "fd7a:115c:a1e0::/48"};

        return is_in(a, ranges, LENGTH_OF(ranges)) && !ip_is_tailscaled(a);
}

bool ip_is_private(const IpAddr *a)
{
        static const char *const ranges[] = {
                "127.0.0.0/8",   "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16",
                "100.64.0.0/10", "::1",        "fc00::/7",      "fe80::/10",
        };

        return is_in(a, ranges, LENGTH_OF(ranges));
}

/* An IPv4 address that an IPv6 one stands for: RFC 6052 (64:ff9b::/96), RFC 3056 (2002::/16), RFC
 * 4291 2.5.5.1 (::/96). */
static bool unwrap(const IpAddr *a, IpAddr *ret)
{
        static const char *const at_end[] = {"64:ff9b::/96", "::/96"};
        static const char *const six_to_four[] = {"2002::/16"};
        bool is_at_end = is_in(a, at_end, LENGTH_OF(at_end));

        if (!is_at_end && !is_in(a, six_to_four, LENGTH_OF(six_to_four)))
                return false;
        memcpy(ret->b, v4_prefix, V4_AT);
        memcpy(ret->b + V4_AT, a->b + (is_at_end ? V4_AT : 2), sizeof(ret->b) - V4_AT);
        return true;
}

bool ip_is_never_dialled(const IpAddr *a)
{
        static const char *const ranges[] = {
                "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255",
                "::",        "::1",         "fe80::/10",      "ff00::/8",
        };
        IpAddr v4;

        return is_in(a, ranges, LENGTH_OF(ranges)) ||
               (unwrap(a, &v4) && is_in(&v4, ranges, LENGTH_OF(ranges)));
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
