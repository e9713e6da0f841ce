/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP client: libcurl's multi interface driven by our loop.
 *
 * libcurl tells by two callbacks which descriptors and which timer it wants; they write that down
 * in an FdSource and a Timer and call nothing. The loop's callbacks go into libcurl, and afterwards
 * collect which transfers have ended. What has ended is handed out by a Post of the request.
 *
 *   open ──> CARRIED ──(libcurl says done, deadline, cap)──> ENDED ──Post──> TOLD
 *      └─────(input is wrong)──────────────────────────────────┘
 *
 * Invariants:
 *  1. libcurl is entered from http_request_open, http_request_close and the loop's callbacks only,
 *     never from one of its own callbacks (INSIST on c->inside).
 *  2. An easy handle is in the multi handle exactly while its request is CARRIED.
 *  3. A request is told once: post_send is called once, on the way to ENDED.
 *  4. Our copies of the credential and of the form are wiped when the request leaves CARRIED.
 *  5. The deadline is ours; libcurl is given none.
 *  6. What libcurl frees is wiped: it copies headers and forms.
 */
#include "net/http_client.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/mem.h"

enum {
        CA_KEPT_S = 60 /* a renewed ca_file counts from then on */
};

struct HttpClient {
        Loop *loop;
        CURLM *multi;
        Timer timer;
        Link sockets;  /* of Socket */
        Link requests; /* of HttpRequest */
        char *ca_file; /* owned; NULL: the system's certificates */
        bool inside;   /* libcurl is on the stack */
};

typedef struct Socket {
        Link link;
        HttpClient *client;
        FdSource source;
} Socket;

typedef enum RequestState {
        REQUEST_CARRIED, /* libcurl works on it */
        REQUEST_ENDED,   /* `result` is final; the Post is on its way */
        REQUEST_TOLD,    /* on_done was called */
} RequestState;

struct HttpRequest {
        Link link; /* client->requests */
        HttpClient *client;
        RequestState state;
        CURL *easy;                    /* owned */
        struct curl_slist *headers;    /* owned; holds the credential */
        struct curl_slist *connect_to; /* owned; for a name that is not the URL's, or NULL */
        Secret *form;                  /* owned; the body of a POST, or NULL */
        Timer deadline;
        Post tell;
        HttpBodyFn *on_body;
        HttpDoneFn *on_done;
        void *owner;
        Mono began;
        Span allowed;
        size_t max_bytes, max_refusal;
        HttpResult result;
        Buf body;
        Buf content_type;
        Buf etag;
        size_t n_header_bytes;
        char peer[300]; /* host:port of the URL, or the path of the unix socket; for people */
        char note[CURL_ERROR_SIZE];
        bool is_plain;   /* http */
        bool is_refused; /* by may_connect */
        bool is_cut;     /* the body of a refusal was longer than what is kept */
};

/* --- the end of a request --- */

static void wipe(HttpRequest *r)
{
        for (struct curl_slist *h = r->headers; h != NULL; h = h->next)
                explicit_bzero(h->data, strlen(h->data));
        curl_slist_free_all(r->headers);
        r->headers = NULL;
        r->form = secret_free(r->form);
}

/* Takes it out of libcurl, keeps the easy handle for what it still knows. */
static void leave_curl(HttpRequest *r)
{
        INSIST(!r->client->inside);
        if (r->state != REQUEST_CARRIED)
                return;
        r->client->inside = true;
        curl_multi_remove_handle(r->client->multi, r->easy);
        r->client->inside = false;
        timer_clear(&r->deadline);
}

static void end_request(HttpRequest *r)
{
        leave_curl(r);
        r->state = REQUEST_ENDED;
        wipe(r);
        r->result.took = mono_since(loop_now(r->client->loop), r->began);
        r->result.body = buf_str(&r->body);
        r->result.content_type = buf_str(&r->content_type);
        r->result.etag = buf_str(&r->etag);
        post_send(&r->tell);
}

static void on_tell(Post *p)
{
        HttpRequest *r = CONTAINER_OF(p, HttpRequest, tell);

        r->state = REQUEST_TOLD;
        r->on_done(r, &r->result);
}

static void read_status(HttpRequest *r)
{
        long status = 0;

        curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
        if (status > 0 && status < 1000)
                r->result.status = (unsigned)status;
}

