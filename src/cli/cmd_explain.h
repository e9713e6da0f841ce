/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* `tailscale-gateway explain URL`: why it answers, or not. argv[0] is "explain". Exit code: 0 it
 * answers, 1 it does not (or nobody can say), 2 usage. */
int cmd_explain(int argc, char **argv);
