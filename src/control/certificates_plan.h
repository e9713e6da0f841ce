/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * CertificatesPlan: which of the four Secrets of certificates are to be written, and with what, so
 * that Envoy Gateway and every replica of the extension server believe each other at every moment,
 * whichever of the last states of the Secrets each of them has seen.
 *
 * It is pure: where a key is to be made it says so, and of what kind; execute makes it. It is made
 * of what stands in the Secrets and the time, and of nothing that a process would have to remember.
 */

#include "base/arena.h"
#include "base/err.h"
#include "model/cert_secret.h"

enum {
        CERTIFICATES_DAY_S = 24 * 3600,
        /*
         * The CA: long, because its end is the one thing here that cannot be mended while nobody is
         * there to mend it, and because its age endangers nobody: it is trusted by our two ends
         * alone, its key leaves one Secret never, and it can be replaced at any time.
         */
        CERTIFICATES_CA_DAYS = 3650,
        /* Leaves: short, because their keys stand in pods and nothing revokes one; and renewed with
         * a third of it left, so that the operator may be away for a month. */
        CERTIFICATES_LEAF_DAYS = 90,
        /* How long anybody may take to see a Secret, with much to spare: kubelet looks every minute
         * or two, Envoy Gateway at each handshake; a node may be away for hours. */
        CERTIFICATES_OVERLAP_S = CERTIFICATES_DAY_S,
        /* Before the time of making, for clocks that are behind. */
        CERTIFICATES_BACKDATE_S = 3600,
        /* CAs that are trusted beside ours because they have signed what may still be shown. */
        CERTIFICATES_OTHERS_MAX = 4,
};

typedef struct CertificatesInput {
        Wall now;
        const CertSecret *seen[CERT_SECRETS]; /* NULL: it is known that there is none */
        StrList server_names; /* what Envoy Gateway may call the extension server; at least one */
} CertificatesInput;

typedef enum CertificatesMake {
        CERTIFICATES_MAKE_NONE, /* `certificate` and `private_key` are what stands there */
        CERTIFICATES_MAKE_CA,
        CERTIFICATES_MAKE_LEAF, /* signed by `signer` */
} CertificatesMake;

/* One Secret that is to be written, whole. Strings and Secrets are borrowed from the input or stand
 * in the plan's arena. */
typedef struct CertificatesWrite {
        CertSecretRole role;
        const CertSecret *seen; /* what it replaces; NULL: it must not be there yet */
        CertificatesMake make;
        Wall not_before, not_after; /* of what is made */
        Str certificate;            /* tls.crt */
        const Secret *private_key;  /* tls.key; NULL: none belongs there */
        Str ca;                     /* ca.crt; empty: none belongs there */
        Str old_certificate;        /* old.crt, likewise */
        const Secret *old_private_key;
        Wall since;      /* for CERT_SECRET_SINCE; 0: none */
        const char *why; /* for the log and an Event; a literal */
} CertificatesWrite;

typedef enum CertificatesStage {
        CERTIFICATES_STEADY,    /* one CA, and what it signed */
        CERTIFICATES_SPREADING, /* a new CA becomes known; the one before goes on signing */
        CERTIFICATES_MOVING,    /* the new one signs; what the one before signed may be shown yet */
        CERTIFICATES_STAGES,
} CertificatesStage;

typedef struct CertificatesPlan {
        Arena arena;
        CertificatesWrite writes[CERT_SECRETS]; /* in the order in which they are to be done */
        size_t n;
        Str signer; /* PEM of the CA that signs leaves, and its key; borrowed */
        const Secret *signer_key;
        Wall signer_not_after;
        CertificatesStage stage;
        Wall again; /* when there will be more to do although nothing has changed; 0: never */
        /* When what is in force ends; 0: there is none. */
        Wall ca_ends, server_ends, client_ends;
        Err fault; /* a Secret of one of our names is not ours: it is not touched */
} CertificatesPlan;

/* "Steady", … */
const char *certificates_stage_name(CertificatesStage stage);

/* Each plan is good for one look at the Secrets: what follows from its writes is planned when they
 * are seen. */
void certificates_plan(const CertificatesInput *in, CertificatesPlan *ret);
void certificates_plan_done(CertificatesPlan *p);
