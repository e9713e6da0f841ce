/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* ListenerAssemble: the ListenerPatches of a Contribution, of the claims of TLS, TCP and UDP
 * listeners that were won. */

#include "translate/claims.h"

typedef struct ListenerAssembleInput {
        const EgGateway *gateway;
        Claims *claims;             /* settled; one that proves too large loses */
        const Contribution *before; /* of the Snapshot before; may be NULL */
} ListenerAssembleInput;

/* Is it of a listener that has no routes? */
bool listener_assemble_is_of(const Claim *c);
/* Sets the patches of `c`, whose clusters are there already. `scratch` is overwritten. */
void listener_assemble(Arena *a, Contribution *c, const ListenerAssembleInput *in, Buf *scratch);
