/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members in a fixed order, lists in the order of their Table, no times: the same content gives the
 * same bytes. A scalar is quoted unless it can only be read as a string.
 */
#include "model/render.h"

/* Words that some reader of YAML 1.1 takes for something else. */
static bool is_special_word(Str s)
{
        static const char *const words[] = {"null", "true", "false", "yes", "no", "on",
                                            "off",  "y",    "n",     "nan", "inf"};

        for (size_t i = 0; i < LENGTH_OF(words); i++)
                if (str_eq_fold(s, str_of(words[i])))
                        return true;
        return false;
}

/* Begins with a letter, holds nothing that YAML gives a meaning to. */
static bool is_plain(Str s)
{
        if (s.n == 0 || s.n > 200 || is_special_word(s))
                return false;
        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i];
                bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
                bool inner = (c >= '0' && c <= '9') || strchr("-._/", c) != NULL;

                if (c == '\0' || (!letter && (i == 0 || !inner)))
                        return false;
        }
        return true;
}

/* What libyaml does not read back, or takes for the end of a line: C1 controls, U+2028, U+2029, the
 * byte order mark and non-characters. `s` begins with a sequence of `n` bytes; 0 where it may stand
 * as it is. */
static unsigned must_escape(Str s, size_t n)
{
        const unsigned char *p = (const unsigned char *)s.p;
        unsigned c = 0;

        if (n == 1)
                c = p[0];
        else if (n == 2)
                c = (p[0] & 0x1fU) << 6 | (p[1] & 0x3fU);
        else if (n == 3)
                c = (p[0] & 0xfU) << 12 | (p[1] & 0x3fU) << 6 | (p[2] & 0x3fU);
        if ((n == 1 && c < 0x20) || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 ||
            c == 0xfeff || c >= 0xfffe)
                return c;
        return 0;
}

static void render_quoted(Buf *out, Str s)
{
        buf_add_char(out, '"');
        while (s.n > 0) {
                size_t n = str_utf8(s);
                unsigned char c = (unsigned char)s.p[0];

                if (c == '"' || c == '\\')
                        buf_printf(out, "\\%c", c);
                else if (n == 0)
                        buf_add_str(out, STR("\xef\xbf\xbd"));
                else if (c == 0 || must_escape(s, n) != 0)
                        buf_printf(out, "\\u%04x", must_escape(s, n));
                else
                        buf_add(out, s.p, n);
                s = str_sub(s, n > 0 ? n : 1, s.n);
        }
        buf_add_char(out, '"');
}

void render_scalar(Buf *out, Str s)
{
        if (is_plain(s))
                buf_add_str(out, s);
        else
                render_quoted(out, s);
}

static void member(Buf *out, const char *indent_and_name, Str value)
{
        buf_printf(out, "%s: ", indent_and_name);
        render_scalar(out, value);
        buf_add_char(out, '\n');
}

static void optional_member(Buf *out, const char *indent_and_name, Str value)
{
        if (value.n > 0)
                member(out, indent_and_name, value);
}

static void render_head(Buf *out, const char *kind, ObjectKey key)
{
        buf_printf(out, "apiVersion: %s\nkind: %s\nmetadata:\n", MODEL_API_VERSION, kind);
        member(out, "  name", key.name);
        member(out, "  namespace", key.namespace);
}

void render_binding(ObjectKey eg_gateway, Str revision, uint64_t attempt, Buf *out)
{
        render_head(out, "TailscaleGatewayBinding", eg_gateway);
        buf_add_str(out, STR("spec:\n  targetRefs:\n  - group: gateway.networking.k8s.io\n"
                             "    kind: Gateway\n"));
        member(out, "    name", eg_gateway.name);
        /* Always quoted: one digest in 10^8 is all digits, or reads as 1e99. */
        buf_add_str(out, STR("  revision: "));
        render_quoted(out, revision);
        buf_add_char(out, '\n');
        if (attempt > 0)
                buf_printf(out, "  attempt: %llu\n", (unsigned long long)attempt);
}

static void render_endpoint(Buf *out, const Endpoint *e)
{
        member(out, "  - name", e->service);
        member(out, "    tailscaleIP", e->ip);
        optional_member(out, "    tailscaleFQDN", e->fqdn);
        buf_printf(out, "    port: %u\n", e->port);
        member(out, "    protocol", protocol_name(e->protocol));
        if (e->tags.n > 0)
                buf_add_str(out, STR("    tags:\n"));
        for (size_t i = 0; i < e->tags.n; i++) {
                buf_add_str(out, STR("    - "));
                render_scalar(out, e->tags.at[i]);
                buf_add_char(out, '\n');
        }
        optional_member(out, "    nodeID", e->node_id);
        if (!str_eq(e->short_name, e->service))
                optional_member(out, "    shortName", e->short_name);
        optional_member(out, "    portSource", e->port_source);
        optional_member(out, "    rule", e->rule);
        optional_member(out, "    health", e->health);
        optional_member(out, "    healthText", e->health_text);
        buf_printf(out, "    weight: %u\n", e->weight);
}

static void render_condition(Buf *out, const char *type, bool status, Str reason)
{
        buf_printf(out, "  - type: %s\n    status: \"%s\"\n", type, status ? "True" : "False");
        member(out, "    reason", reason);
}

static void optional_time(Buf *out, const char *indent_and_name, Wall t)
{
        char text[WALL_TEXT];

        if (t.ms != 0)
                buf_printf(out, "%s: \"%s\"\n", indent_and_name, wall_format(t, text));
}

static void render_status(Buf *out, const EntryView *view)
{
        buf_printf(out, "status:\n  discoveredEndpoints: %zu\n", table_n(view->endpoints));
        optional_time(out, "  lastSync", view->last_sync);
        optional_time(out, "  nextKeyExpiry", view->next_key_expiry);
        if (view->held.n > 0) {
                buf_printf(out, "  held:\n    count: %u\n    confirmations: %u\n", view->held.n,
                           view->held.confirmations);
                member(out, "    digest", view->held.digest);
                member(out, "    reason", view->held.reason);
        }
        buf_add_str(out, STR("  conditions:\n"));
        render_condition(out, "Synced", view->known,
                         view->known ? STR("DiscoverySuccessful") : STR("NeverSynced"));
        render_condition(out, "RemovalHeld", view->held.n > 0,
                         view->held.n > 0 ? view->held.reason : STR("NothingHeld"));
}

void render_endpoints(const EntryView *view, Str name, const Endpoint *const *endpoints, size_t n,
                      Buf *out)
{
        render_head(out, "TailscaleEndpoints", (ObjectKey){view->gateway.namespace, name});
        buf_add_str(out, STR("  labels:\n"));
        member(out, "    gateway.tailscale.com/gateway", view->gateway.name);
        member(out, "    gateway.tailscale.com/tailnet", view->tailnet);
        if (view->source.n > 0) {
                buf_add_str(out, STR("  annotations:\n"));
                member(out, "    " MODEL_SOURCE, view->source);
        }
        buf_add_str(out, STR("spec:\n"));
        member(out, "  tailnet", view->tailnet);
        buf_add_str(out, n == 0 ? STR("  endpoints: []\n") : STR("  endpoints:\n"));
        for (size_t i = 0; i < n; i++)
                render_endpoint(out, endpoints[i]);
        render_status(out, view);
}
