/* SPDX-License-Identifier: Apache-2.0 */
/* A kubeconfig: what is read can be used as it is, what is refused says why. */

#include <stddef.h>
#include <stdint.h>

#include "kube/kube_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const KubeConfigFile files[] = {{"/first", str_make(data, size / 2)},
                                        {"/second", str_make(data, size)}};
        Err err = {0};
        KubeConfig *c = kube_config_read(files + 1, 1, NULL, true, &err);

        INSIST((c != NULL) == (err.kind == ERR_NONE));
        if (c != NULL) {
                INSIST(strlen(c->server) > 7 && c->ns[0] != '\0' && c->origin != NULL);
                INSIST(c->ca_file == NULL || (c->ca_file[0] == '/' && c->ca_pem.n == 0));
                INSIST(!c->insecure || (c->ca_file == NULL && c->ca_pem.n == 0));
                INSIST((c->cert_pem.n > 0 || c->cert_file != NULL) ==
                       (c->key_pem != NULL || c->key_file != NULL));
        }
        kube_config_free(c);
        kube_config_free(kube_config_read(files, 2, "c", false, NULL));
        return 0;
}
