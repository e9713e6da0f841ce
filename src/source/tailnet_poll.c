/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Presence is one source's to say: the primary's (control server or file), or the tailscaled's
 * where that is the only one. A tailscaled beside a primary adds what merge.h says, and its news
 * are a reason to ask the primary early.
 *
 * Invariants:
 * 1. There is an asker for each source of the spec, at least one.
 * 2. `state` changes only when something changed that others see (devices, sync state, error, …) or
 * a poll was counted. What moves with every poll (last sync, counts) is a Fact.
 * 3. The removal guard counts by state->poll, so that moves by good answers of the source that
 * presence comes from, once a pollInterval at most: a bus that chatters must not confirm a removal
 * within a second.
 * 4. A failure removes no device.
 * 5. A tailscaled of another tailnet is not listened to: addresses there are others' devices.
 */
#include "source/tailnet_poll.h"

#include "base/mem.h"
#include "discovery/merge.h"
#include "source/asker.h"
#include "source/pace.h"

#include <stdio.h>

struct TailnetPoll {
        TailnetPollInput in;
        const TailnetSpec *spec;
        const SecretSpec *secret; /* may be NULL */
        Asker *askers[SOURCE_ROLES];
        const Table *netmap; /* the last good one beside a primary, or NULL */
        uint64_t poll;       /* good answers of the source of presence that were counted */
        Mono counted;        /* when the last of them was */
        bool is_foreign;     /* the tailscaled beside a primary is in another tailnet */
        const TailnetState *state;
};

/* ---- what is known ---- */

/* Never NULL. */
static Asker *presence_of(const TailnetPoll *p)
{
        Asker *primary = p->askers[SOURCE_PRIMARY];
        return primary != NULL ? primary : p->askers[SOURCE_LOCAL];
}

/* The tailscaled beside a primary, or NULL. */
static Asker *beside_of(const TailnetPoll *p)
{
        return p->askers[SOURCE_PRIMARY] != NULL ? p->askers[SOURCE_LOCAL] : NULL;
}

/* Headscale counts its nodes: the same small number is a node of every tailnet of a Headscale. */
static bool is_number(Str id)
{
        for (size_t i = 0; i < id.n; i++) {
                if (id.p[i] < '0' || id.p[i] > '9')
                        return false;
        }
        return true;
}

/* The same machine, not just the same number. */
static bool has_machine(const Table *devices, const Device *d)
{
        const Device *same = table_find(devices, &d->node_id, device_find);
        return same != NULL &&
               (!is_number(d->node_id) || str_eq_fold(same->short_name, d->short_name));
}

/*
 * Neither its own node nor any that it sees is in the primary's list, which has all of a tailnet.
 * It is found out where both have answered; while one fails what was found holds.
 */
static bool is_foreign(const TailnetPoll *p)
{
        const Asker *first = presence_of(p), *beside = beside_of(p);
        if (beside == NULL)
                return false;
        const Table *devices = asker_answer(first)->devices;
        const TailnetAnswer *a = asker_answer(beside);
        if (!asker_is_good(first) || !asker_is_good(beside) || table_n(devices) == 0)
                return p->is_foreign;
        Str self = str_of(a->self_node);
        bool has_self = table_find(devices, &self, device_find) != NULL;
        if (self.n == 0 || (has_self && (!is_number(self) || table_n(a->devices) == 0)))
                return false;
        TABLE_FOREACH (Device, d, a->devices) {
                if (has_machine(devices, d))
                        return false;
        }
        return true;
}

/* The tailscaled beside a primary where it is of the same tailnet, or NULL. */
static Asker *second_opinion(const TailnetPoll *p)
{
        return p->is_foreign ? NULL : beside_of(p);
}

static Table *merged(const TailnetPoll *p)
{
        const Asker *first = presence_of(p), *beside = second_opinion(p);
        return merge_devices(&(MergeInput){
                .primary = asker_answer(first)->devices,
                .primary_good = asker_is_good(first),
                .local = beside != NULL ? asker_answer(beside)->devices : NULL,
                .local_good = beside != NULL && asker_is_good(beside),
                .before = p->state != NULL ? p->state->devices : NULL,
        });
}

/* The suffix that is given; else that which an answer tells; else what the full name of the first
 * device of the tailnet's own (by order) ends in. */
