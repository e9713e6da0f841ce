/* SPDX-License-Identifier: Apache-2.0 */
/* Each condition is looked at alone, in the order of their importance; the first gives the word. */
#include "discovery/device_health.h"

enum {
        DAY_MS = 24 * 60 * 60 * 1000,
        DATE_BYTES = 10, /* "2026-12-31" of a time */
};

/* What was found so far. */
typedef struct Findings {
        Arena *arena;
        DeviceHealth health;
        bool has_word;
} Findings;

static void add_text(Findings *f, Str word, Str text)
{
        Str before = f->health.text;

        if (word.n == 0)
                f->health.text = text;
        else
                f->health.text =
                        arena_printf(f->arena, "%.*s%s%.*s: %.*s", STR_FMT(before),
                                     before.n > 0 ? "; " : "", STR_FMT(word), STR_FMT(text));
}

static void find(Findings *f, bool holds, Str word, Str text)
{
        if (!holds)
                return;
        add_text(f, f->has_word ? word : (Str){0}, text);
        if (!f->has_word)
                f->health.word = word;
        f->has_word = true;
}

/* As find, of what makes it unusable. */
static void find_refusal(Findings *f, bool holds, Str word, Str text)
{
        find(f, holds, word, text);
        f->health.usable = f->health.usable && !holds;
}

static Str date_of(Arena *arena, Wall t)
{
        char text[WALL_TEXT];

        return arena_str(arena, str_sub(str_of(wall_format(t, text)), 0, DATE_BYTES));
}

static bool is_offline(const Device *d, Wall now)
{
        if (d->online != DEVICE_ONLINE_UNKNOWN)
                return d->online == DEVICE_OFFLINE;
        return d->last_seen.ms != 0 &&
               now.ms - d->last_seen.ms >= DEVICE_SEEN_MINUTES * INT64_C(60000);
}

static void find_contact(Findings *f, const Device *d, Wall now)
{
        char text[WALL_TEXT];

        if (!is_offline(d, now))
                return;
        if (d->last_seen.ms == 0)
                find(f, true, STR("Offline"), STR("it is not connected to the control server"));
        else
                find(f, true, STR("Offline"),
                     arena_printf(f->arena, "the control server has not seen it since %s",
                                  wall_format(d->last_seen, text)));
}

static void find_key(Findings *f, const Device *d, Wall now)
{
        if (d->expires.ms == 0 || d->expires.ms <= now.ms ||
            d->expires.ms - now.ms > DEVICE_KEY_WARNING_DAYS * INT64_C(1) * DAY_MS)
                return;
        find(f, true, STR("KeyExpiresSoon"),
             arena_printf(f->arena, "the device's key expires on %.*s",
                          STR_FMT(date_of(f->arena, d->expires))));
}

DeviceHealth device_health(const Device *d, Wall now, Arena *arena)
{
        Findings f = {.arena = arena, .health.usable = true};
        bool is_known = d->online != DEVICE_ONLINE_UNKNOWN || d->last_seen.ms != 0;

        find_refusal(&f, !d->authorized, STR("Unapproved"),
                     STR("the device is not approved in the tailnet"));
        find_refusal(&f, d->expires.ms != 0 && d->expires.ms <= now.ms && !d->still_valid,
                     STR("Expired"), STR("the device's key has expired"));
        find_refusal(&f, d->lock_error.n > 0, STR("Locked"), d->lock_error);
        find_refusal(&f, d->blocks_incoming, STR("ShieldsUp"),
                     STR("the device blocks incoming connections"));
        find(&f, d->sight == DEVICE_HIDDEN, STR("NotVisible"),
             STR("our tailscaled does not see it: the tailnet's policy does not let our proxy "
                 "reach it"));
        find_contact(&f, d, now);
        find(&f, d->multiple_connections, STR("MultipleConnections"),
             STR("two machines are connected with this device's key"));
        find_key(&f, d, now);
        if (!f.has_word) {
                f.health.word = is_known ? STR("Healthy") : STR("Unknown");
                f.has_word = true;
        }
        find(&f, d->external, STR("SharedIn"), STR("shared in from another tailnet"));
        return f.health;
}

DeviceHealth device_health_of_service(const TailnetService *s, const Table *devices, Wall now,
                                      Arena *arena)
{
        size_t n_off = 0;
        Str hosts;

        if (!s->hosts_known)
                return (DeviceHealth){true, STR("Unknown"), STR("its hosts are not known")};
        hosts = arena_printf(arena, "%zu of %llu hosts %s approved and ready", s->hosts.n,
                             (unsigned long long)s->n_hosts, s->hosts.n == 1 ? "is" : "are");
        if (s->hosts.n == 0)
                return (DeviceHealth){true, STR("NoServiceHost"), hosts};
        for (size_t i = 0; i < s->hosts.n; i++) {
                const Device *d = table_find(devices, &s->hosts.at[i], device_find);

                n_off += d != NULL && (is_offline(d, now) || !device_health(d, now, arena).usable);
        }
        if (n_off < s->hosts.n)
                return (DeviceHealth){true, STR("Healthy"), hosts};
        return (DeviceHealth){true, STR("Offline"),
                              arena_printf(arena, "%.*s, and none of them is seen or can be used",
                                           STR_FMT(hosts))};
}
