/* SPDX-License-Identifier: Apache-2.0 */
/* YAML of any number of documents: what is read keeps to the caps, aliases included, and after an
 * error nothing comes. */

#include <stddef.h>
#include <stdint.h>

#include "proto/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count(const Tree *node, unsigned depth)
{
        size_t n = 1;

        INSIST(depth <= TREE_DEPTH_MAX);
        INSIST(node->at.line > 0 && node->at.column > 0);
        TREE_FOREACH (child, node)
                n += count(child, depth + 1);
        return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Yaml *y = yaml_new(str_make(data, size));

        for (;;) {
                const Tree *root = NULL;
                TreeMark at = {0};
                Arena arena;
                Err err = {0};
                bool ok;

                arena_init(&arena, 0);
                ok = yaml_next(y, &arena, &root, &at, &err);
                if (ok && root != NULL)
                        INSIST(count(root, 0) <= TREE_NODES_MAX);
                arena_done(&arena);
                if (!ok) {
                        INSIST(at.line > 0 && err.kind != ERR_NONE);
                        INSIST(!yaml_next(y, &arena, &root, &at, &err));
                }
                if (!ok || root == NULL)
                        break;
        }
        yaml_free(y);
        return 0;
}
