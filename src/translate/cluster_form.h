/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* ClusterForm: the cluster of one service, as Envoy reads it. */

#include "proto/pb_writer.h"
#include "translate/pack.h"

/* Appends it as a cluster of an answer to PostTranslateModify. */
void cluster_form_write(PbWriter *w, const PackService *s);
