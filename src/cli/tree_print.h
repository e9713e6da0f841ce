/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* TreePrint: a Tree for people and scripts, as indented JSON or as YAML. */

#include "base/buf.h"
#include "proto/tree.h"

/* Indented by two, ends with a newline. */
void tree_print_json(const Tree *root, Buf *out);
/* As one YAML document. */
void tree_print_yaml(const Tree *root, Buf *out);
