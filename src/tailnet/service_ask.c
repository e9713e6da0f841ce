/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A poll goes: list ──(404: the other path)──> host lists, one after the other ──> fn.
 *
 * Invariants:
 * 1. One request at a time.
 * 2. `asked[i]` belongs to the i-th Service by name: the number of the call that its hosts were
 *    last asked with, 0 where they never were, or the entry has changed since. The lowest is next.
 * 3. `known` is replaced at the end of a poll only, by what came until then.
 * 4. Hosts of a Service that were told once stay until they are told anew, or the Service goes.
 */
#include "tailnet/service_ask.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "tailnet/api_error.h"
#include "tailnet/api_url.h"
#include "tailnet/service_list.h"
#include "tailnet/token.h"

typedef struct Path {
        Str list, one;
} Path;

/* The documented one first. */
static const Path paths[] = {
        {STR_INIT("/services"), STR_INIT("/services/")},
        {STR_INIT("/vip-services"), STR_INIT("/vip-services/")},
};

/* Something that is not to be asked again before `until`. */
typedef struct Refusal {
        Mono until; /* 0: it may be */
        uint64_t generation;
        bool is_for_all; /* another bearer changes nothing */
        char text[SERVICE_ASK_WARNING_MAX + 1];
} Refusal;

struct ServiceAsk {
        ServiceAskInput in; /* `before` is not kept */
        char *base;         /* owned */
        size_t path;        /* what worked, or is tried first */
        const Table *known; /* one reference, or NULL */
        uint64_t *asked;    /* owned; of each in `known` */
        uint64_t turn;      /* calls for hosts so far */
        Refusal list, hosts;
        unsigned n_nulls; /* polls in a row that had null for the list */
        char warning[SERVICE_ASK_WARNING_MAX + 1];
        Mono window; /* end of the interval that `n_calls` counts in */
        unsigned n_calls;

        /* Of the poll under way. */
        ServiceAskCredential with;
        Mono until;
        bool other_failed;    /* the other path is 404 */
        uint64_t begun;       /* `turn` when it began: above are those that were asked in it */
        HttpRequest *request; /* owned, as the next four */
        char *url;
        ServiceList *parse;
        const void **leaves; /* the Services of this list, each with one reference; or NULL */
        uint64_t *asked_now; /* of each of them */
        size_t n, at;        /* how many; whose hosts are asked for */
        Err parse_err;
};

static const char not_found[] = "Tailscale Services are not found";
static const char no_scope[] = "services:read is missing: Tailscale Services are not found";
static const char no_hosts[] = "hosts of Tailscale Services are not known";

/* --- what is said, and what is not asked --- */

static void warn(ServiceAsk *s, const char *fmt, ...) PRINTF(2, 3);
static void warn(ServiceAsk *s, const char *fmt, ...)
{
        size_t at = strlen(s->warning), room = sizeof(s->warning);
        va_list ap;

        if (at > 0 && at + 2 < room) {
                memcpy(s->warning + at, "; ", 3);
                at += 2;
        }
        va_start(ap, fmt);
        IGNORE(vsnprintf(s->warning + at, room - at, fmt, ap), "cut at its size");
        va_end(ap);
}

static void refuse(const ServiceAsk *s, Refusal *r, Span for_span, bool is_for_all)
{
        r->until = mono_add(loop_now(s->in.loop), for_span);
        r->generation = s->with.generation;
        r->is_for_all = is_for_all;
}

static bool is_refused(const ServiceAsk *s, const Refusal *r)
{
        return mono_before(loop_now(s->in.loop), r->until) &&
               (r->is_for_all || r->generation == s->with.generation);
}

static Span left(const ServiceAsk *s)
{
        return mono_since(s->until, loop_now(s->in.loop));
}

