/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_follow FROM TO: for each seed one tailnet and one set of rules: what the process that leads
 * found is planned as objects, these are read as an API server would give them, and the process
 * that follows must have the same of them: every revision, every route, every cluster.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/plan.h"
#include "model/manifest_kinds.h"
#include "proto/json.h"
#include "source/world_build.h"
#include "translate/snapshot.h"

#define UID "0b2d2f5e-9f7c-4d53-8f3e-2d6c5d8a1f00"

enum {
        DEVICES_MAX = 700, /* more than two shards */
        TEXT_MAX = 16 << 10,
        ENDPOINTS_OBJECTS_MAX = 64,
};

static uint64_t chance;

static unsigned dice(unsigned n)
{
        chance = chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (unsigned)((chance >> 33) % n);
}

static const char *one_of(const char *const *at, unsigned n)
{
        return at[dice(n)];
}

/* ---- what is wished ---- */

static void print_manifests(Buf *out)
{
        static const char *const groups[] = {
                "", "groups: [{name: web, pattern: 'host-1*'}, {name: db, tag: 'tag:db'}], "};
        static const char *const ports[] = {"defaultPort: {port: 80}",
                                            "ports: [{pattern: '*2', port: 5432, protocol: TCP}, "
                                            "{pattern: '*', port: '8080,9090', protocol: HTTP}]"};
        static const char *const routes[] = {
                "hostPattern: '{service}.ts.local', pathPrefix: '/t/{service}/'",
                "hostPattern: '{service}-{port}.{tailnet}.ts.local', hostHeader: Preserve",
                "hostPattern: '{service}.ts.local', pathPrefix: /"};
        static const char *const ways[] = {"mode: Direct", "proxyAddresses: ['127.0.0.1:1055']"};

        buf_printf(out, "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n"
                        "metadata: {name: eg, namespace: team}\n"
                        "spec: {listeners: [{name: http, port: 80, protocol: HTTP}]}\n---\n"
                        "apiVersion: gateway.tailscale.com/v1alpha1\nkind: TailscaleTailnet\n"
                        "metadata: {name: net, namespace: team}\n"
                        "spec: {file: {path: d.list}}\n---\n");
        buf_printf(out,
                   "apiVersion: gateway.tailscale.com/v1alpha1\nkind: TailscaleGateway\n"
                   "metadata: {name: gw, namespace: team}\nspec:\n  gatewayRef: {name: eg}\n"
                   "  tailnets:\n  - name: corp\n    tailscaleTailnetRef: {name: net}\n"
                   "    serviceDiscovery: {%s%s}\n    routeGeneration: {egress: {%s}}\n"
                   "    connectivity: {%s}\n---\n",
                   one_of(groups, 2), one_of(ports, 2), one_of(routes, 3), one_of(ways, 2));
        buf_printf(out,
                   "apiVersion: gateway.tailscale.com/v1alpha1\nkind: TailscaleEndpoints\n"
                   "metadata: {name: own, namespace: team}\nspec: {tailnet: %s, endpoints: [{name: "
                   "host-3, tailscaleIP: 100.100.0.1, port: 80, protocol: HTTP}, {name: mine, "
                   "tailscaleIP: 100.100.0.2, port: %u, protocol: TCP, weight: 3}]}\n",
                   dice(2) == 0 ? "corp" : "other", 1 + dice(1000));
}

typedef struct Wished {
        Table *tables[MANIFEST_KINDS];
} Wished;

static void read_manifests(Wished *w)
{
        CLEANUP(manifest_set_done) ManifestSet set;
        CLEANUP(faults_done) Faults faults;
        CLEANUP(buf_done) Buf text;
        buf_init(&text, TEXT_MAX);
        manifest_set_init(&set);
        faults_init(&faults);
        print_manifests(&text);
        if (!manifest_read(&set, STR("/sim.yaml"), buf_str(&text), &faults)) {
                buf_reset(&text);
                faults_print(&faults, &text);
                fprintf(stderr, "%.*s\n", STR_FMT(buf_str(&text)));
                exit(1);
        }
        for (size_t k = 0; k < MANIFEST_KINDS; k++)
                w->tables[k] = manifest_table(&set, (ManifestKind)k, NULL);
        const Table *gateways = w->tables[MANIFEST_GATEWAY];
        INSIST(table_n(gateways) == 1 && gateways != NULL);
        GatewaySpec *g = (GatewaySpec *)(uintptr_t)gateways->at[0];
        g->meta.uid = STR(UID);
}

