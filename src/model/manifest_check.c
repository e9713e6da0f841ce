/* SPDX-License-Identifier: Apache-2.0 */
/* Rules between the objects of a set. Sets are small, or sorted first: nothing here is quadratic in
 * what a directory may hold. */
#include "base/map.h"
#include "base/mem.h"
#include "model/decode.h"
#include "model/eg_spec.h"
#include "model/endpoints_spec.h"
#include "model/gateway_spec.h"
#include "model/manifest.h"
#include "model/secret_spec.h"
#include "model/tailnet_spec.h"

#include <stdio.h>
#include <stdlib.h>

static int by_key(const void *a, const void *b)
{
        const ObjectMeta *x = *(const ObjectMeta *const *)a, *y = *(const ObjectMeta *const *)b;
        int c = object_key_cmp(x->key, y->key);

        if (c == 0)
                c = str_cmp(x->file, y->file);
        if (c == 0)
                c = x->line < y->line ? -1 : x->line > y->line;
        return c;
}

/* Where the metadata stands in the leaves of a kind. */
static const struct {
        ManifestKind kind;
        size_t offset;
        const char *name;
} checked[] = {
        {MANIFEST_TAILNET, offsetof(TailnetSpec, meta), "TailscaleTailnet"},
        {MANIFEST_GATEWAY, offsetof(GatewaySpec, meta), "TailscaleGateway"},
        {MANIFEST_ENDPOINTS, offsetof(EndpointsSpec, meta), "TailscaleEndpoints"},
        {MANIFEST_SECRET, offsetof(SecretSpec, meta), "Secret"},
};

static void find_twins(const ManifestSet *s, size_t which, Faults *faults)
{
        const struct ManifestLeaves *l = &s->kinds[checked[which].kind];
        size_t offset = checked[which].offset;
        CLEANUP(mem_cleanup) const ObjectMeta **metas = mem_new_array(l->n + 1, sizeof(*metas));

        for (size_t i = 0; i < l->n; i++)
                metas[i] = (const ObjectMeta *)(const void *)((const char *)l->at[i] + offset);
        qsort(metas, l->n, sizeof(*metas), by_key);
        for (size_t i = 1; i < l->n; i++) {
                const ObjectMeta *meta = metas[i];
                TreeMark at;

                if (!object_key_eq(metas[i - 1]->key, meta->key))
                        continue;
                at = manifest_places_find(&s->places, (const char *)meta - offset,
                                          STR("metadata.name"), meta->line);
                faults_add(faults, meta->file, at.line, at.column, STR("metadata.name"),
                           "%s %.*s/%.*s a second time, expected it once: it is in %.*s:%u too",
                           checked[which].name, STR_FMT(meta->key.namespace),
                           STR_FMT(meta->key.name), STR_FMT(metas[i - 1]->file),
                           metas[i - 1]->line);
        }
}

static const void *find_in(const ManifestSet *s, ManifestKind kind, ObjectKey key)
{
        const struct ManifestLeaves *l = &s->kinds[kind];

        for (size_t k = 0; k < LENGTH_OF(checked); k++) {
                if (checked[k].kind != kind)
                        continue;
                for (size_t i = 0; i < l->n; i++) {
                        const void *meta = (const char *)l->at[i] + checked[k].offset;

                        if (object_key_eq(((const ObjectMeta *)meta)->key, key))
                                return l->at[i];
                }
        }
        return NULL;
}

/* Who names a proxy. */
typedef struct ProxyUse {
        ObjectKey tailnet;
        const ObjectMeta *by;
} ProxyUse;

typedef struct ProxyUses {
        const ManifestSet *set;
        Map map; /* address to ProxyUse */
        Arena arena;
        Faults *faults;
} ProxyUses;

/* An object that names proxies, and for which tailnet. */
typedef struct ProxyUser {
        const void *leaf;
        const ObjectMeta *meta; /* in it */
        ObjectKey tailnet;
} ProxyUser;

