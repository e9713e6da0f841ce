/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants:
 * 1. Bytes of a secret stand in a Secret, or in a buffer of this file that is made in one piece and
 *    wiped before it is freed.
 * 2. What the server says is shown only where it holds nothing that it was told (api_error).
 * 3. `bearer` of an API key is there from the beginning and never renewed: `until` is for ever.
 */
#include "tailnet/token.h"

#include <stdio.h>

#include "base/mem.h"
#include "io/file.h"
#include "proto/json.h"
#include "tailnet/api_error.h"
#include "tailnet/api_url.h"

enum {
        READ_MEMORY_MAX = 2 << 20, /* nodes and strings of TOKEN_ANSWER_BYTES_MAX of JSON */
        FORM_BYTES_MAX = 64 << 10, /* what a Secret holds */
};

typedef enum TokenKind {
        TOKEN_API_KEY,
        TOKEN_OAUTH,
        TOKEN_EXCHANGE,
} TokenKind;

struct Token {
        Loop *loop;
        HttpClient *http;
        TokenKind kind;
        TokenFn *fn;
        void *owner;
        char *url;           /* owned, as all below; NULL for an API key */
        Secret *id, *secret; /* of TOKEN_OAUTH, the id of TOKEN_EXCHANGE too */
        char *file;          /* of TOKEN_EXCHANGE */
        Secret *told;        /* what was read from `file` for the request under way */
        Secret *bearer;      /* or NULL */
        Mono renew, until;   /* of bearer; renew <= until */
        uint64_t generation;
        char scopes[TOKEN_SCOPES_MAX + 1];
        HttpRequest *request;
        Buf in;
        Post tell; /* of what fails before anything was asked */
        Err early;
};

/* Invariant 1: one piece of its full size, so that growth leaves no copy behind. */
static bool secret_buf_init(Buf *b, size_t max)
{
        buf_init(b, max);
        return buf_reserve(b, max);
}

static void secret_buf_done(Buf *b)
{
        if (b->p != NULL)
                explicit_bzero(b->p, b->room);
        buf_done(b);
}

/* --- what is read --- */

static bool is_header_safe(Str s)
{
        for (size_t i = 0; i < s.n; i++)
                if (s.p[i] <= ' ' || s.p[i] > '~')
                        return false;
        return true;
}

static Span read_life(const Tree *node)
{
        int64_t s = TOKEN_LIFE_DEFAULT_S;

        /* What is no number is as if it were not there; what is above any number is long. */
        if (node != NULL && !tree_i64(node, INT64_MIN, INT64_MAX, true, &s))
                s = TOKEN_LIFE_DEFAULT_S;
        if (s < TOKEN_LIFE_MIN_S)
                s = TOKEN_LIFE_MIN_S;
        return SPAN_S(s < TOKEN_LIFE_MAX_S ? s : TOKEN_LIFE_MAX_S);
}

static const char *what_is_wrong(const Tree *doc)
{
        Str token = tree_get_str(doc, STR("access_token"));
        const Tree *type = tree_get(doc, STR("token_type"));

        if (doc == NULL)
                return "it is not JSON";
        if (token.n == 0)
                return "there is no access_token in it";
        if (token.n > TOKEN_BYTES_MAX || !is_header_safe(token))
                return "its access_token is longer than a header may be, or holds what none may";
        if (type != NULL && type->type != TREE_NULL && !str_eq_fold(tree_str(type), STR("bearer")))
                return "its token_type is not Bearer";
        return NULL;
}

bool token_read(Str body, TokenAnswer *ret, Err *err)
{
        const char *wrong;
        const Tree *doc;
        Arena arena;

        arena_init(&arena, READ_MEMORY_MAX);
        doc = json_read(&arena, body, NULL, NULL);
        wrong = what_is_wrong(doc);
        if (wrong == NULL) {
                Str token = tree_get_str(doc, STR("access_token"));
                Str scopes = str_trim(tree_get_str(doc, STR("scope")));

                *ret = (TokenAnswer){.bearer = secret_new(token),
                                     .life = read_life(tree_get(doc, STR("expires_in")))};
                if (scopes.n > 0 && scopes.n <= TOKEN_SCOPES_MAX && str_is_printable_utf8(scopes) &&
                    !secret_is_in(ret->bearer, scopes))
                        memcpy(ret->scopes, scopes.p, scopes.n);
        }
        TREE_FOREACH (node, doc)
                if (node->text.n > 0)
                        explicit_bzero((char *)(uintptr_t)node->text.p, node->text.n);
        arena_done(&arena);
        return wrong == NULL ||
               err_set(err, ERR_INVALID, "InvalidToken", "no token in the answer: %s", wrong);
}

/* --- scopes --- */

static Str without_read(Str scope)
{
        return str_ends(scope, STR(":read")) ? str_sub(scope, 0, scope.n - 5) : scope;
}

