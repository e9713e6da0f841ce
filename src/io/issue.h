/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Issue: makes keys and certificates (X.509, ECDSA on P-256 with SHA-256): a CA, and leaves of it
 * for TLS servers and clients. Not pure for one reason: keys and serial numbers are of chance. The
 * time is handed in. What certificates say is read by proto/certificate.
 */

#include "base/err.h"
#include "base/instant.h"
#include "base/secret.h"

typedef enum IssueKind {
        ISSUE_CA,     /* signs leaves, no further CA; signs itself */
        ISSUE_SERVER, /* shown to clients, under `names` */
        ISSUE_CLIENT, /* shown to servers */
} IssueKind;

typedef struct IssueInput {
        IssueKind kind;
        Str common_name;            /* for people; 1 to 64 bytes of printable ASCII */
        StrList names;              /* DNS names; without one a server is believed by nobody */
        Wall not_before, not_after; /* whole seconds count */
        Str ca;                     /* PEM: its first certificate signs; not of a CA */
        const Secret *ca_key;
} IssueInput;

typedef struct Issued {
        char *certificate; /* PEM; owned */
        Secret *key;       /* PEM (PKCS #8); owned */
} Issued;

/* False: "BadCA" where `ca` and `ca_key` are no pair that can be read, "NotIssued" where OpenSSL
 * refuses (a name that it does not take, no randomness). */
bool issue(const IssueInput *in, Issued *ret, Err *err) MUST_USE;
/* Safe on a zeroed one; it is zeroed after. */
void issued_done(Issued *i);