/* A proxy leads into one tailnet: under two of them, calls for one would end in the other. */
static void use_proxies(ProxyUses *uses, StrList proxies, const ProxyUser *user, Str path)
{
        ObjectKey tailnet = user->tailnet;
        for (size_t i = 0; i < proxies.n; i++) {
                ProxyUse *use = map_get(&uses->map, proxies.at[i]);

                if (use == NULL) {
                        use = ARENA_NEW(&uses->arena, ProxyUse);
                        *use = (ProxyUse){tailnet, user->meta};
                        map_put(&uses->map, proxies.at[i], use);
                } else if (!object_key_eq(use->tailnet, tailnet)) {
                        Str where = arena_printf(&uses->arena, "%.*s[%zu]", STR_FMT(path), i);
                        TreeMark at = manifest_places_find(&uses->set->places, user->leaf, where,
                                                           user->meta->line);

                        faults_add(uses->faults, user->meta->file, at.line, at.column, where,
                                   "ProxyShared: %.*s leads into TailscaleTailnet %.*s/%.*s "
                                   "(%.*s:%u), expected another proxy",
                                   STR_FMT(proxies.at[i]), STR_FMT(use->tailnet.namespace),
                                   STR_FMT(use->tailnet.name), STR_FMT(use->by->file),
                                   use->by->line);
                }
        }
}

static void check_proxies(const ManifestSet *s, Faults *faults)
{
        const struct ManifestLeaves *tailnets = &s->kinds[MANIFEST_TAILNET];
        const struct ManifestLeaves *gateways = &s->kinds[MANIFEST_GATEWAY];
        ProxyUses uses = {.set = s, .faults = faults};

        map_init(&uses.map);
        arena_init(&uses.arena, 0);
        for (size_t i = 0; i < tailnets->n; i++) {
                const TailnetSpec *t = tailnets->at[i];

                use_proxies(&uses, t->proxies, &(ProxyUser){t, &t->meta, t->meta.key},
                            STR("spec.proxyAddresses"));
        }
        for (size_t i = 0; i < gateways->n; i++) {
                const GatewaySpec *g = gateways->at[i];

                for (size_t j = 0; j < g->n_tailnets; j++) {
                        ObjectKey tailnet = {g->meta.key.namespace, g->tailnets[j].tailnet_name};
                        Str path = arena_printf(
                                &uses.arena, "spec.tailnets[%zu].connectivity.proxyAddresses", j);

                        use_proxies(&uses, g->tailnets[j].connectivity.proxies,
                                    &(ProxyUser){g, &g->meta, tailnet}, path);
                }
        }
        map_done(&uses.map);
        arena_done(&uses.arena);
}

bool manifest_check(const ManifestSet *s, Faults *faults)
{
        size_t before = faults->n_total;

        for (size_t i = 0; i < LENGTH_OF(checked); i++)
                find_twins(s, i, faults);
        check_proxies(s, faults);
        return faults->n_total == before;
}

static void check_tailnet_ref(const ManifestSet *s, const GatewaySpec *g, size_t i, Faults *faults)
{
        ObjectKey key = {g->meta.key.namespace, g->tailnets[i].tailnet_name};
        char path[64];
        TreeMark at;

        if (s->kinds[MANIFEST_TAILNET].n == 0 || find_in(s, MANIFEST_TAILNET, key) != NULL)
                return;
        IGNORE(snprintf(path, sizeof(path), "spec.tailnets[%zu].tailscaleTailnetRef.name", i),
               "short");
        at = manifest_places_find(&s->places, g, str_of(path), g->meta.line);
        faults_add(faults, g->meta.file, at.line, at.column, str_of(path),
                   "no TailscaleTailnet %.*s in namespace %.*s, expected one", STR_FMT(key.name),
                   STR_FMT(key.namespace));
}

