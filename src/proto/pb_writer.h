/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * PbWriter: a message, forward, into a Buf. Fields stand in the order of the calls, lengths are
 * minimal: the same calls give the same bytes. A nested message is opened and ended; its length is
 * put in when it ends. Whether all fitted is asked once, of the Buf. An end too many or too few is
 * the programmer's fault and aborts.
 *
 *     pb_begin(w, PB_Cluster_connect_timeout); pb_varint(w, PB_Duration_seconds, 5); pb_end(w);
 */

#include "base/buf.h"
#include "proto/pb_wire.h"

typedef struct PbWriter {
        Buf *out;                  /* borrowed */
        size_t open[PB_DEPTH_MAX]; /* where the content of each open message begins in `out` */
        unsigned depth;
} PbWriter;

/* Appends to what `out` holds. */
void pb_writer_init(PbWriter *w, Buf *out);
/* All that was begun has been ended. */
void pb_writer_done(const PbWriter *w);

/* The writer does not leave out a default value: the caller does not call. */
void pb_str(PbWriter *w, PbStr t, Str s);
/* One string of several parts. */
void pb_str_join(PbWriter *w, PbStr t, const Str *parts, size_t n);
void pb_bytes(PbWriter *w, PbBytes t, Str s);
void pb_bool(PbWriter *w, PbBool t, bool v);
void pb_varint(PbWriter *w, PbVarint t, uint64_t v);
void pb_enum(PbWriter *w, PbEnum t, uint32_t v);
void pb_double(PbWriter *w, PbDouble t, double v);
/* A nested message, up to pb_end. */
void pb_begin(PbWriter *w, PbMsg t);
void pb_end(PbWriter *w);
/* A nested message that is packed already. */
void pb_packed(PbWriter *w, PbMsg t, Str body);
/* A google.protobuf.Any: what is written up to pb_any_end is its value. */
void pb_any_begin(PbWriter *w, PbAny t, Str type_url);
void pb_any_end(PbWriter *w);

/* Tag and length of a field of wire type PB_LEN, for whoever copies a body that is packed. */
void pb_put_len(Buf *out, uint32_t field, size_t n);
/* How many bytes pb_put_len writes. */
size_t pb_len_size(uint32_t field, size_t n);
