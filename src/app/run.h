/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Run: the shape without Kubernetes, as one object whose constructor is the order of start and
 * whose end is its mirror. */

/* `tailscale-gateway run …`; argv[0] is "run". Returns the exit code: 0 stopped by a signal, 1
 * could not start, 2 usage. */
int cmd_run(int argc, char **argv);
