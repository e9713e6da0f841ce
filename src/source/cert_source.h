/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * CertSource: the four Secrets of certificates (model/cert_secret.h) as they stand at the API
 * server, each watched by its name, so that no right to read others is needed.
 */

#include "base/log.h"
#include "kube/kube_api.h"
#include "model/cert_secret.h"

typedef struct CertSource CertSource;
typedef void CertSourceFn(CertSource *s);

typedef struct CertSourceInput {
        Log *log;
        KubeApi *api;                    /* borrowed */
        Str own_namespace, eg_namespace; /* copied */
        uint64_t seed;                   /* of chance */
        CertSourceFn *fn;                /* one is another, or all have been read: from the loop */
        void *owner;
} CertSourceInput;

/* Begins to read at once; nothing is told before the return. Never NULL. */
CertSource *cert_source_open(const CertSourceInput *in) MUST_USE;
/* As it was given. */
void *cert_source_owner(const CertSource *s);
/* Is it known of each whether it is there? It stays so. */
bool cert_source_is_read(const CertSource *s);
/* Borrowed until the next delivery; NULL: there is none. */
const CertSecret *cert_source_at(const CertSource *s, CertSecretRole role);
/* Allowed in the CertSourceFn. NULL is welcome. Returns NULL. */
CertSource *cert_source_close(CertSource *s);
