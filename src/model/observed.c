/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A canonical form is text in which each value is told by its type and length, so that no two
 * values have one form. The objects of a list stand in the order of their forms: a server that
 * merges lists by their keys keeps no order.
 */
#include "model/observed.h"

#include "base/mem.h"
#include "model/binding_spec.h"
#include "model/label_value.h"
#include "proto/json_writer.h"

#include <stdlib.h>

enum {
        CANONICAL_MAX = 32 << 20, /* an order of magnitude above what an API server takes */
        UID_MAX = 64,
        NAME_MAX_BYTES = 253,
        VERSION_MAX = 64,
        REASON_MAX = 1024,
        MESSAGE_MAX = 32 << 10, /* of a condition, as Kubernetes has it */
};

/* ---- canonical forms ---- */

typedef bool Takes(const Tree *member);

/* `takes`: which members of objects in it. */
static void put(Buf *out, const Tree *node, Takes *takes);

static bool is_nothing(const Tree *node)
{
        bool holds = node->type == TREE_ARRAY || node->type == TREE_OBJECT;
        return node->type == TREE_NULL || (holds && node->n == 0);
}

static void put_text(Buf *out, char type, Str s)
{
        buf_printf(out, "%c%zu:", type, s.n);
        buf_add_str(out, s);
}

static int key_order(const void *a, const void *b)
{
        return str_cmp((*(const Tree *const *)a)->key, (*(const Tree *const *)b)->key);
}

static bool takes_all(const Tree *member)
{
        return !is_nothing(member);
}

/* `of_it`: of the object itself; `takes`: of what is in it. */
static void put_members(Buf *out, const Tree *object, Takes *of_it, Takes *takes)
{
        CLEANUP(mem_cleanup)
        const Tree **at = mem_new_array((object != NULL ? object->n : 0) + 1, sizeof *at);
        size_t n = 0;
        TREE_FOREACH (m, object) {
                if (of_it(m))
                        at[n++] = m;
        }
        qsort(at, n, sizeof *at, key_order);
        buf_printf(out, "{%zu:", n);
        for (size_t i = 0; i < n; i++) {
                put_text(out, 'k', at[i]->key);
                put(out, at[i], takes);
        }
}

static int text_order(const void *a, const void *b)
{
        return str_cmp(*(const Str *)a, *(const Str *)b);
}

/* The objects in it by their forms, behind what is none in its own order. */
static void put_array(Buf *out, const Tree *array, Takes *takes)
{
        CLEANUP(mem_cleanup) size_t *ends = mem_new_array(array->n + 1, sizeof *ends);
        CLEANUP(mem_cleanup) Str *forms = mem_new_array(array->n + 1, sizeof *forms);
        CLEANUP(buf_done) Buf objects;
        size_t n = 0;
        buf_init(&objects, CANONICAL_MAX);
        buf_printf(out, "[%zu:", array->n);
        TREE_FOREACH (e, array) {
                put(e->type == TREE_OBJECT ? &objects : out, e, takes);
                if (e->type == TREE_OBJECT)
                        ends[n++] = objects.n;
        }
        for (size_t i = 0; i < n; i++) {
                size_t from = i > 0 ? ends[i - 1] : 0;
                forms[i] = str_make(objects.p + from, ends[i] - from);
        }
        qsort(forms, n, sizeof *forms, text_order);
        for (size_t i = 0; i < n; i++)
                put_text(out, 'o', forms[i]);
}

static void put(Buf *out, const Tree *node, Takes *takes)
{
        switch (node->type) {
        case TREE_NULL:
                buf_add_char(out, '0');
                break;
        case TREE_BOOL:
                buf_add_char(out, node->boolean ? '+' : '-');
                break;
        case TREE_NUMBER:
                put_text(out, 'n', node->text);
                break;
        case TREE_STRING:
                put_text(out, 's', node->text);
                break;
        case TREE_ARRAY:
                put_array(out, node, takes);
                break;
        case TREE_OBJECT:
                put_members(out, node, takes, takes);
                break;
        }
}

static bool takes_ours(const Tree *member)
{
        return str_starts(member->key, STR(MODEL_GROUP "/")) ||
               str_starts(member->key, STR("app.kubernetes.io/"));
}

static bool takes_content(const Tree *member)
{
        static const Str not_content[] = {STR_INIT("apiVersion"), STR_INIT("kind"),
                                          STR_INIT("metadata"), STR_INIT("status")};
        return !is_nothing(member) &&
               !strlist_has((StrList){not_content, LENGTH_OF(not_content)}, member->key);
}

