/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of the questions is the order in which a person would look: is it ours, is it excluded,
 * does each kind of rule that is given match. The first that refuses names itself.
 */
#include "discovery/selection.h"

#include "base/glob.h"

enum {
        TOLD_MAX = 4, /* of a list that did not match: the text is kept for each device */
};

bool selection_name_matches(Str pattern, const Device *d)
{
        return glob_match(pattern, str_find(pattern, '.') >= 0 ? d->name : d->short_name);
}

/* Index of the first pattern that matches, or -1. */
static ptrdiff_t match_name(StrList patterns, const Device *d)
{
        for (size_t i = 0; i < patterns.n; i++)
                if (selection_name_matches(patterns.at[i], d))
                        return (ptrdiff_t)i;
        return -1;
}

/* Index of the first of `tags` that the device has, or -1. */
static ptrdiff_t match_tag(StrList tags, const Device *d)
{
        for (size_t i = 0; i < tags.n; i++)
                if (strlist_has(d->tags, tags.at[i]))
                        return (ptrdiff_t)i;
        return -1;
}

static ptrdiff_t match_value(StrList globs, Str value)
{
        for (size_t i = 0; i < globs.n; i++)
                if (glob_match(globs.at[i], value))
                        return (ptrdiff_t)i;
        return -1;
}

static Verdict refuse(const char *reason, Str text)
{
        return (Verdict){false, str_of(reason), text};
}

static bool is_own(StrList own_nodes, const Device *d)
{
        for (size_t i = 0; i < own_nodes.n; i++)
                if (str_eq(own_nodes.at[i], d->node_id) ||
                    str_eq_fold(own_nodes.at[i], d->short_name))
                        return true;
        return false;
}

/* At most `max` bytes, whole characters. */
static Str cut(Str s, size_t max)
{
        size_t n = 0;
        while (n < s.n) {
                size_t next = str_utf8(str_sub(s, n, s.n));
                if (n + (next > 0 ? next : 1) > max)
                        break;
                n += next > 0 ? next : 1;
        }
        return str_sub(s, 0, n);
}

/* One kind of rule: nothing is asked where its list is empty. On a match adds to `rule`. */
typedef struct Question {
        const char *field; /* "patterns" */
        const char *word;  /* "pattern" */
        StrList list;
        ptrdiff_t match;
} Question;

static bool answer_no_such(const char *field, const char *what, StrList list, Arena *arena,
                           Verdict *refused)
{
        if (list.n == 0)
                return true;
        *refused = refuse("NotSelected",
                          arena_printf(arena, "%s: a Tailscale Service has no %s", field, what));
        return false;
}

/* "none of a, b, c and 2 more matches" */
static Str no_match(StrList list, Arena *arena)
{
        size_t n = list.n < TOLD_MAX ? list.n : TOLD_MAX;
        Str told = list.at[0];

        if (list.n == 1)
                return arena_printf(arena, "%.*s does not match", STR_FMT(told));
        for (size_t i = 1; i < n; i++)
                told = arena_printf(arena, "%.*s, %.*s", STR_FMT(told), STR_FMT(list.at[i]));
        if (list.n > n)
                told = arena_printf(arena, "%.*s and %zu more", STR_FMT(told), list.n - n);
        return arena_printf(arena, "none of %.*s matches", STR_FMT(told));
}

static bool answer(const Question *q, Arena *arena, Str *rule, Verdict *refused)
{
        if (q->list.n == 0)
                return true;
        if (q->match < 0) {
                *refused = refuse("NotSelected", arena_printf(arena, "%s: %.*s", q->field,
                                                              STR_FMT(no_match(q->list, arena))));
                return false;
        }
        *rule = arena_printf(arena, "%.*s%s%s %.*s", STR_FMT(*rule), rule->n > 0 ? ", " : "",
                             q->word, STR_FMT(q->list.at[q->match]));
        return true;
}

/* What only a device has. */
static bool answer_for_machine(const DiscoveryRules *rules, const Device *d, SelectionOf of,
                               Arena *arena, Verdict *v)
{
        const Question os = {"os", "os", rules->os, match_value(rules->os, d->os)};
        const Question owner = {"owners", "owner", rules->owners,
                                match_value(rules->owners, d->user)};

        if (of == SELECTION_OF_REMEMBERED)
                return true;
        if (of == SELECTION_OF_SERVICE)
                return answer_no_such("os", "operating system", rules->os, arena, v) &&
                       answer_no_such("owners", "owner", rules->owners, arena, v);
        return answer(&os, arena, &v->text, v) && answer(&owner, arena, &v->text, v);
}

ptrdiff_t selection_group(const DiscoveryRules *rules, const Device *d)
{
        for (size_t i = 0; i < rules->n_groups; i++) {
                const GroupRule *g = &rules->groups[i];

                if (g->pattern.n > 0 ? selection_name_matches(g->pattern, d)
                                     : strlist_has(d->tags, g->tag))
                        return (ptrdiff_t)i;
        }
        return -1;
}

Verdict selection_judge(const DiscoveryRules *rules, StrList own_nodes, const Device *d,
                        SelectionOf of, Arena *arena)
{
        ptrdiff_t name = match_name(rules->exclude_patterns, d);
        ptrdiff_t tag = match_tag(rules->exclude_tags, d);
        const Question questions[] = {
                {"patterns", "pattern", rules->patterns, match_name(rules->patterns, d)},
                {"tags", "tag", rules->tags, match_tag(rules->tags, d)},
        };
        Verdict v = {true, {0}, {0}};

        if (of != SELECTION_OF_SERVICE && is_own(own_nodes, d))
                return refuse("OwnNode", STR("a proxy of ours is never taken"));
        if (name >= 0)
                return refuse("Excluded",
                              arena_printf(arena, "excludePatterns[%td] %.*s matches", name,
                                           STR_FMT(rules->exclude_patterns.at[name])));
        if (tag >= 0)
                return refuse("Excluded", arena_printf(arena, "excludeTags[%td] %.*s matches", tag,
                                                       STR_FMT(rules->exclude_tags.at[tag])));
        for (size_t i = 0; i < LENGTH_OF(questions); i++)
                if (!answer(&questions[i], arena, &v.text, &v))
                        return v;
        if (!answer_for_machine(rules, d, of, arena, &v))
                return v;
        if (v.text.n == 0)
                v.text = STR("no pattern");
        v.text = cut(v.text, SELECTION_RULE_MAX);
        return v;
}
