/* SPDX-License-Identifier: Apache-2.0 */
#include "source/probe_way.h"

#include <stdio.h>

const char *probe_way_find(ProbeWay *w, const TailnetEntry *entry, const TailnetSpec *tailnet,
                           const Proxies *proxies)
{
        ProxyAddr found[PROXIES_MAX];
        StrList given = entry->connectivity.proxies;
        ProxyGaps gaps;
        size_t n;

        w->n = 0;
        if (entry->connectivity.mode == CONNECT_DIRECT)
                return NULL;
        if (given.n == 0 && tailnet != NULL)
                given = tailnet->proxies;
        n = proxies_find(proxies, given, found, &gaps);
        for (size_t i = 0; i < n; i++) {
                bool is_v6 = str_find(found[i].ip, ':') >= 0;

                if (found[i].path.n > 0)
                        continue;
                IGNORE(snprintf(w->tunnels[w->n++], PROBE_TUNNEL_MAX, "%s%.*s%s:%u",
                                is_v6 ? "[" : "", STR_FMT(found[i].ip), is_v6 ? "]" : "",
                                (unsigned)found[i].port),
                       "an address and a port fit");
        }
        if (w->n > 0)
                return NULL;
        if (n > 0)
                return "no probe goes through a proxy on a unix socket";
        return gaps.refused.n > 0 ? "its proxy is not within --allowed-proxies"
                                  : "there is no proxy";
}

const char *probe_way_next(ProbeWay *w)
{
        return w->n > 0 ? w->tunnels[w->next++ % w->n] : NULL;
}

const char *probe_way_url(bool tls, Str ip, uint16_t port, char buf[PROBE_URL_MAX])
{
        bool is_v6 = str_find(ip, ':') >= 0;

        IGNORE(snprintf(buf, PROBE_URL_MAX, "%s://%s%.*s%s:%u/", tls ? "https" : "http",
                        is_v6 ? "[" : "", STR_FMT(ip), is_v6 ? "]" : "", (unsigned)port),
               "an address and a port fit");
        return buf;
}
