/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/gateway_pages.h"

#include "model/gateway_status.h"

void gateway_pages_state(const Answered *a, JsonWriter *w)
{
        json_key_array_begin(w, STR("tailscaleGateways"));
        TABLE_FOREACH (GatewaySpec, g, a->in.world->gateways) {
                GatewayStatus s;
                gateway_status_init(&s, a, g);
                json_object_begin(w);
                json_key_str(w, STR("namespace"), g->meta.key.namespace);
                json_key_str(w, STR("name"), g->meta.key.name);
                conditions_put(w, s.conditions, s.n_conditions);
                json_object_end(w);
                gateway_status_done(&s);
        }
        json_array_end(w);
}
