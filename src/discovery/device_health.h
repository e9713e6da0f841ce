/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Health, told apart from presence. What control says can never work (expired, not approved, not
 * signed, shields up) makes a device unusable at once. That control has not seen it lately does
 * not: control may be minutes behind, and only the data plane knows.
 */

#include "model/device.h"

enum {
        /* lastSeen is coarse; below 5 minutes a device that is fine would flap. */
        DEVICE_SEEN_MINUTES = 10,
};

typedef struct DeviceHealth {
        bool usable;
        Str word; /* usable: "Healthy", "Offline", "Unknown"; else the reason: "Unapproved",
                     "Expired", "Locked", "ShieldsUp". A literal */
        Str text; /* of the reason; a literal or the device's */
} DeviceHealth;

/* At the instant `now`; pure. */
DeviceHealth device_health(const Device *d, Wall now);
