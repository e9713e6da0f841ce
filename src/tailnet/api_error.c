/* SPDX-License-Identifier: Apache-2.0 */
#include "tailnet/api_error.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "proto/json.h"

enum {
        /* A refusal has at most HTTP_CLIENT_ERROR_BODY_MAX bytes of JSON. */
        MESSAGE_MEMORY_MAX = 1 << 20,
        URL_SHOWN = 140, /* of a long one the rest of a text is of more use */
};

/* What to look at, by request; for 401, 403, 404. NULL: nothing is known that helps. */
typedef struct Hints {
        const char *unauthorized, *forbidden, *not_found;
} Hints;

static const Hints hints[API_REQUESTS] = {
        [API_V1_NODES] = {"the API key is not valid (any more)", "the API key may not list devices",
                          "is apiURL that of a Headscale with API v1?"},
        [API_V2_DEVICES] =
                {"the credential is not valid (any more)",
                 "the credential needs the scope devices:core:read",
                 "is apiURL that of a server with API v2, and does it know the tailnet?"},
        [API_V2_SERVICES] = {"the credential is not valid (any more)",
                             "the credential needs the scope services:read", NULL},
        [API_V2_HOSTS] = {"the credential is not valid (any more)",
                          "the credential needs the scopes services and devices:core", NULL},
        [API_OAUTH] = {"client_id and client_secret do not fit, or were revoked",
                       "the OAuth client may have no token", "does apiURL know OAuth clients?"},
        [API_EXCHANGE] = {"the token in tokenFile is not accepted for clientID",
                          "the token in tokenFile is not accepted for clientID",
                          "does apiURL know workload identity?"},
};

typedef struct StatusMeaning {
        unsigned from, to;
        ErrKind kind;
        const char *reason;
} StatusMeaning;

static const StatusMeaning meanings[] = {
        {401, 401, ERR_DENIED, "Unauthorized"},
        {403, 403, ERR_DENIED, "Forbidden"},
        {408, 408, ERR_TRANSIENT, "ServerTimeout"},
        {429, 429, ERR_TRANSIENT, "TooManyRequests"},
        {503, 503, ERR_TRANSIENT, "ServiceUnavailable"},
        {500, 599, ERR_TRANSIENT, "ServerError"},
        {0, 999, ERR_INVALID, "UnexpectedStatus"},
};

static const StatusMeaning *meaning_of(unsigned status)
{
        size_t i = 0;

        while (status < meanings[i].from || status > meanings[i].to)
                i++;
        return &meanings[i];
}

static const char *hint_for(ApiRequest what, unsigned status)
{
        const Hints *h = &hints[what];

        if (status == 401)
                return h->unauthorized;
        if (status == 403)
                return h->forbidden;
        return status == 404 ? h->not_found : NULL;
}

/* --- the server's words --- */

static bool holds_secret(const ApiAsked *asked, Str text)
{
        for (size_t i = 0; i < LENGTH_OF(asked->told); i++)
                if (secret_is_in(asked->told[i], text))
                        return true;
        return false;
}

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c = (char)(c | 0x20);
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* As it stands, or as it was sent: a form that is repeated has it escaped. */
static bool shows_secret(const ApiAsked *asked, Str text)
{
        char *plain = mem_new(text.n + 1);
        size_t n = 0;
        bool shown;

        for (size_t i = 0; i < text.n; i++) {
                bool may = text.p[i] == '%' && i + 2 < text.n;
                int high = may ? hex_digit(text.p[i + 1]) : -1;
                int low = may ? hex_digit(text.p[i + 2]) : -1;
                bool is_escape = high >= 0 && low >= 0;

                plain[n++] = (char)(is_escape ? high << 4 | low : text.p[i]);
                i += is_escape ? 2 : 0;
        }
        shown = holds_secret(asked, text) || holds_secret(asked, str_make(plain, n));
        explicit_bzero(plain, n);
        mem_free(plain);
        return shown;
}

/* As many whole characters as fit behind what is there. */
static void append(char ret[API_MESSAGE_MAX], Str text)
{
        size_t at = strlen(ret), n = 0, step;

        while (n < text.n && (step = str_utf8(str_sub(text, n, SIZE_MAX))) > 0 &&
               at + n + step < API_MESSAGE_MAX)
                n += step;
        memcpy(ret + at, text.p, n);
        ret[at + n] = '\0';
}

static Str first_text(const Tree *doc, const Str *keys, size_t n)
{
        Str text = {0};

        for (size_t i = 0; i < n && text.n == 0; i++)
                text = str_trim(tree_get_str(doc, keys[i]));
        return text;
}

const char *api_error_message(const ApiAsked *asked, Str body, char ret[API_MESSAGE_MAX])
{
        static const Str texts[] = {STR_INIT("message"), STR_INIT("error_description"),
                                    STR_INIT("detail"), STR_INIT("title")};
        const Tree *doc;
        Arena arena;
        Str code, text;

        ret[0] = '\0';
        if (shows_secret(asked, body))
                return ret;
        arena_init(&arena, MESSAGE_MEMORY_MAX);
        doc = json_read(&arena, body, NULL, NULL);
        code = str_trim(tree_get_str(doc, STR("error")));
        text = first_text(doc, texts, LENGTH_OF(texts));
        if (!str_is_printable_utf8(code) || !str_is_printable_utf8(text) ||
            shows_secret(asked, code) || shows_secret(asked, text))
                code = text = (Str){0};
        if (code.n > 0)
                append(ret, code);
        if (code.n > 0 && text.n > 0)
                append(ret, STR(": "));
        if (text.n > 0)
                append(ret, text);
        arena_done(&arena);
        return ret;
}

/* RFC 6749 5.2: a client that is refused, and one whose question is wrong, may both get a 400. */
static bool is_oauth_denial(ApiRequest what, const char *message)
{
        static const Str codes[] = {STR_INIT("invalid_client"), STR_INIT("invalid_grant"),
                                    STR_INIT("unauthorized_client"), STR_INIT("access_denied")};

        for (size_t i = 0; (what == API_OAUTH || what == API_EXCHANGE) && i < LENGTH_OF(codes); i++)
                if (str_starts(str_of(message), codes[i]))
                        return true;
        return false;
}

void api_error_hide(const ApiAsked *asked, Err *err)
{
        if (err != NULL && shows_secret(asked, str_of(err->text)))
                IGNORE(snprintf(err->text, sizeof(err->text), "%.*s: its words hold a credential",
                                URL_SHOWN, asked->url),
                       "cut at its size");
}

bool api_error_check(const ApiAsked *asked, const HttpResult *result, Err *err)
{
        char message[API_MESSAGE_MAX];
        const StatusMeaning *m;
        const char *hint;
        unsigned meant;

        if (result->err.kind != ERR_NONE) {
                if (err != NULL)
                        *err = result->err;
                api_error_hide(asked, err);
                return false;
        }
        if (result->status == 200)
                return true;
        api_error_message(asked, result->body, message);
        meant = is_oauth_denial(asked->what, message) ? 401 : result->status;
        m = meaning_of(meant);
        hint = hint_for(asked->what, meant);
        return err_set(err, m->kind, m->reason, "%.*s answered with status %u%s%s%s%s", URL_SHOWN,
                       asked->url, result->status, message[0] != '\0' ? ": " : "", message,
                       hint != NULL ? "; " : "", hint != NULL ? hint : "");
}
