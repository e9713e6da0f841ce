/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* TreePrint: a Tree for people and scripts, as indented JSON or as YAML. */

#include "base/buf.h"
#include "proto/tree.h"

void tree_print_json(const Tree *root, Buf *out);
void tree_print_yaml(const Tree *root, Buf *out);
