/* SPDX-License-Identifier: Apache-2.0 */
#include "execute/definitions.h"

#include "base/buf.h"
#include "model/resource_kind.h"

#define UNDECLARED ": field not declared in schema"

static const MetricDesc metrics[] = {
        {"tailscale_gateway_kube_definitions_outdated",
         "CustomResourceDefinitions of ours that do not have what this program writes.",
         METRIC_GAUGE, offsetof(Definitions, n), NULL},
};
const MetricTable definitions_metrics = {metrics, LENGTH_OF(metrics)};

bool definitions_is_misfit(const KubeResource *r, const KubeStatus *refusal)
{
        return refusal != NULL && refusal->misfit.n > 0 &&
               str_eq(str_of(r->api), STR("apis/" MODEL_API_VERSION));
}

/* ".spec.endpoints[name=\"a\",port=80].nodeID" is spec.endpoints[].nodeID: of all objects the same.
 */
static void add_field(Buf *out, Str path)
{
        bool is_inside = false, is_quoted = false;
        for (size_t i = str_starts(path, STR(".")) ? 1 : 0; i < path.n; i++) {
                char c = path.p[i];
                if (is_quoted && c == '\\') {
                        i++;
                        continue;
                }
                is_quoted ^= is_inside && c == '"';
                if (!is_inside || (c == ']' && !is_quoted))
                        buf_add_char(out, c);
                is_inside = (is_inside || c == '[') && (c != ']' || is_quoted);
        }
}

void definitions_explain(const KubeResource *r, Str misfit, Err *ret)
{
        bool is_older = str_ends(misfit, STR(UNDECLARED));
        CLEANUP(buf_done) Buf what;
        buf_init(&what, KUBE_STATUS_BYTES_MAX);
        if (is_older)
                add_field(&what, str_sub(misfit, 0, misfit.n - strlen(UNDECLARED)));
        else
                buf_add_str(&what, misfit);
        IGNORE(err_set(ret, ERR_INVALID, "DefinitionOutdated",
                       "CustomResourceDefinition %s." MODEL_GROUP
                       " is %s: %s%.*s; apply deploy/crds of version " TSGW_VERSION
                       ", or helm upgrade the chart",
                       r->plural,
                       is_older ? "older than this program" : "another than this program's",
                       is_older ? "it lacks " : "", STR_FMT(buf_str(&what))),
               "it is told");
}

bool definitions_refused(Definitions *d, ObservedKind kind, Mono now)
{
        bool is_news = !mono_before(now, d->until[kind]);
        d->until[kind] = mono_add(now, SPAN_S(DEFINITIONS_KEPT_S));
        return is_news;
}

void definitions_taken(Definitions *d, ObservedKind kind)
{
        d->until[kind] = (Mono){0};
}

void definitions_look(Definitions *d, Mono now)
{
        d->n = 0;
        for (size_t i = 0; i < OBSERVED_KINDS; i++)
                d->n += mono_before(now, d->until[i]);
}
