/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One call, from its first header to its trailers. Private to the server. */

#include "net/grpc_state.h"

/* A call for a new stream; NULL where it was refused. The stream holds it. */
GrpcCall *grpc_call_open(H2Conn *c, int32_t stream);
/* False where a header is one too many, or they are too long together. */
bool grpc_call_count_header(GrpcCall *call, size_t n) MUST_USE;
void grpc_call_header(GrpcCall *call, Str name, Str value);
/* All headers are there: refused, or its message may come. */
void grpc_call_headers_end(GrpcCall *call);
void grpc_call_data(GrpcCall *call, Str bytes);
/* Nothing more comes: queued for its handler, or refused. */
void grpc_call_request_end(GrpcCall *call);
/* Moves `n` bytes of what is to be sent into `out`. */
void grpc_call_take(GrpcCall *call, H2Out *out, size_t n);
/* Its stream is closed. May free it. */
void grpc_call_lose_stream(GrpcCall *call);
/* Hands it to its handler, or tells the handler that it is over. Takes it off server->ready. */
void grpc_call_deliver(GrpcCall *call);
/* Frees a call whose stream is closed, whoever holds it: for grpc_server_close. */
void grpc_call_free(GrpcCall *call);
