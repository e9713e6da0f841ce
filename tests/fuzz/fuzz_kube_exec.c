/* SPDX-License-Identifier: Apache-2.0 */
/* What a credential plugin writes: what is taken is a credential, what is refused changes nothing.
 */

#include <stddef.h>
#include <stdint.h>

#include "kube/kube_exec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] =
        "current-context: c\ncontexts: [{name: c, context: {cluster: a, user: u}}]\n"
        "clusters: [{name: a, cluster: {server: 'https://10.0.0.1'}}]\n"
        "users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: "
        "x}}}]\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const KubeConfigFile file = {"/config", str_of(text)};
        KubeConfig *c = kube_config_read(&file, 1, NULL, true, NULL);
        Err err = {0};

        INSIST(c != NULL && c->plugin != NULL);
        if (kube_exec_take(c, str_make(data, size), (Wall){INT64_C(1795381081000)}, &err)) {
                INSIST(c->plugin == NULL && (c->token != NULL || c->key_pem != NULL));
                INSIST((c->cert_pem.n > 0) == (c->key_pem != NULL));
        } else {
                INSIST(err.kind != ERR_NONE && c->plugin != NULL && c->token == NULL);
        }
        kube_config_free(c);
        return 0;
}