void observed_digests(const Tree *body, Digest *ret_own, Digest *ret_status)
{
        const Tree *meta = tree_get(body, STR("metadata"));
        const Tree *owners = tree_get(meta, STR("ownerReferences"));
        const Tree *status = tree_get(body, STR("status"));
        CLEANUP(buf_done) Buf text;
        buf_init(&text, CANONICAL_MAX);
        put_members(&text, tree_get(meta, STR("labels")), takes_ours, takes_all);
        put_members(&text, tree_get(meta, STR("annotations")), takes_ours, takes_all);
        if (owners != NULL && !is_nothing(owners))
                put(&text, owners, takes_all);
        put_members(&text, body, takes_content, takes_all);
        *ret_own = digest_of(buf_str(&text));
        buf_reset(&text);
        put_members(&text, status, takes_all, takes_all);
        *ret_status = digest_of(buf_str(&text));
}

static bool takes_what_counts(const Tree *member)
{
        return takes_all(member) && !str_eq(member->key, STR("excluded"));
}

Digest observed_calm(const Tree *body)
{
        CLEANUP(buf_done) Buf text;
        buf_init(&text, CANONICAL_MAX);
        put_members(&text, tree_get(body, STR("status")), takes_what_counts, takes_what_counts);
        return digest_of(buf_str(&text));
}

/* ---- one object ---- */

static Str keep(Observed *o, Str s, size_t max)
{
        return leaf_str(&o->leaf, str_sub(s, 0, max));
}

static Wall time_of(const Tree *object, Str key)
{
        Wall t = {0};
        IGNORE(wall_parse(tree_get_str(object, key), &t), "one that cannot be read is none");
        return t;
}

static int64_t number_of(const Tree *object, Str key)
{
        int64_t n = 0;
        IGNORE(tree_i64(tree_get(object, key), 0, INT64_MAX, false, &n), "else it is not told");
        return n;
}

static void take_conditions(Observed *o, const Tree *status)
{
        const Tree *all = tree_get(status, STR("conditions"));
        if (all == NULL || all->type != TREE_ARRAY || all->n == 0 || o->n_conditions > 0)
                return;
        size_t n = all->n < OBSERVED_CONDITIONS_MAX ? all->n : OBSERVED_CONDITIONS_MAX;
        ConditionSeen *at = leaf_alloc(&o->leaf, n * sizeof *at);
        TREE_FOREACH (c, all) {
                if (o->n_conditions == n)
                        break;
                at[o->n_conditions++] = (ConditionSeen){
                        .type = keep(o, tree_get_str(c, STR("type")), REASON_MAX),
                        .status = keep(o, tree_get_str(c, STR("status")), REASON_MAX),
                        .reason = keep(o, tree_get_str(c, STR("reason")), REASON_MAX),
                        .message = keep(o, tree_get_str(c, STR("message")), MESSAGE_MAX),
                        .observed_generation = number_of(c, STR("observedGeneration")),
                        .since = time_of(c, STR("lastTransitionTime")),
                };
        }
        o->conditions = at;
}

static Str owner_of(const Tree *meta)
{
        TREE_FOREACH (r, tree_get(meta, STR("ownerReferences"))) {
                if (str_starts(tree_get_str(r, STR("apiVersion")), STR(MODEL_GROUP "/")) &&
                    str_eq(tree_get_str(r, STR("kind")), STR("TailscaleGateway")))
                        return tree_get_str(r, STR("name"));
        }
        return (Str){0};
}

/* When a field manager applied last, as the server noted it. What one of that name updated is
 * another's to the server, and no apply takes it away. */
static Wall managed_at(const Tree *meta, Str replica)
{
        static const Str prefix = STR_INIT(OBSERVED_MANAGER_REPLICA "-");
        TREE_FOREACH (m, tree_get(meta, STR("managedFields"))) {
                Str name = tree_get_str(m, STR("manager"));
                if (!str_eq(tree_get_str(m, STR("operation")), STR("Update")) &&
                    str_starts(name, prefix) && str_eq(str_sub(name, prefix.n, name.n), replica))
                        return time_of(m, STR("time"));
        }
        return (Wall){0};
}

static int served_order(const void *a, const void *b)
{
        return str_cmp(((const ServedSeen *)a)->replica, ((const ServedSeen *)b)->replica);
}

