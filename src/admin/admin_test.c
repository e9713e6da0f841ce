/* SPDX-License-Identifier: Apache-2.0 */
/* Who is answered what at which of the two addresses, over real sockets; and closing. */
#include "admin/admin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/admin_test_view.h"
#include "io/testing.h"
#include "net/test_closer.h"

typedef enum Where {
        AT_ADMIN,
        AT_METRICS,
        WHERES,
} Where;

typedef struct Fixture {
        TestClock time;
        Clock clock;
        Loop *loop;
        TestDir dir;
        Address addresses[WHERES];
        TestView view;
        Admin *admin;
        unsigned n_views, n_approvals;
        char approved[256];
        int fd;
        Buf got;
} Fixture;

static void on_view(void *owner, AdminView *ret)
{
        Fixture *f = owner;
        f->n_views++;
        *ret = f->view.view;
}

static bool on_approve(void *owner, EntryKey entry, Str digest, Err *err)
{
        Fixture *f = owner;
        f->n_approvals++;
        IGNORE(snprintf(f->approved, sizeof f->approved, "%.*s %.*s %.*s %.*s",
                        STR_FMT(entry.gateway.namespace), STR_FMT(entry.gateway.name),
                        STR_FMT(entry.tailnet), STR_FMT(digest)),
               "cut at its size");
        return str_eq(digest, STR("good")) ||
               err_set(err, ERR_CONFLICT, "NothingHeld", "nothing like it is held");
}

static Admin *open_admin(Fixture *f, Err *err)
{
        return admin_open(&(AdminInput){.loop = f->loop,
                                        .admin = &f->addresses[AT_ADMIN],
                                        .metrics = &f->addresses[AT_METRICS],
                                        .view = on_view,
                                        .approve = on_approve,
                                        .owner = f},
                          err);
}

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof *f);
        f->time = (TestClock){{SPAN_S(1000).ns}, {INT64_C(1795384400000)}, 0};
        f->clock = test_clock(&f->time);
        f->loop = loop_new(&f->clock);
        f->fd = -1;
        buf_init(&f->got, 1 << 20);
        test_dir_init(&f->dir);
        for (size_t i = 0; i < WHERES; i++) {
                char text[TEST_PATH + 16];
                IGNORE(snprintf(text, sizeof text, "unix://%s/%zu", f->dir.path, i), "fits");
                assert_true(address_parse(str_of(text), &f->addresses[i], NULL));
        }
        test_view_open(&f->view, VIEW_FULL);
        f->admin = open_admin(f, NULL);
        assert_non_null(f->admin);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;
        if (f->fd >= 0)
                close(f->fd);
        admin_close(f->admin);
        test_view_close(&f->view);
        loop_free(f->loop);
        test_dir_done(&f->dir);
        buf_done(&f->got);
        mem_free(f);
        return 0;
}

static void show(Fixture *f, ViewKind kind)
{
        test_view_close(&f->view);
        test_view_open(&f->view, kind);
}

static void dial(Fixture *f, Where where)
{
        const Address *a = &f->addresses[where];
        if (f->fd >= 0)
                close(f->fd);
        f->fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(f->fd >= 0);
        assert_int_equal(connect(f->fd, (const struct sockaddr *)&a->sa, a->n), 0);
}

