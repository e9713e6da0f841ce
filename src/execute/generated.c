/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants:
 * 1. `files` tells what is on disk, by content digest: from the reading at start, then from what
 * was written.
 * 2. At most one Job is under way; it owns copies of all it needs and shares nothing with the loop.
 * 3. A Job stops at its first failure, so a Binding never stands before the objects that its
 * revision digests.
 */
#include "execute/generated.h"

#include "base/digest.h"
#include "base/map.h"
#include "base/mem.h"
#include "io/file.h"
#include "io/worker.h"
#include "model/manifest.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct FileKnown {
        Str name; /* owned */
        Digest digest;
} FileKnown;

typedef struct Write {
        PlanDir dir;
        char *name;
        Buf content;
        bool remove;
        bool done;
} Write;

typedef struct WriteJob {
        Job job;
        Generated *g;
        const char *const *dirs; /* of Generated, constant while it lives */
        Write *writes;
        size_t n;
        Err err;
} WriteJob;

/* A Binding as it stands, with the strings that BindingWritten borrows. */
typedef struct BindingKnown {
        const BindingSpec *spec;
        Mono at;
} BindingKnown;

struct Generated {
        GeneratedInput in;
        Worker *worker;
        char *dirs[PLAN_DIRS];
        Map files[PLAN_DIRS]; /* name -> FileKnown */
        BindingKnown *bindings;
        size_t n_bindings;
        Outside outside; /* made anew by refresh */
        WriteJob *job;
};

static char *join(const char *dir, const char *name)
{
        size_t n = strlen(dir) + strlen(name) + 2;
        char *path = mem_new(n);
        IGNORE(snprintf(path, n, "%s/%s", dir, name), "sized for it");
        return path;
}

static char *dup_str(Str s)
{
        char *z = mem_new(s.n + 1);
        if (s.n > 0)
                memcpy(z, s.p, s.n);
        return z;
}

/* ---- what is known ---- */

static void known_free(FileKnown *k)
{
        if (k == NULL)
                return;
        mem_free((void *)(uintptr_t)k->name.p);
        mem_free(k);
}

static void know_file(Generated *g, PlanDir dir, Str name, Str content)
{
        known_free(map_remove(&g->files[dir], name));
        FileKnown *k = mem_new(sizeof *k);
        k->name = str_make(dup_str(name), name.n);
        k->digest = digest_of(content);
        IGNORE(map_put(&g->files[dir], k->name, k), "it was removed above");
}

static BindingKnown *find_binding(Generated *g, ObjectKey key)
{
        for (size_t i = 0; i < g->n_bindings; i++) {
                if (object_key_eq(g->bindings[i].spec->meta.key, key))
                        return &g->bindings[i];
        }
        return NULL;
}

static void forget_binding(Generated *g, Str file)
{
        for (size_t i = 0; i < g->n_bindings; i++) {
                ObjectKey key = g->bindings[i].spec->meta.key;
                char name[600];
                IGNORE(snprintf(name, sizeof name, "%.*s.%.*s.yaml", STR_FMT(key.namespace),
                                STR_FMT(key.name)),
                       "names have 253 bytes at most");
                if (!str_eq(file, str_of(name)))
                        continue;
                leaf_unref(g->bindings[i].spec);
                g->bindings[i] = g->bindings[--g->n_bindings];
                return;
        }
}

static void know_binding(Generated *g, const BindingSpec *spec, Mono at)
{
        BindingKnown *b = find_binding(g, spec->meta.key);
        if (b == NULL) {
                g->bindings = mem_resize(g->bindings, (g->n_bindings + 1) * sizeof *g->bindings);
                b = &g->bindings[g->n_bindings++];
                b->spec = NULL;
        }
        leaf_unref(b->spec);
        b->spec = leaf_ref(spec);
        b->at = at;
}

