/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_head.h"

static HttpHeadOutcome bad(HttpHead *h, unsigned status)
{
        h->status = status;
        return HTTP_HEAD_BAD;
}

/* The next line without its CRLF; false where it holds a bare CR or LF. */
static bool next_line(Str *in, Str *ret)
{
        ptrdiff_t end = str_find_str(*in, STR("\r\n"));

        *ret = str_sub(*in, 0, (size_t)end);
        *in = str_sub(*in, (size_t)end + 2, SIZE_MAX);
        return str_find(*ret, '\r') < 0 && str_find(*ret, '\n') < 0;
}

/* RFC 9110 5.6.2 */
static bool is_token(Str s)
{
        static const char others[] = "!#$%&'*+-.^_`|~";

        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i];

                if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')) &&
                    str_find(str_of(others), c) < 0)
                        return false;
        }
        return s.n > 0;
}

static bool has_control(Str s)
{
        for (size_t i = 0; i < s.n; i++)
                if (((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 0x7f)
                        return true;
        return false;
}

/* False where it is to be refused with h->status. */
static bool read_request_line(Str line, HttpHead *h)
{
        Str method, target;

        h->status = 400;
        if (!str_cut(&line, ' ', &method) || !str_cut(&line, ' ', &target) || !is_token(method) ||
            !str_starts(line, STR("HTTP/")))
                return false;
        if (!str_eq(line, STR("HTTP/1.1")) && !str_eq(line, STR("HTTP/1.0"))) {
                h->status = 505;
                return false;
        }
        h->keep_alive = str_eq(line, STR("HTTP/1.1"));
        if (!str_eq(method, STR("GET")) && !str_eq(method, STR("POST"))) {
                h->status = 405;
                return false;
        }
        h->verb = str_eq(method, STR("POST")) ? HTTP_POST : HTTP_GET;
        h->query = target;
        /* Without a "?" all of it is the path. */
        IGNORE(str_cut(&h->query, '?', &h->path), "gives the whole where there is none");
        return str_starts(target, STR("/")) && !has_control(target);
}

typedef struct Seen {
        bool host, length;
} Seen;

static bool read_length(Str value, HttpHead *h, Seen *seen)
{
        uint64_t n;

        if (!str_to_u64(value, UINT64_MAX, &n) || (seen->length && n != h->body))
                return false;
        seen->length = true;
        h->body = n;
        h->status = 413;
        return n <= HTTP_SERVER_BODY_MAX;
}

/* False where it is to be refused with h->status. */
static bool read_field(Str line, HttpHead *h, Seen *seen)
{
        Str name, value = line;

        h->status = 400;
        if (!str_cut(&value, ':', &name) || !is_token(name) || has_control(value))
                return false;
        value = str_trim(value);
        if (str_eq_fold(name, STR("transfer-encoding"))) {
                h->status = 501;
                return false;
        }
        if (str_eq_fold(name, STR("content-length")))
                return read_length(value, h, seen);
        if (str_eq_fold(name, STR("connection")) && str_eq_fold(value, STR("close")))
                h->keep_alive = false;
        if (str_eq_fold(name, STR("origin")))
                h->origin = value;
        if (!str_eq_fold(name, STR("host")))
                return true;
        h->host = value;
        if (seen->host)
                return false;
        seen->host = true;
        return true;
}

HttpHeadOutcome http_head_read(Str in, HttpHead *ret, size_t *ret_n)
{
        Str rest = str_sub(in, 0, HTTP_SERVER_HEADERS_MAX), line;
        ptrdiff_t end = str_find_str(rest, STR("\r\n\r\n"));
        bool is_11;
        Seen seen = {0};
        HttpHead h = {0};

        if (end < 0) {
                ret->status = 431;
                return in.n >= HTTP_SERVER_HEADERS_MAX ? HTTP_HEAD_BAD : HTTP_HEAD_MORE;
        }
        rest = str_sub(rest, 0, (size_t)end + 2);
        if (!next_line(&rest, &line))
                return bad(ret, 400);
        if (!read_request_line(line, &h))
                return bad(ret, h.status);
        is_11 = h.keep_alive;
        h.fields = rest;
        while (rest.n > 0) {
                if (!next_line(&rest, &line))
                        return bad(ret, 400);
                if (!read_field(line, &h, &seen))
                        return bad(ret, h.status);
        }
        if (is_11 && !seen.host)
                return bad(ret, 400);
        h.status = 0;
        *ret = h;
        *ret_n = (size_t)end + 4;
        return HTTP_HEAD_DONE;
}

static int hex(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool http_head_decode(Str s, bool plus, Buf *out)
{
        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i];

                if (c == '%') {
                        int high = i + 2 < s.n ? hex(s.p[i + 1]) : -1;
                        int low = i + 2 < s.n ? hex(s.p[i + 2]) : -1;

                        if (high < 0 || low < 0)
                                return false;
                        c = (char)(high << 4 | low);
                        i += 2;
                } else if (c == '+' && plus) {
                        c = ' ';
                }
                if ((unsigned char)c < ' ' || c == 0x7f)
                        return false;
                buf_add_char(out, c);
        }
        return !out->failed;
}