/* To write contains to read, and "devices" contains "devices:core". */
static bool scope_holds(Str scope, Str need)
{
        bool is_read = str_ends(scope, STR(":read"));

        if (is_read && !str_ends(need, STR(":read")))
                return false;
        scope = without_read(scope);
        need = without_read(need);
        return str_eq(scope, STR("all")) || str_eq(scope, need) ||
               (scope.n > 0 && str_starts(need, scope) && need.p[scope.n] == ':');
}

bool token_scopes_hold(Str scopes, Str need)
{
        Str rest = str_trim(scopes), one;
        bool held = rest.n == 0;

        while (!held && rest.n > 0) {
                IGNORE(str_cut(&rest, ' ', &one), "gives the rest where there is no space");
                held = scope_holds(one, need);
        }
        return held;
}

/* --- asking --- */

static void end_request(Token *t)
{
        t->request = http_request_close(t->request);
        t->told = secret_free(t->told);
        secret_buf_done(&t->in);
}

static void keep(Token *t, TokenAnswer *a)
{
        Mono now = loop_now(t->loop);

        secret_free(t->bearer);
        t->bearer = TAKE(a->bearer);
        t->renew = mono_add(now, (Span){a->life.ns / 100 * TOKEN_RENEW_PERCENT});
        t->until = mono_add(now, a->life);
        memcpy(t->scopes, a->scopes, sizeof(t->scopes));
        t->generation++;
}

/* Did a renewal fail in a way that the next may not, with the old token still good? */
static bool lives_on(Token *t, const Err *err)
{
        Mono now = loop_now(t->loop), again = mono_add(now, SPAN_S(TOKEN_RETRY_S));

        if (err->kind != ERR_TRANSIENT || t->bearer == NULL || !mono_before(now, t->until))
                return false;
        t->renew = mono_before(again, t->until) ? again : t->until;
        return true;
}

static ApiRequest request_of(const Token *t)
{
        return t->kind == TOKEN_OAUTH ? API_OAUTH : API_EXCHANGE;
}

static void on_done(HttpRequest *r, const HttpResult *result)
{
        Token *t = http_request_owner(r);
        ApiAsked asked = {request_of(t), t->url, {t->secret, t->told}};
        TokenResult told = {.status = result->status, .retry_after = result->retry_after};
        TokenAnswer a = {0};

        if (api_error_check(&asked, result, &told.err)) {
                if (token_read(buf_str(&t->in), &a, &told.err))
                        keep(t, &a);
                else
                        err_prefix(&told.err, "%s", t->url);
        }
        if (lives_on(t, &told.err))
                told = (TokenResult){0};
        end_request(t);
        t->fn(t, &told);
}

/* Runs inside libcurl. */
static bool on_body(HttpRequest *r, Str chunk)
{
        Token *t = http_request_owner(r);

        buf_add_str(&t->in, chunk);
        return !t->in.failed;
}

static void on_tell(Post *p)
{
        Token *t = CONTAINER_OF(p, Token, tell);
        TokenResult told = {.err = t->early};

        t->fn(t, &told);
}

/* Read anew each time: whoever issues the token replaces it long before it ends. */
static bool read_file(Token *t)
{
        bool ok;
        Str text;
        Buf b;

        t->told = secret_free(t->told);
        ok = secret_buf_init(&b, TOKEN_BYTES_MAX) && file_read(t->file, &b, &t->early);
        if (!ok && t->early.kind == ERR_NONE)
                err_set(&t->early, ERR_LIMIT, "NoMemory", "no memory for it");
        text = str_trim(buf_str(&b));
        if (ok && (text.n == 0 || !is_header_safe(text)))
                ok = err_set(&t->early, ERR_INVALID, "BadCredential",
                             text.n == 0 ? "it is empty" : "it holds what no token may");
        if (ok)
                t->told = secret_new(text);
        secret_buf_done(&b);
        return ok || err_prefix(&t->early, "tokenFile %s", t->file);
}

static void add_field(Buf *b, const char *name, const Secret *value)
{
        if (b->n > 0)
                buf_add_char(b, '&');
        buf_add_str(b, str_of(name));
        buf_add_char(b, '=');
        api_url_escape(b, str_trim(secret_reveal(value)), (Str){0});
}

static Secret *make_form(const Token *t)
{
        Secret *form = NULL;
        Buf b;

        if (secret_buf_init(&b, FORM_BYTES_MAX)) {
                add_field(&b, "client_id", t->id);
                if (t->kind == TOKEN_OAUTH) {
                        add_field(&b, "client_secret", t->secret);
                        buf_add_str(&b, STR("&grant_type=client_credentials"));
                } else {
                        add_field(&b, "jwt", t->told);
                }
                form = b.failed ? NULL : secret_new(buf_str(&b));
        }
        secret_buf_done(&b);
        return form;
}

