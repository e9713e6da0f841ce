/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* `tailscale-gateway check`: is a cluster, or the gateway at --admin-address, set up as it should
 * be, and what is to be changed? argv[0] is "check". Exit code: 0 nothing is wrong, 1 something is
 * or cannot be found out, 2 usage. */
int cmd_check(int argc, char **argv);
