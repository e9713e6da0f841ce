/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* `tailscale-gateway discover`: what the tailnets of a directory of manifests hold, and what the
 * rules make of it, without applying anything. argv[0] is "discover". Exit code: 0 every tailnet
 * answered, 1 one did not, or the manifests are wrong, 2 usage. */
int cmd_discover(int argc, char **argv);