static void send_request(Token *t, Span within)
{
        Secret *form = make_form(t);

        if (form == NULL || !secret_buf_init(&t->in, TOKEN_ANSWER_BYTES_MAX)) {
                err_set(&t->early, ERR_LIMIT, "NoMemory", "no memory to ask for a token");
                post_send(&t->tell);
        } else {
                t->request = http_request_open(t->http, &(HttpRequestInput){
                                                                .url = t->url,
                                                                .form = form,
                                                                .accept = "application/json",
                                                                .deadline = within,
                                                                .max_bytes = TOKEN_ANSWER_BYTES_MAX,
                                                                .on_body = on_body,
                                                                .on_done = on_done,
                                                                .owner = t,
                                                        });
        }
        secret_free(form);
}

void token_ask(Token *t, Span within)
{
        INSIST(t->kind != TOKEN_API_KEY && t->request == NULL);
        t->early = (Err){0};
        if (t->kind == TOKEN_EXCHANGE && !read_file(t))
                post_send(&t->tell);
        else
                send_request(t, within);
}

/* --- the rest --- */

const Secret *token_bearer(const Token *t)
{
        if (t->kind == TOKEN_API_KEY)
                return t->bearer;
        return mono_before(loop_now(t->loop), t->renew) ? t->bearer : NULL;
}

bool token_drop(Token *t)
{
        if (t->kind == TOKEN_API_KEY)
                return false;
        t->bearer = secret_free(t->bearer);
        t->renew = t->until = (Mono){0};
        t->scopes[0] = '\0';
        return true;
}

Str token_scopes(const Token *t)
{
        return str_of(t->scopes);
}

uint64_t token_generation(const Token *t)
{
        return t->generation;
}

void *token_owner(const Token *t)
{
        return t->owner;
}

static bool has(const Secret *s)
{
        return s != NULL && str_trim(secret_reveal(s)).n > 0;
}

static bool fits(const char *name, const Secret *s, size_t max, Err *err)
{
        return s == NULL || str_trim(secret_reveal(s)).n <= max ||
               err_set(err, ERR_INVALID, "BadCredential", "%s is longer than %zu bytes", name, max);
}

static bool choose(const TailnetCredentials *c, TokenKind *ret, Err *err)
{
        if (has(c->client_id) && has(c->client_secret))
                *ret = TOKEN_OAUTH;
        else if (c->federated_id.n > 0 && c->token_file.n > 0)
                *ret = TOKEN_EXCHANGE;
        else if (has(c->api_key))
                *ret = TOKEN_API_KEY;
        else
                return err_set(err, ERR_MISSING, "CredentialMissing",
                               has(c->client_id) || has(c->client_secret)
                                       ? "only one of client_id and client_secret is there"
                                       : "neither api_key nor client_id with client_secret: name a "
                                         "Secret in credentials.secretRef, a variable in "
                                         "credentials.env, or clientID with tokenFile");
        if (c->federated_id.n > TOKEN_CLIENT_BYTES_MAX)
                return err_set(err, ERR_INVALID, "BadCredential", "clientID is too long");
        return fits("client_id", c->client_id, TOKEN_CLIENT_BYTES_MAX, err) &&
               fits("client_secret", c->client_secret, TOKEN_CLIENT_BYTES_MAX, err) &&
               fits("api_key", c->api_key, TOKEN_BYTES_MAX, err);
}

Token *token_open(const TokenInput *in, Err *err)
{
        const TailnetCredentials *c = &in->credentials;
        TokenKind kind = TOKEN_API_KEY;
        Token *t;

        if (!choose(c, &kind, err))
                return NULL;
        t = mem_new(sizeof(*t));
        t->loop = in->loop;
        t->http = in->http;
        t->kind = kind;
        t->fn = in->fn;
        t->owner = in->owner;
        post_init(&t->tell, in->loop, on_tell);
        if (kind == TOKEN_API_KEY) {
                t->bearer = secret_dup(c->api_key);
        } else if (kind == TOKEN_OAUTH) {
                t->id = secret_dup(c->client_id);
                t->secret = secret_dup(c->client_secret);
                t->url = api_url_new(in->api_url, STR("/api/v2/oauth/token"), (Str){0}, (Str){0});
        } else {
                t->id = secret_new(c->federated_id);
                t->file = mem_new(c->token_file.n + 1);
                memcpy(t->file, c->token_file.p, c->token_file.n);
                t->url = api_url_new(in->api_url, STR("/api/v2/oauth/token-exchange"), (Str){0},
                                     (Str){0});
        }
        return t;
}

Token *token_close(Token *t)
{
        if (t == NULL)
                return NULL;
        end_request(t);
        post_cancel(&t->tell);
        t->id = secret_free(t->id);
        t->secret = secret_free(t->secret);
        t->bearer = secret_free(t->bearer);
        mem_free(t->file);
        mem_free(t->url);
        return mem_free(t);
}
