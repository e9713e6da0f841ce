/* SPDX-License-Identifier: Apache-2.0 */
#include "model/tailnet_status.h"

static Wall next_key_expiry(const World *w, ObjectKey tailnet)
{
        Wall next = {0};
        TABLE_FOREACH (EntryView, e, w->entries) {
                Wall t = e->next_key_expiry;
                bool is_of_it = str_eq(e->gateway.namespace, tailnet.namespace) &&
                                str_eq(e->source, tailnet.name);
                if (is_of_it && t.ms != 0 && (next.ms == 0 || t.ms < next.ms))
                        next = t;
        }
        return next;
}

TailnetStatus tailnet_status_of(const World *w, const Facts *f, const TailnetSpec *t)
{
        const TailnetFact *fact = facts_find_tailnet(f, t->meta.key);
        return (TailnetStatus){
                .spec = t,
                .state = table_find(w->tailnet_states, &t->meta.key, tailnet_state_find),
                .fact = fact,
                .presence = fact != NULL ? tailnet_fact_presence(fact) : NULL,
                .is_beyond = fact == NULL && f->n_tailnets >= FACTS_TAILNETS_MAX,
                .next_key_expiry = next_key_expiry(w, t->meta.key),
        };
}

bool tailnet_status_is_stale(const TailnetStatus *s, Wall now)
{
        const SourceFact *f = s->presence;
        bool is_failing = s->state != NULL && s->state->sync == SYNC_STALE;
        return is_failing && f != NULL && f->last_sync.ms != 0 &&
               now.ms - f->last_sync.ms > TAILNET_STALE_HOURS * INT64_C(3600000);
}

Str tailnet_status_sync(const TailnetStatus *s, Wall now)
{
        if (s->state == NULL || s->state->sync == SYNC_NEVER)
                return STR("NeverSynced");
        if (s->state->sync == SYNC_DONE)
                return STR("Synced");
        return tailnet_status_is_stale(s, now) ? STR("Stale") : STR("Failing");
}

/* What the administrator does not permit is refused before anybody is asked. */
static bool is_forbidden(const SourceFact *f)
{
        static const Str reasons[] = {STR_INIT("InsecureAPI"), STR_INIT("PathRefused"),
                                      STR_INIT("EnvRefused")};
        return f != NULL && f->kind == ERR_DENIED &&
               strlist_has((StrList){reasons, LENGTH_OF(reasons)}, str_of(f->reason));
}

/* A manifest that is not valid is not in force: who has read it tells of it. */
static Condition accepted_of(const TailnetStatus *s)
{
        if (is_forbidden(s->presence))
                return (Condition){.type = "Accepted",
                                   .status = "False",
                                   .reason = str_of(s->presence->reason),
                                   .message = str_of(s->presence->error)};
        return (Condition){.type = "Accepted", .status = "True", .reason = STR("Valid")};
}

/* A server that is not reached says nothing of the credential: it is what it was. */
static Condition authenticated_of(const TailnetStatus *s)
{
        const SourceFact *f = s->presence;
        bool is_api = s->spec->file_path.n == 0 && !tailnet_spec_is_local(s->spec);
        bool is_refused = f != NULL && !is_forbidden(f) &&
                          (f->kind == ERR_DENIED || (is_api && f->kind == ERR_MISSING));
        if (is_refused)
                return (Condition){.type = "Authenticated",
                                   .status = "False",
                                   .reason = str_of(f->reason),
                                   .message = str_of(f->error)};
        if (f != NULL && f->last_sync.ms != 0)
                return (Condition){
                        .type = "Authenticated", .status = "True", .reason = STR("Accepted")};
        return (Condition){
                .type = "Authenticated", .status = "Unknown", .reason = STR("NeverSynced")};
}

/* Who is asked and who is not, source/tailnet_choice.h decides. */
static const char too_many[] = "it is not asked: 256 TailscaleTailnets are at most, those that are "
                               "asked already, then the "
                               "oldest";
_Static_assert(FACTS_TAILNETS_MAX == 256, "as the text says");

static Condition synced_of(const TailnetStatus *s, Wall now)
{
        const SourceFact *f = s->presence;
        bool is_good = s->state != NULL && s->state->sync == SYNC_DONE;
        bool is_unknown = f == NULL || f->polls == 0;
        if (s->is_beyond)
                return (Condition){.type = "Synced",
                                   .status = "False",
                                   .reason = STR("TooManyTailnets"),
                                   .message = str_of(too_many)};
        return (Condition){.type = "Synced",
                           .status = is_good      ? "True"
                                     : is_unknown ? "Unknown"
                                                  : "False",
                           .reason = tailnet_status_sync(s, now),
                           .message = f != NULL ? str_of(f->error) : (Str){0}};
}

static Condition stale_of(const TailnetStatus *s, Wall now)
{
        if (tailnet_status_is_stale(s, now))
                return (Condition){.type = "Stale",
                                   .status = "True",
                                   .reason = STR("NoGoodAnswer"),
                                   .message = str_of(s->presence->error)};
        bool is_known = s->state != NULL && s->state->sync != SYNC_NEVER;
        return (Condition){.type = "Stale",
                           .status = "False",
                           .reason = is_known ? STR("Fresh") : STR("NeverSynced")};
}

void tailnet_status_conditions(const TailnetStatus *s, Wall now, Condition ret[TAILNET_CONDITIONS])
{
        ret[0] = accepted_of(s);
        ret[1] = authenticated_of(s);
        ret[2] = synced_of(s, now);
        ret[3] = stale_of(s, now);
        for (size_t i = 0; i < TAILNET_CONDITIONS; i++)
                ret[i].generation = s->spec->meta.generation;
}

static void put_scopes(DocWriter *d, Str scopes)
{
        size_t n = 0;
        Str head, left = scopes;
        while (left.n > 0) {
                IGNORE(str_cut(&left, ' ', &head), "the last one has none behind it");
                n += head.n > 0;
        }
        if (n == 0)
                return;
        doc_list(d, STR("scopes"), n);
        for (left = scopes; left.n > 0;) {
                IGNORE(str_cut(&left, ' ', &head), "the last one has none behind it");
                if (head.n > 0)
                        doc_item_str(d, head);
        }
        doc_list_end(d);
}

void tailnet_status_doc(DocWriter *d, const TailnetStatus *s,
                        const Condition conditions[TAILNET_CONDITIONS], Wall last_sync,
                        const ConditionPast *past)
{
        static const TailnetState nothing = {0};
        const TailnetState *state = s->state != NULL ? s->state : &nothing;
        doc_object(d, STR("status"));
        if (s->spec->meta.generation > 0)
                doc_u64(d, STR("observedGeneration"), (uint64_t)s->spec->meta.generation);
        doc_wall(d, STR("lastSync"), last_sync);
        doc_u64(d, STR("devices"), state->n_devices);
        doc_u64(d, STR("services"), table_n(state->services));
        doc_optional_str(d, STR("magicDNSSuffix"), state->suffix);
        put_scopes(d, state->scopes);
        doc_wall(d, STR("nextKeyExpiry"), s->next_key_expiry);
        conditions_doc(d, conditions, TAILNET_CONDITIONS, past);
        doc_object_end(d);
}
