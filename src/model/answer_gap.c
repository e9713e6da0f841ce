/* SPDX-License-Identifier: Apache-2.0 */
#include "model/answer_gap.h"

enum {
        STRINGS = 7 /* of a gap */
};

/* The strings of a gap, in one place: copied, compared. */
static size_t strings_of(const AnswerGap *g, Str ret[STRINGS])
{
        const Str all[STRINGS] = {g->listener, g->namespace, g->host, g->path,
                                  g->cluster,  g->winner,    g->where};

        memcpy(ret, all, sizeof(all));
        return LENGTH_OF(all);
}

static bool is_same_gap(const AnswerGap *a, const AnswerGap *b)
{
        Str x[STRINGS], y[STRINGS];
        size_t n = strings_of(a, x);

        strings_of(b, y);
        for (size_t i = 0; i < n; i++)
                if (!str_eq(x[i], y[i]))
                        return false;
        return a->reason == b->reason && a->paths == b->paths && a->catch_all == b->catch_all &&
               a->partly == b->partly && a->n == b->n;
}

void gap_notes_add(GapNotes *notes, const AnswerGap *gap)
{
        notes->total += gap->n;
        notes->by_reason[gap->reason] += gap->n;
        if (notes->n < ANSWER_GAPS_MAX)
                notes->at[notes->n++] = *gap;
}

static bool is_same(const AnswerGaps *gaps, const GapNotes *notes)
{
        if (gaps->n != notes->n || gaps->total != notes->total ||
            memcmp(gaps->by_reason, notes->by_reason, sizeof(gaps->by_reason)) != 0)
                return false;
        for (size_t i = 0; i < notes->n; i++)
                if (!is_same_gap(&gaps->at[i], &notes->at[i]))
                        return false;
        return true;
}

static AnswerGaps *copy(const GapNotes *notes)
{
        AnswerGaps *gaps;
        AnswerGap *at;
        size_t room = (notes->n + 1) * sizeof(*at);
        Str s[STRINGS];

        for (size_t i = 0; i < notes->n; i++)
                for (size_t j = strings_of(&notes->at[i], s); j-- > 0;)
                        room += leaf_room_str(s[j]);
        gaps = leaf_new(sizeof(*gaps), room, NULL);
        at = leaf_alloc(&gaps->leaf, (notes->n + 1) * sizeof(*at));
        for (size_t i = 0; i < notes->n; i++) {
                const AnswerGap *from = &notes->at[i];

                at[i] = *from;
                at[i].listener = leaf_str(&gaps->leaf, from->listener);
                at[i].namespace = leaf_str(&gaps->leaf, from->namespace);
                at[i].host = leaf_str(&gaps->leaf, from->host);
                at[i].path = leaf_str(&gaps->leaf, from->path);
                at[i].cluster = leaf_str(&gaps->leaf, from->cluster);
                at[i].winner = leaf_str(&gaps->leaf, from->winner);
                at[i].where = leaf_str(&gaps->leaf, from->where);
        }
        gaps->at = at;
        gaps->n = notes->n;
        gaps->total = notes->total;
        memcpy(gaps->by_reason, notes->by_reason, sizeof(gaps->by_reason));
        return gaps;
}

const AnswerGaps *answer_gaps_update(const AnswerGaps *before, const GapNotes *notes)
{
        const AnswerGaps *now;

        if (before != NULL && is_same(before, notes))
                return before;
        now = notes->total > 0 ? copy(notes) : NULL;
        leaf_unref(before);
        return now;
}

uint64_t answer_gaps_total(const AnswerGaps *gaps)
{
        return gaps != NULL ? gaps->total : 0;
}

static bool agrees(Str wanted, Str has)
{
        return wanted.n == 0 || str_eq(wanted, has);
}

bool gap_covers(const AnswerGap *gap, const RouteReport *row)
{
        if (gap->host.n > 0 && gap->paths != (row->path.n > 0))
                return false;
        if (gap->host.n > 0 && gap->paths && gap->catch_all != row->catch_all)
                return false;
        return agrees(gap->listener, row->listener) &&
               agrees(gap->namespace, row->gateway.namespace) && agrees(gap->host, row->host) &&
               agrees(gap->path, row->path) && agrees(gap->cluster, row->cluster);
}

const AnswerGap *answer_gaps_find(const AnswerGaps *gaps, const RouteReport *row)
{
        const AnswerGap *found = NULL;

        for (size_t i = 0; gaps != NULL && row->programmed && i < gaps->n; i++) {
                if (!gap_covers(&gaps->at[i], row))
                        continue;
                if (!gaps->at[i].partly)
                        return &gaps->at[i];
                found = found != NULL ? found : &gaps->at[i];
        }
        return found;
}

