/* SPDX-License-Identifier: Apache-2.0 */
#include "simulated.h"

#include <stdio.h>

#include "base/mem.h"
#include "io/file.h"
#include "played_tailnet.h"

enum {
        STEP_MS = 500,
        TURNS_MAX = 50,       /* of one step; more would be a loop that never rests */
        ASKED_AFTER_MS = 700, /* Envoy Gateway reads its files and calls */
        FILE_BYTES_MAX = 8 << 20,
        FILES_MAX = 100,
};

static const char *path_of(Simulated *s, PlanDir dir)
{
        return s->disk.dirs[dir];
}

/* --- Envoy Gateway --- */

/* Calls for each Binding as it stands. */
static void on_asked(Timer *t)
{
        Simulated *s = CONTAINER_OF(t, Simulated, asked);
        const Outside *outside = on_disk_outside(&s->disk);

        for (size_t i = 0; i < outside->n_bindings; i++) {
                const BindingWritten *w = &outside->bindings[i];
                HookFact *f = facts_hook(&s->facts, w->eg_gateway);

                if (!snapshot_has(s->snapshot, w->eg_gateway, w->revision))
                        s->violation = "a Binding names a revision that is not held";
                f->calls++;
                f->at = loop_now(s->loop);
                f->last = loop_wall(s->loop);
                f->attempt = w->attempt;
                snprintf(f->asked, sizeof(f->asked), "%.*s", STR_FMT(w->revision));
                snprintf(f->served, sizeof(f->served), "%.*s", STR_FMT(w->revision));
        }
        post_send(&s->plan_post);
}

/* --- writing --- */

static void perform(Simulated *s, const PlanFile *f)
{
        char name[PLAN_FILE_NAME_MAX + 1];
        Err err = {0};

        if (on_disk_is(&s->disk, f))
                return;
        snprintf(name, sizeof(name), "%.*s", STR_FMT(f->name));
        s->writes++;
        if (f->remove) {
                IGNORE(file_remove(path_of(s, f->dir), name, &err), "it may be gone");
                on_disk_removed(&s->disk, f->dir, f->name);
        } else {
                INSIST(file_write_atomic(path_of(s, f->dir), name, f->content, 0644, false, &err));
                on_disk_written(&s->disk, f, &(struct stat){0}, loop_now(s->loop));
        }
        if (f->dir == PLAN_BINDINGS)
                timer_set_in(&s->asked, SPAN_MS(ASKED_AFTER_MS));
}

static void make_plan(Simulated *s, Plan *plan)
{
        plan_make(&(PlanInput){.world = s->world,
                               .report = s->report,
                               .facts = &s->facts,
                               .outside = on_disk_outside(&s->disk),
                               .now = loop_now(s->loop)},
                  plan);
}

static void on_plan(Post *p)
{
        Simulated *s = CONTAINER_OF(p, Simulated, plan_post);
        const Table *bindings;
        Plan plan;

        if (s->report == NULL)
                return;
        make_plan(s, &plan);
        if (plan.n > 0 && !s->world->complete)
                s->violation = "something is written before all is known";
        for (size_t i = 0; i < plan.n; i++)
                perform(s, &plan.files[i]);
        if (plan.again.ns != 0)
                timer_set(&s->plan_timer, plan.again);
        plan_done(&plan);
        bindings = on_disk_bindings(&s->disk);
        hub_tell_bindings(s->hub, bindings);
        table_unref(bindings);
}

static void on_plan_timer(Timer *t)
{
        post_send(&CONTAINER_OF(t, Simulated, plan_timer)->plan_post);
}

bool simulated_is_settled(Simulated *s)
{
        bool settled = true;
        Plan plan;

        make_plan(s, &plan);
        for (size_t i = 0; i < plan.n; i++)
                settled = settled && on_disk_is(&s->disk, &plan.files[i]);
        plan_done(&plan);
        return settled;
}

/* --- the World --- */

