/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Certificate: X.509 (RFC 5280) in PEM (RFC 7468) as values: what a certificate says, whether a key
 * belongs to it, whether another one signed it. It makes none (io/certificate_issue) and knows no
 * time: whoever asks compares the times that it gives.
 */

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/instant.h"
#include "base/secret.h"

enum {
        CERTIFICATES_MAX = 16,            /* of one text: ours hold one to three */
        CERTIFICATE_NAMES_MAX = 32,       /* DNS names of one */
        CERTIFICATE_TEXT_MAX = 128 << 10, /* of PEM; a Secret holds less than 1 MiB in all */
};

typedef struct Certificate {
        Str der;                /* all of it */
        Digest id;              /* of `der` */
        Digest public_key;      /* of its SubjectPublicKeyInfo */
        Digest subject, issuer; /* of the names */
        Wall not_before, not_after;
        bool is_ca;                  /* basicConstraints, and it may sign certificates */
        bool for_server, for_client; /* extended key usage; both where it says nothing */
        StrList names;               /* DNS names of subjectAltName, in their order */
} Certificate;

typedef struct Certificates {
        const Certificate *at; /* as they stand in the text */
        size_t n;
} Certificates;

/* All certificates of a text, at least one; what stands between them is passed over, as by
 * everybody who reads PEM. False: "NoCertificate", "BadCertificate", "TooMany" (all ERR_INVALID).
 * All is copied into the arena. */
bool certificates_read(Str pem, Arena *a, Certificates *ret, Err *err) MUST_USE;
/* The one with this id, or NULL. */
const Certificate *certificates_find(const Certificates *l, const Digest *id);
/* Is this its private key (PEM, without password)? NULL is not. */
bool certificate_has_key(const Certificate *c, const Secret *key);
/* Did `by` sign it: do the names agree, is the signature right? Times are not looked at. */
bool certificate_is_by(const Certificate *c, const Certificate *by);
/* Has it exactly these DNS names, in whatever order? */
bool certificate_has_names(const Certificate *c, StrList names);
/* Appends it as PEM: the same bytes each time. */
void certificate_add_pem(const Certificate *c, Buf *to);
