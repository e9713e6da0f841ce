/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants:
 * 1. `answer` of an object is newer than what the watches show of it; once they show it, or
 * something newer, it is dropped. So an object that the watches showed and show no more is gone.
 * 2. Versions are compared as numbers, as API servers make them (KEP-5504); what is none is taken
 * for older, so that the watch is believed.
 * 3. What was written or failed while there is no place to remember it rests for a fixed time, with
 * all whose keys have the same hash: nothing is sent again and again at once.
 */
#include "execute/kube_known.h"

#include "base/mem.h"
#include "control/entry_memo.h"

#include <stdlib.h>

enum {
        FAILED_KEPT_S = 600, /* well above the longest rest, so that rests grow */
        CROWD_PLACES = 1024,
};

/* What is remembered of one object. */
typedef struct Memory {
        ObservedKey key;        /* strings stand in `text` */
        char *text;             /* owned */
        const Observed *answer; /* of our last write, until the watches show it; or NULL */
        Str gone;               /* owned: uid of one that we deleted, until they show that */
        Mono believed_until;    /* of these two */
        /* By verb: the digest that was to come of the last write, and the version that did. */
        struct Tried {
                bool is_set;
                Digest expected;
                Str version; /* owned */
        } tried[PLAN_DELETE];
        unsigned failures;
        Mono rests_until;
        Mono failed_until; /* how often it failed is remembered so long */
        Mono status_at;    /* when we wrote its status last; 0: never */
        /* Writes, each KUBE_KNOWN_WRITES_APART_S, one after the other, end here. */
        Mono busy_until;
        bool told; /* that it is written too often, until that is over */
        /* Of a Binding. */
        Mono revision_at, attempt_at, since;
        char revision[REVISION_MAX + 1]; /* that `since` is of */
} Memory;

struct KubeKnown {
        const Table *watched;       /* one reference; NULL: nothing yet */
        Memory **at;                /* owned, sorted by key */
        size_t n, room, n_bindings; /* of `n` */
        Mono *crowd; /* owned, CROWD_PLACES: until when what has no place rests; NULL: none did */
        const Table *merged; /* one reference; NULL: to be made */
        BindingWritten *bindings;
        StatusWritten *statuses;
        EntryMemo *memo; /* owned; for whoever plans with `outside` */
        Mono since;      /* when it was asked first */
        Outside outside;
};

/* ---- memories ---- */

static int key_cmp(const ObservedKey *a, const ObservedKey *b)
{
        return a->kind != b->kind ? (a->kind < b->kind ? -1 : 1) : object_key_cmp(a->key, b->key);
}

/* Where it is, or belongs. */
static size_t place_of(const KubeKnown *k, const ObservedKey *key, bool *ret_there)
{
        size_t from = 0, to = k->n;
        *ret_there = false;
        while (from < to) {
                size_t mid = from + (to - from) / 2;
                int c = key_cmp(key, &k->at[mid]->key);
                *ret_there |= c == 0;
                if (c > 0)
                        from = mid + 1;
                else
                        to = mid;
        }
        return from;
}

static Memory *find(const KubeKnown *k, ObservedKind kind, ObjectKey key)
{
        bool there;
        ObservedKey wanted = {kind, key};
        size_t i = place_of(k, &wanted, &there);
        return there ? k->at[i] : NULL;
}

static void str_set(Str *s, Str to)
{
        mem_free((void *)(uintptr_t)s->p);
        char *p = to.n > 0 ? mem_new(to.n) : NULL;
        if (to.n > 0)
                memcpy(p, to.p, to.n);
        *s = (Str){p, to.n};
}

static Memory *memory_free(Memory *m)
{
        leaf_unref(m->answer);
        str_set(&m->gone, (Str){0});
        for (size_t i = 0; i < LENGTH_OF(m->tried); i++)
                str_set(&m->tried[i].version, (Str){0});
        mem_free(m->text);
        return mem_free(m);
}

