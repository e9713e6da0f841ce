/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* TailnetService: a Tailscale Service (`svc:web`): a name and addresses of its own within a
 * tailnet, served by those of its hosts that are approved and ready. */

#include "base/table.h"

enum {
        TAILNET_SERVICES_MAX = 10000, /* of one tailnet; a list beyond is an error, not cut */
        TAILNET_SERVICE_HOSTS_MAX = 256,
};

typedef struct TailnetService {
        Leaf leaf;
        Str name;      /* "svc:web"; never empty */
        Str label;     /* "web": lower case, a DNS label */
        Str ip4, ip6;  /* canonical text, or empty */
        StrList ports; /* as the API has them: "tcp:443", "tcp:80-90", "do-not-validate"; sorted */
        StrList tags;  /* "tag:x", sorted */
        bool hosts_known; /* its hosts were asked for, and told */
        StrList hosts;    /* node ids of those that are approved and ready; sorted */
        uint64_t n_hosts; /* all that advertise it */
} TailnetService;

/* A leaf with copies of all strings of `from`, whose own leaf is not looked at. */
TailnetService *tailnet_service_new(const TailnetService *from) MUST_USE;
/* By name. */
int tailnet_service_order(const void *a, const void *b);
/* `key` is a Str *: the name. */
int tailnet_service_find(const void *key, const void *leaf);
/* Does everything agree? */
bool tailnet_service_same(const void *a, const void *b);
