/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * DeviceFile: a tailnet in a file, as the APIs' own JSON ({"devices": […]} of Tailscale,
 * {"nodes": […]} of Headscale; the first where both are there), or the same as one YAML document.
 * What begins with "{" is JSON. Each poll reads the whole file; its directory is watched, and where
 * the file is another than at the last poll, `changed` is called.
 */

#include "tailnet/tailnet_source.h"

enum {
        /* Of JSON; YAML has its own cap (YAML_BYTES_MAX). 50,000 devices as Tailscale writes them.
         */
        DEVICE_FILE_BYTES_MAX = 64 << 20,
};

/* Never NULL: a file that is not there is told by the poll. */
TailnetSource *device_file_open(const TailnetSourceInput *in) MUST_USE;
/* What a poll makes of the bytes, without error prefix; pure. `before` may be NULL. */
void device_file_parse(Str bytes, Str suffix, const Table *before, TailnetAnswer *ret);