static bool is_full(const KubeKnown *k, ObservedKind kind)
{
        return kind == OBSERVED_BINDING ? k->n_bindings == KUBE_KNOWN_BINDINGS_MAX
                                        : k->n - k->n_bindings == KUBE_KNOWN_MAX;
}

static size_t crowd_place(ObservedKind kind, ObjectKey key)
{
        return (str_hash(key.namespace) * 31 + str_hash(key.name) + kind) % CROWD_PLACES;
}

/* There was no place to remember of it what just came out. */
static void crowd_rest(KubeKnown *k, const PlanObject *o, Mono now)
{
        if (k->crowd == NULL)
                k->crowd = mem_new_array(CROWD_PLACES, sizeof *k->crowd);
        k->crowd[crowd_place(o->kind, o->key)] = mono_add(now, SPAN_S(KUBE_KNOWN_CROWDED_S));
}

/* NULL where there are too many. */
static Memory *get(KubeKnown *k, ObservedKind kind, ObjectKey key)
{
        bool there;
        ObservedKey wanted = {kind, key};
        size_t i = place_of(k, &wanted, &there);
        if (there || is_full(k, kind))
                return there ? k->at[i] : NULL;
        if (k->n == k->room) {
                k->room = k->room != 0 ? 2 * k->room : 64;
                k->at = mem_resize(k->at, k->room * sizeof(Memory *));
        }
        Memory *m = mem_new(sizeof *m);
        m->text = mem_new(key.namespace.n + key.name.n + 1);
        if (key.namespace.n > 0)
                memcpy(m->text, key.namespace.p, key.namespace.n);
        memcpy(m->text + key.namespace.n, key.name.p, key.name.n);
        m->key = (ObservedKey){kind,
                               {str_make(m->text, key.namespace.n),
                                str_make(m->text + key.namespace.n, key.name.n)}};
        memmove(k->at + i + 1, k->at + i, (k->n - i) * sizeof(Memory *));
        k->at[i] = m;
        k->n++;
        k->n_bindings += kind == OBSERVED_BINDING;
        return m;
}

/* ---- what stands there ---- */

static bool is_number(Str s)
{
        for (size_t i = 0; i < s.n; i++) {
                if (s.p[i] < '0' || s.p[i] > '9')
                        return false;
        }
        return s.n > 0 && (s.n == 1 || s.p[0] != '0');
}

static bool is_newer(Str a, Str b)
{
        if (!is_number(a) || !is_number(b))
                return false;
        return a.n != b.n ? a.n > b.n : memcmp(a.p, b.p, a.n) > 0;
}

static void changed(KubeKnown *k)
{
        k->merged = table_unref(k->merged);
        k->bindings = mem_free(k->bindings);
        k->statuses = mem_free(k->statuses);
        k->outside = (Outside){0};
}

static void forget_answer(Memory *m)
{
        m->answer = leaf_unref(m->answer);
        str_set(&m->gone, (Str){0});
        m->believed_until = (Mono){0};
}

/* Drops what the watches show by now. */
static void settle(Memory *m, const Table *watched)
{
        const Observed *w = observed_at(watched, m->key.kind, m->key.key);
        bool is_shown = m->answer != NULL && w != NULL && !is_newer(m->answer->version, w->version);
        bool is_seen_gone = m->gone.n > 0 && (w == NULL || !str_eq(w->uid, m->gone));
        if (is_shown || is_seen_gone)
                forget_answer(m);
}

static bool is_idle(const Memory *m, Mono now)
{
        return m->answer == NULL && m->gone.n == 0 && !mono_before(now, m->failed_until) &&
               !mono_before(now, m->busy_until) &&
               (m->revision_at.ns == 0 ||
                !mono_before(now, mono_add(m->revision_at, SPAN_MS(PLAN_BINDING_APART_MS))));
}