static Str found_suffix(const TailnetSpec *spec, const TailnetAnswer *first,
                        const TailnetAnswer *beside, const Table *devices)
{
        if (spec->magic_dns_suffix.n > 0)
                return spec->magic_dns_suffix;
        if (first->suffix[0] != '\0')
                return str_of(first->suffix);
        if (beside->suffix[0] != '\0')
                return str_of(beside->suffix);
        TABLE_FOREACH (Device, d, devices) {
                ptrdiff_t dot = str_find(d->name, '.');
                if (!d->external && dot > 0)
                        return str_sub(d->name, (size_t)dot + 1, d->name.n);
        }
        return (Str){0};
}

/* What both warn of, in `buf`. */
static Str warning_of(const TailnetAnswer *first, const TailnetAnswer *beside, char *buf,
                      size_t room)
{
        bool both = first->warning[0] != '\0' && beside->warning[0] != '\0';
        IGNORE(snprintf(buf, room, "%s%s%s", first->warning, both ? "; " : "", beside->warning),
               "room for both");
        return str_of(buf);
}

static TailnetState *make_state(const TailnetPoll *p)
{
        static const TailnetAnswer nothing = {0};
        static const TailnetAnswer foreign = {
                .warning = "the tailscaled of localAPI is not asked: neither its own node nor any "
                           "that it sees is in the list; is it in another tailnet?"};
        const Asker *presence = presence_of(p), *other = second_opinion(p);
        const TailnetAnswer *first = asker_answer(presence);
        const TailnetAnswer *beside = other != NULL   ? asker_answer(other)
                                      : p->is_foreign ? &foreign
                                                      : &nothing;
        const Table *devices = merged(p);
        ObjectKey key = p->spec->meta.key;
        Str suffix = found_suffix(p->spec, first, beside, devices);
        Str reason = str_of(asker_error(presence)->reason);
        Str text = str_of(asker_error(presence)->text);
        Str self_node = str_of(first->self_node[0] != '\0' ? first->self_node : beside->self_node);
        char buf[sizeof first->warning + sizeof beside->warning + 2];
        Str warning = warning_of(first, beside, buf, sizeof buf);
        Str scopes = str_of(first->scopes);
        TailnetState *s = leaf_new(sizeof *s,
                                   leaf_room_str(key.namespace) + leaf_room_str(key.name) +
                                           leaf_room_str(suffix) + leaf_room_str(reason) +
                                           leaf_room_str(text) + leaf_room_str(self_node) +
                                           leaf_room_str(scopes) + leaf_room_str(warning),
                                   tailnet_state_drop);
        bool is_good = asker_is_good(presence);
        s->key.namespace = leaf_str(&s->leaf, key.namespace);
        s->key.name = leaf_str(&s->leaf, key.name);
        s->sync = devices == NULL ? SYNC_NEVER : is_good ? SYNC_DONE : SYNC_STALE;
        s->partial = !is_good;
        s->last_sync = asker_last_sync(presence);
        s->clock = asker_clock(presence)->at;
        s->clock_at = asker_clock(presence)->since;
        s->error_reason = leaf_str(&s->leaf, reason);
        s->error_text = leaf_str(&s->leaf, text);
        s->n_devices = table_n(devices);
        s->poll = p->poll;
        s->suffix = leaf_str(&s->leaf, suffix);
        s->self_node = leaf_str(&s->leaf, self_node);
        s->scopes = leaf_str(&s->leaf, scopes);
        s->warning = leaf_str(&s->leaf, warning);
        s->devices = devices;
        s->services = table_ref(first->services != NULL ? first->services : beside->services);
        s->services_partial = first->services == NULL && beside->services != NULL;
        return s;
}

/* ---- what was heard ---- */

/* Is this good answer one for the guard? No natural poll comes sooner than nine tenths of the
 * interval after the one before. */
static bool count(TailnetPoll *p)
{
        Mono now = loop_now(p->in.loop);
        Span apart = {p->spec->poll_interval.ns - p->spec->poll_interval.ns / 10};
        if (p->poll > 0 && mono_before(now, mono_add(p->counted, apart)))
                return false;
        p->counted = now;
        p->poll++;
        return true;
}

