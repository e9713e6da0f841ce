/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* `tailscale-gateway status`: what a running gateway knows. argv[0] is "status". Exit code: 0 all
 * is programmed and in sync, 1 something is not (or nobody answers), 2 usage. */
int cmd_status(int argc, char **argv);