/* Of objects that are gone nothing is remembered but what keeps writes apart, for its time. */
static void tidy(KubeKnown *k, Mono now)
{
        size_t n = 0;
        for (size_t i = 0; i < k->n; i++) {
                Memory *m = k->at[i];
                bool is_gone = m->answer == NULL &&
                               observed_at(k->watched, m->key.kind, m->key.key) == NULL;
                if (is_gone && is_idle(m, now)) {
                        k->n_bindings -= m->key.kind == OBSERVED_BINDING;
                        memory_free(m);
                        continue;
                }
                if (is_gone)
                        m->attempt_at = m->since = (Mono){0};
                k->at[n++] = m;
        }
        k->n = n;
}

void kube_known_tell(KubeKnown *k, const Table *watched, Mono now)
{
        if (watched == k->watched)
                return;
        table_unref(k->watched);
        k->watched = table_ref(watched);
        for (size_t i = 0; i < k->n; i++)
                settle(k->at[i], watched);
        tidy(k, now);
        changed(k);
}

static const Observed *newest(const KubeKnown *k, const Observed *watched)
{
        const Memory *m = find(k, watched->kind, watched->key);
        if (m == NULL || (m->answer == NULL && m->gone.n == 0))
                return watched;
        return m->answer; /* NULL: it is gone */
}

static void merge(KubeKnown *k)
{
        size_t n = 0, room = table_n(k->watched) + k->n + 1;
        CLEANUP(mem_cleanup) const void **leaves = mem_new_array(room, sizeof *leaves);
        TABLE_FOREACH (Observed, w, k->watched) {
                const Observed *o = newest(k, w);
                if (o != NULL)
                        leaves[n++] = leaf_ref(o);
        }
        for (size_t i = 0; i < k->n; i++) {
                const Memory *m = k->at[i];
                if (m->answer != NULL && observed_at(k->watched, m->key.kind, m->key.key) == NULL)
                        leaves[n++] = leaf_ref(m->answer);
        }
        k->merged = table_new(leaves, n, observed_order);
}

static void note_revision(Memory *m, const Observed *o, Mono now)
{
        if (str_eq(str_of(m->revision), o->revision) && m->since.ns != 0)
                return;
        memset(m->revision, 0, sizeof m->revision);
        if (o->revision.n > 0)
                memcpy(m->revision, o->revision.p, o->revision.n);
        m->since = now;
}

/* Those of TailscaleGateways, in the order of memories, which is that of keys. */
static void make_statuses(KubeKnown *k)
{
        size_t n = 0;
        k->statuses = mem_new_array(k->n + 1, sizeof *k->statuses);
        for (size_t i = 0; i < k->n; i++) {
                const Memory *m = k->at[i];
                if (m->key.kind == OBSERVED_GATEWAY && m->status_at.ns != 0)
                        k->statuses[n++] = (StatusWritten){m->key.key, m->status_at};
        }
        k->outside.statuses = k->statuses;
        k->outside.n_statuses = n;
        k->outside.since = k->since;
}

/* Of a Binding that is gone: when its revision was last another, for the next of its name. */
static size_t add_gone(const KubeKnown *k, BindingWritten *at)
{
        size_t n = 0;
        for (size_t i = 0; i < k->n; i++) {
                const Memory *m = k->at[i];
                if (m->key.kind == OBSERVED_BINDING && m->revision_at.ns != 0 &&
                    observed_at(k->merged, OBSERVED_BINDING, m->key.key) == NULL)
                        at[n++] = (BindingWritten){.eg_gateway = m->key.key, .at = m->revision_at};
        }
        return n;
}

/* Those of Bindings, in the order of the Table; behind them of those that are gone. */
static void make_outside(KubeKnown *k, Mono now)
{
        size_t n = 0;
        k->bindings = mem_new_array(table_n(k->merged) + k->n + 1, sizeof *k->bindings);
        if (k->since.ns == 0)
                k->since = now;
        TABLE_FOREACH (Observed, o, k->merged) {
                if (o->kind != OBSERVED_BINDING)
                        continue;
                BindingWritten *b = &k->bindings[n++];
                *b = (BindingWritten){.eg_gateway = o->key,
                                      .revision = o->revision,
                                      .attempt = o->attempt,
                                      .since = now};
                Memory *m = get(k, o->kind, o->key);
                if (m == NULL)
                        continue;
                note_revision(m, o, now);
                b->at = m->revision_at;
                b->attempt_at = m->attempt_at;
                b->since = m->since;
        }
        n += add_gone(k, k->bindings + n);
        k->outside = (Outside){.bindings = k->bindings, .n_bindings = n, .memo = k->memo};
        make_statuses(k);
}