static void on_world(void *owner, const World *world)
{
        Simulated *s = owner;
        const World *before = s->world;
        Snapshot *snapshot;

        s->world = leaf_ref(world);
        if (before != NULL)
                s->on_world(s->owner, before, world);
        leaf_unref(before);
        leaf_unref(s->report);
        snapshot = snapshot_new(world, s->snapshot, &s->report);
        snapshot_unref(s->snapshot);
        s->snapshot = snapshot;
        post_send(&s->plan_post);
}

/* --- life --- */

void simulated_init(Simulated *s)
{
        s->time = (TestClock){{SPAN_S(SIMULATED_EPOCH_S).ns}, {SIMULATED_EPOCH_MS}, 0};
        s->clock = test_clock(&s->time);
        test_dir_init(&s->dir);
        test_dir_join(&s->dir, "resources", s->resources);
        test_dir_join(&s->dir, "generated", s->generated);
        test_dir_join(&s->dir, "generated/endpoints", s->endpoints);
        INSIST(file_make_dir(s->resources, 0755, NULL));
}

void simulated_start(Simulated *s, uint64_t seed)
{
        bool ignored;

        s->loop = loop_new(&s->clock);
        facts_init(&s->facts);
        on_disk_init(&s->disk, s->generated);
        INSIST(on_disk_look(&s->disk, &ignored, NULL));
        post_init(&s->plan_post, s->loop, on_plan);
        timer_init(&s->plan_timer, s->loop, on_plan_timer);
        timer_init(&s->asked, s->loop, on_asked);
        s->hub = hub_open(&(HubInput){.loop = s->loop,
                                      .facts = &s->facts,
                                      .resources = s->resources,
                                      .cache = s->endpoints,
                                      .seed = seed,
                                      .open = played_open,
                                      .open_local = played_open_local,
                                      .fn = on_world,
                                      .owner = s});
}

void simulated_kill(Simulated *s)
{
        if (s->hub == NULL)
                return;
        s->hub = hub_close(s->hub);
        post_cancel(&s->plan_post);
        timer_clear(&s->plan_timer);
        timer_clear(&s->asked);
        s->snapshot = snapshot_unref(s->snapshot);
        s->report = leaf_unref(s->report);
        s->world = leaf_unref(s->world);
        on_disk_done(&s->disk);
        facts_done(&s->facts);
        s->loop = loop_free(s->loop);
}

void simulated_done(Simulated *s)
{
        simulated_kill(s);
        test_dir_done(&s->dir);
}

void simulated_write(Simulated *s, Str manifests)
{
        INSIST(file_write_atomic(s->resources, "all.yaml", manifests, 0644, false, NULL));
}

void simulated_pass(Simulated *s, Span time)
{
        for (int64_t left = time.ns; left > 0; left -= SPAN_MS(STEP_MS).ns) {
                int turns = 0;

                test_clock_advance(&s->time, SPAN_MS(STEP_MS));
                while (turns < TURNS_MAX && loop_turn(s->loop, SPAN_MS(0)))
                        turns++;
                if (turns == TURNS_MAX)
                        s->violation = "the loop does not rest";
        }
}

void simulated_jump(Simulated *s, Span by)
{
        s->time.wall.ms += by.ns / 1000000;
}

typedef struct FileDigest {
        const char *dir;
        Digester *digester;
} FileDigest;

static bool add_file(void *ctx, Str name, Err *err)
{
        FileDigest *f = ctx;
        char path[2 * TEST_PATH];
        Buf content;
        bool ok;

        snprintf(path, sizeof(path), "%s/%.*s", f->dir, STR_FMT(name));
        buf_init(&content, FILE_BYTES_MAX);
        ok = file_read(path, &content, err);
        digester_add(f->digester, name);
        digester_add(f->digester, buf_str(&content));
        buf_done(&content);
        return ok;
}

Digest simulated_files(const Simulated *s)
{
        FileDigest f = {.digester = digester_new()};

        for (size_t i = 0; i < PLAN_DIRS; i++) {
                f.dir = s->disk.dirs[i];
                INSIST(file_list_dir(f.dir, FILES_MAX, add_file, &f, NULL));
        }
        return digester_finish(f.digester);
}