/* What a failure means for the next polls, and for people. */
static void fail(ServiceAsk *s, Refusal *r, const char *what, const Err *err,
                 const HttpResult *result)
{
        IGNORE(snprintf(r->text, sizeof(r->text), "%s: %.*s", what, (int)(sizeof(r->text) * 3 / 4),
                        err->text),
               "cut at its size");
        /* Of many with one fault the first is told. */
        if (str_find_str(str_of(s->warning), str_of(what)) < 0)
                warn(s, "%s", r->text);
        if (err->kind == ERR_DENIED)
                refuse(s, r, SPAN_S(SERVICE_ASK_DENIED_SECONDS), false);
        else if (result->retry_after.ns > 0)
                refuse(s, r, result->retry_after, true);
        else if (left(s).ns <= 0)
                refuse(s, r, SPAN_S(SERVICE_ASK_SLOW_SECONDS), true);
}

/* --- the end of a request, of a poll --- */

static void end_request(ServiceAsk *s)
{
        s->request = http_request_close(s->request);
        s->parse = service_list_free(s->parse);
        s->url = mem_free(s->url);
}

static void end_poll(ServiceAsk *s)
{
        const Table *old = s->known;

        if (s->leaves != NULL) {
                s->known = table_update(old, s->leaves, s->n, tailnet_service_order,
                                        tailnet_service_same);
                table_unref(old);
                mem_free(s->asked);
                s->asked = TAKE(s->asked_now);
                s->leaves = mem_free(s->leaves);
                s->n = 0;
        }
        s->with = (ServiceAskCredential){0};
        s->in.fn(s);
}

/* --- hosts --- */

/* A poll may be brought forward; the calls of an interval are not more for that. An interval may be
 * a tenth shorter than it says. */
static bool has_calls_left(ServiceAsk *s)
{
        Mono now = loop_now(s->in.loop);

        if (!mono_before(now, s->window)) {
                s->window = mono_add(now, (Span){s->in.interval.ns / 10 * 9});
                s->n_calls = 0;
        }
        return s->n_calls < SERVICE_ASK_HOST_CALLS;
}

/* s->n: everybody was asked in this poll. */
static size_t whose_turn(const ServiceAsk *s)
{
        size_t next = s->n;

        for (size_t i = 0; i < s->n; i++)
                if (s->asked_now[i] <= s->begun &&
                    (next == s->n || s->asked_now[i] < s->asked_now[next]))
                        next = i;
        return next;
}

static void ask_hosts(ServiceAsk *s);

/* True: the next one may be asked. */
static bool take_hosts(ServiceAsk *s, const HttpResult *result)
{
        const ApiAsked asked = {API_V2_HOSTS, s->url, {s->with.bearer}};
        const TailnetService *old = s->leaves[s->at];
        TailnetService *told = NULL;
        Err err = {0};

        /* It went in between, or the next list has it under another name. */
        if (result->err.kind == ERR_NONE && result->status == 404)
                return true;
        if (!api_error_check(&asked, result, &err)) {
                fail(s, &s->hosts, no_hosts, &err, result);
                return false;
        }
        told = service_list_read_hosts(old, result->body, &err);
        if (told == NULL) {
                err_prefix(&err, "%s", s->url);
                fail(s, &s->hosts, no_hosts, &err, result);
                return true;
        }
        s->leaves[s->at] = told;
        leaf_unref(old);
        return true;
}

static void on_hosts_done(HttpRequest *r, const HttpResult *result)
{
        ServiceAsk *s = http_request_owner(r);
        bool goes_on = take_hosts(s, result);

        end_request(s);
        if (goes_on)
                ask_hosts(s);
        else
                end_poll(s);
}

static void ask_hosts(ServiceAsk *s)
{
        size_t next = whose_turn(s);
        const TailnetService *service;

        if (next == s->n || left(s).ns <= 0 || !has_calls_left(s)) {
                end_poll(s);
                return;
        }
        service = s->leaves[next];
        s->at = next;
        s->n_calls++;
        s->asked_now[next] = ++s->turn;
        s->url = api_url_new(str_of(s->base), paths[s->path].one, service->name, STR("/devices"));
        s->request = http_request_open(s->in.http, &(HttpRequestInput){
                                                           .url = s->url,
                                                           .bearer = s->with.bearer,
                                                           .accept = "application/json",
                                                           .deadline = left(s),
                                                           .max_bytes = SERVICE_HOSTS_BYTES_MAX,
                                                           .on_done = on_hosts_done,
                                                           .owner = s,
                                                   });
}

