/* SPDX-License-Identifier: Apache-2.0 */
/* PEM as it may stand in a Secret: read, compared with itself, written again. */
#include "proto/certificate.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        Arena a;
        Certificates l = {0}, again = {0};
        Buf text;

        arena_init(&a, 0);
        if (certificates_read(str_make(data, n), &a, &l, NULL)) {
                Secret *key = secret_new(str_make(data, n));
                buf_init(&text, 2 * CERTIFICATE_TEXT_MAX);
                for (size_t i = 0; i < l.n; i++) {
                        IGNORE(certificate_is_by(&l.at[i], &l.at[0]), "it only must not fail");
                        IGNORE(certificate_has_key(&l.at[i], key), "likewise");
                        certificate_add_pem(&l.at[i], &text);
                }
                INSIST(!text.failed);
                if (text.n <= CERTIFICATE_TEXT_MAX) {
                        INSIST(certificates_read(buf_str(&text), &a, &again, NULL));
                        INSIST(again.n == l.n);
                        for (size_t i = 0; i < l.n; i++)
                                INSIST(digest_eq(&l.at[i].id, &again.at[i].id));
                }
                buf_done(&text);
                secret_free(key);
        }
        arena_done(&a);
        return 0;
}
