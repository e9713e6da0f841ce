/* SPDX-License-Identifier: Apache-2.0 */
#include "model/departure.h"

void departures_done(Departures *d)
{
        for (size_t i = 0; i < DEPARTURES_MAX; i++)
                leaf_unref(d->at[i]);
        *d = (Departures){0};
}

void departures_add(Departures *d, const Departure *like)
{
        const Str all[] = {
                like->gateway.namespace, like->gateway.name, like->tailnet, like->service,
                like->address,           like->reason,       like->text};
        const Departure **slot = &d->at[d->n++ % DEPARTURES_MAX];
        Departure *copy;
        size_t room = 0;

        for (size_t i = 0; i < LENGTH_OF(all); i++)
                room += leaf_room_str(all[i]);
        copy = leaf_new(sizeof(*copy), room, NULL);
        copy->at = like->at;
        copy->gateway = (ObjectKey){leaf_str(&copy->leaf, like->gateway.namespace),
                                    leaf_str(&copy->leaf, like->gateway.name)};
        copy->tailnet = leaf_str(&copy->leaf, like->tailnet);
        copy->service = leaf_str(&copy->leaf, like->service);
        copy->address = leaf_str(&copy->leaf, like->address);
        copy->port = like->port;
        copy->reason = leaf_str(&copy->leaf, like->reason);
        copy->text = leaf_str(&copy->leaf, like->text);
        leaf_unref(*slot);
        *slot = copy;
}

const Departure *departures_newest(const Departures *d, size_t i)
{
        return i < d->n && i < DEPARTURES_MAX ? d->at[(d->n - 1 - i) % DEPARTURES_MAX] : NULL;
}
