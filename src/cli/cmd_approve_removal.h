/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* `tailscale-gateway approve-removal TAILNET`: lets through what the removal guard of a running
 * gateway holds. argv[0] is "approve-removal". Exit code: 0 all that is held was let through, 1
 * nothing is held, or not all was, 2 usage. */
int cmd_approve_removal(int argc, char **argv);
