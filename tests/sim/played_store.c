/* SPDX-License-Identifier: Apache-2.0 */
#include "played_store.h"

#include "base/mem.h"
#include "proto/json.h"
#include "proto/json_writer.h"

#include <stdio.h>

static char *copy(Str s)
{
        char *p = mem_new(s.n + 1);

        if (s.n > 0)
                memcpy(p, s.p, s.n);
        return p;
}

/* ---- paths ---- */

static bool next_segment(Str *rest, Str *ret)
{
        bool more = str_cut(rest, '/', ret);
        return more || ret->n > 0;
}

bool played_target_of(Str path, PlayedTarget *ret)
{
        Str rest = str_sub(path, 1, SIZE_MAX), root = {0}, group = {0}, version = {0};
        PlayedTarget t = {0};

        if (!next_segment(&rest, &root) || !next_segment(&rest, &group))
                return false;
        if (str_eq(root, STR("api")))
                version = group;
        else if (!str_eq(root, STR("apis")) || !next_segment(&rest, &version))
                return false;
        t.collection = str_make(root.p, (size_t)(version.p + version.n - root.p));
        if (!next_segment(&rest, &t.plural))
                return false;
        Str first = {0}, second = {0}, third = {0}, fourth = {0};
        IGNORE(next_segment(&rest, &first), "it may be empty");
        IGNORE(next_segment(&rest, &second), "likewise");
        IGNORE(next_segment(&rest, &third), "likewise");
        IGNORE(next_segment(&rest, &fourth), "likewise");
        if (str_eq(t.plural, STR("namespaces")) && second.n > 0) {
                t.plural = second;
                t.ns = first;
                t.name = third;
                t.sub = fourth;
        } else {
                t.name = first;
                t.sub = second;
        }
        *ret = t;
        return true;
}

bool played_store_is_in(const PlayedTarget *t, const char *collection, const char *plural,
                        const char *ns)
{
        return str_eq(t->collection, str_of(collection)) && str_eq(t->plural, str_of(plural)) &&
               (t->ns.n == 0 || str_eq(t->ns, str_of(ns)));
}

/* ---- objects as text ---- */

static bool is_put_before(const Tree *const *all, size_t n, Str key)
{
        for (size_t i = 0; i < n; i++) {
                if (tree_get(all[i], key) != NULL)
                        return true;
        }
        return false;
}

static void put_merged(JsonWriter *w, const Tree *const *all, size_t n);

/* The members of that key, from all[first] on. */
static size_t find_same(const Tree *const *all, size_t first, size_t n, Str key, const Tree **ret)
{
        size_t n_same = 0;

        for (size_t i = first; i < n; i++) {
                ret[n_same] = tree_get(all[i], key);
                n_same += ret[n_same] != NULL;
        }
        return n_same;
}

/* The members of several objects, each key once. */
static void put_members(JsonWriter *w, const Tree *const *all, size_t n, bool (*wanted)(Str key))
{
        for (size_t i = 0; i < n; i++) {
                TREE_FOREACH (member, all[i]) {
                        const Tree *same[PLAYED_PARTS_MAX + 1] = {NULL};

                        if (is_put_before(all, i, member->key) ||
                            (wanted != NULL && !wanted(member->key)))
                                continue;
                        json_key(w, member->key);
                        put_merged(w, same, find_same(all, i, n, member->key, same));
                }
        }
}

static void put_merged(JsonWriter *w, const Tree *const *all, size_t n)
{
        INSIST(n > 0 && all[n - 1] != NULL);
        if (all[n - 1]->type != TREE_OBJECT) {
                json_tree(w, all[n - 1]);
                return;
        }
        json_object_begin(w);
        put_members(w, all, n, NULL);
        json_object_end(w);
}

static bool is_of_spec(Str key)
{
        return !str_eq(key, STR("metadata")) && !str_eq(key, STR("status"));
}

