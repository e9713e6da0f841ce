/* SPDX-License-Identifier: Apache-2.0 */
#include "model/tailnet_spec.h"

#include "model/decode.h"
#include "model/value_check.h"

enum {
        MINUTE_MS = 60 * 1000,
        DAY_MS = 24 * 60 * MINUTE_MS,
        TAILSCALE_POLL_S = 15, /* api.tailscale.com answers 429 to those who ask more often */
};

static const EnumName types[] = {{"Auto", TAILNET_AUTO},
                                 {"Tailscale", TAILNET_TAILSCALE},
                                 {"Headscale", TAILNET_HEADSCALE},
                                 {NULL, 0}};

static const Field secret_ref_fields[] = {
        {.name = "name",
         .about = "Name of the Secret, in the namespace of this object.",
         .type = FIELD_STR,
         .required = true,
         FIELD_TO(TailnetSpec, secret_name),
         .check = check_name},
};

/* Offsets are those of the whole spec: its members are flat. */
static const Schema secret_ref = SCHEMA(secret_ref_fields, .size = sizeof(TailnetSpec));

static bool has(const Tree *node, Str key)
{
        const Tree *member = tree_get(node, key);

        return member != NULL && member->type != TREE_NULL;
}

static void after_credentials(Decoder *d, const Tree *node, void *out)
{
        bool ref = has(node, STR("secretRef"));
        bool env = has(node, STR("env"));
        bool id = has(node, STR("clientID"));
        bool token = has(node, STR("tokenFile"));

        (void)out;
        if (node == NULL)
                return;
        if (id != token)
                decode_fault(d, node->at, "only %s, expected clientID and tokenFile together",
                             id ? "clientID" : "tokenFile");
        if (ref + env + (id || token) > 1)
                decode_fault(d, node->at,
                             "several of them, expected one of secretRef, env, clientID with "
                             "tokenFile");
        if (ref + env + (id || token) == 0)
                decode_fault(d, node->at,
                             "empty, expected secretRef, env, or clientID with tokenFile");
}

static const Field credentials_fields[] = {
        {.name = "secretRef",
         .about = "A Secret of the same namespace. Its keys are client_id and client_secret (an "
                  "OAuth client of Tailscale, with the scopes devices:core:read and, for Tailscale "
                  "Services, services:read), or api_key (an API access token, or the API key of a "
                  "Headscale). webhook_secret, if it is there, proves the events that the control "
                  "server sends. The Secret is watched: a new one is used without a restart.",
         .type = FIELD_OBJECT,
         .kept = true,
         .schema = &secret_ref},
        {.name = "env",
         .about = "The environment variable that holds the API key. Not in Kubernetes, where a "
                  "Secret is the place for it.",
         .type = FIELD_STR,
         .is_private = true,
         FIELD_TO(TailnetSpec, credentials_env),
         .check = check_env},
        {.name = "clientID",
         .about = "The client ID of a federated identity (workload identity): no secret is stored "
                  "anywhere. Goes together with tokenFile.",
         .type = FIELD_STR,
         .is_private = true,
         FIELD_TO(TailnetSpec, client_id),
         .check = check_word},
        {.name = "tokenFile",
         .about = "The file with the token of the platform, read before each use, since the "
                  "platform renews it. In Kubernetes it must be below the directory that "
                  "--local-sources-dir names.",
         .type = FIELD_STR,
         FIELD_TO(TailnetSpec, token_file),
         .check = check_path},
};

static const SchemaRule credentials_rules[] = {
        {"has(self.clientID) == has(self.tokenFile)", "clientID and tokenFile go together", NULL},
        {"[has(self.secretRef), has(self.env), has(self.clientID) || "
         "has(self.tokenFile)].filter(x, x).size() == 1",
         "must be exactly one of secretRef, env, or clientID with tokenFile", NULL},
        {NULL, NULL, NULL},
};

static const Schema credentials = SCHEMA(credentials_fields, .size = sizeof(TailnetSpec),
                                         .after = after_credentials, .rules = credentials_rules);

static const Field guard_fields[] = {
        {.name = "maxPercent",
         .about = "An answer that lacks more than this share of the known endpoints is not "
                  "believed at once. 0 holds every removal, 100 holds none but an empty answer.",
         .type = FIELD_INT,
         FIELD_TO(RemovalGuard, max_percent),
         .max = 100,
         .fallback = "50"},
        {.name = "fromEndpoints",
         .about = "The share is only looked at from so many known endpoints on: of three devices, "
                  "one that goes is a third.",
         .type = FIELD_INT,
         FIELD_TO(RemovalGuard, from_endpoints),
         .max = 1000000,
         .fallback = "5"},
        {.name = "confirmations",
         .about = "What is held takes effect after so many polls in a row that say the same.",
         .type = FIELD_INT,
         FIELD_TO(RemovalGuard, confirmations),
         .min = 1,
         .max = 1000,
         .fallback = "3"},
};