static void take_binding(Observed *o, const Tree *object)
{
        static const Str prefix = STR_INIT(OBSERVED_SERVED);
        const Tree *meta = tree_get(object, STR("metadata")), *spec = tree_get(object, STR("spec")),
                   *all = tree_get(meta, STR("annotations"));
        size_t room = all == NULL ? 0 : all->n < OBSERVED_SERVED_MAX ? all->n : OBSERVED_SERVED_MAX;
        ServedSeen *at = leaf_alloc(&o->leaf, (room + 1) * sizeof *at);
        o->revision = keep(o, tree_get_str(spec, STR("revision")), REVISION_MAX);
        o->attempt = (uint64_t)number_of(spec, STR("attempt"));
        TREE_FOREACH (a, all) {
                Str replica = str_sub(a->key, prefix.n, a->key.n), revision = tree_str(a);
                bool fits = replica.n > 0 && replica.n <= LABEL_VALUE_MAX &&
                            revision.n <= REVISION_MAX && o->n_served < room;
                if (!str_starts(a->key, prefix) || !fits)
                        continue;
                at[o->n_served++] = (ServedSeen){
                        .replica = leaf_str(&o->leaf, replica),
                        .revision = leaf_str(&o->leaf, revision),
                        .at = managed_at(meta, replica),
                };
        }
        if (o->n_served > 0)
                qsort(at, o->n_served, sizeof *at, served_order);
        o->served = at;
}

static void take_filled_up(Observed *o, const Tree *object)
{
        const Tree *annotations = tree_get(tree_get(object, STR("metadata")), STR("annotations")),
                   *spec = tree_get(object, STR("spec"));
        CLEANUP(buf_done) Buf text;
        JsonWriter w;
        buf_init(&text, OBSERVED_SPEC_MAX);
        json_writer_init(&w, &text);
        if (spec != NULL)
                json_tree(&w, spec);
        o->applied = keep(o, tree_get_str(annotations, STR(OBSERVED_APPLIED)), UID_MAX);
        if (!text.failed)
                o->spec = leaf_str(&o->leaf, buf_str(&text));
}

const Observed *observed_new(ObservedKind kind, const Tree *object)
{
        const Tree *meta = tree_get(object, STR("metadata")),
                   *status = tree_get(object, STR("status"));
        Str name = tree_get_str(meta, STR("name"));
        Str managed_by = tree_get_str(tree_get(meta, STR("labels")), STR(MODEL_LABEL_MANAGED_BY));
        if (name.n == 0)
                return NULL;
        Observed *o = leaf_new(sizeof *o, 512, NULL);
        o->kind = kind;
        o->key.namespace = leaf_str(&o->leaf, tree_get_str(meta, STR("namespace")));
        o->key.name = leaf_str(&o->leaf, name);
        o->uid = keep(o, tree_get_str(meta, STR("uid")), UID_MAX);
        o->version = keep(o, tree_get_str(meta, STR("resourceVersion")), VERSION_MAX);
        o->generation = number_of(meta, STR("generation"));
        o->deleting = tree_get_str(meta, STR("deletionTimestamp")).n > 0;
        o->ours = str_eq(managed_by, STR(MODEL_OURS));
        o->last_sync = time_of(status, STR("lastSync"));
        o->owner = keep(o, owner_of(meta), NAME_MAX_BYTES);
        observed_digests(object, &o->own, &o->status);
        if (kind == OBSERVED_GATEWAY)
                o->calm = observed_calm(object);
        take_conditions(o, status);
        /* Of a route: of the first of its parents that anybody has spoken about; ours have one. */
        TREE_FOREACH (parent, tree_get(status, STR("parents")))
                take_conditions(o, parent);
        if (kind == OBSERVED_BINDING)
                take_binding(o, object);
        if (kind == OBSERVED_SERVICE || kind == OBSERVED_DEPLOYMENT || kind == OBSERVED_PDB)
                take_filled_up(o, object);
        return o;
}

const ConditionSeen *observed_condition(const Observed *o, Str type)
{
        for (size_t i = 0; o != NULL && i < o->n_conditions; i++) {
                if (str_eq(o->conditions[i].type, type))
                        return &o->conditions[i];
        }
        return NULL;
}

bool observed_is_served(const Observed *binding, Str revision)
{
        for (size_t i = 0; binding != NULL && i < binding->n_served; i++) {
                if (str_eq(binding->served[i].revision, revision))
                        return true;
        }
        return false;
}

/* ---- in a Table ---- */

static int cmp(ObservedKind a, ObjectKey x, ObservedKind b, ObjectKey y)
{
        return a != b ? (a < b ? -1 : 1) : object_key_cmp(x, y);
}

int observed_order(const void *a, const void *b)
{
        const Observed *x = a, *y = b;
        return cmp(x->kind, x->key, y->kind, y->key);
}

int observed_find(const void *key, const void *leaf)
{
        const ObservedKey *k = key;
        const Observed *o = leaf;
        return cmp(k->kind, k->key, o->kind, o->key);
}

bool observed_same(const void *a, const void *b)
{
        const Observed *x = a, *y = b;
        return str_eq(x->uid, y->uid) && str_eq(x->version, y->version);
}

const Observed *observed_at(const Table *t, ObservedKind kind, ObjectKey key)
{
        ObservedKey k = {kind, key};
        return table_find(t, &k, observed_find);
}
