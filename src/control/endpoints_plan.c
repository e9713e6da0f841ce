/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TailscaleEndpoints: each entry's discovered endpoints in shards of at most ENDPOINTS_MAX.
 * An entry that is not known yet keeps the files it has.
 */
#include "base/digest.h"
#include "base/mem.h"
#include "control/plan.h"
#include "control/shards.h"
#include "model/render.h"

#include <stdlib.h>

enum {
        FILE_BYTES_MAX = 8 << 20, /* 250 endpoints, each with 64 tags of 253 bytes and some 2 KiB */
        HASH_BYTES = 4,
        LABEL_MAX = 63, /* of the tailnet, and of the namespace */
        /* So much of the TailscaleGateway's name that the file's name is within
         * PLAN_FILE_NAME_MAX: namespace, tailnet, hash, number of the shard and what joins them. */
        GATEWAY_MAX = PLAN_FILE_NAME_MAX - 2 * LABEL_MAX - 2 * HASH_BYTES - 20,
};

/* `<gateway>-<tailnet>-<hash of both>`; the hash tells a-b + c from a + b-c. */
static Str base_name(Arena *a, const EntryView *v)
{
        Digester *d = digester_new();
        digester_add(d, v->gateway.name);
        digester_add(d, v->tailnet);
        Digest digest = digester_finish(d);
        char hex[DIGEST_HEX];
        return arena_printf(a, "%.*s-%.*s-%s", STR_FMT(str_sub(v->gateway.name, 0, GATEWAY_MAX)),
                            STR_FMT(str_sub(v->tailnet, 0, LABEL_MAX)),
                            digest_hex(&digest, HASH_BYTES, hex));
}

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

/* Cuts what `is` takes off the end of `*s`; how many there were. */
static size_t cut_end(Str *s, bool (*is)(char c))
{
        size_t before = s->n;
        while (s->n > 0 && is(s->p[s->n - 1]))
                s->n--;
        return before - s->n;
}

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
        return is_digit(c) || (c >= 'a' && c <= 'f');
}

/* Is it a name that plan_entry gives? What else stands there is somebody's own. */
static bool is_our_name(Str file)
{
        if (!str_ends(file, STR(".yaml")))
                return false;
        Str s = str_sub(file, 0, file.n - strlen(".yaml"));
        if (cut_end(&s, is_digit) == 0 || !str_ends(s, STR("-")))
                return false;
        s.n--;
        return cut_end(&s, is_hex) == (size_t)2 * HASH_BYTES && str_ends(s, STR("-"));
}

void plan_endpoints(const PlanInput *in, Plan *p)
{
        size_t n = table_n(in->world->entries);
        Str *prefixes = arena_new_array(&p->arena, n + 1, sizeof *prefixes);
        StrList unknown = {prefixes, 0};
        TABLE_FOREACH (EntryView, v, in->world->entries) {
                Str base = base_name(&p->arena, v);
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