static bool is_of_status(Str key)
{
        return str_eq(key, STR("status"));
}

static bool is_given_metadata(Str key)
{
        return str_eq(key, STR("labels")) || str_eq(key, STR("annotations")) ||
               str_eq(key, STR("ownerReferences")) || str_eq(key, STR("finalizers"));
}

typedef struct Parts {
        Arena arena;
        const Tree *specs[PLAYED_PARTS_MAX], *metas[PLAYED_PARTS_MAX], *statuses[PLAYED_PARTS_MAX];
        size_t n_specs, n_metas, n_statuses;
} Parts;

static void parts_of(const PlayedObject *o, Parts *p)
{
        *p = (Parts){0};
        arena_init(&p->arena, 0);
        for (size_t i = 0; i < o->n_parts; i++) {
                Err err = {0};
                const Tree *t = json_read(&p->arena, str_of(o->parts[i].body), NULL, &err);

                INSIST(t != NULL);
                if (o->parts[i].is_status) {
                        p->statuses[p->n_statuses++] = t;
                        continue;
                }
                p->specs[p->n_specs++] = t;
                if (tree_get(t, STR("metadata")) != NULL)
                        p->metas[p->n_metas++] = tree_get(t, STR("metadata"));
        }
}

static void put_metadata(JsonWriter *w, const PlayedObject *o, const Parts *p, bool whole)
{
        char version[24];

        json_key_object_begin(w, STR("metadata"));
        json_key_str(w, STR("name"), str_of(o->name));
        if (o->ns[0] != '\0')
                json_key_str(w, STR("namespace"), str_of(o->ns));
        json_key_str(w, STR("uid"), str_of(o->uid));
        json_key_wall(w, STR("creationTimestamp"), o->created);
        if (whole) {
                snprintf(version, sizeof(version), "%llu", (unsigned long long)o->version);
                json_key_str(w, STR("resourceVersion"), str_of(version));
                json_key_u64(w, STR("generation"), (uint64_t)o->generation);
        }
        if (p->n_metas > 0)
                put_members(w, p->metas, p->n_metas, is_given_metadata);
        json_object_end(w);
}

static char *text_of(const PlayedObject *o, const Parts *p, bool meta, bool status, bool whole)
{
        CLEANUP(buf_done) Buf out;
        JsonWriter w;

        buf_init(&out, PLAYED_BODY_MAX);
        json_writer_init(&w, &out);
        json_object_begin(&w);
        put_members(&w, p->specs, p->n_specs, is_of_spec);
        if (meta)
                put_metadata(&w, o, p, whole);
        if (status && p->n_statuses > 0)
                put_members(&w, p->statuses, p->n_statuses, is_of_status);
        json_object_end(&w);
        INSIST(!out.failed);
        return copy(buf_str(&out));
}

/* ---- life ---- */

static void part_done(struct PlayedPart *p)
{
        mem_free(p->manager);
        mem_free(p->body);
}

static void object_free(PlayedObject *o)
{
        link_remove(&o->link);
        for (size_t i = 0; i < o->n_parts; i++)
                part_done(&o->parts[i]);
        mem_free(o->collection);
        mem_free(o->plural);
        mem_free(o->ns);
        mem_free(o->name);
        mem_free(o->spec);
        mem_free(o->core);
        mem_free(o->json);
        mem_free(o);
}

static void change_free(PlayedChange *c)
{
        link_remove(&c->link);
        mem_free(c->collection);
        mem_free(c->plural);
        mem_free(c->ns);
        mem_free(c->name);
        mem_free(c->json);
        mem_free(c);
}

void played_store_init(PlayedStore *s)
{
        *s = (PlayedStore){.version = 100};
        list_init(&s->objects);
        list_init(&s->changes);
}

void played_store_compact(PlayedStore *s)
{
        LIST_FOREACH (PlayedChange, c, &s->changes, link)
                change_free(c);
        s->compacted = s->version;
}