Str gap_reason_name(GapReason reason)
{
        static const Str names[GAP_REASONS] = {
                [GAP_HOST_TAKEN] = STR_INIT("Conflicted"),
                [GAP_PATH_TAKEN] = STR_INIT("PathTaken"),
                [GAP_CLUSTER_TAKEN] = STR_INIT("ClusterTaken"),
                [GAP_AUTH] = STR_INIT("AuthNotInherited"),
                [GAP_OTHER_NAMESPACE] = STR_INIT("OtherNamespace"),
                [GAP_NO_PATH_HOST] = STR_INIT("NoPathHost"),
                [GAP_GENERATED_HOST] = STR_INIT("GeneratedHost"),
                [GAP_TOO_MANY] = STR_INIT("TooManyRoutes"),
                [GAP_NO_ROUTES] = STR_INIT("NoRouteConfiguration"),
                [GAP_NO_LISTENER] = STR_INIT("NoListener"),
        };

        return names[reason];
}

static void auth_text(const AnswerGap *g, Buf *out)
{
        if (!g->paths || (g->catch_all && g->where.n == 0))
                buf_printf(out,
                           "all routes of listener %.*s carry authentication, which %s would not "
                           "have; sectionName must name the listener",
                           STR_FMT(g->listener), g->paths ? "paths" : "the host");
        else
                buf_printf(out,
                           "routes of host %.*s carry authentication, which paths would not have; "
                           "%s",
                           STR_FMT(g->where),
                           g->catch_all ? "sectionName must name the listener"
                                        : "pathHosts must name it exactly");
}

/* "tailscale/<direction>/<namespace>/<name>/<tailnet>/<service>/…" */
static void winner_text(const AnswerGap *g, Buf *out)
{
        Str rest = g->winner, part[6] = {0};

        for (size_t i = 0; i < LENGTH_OF(part); i++)
                IGNORE(str_cut(&rest, '/', &part[i]), "what is not there is empty");
        buf_printf(
                out,
                "TailscaleGateway %.*s/%.*s, tailnet %.*s, service %.*s has host %.*s on another "
                "Gateway, which Envoy Gateway merges with this one",
                STR_FMT(part[2]), STR_FMT(part[3]), STR_FMT(part[4]), STR_FMT(part[5]),
                STR_FMT(g->host));
}

void gap_text(const AnswerGap *g, Buf *out)
{
        if (g->winner.n > 0) {
                winner_text(g, out);
                return;
        }
        switch (g->reason) {
        case GAP_HOST_TAKEN:
                if (g->host.n == 0)
                        buf_printf(out, "another route has listener %.*s already",
                                   STR_FMT(g->listener));
                else
                        buf_printf(out, "Envoy Gateway has a virtual host for %.*s already",
                                   STR_FMT(g->host));
                return;
        case GAP_PATH_TAKEN:
                buf_printf(out, "in host %.*s another TailscaleGateway has path %.*s",
                           STR_FMT(g->where), STR_FMT(g->path));
                return;
        case GAP_CLUSTER_TAKEN:
                buf_printf(out, "somebody else has a cluster named %.*s", STR_FMT(g->cluster));
                return;
        case GAP_AUTH:
                auth_text(g, out);
                return;
        case GAP_OTHER_NAMESPACE:
                buf_printf(out, "host %.*s has a route of another namespace than %.*s",
                           STR_FMT(g->where), STR_FMT(g->namespace));
                return;
        case GAP_NO_PATH_HOST:
                buf_printf(out, "Envoy Gateway has no host that pathHosts %.*s names",
                           STR_FMT(g->host));
                return;
        case GAP_GENERATED_HOST:
                buf_printf(out, "host %.*s is a generated one, which takes no paths",
                           STR_FMT(g->where.n > 0 ? g->where : g->host));
                return;
        case GAP_TOO_MANY:
                buf_printf(out,
                           "host %.*s would pass the cap of path routes of one "
                           "RouteConfiguration",
                           STR_FMT(g->where.n > 0 ? g->where : g->host));
                return;
        case GAP_NO_ROUTES:
                buf_printf(out,
                           "the RouteConfiguration of listener %.*s did not come: is "
                           "translation.route.includeAll set?",
                           STR_FMT(g->listener));
                return;
        case GAP_NO_LISTENER:
                buf_printf(out,
                           "Envoy Gateway's request held no listener for %.*s: is "
                           "translation.listener.includeAll set?",
                           STR_FMT(g->listener));
                return;
        case GAP_REASONS:
                return;
        }
}
