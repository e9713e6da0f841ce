/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * CertWriter: performs a CertificatesPlan: makes the keys and certificates that it asks for, and
 * writes the Secrets, one after the other, each only where it still is what the plan saw (its
 * resourceVersion), or is still not there. So two writers cannot undo each other's keys.
 */

#include "base/log.h"
#include "control/certificates_plan.h"
#include "kube/kube_write.h"

/* Field manager, and value of the label app.kubernetes.io/managed-by. */
#define CERT_WRITER_MANAGER "tailscale-gateway"

typedef struct CertWriter CertWriter;

typedef struct CertWriterInput {
        Log *log;
        KubeApi *api;                    /* borrowed */
        Str own_namespace, eg_namespace; /* copied */
        StrList server_names;            /* as of the plan; copied */
        uint64_t seed;                   /* of chance */
        /* How long from now on a write may be under way; 0: it must not be sent. */
        Span (*may_write)(void *owner);
        /* All was written, or (not `ok`) one was not and those after it were not tried. From the
         * loop. */
        void (*on_done)(void *owner, bool ok);
        void *owner;
} CertWriterInput;

typedef struct CertWriterCounts {
        uint64_t cas, leaves, failures; /* made and written; writes that failed */
} CertWriterCounts;

extern const MetricTable cert_writer_metrics; /* of CertWriterCounts */

/* Writes nothing by itself. Never NULL. */
CertWriter *cert_writer_open(const CertWriterInput *in) MUST_USE;
/* Moves the plan out of `plan`, which is empty after; takes references of what `in`, that it was
 * made of, has seen. Not while one is performed, and not one with nothing to write. */
void cert_writer_run(CertWriter *w, const CertificatesInput *in, CertificatesPlan *plan);
/* Then on_done follows. */
bool cert_writer_is_writing(const CertWriter *w);
const CertWriterCounts *cert_writer_counts(const CertWriter *w);
/* What is under way is given up, and may have been done. NULL is welcome. Returns NULL. */
CertWriter *cert_writer_close(CertWriter *w);

/* The Secret as JSON, for tests too. `certificate` and `key` are what tls.crt and tls.key are to
 * be. NULL: larger than a Secret of ours can be. */
Secret *cert_writer_body(const CertificatesWrite *w, Str ns, Str certificate,
                         const Secret *key) MUST_USE;