void played_store_done(PlayedStore *s)
{
        LIST_FOREACH (PlayedObject, o, &s->objects, link)
                object_free(o);
        played_store_compact(s);
}

static PlayedObject *find(const PlayedStore *s, const PlayedTarget *t)
{
        LIST_FOREACH (PlayedObject, o, &s->objects, link) {
                if (str_eq(t->name, str_of(o->name)) && str_eq(t->ns, str_of(o->ns)) &&
                    played_store_is_in(t, o->collection, o->plural, o->ns))
                        return o;
        }
        return NULL;
}

const PlayedObject *played_store_find(const PlayedStore *s, const PlayedTarget *t)
{
        return find(s, t);
}

static void note_change(PlayedStore *s, const PlayedObject *o, const char *type)
{
        PlayedChange *c = mem_new(sizeof(*c));

        c->version = o->version;
        c->type = type;
        c->collection = copy(str_of(o->collection));
        c->plural = copy(str_of(o->plural));
        c->ns = copy(str_of(o->ns));
        c->name = copy(str_of(o->name));
        c->json = copy(str_of(o->json));
        list_add(&s->changes, &c->link);
}

static PlayedObject *object_new(PlayedStore *s, const PlayedTarget *t, Wall now)
{
        PlayedObject *o = mem_new(sizeof(*o));

        o->collection = copy(t->collection);
        o->plural = copy(t->plural);
        o->ns = copy(t->ns);
        o->name = copy(t->name);
        o->created = now;
        snprintf(o->uid, sizeof(o->uid), "00000000-0000-4000-8000-%012llu",
                 (unsigned long long)++s->uids);
        list_add(&s->objects, &o->link);
        return o;
}

/* ---- writes ---- */

static void set_part(PlayedObject *o, const PlayedWrite *w, bool is_status)
{
        size_t i = 0;

        while (i < o->n_parts && (o->parts[i].is_status != is_status ||
                                  !str_eq(w->manager, str_of(o->parts[i].manager))))
                i++;
        INSIST(i < PLAYED_PARTS_MAX);
        if (i < o->n_parts)
                part_done(&o->parts[i]);
        else
                o->n_parts++;
        /* It is the last one now: what it says wins. */
        memmove(&o->parts[i], &o->parts[i + 1], (o->n_parts - 1 - i) * sizeof(o->parts[0]));
        o->parts[o->n_parts - 1] = (struct PlayedPart){copy(w->manager), copy(w->body), is_status};
}

/* All of it is this body now, but for the status where that is written by itself. */
static void set_all(PlayedObject *o, const PlayedWrite *w, bool is_status)
{
        size_t kept = 0;

        for (size_t i = 0; i < o->n_parts; i++) {
                if (o->parts[i].is_status == is_status)
                        part_done(&o->parts[i]);
                else
                        o->parts[kept++] = o->parts[i];
        }
        o->n_parts = kept;
        set_part(o, w, is_status);
}

/* Makes the texts anew; false where nothing is another. */
static bool refresh(PlayedStore *s, PlayedObject *o)
{
        Parts p;
        bool is_new = o->core == NULL;

        parts_of(o, &p);
        char *spec = text_of(o, &p, false, false, false);
        char *core = text_of(o, &p, true, true, false);
        bool same = !is_new && strcmp(core, o->core) == 0;

        if (is_new || strcmp(spec, o->spec) != 0)
                o->generation++;
        mem_free(o->spec);
        mem_free(o->core);
        o->spec = spec;
        o->core = core;
        if (!same) {
                o->version = ++s->version;
                mem_free(o->json);
                o->json = text_of(o, &p, true, true, true);
                note_change(s, o, is_new ? "ADDED" : "MODIFIED");
        }
        arena_done(&p.arena);
        return !same;
}

