/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TailscaleEndpoints: each entry's discovered endpoints in shards of at most ENDPOINTS_MAX.
 * An entry that is not known yet keeps the files it has.
 */
#include "control/entry_names.h"
#include "control/plan.h"
#include "control/shards.h"
#include "model/render.h"

#include <stdlib.h>

enum {
        FILE_BYTES_MAX = 8 << 20, /* 250 endpoints, each with 64 tags of 253 bytes and some 2 KiB */
};

/* The files of one entry, wanted or not, begin with this. */
static Str file_prefix(Arena *a, const EntryView *v, Str base)
{
        return arena_printf(a, "%.*s.%.*s-", STR_FMT(v->gateway.namespace), STR_FMT(base));
}

static void plan_entry(Plan *p, const EntryView *v, Str base)
{
        Shards shards = shards_of(&p->arena, v->endpoints);
        for (size_t i = 0; i < shards.n; i++) {
                Str name = arena_printf(&p->arena, "%.*s-%zu", STR_FMT(base), i);
                Str file = arena_printf(&p->arena, "%.*s.%.*s.yaml", STR_FMT(v->gateway.namespace),
                                        STR_FMT(name));
                Buf content;
                buf_init(&content, FILE_BYTES_MAX);
                render_endpoints(v, name, shards.at + shards.from[i],
                                 shards.from[i + 1] - shards.from[i], &content);
                if (!content.failed)
                        plan_add(p, PLAN_ENDPOINTS, file, buf_str(&content), false);
                buf_done(&content);
        }
}

static int str_order(const void *a, const void *b)
{
        return str_cmp(*(const Str *)a, *(const Str *)b);
}

static bool is_kept(const Plan *p, Str file, const StrList *unknown_prefixes)
{
        for (size_t i = 0; i < unknown_prefixes->n; i++) {
                if (str_starts(file, unknown_prefixes->at[i]))
                        return true;
        }
        for (size_t i = 0; i < p->n; i++) {
                if (p->files[i].dir == PLAN_ENDPOINTS && str_eq(p->files[i].name, file))
                        return true;
        }
        return false;
}

static bool is_our_name(Str file)
{
        return str_ends(file, STR(".yaml")) &&
               entry_name_is_ours(str_sub(file, 0, file.n - strlen(".yaml")));
}

void plan_endpoints(const PlanInput *in, Plan *p)
{
        size_t n = table_n(in->world->entries);
        Str *prefixes = arena_new_array(&p->arena, n + 1, sizeof *prefixes);
        StrList unknown = {prefixes, 0};
        TABLE_FOREACH (EntryView, v, in->world->entries) {
                Str base = entry_name(&p->arena, v);
                if (v->known)
                        plan_entry(p, v, base);
                else
                        prefixes[unknown.n++] = file_prefix(&p->arena, v, base);
        }
        qsort(prefixes, unknown.n, sizeof *prefixes, str_order);
        for (size_t i = 0; i < in->outside->n_endpoints_files; i++) {
                Str file = in->outside->endpoints_files[i];
                if (is_our_name(file) && !is_kept(p, file, &unknown))
                        plan_add(p, PLAN_ENDPOINTS, file, (Str){0}, true);
        }
}