static void wished_done(Wished *w)
{
        for (size_t k = 0; k < MANIFEST_KINDS; k++)
                table_unref(w->tables[k]);
}

/* ---- what is there ---- */

static const void *make_device(unsigned i)
{
        static const Str tags[] = {STR_INIT("tag:db"), STR_INIT("tag:http-8081"),
                                   STR_INIT("tag:prod")};
        char id[16], name[64], ip[24];
        unsigned from = dice(3);
        snprintf(id, sizeof id, "n%u", i);
        /* Some are known by their short name alone, as Headscale tells them. */
        snprintf(name, sizeof name, dice(4) == 0 ? "host-%u" : "host-%u.corp.ts.net", i);
        snprintf(ip, sizeof ip, "100.64.%u.%u", i / 200, i % 200 + 1);
        return device_new(&(Device){
                .node_id = str_of(id),
                .name = str_of(name),
                .short_name = str_sub(str_of(name), 0, strcspn(name, ".")),
                .ip4 = str_of(ip),
                .tags = {tags + from, dice(3 - from + 1)},
                .online = dice(5) == 0 ? DEVICE_OFFLINE : DEVICE_ONLINE,
                .authorized = dice(20) != 0,
        });
}

static Table *make_states(void)
{
        static const unsigned sizes[] = {0, 1, 5, 40, 240, DEVICES_MAX};
        unsigned n = sizes[dice(LENGTH_OF(sizes))];
        CLEANUP(mem_cleanup) const void **devices = mem_new_array(n + 1, sizeof *devices);
        for (unsigned i = 0; i < n; i++)
                devices[i] = make_device(i);
        TailnetState *s = leaf_new(sizeof *s, 64, tailnet_state_drop);
        s->key = (ObjectKey){STR("team"), STR("net")};
        s->sync = SYNC_DONE;
        s->poll = 1;
        s->suffix = dice(3) == 0 ? STR("other.example") : STR("corp.ts.net");
        s->devices = table_new(devices, n, device_order);
        const void *leaf = s;
        return table_new(&leaf, 1, tailnet_state_order);
}

static const World *make_world(const Wished *w, const Table *states, const Table *found,
                               bool follows)
{
        CLEANUP(leaf_cleanup) World *nothing = world_new_empty();
        CLEANUP(leaf_cleanup) Table *none = table_new(NULL, 0, NULL);
        return world_build(&(WorldInput){
                .before = nothing,
                .cache = none,
                .tailnets = w->tables[MANIFEST_TAILNET],
                .gateways = w->tables[MANIFEST_GATEWAY],
                .endpoints = w->tables[MANIFEST_ENDPOINTS],
                .found = found,
                .eg_gateways = w->tables[MANIFEST_EG_GATEWAY],
                .eg_routes = w->tables[MANIFEST_EG_ROUTE],
                .namespaces = w->tables[MANIFEST_NAMESPACE],
                .our_namespaces = w->tables[MANIFEST_NAMESPACE],
                .tailnet_states = follows ? none : states,
                .bindings = w->tables[MANIFEST_BINDING],
                .proxy_names = none,
                .proxies_resolved = true,
                .follows = follows,
                .eg_knows_labels = true,
                .resources_read = true,
                .now = {INT64_C(1795381081000)},
                .mono = {SPAN_S(1000).ns},
        });
}

/* ---- from one to the other ---- */

/* As an API server would give back what was applied. */
static const void *read_object(Str body)
{
        CLEANUP(faults_done) Faults faults;
        Arena arena;
        TreeMark at;
        Err err = {0};
        arena_init(&arena, 0);
        faults_init(&faults);
        const Tree *root = json_read(&arena, body, &at, &err);
        const void *leaf = NULL;
        if (root != NULL)
                leaf = manifest_read_endpoints(
                        &(ManifestDoc){.root = root, .faults = &faults, .from_api = true});
        if (leaf == NULL) {
                fprintf(stderr, "not readable: %s %.*s\n%.*s\n", err.text,
                        STR_FMT(faults.n > 0 ? faults.at[0].text : (Str){0}), STR_FMT(body));
                exit(1);
        }
        arena_done(&arena);
        return leaf;
}

