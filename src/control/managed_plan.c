/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An API server adds what we leave open, and others may add more (a sidecar, a label of theirs), so
 * what stands there is never the same as what was applied. It is as wished where the digest in its
 * annotation is that of what we would apply now, and where all that we would say is said in it.
 *
 * What is written passes the `restricted` level of Pod Security: no root, no capability, nothing of
 * the host's.
 */
#include "control/managed_plan.h"

#include "base/buf.h"
#include "control/object_body.h"
#include "model/cert_secret.h"
#include "model/label_value.h"
#include "model/quantity.h"
#include "proto/json.h"
#include "proto/json_writer.h"

#include <stdio.h>

#define TLS_DIR "/etc/tailscale-gateway/tls"

enum {
        DIGEST_SHOWN = 16, /* bytes of it */
};

/* What is asked for where nobody says: of a thousand endpoints a replica holds below 16 MiB. */
static const Amounts usual_resources = {
        .at = {[AMOUNT_REQUEST] =
                       {[AMOUNT_CPU] = 50, [AMOUNT_MEMORY] = INT64_C(64) * 1024 * 1024 * 1000}},
};

typedef struct Wished {
        const ManagedSettings *settings;
        ExtensionWish wish;
} Wished;

typedef struct ManagedKind {
        ObservedKind kind;
        const char *api_version, *name;
        void (*put_spec)(JsonWriter *w, const Wished *wished);
} ManagedKind;

/* --- parts --- */

static void put_labels(JsonWriter *w, bool is_selector)
{
        json_key_str(w, STR("app.kubernetes.io/component"), STR("extension"));
        if (!is_selector)
                json_key_str(w, STR(MODEL_LABEL_MANAGED_BY), STR(MODEL_OURS));
        json_key_str(w, STR("app.kubernetes.io/name"), STR(MODEL_OURS));
}

static void put_selector(JsonWriter *w)
{
        json_key_object_begin(w, STR("selector"));
        json_key_object_begin(w, STR("matchLabels"));
        put_labels(w, true);
        json_object_end(w);
        json_object_end(w);
}

static void key_number(JsonWriter *w, const char *key, uint64_t n)
{
        json_key_u64(w, str_of(key), n);
}

static void key_text(JsonWriter *w, const char *key, const char *text)
{
        json_key_str(w, str_of(key), str_of(text));
}

static void begin(JsonWriter *w, const char *key)
{
        json_key_object_begin(w, str_of(key));
}

/* --- Service and PodDisruptionBudget --- */

static void put_service(JsonWriter *w, const Wished *wished)
{
        (void)wished;
        json_key_array_begin(w, STR("ports"));
        json_object_begin(w);
        key_text(w, "name", "grpc");
        key_number(w, "port", MANAGED_PORT);
        key_text(w, "protocol", "TCP");
        key_text(w, "targetPort", "grpc");
        json_object_end(w);
        json_array_end(w);
        begin(w, "selector");
        put_labels(w, true);
        json_object_end(w);
        key_text(w, "type", "ClusterIP");
}

/* One at a time, so that a node can always be drained, also where there is only one replica: then
 * Envoy Gateway keeps what it has until the next one is ready. */
static void put_budget(JsonWriter *w, const Wished *wished)
{
        (void)wished;
        key_number(w, "maxUnavailable", 1);
        put_selector(w);
        key_text(w, "unhealthyPodEvictionPolicy", "AlwaysAllow");
}

/* --- the pod --- */

static void put_apart(JsonWriter *w, uint64_t weight, const char *topology)
{
        json_object_begin(w);
        begin(w, "podAffinityTerm");
        begin(w, "labelSelector");
        begin(w, "matchLabels");
        put_labels(w, true);
        json_object_end(w);
        json_object_end(w);
        key_text(w, "topologyKey", topology);
        json_object_end(w);
        key_number(w, "weight", weight);
        json_object_end(w);
}

