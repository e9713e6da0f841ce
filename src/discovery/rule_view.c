/* SPDX-License-Identifier: Apache-2.0 */
#include "discovery/rule_view.h"

#include "base/glob.h"
#include "discovery/port_choice.h"
#include "discovery/selection.h"

typedef struct Viewer {
        const DiscoveryRules *rules;
        const Device **found; /* devices, then Services in their form */
        size_t n_found, n_devices;
        Arena *arena;
        RuleView view;
} Viewer;

/* Does what `value` says match, by itself? `is_service`: it has no os and no owner. */
typedef bool RuleTest(const Device *d, bool is_service, const void *value);

static bool test_name(const Device *d, bool is_service, const void *value)
{
        (void)is_service;
        return selection_name_matches(*(const Str *)value, d);
}

static bool test_tag(const Device *d, bool is_service, const void *value)
{
        (void)is_service;
        return strlist_has(d->tags, *(const Str *)value);
}

static bool test_os(const Device *d, bool is_service, const void *value)
{
        return !is_service && glob_match(*(const Str *)value, d->os);
}

static bool test_owner(const Device *d, bool is_service, const void *value)
{
        return !is_service && glob_match(*(const Str *)value, d->user);
}

static bool test_port_tag(const Device *d, bool is_service, const void *value)
{
        PortChoice ignored;

        (void)is_service, (void)value;
        for (size_t i = 0; i < d->tags.n; i++)
                if (port_choice_parse_tag(d->tags.at[i], &ignored))
                        return true;
        return false;
}

static bool test_all(const Device *d, bool is_service, const void *value)
{
        (void)d, (void)is_service, (void)value;
        return true;
}

static void add(Viewer *v, Str field, Str value, RuleTest *test, const void *given)
{
        RuleMatch *m = &v->view.at[v->view.n++];
        size_t room = v->n_found < RULE_VIEW_NAMES_MAX ? v->n_found : RULE_VIEW_NAMES_MAX;
        Str *names = arena_new_array(v->arena, room, sizeof(*names));

        *m = (RuleMatch){.field = field, .value = value};
        for (size_t i = 0; i < v->n_found; i++) {
                if (!test(v->found[i], i >= v->n_devices, given))
                        continue;
                if (m->n < room)
                        names[m->n] = v->found[i]->name;
                m->n++;
        }
        m->names = (StrList){names, m->n < room ? m->n : room};
}

static void add_list(Viewer *v, const char *field, StrList list, RuleTest *test)
{
        for (size_t i = 0; i < list.n; i++)
                add(v, arena_printf(v->arena, "%s[%zu]", field, i), list.at[i], test, &list.at[i]);
}

static void add_groups(Viewer *v)
{
        for (size_t i = 0; i < v->rules->n_groups; i++) {
                const GroupRule *g = &v->rules->groups[i];
                bool by_name = g->pattern.n > 0;
                const Str *by = by_name ? &g->pattern : &g->tag;

                add(v, arena_printf(v->arena, "groups[%zu]", i),
                    arena_printf(v->arena, "%.*s: %.*s", STR_FMT(g->name), STR_FMT(*by)),
                    by_name ? test_name : test_tag, by);
        }
}

static void add_ports(Viewer *v)
{
        for (size_t i = 0; i < v->rules->n_ports; i++) {
                const PortRule *p = &v->rules->ports[i];
                bool by_name = p->pattern.n > 0;
                const Str *by = by_name ? &p->pattern : &p->tag;

                add(v, arena_printf(v->arena, "ports[%zu]", i), *by, by_name ? test_name : test_tag,
                    by);
        }
        add(v, STR("port tags"), STR("tag:<protocol>-<port>"), test_port_tag, NULL);
        if (v->rules->default_port != 0)
                add(v, STR("defaultPort"),
                    arena_printf(v->arena, "%u", (unsigned)v->rules->default_port), test_all, NULL);
}

/* Devices, and Services in the form of devices, so that one question fits both. */
static void collect(Viewer *v, const Table *devices, const Table *services, Str suffix)
{
        v->found =
                arena_new_array(v->arena, table_n(devices) + table_n(services), sizeof(*v->found));
        TABLE_FOREACH (Device, d, devices)
                v->found[v->n_found++] = d;
        v->n_devices = v->n_found;
        TABLE_FOREACH (TailnetService, s, services) {
                Device *d = ARENA_NEW(v->arena, Device);

                d->short_name = s->label;
                d->tags = s->tags;
                d->name = s->label;
                if (suffix.n > 0)
                        d->name = arena_printf(v->arena, "%.*s.%.*s", STR_FMT(s->label),
                                               STR_FMT(suffix));
                v->found[v->n_found++] = d;
        }
}

RuleView rule_view(const DiscoveryRules *rules, const Table *devices, const Table *services,
                   Str suffix, Arena *arena)
{
        size_t n = rules->patterns.n + rules->exclude_patterns.n + rules->tags.n +
                   rules->exclude_tags.n + rules->os.n + rules->owners.n + rules->n_groups +
                   rules->n_ports + 2;
        Viewer v = {.rules = rules, .arena = arena};

        v.view.at = arena_new_array(arena, n, sizeof(*v.view.at));
        collect(&v, devices, services, suffix);
        add_list(&v, "excludePatterns", rules->exclude_patterns, test_name);
        add_list(&v, "excludeTags", rules->exclude_tags, test_tag);
        add_list(&v, "patterns", rules->patterns, test_name);
        add_list(&v, "tags", rules->tags, test_tag);
        add_list(&v, "os", rules->os, test_os);
        add_list(&v, "owners", rules->owners, test_owner);
        add_groups(&v);
        add_ports(&v);
        return v.view;
}