static void on_deadline(Timer *t)
{
        HttpRequest *r = CONTAINER_OF(t, HttpRequest, deadline);
        char span[WALL_TEXT];

        span_format(r->allowed, span);
        read_status(r);
        if (r->result.status == 0)
                err_set(&r->result.err, ERR_TRANSIENT, "Timeout", "no answer from %s within %s",
                        r->peer, span);
        else
                err_set(&r->result.err, ERR_TRANSIENT, "Timeout",
                        "the answer of %s did not end within %s", r->peer, span);
        end_request(r);
}

/* --- what libcurl says of an ended transfer, in our words --- */

static void explain_connect(HttpRequest *r)
{
        long errnum = 0;

        curl_easy_getinfo(r->easy, CURLINFO_OS_ERRNO, &errnum);
        r->result.errnum = (int)errnum;
        if (r->is_refused)
                err_set(&r->result.err, ERR_INVALID, "PlainHttpRefused",
                        "plain http is spoken with loopback and private addresses only, and %s has "
                        "none",
                        r->peer);
        else if (errnum == ECONNREFUSED)
                err_set(&r->result.err, ERR_TRANSIENT, "ConnectFailed", "connection refused by %s",
                        r->peer);
        else
                err_set(&r->result.err, ERR_TRANSIENT, "ConnectFailed", "cannot connect to %s: %s",
                        r->peer, errnum != 0 ? strerror((int)errnum) : r->note);
}

/* What stands behind `mark` in `note`; false where it is not there. */
static bool note_after(Str note, Str mark, Str *ret)
{
        ptrdiff_t at = str_find_str(note, mark);

        if (at >= 0)
                *ret = str_sub(note, (size_t)at + mark.n, SIZE_MAX);
        return at >= 0;
}

/* libcurl's notes are `SSL certificate problem: certificate has expired`, `SSL: no alternative
 * certificate subject name matches …`, `error:0A000410:SSL routines::tlsv1 alert …`. */
static void explain_tls(HttpRequest *r)
{
        Str note = str_of(r->note);

        if (note_after(note, STR("SSL certificate problem: "), &note) ||
            (str_find_str(note, STR("certificate subject name")) >= 0 &&
             note_after(note, STR("SSL: "), &note))) {
                err_set(&r->result.err, ERR_TRANSIENT, "TLSFailed",
                        "the certificate of %s is refused: %.*s", r->peer, STR_FMT(note));
                return;
        }
        IGNORE(note_after(note, STR("SSL routines::"), &note), "then it is told as it is");
        err_set(&r->result.err, ERR_TRANSIENT, "TLSFailed", "TLS with %s: %.*s", r->peer,
                STR_FMT(note));
}

/* With TLS 1.3 a server refuses our side after the handshake, when we read. */
static void explain_cut(HttpRequest *r)
{
        if (strstr(r->note, "SSL routines::") != NULL && strstr(r->note, " alert ") != NULL)
                explain_tls(r);
        else
                err_set(&r->result.err, ERR_TRANSIENT, "AnswerCutShort",
                        "the answer of %s ended early", r->peer);
}

static bool explain_tunnel(HttpRequest *r)
{
        long status = 0;

        curl_easy_getinfo(r->easy, CURLINFO_HTTP_CONNECTCODE, &status);
        if (status < 300)
                return false;
        err_set(&r->result.err, ERR_TRANSIENT, "TunnelRefused",
                "the proxy answered CONNECT %s with status %ld", r->peer, status);
        return true;
}

static void explain(HttpRequest *r, CURLcode code)
{
        Err *err = &r->result.err;

        if (explain_tunnel(r))
                return;
        switch ((int)code) {
        case CURLE_UNSUPPORTED_PROTOCOL:
        case CURLE_WEIRD_SERVER_REPLY:
                err_set(err, ERR_TRANSIENT, "TransferFailed", "%s does not answer in HTTP",
                        r->peer);
                break;
        case CURLE_COULDNT_RESOLVE_HOST:
                err_set(err, ERR_TRANSIENT, "NameNotFound", "the name of %s cannot be resolved",
                        r->peer);
                break;
        case CURLE_COULDNT_CONNECT:
                explain_connect(r);
                break;
        case CURLE_SSL_CONNECT_ERROR:
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_CERTPROBLEM:
        case CURLE_SSL_CIPHER:
                explain_tls(r);
                break;
        case CURLE_GOT_NOTHING:
        case CURLE_PARTIAL_FILE:
        case CURLE_RECV_ERROR:
                explain_cut(r);
                break;
        default:
                err_set(err, ERR_TRANSIENT, "TransferFailed", "%s: %s", r->peer,
                        r->note[0] != '\0' ? r->note : curl_easy_strerror(code));
                break;
        }
}