static void put_affinity(JsonWriter *w)
{
        begin(w, "affinity");
        begin(w, "podAntiAffinity");
        json_key_array_begin(w, STR("preferredDuringSchedulingIgnoredDuringExecution"));
        put_apart(w, 100, "kubernetes.io/hostname");
        put_apart(w, 50, "topology.kubernetes.io/zone");
        json_array_end(w);
        json_object_end(w);
        json_object_end(w);
}

static void put_args(JsonWriter *w, const ManagedSettings *s)
{
        static const Str tls[] = {STR_INIT("--extension-tls-cert=" TLS_DIR "/tls.crt"),
                                  STR_INIT("--extension-tls-key=" TLS_DIR "/tls.key"),
                                  STR_INIT("--extension-tls-client-ca=" TLS_DIR "/ca.crt")};
        const char *any = s->listens_on_ipv6 ? "[::]" : "0.0.0.0";
        char text[96];

        json_key_array_begin(w, STR("args"));
        json_str(w, STR("extension"));
        snprintf(text, sizeof(text), "--extension-address=tcp://%s:%d", any, MANAGED_PORT);
        json_str(w, str_of(text));
        for (size_t i = 0; i < LENGTH_OF(tls); i++)
                json_str(w, tls[i]);
        snprintf(text, sizeof(text), "--metrics-address=tcp://%s:%d", any, MANAGED_METRICS_PORT);
        json_str(w, str_of(text));
        for (size_t i = 0; i < s->args.n; i++)
                json_str(w, s->args.at[i]);
        json_array_end(w);
}

static void put_port(JsonWriter *w, const char *name, uint64_t port)
{
        json_object_begin(w);
        key_number(w, "containerPort", port);
        key_text(w, "name", name);
        key_text(w, "protocol", "TCP");
        json_object_end(w);
}

/* /healthz: the loop turns. /readyz: all has been read, and hooks are answered. */
static void put_probe(JsonWriter *w, const char *key, const char *path, uint64_t period)
{
        begin(w, key);
        key_number(w, "failureThreshold", 3);
        begin(w, "httpGet");
        key_text(w, "path", path);
        key_text(w, "port", "metrics");
        key_text(w, "scheme", "HTTP");
        json_object_end(w);
        key_number(w, "periodSeconds", period);
        key_number(w, "timeoutSeconds", 2);
        json_object_end(w);
}

static void put_amounts(JsonWriter *w, const char *key, const int64_t at[AMOUNT_KINDS])
{
        char text[QUANTITY_TEXT];

        begin(w, key);
        for (AmountKind k = 0; k < AMOUNT_KINDS; k++)
                if (at[k] > 0)
                        key_text(w, amount_kind_name(k),
                                 quantity_format(at[k], k != AMOUNT_CPU, text));
        json_object_end(w);
}

static void put_container_security(JsonWriter *w)
{
        begin(w, "securityContext");
        json_key_bool(w, STR("allowPrivilegeEscalation"), false);
        begin(w, "capabilities");
        json_key_array_begin(w, STR("drop"));
        json_str(w, STR("ALL"));
        json_array_end(w);
        json_object_end(w);
        json_key_bool(w, STR("readOnlyRootFilesystem"), true);
        json_object_end(w);
}

static void put_container(JsonWriter *w, const Wished *wished)
{
        json_key_array_begin(w, STR("containers"));
        json_object_begin(w);
        put_args(w, wished->settings);
        json_key_str(w, STR("image"), wished->wish.image);
        key_text(w, "imagePullPolicy", "IfNotPresent");
        put_probe(w, "livenessProbe", "/healthz", 10);
        key_text(w, "name", "extension");
        json_key_array_begin(w, STR("ports"));
        put_port(w, "grpc", MANAGED_PORT);
        put_port(w, "metrics", MANAGED_METRICS_PORT);
        json_array_end(w);
        put_probe(w, "readinessProbe", "/readyz", 5);
        begin(w, "resources");
        put_amounts(w, "limits", wished->wish.resources.at[AMOUNT_LIMIT]);
        put_amounts(w, "requests", wished->wish.resources.at[AMOUNT_REQUEST]);
        json_object_end(w);
        put_container_security(w);
        json_key_array_begin(w, STR("volumeMounts"));
        json_object_begin(w);
        key_text(w, "mountPath", TLS_DIR);
        key_text(w, "name", "tls");
        json_key_bool(w, STR("readOnly"), true);
        json_object_end(w);
        json_array_end(w);
        json_object_end(w);
        json_array_end(w);
}

