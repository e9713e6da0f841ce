/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * HttpHead: request line and headers of one HTTP/1 request (RFC 9112), from bytes. Pure. What is
 * doubtful is refused, not guessed: bare CR or LF, folded lines, two lengths, any transfer coding.
 */

#include "net/http_server.h"

typedef enum HttpHeadOutcome {
        HTTP_HEAD_MORE, /* it is not all there */
        HTTP_HEAD_DONE,
        HTTP_HEAD_BAD, /* to be answered with `status`, and then the connection is closed */
} HttpHeadOutcome;

/* All strings point into the bytes given. */
typedef struct HttpHead {
        HttpVerb verb;
        Str path, query;  /* raw; without "?" */
        Str host, origin; /* as sent, or empty */
        Str fields;       /* the lines between request line and empty line, each with its CRLF */
        size_t body;      /* length that was announced */
        bool keep_alive;
        unsigned status; /* of HTTP_HEAD_BAD: 400, 405, 413, 431, 501, 505 */
} HttpHead;

/* Reads the head at the beginning of `in`; *ret_n is its length where it is DONE. More than
 * HTTP_SERVER_HEADERS_MAX bytes without an end are BAD. */
HttpHeadOutcome http_head_read(Str in, HttpHead *ret, size_t *ret_n);
/* Adds `s` with its %XX decoded, and "+" as a space where `plus`. False on a wrong escape or a
 * control character. */
bool http_head_decode(Str s, bool plus, Buf *out) MUST_USE;
