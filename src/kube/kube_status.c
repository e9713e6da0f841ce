/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_status.h"

#include "base/buf.h"
#include "proto/json.h"

enum {
        /* Nodes and strings of KUBE_STATUS_BYTES_MAX. */
        STATUS_MEMORY_MAX = 8 << 20,
};

static Str line_of(const Tree *object, Str key)
{
        Str text = str_trim(tree_get_str(object, key));

        return str_is_printable_utf8(text) ? text : STR("(text of several lines)");
}

/*
 * "failed to create typed patch object (NS/NAME; API, Kind=KIND): .spec.x: field not declared in
 * schema", or "…): errors:" and such a path with its fault in each line behind it. What stands in
 * brackets holds no "): ": names and groups cannot.
 */
static Str misfit_of(const Tree *object)
{
        static const Str head = STR_INIT("failed to create typed patch object");
        Str text = tree_get_str(object, STR("message")), line;
        ptrdiff_t at = str_starts(text, head) ? str_find_str(text, STR(": ")) : -1;

        if (at < 0)
                return (Str){0};
        text = str_sub(text, (size_t)at + 2, text.n);
        if (str_starts(text, STR("errors:")))
                IGNORE(str_cut(&text, '\n', &line), "what follows it is looked at");
        IGNORE(str_cut(&text, '\n', &line), "the last line has no end");
        line = str_trim(line);
        return str_is_printable_utf8(line) ? line : (Str){0};
}

static void read_details(const Tree *details, KubeStatus *ret)
{
        int64_t seconds = 0;

        if (tree_i64(tree_get(details, STR("retryAfterSeconds")), 0, INT64_MAX, false, &seconds))
                ret->retry_after =
                        SPAN_S(seconds < KUBE_RETRY_AFTER_MAX_S ? seconds : KUBE_RETRY_AFTER_MAX_S);
        TREE_FOREACH (cause, tree_get(details, STR("causes")))
                if (ret->n_causes < KUBE_CAUSES_MAX)
                        ret->causes[ret->n_causes++] = (KubeCause){line_of(cause, STR("reason")),
                                                                   line_of(cause, STR("field")),
                                                                   line_of(cause, STR("message"))};
}

bool kube_status_of(const Tree *doc, KubeStatus *ret)
{
        int64_t code = 0;

        if (!str_eq(tree_get_str(doc, STR("kind")), STR("Status")))
                return false;
        *ret = (KubeStatus){.reason = line_of(doc, STR("reason")),
                            .message = line_of(doc, STR("message")),
                            .misfit = misfit_of(doc)};
        if (tree_i64(tree_get(doc, STR("code")), 0, 999, false, &code))
                ret->code = (unsigned)code;
        read_details(tree_get(doc, STR("details")), ret);
        return true;
}

bool kube_status_read(Str body, Arena *arena, KubeStatus *ret)
{
        const JsonLimits limits = {KUBE_STATUS_BYTES_MAX, STATUS_MEMORY_MAX / 256};
        const Tree *doc = json_read_within(arena, body, &limits, NULL, NULL);

        return doc != NULL && kube_status_of(doc, ret);
}

bool kube_status_has(const KubeStatus *s, Str reason)
{
        for (size_t i = 0; i < s->n_causes; i++)
                if (str_eq(s->causes[i].reason, reason))
                        return true;
        return false;
}

typedef struct Meaning {
        unsigned from, to;
        ErrKind kind;
        const char *reason;
} Meaning;

static const Meaning meanings[] = {
        {401, 401, ERR_DENIED, "Unauthorized"},
        {403, 403, ERR_DENIED, "Forbidden"},
        {404, 404, ERR_MISSING, "NotFound"},
        {408, 408, ERR_TRANSIENT, "Timeout"},
        {409, 409, ERR_CONFLICT, "Conflict"},
        {410, 410, ERR_TRANSIENT, "Gone"},
        {413, 413, ERR_LIMIT, "RequestEntityTooLarge"},
        {422, 422, ERR_INVALID, "Invalid"},
        {429, 429, ERR_TRANSIENT, "TooManyRequests"},
        {503, 503, ERR_TRANSIENT, "ServiceUnavailable"},
        {500, 599, ERR_TRANSIENT, "ServerError"},
        {0, UINT32_MAX, ERR_INVALID, "UnexpectedStatus"},
};

static bool is_word(Str s)
{
        for (size_t i = 0; i < s.n; i++)
                if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= 'A' && s.p[i] <= 'Z')))
                        return false;
        return s.n > 0 && s.n < ERR_REASON_MAX;
}

bool kube_status_err(const KubeStatus *s, unsigned code, const char *what, Err *err)
{
        const Meaning *m = meanings;
        char reason[ERR_REASON_MAX] = "";

        while (code < m->from || code > m->to)
                m++;
        if (s != NULL && s->misfit.n > 0)
                return err_set(err, ERR_INVALID, "NotOfSchema", "%s: answered with status %u: %.*s",
                               what, code, STR_FMT(s->misfit));
        if (s == NULL || s->message.n == 0)
                return err_set(err, m->kind, m->reason, "%s: answered with status %u", what, code);
        if (is_word(s->reason))
                memcpy(reason, s->reason.p, s->reason.n);
        return err_set(err, m->kind, reason[0] != '\0' ? reason : m->reason,
                       "%s: answered with status %u: %.*s", what, code, STR_FMT(s->message));
}
