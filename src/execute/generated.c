/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants:
 * 1. OnDisk is changed in the loop only, and never while a Job is under way.
 * 2. At most one Job is under way; it owns copies of all it needs and shares nothing with the loop.
 * 3. A Job stops at its first failure, so a Binding never stands before the objects that its
 * revision digests.
 */
#include "execute/generated.h"

#include "base/mem.h"
#include "execute/on_disk.h"
#include "io/file.h"
#include "io/watch.h"
#include "io/worker.h"

#include <stdio.h>
#include <sys/stat.h>

typedef struct Write {
        PlanDir dir;
        char *name;
        Buf content;
        bool remove;
        bool done;
        struct stat st; /* of the written file */
} Write;

typedef struct WriteJob {
        Job job;
        Generated *g;
        const char *const *dirs; /* of Generated, constant while it lives */
        Write *writes;
        size_t n;
        Err err;
} WriteJob;

struct Generated {
        GeneratedInput in;
        Worker *worker;
        OnDisk disk;
        DirWatch *watches[PLAN_DIRS];
        WriteJob *job;
        bool look_later; /* something changed there while a Job was under way */
        Timer look_timer;
        Mono calm_until; /* not looked at before */
};

/* ---- what another hand does there ---- */

static void look(Generated *g)
{
        Err err = {0};
        bool changed;
        if (!on_disk_look(&g->disk, &changed, &err))
                log_warn(g->in.log, "cannot look at what was generated",
                         LOG_CSTR("error", err.text));
        if (!changed)
                return;
        log_info(g->in.log, "generated files were changed by another hand");
        g->calm_until = mono_add(loop_now(g->in.loop), SPAN_MS(GENERATED_LOOK_APART_MS));
        g->in.on_done(g->in.owner);
}

static void look_soon(Generated *g)
{
        if (g->job != NULL)
                g->look_later = true;
        else if (mono_before(loop_now(g->in.loop), g->calm_until))
                timer_set(&g->look_timer, g->calm_until);
        else
                look(g);
}

static void on_look_timer(Timer *t)
{
        look_soon(CONTAINER_OF(t, Generated, look_timer));
}

static void on_change(DirWatch *w)
{
        look_soon(dir_watch_owner(w));
}

/* ---- start ---- */

Generated *generated_open(const GeneratedInput *in, Err *err)
{
        Generated *g = mem_new(sizeof *g);
        bool ignored;
        g->in = *in;
        on_disk_init(&g->disk, in->dir);
        g->worker = worker_new(in->loop);
        timer_init(&g->look_timer, in->loop, on_look_timer);
        if (!on_disk_look(&g->disk, &ignored, err))
                return generated_close(g);
        for (size_t i = 0; i < PLAN_DIRS; i++)
                g->watches[i] = dir_watch_open(in->loop, g->disk.dirs[i], on_change, g);
        return g;
}

const Outside *generated_outside(Generated *g)
{
        return on_disk_outside(&g->disk);
}

const Table *generated_bindings(const Generated *g)
{
        return on_disk_bindings(&g->disk);
}

const char *generated_endpoints_dir(const Generated *g)
{
        return g->disk.dirs[PLAN_ENDPOINTS];
}

/* ---- writing ---- */

static char *dup_str(Str s)
{
        char *z = mem_new(s.n + 1);
        if (s.n > 0)
                memcpy(z, s.p, s.n);
        return z;
}

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
static bool write_one(const WriteJob *j, Write *w, Err *err)
{
        const char *dir = j->dirs[w->dir];
        Str content = buf_str(&w->content);
        char path[4096];
        if (w->remove)
                return file_remove(dir, w->name, err) || err->kind == ERR_MISSING;
        /* The directory may be gone by now, with all that stood there. */
        if (!file_make_dir(dir, 0755, err) ||
            !file_write_atomic(dir, w->name, content, 0644, true, err))
                return false;
        IGNORE(snprintf(path, sizeof path, "%s/%s", dir, w->name), "then it is not found");
        if (stat(path, &w->st) != 0)
                w->st = (struct stat){0};
        return true;
}

static void work(Job *job)
{
        WriteJob *j = CONTAINER_OF(job, WriteJob, job);
        for (size_t i = 0; i < j->n; i++) {
                j->writes[i].done = write_one(j, &j->writes[i], &j->err);
                if (!j->writes[i].done)
                        return;
        }
}

static void drop(Job *job)
{
        job_free(CONTAINER_OF(job, WriteJob, job));
}

static void know_write(Generated *g, const Write *w)
{
        PlanFile file = {w->dir, str_of(w->name), buf_str(&w->content), w->remove};
        if (w->remove)
                on_disk_removed(&g->disk, w->dir, file.name);
        else
                on_disk_written(&g->disk, &file, &w->st, loop_now(g->in.loop));
}

/* A fault that lasts is told once; it stands in Facts. */
static void tell_failure(Generated *g, const WriteJob *j, const Write *w)
{
        WriteFact *f = g->in.fact;
        bool is_news = strncmp(f->error, j->err.text, sizeof f->error - 1) != 0;
        f->failures++;
        IGNORE(snprintf(f->error, sizeof f->error, "%s", j->err.text), "cut at its size");
        if (is_news)
                log_error(g->in.log, "cannot write what was generated", LOG_CSTR("file", w->name),
                          LOG_CSTR("error", j->err.text));
        else
                log_debug(g->in.log, "still cannot write what was generated",
                          LOG_CSTR("file", w->name), LOG_INT("failures", f->failures));
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
        if (done < j->n) {
                tell_failure(g, j, &j->writes[done]);
        } else {
                g->in.fact->error[0] = '\0';
                log_info(g->in.log, "generated files written", LOG_INT("files", done),
                         LOG_CSTR("last", j->writes[done - 1].name));
        }
        job_free(j);
        if (g->look_later)
                timer_set(&g->look_timer, loop_now(g->in.loop));
        g->look_later = false;
        g->in.on_done(g->in.owner);
}

bool generated_is_writing(const Generated *g)
{
        return g->job != NULL;
}

bool generated_run(Generated *g, const Plan *plan)
{
        if (g->job != NULL)
                return false;
        WriteJob *j = mem_new(sizeof *j);
        j->g = g;
        j->dirs = (const char *const *)g->disk.dirs;
        j->job = (Job){.work = work, .done = on_written, .drop = drop};
        j->writes = mem_new_array(plan->n + 1, sizeof *j->writes);
        for (size_t i = 0; i < plan->n; i++) {
                const PlanFile *f = &plan->files[i];
                if (on_disk_is(&g->disk, f))
                        continue;
                Write *w = &j->writes[j->n++];
                *w = (Write){.dir = f->dir, .name = dup_str(f->name), .remove = f->remove};
                buf_init(&w->content, ON_DISK_FILE_BYTES_MAX);
                buf_add_str(&w->content, f->content);
        }
        bool idle = j->n == 0;
        /* What could not be written is not wanted any more, or stands there. */
        if (idle)
                g->in.fact->error[0] = '\0';
        else if (worker_submit(g->worker, &j->job))
                g->job = j;
        if (g->job == NULL)
                job_free(j);
        return idle || g->job != NULL;
}

Generated *generated_close(Generated *g)
{
        if (g == NULL)
                return NULL;
        for (size_t i = 0; i < PLAN_DIRS; i++)
                g->watches[i] = dir_watch_close(g->watches[i]);
        timer_clear(&g->look_timer);
        g->worker = worker_free(g->worker);
        on_disk_done(&g->disk);
        return mem_free(g);
}