static void say(const Fixture *f, const char *text)
{
        assert_int_equal(send(f->fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* One request; the answer is whole where the server has closed. Returns what follows the head. */
static Str ask(Fixture *f, Where where, const char *line)
{
        char request[512];
        ssize_t n = -1;
        IGNORE(snprintf(request, sizeof request,
                        "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", line),
               "fits");
        dial(f, where);
        say(f, request);
        buf_reset(&f->got);
        for (int i = 0; i < 1000 && n != 0; i++) {
                loop_turn(f->loop, SPAN_MS(1));
                assert_true(buf_reserve(&f->got, 1 << 16));
                n = recv(f->fd, f->got.p + f->got.n, 1 << 16, MSG_DONTWAIT);
                f->got.n += n > 0 ? (size_t)n : 0;
        }
        assert_int_equal(n, 0);
        Str body = buf_str(&f->got);
        ptrdiff_t head = str_find_str(body, STR("\r\n\r\n"));
        assert_true(head > 0);
        return str_sub(body, (size_t)head + 4, body.n);
}

static void expect(Fixture *f, Where where, const char *line, unsigned status, const char *says)
{
        char start[32];
        Str body = ask(f, where, line);
        IGNORE(snprintf(start, sizeof start, "HTTP/1.1 %u ", status), "fits");
        if (!str_starts(buf_str(&f->got), str_of(start)) || str_find_str(body, str_of(says)) < 0)
                fail_msg("%s: expected %u and '%s', got: %.*s", line, status, says,
                         STR_FMT(str_sub(buf_str(&f->got), 0, 600)));
}

static bool has_header(const Fixture *f, const char *line)
{
        return str_find_str(buf_str(&f->got), str_of(line)) > 0;
}

/* ---- who is answered what ---- */

static void both_tell_metrics_and_health(void **state)
{
        Fixture *f = *state;
        for (Where w = 0; w < WHERES; w++) {
                expect(f, w, "GET /healthz", 200, "ok\n");
                expect(f, w, "GET /readyz", 200, "ok\n");
                expect(f, w, "GET /metrics", 200, "tailscale_gateway_ready 1\n");
                assert_true(has_header(f, "Content-Type: text/plain; version=0.0.4"));
        }
}

static void the_metrics_address_tells_nothing_else(void **state)
{
        Fixture *f = *state;
        static const char *const lines[] = {"GET /state", "GET /explain?url=http://a/", "GET /",
                                            "GET /metrics/", "GET //metrics"};
        for (size_t i = 0; i < LENGTH_OF(lines); i++)
                expect(f, AT_METRICS, lines[i], 404, "not found");
        expect(f, AT_METRICS, "POST /metrics", 405, "only GET");
        expect(f, AT_METRICS, "POST /approve-removal?namespace=a&gateway=b&tailnet=c&digest=good",
               405, "only");
        assert_int_equal(f->n_approvals, 0);
}

static void ready_says_what_is_missing(void **state)
{
        Fixture *f = *state;
        show(f, VIEW_EMPTY);
        expect(f, AT_METRICS, "GET /readyz", 503, "directories have not been read");
        expect(f, AT_METRICS, "GET /healthz", 200, "ok");
        show(f, VIEW_INCOMPLETE);
        expect(f, AT_METRICS, "GET /readyz", 503, "a tailnet has neither answered");
}

static void the_state_is_json(void **state)
{
        Fixture *f = *state;
        expect(f, AT_ADMIN, "GET /state", 200, "\"host\":\"api.tailscale.local\"");
        assert_true(has_header(f, "Content-Type: application/json\r\n"));
        expect(f, AT_ADMIN, "POST /state", 405, "only GET");
}

static void explain_needs_a_url_and_something_read(void **state)
{
        Fixture *f = *state;
        expect(f, AT_ADMIN, "GET /explain", 400, "?url=");
        expect(f, AT_ADMIN, "GET /explain?url=http%3A%2F%2Fapi.tailscale.local%2F", 200,
               "api.tailscale.local");
        assert_true(has_header(f, "Content-Type: application/json\r\n"));
        show(f, VIEW_EMPTY);
        expect(f, AT_ADMIN, "GET /explain?url=http://a/", 503, "nothing has been read");
}

static void a_removal_is_approved_by_post(void **state)
{
        Fixture *f = *state;
        expect(f, AT_ADMIN, "POST /approve-removal?namespace=a&gateway=b&tailnet=c%2Dd&digest=good",
               200, "approved");
        assert_string_equal(f->approved, "a b c-d good");
        expect(f, AT_ADMIN, "POST /approve-removal?namespace=a&gateway=b&tailnet=c&digest=bad", 409,
               "nothing like it is held");
        assert_int_equal(f->n_approvals, 2);
        expect(f, AT_ADMIN, "POST /approve-removal?namespace=a&gateway=b&tailnet=c", 400, "digest");
        expect(f, AT_ADMIN, "GET /approve-removal?namespace=a&gateway=b&tailnet=c&digest=good", 404,
               "not found");
        assert_int_equal(f->n_approvals, 2);
}

/* ---- opening ---- */

static void the_admin_address_is_local(void **state)
{
        Fixture *f = *state;
        Err err = {0};
        f->admin = admin_close(f->admin);
        Address local = f->addresses[AT_ADMIN];
        assert_true(address_parse(STR("tcp://0.0.0.0:0"), &f->addresses[AT_ADMIN], NULL));
        assert_null(open_admin(f, &err));
        assert_string_equal(err.reason, "NotLocal");
        f->addresses[AT_ADMIN] = local;
}

static void an_address_that_cannot_be_had_is_told_with_its_option(void **state)
{
        Fixture *f = *state;
        char text[TEST_PATH + 32];
        Err err = {0};
        f->admin = admin_close(f->admin);
        IGNORE(snprintf(text, sizeof text, "unix://%s/none/s", f->dir.path), "fits");
        assert_true(address_parse(str_of(text), &f->addresses[AT_METRICS], NULL));
        assert_null(open_admin(f, &err));
        assert_true(str_starts(str_of(err.text), STR("--metrics-address")));
}

/* ---- closing ---- */

static void close_admin(void *ctx)
{
        Fixture *f = ctx;
        f->admin = admin_close(f->admin);
}

static void closed_at_every_moment_in_every_way(void **state)
{
        Fixture *f = *state;
        static const char *const said[] = {NULL, "", "GET /st", "GET /state HTTP/1.1\r\n\r\n",
                                           "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"};
        for (unsigned i = 0; i < LENGTH_OF(said) * WHERES * CLOSER_KINDS; i++) {
                const char *text = said[i / WHERES / CLOSER_KINDS];
                if (f->admin == NULL)
                        f->admin = open_admin(f, NULL);
                assert_non_null(f->admin);
                if (text != NULL) {
                        dial(f, i % WHERES);
                        for (int t = 0; t < 3; t++)
                                loop_turn(f->loop, SPAN_MS(0));
                        say(f, text);
                }
                closer_play(f->loop, i / WHERES % CLOSER_KINDS, close_admin, f);
                unsigned views = f->n_views;
                test_clock_advance(&f->time, SPAN_S(100));
                for (int t = 0; t < 4; t++)
                        loop_turn(f->loop, SPAN_MS(0));
                assert_int_equal(f->n_views, views);
        }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(both_tell_metrics_and_health),
                TEST(the_metrics_address_tells_nothing_else),
                TEST(ready_says_what_is_missing),
                TEST(the_state_is_json),
                TEST(explain_needs_a_url_and_something_read),
                TEST(a_removal_is_approved_by_post),
                TEST(the_admin_address_is_local),
                TEST(an_address_that_cannot_be_had_is_told_with_its_option),
                TEST(closed_at_every_moment_in_every_way),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
