/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Credentials: what a TailscaleTailnet's control server is asked with: the keys of its Secret, a
 * variable of the environment, or a federated identity with its token file. */

#include "model/secret_spec.h"
#include "tailnet/tailnet_source.h"

typedef struct Credentials {
        TailnetCredentials known; /* borrowed from spec and Secret, and from: */
        Secret *from_env;         /* owned; may be NULL */
} Credentials;

/* ERR_DENIED "SecretDenied" where the Secret may not be read; ERR_MISSING "CredentialMissing" where
 * what the spec names is not there, or is a Secret without the keys that are expected: the text
 * names them. A spec that names nothing has none, and that is for the source to judge. `secret` may
 * be NULL. */
bool credentials_of(const TailnetSpec *spec, const SecretSpec *secret, Credentials *ret,
                    Err *err) MUST_USE;
void credentials_done(Credentials *c);