/* A tailscaled hears of a new machine in a moment, and its control server will tell of it. */
static void hear_netmap(TailnetPoll *p, const Asker *local)
{
        const Table *now = asker_answer(local)->devices;
        if (!asker_is_good(local) || local != second_opinion(p))
                return;
        if (merge_has_news(p->netmap, now))
                asker_trigger(p->askers[SOURCE_PRIMARY]);
        table_unref(p->netmap);
        p->netmap = table_ref(now);
}

static void on_asked(Asker *a)
{
        TailnetPoll *p = asker_owner(a);
        bool is_counted = a == presence_of(p) && asker_is_good(a) && count(p);
        p->is_foreign = is_foreign(p);
        hear_netmap(p, a);
        const TailnetState *now = make_state(p);
        if (p->state != NULL && !is_counted && tailnet_state_same(p->state, now)) {
                leaf_unref(now);
                return;
        }
        leaf_unref(p->state);
        p->state = now;
        p->in.fn(p);
}

/* ---- which are asked ---- */

static bool is_wanted(const TailnetSpec *s, SourceRole role)
{
        if (role == SOURCE_LOCAL)
                return s->local_socket.n > 0;
        return !tailnet_spec_is_local(s);
}

static TailnetOpenFn *open_of(const TailnetPollInput *in, SourceRole role)
{
        if (role == SOURCE_LOCAL)
                return in->open_local != NULL ? in->open_local : tailnet_source_open_local;
        return in->open != NULL ? in->open : tailnet_source_open;
}

static Asker *open_asker(TailnetPoll *p, SourceRole role, const SecretSpec *secret)
{
        AskerInput in = {
                .loop = p->in.loop,
                .log = p->in.log,
                .http = p->in.http,
                .facts = p->in.facts,
                .policy = p->in.policy,
                .role = role,
                .open = open_of(&p->in, role),
                .seed = p->in.seed + role,
                .fn = on_asked,
                .owner = p,
        };
        return asker_open(&in, p->spec, secret);
}

static void update_askers(TailnetPoll *p)
{
        for (SourceRole role = 0; role < SOURCE_ROLES; role++) {
                Asker **a = &p->askers[role];
                const SecretSpec *secret = role == SOURCE_PRIMARY ? p->secret : NULL;
                if (!is_wanted(p->spec, role))
                        *a = asker_close(*a);
                else if (*a == NULL)
                        *a = open_asker(p, role, secret);
                else
                        asker_update(*a, p->spec, secret);
        }
        if (beside_of(p) == NULL)
                p->netmap = table_unref(p->netmap);
}

TailnetPoll *tailnet_poll_open(const TailnetPollInput *in, const TailnetSpec *spec,
                               const SecretSpec *secret)
{
        TailnetPoll *p = mem_new(sizeof *p);
        p->in = *in;
        p->spec = leaf_ref(spec);
        p->secret = leaf_ref(secret);
        update_askers(p);
        return p;
}

void *tailnet_poll_owner(const TailnetPoll *p)
{
        return p->in.owner;
}

void tailnet_poll_update(TailnetPoll *p, const TailnetSpec *spec, const SecretSpec *secret)
{
        if (p->spec == spec && p->secret == secret)
                return;
        const TailnetSpec *old_spec = p->spec;
        const SecretSpec *old_secret = p->secret;
        p->spec = leaf_ref(spec);
        p->secret = leaf_ref(secret);
        update_askers(p);
        leaf_unref(old_spec);
        leaf_unref(old_secret);
}

void tailnet_poll_trigger(TailnetPoll *p)
{
        for (SourceRole role = 0; role < SOURCE_ROLES; role++) {
                if (p->askers[role] != NULL)
                        asker_trigger(p->askers[role]);
        }
}

const TailnetSpec *tailnet_poll_spec(const TailnetPoll *p)
{
        return p->spec;
}

const TailnetState *tailnet_poll_state(const TailnetPoll *p)
{
        return p->state;
}

TailnetPoll *tailnet_poll_close(TailnetPoll *p)
{
        if (p == NULL)
                return NULL;
        for (SourceRole role = 0; role < SOURCE_ROLES; role++)
                asker_close(p->askers[role]);
        facts_forget_tailnet(p->in.facts, p->spec->meta.key);
        table_unref(p->netmap);
        leaf_unref(p->state);
        leaf_unref(p->spec);
        leaf_unref(p->secret);
        return mem_free(p);
}
