/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tailnet's members say beside `sources` is what the source says that presence comes from:
 * the control server or file, or the tailscaled where that is all there is.
 *
 * Metrics: each family is a row of a table: its name, help, and the function that gives the value
 * of one object, so that HELP and TYPE stand once and a new metric is one line.
 */
#include "admin/tailnet_pages.h"

#include "admin/condition.h"
#include "admin/exposition.h"

/* One tailnet, put together for both pages. */
typedef struct Shown {
        const TailnetSpec *spec;
        const TailnetState *state;  /* NULL: no poll has ended */
        const TailnetFact *fact;    /* NULL: it is not asked */
        const SourceFact *presence; /* of it */
        Wall next_key_expiry;       /* of the devices that any TailscaleGateway takes; 0: none */
} Shown;

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

static Shown shown_of(const AdminView *v, const TailnetSpec *t)
{
        const TailnetFact *f = facts_find_tailnet(v->facts, t->meta.key);
        return (Shown){
                .spec = t,
                .state = table_find(v->world->tailnet_states, &t->meta.key, tailnet_state_find),
                .fact = f,
                .presence = f != NULL ? tailnet_fact_presence(f) : NULL,
                .next_key_expiry = next_key_expiry(v->world, t->meta.key),
        };
}

static bool is_stale(const Shown *s, Wall now)
{
        const SourceFact *f = s->presence;
        bool is_failing = s->state != NULL && s->state->sync == SYNC_STALE;
        return is_failing && f != NULL && f->last_sync.ms != 0 &&
               now.ms - f->last_sync.ms > TAILNET_STALE_HOURS * INT64_C(3600000);
}

/* ---- /state ---- */

static Str sync_name(const Shown *s, Wall now)
{
        if (s->state == NULL || s->state->sync == SYNC_NEVER)
                return STR("NeverSynced");
        if (s->state->sync == SYNC_DONE)
                return STR("Synced");
        return is_stale(s, now) ? STR("Stale") : STR("Failing");
}

static Str source_of(const TailnetSpec *t)
{
        if (t->file_path.n > 0)
                return t->file_path;
        return tailnet_spec_is_local(t) ? t->local_socket : t->api_url;
}

static void put_polls(JsonWriter *w, const SourceFact *f)
{
        json_key_wall(w, STR("lastSync"), f->last_sync);
        json_key_wall(w, STR("lastAttempt"), f->last_attempt);
        json_key_wall(w, STR("nextPoll"), f->next);
        json_key_u64(w, STR("polls"), f->polls);
        json_key_u64(w, STR("failures"), f->failures);
        json_key_u64(w, STR("failuresInARow"), f->failures_in_a_row);
        json_key_u64(w, STR("triggers"), f->triggers);
        json_key_u64(w, STR("invalidDevices"), f->invalid);
        json_key_str(w, STR("invalidText"), str_of(f->invalid_text));
        json_key_u64(w, STR("bytes"), f->bytes);
        json_key(w, STR("seconds"));
        json_double(w, f->seconds);
        json_key_str(w, STR("reason"), str_of(f->reason));
        json_key_str(w, STR("error"), str_of(f->error));
}

static void put_source(JsonWriter *w, const SourceFact *f)
{
        if (f->name == NULL)
                return;
        json_object_begin(w);
        json_key_str(w, STR("name"), str_of(f->name));
        json_key_str(w, STR("via"), str_of(f->via != NULL ? f->via : ""));
        json_key_u64(w, STR("devices"), f->devices);
        put_polls(w, f);
        json_object_end(w);
}

/* A server that is not reached says nothing of the credential: it is what it was. */
static Condition authenticated_of(const Shown *s)
{
        const SourceFact *f = s->presence;
        bool is_api = s->spec->file_path.n == 0 && !tailnet_spec_is_local(s->spec);
        bool is_refused =
                f != NULL && (f->kind == ERR_DENIED || (is_api && f->kind == ERR_MISSING));
        if (is_refused)
                return (Condition){"Authenticated", "False", str_of(f->reason), str_of(f->error)};
        if (f != NULL && f->last_sync.ms != 0)
                return (Condition){"Authenticated", "True", STR("Accepted"), {0}};
        return (Condition){"Authenticated", "Unknown", STR("NeverSynced"), {0}};
}

static Condition synced_of(const Shown *s, Wall now)
{
        const SourceFact *f = s->presence;
        Str message = f != NULL ? str_of(f->error) : (Str){0};
        Str name = sync_name(s, now);
        bool is_good = s->state != NULL && s->state->sync == SYNC_DONE;
        bool is_unknown = f == NULL || f->polls == 0;
        return (Condition){"Synced",
                           is_good      ? "True"
                           : is_unknown ? "Unknown"
                                        : "False",
                           name, message};
}

/* A manifest that is not accepted is not in force: `validate` and the fault of the directory tell
 * of it. */
static void put_conditions(JsonWriter *w, const Shown *s, Wall now)
{
        const Condition all[] = {
                {"Accepted", "True", STR("Valid"), {0}},
                authenticated_of(s),
                synced_of(s, now),
        };
        conditions_put(w, all, LENGTH_OF(all));
}