static const Schema guard = SCHEMA(guard_fields, .size = sizeof(RemovalGuard));

static const Field local_api_fields[] = {
        {.name = "socket",
         .about = "The unix socket of tailscaled, such as /run/tailscale/tailscaled.sock. In "
                  "Kubernetes it must be below the directory that --local-sources-dir names.",
         .type = FIELD_STR,
         .required = true,
         FIELD_TO(TailnetSpec, local_socket),
         .check = check_path},
};

static const Schema local_api = SCHEMA(local_api_fields, .size = sizeof(TailnetSpec));

static const Field file_fields[] = {
        {.name = "path",
         .about = "The list of devices, as the API of Tailscale prints it ({\"devices\": [...]}), "
                  "or the same as YAML. A relative path is meant beside the manifest. In "
                  "Kubernetes it must be below the directory that --local-sources-dir names.",
         .type = FIELD_STR,
         .required = true,
         FIELD_TO(TailnetSpec, file_path),
         .check = check_path},
};

static const Schema file_schema = SCHEMA(file_fields, .size = sizeof(TailnetSpec));

static char *writable(Str s)
{
        return (char *)(uintptr_t)s.p;
}

/* The path as it is found from where we stand: beside the manifest that names it. */
static Str beside(Leaf *leaf, Str manifest, Str path)
{
        size_t n = manifest.n;
        Str joined;

        while (n > 0 && manifest.p[n - 1] != '/')
                n--;
        if (n == 0 || path.n == 0 || path.p[0] == '/')
                return path;
        joined = (Str){leaf_alloc(leaf, n + path.n + 1), n + path.n};
        memcpy(writable(joined), manifest.p, n);
        memcpy(writable(joined) + n, path.p, path.n);
        return joined;
}

/* Lower case, without dots at the ends. */
static Str plain_suffix(Leaf *leaf, Str s)
{
        Str lower;

        while (str_starts(s, STR(".")))
                s = str_sub(s, 1, s.n);
        while (str_ends(s, STR(".")))
                s = str_sub(s, 0, s.n - 1);
        lower = leaf_str(leaf, s);
        for (size_t i = 0; i < lower.n; i++)
                if (lower.p[i] >= 'A' && lower.p[i] <= 'Z')
                        writable(lower)[i] = (char)(lower.p[i] - 'A' + 'a');
        return lower;
}

static void after_tailnet(Decoder *d, const Tree *node, void *out)
{
        TailnetSpec *s = out;
        const Tree *interval = tree_get(node, STR("pollInterval"));

        while (str_ends(s->api_url, STR("/")))
                s->api_url = leaf_str(d->leaf, str_sub(s->api_url, 0, s->api_url.n - 1));
        s->magic_dns_suffix = plain_suffix(d->leaf, s->magic_dns_suffix);
        s->file_path = beside(d->leaf, d->file, s->file_path);
        s->token_file = beside(d->leaf, d->file, s->token_file);
        s->local_socket = beside(d->leaf, d->file, s->local_socket);
        if (node == NULL)
                return;
        if (interval != NULL && s->poll_interval.ns > 0 &&
            s->poll_interval.ns < SPAN_S(TAILSCALE_POLL_S).ns &&
            str_eq_fold(value_url_host(s->api_url), STR("api.tailscale.com")) &&
            s->file_path.n == 0 && !tailnet_spec_is_local(s)) {
                size_t where = decode_enter(d, STR("pollInterval"));

                decode_unexpected(d, interval, "at least 15s for api.tailscale.com");
                decode_leave(d, where);
        }
        if (!has(node, STR("credentials")) && !has(node, STR("file")) &&
            !has(node, STR("localAPI")))
                decode_fault(d, node->at, "nothing to ask, expected credentials, localAPI or file");
}

