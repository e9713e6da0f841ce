/* SPDX-License-Identifier: Apache-2.0 */
#include "discovery/device_health.h"

static Str presence(const Device *d, Wall now)
{
        if (d->online == DEVICE_ONLINE)
                return STR("Healthy");
        if (d->online == DEVICE_OFFLINE)
                return STR("Offline");
        if (d->last_seen.ms == 0)
                return STR("Unknown");
        return now.ms - d->last_seen.ms < DEVICE_SEEN_MINUTES * INT64_C(60000) ? STR("Healthy")
                                                                               : STR("Offline");
}

DeviceHealth device_health(const Device *d, Wall now)
{
        if (!d->authorized)
                return (DeviceHealth){false, STR("Unapproved"),
                                      STR("the device is not approved in the tailnet")};
        if (d->expires.ms != 0 && d->expires.ms <= now.ms)
                return (DeviceHealth){false, STR("Expired"), STR("the device's key has expired")};
        if (d->lock_error.n > 0)
                return (DeviceHealth){false, STR("Locked"), d->lock_error};
        if (d->blocks_incoming)
                return (DeviceHealth){false, STR("ShieldsUp"),
                                      STR("the device blocks incoming connections")};
        return (DeviceHealth){true, presence(d, now), {0}};
}