const Table *kube_known_table(KubeKnown *k, Mono now)
{
        if (k->merged == NULL) {
                merge(k);
                make_outside(k, now);
        }
        return k->merged;
}

const Outside *kube_known_outside(KubeKnown *k, Mono now)
{
        IGNORE(kube_known_table(k, now), "made with it");
        return &k->outside;
}

/* ---- what was written ---- */

/* One write more. Is it one too many, and has that not been told? */
static bool count_write(Memory *m, Mono now)
{
        Mono from = mono_before(now, m->busy_until) ? m->busy_until : now;
        if (m->key.kind == OBSERVED_BINDING)
                return false;
        bool was_told = m->told && mono_before(now, m->busy_until);
        m->busy_until = mono_add(from, SPAN_S(KUBE_KNOWN_WRITES_APART_S));
        Mono rests_until = {m->busy_until.ns -
                            SPAN_S(KUBE_KNOWN_WRITES * KUBE_KNOWN_WRITES_APART_S).ns};
        m->told = was_told;
        if (!mono_before(now, rests_until))
                return false;
        m->rests_until = rests_until;
        m->told = true;
        return !was_told;
}

bool kube_known_wrote(KubeKnown *k, const PlanObject *o, const Observed *answer, Mono now)
{
        Memory *m = get(k, o->kind, o->key);
        if (m == NULL) {
                leaf_unref(answer);
                crowd_rest(k, o, now);
                return false;
        }
        m->failures = 0;
        m->rests_until = m->failed_until = (Mono){0};
        m->revision_at = o->moves_revision ? now : m->revision_at;
        m->attempt_at = o->raises_attempt ? now : m->attempt_at;
        m->status_at = o->verb == PLAN_APPLY_STATUS ? now : m->status_at;
        if (o->verb != PLAN_DELETE) {
                struct Tried *t = &m->tried[o->verb];
                t->is_set = true;
                t->expected = o->expected;
                str_set(&t->version, answer->version);
        }
        forget_answer(m);
        m->answer = answer;
        m->believed_until = mono_add(now, SPAN_S(KUBE_KNOWN_SHOWN_S));
        bool is_news = count_write(m, now);
        settle(m, k->watched);
        changed(k);
        return is_news;
}

void kube_known_gone(KubeKnown *k, const PlanObject *o, Mono now)
{
        const Observed *w = observed_at(k->watched, o->kind, o->key);
        Memory *m = get(k, o->kind, o->key);
        if (m == NULL) {
                crowd_rest(k, o, now);
                return;
        }
        m->failures = 0;
        m->rests_until = m->failed_until = (Mono){0};
        IGNORE(count_write(m, now), "what is written again tells");
        if (o->kind == OBSERVED_BINDING)
                m->revision_at = now;
        m->attempt_at = m->since = (Mono){0};
        forget_answer(m);
        if (w != NULL) {
                str_set(&m->gone, o->uid.n > 0 ? o->uid : w->uid);
                m->believed_until = mono_add(now, SPAN_S(KUBE_KNOWN_SHOWN_S));
        }
        settle(m, k->watched);
        changed(k);
}

void kube_known_doubt(KubeKnown *k, const PlanObject *o)
{
        Memory *m = find(k, o->kind, o->key);
        if (m == NULL)
                return;
        forget_answer(m);
        changed(k);
}

bool kube_known_is_tried(KubeKnown *k, const PlanObject *o, Mono now)
{
        const Memory *m = find(k, o->kind, o->key);
        const Observed *there = observed_at(kube_known_table(k, now), o->kind, o->key);
        if (o->verb == PLAN_DELETE || o->raises_attempt || m == NULL || there == NULL)
                return false;
        const struct Tried *t = &m->tried[o->verb];
        return t->is_set && digest_eq(&t->expected, &o->expected) &&
               str_eq(t->version, there->version);
}