/* RFC 9110 10.2.3: seconds, or a date. */
static Span read_retry_after(const HttpRequest *r)
{
        struct curl_header *h;
        int64_t s = 0;
        uint64_t seconds;

        if (curl_easy_header(r->easy, "Retry-After", 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
                return SPAN_S(0);
        if (str_to_u64(str_trim(str_of(h->value)), UINT32_MAX, &seconds)) {
                s = (int64_t)seconds;
        } else {
                time_t at = curl_getdate(h->value, NULL);
                if (at > 0)
                        s = (int64_t)at - loop_wall(r->client->loop).ms / 1000;
        }
        if (s < 0)
                s = 0;
        return SPAN_S(s > HTTP_CLIENT_RETRY_AFTER_MAX_S ? HTTP_CLIENT_RETRY_AFTER_MAX_S : s);
}

static Wall read_date(const HttpRequest *r)
{
        struct curl_header *h;
        time_t at;

        if (curl_easy_header(r->easy, "Date", 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
                return (Wall){0};
        at = curl_getdate(h->value, NULL);
        return (Wall){at > 0 ? (int64_t)at * 1000 : 0};
}

static void read_etag(HttpRequest *r)
{
        struct curl_header *h;

        if (curl_easy_header(r->easy, "ETag", 0, CURLH_HEADER, -1, &h) == CURLHE_OK)
                buf_add_str(&r->etag, str_trim(str_of(h->value)));
}

static void refuse_redirect(HttpRequest *r)
{
        char *to = NULL;
        Str target;

        curl_easy_getinfo(r->easy, CURLINFO_REDIRECT_URL, &to);
        target = str_of(to != NULL ? to : "nowhere");
        /* A query may hold a credential. */
        ptrdiff_t query = str_find(target, '?');
        if (query >= 0)
                target = str_sub(target, 0, (size_t)query);
        err_set(&r->result.err, ERR_INVALID, "RedirectRefused",
                "%s redirects to %.*s; redirects are not followed", r->peer, STR_FMT(target));
}

static void on_transfer_done(HttpRequest *r, CURLcode code)
{
        char *type = NULL;

        read_status(r);
        if (r->is_cut)
                code = CURLE_OK;
        if (code != CURLE_OK) {
                if (r->result.err.kind == ERR_NONE)
                        explain(r, code);
        } else if (r->result.status >= 300 && r->result.status < 400) {
                refuse_redirect(r);
        }
        if (r->result.status != 0) {
                r->result.retry_after = read_retry_after(r);
                r->result.date = read_date(r);
                read_etag(r);
                curl_easy_getinfo(r->easy, CURLINFO_CONTENT_TYPE, &type);
                buf_add_str(&r->content_type, str_of(type));
        }
        end_request(r);
}

/* --- in and out of libcurl --- */

static void collect(HttpClient *c)
{
        CURLMsg *m;
        int left;

        /* A message dies with the removal of its handle, so it is read before. */
        while ((m = curl_multi_info_read(c->multi, &left)) != NULL) {
                CURLcode code = m->data.result;
                char *r = NULL;

                if (m->msg != CURLMSG_DONE)
                        continue;
                curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &r);
                on_transfer_done((HttpRequest *)(void *)r, code);
        }
}

static void drive(HttpClient *c, curl_socket_t fd, int ready)
{
        int running;

        INSIST(!c->inside);
        c->inside = true;
        curl_multi_socket_action(c->multi, fd, ready, &running);
        c->inside = false;
        collect(c);
}

static void on_timer(Timer *t)
{
        drive(CONTAINER_OF(t, HttpClient, timer), CURL_SOCKET_TIMEOUT, 0);
}

static void on_ready(FdSource *source, unsigned ready)
{
        Socket *s = CONTAINER_OF(source, Socket, source);
        int mask = ((ready & FD_READ) != 0 ? CURL_CSELECT_IN : 0) |
                   ((ready & FD_WRITE) != 0 ? CURL_CSELECT_OUT : 0);

        drive(s->client, source->fd, mask);
}

static void socket_free(Socket *s)
{
        fd_source_close(&s->source);
        link_remove(&s->link);
        mem_free(s);
}

/* CURLMOPT_SOCKETFUNCTION. On removal libcurl closes the descriptor next, so this cannot wait;
 * nobody touches the Socket after its own callback. */
static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *known)
{
        HttpClient *c = ctx;
        Socket *s = known;

        (void)easy;
        if (what == CURL_POLL_REMOVE) {
                if (s != NULL)
                        socket_free(s);
                return 0;
        }
        if (s == NULL) {
                s = mem_new(sizeof(*s));
                s->client = c;
                fd_source_init(&s->source, c->loop, fd, on_ready);
                list_add(&c->sockets, &s->link);
                curl_multi_assign(c->multi, fd, s);
        }
        fd_source_want(&s->source, ((what & CURL_POLL_IN) != 0 ? FD_READ : 0U) |
                                           ((what & CURL_POLL_OUT) != 0 ? FD_WRITE : 0U));
        return 0;
}

/* CURLMOPT_TIMERFUNCTION. */
static int on_curl_timer(CURLM *multi, long ms, void *ctx)
{
        HttpClient *c = ctx;

        (void)multi;
        if (ms < 0)
                timer_clear(&c->timer);
        else
                timer_set_in(&c->timer, SPAN_MS(ms));
        return 0;
}

/* CURLOPT_HEADERFUNCTION. */
static size_t on_curl_header(char *p, size_t size, size_t n, void *ctx)
{
        HttpRequest *r = ctx;

        (void)p;
        r->n_header_bytes += size * n;
        if (r->n_header_bytes <= HTTP_CLIENT_HEADERS_MAX)
                return size * n;
        err_set(&r->result.err, ERR_LIMIT, "AnswerTooLarge", "header of %s above %d KiB", r->peer,
                HTTP_CLIENT_HEADERS_MAX >> 10);
        return 0;
}

/* Of a refusal a few bytes tell why; the rest may be endless and is not read. */
static bool keep_refusal(HttpRequest *r, Str chunk)
{
        size_t room = r->max_refusal - r->body.n;

        buf_add_str(&r->body, str_sub(chunk, 0, room));
        r->is_cut = chunk.n > room;
        return !r->is_cut;
}

/* CURLOPT_WRITEFUNCTION. */
static size_t on_curl_body(char *p, size_t size, size_t n, void *ctx)
{
        HttpRequest *r = ctx;
        Str chunk = str_make(p, size * n);

        read_status(r);
        r->result.bytes += chunk.n;
        if (r->result.status < 200 || r->result.status > 299)
                return keep_refusal(r, chunk) ? chunk.n : 0;
        if (r->max_bytes > 0 && r->result.bytes > r->max_bytes) {
                err_set(&r->result.err, ERR_LIMIT, "AnswerTooLarge", "answer of %s above %zu %s",
                        r->peer, r->max_bytes >= 1 << 20 ? r->max_bytes >> 20 : r->max_bytes,
                        r->max_bytes >= 1 << 20 ? "MiB" : "bytes");
                return 0;
        }
        if (r->on_body == NULL) {
                buf_add_str(&r->body, chunk);
                if (!r->body.failed)
                        return chunk.n;
                err_set(&r->result.err, ERR_LIMIT, "AnswerTooLarge", "no memory for the answer");
                return 0;
        }
        if (r->on_body(r, chunk))
                return chunk.n;
        err_set(&r->result.err, ERR_INVALID, "BodyRefused", "the answer of %s is not usable",
                r->peer);
        return 0;
}

/* Loopback, private (RFC 1918, RFC 4193), shared (RFC 6598: a tailnet's own) and link-local. */
static bool is_private(const struct sockaddr *sa)
{
        static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
        uint32_t v4;

        if (sa->sa_family == AF_INET) {
                v4 = ntohl(((const struct sockaddr_in *)(const void *)sa)->sin_addr.s_addr);
        } else if (sa->sa_family == AF_INET6) {
                const struct in6_addr *a =
                        &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
                if (memcmp(a->s6_addr, mapped, sizeof(mapped)) != 0)
                        return IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_LINKLOCAL(a) ||
                               (a->s6_addr[0] & 0xfe) == 0xfc;
                memcpy(&v4, a->s6_addr + 12, 4);
                v4 = ntohl(v4);
        } else {
                return false;
        }
        return v4 >> 24 == 127 || v4 >> 24 == 10 || v4 >> 20 == (172 << 4 | 1) ||
               v4 >> 16 == (192 << 8 | 168) || v4 >> 22 == (100 << 2 | 1) ||
               v4 >> 16 == (169 << 8 | 254);
}

/* CURLOPT_OPENSOCKETFUNCTION: here the address is known that a name stands for. */
static curl_socket_t may_connect(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
        HttpRequest *r = ctx;

        (void)purpose;
        if (r->is_plain && a->family != AF_UNIX && !is_private(&a->addr)) {
                r->is_refused = true;
                return CURL_SOCKET_BAD;
        }
        return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* CURLOPT_PREREQFUNCTION: the connection stands, and the request is sent next. Where the process
 * was stopped meanwhile, that must not be: whoever asked counts on nothing being done after the
 * deadline, and the loop delivers descriptors before timers. */
static int may_send(void *ctx, char *ip, char *local_ip, int port, int local_port)
{
        HttpRequest *r = ctx;

        (void)ip;
        (void)local_ip;
        (void)port;
        (void)local_port;
        if (!timer_is_set(&r->deadline) || mono_before(loop_clock(r->client->loop), r->deadline.at))
                return CURL_PREREQFUNC_OK;
        err_set(&r->result.err, ERR_TRANSIENT, "Timeout", "%s was not asked: it was too late",
                r->peer);
        return CURL_PREREQFUNC_ABORT;
}

/* --- the beginning of a request --- */

/* Checks the URL and writes host:port for people. */
static bool read_url(HttpRequest *r, const char *url)
{
        CURLU *u = curl_url();
        char *scheme = NULL, *host = NULL, *port = NULL;
        bool ok = u != NULL && strlen(url) <= HTTP_CLIENT_URL_MAX &&
                  curl_url_set(u, CURLUPART_URL, url, CURLU_DISALLOW_USER) == CURLUE_OK &&
                  curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                  curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
                  curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK;

        if (ok) {
                r->is_plain = strcmp(scheme, "http") == 0;
                ok = r->is_plain || strcmp(scheme, "https") == 0;
                snprintf(r->peer, sizeof(r->peer), "%s:%s", host, port);
        }
        curl_free(scheme);
        curl_free(host);
        curl_free(port);
        curl_url_cleanup(u);
        return ok || err_set(&r->result.err, ERR_INVALID, "BadURL",
                             "not an http or https URL without user name");
}

static bool add_header(HttpRequest *r, const char *line)
{
        struct curl_slist *l = curl_slist_append(r->headers, line);

        if (l == NULL)
                return err_set(&r->result.err, ERR_LIMIT, "NoMemory", "no memory for a header");
        r->headers = l;
        return true;
}

static bool add_bearer(HttpRequest *r, const Secret *bearer)
{
        /* A file's last line feed is not part of the credential. */
        Str key = str_trim(secret_reveal(bearer));
        Buf line;
        bool ok;

        for (size_t i = 0; i < key.n; i++)
                if (key.p[i] <= ' ' || key.p[i] > '~')
                        return err_set(&r->result.err, ERR_INVALID, "BadCredential",
                                       "the API key holds what a header cannot carry");
        buf_init(&line, key.n + 64);
        /* In one piece, so that no shorter copy is left behind by growth. */
        ok = buf_reserve(&line, key.n + 32);
        buf_add_str(&line, STR("Authorization: Bearer "));
        buf_add_str(&line, key);
        buf_add_char(&line, '\0');
        ok = ok && add_header(r, line.p);
        if (line.p != NULL)
                explicit_bzero(line.p, line.n);
        buf_done(&line);
        return ok;
}

/* One that could end the line is no tag that a server gave. */
static bool add_if_match(HttpRequest *r, Str etag)
{
        char line[64 + HTTP_CLIENT_ETAG_MAX];

        if (etag.n > HTTP_CLIENT_ETAG_MAX || !str_is_printable_utf8(etag))
                return err_set(&r->result.err, ERR_INVALID, "BadETag",
                               "the ETag of %s is none that can be sent back", r->peer);
        snprintf(line, sizeof(line), "If-Match: %.*s", STR_FMT(etag));
        return add_header(r, line);
}

static bool add_type(HttpRequest *r, const char *header, const char *type)
{
        char line[128];

        snprintf(line, sizeof(line), "%s: %s", header, type);
        return add_header(r, line);
}

#define SET(option, value) ok = ok && curl_easy_setopt(r->easy, (option), (value)) == CURLE_OK

/* A form is read from where it stands. */
static bool set_method(HttpRequest *r, const HttpRequestInput *in)
{
        bool ok = true;

        if (r->form != NULL) {
                SET(CURLOPT_POSTFIELDSIZE, (long)secret_reveal(r->form).n);
                SET(CURLOPT_POSTFIELDS, secret_reveal(r->form).p);
        } else if (in->content_type != NULL) {
                SET(CURLOPT_POSTFIELDSIZE, (long)in->body.n);
                SET(CURLOPT_COPYPOSTFIELDS, in->body.n > 0 ? in->body.p : "");
        } else {
                SET(CURLOPT_HTTPGET, 1L);
        }
        if (in->method != NULL)
                SET(CURLOPT_CUSTOMREQUEST, in->method);
        return ok;
}

/* The file alone: libcurl is built with a directory of the system's certificates beside it. It
 * keeps what it has read, so it is told for how long. */
static bool set_trust(HttpRequest *r)
{
        bool ok = true;

        if (r->client->ca_file == NULL)
                return ok;
        SET(CURLOPT_CAINFO, r->client->ca_file);
        SET(CURLOPT_CAPATH, NULL);
        SET(CURLOPT_CA_CACHE_TIMEOUT, (long)CA_KEPT_S);
        return ok;
}

static bool set_blob(HttpRequest *r, CURLoption option, Str bytes)
{
        /* libcurl only reads it, and copies. */
        struct curl_blob blob = {(void *)(uintptr_t)bytes.p, bytes.n, CURL_BLOB_COPY};

        return curl_easy_setopt(r->easy, option, &blob) == CURLE_OK;
}

/* libcurl asks for, and checks, the name in the URL. So that is the name wanted, the connection is
 * led to the host of the URL, and the server is told that in `Host`. */
static bool set_server_name(HttpRequest *r, const char *url, const char *name)
{
        char *host = NULL, *port = NULL, *whole = NULL, line[HTTP_CLIENT_URL_MAX];
        CURLU *u = curl_url();
        bool ok = u != NULL && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
                  curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
                  curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
                  curl_url_set(u, CURLUPART_HOST, name, 0) == CURLUE_OK &&
                  curl_url_get(u, CURLUPART_URL, &whole, 0) == CURLUE_OK;

        if (ok) {
                snprintf(line, sizeof(line), "::%s:%s", host, port);
                r->connect_to = curl_slist_append(NULL, line);
                snprintf(line, sizeof(line), "Host: %s:%s", host, port);
                ok = r->connect_to != NULL && add_header(r, line);
                SET(CURLOPT_CONNECT_TO, r->connect_to);
                SET(CURLOPT_HTTPHEADER, r->headers);
                SET(CURLOPT_URL, whole);
        }
        curl_free(host);
        curl_free(port);
        curl_free(whole);
        curl_url_cleanup(u);
        return ok;
}

static bool set_identity(HttpRequest *r, const HttpTls *tls)
{
        bool ok = true;

        if (tls->cert_pem.n > 0)
                ok = set_blob(r, CURLOPT_SSLCERT_BLOB, tls->cert_pem);
        else if (tls->cert_file != NULL)
                SET(CURLOPT_SSLCERT, tls->cert_file);
        if (tls->key_pem != NULL)
                ok = ok && set_blob(r, CURLOPT_SSLKEY_BLOB, secret_reveal(tls->key_pem));
        else if (tls->key_file != NULL)
                SET(CURLOPT_SSLKEY, tls->key_file);
        return ok;
}

static bool set_tls(HttpRequest *r, const HttpRequestInput *in)
{
        const HttpTls *tls = in->tls;
        bool ok = set_identity(r, tls);

        if (tls->ca_pem.n > 0) {
                ok = ok && set_blob(r, CURLOPT_CAINFO_BLOB, tls->ca_pem);
                SET(CURLOPT_CAINFO, NULL);
                SET(CURLOPT_CAPATH, NULL);
        } else if (tls->ca_file != NULL) {
                SET(CURLOPT_CAINFO, tls->ca_file);
                SET(CURLOPT_CAPATH, NULL);
                SET(CURLOPT_CA_CACHE_TIMEOUT, (long)CA_KEPT_S);
        }
        if (tls->insecure) {
                SET(CURLOPT_SSL_VERIFYPEER, 0L);
                SET(CURLOPT_SSL_VERIFYHOST, 0L);
        }
        if (tls->server_name != NULL)
                ok = ok && set_server_name(r, in->url, tls->server_name);
        return ok;
}

/* A connection of its own each time: what is asked is whether one can be made. */
static bool set_probe(HttpRequest *r, const HttpRequestInput *in)
{
        bool ok = true;

        INSIST(in->bearer == NULL && in->form == NULL && in->content_type == NULL);
        SET(CURLOPT_SSL_VERIFYPEER, 0L);
        SET(CURLOPT_SSL_VERIFYHOST, 0L);
        SET(CURLOPT_FRESH_CONNECT, 1L);
        SET(CURLOPT_FORBID_REUSE, 1L);
        SET(CURLOPT_CONNECT_ONLY, in->connect_only ? 1L : 0L);
        return ok;
}

static bool set_tunnel(HttpRequest *r, const char *proxy)
{
        bool ok = true;

        SET(CURLOPT_PROXY, proxy);
        SET(CURLOPT_PROXYTYPE, (long)CURLPROXY_HTTP);
        SET(CURLOPT_HTTPPROXYTUNNEL, 1L);
        SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
        return ok;
}

static bool set_options(HttpRequest *r, const HttpRequestInput *in)
{
        bool ok = r->easy != NULL;

        SET(CURLOPT_URL, in->url);
        SET(CURLOPT_UNIX_SOCKET_PATH, in->unix_socket);
        SET(CURLOPT_PRIVATE, r);
        SET(CURLOPT_HTTPHEADER, r->headers);
        SET(CURLOPT_USERAGENT, "tailscale-gateway/" TSGW_VERSION);
        SET(CURLOPT_PROTOCOLS_STR, "http,https");
        SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
        SET(CURLOPT_FOLLOWLOCATION, 0L);
        SET(CURLOPT_PROXY, "");
        SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
        SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_NONE);
        SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
        SET(CURLOPT_NOSIGNAL, 1L);
        /* A name look-up that hangs in its thread is left behind, not waited for. */
        SET(CURLOPT_QUICK_EXIT, 1L);
        SET(CURLOPT_ERRORBUFFER, r->note);
        SET(CURLOPT_HEADERFUNCTION, on_curl_header);
        SET(CURLOPT_HEADERDATA, r);
        SET(CURLOPT_WRITEFUNCTION, on_curl_body);
        SET(CURLOPT_WRITEDATA, r);
        SET(CURLOPT_OPENSOCKETFUNCTION, may_connect);
        SET(CURLOPT_OPENSOCKETDATA, r);
        SET(CURLOPT_PREREQFUNCTION, may_send);
        SET(CURLOPT_PREREQDATA, r);
        if (in->deadline.ns == 0)
                SET(CURLOPT_TCP_KEEPALIVE, 1L);
        ok = ok && set_trust(r) && set_method(r, in);
        if (in->tls != NULL)
                ok = ok && set_tls(r, in);
        if (in->http1)
                SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
        if (in->fresh)
                SET(CURLOPT_FRESH_CONNECT, 1L);
        if (in->is_probe)
                ok = ok && set_probe(r, in);
        if (in->tunnel != NULL)
                ok = ok && set_tunnel(r, in->tunnel);
        return ok || err_set(&r->result.err, ERR_LIMIT, "NoMemory", "libcurl takes no request");
}

static bool begin(HttpRequest *r, const HttpRequestInput *in)
{
        if (!read_url(r, in->url))
                return false;
        r->is_plain = r->is_plain && !in->is_probe;
        if (in->unix_socket != NULL)
                snprintf(r->peer, sizeof(r->peer), "%s", in->unix_socket);
        if ((in->bearer != NULL && !add_bearer(r, in->bearer)) ||
            (in->if_match.n > 0 && !add_if_match(r, in->if_match)) ||
            (in->accept != NULL && !add_type(r, "Accept", in->accept)) ||
            (in->content_type != NULL && !add_type(r, "Content-Type", in->content_type)))
                return false;
        if (in->body.n > HTTP_CLIENT_BODY_MAX)
                return err_set(&r->result.err, ERR_INVALID, "BodyTooLarge",
                               "the body for %s is above %d MiB", r->peer,
                               HTTP_CLIENT_BODY_MAX >> 20);
        /* Else libcurl may ask before a body whether it is wanted, and waits a second where the
         * server does not know that. */
        if ((in->form != NULL || in->content_type != NULL) && !add_header(r, "Expect:"))
                return false;
        r->form = secret_dup(in->form);
        r->easy = curl_easy_init();
        return set_options(r, in);
}

HttpRequest *http_request_open(HttpClient *c, const HttpRequestInput *in)
{
        HttpRequest *r = mem_new(sizeof(*r));
        CURLMcode added = CURLM_OK;

        INSIST(!c->inside && (in->max_bytes > 0 || in->on_body != NULL));
        r->client = c;
        r->on_body = in->on_body;
        r->on_done = in->on_done;
        r->owner = in->owner;
        r->allowed = in->deadline;
        r->max_bytes = in->max_bytes;
        r->max_refusal = in->max_refusal > 0 ? in->max_refusal : HTTP_CLIENT_ERROR_BODY_MAX;
        r->began = loop_now(c->loop);
        buf_init(&r->body, in->max_bytes > r->max_refusal ? in->max_bytes : r->max_refusal);
        buf_init(&r->content_type, HTTP_CLIENT_HEADERS_MAX);
        buf_init(&r->etag, HTTP_CLIENT_HEADERS_MAX);
        timer_init(&r->deadline, c->loop, on_deadline);
        post_init(&r->tell, c->loop, on_tell);
        list_add(&c->requests, &r->link);
        r->state = REQUEST_ENDED;
        if (begin(r, in)) {
                c->inside = true;
                added = curl_multi_add_handle(c->multi, r->easy);
                c->inside = false;
                if (added == CURLM_OK)
                        r->state = REQUEST_CARRIED;
                else
                        err_set(&r->result.err, ERR_LIMIT, "NoMemory", "%s",
                                curl_multi_strerror(added));
        }
        if (r->state != REQUEST_CARRIED)
                end_request(r);
        else if (in->deadline.ns > 0)
                timer_set_in(&r->deadline, in->deadline);
        return r;
}

void *http_request_owner(const HttpRequest *r)
{
        return r->owner;
}

HttpRequest *http_request_close(HttpRequest *r)
{
        if (r == NULL)
                return NULL;
        leave_curl(r);
        timer_clear(&r->deadline);
        post_cancel(&r->tell);
        r->client->inside = true;
        curl_easy_cleanup(r->easy);
        r->client->inside = false;
        wipe(r);
        curl_slist_free_all(r->connect_to);
        buf_done(&r->body);
        buf_done(&r->content_type);
        buf_done(&r->etag);
        link_remove(&r->link);
        mem_free(r);
        return NULL;
}

/* For curl_global_init_mem. */
static void *allocate_zeroed(size_t n, size_t size)
{
        void *p = n == 0 || size <= SIZE_MAX / n ? mem_try(n * size) : NULL;

        return p != NULL ? memset(p, 0, n * size) : NULL;
}

static char *copy_text(const char *text)
{
        size_t size = strlen(text) + 1;
        char *copy = mem_try(size);

        return copy != NULL ? memcpy(copy, text, size) : NULL;
}

HttpClient *http_client_new(Loop *loop, const char *ca_file)
{
        HttpClient *c = mem_new(sizeof(*c));

        INSIST(curl_global_init_mem(CURL_GLOBAL_DEFAULT, mem_try, mem_free_wiped, mem_resize_wiped,
                                    copy_text, allocate_zeroed) == CURLE_OK);
        c->loop = loop;
        if (ca_file != NULL) {
                c->ca_file = mem_new(strlen(ca_file) + 1);
                memcpy(c->ca_file, ca_file, strlen(ca_file));
        }
        c->multi = curl_multi_init();
        INSIST(c->multi != NULL);
        timer_init(&c->timer, loop, on_timer);
        list_init(&c->sockets);
        list_init(&c->requests);
        curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
        curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
        curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
        curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
        curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                          (long)HTTP_CLIENT_CONNECTIONS_MAX);
        curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)HTTP_CLIENT_CONNECTIONS_MAX);
        return c;
}

HttpClient *http_client_free(HttpClient *c)
{
        if (c == NULL)
                return NULL;
        INSIST(list_is_empty(&c->requests));
        c->inside = true;
        curl_multi_cleanup(c->multi);
        c->inside = false;
        LIST_FOREACH (Socket, s, &c->sockets, link)
                socket_free(s);
        timer_clear(&c->timer);
        mem_free(c->ca_file);
        mem_free(c);
        curl_global_cleanup();
        return NULL;
}
