/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* `tailscale-gateway validate FILE…`: every fault of the manifests in files and directories, one a
 * line, and one line of summary. argv[0] is "validate". Exit code: 0 no fault, 1 faults, 2 usage.
 */
int cmd_validate(int argc, char **argv);
