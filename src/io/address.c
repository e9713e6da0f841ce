/* SPDX-License-Identifier: Apache-2.0 */
#include "io/address.h"

#include <arpa/inet.h>
#include <stdio.h>

static struct sockaddr_in *as_v4(const Address *a)
{
        return (struct sockaddr_in *)(uintptr_t)&a->sa;
}

static struct sockaddr_in6 *as_v6(const Address *a)
{
        return (struct sockaddr_in6 *)(uintptr_t)&a->sa;
}

static struct sockaddr_un *as_unix(const Address *a)
{
        return (struct sockaddr_un *)(uintptr_t)&a->sa;
}

static bool bad(Err *err, Str s)
{
        return err_set(err, ERR_INVALID, "InvalidAddress",
                       "\"%.*s\" is no address: expected unix:///path, tcp://127.0.0.1:port or "
                       "tcp://[::1]:port",
                       STR_FMT(str_sub(s, 0, 128)));
}

static bool parse_unix(Str path, Address *a)
{
        struct sockaddr_un *sun = as_unix(a);

        if (path.n < 2 || path.p[0] != '/' || path.n >= sizeof(sun->sun_path) ||
            str_find(path, '\0') >= 0)
                return false;
        sun->sun_family = AF_UNIX;
        memcpy(sun->sun_path, path.p, path.n);
        a->n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n + 1);
        return true;
}

static bool parse_ip(Str host, bool bracketed, Address *a)
{
        char text[INET6_ADDRSTRLEN];

        if (!bracketed && str_eq(host, STR("localhost")))
                host = STR("127.0.0.1");
        if (host.n >= sizeof(text) || str_find(host, '\0') >= 0)
                return false;
        memcpy(text, host.p, host.n);
        text[host.n] = '\0';
        if (bracketed) {
                as_v6(a)->sin6_family = AF_INET6;
                a->n = sizeof(struct sockaddr_in6);
                return inet_pton(AF_INET6, text, &as_v6(a)->sin6_addr) == 1;
        }
        as_v4(a)->sin_family = AF_INET;
        a->n = sizeof(struct sockaddr_in);
        return inet_pton(AF_INET, text, &as_v4(a)->sin_addr) == 1;
}

static bool parse_tcp(Str s, Address *a)
{
        bool bracketed = s.n > 0 && s.p[0] == '[';
        ptrdiff_t end = str_find(s, bracketed ? ']' : ':');
        uint64_t port;
        Str host, rest;

        if (end < 1)
                return false;
        host = bracketed ? str_sub(s, 1, (size_t)end - 1) : str_sub(s, 0, (size_t)end);
        rest = str_sub(s, (size_t)end + bracketed, s.n);
        if (rest.n < 2 || rest.n > 6 || rest.p[0] != ':' ||
            !str_to_u64(str_sub(rest, 1, rest.n), UINT16_MAX, &port))
                return false;
        if (!parse_ip(host, bracketed, a))
                return false;
        /* The port stands at the same place of both families. */
        as_v4(a)->sin_port = htons((uint16_t)port);
        return true;
}

bool address_parse(Str s, Address *ret, Err *err)
{
        static const Str unix_scheme = STR_INIT("unix://"), tcp_scheme = STR_INIT("tcp://");
        Address a = {0};
        bool ok;

        if (s.n == 0 || s.n >= sizeof(a.text))
                return bad(err, s);
        if (str_starts(s, unix_scheme))
                ok = parse_unix(str_sub(s, unix_scheme.n, s.n), &a);
        else if (str_starts(s, tcp_scheme))
                ok = parse_tcp(str_sub(s, tcp_scheme.n, s.n), &a);
        else
                ok = parse_tcp(s, &a);
        if (!ok)
                return bad(err, s);
        memcpy(a.text, s.p, s.n);
        *ret = a;
        return true;
}

bool address_is_local(const Address *a)
{
        if (a->sa.ss_family == AF_INET)
                return ntohl(as_v4(a)->sin_addr.s_addr) >> 24 == 127;
        if (a->sa.ss_family == AF_INET6)
                return IN6_IS_ADDR_LOOPBACK(&as_v6(a)->sin6_addr);
        return a->sa.ss_family == AF_UNIX;
}

void address_set_port(Address *a, uint16_t port)
{
        char host[INET6_ADDRSTRLEN];
        bool v6 = a->sa.ss_family == AF_INET6;
        const void *ip =
                v6 ? (const void *)&as_v6(a)->sin6_addr : (const void *)&as_v4(a)->sin_addr;

        INSIST(a->sa.ss_family != AF_UNIX);
        as_v4(a)->sin_port = htons(port);
        INSIST(inet_ntop(a->sa.ss_family, ip, host, sizeof(host)) != NULL);
        IGNORE(snprintf(a->text, sizeof(a->text), v6 ? "tcp://[%s]:%u" : "tcp://%s:%u", host, port),
               "shorter than the buffer");
}

uint16_t address_port(const Address *a)
{
        return a->sa.ss_family == AF_UNIX ? 0 : ntohs(as_v4(a)->sin_port);
}

Str address_path(const Address *a)
{
        return a->sa.ss_family == AF_UNIX ? str_of(as_unix(a)->sun_path) : (Str){0};
}