static void begin_hosts(ServiceAsk *s)
{
        s->begun = s->turn;
        if (!is_refused(s, &s->hosts)) {
                ask_hosts(s);
                return;
        }
        warn(s, "%s", s->hosts.text);
        end_poll(s);
}

/* --- the list --- */

/* A leaf with the hosts that are known of the same Service; takes over the reference. */
static const TailnetService *with_known_hosts(ServiceAsk *s, const TailnetService *listed,
                                              uint64_t *ret_asked)
{
        ptrdiff_t at = table_index(s->known, &listed->name, tailnet_service_find);
        const TailnetService *old, *whole;
        TailnetService both = *listed;

        if (at < 0)
                return listed;
        old = s->known->at[at];
        both.hosts_known = old->hosts_known;
        both.hosts = old->hosts;
        both.n_hosts = old->n_hosts;
        if (tailnet_service_same(old, &both)) {
                *ret_asked = s->asked[at];
                whole = leaf_ref(old);
        } else {
                whole = tailnet_service_new(&both);
        }
        leaf_unref(listed);
        return whole;
}

/* Both are sorted by name: who is listed, and who is known and garbled in this list. */
static void merge_known(ServiceAsk *s, const void **listed, size_t n_listed)
{
        size_t n_known = table_n(s->known), i = 0, k = 0;

        s->leaves = mem_new_array(n_listed + n_known, sizeof(*s->leaves));
        s->asked_now = mem_new_array(n_listed + n_known, sizeof(*s->asked_now));
        while (i < n_listed || k < n_known) {
                const TailnetService *known = k < n_known ? table_at(s->known, k) : NULL;
                int c = known == NULL   ? -1
                        : i == n_listed ? 1
                                        : tailnet_service_order(listed[i], known);

                if (c <= 0) {
                        s->leaves[s->n] = with_known_hosts(s, listed[i++], &s->asked_now[s->n]);
                        s->n++;
                } else if (service_list_has_garbled(s->parse, known->name)) {
                        s->asked_now[s->n] = s->asked[k];
                        s->leaves[s->n++] = leaf_ref(known);
                }
                k += c >= 0;
        }
}

static void take_list(ServiceAsk *s)
{
        CLEANUP(mem_cleanup) const void **listed = NULL;
        const char *why;
        uint64_t n_invalid = service_list_invalid(s->parse, &why);
        size_t n;

        if (n_invalid > 0)
                warn(s, "%llu Tailscale Services cannot be understood, the first is %s",
                     (unsigned long long)n_invalid, why);
        listed = service_list_take(s->parse, &n);
        merge_known(s, listed, n);
        end_request(s);
        begin_hosts(s);
}

/* A list that is null where there were Services is believed after a while. */
static bool is_believed(ServiceAsk *s, Err *err)
{
        if (!service_list_was_null(s->parse) || table_n(s->known) == 0) {
                s->n_nulls = 0;
                return true;
        }
        return ++s->n_nulls >= SERVICE_ASK_NULL_POLLS ||
               err_set(err, ERR_INVALID, "InvalidJson", "the list is null, and there were %zu",
                       table_n(s->known));
}

static void ask_list(ServiceAsk *s);

/* Both paths: there are none here, which is no fault. Else the other one is tried. */
static void try_other_path(ServiceAsk *s)
{
        bool is_last = s->other_failed;

        end_request(s);
        s->other_failed = true;
        s->path = 1 - s->path;
        if (!is_last) {
                ask_list(s);
                return;
        }
        s->list.text[0] = '\0';
        refuse(s, &s->list, SPAN_S(SERVICE_ASK_NONE_SECONDS), true);
        end_poll(s);
}

