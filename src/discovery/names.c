/* SPDX-License-Identifier: Apache-2.0 */
#include "discovery/names.h"

#include "base/mem.h"

void names_init(Names *names, Arena *arena)
{
        *names = (Names){.arena = arena};
        map_init(&names->by_service);
        map_init(&names->members);
        map_init(&names->seen);
}

void names_done(Names *names)
{
        mem_free(names->at);
        map_done(&names->by_service);
        map_done(&names->members);
        map_done(&names->seen);
}

static void add(Names *names, Candidate *c)
{
        if (names->n == names->room) {
                names->room = names->room > 0 ? names->room * 2 : 64;
                names->at = mem_resize(names->at, names->room * sizeof(Candidate *));
        }
        names->at[names->n++] = c;
}

/* What a machine that is enrolled again has in common with what it was, in a group. */
static Str member_key(const Names *names, const Candidate *c)
{
        char label[SERVICE_LABEL_MAX];

        return arena_printf(names->arena, "%.*s\n%.*s", STR_FMT(c->service),
                            STR_FMT(endpoint_service_label(c->device->short_name, label)));
}

Candidate *names_claim(Names *names, Candidate *c, const Candidate **ret_winner)
{
        Candidate *other = map_get(&names->by_service, c->service);
        bool wins = other == NULL || candidate_is_before(c, other);
        Candidate *loser = wins ? other : c;

        add(names, c);
        if (c->owner == CANDIDATE_OF_GROUP)
                map_put(&names->members, member_key(names, c), c);
        if (other != NULL && candidate_shares(c, other))
                return NULL;
        if (wins)
                map_put(&names->by_service, c->service, c);
        if (loser == NULL)
                return NULL;
        loser->lost = true;
        *ret_winner = wins ? c : other;
        return loser;
}

bool names_is_first(Names *names, const Endpoint *e)
{
        Str key =
                arena_printf(names->arena, "%.*s\n%.*s", STR_FMT(e->service), STR_FMT(e->node_id));

        if (map_get(&names->seen, key) != NULL)
                return false;
        map_put(&names->seen, key, names);
        return true;
}

bool names_remember(Names *names, Candidate *c)
{
        const Candidate *other = map_get(&names->by_service, c->service);

        if (other != NULL && !candidate_shares(c, other))
                return false;
        if (c->owner == CANDIDATE_OF_GROUP &&
            map_get(&names->members, member_key(names, c)) != NULL)
                return false;
        if (other == NULL)
                map_put(&names->by_service, c->service, c);
        add(names, c);
        return true;
}
