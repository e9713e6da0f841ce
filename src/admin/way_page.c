/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/way_page.h"

#include "model/way_status.h"

static void put_way(JsonWriter *w, const WayReport *way)
{
        json_key_str(w, STR("namespace"), way->gateway.namespace);
        json_key_str(w, STR("name"), way->gateway.name);
        json_key_str(w, STR("tailnet"), way->tailnet);
        json_key_str(w, STR("listener"), way->listener);
        json_key_u64(w, STR("listenerPort"), way->port);
}

static void put_reason(JsonWriter *w, Str reason, Str text)
{
        json_key_str(w, STR("reason"), reason);
        json_key_str(w, STR("text"), text);
}

static void put_fact(JsonWriter *w, const WayReport *way, const ServeFact *f)
{
        json_object_begin(w);
        put_way(w, way);
        json_key_str(w, STR("socket"), f->socket);
        json_key_u64(w, STR("port"), f->port);
        json_key_str(w, STR("target"), f->target);
        json_key_bool(w, STR("serving"), f->is_serving);
        json_key_wall(w, STR("since"), f->since);
        json_key_wall(w, STR("lastRead"), f->last);
        put_reason(w, str_of(f->reason), str_of(f->text));
        json_object_end(w);
}

void way_page_state(const AdminView *v, JsonWriter *w)
{
        json_key_array_begin(w, STR("ingress"));
        TABLE_FOREACH (WayReport, way, v->report != NULL ? v->report->ways : NULL) {
                size_t end, from = way_facts(v->facts, way->gateway, way->tailnet, &end);
                if (from == end || way->reason.n > 0) {
                        json_object_begin(w);
                        put_way(w, way);
                        put_reason(w, way->reason, way->text);
                        json_object_end(w);
                        continue;
                }
                for (size_t i = from; i < end; i++)
                        put_fact(w, way, &v->facts->serves[i]);
        }
        json_array_end(w);
}
