/* SPDX-License-Identifier: Apache-2.0 */
/* The answer of a token endpoint, as a good one and as a refusal: nothing that was told is shown.
 */

#include <stddef.h>
#include <stdint.h>

#include "tailnet/api_error.h"
#include "tailnet/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_good(Str body)
{
        TokenAnswer a = {0};
        Err err = {0};

        if (!token_read(body, &a, &err)) {
                INSIST(err.kind == ERR_INVALID && a.bearer == NULL);
                return;
        }
        INSIST(a.bearer != NULL && !secret_is_in(a.bearer, str_of(a.scopes)));
        INSIST(a.life.ns >= SPAN_S(TOKEN_LIFE_MIN_S).ns &&
               a.life.ns <= SPAN_S(TOKEN_LIFE_MAX_S).ns);
        INSIST(str_is_printable_utf8(str_of(a.scopes)));
        IGNORE(token_scopes_hold(str_of(a.scopes), STR("devices:core:read")), "either");
        secret_free(a.bearer);
}

static void read_refusal(Str body, unsigned status)
{
        Secret *secret = secret_new(STR("s3cret"));
        const ApiAsked asked = {API_OAUTH, "https://control.example/api/v2/oauth/token", {secret}};
        const HttpResult result = {.status = status, .body = body};
        Err err = {0};

        INSIST(!api_error_check(&asked, &result, &err));
        INSIST(err.kind != ERR_NONE && !secret_is_in(secret, str_of(err.text)));
        INSIST(str_is_printable_utf8(str_of(err.text)));
        secret_free(secret);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Str body = str_make(data, size);

        read_good(body);
        read_refusal(body, 400);
        read_refusal(body, 401);
        return 0;
}
