/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* `tailscale-gateway render --crds [KIND] | --reference | --envoy-gateway-config …`: prints what is
 * made of this program alone. argv[0] is "render". Exit code: 0 printed, 2 usage. */
int cmd_render(int argc, char **argv);