unsigned kube_known_failed(KubeKnown *k, const PlanObject *o)
{
        Memory *m = get(k, o->kind, o->key);
        if (m == NULL)
                return 1;
        m->failures += m->failures < UINT32_MAX;
        return m->failures;
}

void kube_known_rest(KubeKnown *k, const PlanObject *o, Mono until, Mono now)
{
        Memory *m = get(k, o->kind, o->key);
        if (m == NULL) {
                crowd_rest(k, o, now);
                return;
        }
        m->rests_until = until;
        m->failed_until = mono_add(until, SPAN_S(FAILED_KEPT_S));
}

bool kube_known_is_resting(const KubeKnown *k, const PlanObject *o, Mono now)
{
        const Memory *m = find(k, o->kind, o->key);
        if (m != NULL)
                return mono_before(now, m->rests_until);
        return k->crowd != NULL && is_full(k, o->kind) &&
               mono_before(now, k->crowd[crowd_place(o->kind, o->key)]);
}

/* ---- time ---- */

static void earliest(Mono *at, Mono other)
{
        if (other.ns != 0 && (at->ns == 0 || mono_before(other, *at)))
                *at = other;
}

Mono kube_known_next(const KubeKnown *k)
{
        Mono next = {0};
        for (size_t i = 0; i < k->n; i++) {
                earliest(&next, k->at[i]->believed_until);
                earliest(&next, k->at[i]->rests_until);
        }
        for (size_t i = 0; k->crowd != NULL && i < CROWD_PLACES; i++)
                earliest(&next, k->crowd[i]);
        return next;
}

bool kube_known_expire(KubeKnown *k, Mono now)
{
        bool is_news = false;
        for (size_t i = 0; i < k->n; i++) {
                Memory *m = k->at[i];
                if (m->believed_until.ns != 0 && !mono_before(now, m->believed_until)) {
                        forget_answer(m);
                        changed(k);
                        is_news = true;
                }
                if (m->rests_until.ns != 0 && !mono_before(now, m->rests_until)) {
                        m->rests_until = (Mono){0};
                        is_news = true;
                }
        }
        for (size_t i = 0; k->crowd != NULL && i < CROWD_PLACES; i++) {
                if (k->crowd[i].ns != 0 && !mono_before(now, k->crowd[i])) {
                        k->crowd[i] = (Mono){0};
                        is_news = true;
                }
        }
        return is_news;
}

static size_t memory_bytes(const Memory *m)
{
        size_t n = sizeof *m + m->key.key.namespace.n + m->key.key.name.n + 1 + m->gone.n;
        for (size_t i = 0; i < LENGTH_OF(m->tried); i++)
                n += m->tried[i].version.n;
        return n + (m->answer != NULL ? leaf_bytes(m->answer) : 0);
}

size_t kube_known_bytes(const KubeKnown *k)
{
        size_t n = sizeof *k + k->room * sizeof(Memory *) + entry_memo_bytes(k->memo);
        n += k->merged != NULL ? leaf_bytes(k->merged) : 0;
        n += (k->outside.n_bindings + 1) * sizeof *k->bindings;
        n += (k->outside.n_statuses + 1) * sizeof *k->statuses;
        for (size_t i = 0; i < k->n; i++)
                n += memory_bytes(k->at[i]);
        return n;
}

KubeKnown *kube_known_new(void)
{
        KubeKnown *k = mem_new(sizeof *k);
        k->memo = entry_memo_new();
        return k;
}

KubeKnown *kube_known_free(KubeKnown *k)
{
        if (k == NULL)
                return NULL;
        for (size_t i = 0; i < k->n; i++)
                memory_free(k->at[i]);
        mem_free(k->at);
        mem_free(k->crowd);
        mem_free(k->bindings);
        mem_free(k->statuses);
        entry_memo_free(k->memo);
        table_unref(k->merged);
        table_unref(k->watched);
        return mem_free(k);
}
