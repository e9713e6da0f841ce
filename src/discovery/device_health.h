/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Health, told apart from presence: what an answer says of a device that is in it. What can never
 * work (expired, not approved, not signed, shields up) makes it unusable at once. That control has
 * not seen it lately, or that the policy hides it from our proxy, does not: control may be minutes
 * behind and a policy in change, and only the data plane knows.
 */

#include "base/arena.h"
#include "model/device.h"
#include "model/tailnet_service.h"

enum {
        /* lastSeen is coarse; below 5 minutes a device that is fine would flap. */
        DEVICE_SEEN_MINUTES = 10,
        /* Two weeks to renew a key, as Tailscale's own reminders begin. */
        DEVICE_KEY_WARNING_DAYS = 14,
};

typedef struct DeviceHealth {
        bool usable;
        Str word; /* the most important of what holds; a literal. Unusable, so the reason why it is
                     left out: "Unapproved", "Expired", "Locked", "ShieldsUp"; usable: "NotVisible",
                     "Offline", "MultipleConnections", "KeyExpiresSoon", "Unknown", "Healthy" */
        Str text; /* what `word` means, then all else that holds, each with its word before it
                     ("SharedIn: …" is only ever here). Says nothing that changes while what it
                     tells of does not. In the arena, a literal, or the device's; may be empty */
} DeviceHealth;

/* At the instant `now`; pure. */
DeviceHealth device_health(const Device *d, Wall now, Arena *arena);
/* Of a Tailscale Service, from its hosts, which `devices` (may be NULL) tells of: "Healthy",
 * "Offline" (control has seen none of them lately, or none can be used), "NoServiceHost" (none is
 * approved and ready), "Unknown" (its hosts are not known). Always usable. */
DeviceHealth device_health_of_service(const TailnetService *s, const Table *devices, Wall now,
                                      Arena *arena);