/* Runs inside libcurl. */
static bool on_list_body(HttpRequest *r, Str chunk)
{
        ServiceAsk *s = http_request_owner(r);

        return service_list_feed(s->parse, chunk, &s->parse_err);
}

static void on_list_done(HttpRequest *r, const HttpResult *result)
{
        ServiceAsk *s = http_request_owner(r);
        const ApiAsked asked = {API_V2_SERVICES, s->url, {s->with.bearer}};
        Err err = s->parse_err;

        if (err.kind == ERR_NONE && result->err.kind == ERR_NONE && result->status == 404) {
                try_other_path(s);
                return;
        }
        if (err.kind == ERR_NONE && api_error_check(&asked, result, &err) &&
            service_list_finish(s->parse, &err) && is_believed(s, &err)) {
                take_list(s);
                return;
        }
        if (result->status == 200)
                err_prefix(&err, "%s", s->url);
        fail(s, &s->list, result->status == 403 ? no_scope : not_found, &err, result);
        end_request(s);
        end_poll(s);
}

static void ask_list(ServiceAsk *s)
{
        s->parse_err = (Err){0};
        s->parse = service_list_new();
        s->url = api_url_new(str_of(s->base), paths[s->path].list, (Str){0}, (Str){0});
        s->request = http_request_open(s->in.http, &(HttpRequestInput){
                                                           .url = s->url,
                                                           .bearer = s->with.bearer,
                                                           .accept = "application/json",
                                                           .deadline = left(s),
                                                           .max_bytes = SERVICE_ASK_BYTES_MAX,
                                                           .on_body = on_list_body,
                                                           .on_done = on_list_done,
                                                           .owner = s,
                                                   });
}

bool service_ask_begin(ServiceAsk *s, const ServiceAskCredential *with, Span within)
{
        INSIST(s->request == NULL);
        s->warning[0] = '\0';
        s->with = *with;
        s->other_failed = false;
        if (within.ns > SPAN_S(SERVICE_ASK_SECONDS).ns)
                within = SPAN_S(SERVICE_ASK_SECONDS);
        s->until = mono_add(loop_now(s->in.loop), within);
        if (is_refused(s, &s->list)) {
                if (s->list.text[0] != '\0')
                        warn(s, "%s", s->list.text);
                return false;
        }
        if (!token_scopes_hold(with->scopes, STR("services:read"))) {
                warn(s, "%s", no_scope);
                return false;
        }
        ask_list(s);
        return true;
}

/* --- the rest --- */

const Table *service_ask_services(const ServiceAsk *s)
{
        return s->known;
}

const char *service_ask_warning(const ServiceAsk *s)
{
        return s->warning;
}

void *service_ask_owner(const ServiceAsk *s)
{
        return s->in.owner;
}

ServiceAsk *service_ask_new(const ServiceAskInput *in)
{
        ServiceAsk *s = mem_new(sizeof(*s));

        s->in = *in;
        s->in.before = NULL;
        s->base = api_url_new(in->tailnet_url, (Str){0}, (Str){0}, (Str){0});
        s->in.tailnet_url = (Str){0};
        s->known = table_ref(in->before);
        s->asked = mem_new_array(table_n(in->before), sizeof(*s->asked));
        s->turn = 1;
        for (size_t i = 0; i < table_n(in->before); i++)
                s->asked[i] = ((const TailnetService *)table_at(in->before, i))->hosts_known;
        return s;
}

ServiceAsk *service_ask_free(ServiceAsk *s)
{
        if (s == NULL)
                return NULL;
        end_request(s);
        for (size_t i = 0; i < s->n; i++)
                leaf_unref(s->leaves[i]);
        mem_free(s->leaves);
        mem_free(s->asked_now);
        mem_free(s->asked);
        mem_free(s->base);
        table_unref(s->known);
        return mem_free(s);
}