static void put_pod_security(JsonWriter *w)
{
        begin(w, "securityContext");
        /* The Secret's files are its group's. */
        key_number(w, "fsGroup", MANAGED_USER);
        key_number(w, "runAsGroup", MANAGED_USER);
        json_key_bool(w, STR("runAsNonRoot"), true);
        key_number(w, "runAsUser", MANAGED_USER);
        begin(w, "seccompProfile");
        key_text(w, "type", "RuntimeDefault");
        json_object_end(w);
        json_object_end(w);
}

static void put_volumes(JsonWriter *w)
{
        json_key_array_begin(w, STR("volumes"));
        json_object_begin(w);
        key_text(w, "name", "tls");
        begin(w, "secret");
        key_number(w, "defaultMode", 0440);
        /* Replicas read the files again when they change. */
        json_key_str(w, STR("secretName"), cert_secret_name(CERT_SECRET_SERVER));
        json_object_end(w);
        json_object_end(w);
        json_array_end(w);
}

static void put_pod(JsonWriter *w, const Wished *wished)
{
        const ManagedSettings *s = wished->settings;

        put_affinity(w);
        json_key_bool(w, STR("automountServiceAccountToken"), true);
        put_container(w, wished);
        json_key_bool(w, STR("enableServiceLinks"), false);
        put_pod_security(w);
        json_key_str(w, STR("serviceAccountName"), s->service_account);
        key_number(w, "terminationGracePeriodSeconds", MANAGED_GRACE_S);
        put_volumes(w);
}

static void put_deployment(JsonWriter *w, const Wished *wished)
{
        json_key_u64(w, STR("replicas"), (uint64_t)wished->wish.replicas);
        key_number(w, "revisionHistoryLimit", 3);
        put_selector(w);
        begin(w, "strategy");
        begin(w, "rollingUpdate");
        key_number(w, "maxSurge", 1);
        key_number(w, "maxUnavailable", 0);
        json_object_end(w);
        key_text(w, "type", "RollingUpdate");
        json_object_end(w);
        begin(w, "template");
        begin(w, "metadata");
        begin(w, "labels");
        put_labels(w, false);
        json_object_end(w);
        json_object_end(w);
        begin(w, "spec");
        put_pod(w, wished);
        json_object_end(w);
        json_object_end(w);
}

static const ManagedKind kinds[] = {
        {OBSERVED_SERVICE, "v1", "Service", put_service},
        {OBSERVED_PDB, "policy/v1", "PodDisruptionBudget", put_budget},
        {OBSERVED_DEPLOYMENT, "apps/v1", "Deployment", put_deployment},
};

/* --- an object --- */

static void put_object(Buf *out, const ManagedKind *k, const Wished *wished, Str applied)
{
        JsonWriter w;

        buf_reset(out);
        json_writer_init(&w, out);
        json_object_begin(&w);
        key_text(&w, "apiVersion", k->api_version);
        key_text(&w, "kind", k->name);
        begin(&w, "metadata");
        if (applied.n > 0) {
                begin(&w, "annotations");
                json_key_str(&w, STR(OBSERVED_APPLIED), applied);
                json_object_end(&w);
        }
        begin(&w, "labels");
        put_labels(&w, false);
        json_object_end(&w);
        key_text(&w, "name", MANAGED_NAME);
        json_key_str(&w, STR("namespace"), wished->settings->namespace);
        json_object_end(&w);
        begin(&w, "spec");
        k->put_spec(&w, wished);
        json_object_end(&w);
        json_object_end(&w);
}

/* --- is it as wished? --- */

static bool covers(const Tree *is, const Tree *wished);

