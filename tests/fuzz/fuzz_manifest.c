/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests: faults or leaves, never both of one document; what was read keeps its identity when it
 * is read again; endpoints are rendered and come back the same.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "model/endpoints_spec.h"
#include "model/manifest.h"
#include "model/render.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Read {
        ManifestSet set;
        Faults faults;
        bool ok;
} Read;

static Read read_text(Str text)
{
        Read r;

        manifest_set_init(&r.set);
        faults_init(&r.faults);
        r.ok = manifest_read(&r.set, STR("in.yaml"), text, &r.faults);
        INSIST(r.ok == (r.faults.n_total == 0));
        return r;
}

static void read_done(Read *r)
{
        manifest_set_done(&r->set);
        faults_done(&r->faults);
}

/* The same text again changes no Table. */
static void read_twice(Str text, const Read *first)
{
        CLEANUP(read_done) Read again = read_text(text);

        INSIST(again.faults.n_total == first->faults.n_total);
        for (size_t k = 0; k < MANIFEST_KINDS; k++) {
                Table *a = manifest_table(&first->set, (ManifestKind)k, NULL);
                Table *b = manifest_table(&again.set, (ManifestKind)k, a);

                INSIST(a == b);
                table_unref(a);
                table_unref(b);
        }
}

static void render_and_read(const EndpointsSpec *s)
{
        CLEANUP(leaf_cleanup) EntryView *v = leaf_new(sizeof(*v), 0, entry_view_drop);
        CLEANUP(mem_cleanup) const void **leaves = mem_new_array(s->n + 1, sizeof(void *));
        CLEANUP(buf_done) Buf out;
        const EndpointsSpec *back;

        for (size_t i = 0; i < s->n; i++) {
                Endpoint e = *s->endpoints[i];

                e.origin = ENDPOINT_DISCOVERED;
                leaves[i] = endpoint_new(&e);
        }
        v->gateway = (ObjectKey){STR("n"), STR("g")};
        v->tailnet = s->tailnet;
        v->endpoints = table_new(leaves, s->n, endpoint_order);
        buf_init(&out, MANIFEST_BYTES_MAX);
        render_endpoints(v, STR("x"), (const Endpoint *const *)v->endpoints->at, s->n, &out);
        CLEANUP(read_done) Read r = read_text(buf_str(&out));
        INSIST(r.ok && r.set.kinds[MANIFEST_ENDPOINTS].n == 1);
        back = r.set.kinds[MANIFEST_ENDPOINTS].at[0];
        INSIST(back->n == s->n);
        for (size_t i = 0; i < back->n; i++)
                INSIST(endpoint_same(back->endpoints[i], v->endpoints->at[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CLEANUP(read_done) Read r = read_text(str_make(data, size));
        CLEANUP(buf_done) Buf out;

        buf_init(&out, 1 << 20);
        read_twice(str_make(data, size), &r);
        for (size_t i = 0; i < r.set.kinds[MANIFEST_ENDPOINTS].n; i++)
                render_and_read(r.set.kinds[MANIFEST_ENDPOINTS].at[i]);
        IGNORE(manifest_check(&r.set, &r.faults), "any answer will do");
        IGNORE(manifest_check_references(&r.set, &r.faults), "any answer will do");
        faults_print(&r.faults, &out);
        INSIST(!out.failed);
        for (size_t i = 0; i < out.n; i++)
                INSIST(out.p[i] == '\n' || (unsigned char)out.p[i] >= 0x20);
        return 0;
}
