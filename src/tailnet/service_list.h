/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * ServiceList: the Tailscale Services of a tailnet, element by element into leaves, and the hosts
 * of one of them. What cannot be understood is counted with its first reason, never guessed.
 */

#include "model/tailnet_service.h"
#include "proto/json_stream.h"

enum {
        SERVICE_HOSTS_BYTES_MAX = 1 << 20, /* of the list of one Service's hosts */
        SERVICE_LOCAL_BYTES_MAX = 8 << 20, /* of a tailscaled's list: 10,000 as it writes them */
};

typedef struct ServiceList ServiceList;

/* Of nothing yet. */
ServiceList *service_list_new(void) MUST_USE;
/* NULL is welcome. Returns NULL. */
ServiceList *service_list_free(ServiceList *l);
/* The next bytes of `{"vipServices": […]}` ("services" is taken too, null for an empty list);
 * false for what is none. */
bool service_list_feed(ServiceList *l, Str bytes, Err *err) MUST_USE;
/* The end: false where the list is cut off, not there, there under both names, has more than
 * TAILNET_SERVICES_MAX, or has some of which none can be understood. */
bool service_list_finish(ServiceList *l, Err *err) MUST_USE;
/* Instead of feed and finish: what a tailscaled tells of those that its node may reach,
 * `{"svc:web": {"Name", "Addrs", "Ports"}}`, null where there are none. */
bool service_list_read_local(ServiceList *l, Str body, Err *err) MUST_USE;
/* After a good end: leaves of TailnetService by name, each name once; the caller takes them over
 * (leaf_unref each, mem_free the array, which is never NULL). Their hosts are not known. */
const void **service_list_take(ServiceList *l, size_t *ret_n) MUST_USE;
/* Was it null that stood for the list? */
bool service_list_was_null(const ServiceList *l);
/* Was there one of that name ("svc:web") that could not be understood? It says nothing about who
 * was known, least of all that he is gone. */
bool service_list_has_garbled(const ServiceList *l, Str name);
/* How many were left out, and why the first one was ("" where none was). */
uint64_t service_list_invalid(const ServiceList *l, const char **ret_why);

/* `{"hosts": [{"stableNodeID", "approvalLevel", "configured"}]}` read into a new leaf like `of`,
 * with its hosts known; who serves by `of`, and is garbled here, serves still. NULL: it is no such
 * list, it has some of which none can be understood, or it is null where some served. */
TailnetService *service_list_read_hosts(const TailnetService *of, Str body, Err *err) MUST_USE;
