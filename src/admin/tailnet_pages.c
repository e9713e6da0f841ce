/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tailnet's members say beside `sources` is what the source says that presence comes from:
 * the control server or file, or the tailscaled where that is all there is.
 *
 * Metrics: each family is a row of a table: its name, help, and the function that gives the value
 * of one object, so that HELP and TYPE stand once and a new metric is one line.
 */
#include "admin/tailnet_pages.h"

#include "admin/exposition.h"
#include "model/tailnet_status.h"

/* ---- /state ---- */

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

static void put_tailnet(JsonWriter *w, const TailnetStatus *s, Wall now)
{
        static const TailnetState nothing = {0};
        const TailnetState *state = s->state != NULL ? s->state : &nothing;
        json_object_begin(w);
        json_key_str(w, STR("namespace"), s->spec->meta.key.namespace);
        json_key_str(w, STR("name"), s->spec->meta.key.name);
        json_key_str(w, STR("source"), source_of(s->spec));
        json_key_str(w, STR("sync"), tailnet_status_sync(s, now));
        Condition conditions[TAILNET_CONDITIONS];
        tailnet_status_conditions(s, now, conditions);
        conditions_put(w, conditions, TAILNET_CONDITIONS_SHOWN);
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
                TailnetStatus s = tailnet_status_of(v->world, v->facts, t);
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
        double (*value)(const TailnetStatus *s, Wall now);
} TailnetRow;

static double tailnet_stale(const TailnetStatus *s, Wall now)
{
        return tailnet_status_is_stale(s, now) ? 1 : 0;
}
static double tailnet_services(const TailnetStatus *s, Wall now)
{
        IGNORE(now, "what was told last");
        return s->state != NULL ? (double)table_n(s->state->services) : 0;
}
static double tailnet_next_key_expiry(const TailnetStatus *s, Wall now)
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
                        TailnetStatus s = tailnet_status_of(v->world, v->facts, t);
                        char buf[OBJECT_KEY_TEXT];
                        Label label = {"tailnet", object_key_text(t->meta.key, buf)};
                        exposition_double(out, row->name, &label, 1, row->value(&s, v->now));
                }
        }
}
