/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One connection of the gRPC server: its socket, its clocks, its end. Private to the server. */

#include "net/grpc_state.h"

/* Takes over `fd`; the connection is on s->conns. `tls` NULL: plain. */
void h2_conn_open(GrpcServer *s, int fd, TlsServer *tls);
/* Closes and frees it; its calls lose their streams. Not from inside nghttp2 or a handler. */
void h2_conn_close(H2Conn *c);
/* There may be something to send, or it may be done: looked at by h2_conn_flush before the turn
 * ends. From anywhere. */
void h2_conn_mark(H2Conn *c);
/* Sends what can be sent and closes the connection where it is done. */
void h2_conn_flush(H2Conn *c);
/* Begins the end: GOAWAY with the highest stream, PING, GOAWAY with the last one seen. */
void h2_conn_go(H2Conn *c);
/* The same, once the handshake is over where it is not: what it speaks TLS with is out of date. */
void h2_conn_outdated(H2Conn *c);
/* The second GOAWAY, once the PING came back. */
void h2_conn_go_on(H2Conn *c);
/* Closes it with ENHANCE_YOUR_CALM. Also from inside nghttp2. */
void h2_conn_calm(H2Conn *c);
/* Takes one token; false where none is left. */
bool h2_bucket_take(H2Bucket *b, Mono now, double burst, double rate) MUST_USE;
