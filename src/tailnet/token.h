/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Token: what goes behind "Bearer" at one control server: an API key as it is, or an access token
 * that is got for an OAuth client's credentials (RFC 6749 4.4) or for the token of a workload's
 * identity. A token is kept for four fifths of its life; who is told that it does not count any
 * more (401) drops it and asks for another. The clock is the loop's, and there is no timer: a
 * token is renewed when it is needed.
 */

#include "net/http_client.h"
#include "tailnet/tailnet_source.h"

enum {
        TOKEN_ANSWER_BYTES_MAX = 64 << 10, /* an honest one has some 300 bytes */
        TOKEN_BYTES_MAX = 16 << 10,        /* of a token, and of tokenFile; must fit a header */
        TOKEN_CLIENT_BYTES_MAX = 4 << 10,  /* of client_id and client_secret, each */
        /* Bounds on expires_in, so that a server can neither make us ask at every call nor keep a
         * token for ever; Tailscale's live for an hour. */
        TOKEN_LIFE_MIN_S = 60,
        TOKEN_LIFE_MAX_S = 24 * 3600,
        TOKEN_LIFE_DEFAULT_S = 3600, /* where the answer does not say */
        TOKEN_RENEW_PERCENT = 80,
        /* A renewal that failed is tried again after this long, while the old token lives. */
        TOKEN_RETRY_S = 30,
        TOKEN_SCOPES_MAX = 511,
};

/* What a token endpoint answers. */
typedef struct TokenAnswer {
        Secret *bearer;                    /* the reader's */
        Span life;                         /* within the bounds above */
        char scopes[TOKEN_SCOPES_MAX + 1]; /* as told, or empty */
} TokenAnswer;

/* Reads the body of a good answer; pure. ERR_INVALID "InvalidToken" for what is none: no
 * access_token that a header can carry, or another type than Bearer. No text holds the token. */
bool token_read(Str body, TokenAnswer *ret, Err *err) MUST_USE;
/* Do `scopes` (separated by spaces) hold `need`, "devices:core:read", be it as a wider scope, or by
 * its older name ("devices")? True where nothing is told. */
bool token_scopes_hold(Str scopes, Str need);

typedef struct Token Token;

typedef struct TokenResult {
        Err err;         /* ERR_NONE: token_bearer has one. Never with a secret in its text */
        unsigned status; /* of HTTP, or 0 */
        Span retry_after;
} TokenResult;

/* From the loop; the token may be closed inside. */
typedef void TokenFn(Token *t, const TokenResult *result);

typedef struct TokenInput {
        Loop *loop;
        HttpClient *http;
        Str api_url;                    /* copied */
        TailnetCredentials credentials; /* copied */
        TokenFn *fn;
        void *owner;
} TokenInput;

/* The first of these that is whole: an OAuth client, a workload's identity, an API key. NULL
 * "CredentialMissing" without any, "BadCredential" for what is too long. */
Token *token_open(const TokenInput *in, Err *err) MUST_USE;
/* As it was given. */
void *token_owner(const Token *t);
/* What to call the API with now, borrowed until the next token_ask, token_drop or token_close;
 * NULL: token_ask. */
const Secret *token_bearer(const Token *t);
/* Asks for a token; one request at a time (none is under way). A renewal that fails in passing,
 * while the old token lives, ends well with the old one. */
void token_ask(Token *t, Span within);
/* The API does not take the token: forgets it. False where another cannot be had: an API key stays
 * what it is. */
bool token_drop(Token *t);
/* Of the token in use, as its server told; empty where it did not. */
Str token_scopes(const Token *t);
/* How many tokens there were: what was refused may be allowed to another. */
uint64_t token_generation(const Token *t);
/* Nothing is delivered after. NULL is welcome. Returns NULL. */
Token *token_close(Token *t);
