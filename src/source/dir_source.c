/* SPDX-License-Identifier: Apache-2.0 */
#include "source/dir_source.h"

#include "base/mem.h"
#include "io/watch.h"
#include "source/manifest_files.h"

#include <stdio.h>

struct DirSource {
        DirSourceInput in;
        char *path;
        DirWatch *watch;
        Post tell;
        Table *tables[MANIFEST_KINDS];
};

static void tell_fault(DirSource *d, const Faults *faults)
{
        Buf text;
        buf_init(&text, 1 << 20);
        faults_print(faults, &text);
        Str first = buf_str(&text), rest = first;
        IGNORE(str_cut(&rest, '\n', &first), "one line is all there is");
        IGNORE(snprintf(d->in.fact->error, sizeof d->in.fact->error, "%.*s", STR_FMT(first)),
               "cut at its size");
        d->in.fact->failures++;
        log_error(d->in.log,
                  d->in.fact->read_once ? "resources refused, what was good stays in force"
                                        : "resources refused, nothing is in force yet",
                  LOG_CSTR("dir", d->path), LOG_INT("faults", faults->n_total),
                  LOG_STR("first", first));
        buf_done(&text);
}

/* True where a table is another one than before. */
static bool take(DirSource *d, const ManifestSet *set)
{
        bool changed = false;
        for (size_t k = 0; k < MANIFEST_KINDS; k++) {
                Table *fresh = manifest_table(set, (ManifestKind)k, d->tables[k]);
                changed |= fresh != d->tables[k];
                table_unref(d->tables[k]);
                d->tables[k] = fresh;
        }
        return changed;
}

static bool read_all(DirSource *d)
{
        CLEANUP(manifest_set_done) ManifestSet set;
        CLEANUP(faults_done) Faults faults;
        manifest_set_init(&set);
        faults_init(&faults);
        d->in.fact->reads++;
        IGNORE(manifest_files_read_dir(d->path, &set, &faults), "only people count files");
        if (faults.n_total > 0 || !manifest_check(&set, &faults)) {
                tell_fault(d, &faults);
                return false;
        }
        bool changed = take(d, &set) || !d->in.fact->read_once;
        d->in.fact->read_once = true;
        d->in.fact->last_read = loop_wall(d->in.loop);
        d->in.fact->error[0] = '\0';
        if (set.n_skipped > 0)
                log_debug(d->in.log, "kinds that are not ours", LOG_CSTR("dir", d->path),
                          LOG_INT("documents", set.n_skipped), LOG_STR("last", set.last_skipped));
        if (!changed)
                return false;
        d->in.fact->generation++;
        log_info(d->in.log, "resources read", LOG_CSTR("dir", d->path),
                 LOG_INT("tailnets", table_n(d->tables[MANIFEST_TAILNET])),
                 LOG_INT("gateways", table_n(d->tables[MANIFEST_GATEWAY])),
                 LOG_INT("envoy_gateways", table_n(d->tables[MANIFEST_EG_GATEWAY])),
                 LOG_INT("routes", table_n(d->tables[MANIFEST_EG_ROUTE])));
        return true;
}

void dir_source_reread(DirSource *d)
{
        if (read_all(d))
                post_send(&d->tell);
}

static void on_tell(Post *p)
{
        DirSource *d = CONTAINER_OF(p, DirSource, tell);
        d->in.fn(d);
}

static void on_change(DirWatch *w)
{
        dir_source_reread(dir_watch_owner(w));
}

DirSource *dir_source_open(const DirSourceInput *in)
{
        DirSource *d = mem_new(sizeof *d);
        d->in = *in;
        size_t n = strlen(in->path) + 1;
        d->path = mem_new(n);
        memcpy(d->path, in->path, n);
        post_init(&d->tell, in->loop, on_tell);
        for (size_t k = 0; k < MANIFEST_KINDS; k++)
                d->tables[k] = table_new(NULL, 0, NULL);
        /* Watched before it is read, so that a change in between is seen. */
        d->watch = dir_watch_open(in->loop, d->path, on_change, d);
        IGNORE(read_all(d), "the first read is not told");
        return d;
}

void *dir_source_owner(const DirSource *d)
{
        return d->in.owner;
}

bool dir_source_is_read(const DirSource *d)
{
        return d->in.fact->read_once;
}

const Table *dir_source_table(const DirSource *d, ManifestKind kind)
{
        return d->tables[kind];
}

DirSource *dir_source_close(DirSource *d)
{
        if (d == NULL)
                return NULL;
        d->watch = dir_watch_close(d->watch);
        post_cancel(&d->tell);
        for (size_t k = 0; k < MANIFEST_KINDS; k++)
                table_unref(d->tables[k]);
        mem_free(d->path);
        return mem_free(d);
}
