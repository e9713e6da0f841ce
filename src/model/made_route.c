/* SPDX-License-Identifier: Apache-2.0 */
#include "model/made_route.h"

#include <stdio.h>

enum {
        PART_MAX = 63, /* of a name; that of a Service is no longer */
        HASH_BYTES = 5,
};

static const char *const kinds[OBSERVED_KINDS] = {
        [OBSERVED_HTTP_ROUTE] = "HTTPRoute",
        [OBSERVED_GRPC_ROUTE] = "GRPCRoute",
};

ObservedKind made_route_kind(Str kind)
{
        for (ObservedKind k = 0; k < OBSERVED_KINDS; k++) {
                if (kinds[k] != NULL && str_eq(kind, str_of(kinds[k])))
                        return k;
        }
        return OBSERVED_KINDS;
}

bool made_route_is_one(ObservedKind kind)
{
        return kinds[kind] != NULL;
}

const char *made_route_kind_name(ObservedKind kind)
{
        return kinds[kind];
}

/* A name that was cut may end in what cannot stand before the dash that follows. */
static Str cut(Str name)
{
        Str s = str_sub(name, 0, PART_MAX);
        while (s.n < name.n && s.n > 0 && (s.p[s.n - 1] == '.' || s.p[s.n - 1] == '-'))
                s.n--;
        return s;
}

Str made_route_name(const RouteReport *r, char buf[MADE_ROUTE_NAME_MAX + 1])
{
        char hex[DIGEST_HEX];
        Digester *d = digester_new();
        digester_add(d, r->gateway.name);
        digester_add(d, r->listener);
        digester_add(d, r->backend->service.namespace);
        digester_add(d, r->backend->service.name);
        digester_add(d, r->host);
        digester_add(d, r->backend->path);
        Digest digest = digester_finish(d);
        IGNORE(snprintf(buf, MADE_ROUTE_NAME_MAX + 1, "%.*s-%.*s-%s", STR_FMT(cut(r->gateway.name)),
                        STR_FMT(cut(r->backend->service.name)),
                        digest_hex(&digest, HASH_BYTES, hex)),
               "room for both parts");
        return str_of(buf);
}

bool made_route_name_is_ours(Str name)
{
        size_t n = (size_t)2 * HASH_BYTES;
        if (name.n < n + 1 || name.p[name.n - n - 1] != '-')
                return false;
        for (size_t i = name.n - n; i < name.n; i++) {
                if (strchr("0123456789abcdef", name.p[i]) == NULL)
                        return false;
        }
        return true;
}