static void check_secret_ref(const ManifestSet *s, const TailnetSpec *t, Faults *faults)
{
        static const Str path = STR_INIT("spec.credentials.secretRef.name");
        ObjectKey key = {t->meta.key.namespace, t->secret_name};
        const SecretSpec *secret;
        TreeMark at;

        if (key.name.n == 0 || s->kinds[MANIFEST_SECRET].n == 0)
                return;
        secret = find_in(s, MANIFEST_SECRET, key);
        if (secret != NULL && (secret->api_key != NULL || secret->client_id != NULL))
                return;
        at = manifest_places_find(&s->places, t, path, t->meta.line);
        if (secret != NULL)
                faults_add(faults, t->meta.file, at.line, at.column, path,
                           "Secret %.*s (%.*s:%u) holds no credential, expected api_key, or "
                           "client_id and client_secret",
                           STR_FMT(key.name), STR_FMT(secret->meta.file), secret->meta.line);
        else
                faults_add(faults, t->meta.file, at.line, at.column, path,
                           "no Secret %.*s in namespace %.*s, expected one", STR_FMT(key.name),
                           STR_FMT(key.namespace));
}

/* The Gateway that a TailscaleGateway refers to. */
typedef struct Referred {
        const ManifestSet *set;
        const GatewaySpec *by;
        const EgGateway *gateway;
} Referred;

static void check_section(const Referred *r, Str section, Str path, Faults *faults)
{
        const GatewaySpec *g = r->by;
        const EgGateway *gateway = r->gateway;
        TreeMark at;

        if (section.n == 0)
                return;
        for (size_t i = 0; i < gateway->n_listeners; i++)
                if (str_eq(gateway->listeners[i].name, section))
                        return;
        at = manifest_places_find(&r->set->places, g, path, g->meta.line);
        faults_add(faults, g->meta.file, at.line, at.column, path,
                   "no listener %.*s in Gateway %.*s/%.*s, expected one", STR_FMT(section),
                   STR_FMT(g->gateway.namespace), STR_FMT(g->gateway.name));
}

static void check_sections(const Referred *r, Faults *faults)
{
        const GatewaySpec *g = r->by;
        char path[96];

        check_section(r, g->section_name, STR("spec.gatewayRef.sectionName"), faults);
        for (size_t i = 0; i < g->n_tailnets; i++) {
                IGNORE(snprintf(path, sizeof(path),
                                "spec.tailnets[%zu].routeGeneration.egress.sectionName", i),
                       "short");
                check_section(r, g->tailnets[i].egress.section_name, str_of(path), faults);
        }
}

static void check_gateway_ref(const ManifestSet *s, const GatewaySpec *g, Faults *faults)
{
        static const Str path = STR_INIT("spec.gatewayRef.name");
        const struct ManifestLeaves *l = &s->kinds[MANIFEST_EG_GATEWAY];
        TreeMark at;

        for (size_t i = 0; i < l->n; i++) {
                if (eg_gateway_find(&g->gateway, l->at[i]) != 0)
                        continue;
                check_sections(&(Referred){s, g, l->at[i]}, faults);
                return;
        }
        if (l->n == 0)
                return;
        at = manifest_places_find(&s->places, g, path, g->meta.line);
        faults_add(faults, g->meta.file, at.line, at.column, path,
                   "no Gateway %.*s in namespace %.*s, expected one", STR_FMT(g->gateway.name),
                   STR_FMT(g->gateway.namespace));
}

bool manifest_check_references(const ManifestSet *s, Faults *faults)
{
        const struct ManifestLeaves *tailnets = &s->kinds[MANIFEST_TAILNET];
        const struct ManifestLeaves *gateways = &s->kinds[MANIFEST_GATEWAY];
        size_t before = faults->n_total;

        for (size_t i = 0; i < gateways->n; i++) {
                const GatewaySpec *g = gateways->at[i];

                check_gateway_ref(s, g, faults);
                for (size_t j = 0; j < g->n_tailnets; j++)
                        check_tailnet_ref(s, g, j, faults);
        }
        for (size_t i = 0; i < tailnets->n; i++)
                check_secret_ref(s, tailnets->at[i], faults);
        return faults->n_total == before;
}