static void know_bindings_in(Generated *g, Str content, Mono at)
{
        CLEANUP(manifest_set_done) ManifestSet set;
        CLEANUP(faults_done) Faults faults;
        manifest_set_init(&set);
        faults_init(&faults);
        IGNORE(manifest_read(&set, STR("binding"), content, &faults),
               "one that cannot be read is written anew");
        for (size_t i = 0; i < set.kinds[MANIFEST_BINDING].n; i++)
                know_binding(g, set.kinds[MANIFEST_BINDING].at[i], at);
}

typedef struct Collect {
        Str *at;
        size_t n;
} Collect;

static void collect_name(void *ctx, Str key, void *value)
{
        (void)value;
        Collect *c = ctx;
        c->at[c->n++] = key;
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

static void refresh(Generated *g)
{
        outside_done(&g->outside);
        const Map *files = &g->files[PLAN_ENDPOINTS];
        Collect c = {mem_new_array(files->n + 1, sizeof(Str)), 0};
        map_each(files, collect_name, &c);
        qsort(c.at, c.n, sizeof *c.at, name_order);
        BindingWritten *b = mem_new_array(g->n_bindings + 1, sizeof *b);
        for (size_t i = 0; i < g->n_bindings; i++) {
                const BindingSpec *s = g->bindings[i].spec;
                b[i] = (BindingWritten){s->meta.key, s->revision, s->attempt, g->bindings[i].at};
        }
        qsort(b, g->n_bindings, sizeof *b, written_order);
        g->outside = (Outside){b, g->n_bindings, c.at, c.n};
}

/* ---- start ---- */

typedef struct Reading {
        Generated *g;
        PlanDir dir;
} Reading;

static bool read_one(void *ctx, Str name, Err *err)
{
        const Reading *r = ctx;
        CLEANUP(mem_cleanup) char *z = dup_str(name);
        CLEANUP(mem_cleanup) char *path = join(r->g->dirs[r->dir], z);
        Buf content;
        buf_init(&content, GENERATED_FILE_BYTES_MAX);
        bool ok = file_read(path, &content, err);
        if (ok)
                know_file(r->g, r->dir, name, buf_str(&content));
        if (ok && r->dir == PLAN_BINDINGS)
                know_bindings_in(r->g, buf_str(&content), (Mono){0});
        buf_done(&content);
        return ok;
}

static bool read_dir(Generated *g, PlanDir dir, Err *err)
{
        Reading r = {g, dir};
        return file_make_dir(g->dirs[dir], 0755, err) &&
               file_list_dir(g->dirs[dir], GENERATED_FILES_MAX, read_one, &r, err);
}

Generated *generated_open(const GeneratedInput *in, Err *err)
{
        Generated *g = mem_new(sizeof *g);
        g->in = *in;
        g->dirs[PLAN_ENDPOINTS] = join(in->dir, "endpoints");
        g->dirs[PLAN_BINDINGS] = join(in->dir, "envoy-gateway");
        for (size_t d = 0; d < PLAN_DIRS; d++)
                map_init(&g->files[d]);
        g->worker = worker_new(in->loop);
        if (!read_dir(g, PLAN_ENDPOINTS, err) || !read_dir(g, PLAN_BINDINGS, err))
                return generated_close(g);
        refresh(g);
        return g;
}

const Outside *generated_outside(const Generated *g)
{
        return &g->outside;
}

const char *generated_endpoints_dir(const Generated *g)
{
        return g->dirs[PLAN_ENDPOINTS];
}

/* ---- writing ---- */

static void job_free(WriteJob *j)
{
        if (j == NULL)
                return;
        for (size_t i = 0; i < j->n; i++) {
                mem_free(j->writes[i].name);
                buf_done(&j->writes[i].content);
        }
        mem_free(j->writes);
        mem_free(j);
}

/* In the worker's thread. */
static void work(Job *job)
{
        WriteJob *j = CONTAINER_OF(job, WriteJob, job);
        for (size_t i = 0; i < j->n; i++) {
                Write *w = &j->writes[i];
                const char *dir = j->dirs[w->dir];
                w->done = w->remove ? file_remove(dir, w->name, &j->err)
                                    : file_write_atomic(dir, w->name, buf_str(&w->content), 0644,
                                                        true, &j->err);
                if (!w->done)
                        return;
        }
}

static void drop(Job *job)
{
        job_free(CONTAINER_OF(job, WriteJob, job));
}

static void know_write(Generated *g, const Write *w)
{
        Str name = str_of(w->name);
        if (w->remove) {
                known_free(map_remove(&g->files[w->dir], name));
                if (w->dir == PLAN_BINDINGS)
                        forget_binding(g, name);
                return;
        }
        know_file(g, w->dir, name, buf_str(&w->content));
        if (w->dir == PLAN_BINDINGS)
                know_bindings_in(g, buf_str(&w->content), loop_now(g->in.loop));
}

static void on_written(Job *job)
{
        WriteJob *j = CONTAINER_OF(job, WriteJob, job);
        Generated *g = j->g;
        g->job = NULL;
        size_t done = 0;
        for (; done < j->n && j->writes[done].done; done++)
                know_write(g, &j->writes[done]);
        g->in.fact->writes += done;
        g->in.fact->error[0] = '\0';
        if (done < j->n) {
                g->in.fact->failures++;
                IGNORE(snprintf(g->in.fact->error, sizeof g->in.fact->error, "%s", j->err.text),
                       "cut at its size");
                log_error(g->in.log, "cannot write what was generated",
                          LOG_CSTR("file", j->writes[done].name), LOG_CSTR("error", j->err.text));
        } else {
                log_info(g->in.log, "generated files written", LOG_INT("files", done),
                         LOG_CSTR("last", j->writes[done - 1].name));
        }
        job_free(j);
        refresh(g);
        g->in.on_done(g->in.owner);
}

static bool differs(const Generated *g, const PlanFile *f)
{
        const FileKnown *k = map_get(&g->files[f->dir], f->name);
        if (f->remove || k == NULL)
                return f->remove ? k != NULL : true;
        Digest digest = digest_of(f->content);
        return !digest_eq(&digest, &k->digest);
}

bool generated_run(Generated *g, const Plan *plan)
{
        if (g->job != NULL)
                return false;
        WriteJob *j = mem_new(sizeof *j);
        j->g = g;
        j->dirs = (const char *const *)g->dirs;
        j->job = (Job){.work = work, .done = on_written, .drop = drop};
        j->writes = mem_new_array(plan->n + 1, sizeof *j->writes);
        for (size_t i = 0; i < plan->n; i++) {
                const PlanFile *f = &plan->files[i];
                if (!differs(g, f))
                        continue;
                Write *w = &j->writes[j->n++];
                *w = (Write){.dir = f->dir, .name = dup_str(f->name), .remove = f->remove};
                buf_init(&w->content, GENERATED_FILE_BYTES_MAX);
                buf_add_str(&w->content, f->content);
        }
        if (j->n == 0 || !worker_submit(g->worker, &j->job)) {
                bool idle = j->n == 0;
                job_free(j);
                return idle;
        }
        g->job = j;
        return true;
}

static void free_known(void *ctx, Str key, void *value)
{
        (void)ctx;
        (void)key;
        known_free(value);
}

Generated *generated_close(Generated *g)
{
        if (g == NULL)
                return NULL;
        g->worker = worker_free(g->worker);
        for (size_t d = 0; d < PLAN_DIRS; d++) {
                map_each(&g->files[d], free_known, NULL);
                map_done(&g->files[d]);
                mem_free(g->dirs[d]);
        }
        for (size_t i = 0; i < g->n_bindings; i++)
                leaf_unref(g->bindings[i].spec);
        mem_free(g->bindings);
        outside_done(&g->outside);
        return mem_free(g);
}