static void put_tailnet(JsonWriter *w, const Shown *s, Wall now)
{
        static const TailnetState nothing = {0};
        const TailnetState *state = s->state != NULL ? s->state : &nothing;
        json_object_begin(w);
        json_key_str(w, STR("namespace"), s->spec->meta.key.namespace);
        json_key_str(w, STR("name"), s->spec->meta.key.name);
        json_key_str(w, STR("source"), source_of(s->spec));
        json_key_str(w, STR("sync"), sync_name(s, now));
        put_conditions(w, s, now);
        json_key_u64(w, STR("devices"), state->n_devices);
        json_key_u64(w, STR("services"), table_n(state->services));
        json_key_str(w, STR("magicDNSSuffix"), state->suffix);
        json_key_str(w, STR("scopes"), state->scopes);
        json_key_str(w, STR("warning"), state->warning);
        json_key_wall(w, STR("nextKeyExpiry"), s->next_key_expiry);
        if (s->fact != NULL) {
                const char *via = s->presence->via;
                json_key_str(w, STR("via"), str_of(via != NULL ? via : ""));
                put_polls(w, s->presence);
                json_key_array_begin(w, STR("sources"));
                for (SourceRole role = 0; role < SOURCE_ROLES; role++)
                        put_source(w, &s->fact->sources[role]);
                json_array_end(w);
        }
        json_object_end(w);
}

void tailnet_pages_state(const AdminView *v, JsonWriter *w)
{
        json_key_array_begin(w, STR("tailnets"));
        TABLE_FOREACH (TailnetSpec, t, v->world->tailnets) {
                Shown s = shown_of(v, t);
                put_tailnet(w, &s, v->now);
        }
        json_array_end(w);
}

/* ---- /metrics ---- */

typedef struct SourceRow {
        const char *name, *type, *help;
        double (*value)(const SourceFact *f);
} SourceRow;

static double source_up(const SourceFact *f)
{
        return f->last_sync.ms != 0 && f->failures_in_a_row == 0 ? 1 : 0;
}
static double source_last_sync(const SourceFact *f)
{
        return (double)f->last_sync.ms / 1000;
}
static double source_devices(const SourceFact *f)
{
        return (double)f->devices;
}
static double source_invalid(const SourceFact *f)
{
        return (double)f->invalid;
}
static double source_polls(const SourceFact *f)
{
        return (double)f->polls;
}
static double source_failures(const SourceFact *f)
{
        return (double)f->failures;
}
static double source_triggers(const SourceFact *f)
{
        return (double)f->triggers;
}
static double source_seconds(const SourceFact *f)
{
        return f->seconds;
}

static const SourceRow source_rows[] = {
        {"tailscale_gateway_tailnet_up", "gauge", "1 where the last poll of the source was good.",
         source_up},
        {"tailscale_gateway_tailnet_last_sync_timestamp_seconds", "gauge",
         "Time of the last good answer, 0 where there was none.", source_last_sync},
        {"tailscale_gateway_tailnet_devices", "gauge", "Devices in the last good answer.",
         source_devices},
        {"tailscale_gateway_tailnet_invalid_devices", "gauge",
         "Devices of the last good answer that could not be understood.", source_invalid},
        {"tailscale_gateway_tailnet_polls_total", "counter", "Polls that ended.", source_polls},
        {"tailscale_gateway_tailnet_poll_failures_total", "counter", "Polls that failed.",
         source_failures},
        {"tailscale_gateway_tailnet_triggers_total", "counter",
         "Times that a poll was asked for before its time.", source_triggers},
        {"tailscale_gateway_tailnet_poll_duration_seconds", "gauge", "How long the last poll took.",
         source_seconds},
};

static void put_source_row(const AdminView *v, const SourceRow *row, Buf *out)
{
        exposition_family(out, row->name, row->type, row->help);
        for (size_t i = 0; i < v->facts->n_tailnets; i++) {
                const TailnetFact *t = &v->facts->tailnets[i];
                char buf[OBJECT_KEY_TEXT];
                Str tailnet = object_key_text(t->key, buf);
                for (SourceRole role = 0; role < SOURCE_ROLES; role++) {
                        const SourceFact *f = &t->sources[role];
                        if (f->name == NULL)
                                continue;
                        Label labels[] = {{"tailnet", tailnet}, {"source", str_of(f->name)}};
                        exposition_double(out, row->name, labels, LENGTH_OF(labels), row->value(f));
                }
        }
}

typedef struct TailnetRow {
        const char *name, *help;
        double (*value)(const Shown *s, Wall now);
} TailnetRow;

static double tailnet_stale(const Shown *s, Wall now)
{
        return is_stale(s, now) ? 1 : 0;
}
static double tailnet_services(const Shown *s, Wall now)
{
        IGNORE(now, "what was told last");
        return s->state != NULL ? (double)table_n(s->state->services) : 0;
}
static double tailnet_next_key_expiry(const Shown *s, Wall now)
{
        IGNORE(now, "a time, not an age");
        return (double)s->next_key_expiry.ms / 1000;
}

static const TailnetRow tailnet_rows[] = {
        {"tailscale_gateway_tailnet_stale",
         "1 where the source that says which devices are there has failed for 24 hours.",
         tailnet_stale},
        {"tailscale_gateway_tailnet_services", "Tailscale Services that were found.",
         tailnet_services},
        {"tailscale_gateway_tailnet_next_key_expiry_timestamp_seconds",
         "Time at which the first key of the devices taken expires, 0 where none does.",
         tailnet_next_key_expiry},
};

void tailnet_pages_metrics(const AdminView *v, Buf *out)
{
        for (size_t i = 0; i < LENGTH_OF(source_rows); i++)
                put_source_row(v, &source_rows[i], out);
        for (size_t i = 0; i < LENGTH_OF(tailnet_rows); i++) {
                const TailnetRow *row = &tailnet_rows[i];
                exposition_family(out, row->name, "gauge", row->help);
                TABLE_FOREACH (TailnetSpec, t, v->world->tailnets) {
                        Shown s = shown_of(v, t);
                        char buf[OBJECT_KEY_TEXT];
                        Label label = {"tailnet", object_key_text(t->meta.key, buf)};
                        exposition_double(out, row->name, &label, 1, row->value(&s, v->now));
                }
        }
}
