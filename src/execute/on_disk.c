/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants:
 * 1. A file that has the device, inode, size and time of change of the one that is known is that
 * one, and is not read. Ours are renamed into place, so each has an inode of its own.
 * 2. `look` of a file is the number of the last look that found it, or during which it was written;
 * those with an older number are gone.
 */
#include "execute/on_disk.h"

#include "base/digest.h"
#include "base/mem.h"
#include "io/file.h"
#include "model/manifest.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct FileKnown {
        Str name; /* owned */
        Digest digest;
        struct stat st;
        uint64_t look;
} FileKnown;

static char *dup_str(Str s)
{
        char *z = mem_new(s.n + 1);
        if (s.n > 0)
                memcpy(z, s.p, s.n);
        return z;
}

static char *join(const char *dir, Str name)
{
        size_t n = strlen(dir) + name.n + 2;
        char *path = mem_new(n);
        IGNORE(snprintf(path, n, "%s/%.*s", dir, STR_FMT(name)), "sized for it");
        return path;
}

/* ---- what is known ---- */

static void known_free(FileKnown *k)
{
        if (k == NULL)
                return;
        mem_free((void *)(uintptr_t)k->name.p);
        mem_free(k);
}

static void know_file(OnDisk *d, const PlanFile *file, const struct stat *st)
{
        known_free(map_remove(&d->files[file->dir], file->name));
        FileKnown *k = mem_new(sizeof *k);
        k->name = str_make(dup_str(file->name), file->name.n);
        k->digest = digest_of(file->content);
        k->st = *st;
        k->look = d->looks;
        IGNORE(map_put(&d->files[file->dir], k->name, k), "it was removed above");
}

static void know_binding(OnDisk *d, const BindingSpec *spec, Mono at)
{
        BindingKnown *b = NULL;
        for (size_t i = 0; i < d->n_bindings && b == NULL; i++) {
                if (object_key_eq(d->bindings[i].spec->meta.key, spec->meta.key))
                        b = &d->bindings[i];
        }
        if (b == NULL) {
                d->bindings = mem_resize(d->bindings, (d->n_bindings + 1) * sizeof *d->bindings);
                b = &d->bindings[d->n_bindings++];
                *b = (BindingKnown){0};
        }
        leaf_unref(b->spec);
        b->spec = leaf_ref(spec);
        b->at = at;
}

static void know_bindings_in(OnDisk *d, Str content, Mono at)
{
        CLEANUP(manifest_set_done) ManifestSet set;
        CLEANUP(faults_done) Faults faults;
        manifest_set_init(&set);
        faults_init(&faults);
        IGNORE(manifest_read(&set, STR("binding"), content, &faults),
               "one that cannot be read is written anew");
        for (size_t i = 0; i < set.kinds[MANIFEST_BINDING].n; i++)
                know_binding(d, set.kinds[MANIFEST_BINDING].at[i], at);
}

/* Returns when it was written last. */
static Mono forget_binding(OnDisk *d, Str file)
{
        for (size_t i = 0; i < d->n_bindings; i++) {
                ObjectKey key = d->bindings[i].spec->meta.key;
                char name[PLAN_FILE_NAME_MAX + 1];
                if (!str_eq(file, plan_binding_file(key, name)))
                        continue;
                Mono at = d->bindings[i].at;
                leaf_unref(d->bindings[i].spec);
                d->bindings[i] = d->bindings[--d->n_bindings];
                return at;
        }
        return (Mono){0};
}

static void forget_file(OnDisk *d, PlanDir dir, Str name)
{
        if (dir == PLAN_BINDINGS)
                IGNORE(forget_binding(d, name), "what comes back comes back at once");
        known_free(map_remove(&d->files[dir], name));
}

/* ---- Outside ---- */

typedef struct Names {
        Str *at;
        size_t n;
        uint64_t gone_by; /* only files that were found last before this look; 0: all */
} Names;

static void collect_name(void *ctx, Str key, void *value)
{
        const FileKnown *k = value;
        Names *names = ctx;
        if (names->gone_by == 0 || k->look != names->gone_by)
                names->at[names->n++] = key;
}

static Names names_of(const OnDisk *d, PlanDir dir, uint64_t gone_by)
{
        Names names = {mem_new_array(d->files[dir].n + 1, sizeof(Str)), 0, gone_by};
        map_each(&d->files[dir], collect_name, &names);
        return names;
}

static int name_order(const void *a, const void *b)
{
        return str_cmp(*(const Str *)a, *(const Str *)b);
}

static int written_order(const void *a, const void *b)
{
        return object_key_cmp(((const BindingWritten *)a)->eg_gateway,
                              ((const BindingWritten *)b)->eg_gateway);
}

static void outside_done(Outside *o)
{
        mem_free((void *)(uintptr_t)o->bindings);
        mem_free((void *)(uintptr_t)o->endpoints_files);
        *o = (Outside){0};
}