/* The TailscaleGateway as it stands there: it owns what is written. */
static Table *make_observed(void)
{
        static const char text[] =
                "{\"apiVersion\":\"gateway.tailscale.com/v1alpha1\",\"kind\":\"TailscaleGateway\","
                "\"metadata\":{\"name\":\"gw\",\"namespace\":\"team\",\"uid\":\"" UID
                "\",\"resourceVersion\":\"1\"},\"spec\":{}}";
        Arena arena;
        TreeMark at;
        arena_init(&arena, 0);
        const void *leaf =
                observed_new(OBSERVED_GATEWAY, json_read(&arena, str_of(text), &at, NULL));
        arena_done(&arena);
        return table_new(&leaf, 1, observed_order);
}

static Table *written(const World *w, const Report *report, size_t *ret_n)
{
        Facts facts;
        Plan plan;
        facts_init(&facts);
        CLEANUP(leaf_cleanup) Table *none = table_new(NULL, 0, NULL);
        CLEANUP(leaf_cleanup) Table *observed = make_observed();
        plan_make(&(PlanInput){.world = w,
                               .report = report,
                               .facts = &facts,
                               .outside = &(Outside){0},
                               .now = {SPAN_S(1000).ns},
                               .in_kubernetes = true,
                               .roles = PLAN_OPERATOR,
                               .observed = observed,
                               .faults = none,
                               .wall = {INT64_C(1795381081000)}},
                  &plan);
        const void *at[ENDPOINTS_OBJECTS_MAX];
        size_t n = 0;
        for (size_t i = 0; i < plan.n_objects; i++) {
                const PlanObject *o = &plan.objects[i];
                if (o->kind == OBSERVED_ENDPOINTS && o->verb == PLAN_APPLY)
                        at[n++] = read_object(o->body);
        }
        plan_done(&plan);
        facts_done(&facts);
        *ret_n = n;
        return table_new(at, n, endpoints_spec_order);
}

static bool same_routes(const Report *a, const Report *b)
{
        bool same = table_n(a->routes) == table_n(b->routes);
        for (size_t i = 0; same && i < table_n(a->routes); i++) {
                const RouteReport *x = a->routes->at[i], *y = b->routes->at[i];
                same = str_eq(x->host, y->host) && str_eq(x->path, y->path) &&
                       str_eq(x->cluster, y->cluster) && str_eq(x->reason, y->reason) &&
                       x->programmed == y->programmed;
        }
        return same;
}

static bool play(uint64_t seed)
{
        chance = seed * UINT64_C(0x9e3779b97f4a7c15);
        Wished wished = {0};
        Report *one = NULL, *two = NULL;
        size_t n_objects = 0;
        read_manifests(&wished);
        Table *states = make_states();
        const World *leads = make_world(&wished, states, NULL, false);
        Snapshot *a = snapshot_new(leads, NULL, &one);
        Table *found = written(leads, one, &n_objects);
        const World *follows = make_world(&wished, states, found, true);
        Snapshot *b = snapshot_new(follows, NULL, &two);
        ObjectKey eg = {STR("team"), STR("eg")};
        const char *wanted = snapshot_revision(a, eg), *has = snapshot_revision(b, eg);
        bool same = leads->complete && follows->complete && strcmp(wanted, has) == 0 &&
                    same_routes(one, two);
        if (!same)
                printf("seed %llu: %zu objects: the leader has %s, who follows %s\n",
                       (unsigned long long)seed, n_objects, wanted, has);
        snapshot_unref(a);
        snapshot_unref(b);
        leaf_unref(one);
        leaf_unref(two);
        leaf_unref(leads);
        leaf_unref(follows);
        table_unref(found);
        table_unref(states);
        wished_done(&wished);
        return same;
}

int main(int argc, char **argv)
{
        uint64_t from = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
        uint64_t to = argc > 2 ? strtoull(argv[2], NULL, 10) : 100, bad = 0;
        for (uint64_t seed = from; seed <= to; seed++)
                bad += !play(seed);
        uint64_t n = to - from + 1;
        printf("%llu seeds, %llu of them differ\n", (unsigned long long)n, (unsigned long long)bad);
        return bad > 0;
}
