/* SPDX-License-Identifier: Apache-2.0 */
#include "model/protocol.h"

static const Str names[] = {
        [PROTOCOL_NONE] = STR_INIT(""),       [PROTOCOL_HTTP] = STR_INIT("HTTP"),
        [PROTOCOL_HTTPS] = STR_INIT("HTTPS"), [PROTOCOL_H2C] = STR_INIT("H2C"),
        [PROTOCOL_GRPC] = STR_INIT("GRPC"),   [PROTOCOL_GRPCS] = STR_INIT("GRPCS"),
        [PROTOCOL_TCP] = STR_INIT("TCP"),     [PROTOCOL_TLS] = STR_INIT("TLS"),
        [PROTOCOL_UDP] = STR_INIT("UDP"),
};

Str protocol_name(Protocol p)
{
        INSIST(p < LENGTH_OF(names));
        return names[p];
}

Protocol protocol_of_port(uint16_t port)
{
        return port == 443 || port == 8443 ? PROTOCOL_HTTPS : PROTOCOL_HTTP;
}

bool protocol_parse(Str s, Protocol *ret)
{
        for (size_t i = PROTOCOL_NONE + 1; i < LENGTH_OF(names); i++) {
                if (str_eq(s, names[i])) {
                        *ret = (Protocol)i;
                        return true;
                }
        }
        return false;
}

bool protocol_is_http_like(Protocol p)
{
        return p == PROTOCOL_HTTP || p == PROTOCOL_HTTPS || p == PROTOCOL_H2C ||
               protocol_is_grpc(p);
}

bool protocol_is_grpc(Protocol p)
{
        return p == PROTOCOL_GRPC || p == PROTOCOL_GRPCS;
}
