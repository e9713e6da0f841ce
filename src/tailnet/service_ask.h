/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * ServiceAsk: the Tailscale Services of one tailnet, and their hosts, asked for behind each good
 * device list. It never fails: what is known so far stays, and a warning says what is missing.
 *
 * Services are found under `services`, or under `vip-services` where that is 404, which is
 * remembered. A host list is one call for each Service, so it is asked for when the Service is new
 * or changed, else in turn, and only some calls are made in an interval.
 */

#include "net/http_client.h"
#include "tailnet/tailnet_source.h"

enum {
        SERVICE_ASK_BYTES_MAX = 16 << 20, /* of the list: TAILNET_SERVICES_MAX of 1.6 KiB */
        SERVICE_ASK_HOST_CALLS = 10,      /* in an interval: one for each Service would be many */
        /* For the list and all host lists: what takes longer must not hold up the devices. */
        SERVICE_ASK_SECONDS = 15,
        /* After what took longer: devices are late once in this time, not with each poll. */
        SERVICE_ASK_SLOW_SECONDS = 300,
        /* A server that has no Services, 404 under both names, may be a newer one by then. */
        SERVICE_ASK_NONE_SECONDS = 3600,
        /* After 401 or 403, unless the token is another: rights are given by people. */
        SERVICE_ASK_DENIED_SECONDS = 300,
        /* Null for a list where there were Services may be how an empty one is written, or a fault:
         * so many polls in a row must say it. */
        SERVICE_ASK_NULL_POLLS = 3,
        SERVICE_ASK_WARNING_MAX = 255,
};

typedef struct ServiceAsk ServiceAsk;
/* All is asked: service_ask_services and service_ask_warning. From the loop; it may be freed
 * inside. */
typedef void ServiceAskFn(ServiceAsk *s);

typedef struct ServiceAskInput {
        Loop *loop;
        HttpClient *http;
        Str tailnet_url;     /* ".../api/v2/tailnet/-"; copied */
        Span interval;       /* of polls */
        const Table *before; /* known from before; may be NULL. A reference is taken */
        ServiceAskFn *fn;
        void *owner;
} ServiceAskInput;

typedef struct ServiceAskCredential {
        const Secret *bearer; /* borrowed until fn */
        uint64_t generation;  /* another where the bearer is another */
        Str scopes;           /* that it has, where that is told; else empty */
} ServiceAskCredential;

/* Asks for nothing yet. */
ServiceAsk *service_ask_new(const ServiceAskInput *in) MUST_USE;
/* As it was given. */
void *service_ask_owner(const ServiceAsk *s);
/* Begins; none is under way. False where nothing is to be asked now: there are no Services here, it
 * was denied lately, or the server wants to be left alone for a while. */
bool service_ask_begin(ServiceAsk *s, const ServiceAskCredential *with, Span within) MUST_USE;
/* What is known, borrowed until the next begin; NULL: nothing was ever told. */
const Table *service_ask_services(const ServiceAsk *s);
/* What is missing and why, one line; "" where nothing is. */
const char *service_ask_warning(const ServiceAsk *s);
/* Nothing is delivered after. NULL is welcome. Returns NULL. */
ServiceAsk *service_ask_free(ServiceAsk *s);
