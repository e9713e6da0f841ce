/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Checks of single values: each a FieldCheck: true where `value` is good, else what was expected.
 */

#include "model/schema.h"

/* RFC 1123 label: [a-z0-9]([-a-z0-9]*[a-z0-9])?, at most 63. */
bool check_label(Str value, char expected[EXPECTED_MAX]);
/* RFC 1123 labels with dots between, at most 253: the names of Kubernetes objects. */
bool check_name(Str value, char expected[EXPECTED_MAX]);
/* Empty, or a name: the listener of a Gateway. */
bool check_section(Str value, char expected[EXPECTED_MAX]);
/* A DNS name in any case, with or without a dot at the end. */
bool check_dns_name(Str value, char expected[EXPECTED_MAX]);
/* The same, or empty, or with a dot before it. */
bool check_dns_suffix(Str value, char expected[EXPECTED_MAX]);
/* The name of a service or device, 1 to 253 bytes: as the control server gives it, which need not
 * be a DNS name. */
bool check_service(Str value, char expected[EXPECTED_MAX]);
/* The same, or empty: what a control server calls a host is not measured by the rules of DNS. */
bool check_host(Str value, char expected[EXPECTED_MAX]);
/* The revision of a Binding: 1 to 32 bytes. */
bool check_revision(Str value, char expected[EXPECTED_MAX]);
/* A quantity of Kubernetes, such as "128Mi" or "100m". */
bool check_amount(Str value, char expected[EXPECTED_MAX]);
/* Not empty. */
bool check_word(Str value, char expected[EXPECTED_MAX]);
bool check_glob(Str value, char expected[EXPECTED_MAX]);
/* "tag:" and a name. Which letters it may have is the control server's business. */
bool check_tag(Str value, char expected[EXPECTED_MAX]);
/* IPv4 or IPv6 literal. */
bool check_ip(Str value, char expected[EXPECTED_MAX]);
/* https, or http to a loopback or private address; host, port and path, nothing else. */
bool check_api_url(Str value, char expected[EXPECTED_MAX]);
/* IP:port, name:port, [IPv6]:port, or the absolute path of a unix socket. */
bool check_proxy(Str value, char expected[EXPECTED_MAX]);
bool check_path(Str value, char expected[EXPECTED_MAX]);
/* The name of an environment variable. */
bool check_env(Str value, char expected[EXPECTED_MAX]);
/* A host with {service} and other placeholders in it. */
bool check_host_pattern(Str value, char expected[EXPECTED_MAX]);
/* The name of a Service of Kubernetes, in which {service} may stand. */
bool check_service_pattern(Str value, char expected[EXPECTED_MAX]);
/* The name of a header or cookie: a token of RFC 9110 5.6.2. */
bool check_token(Str value, char expected[EXPECTED_MAX]);
/* Empty, or begins with a slash; placeholders. */
bool check_path_prefix(Str value, char expected[EXPECTED_MAX]);
/* In Envoy's notation of domains: a host, `*`, `*.example.com`. */
bool check_path_host(Str value, char expected[EXPECTED_MAX]);

/* Splits "host:port" ("[v6]:port"); false where it is not one. The host is without brackets. */
bool value_host_port(Str value, Str *ret_host, uint16_t *ret_port);
/* The host of a URL that check_api_url took, without port and brackets. */
Str value_url_host(Str url);