static bool meets_conditions(const PlayedObject *o, const Tree *body)
{
        const Tree *meta = tree_get(body, STR("metadata"));
        Str uid = tree_get_str(meta, STR("uid"));
        Str version = tree_get_str(meta, STR("resourceVersion"));
        char text[24];

        if (o == NULL)
                return uid.n == 0 && version.n == 0;
        snprintf(text, sizeof(text), "%llu", (unsigned long long)o->version);
        return (uid.n == 0 || str_eq(uid, str_of(o->uid))) &&
               (version.n == 0 || str_eq(version, str_of(text)));
}

unsigned played_store_write(PlayedStore *s, const PlayedWrite *w, const PlayedObject **ret)
{
        Arena arena;
        Err err = {0};
        bool is_status = str_eq(w->target.sub, STR("status"));
        PlayedObject *o = find(s, &w->target);
        unsigned status = o != NULL ? 200 : 201;

        arena_init(&arena, 0);
        const Tree *body = json_read(&arena, w->body, NULL, &err);
        if (body == NULL)
                status = 400;
        else if (o == NULL && (is_status || (w->manager.n == 0 && !w->create)))
                status = 404;
        else if ((o != NULL && w->create) || !meets_conditions(o, body))
                status = 409;
        arena_done(&arena);
        if (status > 201)
                return status;
        if (o == NULL)
                o = object_new(s, &w->target, w->now);
        if (w->manager.n == 0)
                set_all(o, w, is_status);
        else
                set_part(o, w, is_status);
        IGNORE(refresh(s, o), "a write that changes nothing is one, too");
        *ret = o;
        return status;
}

/* What has `uid` for an owner goes as well. */
static PlayedObject *owned_by(const PlayedStore *s, const char *uid)
{
        char owner[64];

        snprintf(owner, sizeof(owner), "\"uid\":\"%s\"", uid);
        LIST_FOREACH (PlayedObject, o, &s->objects, link) {
                const char *at = strstr(o->json, "\"ownerReferences\"");

                if (at != NULL && strstr(at, owner) != NULL && strcmp(o->uid, uid) != 0)
                        return o;
        }
        return NULL;
}

static void remove_object(PlayedStore *s, PlayedObject *o)
{
        char uid[sizeof(o->uid)];
        PlayedObject *child;

        memcpy(uid, o->uid, sizeof(uid));
        o->version = ++s->version;
        note_change(s, o, "DELETED");
        object_free(o);
        while ((child = owned_by(s, uid)) != NULL)
                remove_object(s, child);
}

unsigned played_store_delete(PlayedStore *s, const PlayedWrite *w)
{
        PlayedObject *o = find(s, &w->target);

        if (o == NULL)
                return 404;
        if (w->uid.n > 0 && !str_eq(w->uid, str_of(o->uid)))
                return 409;
        remove_object(s, o);
        return 200;
}

/* Its owner's uid; false where it has none. One owner, as all of ours have. */
static bool owner_of(const PlayedObject *o, char ret[sizeof(o->uid)])
{
        const char *at = strstr(o->json, "\"ownerReferences\"");

        at = at != NULL ? strstr(at, "\"uid\":\"") : NULL;
        if (at == NULL)
                return false;
        snprintf(ret, sizeof(o->uid), "%.*s", (int)strcspn(at + 7, "\""), at + 7);
        return true;
}

static PlayedObject *orphan(const PlayedStore *s)
{
        LIST_FOREACH (PlayedObject, o, &s->objects, link) {
                char owner[sizeof(o->uid)];
                bool is_there = !owner_of(o, owner);

                if (is_there)
                        continue;
                LIST_FOREACH (PlayedObject, other, &s->objects, link)
                        is_there |= strcmp(other->uid, owner) == 0;
                if (!is_there)
                        return o;
        }
        return NULL;
}

void played_store_collect(PlayedStore *s)
{
        PlayedObject *o;

        while ((o = orphan(s)) != NULL)
                remove_object(s, o);
}