static const Field tailnet_fields[] = {
        {.name = "apiURL",
         .about = "The control server: Tailscale, or the URL of a Headscale. http:// is for "
                  "loopback and private addresses only, in Kubernetes only where the operator "
                  "allows it (--allow-insecure-api). A redirect is never followed, since it would "
                  "carry the credential elsewhere.",
         .type = FIELD_STR,
         FIELD_TO(TailnetSpec, api_url),
         .fallback = "https://api.tailscale.com",
         .check = check_api_url},
        {.name = "type",
         .about = "What the control server speaks: Tailscale, Headscale, or Auto. Auto takes "
                  "api.tailscale.com for Tailscale and asks any other server what it is.",
         .type = FIELD_ENUM,
         FIELD_TO(TailnetSpec, type),
         .fallback = "Auto",
         .names = types},
        {.name = "tailnet",
         .about = "The name of the tailnet at the control server. \"-\" is the one that the "
                  "credential belongs to.",
         .type = FIELD_STR,
         FIELD_TO(TailnetSpec, tailnet),
         .fallback = "-",
         .check = check_service},
        {.name = "magicDNSSuffix",
         .about = "The suffix of full names, such as corp.ts.net. It is found where the API gives "
                  "full names; with Headscale it is needed for them.",
         .type = FIELD_STR,
         FIELD_TO(TailnetSpec, magic_dns_suffix),
         .check = check_dns_suffix},
        {.name = "credentials",
         .about = "How the control server is asked: exactly one of secretRef, env, or clientID "
                  "with tokenFile.",
         .type = FIELD_OBJECT,
         .kept = true,
         .schema = &credentials},
        {.name = "proxyAddresses",
         .about = "The HTTP CONNECT proxies into this tailnet (a userspace tailscaled offers one): "
                  "IP:port, name:port, [IPv6]:port, or the path of a unix socket. A proxy leads "
                  "into one tailnet, so none may stand under two TailscaleTailnets. The "
                  "connectivity of a TailscaleGateway may name others.",
         .type = FIELD_STRS,
         FIELD_TO(TailnetSpec, proxies),
         .is_set = true,
         .max_items = 16,
         .check = check_proxy},
        {.name = "pollInterval",
         .about = "How often the list of devices is asked for, from 1s to 24h; at least 15s for "
                  "api.tailscale.com, which refuses those who ask more often. A webhook or a local "
                  "tailscaled brings a poll forward, so it need not be short.",
         .type = FIELD_SPAN,
         FIELD_TO(TailnetSpec, poll_interval),
         .min = 1000,
         .max = DAY_MS,
         .fallback = "30s"},
        {.name = "removalGuard",
         .about = "Protects against an answer that lacks devices by mistake: too large a removal "
                  "takes effect only when it has been confirmed. What is held is told by status, "
                  "metrics and events, and is let through at once by the annotation "
                  "gateway.tailscale.com/approve-removal on the TailscaleGateway.",
         .type = FIELD_OBJECT,
         FIELD_TO(TailnetSpec, guard),
         .schema = &guard},
        {.name = "localAPI",
         .about = "A tailscaled on the machine of this program, beside or instead of credentials. "
                  "Alone it is the source; beside credentials it says who can be reached from "
                  "here, and when to ask the API.",
         .type = FIELD_OBJECT,
         .kept = true,
         .schema = &local_api},
        {.name = "file",
         .about = "A list of devices in a file, for tests and for networks without an API.",
         .type = FIELD_OBJECT,
         .kept = true,
         .schema = &file_schema},
};

static const SchemaRule tailnet_rules[] = {
        {"has(self.credentials) || has(self.localAPI) || has(self.file)",
         "nothing to ask: must have credentials, localAPI or file", NULL},
        {"has(self.file) || (has(self.localAPI) && !has(self.credentials)) || "
         "!self.apiURL.matches(r'(?i)^https?://api\\.tailscale\\.com(:[0-9]+)?(/.*)?$') || "
         "duration(self.pollInterval) >= duration('15s')",
         "must be at least 15s for api.tailscale.com", ".pollInterval"},
        {NULL, NULL, NULL},
};

const Schema tailnet_spec_schema = SCHEMA(tailnet_fields, .size = sizeof(TailnetSpec),
                                          .after = after_tailnet, .rules = tailnet_rules);

int tailnet_spec_order(const void *a, const void *b)
{
        const TailnetSpec *x = a, *y = b;

        return object_key_cmp(x->meta.key, y->meta.key);
}

int tailnet_spec_find(const void *key, const void *leaf)
{
        const TailnetSpec *s = leaf;

        return object_key_cmp(*(const ObjectKey *)key, s->meta.key);
}

bool tailnet_spec_same(const void *a, const void *b)
{
        const TailnetSpec *x = a, *y = b;

        return object_meta_same(&x->meta, &y->meta) && schema_same(&tailnet_spec_schema, x, y);
}

bool tailnet_spec_is_local(const TailnetSpec *s)
{
        return s->local_socket.n > 0 && s->file_path.n == 0 && s->secret_name.n == 0 &&
               s->credentials_env.n == 0 && s->client_id.n == 0 && s->token_file.n == 0;
}
