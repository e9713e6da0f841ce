/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* TlsContext: PEM files made into the context of a TLS server. For tls.c alone: nobody else sees
 * OpenSSL. */

#include "base/digest.h"
#include "base/err.h"
#include "base/instant.h"

#include <openssl/ssl.h>

typedef struct TlsFiles {
        const char *certificate; /* PEM: the server's own first, then those that signed it */
        const char *key;         /* PEM, without password */
        const char *client_ca;   /* PEM: one of these must have signed the client's; NULL: it is not
                                    asked for any */
} TlsFiles;

enum {
        TLS_CERTIFICATE_FILE_MAX = 1 << 20, /* the system's bundle is a fifth of it */
        TLS_KEY_FILE_MAX = 64 << 10,
};

/* TLS 1.2 and newer, forward secrecy, no renegotiation, no early data, no session kept in memory,
 * and no tickets where clients show certificates. False: a file cannot be read, is not what it
 * should be, or certificate and key do not fit; the text names the file and holds nothing of the
 * key. *ret_digest, of all bytes read, is set also where it fails after reading. The caller frees
 * *ret with SSL_CTX_free. */
bool tls_context_new(const TlsFiles *files, SSL_CTX **ret, Digest *ret_digest, Err *err) MUST_USE;
/* When a certificate ends; 0 for NULL. */
Wall tls_context_not_after(const X509 *x);
/* The oldest reason in OpenSSL's queue of errors, which is emptied; "unknown error" where it is
 * empty. Static. */
const char *tls_context_reason(void);