static bool is_nothing(const Tree *node)
{
        return (node->type == TREE_OBJECT || node->type == TREE_ARRAY) && node->n == 0;
}

static bool covers_members(const Tree *is, const Tree *wished)
{
        TREE_FOREACH (m, wished)
                if (!is_nothing(m) && !covers(tree_get(is, m->key), m))
                        return false;
        return true;
}

static bool covers_one(const Tree *list, const Tree *wished)
{
        TREE_FOREACH (e, list)
                if (covers(e, wished))
                        return true;
        return false;
}

/* Of objects others may be there as well; scalars are the same ones in the same order. */
static bool covers_items(const Tree *is, const Tree *wished)
{
        const Tree *e = is->first;

        TREE_FOREACH (w, wished) {
                if (w->type == TREE_OBJECT) {
                        if (!covers_one(is, w))
                                return false;
                        continue;
                }
                if (!covers(e, w))
                        return false;
                e = e->next;
        }
        return wished->n == 0 || wished->first->type == TREE_OBJECT || e == NULL;
}

static bool covers(const Tree *is, const Tree *wished)
{
        if (is == NULL || is->type != wished->type)
                return false;
        if (wished->type == TREE_OBJECT)
                return covers_members(is, wished);
        if (wished->type == TREE_ARRAY)
                return covers_items(is, wished);
        return wished->type == TREE_BOOL ? is->boolean == wished->boolean
                                         : str_eq(is->text, wished->text);
}

static bool is_as_wished(const Observed *o, Str applied, Str body)
{
        Arena arena;
        const Tree *is, *wished;
        bool yes;

        if (o == NULL || o->deleting || !o->ours || !str_eq(o->applied, applied))
                return false;
        arena_init(&arena, 0);
        is = json_read(&arena, o->spec, NULL, NULL);
        wished = tree_get(json_read(&arena, body, NULL, NULL), STR("spec"));
        yes = wished != NULL && covers(is, wished);
        arena_done(&arena);
        return yes;
}

static void plan_kind(const PlanInput *in, const ManagedKind *k, const Wished *wished, Plan *p)
{
        ObjectKey key = {wished->settings->namespace, STR(MANAGED_NAME)};
        CLEANUP(buf_done) Buf body = {0};
        char hex[DIGEST_HEX];
        Digest digest;
        Str applied;

        buf_init(&body, OBJECT_BODY_MAX);
        put_object(&body, k, wished, (Str){0});
        digest = digest_of(buf_str(&body));
        applied = str_of(digest_hex(&digest, DIGEST_SHOWN, hex));
        put_object(&body, k, wished, applied);
        /* With more flags than an API server takes there is nothing that could stand there. */
        if (body.failed ||
            is_as_wished(observed_at(in->observed, k->kind, key), applied, buf_str(&body)))
                return;
        plan_add_object(p, &(PlanObject){
                                   .verb = PLAN_APPLY,
                                   .role = PLAN_OPERATOR,
                                   .kind = k->kind,
                                   .key = key,
                                   .manager = STR(OBSERVED_MANAGER),
                                   .body = buf_str(&body),
                                   .expected = object_body_digest(buf_str(&body), false),
                           });
}

/* --- the whole --- */

ExtensionWish managed_wish(const ManagedSettings *s, const World *world)
{
        ExtensionWish base = {
                .image = s->image,
                .replicas = MANAGED_REPLICAS,
                .resources = usual_resources,
                .caps = s->caps,
        };
        ExtensionWish wish;

        extension_wish_make(world->gateways, world->policy, &base, &wish);
        return wish;
}

void plan_managed(const PlanInput *in, const ManagedSettings *s, Plan *p)
{
        Wished wished = {.settings = s};

        if (s->image.n == 0 || (in->roles & PLAN_OPERATOR) == 0 || !in->world->resources_read)
                return;
        wished.wish = managed_wish(s, in->world);
        for (size_t i = 0; i < LENGTH_OF(kinds); i++)
                plan_kind(in, &kinds[i], &wished, p);
}
