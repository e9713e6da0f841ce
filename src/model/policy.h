/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Policy: what the administrator of a cluster permits to those who write manifests in it. Without
 * Kubernetes who writes the manifests is who runs the program, and nothing is forbidden: there is
 * no Policy (NULL), or one that says so. Immutable; part of every World, so that what decides by it
 * stays pure.
 */

#include "base/err.h"
#include "model/cidr.h"
#include "model/tailnet_spec.h"

struct ProxyAddr;

/* What is given as a list: by a flag that may come several times, each with commas inside. */
typedef enum PolicyList {
        POLICY_CIDRS,      /* --allowed-cidrs: "10.0.0.0/8"; a bare address is one host */
        POLICY_PROXIES,    /* --allowed-proxies: the same, or the path of a unix socket; one that
                              ends in a slash is all below it */
        POLICY_IMAGES,     /* --allowed-images: globs */
        POLICY_NAMESPACES, /* --watch-namespaces */
        POLICY_LISTS,
} PolicyList;

enum {
        POLICY_ITEMS_MAX = 256, /* of one list; looked through for each address */
};

/* As the flags have it. Strings are borrowed for the call. */
typedef struct PolicyInput {
        bool in_kubernetes; /* false: all else is read, and nothing is refused */
        bool allow_insecure_api;
        Str local_sources_dir; /* absolute, not the root; empty: none */
        StrList lists[POLICY_LISTS];
} PolicyInput;

typedef struct CidrList {
        const Cidr *at;
        size_t n;
} CidrList;

typedef struct Policy {
        Leaf leaf;
        bool in_kubernetes;
        bool allow_insecure_api;
        Str local_sources_dir; /* without a slash at its end; empty: none */
        CidrList allowed_cidrs;
        CidrList allowed_proxies;
        StrList allowed_sockets; /* of --allowed-proxies, too */
        StrList allowed_images;
        StrList watch_namespaces; /* sorted, each once; empty: all */
} Policy;

/* The flag's name, with its dashes. */
const char *policy_list_flag(PolicyList list);
/* Is each item of this text one for that list? The error is without the flag's name. An empty text
 * has no item. */
bool policy_check_text(PolicyList list, Str text, Err *err) MUST_USE;
/* Is it a directory that may be given? Nothing is looked at. */
bool policy_check_dir(Str path, Err *err) MUST_USE;
/* One reference; NULL where a text is none for its list: the error begins with the flag. An empty
 * list permits nothing, but no namespaces mean all. */
const Policy *policy_new(const PolicyInput *in, Err *err) MUST_USE;

/* Each of these is true for a Policy that is NULL or not in Kubernetes. Where it is false, `err`
 * (ERR_DENIED; may be NULL) has a reason for a condition, and a text that names the field and the
 * flag. */

/* May this address be dialled for an entry with these allowedCIDRs? Without Kubernetes: a tailnet
 * address, or one within `allowed`. In Kubernetes what is no tailnet address must be within
 * --allowed-cidrs as well, and what ip_is_never_dialled names is refused. "AddressRefused". */
bool policy_admits_address(const Policy *p, const IpAddr *a, const Cidr *allowed, size_t n,
                           Err *err);
/* May Envoy, and our probes, go through this proxy? "ProxyRefused". */
bool policy_admits_proxy(const Policy *p, const struct ProxyAddr *proxy, Err *err);
/* May the control server or file of this TailscaleTailnet (or, `local`, its tailscaled) be asked as
 * the spec says? "InsecureAPI", "EnvRefused", "PathRefused". Paths are judged by their text, `..`
 * resolved; where links lead is for whoever opens them, below local_sources_dir. */
bool policy_admits_source(const Policy *p, const TailnetSpec *t, bool local, Err *err);
/* The path that must be below local_sources_dir before that source is asked; empty: none. */
Str policy_source_path(const Policy *p, const TailnetSpec *t, bool local);
/* May the serve configuration of the tailscaled at this socket (`field`: who names it) be kept?
 * "PathRefused"; links as above. */
bool policy_admits_socket(const Policy *p, const char *field, Str path, Err *err);
/* May the managed extension server be of this image? "ImageRefused". */
bool policy_admits_image(const Policy *p, Str image, Err *err);