static void refresh(OnDisk *d)
{
        outside_done(&d->outside);
        Names names = names_of(d, PLAN_ENDPOINTS, 0);
        qsort(names.at, names.n, sizeof *names.at, name_order);
        BindingWritten *b = mem_new_array(d->n_bindings + 1, sizeof *b);
        for (size_t i = 0; i < d->n_bindings; i++) {
                const BindingSpec *s = d->bindings[i].spec;
                b[i] = (BindingWritten){.eg_gateway = s->meta.key,
                                        .revision = s->revision,
                                        .attempt = s->attempt,
                                        .at = d->bindings[i].at};
        }
        qsort(b, d->n_bindings, sizeof *b, written_order);
        d->outside = (Outside){.bindings = b,
                               .n_bindings = d->n_bindings,
                               .endpoints_files = names.at,
                               .n_endpoints_files = names.n};
        d->fresh = true;
}

/* ---- looking ---- */

typedef struct Look {
        OnDisk *d;
        PlanDir dir;
        bool changed;
} Look;

static bool is_same_file(const struct stat *a, const struct stat *b)
{
        return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
               a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void look_at(Look *l, Str name, const char *path)
{
        OnDisk *d = l->d;
        struct stat st;
        Err ignored = {0};
        if (stat(path, &st) != 0)
                return;
        FileKnown *known = map_get(&d->files[l->dir], name);
        if (known != NULL && is_same_file(&known->st, &st)) {
                known->look = d->looks;
                return;
        }
        CLEANUP(buf_done) Buf content;
        buf_init(&content, ON_DISK_FILE_BYTES_MAX);
        if (!file_read(path, &content, &ignored))
                return;
        /* One that another hand changed is written again no sooner than any other. */
        if (l->dir == PLAN_BINDINGS)
                know_bindings_in(d, buf_str(&content), forget_binding(d, name));
        know_file(d, &(PlanFile){l->dir, name, buf_str(&content), false}, &st);
        l->changed = true;
}

static bool on_name(void *ctx, Str name, Err *err)
{
        (void)err;
        Look *l = ctx;
        CLEANUP(mem_cleanup) char *path = join(l->d->dirs[l->dir], name);
        look_at(l, name, path);
        return true;
}

static void forget_gone(Look *l)
{
        Names gone = names_of(l->d, l->dir, l->d->looks);
        for (size_t i = 0; i < gone.n; i++)
                forget_file(l->d, l->dir, gone.at[i]);
        l->changed |= gone.n > 0;
        mem_free(gone.at);
}

static bool look_in(Look *l, Err *err)
{
        const char *path = l->d->dirs[l->dir];
        if (!file_make_dir(path, 0755, err) ||
            !file_list_dir(path, ON_DISK_FILES_MAX, on_name, l, err))
                return false;
        forget_gone(l);
        return true;
}

bool on_disk_look(OnDisk *d, bool *ret_changed, Err *err)
{
        bool good = true, changed = false;
        d->looks++;
        for (size_t i = 0; i < PLAN_DIRS; i++) {
                Look l = {d, (PlanDir)i, false};
                /* The first fault is told. */
                good = look_in(&l, good ? err : NULL) && good;
                changed |= l.changed;
        }
        d->fresh = d->fresh && !changed;
        *ret_changed = changed;
        return good;
}

/* ---- the rest ---- */

void on_disk_init(OnDisk *d, const char *dir)
{
        *d = (OnDisk){0};
        d->dirs[PLAN_ENDPOINTS] = join(dir, STR("endpoints"));
        d->dirs[PLAN_BINDINGS] = join(dir, STR("envoy-gateway"));
        for (size_t i = 0; i < PLAN_DIRS; i++)
                map_init(&d->files[i]);
}

void on_disk_written(OnDisk *d, const PlanFile *file, const struct stat *st, Mono at)
{
        know_file(d, file, st);
        if (file->dir == PLAN_BINDINGS)
                know_bindings_in(d, file->content, at);
        d->fresh = false;
}

void on_disk_removed(OnDisk *d, PlanDir dir, Str name)
{
        forget_file(d, dir, name);
        d->fresh = false;
}

bool on_disk_is(const OnDisk *d, const PlanFile *file)
{
        const FileKnown *k = map_get(&d->files[file->dir], file->name);
        if (file->remove || k == NULL)
                return file->remove && k == NULL;
        Digest digest = digest_of(file->content);
        return digest_eq(&digest, &k->digest);
}

const Table *on_disk_bindings(const OnDisk *d)
{
        CLEANUP(mem_cleanup) const void **leaves = mem_new_array(d->n_bindings + 1, sizeof *leaves);
        for (size_t i = 0; i < d->n_bindings; i++)
                leaves[i] = leaf_ref(d->bindings[i].spec);
        return table_new(leaves, d->n_bindings, binding_spec_order);
}

const Outside *on_disk_outside(OnDisk *d)
{
        if (!d->fresh)
                refresh(d);
        return &d->outside;
}

static void free_known(void *ctx, Str key, void *value)
{
        (void)ctx;
        (void)key;
        known_free(value);
}

void on_disk_done(OnDisk *d)
{
        for (size_t i = 0; i < PLAN_DIRS; i++) {
                map_each(&d->files[i], free_known, NULL);
                map_done(&d->files[i]);
                mem_free(d->dirs[i]);
        }
        for (size_t i = 0; i < d->n_bindings; i++)
                leaf_unref(d->bindings[i].spec);
        mem_free(d->bindings);
        outside_done(&d->outside);
}
