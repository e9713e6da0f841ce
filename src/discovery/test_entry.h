/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For tests of discovery: one entry over time, its answers, and what is in force told as text. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "discovery/discover.h"
#include "model/manifest.h"
#include "model/render.h"

enum {
        MANY = 64,
        TEXT = 4096,
};

#define LIST(...) \
        ((StrList){(const Str[]){__VA_ARGS__}, sizeof((const Str[]){__VA_ARGS__}) / sizeof(Str)})

/* One entry over time: what is asked next, and what is in force. */
typedef struct Fixture {
        GatewaySpec gateway;
        TailnetEntry entry;
        TailnetSpec tailnet;
        TailnetState state;
        Table *devices;
        Table *services; /* of TailnetService; NULL: not told */
        DiscoverInput in;
        EntryView *view;
        char text[TEXT];
} Fixture;

static inline int setup(void **state)
{
        Fixture *f = mem_new(sizeof(*f));

        f->gateway.meta.key = (ObjectKey){STR("team-a"), STR("corp-gateway")};
        f->entry.name = STR("corp");
        f->entry.discovery.enabled = true;
        f->entry.discovery.default_port = 80;
        f->entry.discovery.default_protocol = PROTOCOL_HTTP;
        f->tailnet.guard = (RemovalGuard){50, 5, 3};
        f->in = (DiscoverInput){.gateway = &f->gateway,
                                .entry = &f->entry,
                                .tailnet = &f->tailnet,
                                .now = {INT64_C(1795381081000)}};
        *state = f;
        return 0;
}

static inline int teardown(void **state)
{
        Fixture *f = *state;

        leaf_unref(f->view);
        table_unref(f->devices);
        table_unref(f->services);
        mem_free(f);
        return 0;
}

/* Device 258 has the node id "258" and the address 100.64.1.2. */
static inline Device *device(unsigned id, const char *name)
{
        char node_id[16], ip[32];

        snprintf(node_id, sizeof(node_id), "%u", id);
        snprintf(ip, sizeof(ip), "100.64.%u.%u", id >> 8 & 0xff, id & 0xff);
        return device_new(&(Device){.node_id = str_of(node_id),
                                    .name = str_of(name),
                                    .short_name = str_of(name),
                                    .ip4 = str_of(ip),
                                    .online = DEVICE_ONLINE,
                                    .authorized = true});
}

static inline void evaluate(Fixture *f)
{
        EntryView *v;

        f->in.before = f->view;
        v = discover_entry(&f->in);
        assert_non_null(v);
        assert_true(!v->known || v->endpoints != NULL);
        leaf_unref(f->view);
        f->view = v;
}

/* A good answer with these devices (references taken over). */
static inline void answer_with(Fixture *f, const void **leaves, size_t n)
{
        table_unref(f->devices);
        f->devices = table_new(leaves, n, device_order);
        f->state.devices = f->devices;
        f->state.services = f->services;
        f->state.sync = SYNC_DONE;
        f->state.last_sync = f->in.now;
        f->state.poll++;
        f->in.state = &f->state;
        evaluate(f);
}

/* A good answer with the devices of these ids, named "d<id>". */
static inline void answer(Fixture *f, const unsigned *ids, size_t n)
{
        const void *leaves[MANY];
        char name[16];

        assert_true(n <= MANY);
        for (size_t i = 0; i < n; i++) {
                snprintf(name, sizeof(name), "d%u", ids[i]);
                leaves[i] = device(ids[i], name);
        }
        answer_with(f, leaves, n);
}

#define ANSWER(f, ...)                               \
        answer((f), (const unsigned[]){__VA_ARGS__}, \
               sizeof((const unsigned[]){__VA_ARGS__}) / sizeof(unsigned))

static inline void fail_poll(Fixture *f)
{
        if (f->in.state != NULL && f->state.sync == SYNC_DONE)
                f->state.sync = SYNC_STALE;
        f->in.now.ms += 30000;
        evaluate(f);
}

/* "service:port/protocol@ip source" and " held", one a line. */
static inline const char *endpoints(Fixture *f)
{
        Buf b;

        buf_init(&b, TEXT - 1);
        TABLE_FOREACH (Endpoint, e, f->view->endpoints)
                buf_printf(&b, "%.*s:%u/%.*s@%.*s %.*s%s\n", STR_FMT(e->service), e->port,
                           STR_FMT(protocol_name(e->protocol)), STR_FMT(e->ip),
                           STR_FMT(e->port_source), e->held ? " held" : "");
        snprintf(f->text, TEXT, "%.*s", STR_FMT(buf_str(&b)));
        buf_done(&b);
        return f->text;
}

/* What the next answers say of Services (references taken over); `leaves` NULL: nothing. */
static inline void tell_services(Fixture *f, const void **leaves, size_t n)
{
        table_unref(f->services);
        f->services = leaves != NULL ? table_new(leaves, n, tailnet_service_order) : NULL;
}

/* "health: text" of the endpoint. */
static inline const char *health(Fixture *f, size_t i)
{
        const Endpoint *e = f->view->endpoints->at[i];

        snprintf(f->text, TEXT, "%.*s: %.*s", STR_FMT(e->health), STR_FMT(e->health_text));
        return f->text;
}

/* The services, a space between. */
static inline const char *services(Fixture *f)
{
        size_t n = 0;

        f->text[0] = '\0';
        TABLE_FOREACH (Endpoint, e, f->view->endpoints)
                n += (size_t)snprintf(f->text + n, TEXT - n, "%s%.*s%s", n > 0 ? " " : "",
                                      STR_FMT(e->service), e->held ? "!" : "");
        return f->text;
}

static inline const char *left_out(Fixture *f)
{
        size_t n = 0;

        f->text[0] = '\0';
        LEFT_OUT_FOREACH (l, f->view->left_out)
                n += (size_t)snprintf(f->text + n, TEXT - n, "%.*s %.*s: %.*s\n", STR_FMT(l->name),
                                      STR_FMT(l->reason), STR_FMT(l->text));
        return f->text;
}

/* What is written of it, read back as at a start. */
static inline EntryView *through_cache(const EntryView *v)
{
        CLEANUP(manifest_set_done) ManifestSet set;
        CLEANUP(faults_done) Faults faults;
        CLEANUP(buf_done) Buf text;
        const Endpoint *const *at = (const Endpoint *const *)v->endpoints->at;
        size_t n = v->endpoints->n, i = 0;

        manifest_set_init(&set);
        faults_init(&faults);
        buf_init(&text, MANIFEST_BYTES_MAX);
        do {
                size_t part = n - i < ENDPOINTS_MAX ? n - i : ENDPOINTS_MAX;

                buf_reset(&text);
                render_endpoints(v, STR("x-0"), at + i, part, &text);
                if (!manifest_read(&set, STR("x-0.yaml"), buf_str(&text), &faults))
                        fail_msg("%.*s", STR_FMT(faults.at[0].text));
                i += part;
        } while (i < n);
        return discover_from_cache(
                v->gateway, v->tailnet,
                (const EndpointsSpec *const *)(const void *)set.kinds[MANIFEST_ENDPOINTS].at,
                set.kinds[MANIFEST_ENDPOINTS].n);
}

static inline void restart(Fixture *f)
{
        EntryView *v = through_cache(f->view);

        leaf_unref(f->view);
        f->view = v;
        f->in.state = NULL;
        f->state = (TailnetState){0};
}
