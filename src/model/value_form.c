/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pattern is checked fast and told badly ("should match '^…$'"), a rule the other way round. So
 * the long ones are rules, but not where a list is so long that the API server's estimate of what
 * they cost would not let the definition in.
 */
#include "model/value_form.h"

#include "model/value_check.h"

/* What a JSON string may hold and a manifest may not. */
#define CONTROL   "\\x00-\\x1f\\x7f"
#define LABEL     "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
#define DNS_LABEL "[A-Za-z0-9_-]{1,63}"
#define DNS_NAME  DNS_LABEL "(\\." DNS_LABEL ")*\\.?"
#define PORT                                                                                       \
        "0{0,4}([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0" \
        "-5])"
#define V4_BYTE     "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define V4          "(" V4_BYTE "\\.){3}" V4_BYTE
#define V6          "[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*"
#define PLACEHOLDER "\\{(service|tailnet|namespace|gateway|port)\\}"
#define HOST_CHAR   "([A-Za-z0-9]|" PLACEHOLDER ")"
#define HOST_LABEL  HOST_CHAR "(([A-Za-z0-9-]|" PLACEHOLDER ")*" HOST_CHAR ")?"
#define AMOUNT      "([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?"
#define PORTS_ITEM  "[ \\t]*([Tt][Cc][Pp]:)?(\\*|" PORT "(-" PORT ")?)[ \\t]*"
/* Loopback and private addresses, as ip_is_private has them. */
#define NEAR_V4                                                                                \
        "(127|10)\\.[0-9.]+|(192\\.168|169\\.254|172\\.(1[6-9]|2[0-9]|3[01])|100\\.(6[4-9]|[7" \
        "-9][0-9]|1[01][0-9]|12[0-7]))\\.[0-9.]+"
#define WHOLE(pattern)   "^(" pattern ")$"
#define MATCHES(pattern) "self.matches(r'" WHOLE(pattern) "')"

static const SchemaRule url_rules[] = {
        {MATCHES("https?://[^/?#@ " CONTROL "]+(/[^ ?#\\\\" CONTROL "]*)?"),
         "must be a URL that begins with https://, with a host and without user name, query or "
         "fragment",
         NULL},
        {"!self.startsWith('http://') || "
         "self.matches(r'(?i)^http://(localhost|" NEAR_V4 "|\\[[0-9a-f:.]+\\])(:[0-9]+)?(/.*)?$')",
         "http:// is for loopback and private addresses, must begin with https://", NULL},
        {NULL, NULL, NULL},
};

static const SchemaRule proxy_rules[] = {
        {MATCHES("/[^" CONTROL "]+|(\\[" V6 "\\]|" DNS_NAME "):" PORT),
         "must be an address and port such as 127.0.0.1:3128, or the path of a unix socket", NULL},
        {NULL, NULL, NULL},
};

static const SchemaRule host_pattern_rules[] = {
        {"self.contains('{service}')", "must hold {service}, or all services would have one host",
         NULL},
        {MATCHES(HOST_LABEL "(\\." HOST_LABEL ")*"),
         "must be a host such as {service}.{tailnet}.example.com; the placeholders are {service}, "
         "{tailnet}, {namespace}, {gateway} and {port}",
         NULL},
        {NULL, NULL, NULL},
};

static const SchemaRule path_prefix_rules[] = {
        {MATCHES("|/([^ ?#*{}\\\\" CONTROL "]|" PLACEHOLDER ")*") " && !self.contains('//')",
         "must be a path such as /tailscale/{service}/: no space, ?, #, *, \\ or //; the "
         "placeholders are {service}, {tailnet}, {namespace}, {gateway} and {port}",
         NULL},
        {"!self.contains('/../') && !self.contains('/./')", "must be a path without /./ and /../",
         NULL},
        {NULL, NULL, NULL},
};

static const struct {
        FieldCheck *check;
        ValueForm form;
} forms[] = {
        {NULL, {"^[^" CONTROL "]*$", 0, STRING_MAX, NULL}},
        {check_label, {"^" LABEL "$", 1, 63, NULL}},
        {check_name, {"^" LABEL "(\\." LABEL ")*$", 1, 253, NULL}},
        {check_section, {WHOLE("|" LABEL "(\\." LABEL ")*"), 0, 253, NULL}},
        {check_dns_name, {"^" DNS_NAME "$", 1, 254, NULL}},
        {check_dns_suffix, {WHOLE("|\\.?" DNS_NAME), 0, 255, NULL}},
        {check_service, {"^[^" CONTROL "]+$", 1, 253, NULL}},
        {check_service_pattern,
         {WHOLE("([a-z0-9]|\\{service\\})([-a-z0-9]|\\{service\\})*"), 1, 253, NULL}},
        {check_token, {"^[-!#$%&'*+.^_`|~0-9A-Za-z]+$", 1, 253, NULL}},
        {check_host, {"^[^" CONTROL "]*$", 0, 253, NULL}},
        {check_word, {"^[^" CONTROL "]+$", 1, STRING_MAX, NULL}},
        {check_path, {"^[^" CONTROL "]+$", 1, STRING_MAX, NULL}},
        {check_revision, {"^[^" CONTROL "]+$", 1, 32, NULL}},
        {check_env, {"^[A-Za-z_][A-Za-z0-9_]*$", 1, 253, NULL}},
        {check_glob,
         {WHOLE("([^[" CONTROL "]|\\[(![^" CONTROL "]|[^!" CONTROL "])[^]" CONTROL "]*\\])+"), 1,
          253, NULL}},
        {check_tag, {"^tag:[^ ,/" CONTROL "]+$", 5, 257, NULL}},
        {check_ip, {WHOLE(V4 "|" V6), 2, 45, NULL}},
        {check_path_host,
         {WHOLE("\\*|(\\*\\.)?(" DNS_NAME "(:" PORT ")?|\\[" V6 "\\]:" PORT ")"), 1, 262, NULL}},
        {check_api_url, {NULL, 1, STRING_MAX, url_rules}},
        {check_proxy, {NULL, 1, 260, proxy_rules}},
        {check_host_pattern, {NULL, 1, STRING_MAX, host_pattern_rules}},
        {check_path_prefix, {NULL, 0, STRING_MAX, path_prefix_rules}},
};

const ValueForm *value_form(FieldCheck *check)
{
        size_t i = 0;

        while (i < LENGTH_OF(forms) && forms[i].check != check)
                i++;
        INSIST(i < LENGTH_OF(forms));
        return &forms[i].form;
}

const ValueForm *value_form_cidr(void)
{
        static const ValueForm form = {WHOLE(V4 "(/(3[0-2]|[12]?[0-9]))?|" V6 "(/[0-9]{1,3})?"), 2,
                                       49, NULL};

        return &form;
}

const ValueForm *value_form_ports(void)
{
        static const ValueForm form = {WHOLE(PORTS_ITEM "(," PORTS_ITEM ")*"), 1, STRING_MAX, NULL};

        return &form;
}

const ValueForm *value_form_amount(void)
{
        static const ValueForm form = {WHOLE(AMOUNT), 1, 32, NULL};

        return &form;
}
