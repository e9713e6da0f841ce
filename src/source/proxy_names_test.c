/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of proxies, with a resolver of the test's own in place of libc's: what is asked, what is
 * made of the answers, and what closing does to a look-up that is under way. The module is included
 * whole, to see when a look-up has been told.
 */
#include "source/proxy_names.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>

#include "base/mem.h"
#include "io/testing.h"
#include "model/gateway_spec.h"
#include "model/tailnet_spec.h"
#include "model/world.h"
#include "net/test_closer.h"

/* ---- the resolver ---- */

enum {
        FOUND_MAX = 4
};

static struct Resolver {
        pthread_mutex_t mutex;
        const char *addresses[FOUND_MAX]; /* of every name; none: the look-up fails */
        bool hangs;                       /* until it is released */
        unsigned n_asked;
        char last[64];
} resolver = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void answer_with(const char *a, const char *b)
{
        pthread_mutex_lock(&resolver.mutex);
        resolver.addresses[0] = a;
        resolver.addresses[1] = b;
        pthread_mutex_unlock(&resolver.mutex);
}

static void set_hanging(bool hangs)
{
        pthread_mutex_lock(&resolver.mutex);
        resolver.hangs = hangs;
        pthread_mutex_unlock(&resolver.mutex);
}

static unsigned n_asked(void)
{
        pthread_mutex_lock(&resolver.mutex);
        unsigned n = resolver.n_asked;
        pthread_mutex_unlock(&resolver.mutex);
        return n;
}

static struct addrinfo *found(const char *address)
{
        struct addrinfo *a = calloc(1, sizeof *a + sizeof(struct sockaddr_storage));
        struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)(a + 1);
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)(a + 1);
        a->ai_addr = (struct sockaddr *)(a + 1);
        if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
                a->ai_family = v4->sin_family = AF_INET;
                a->ai_addrlen = sizeof *v4;
        } else {
                INSIST(inet_pton(AF_INET6, address, &v6->sin6_addr) == 1);
                a->ai_family = v6->sin6_family = AF_INET6;
                a->ai_addrlen = sizeof *v6;
        }
        return a;
}

/* In the worker's thread, in place of libc's. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret)
{
        struct addrinfo **end = ret;
        (void)service;
        (void)hints;
        pthread_mutex_lock(&resolver.mutex);
        resolver.n_asked++;
        snprintf(resolver.last, sizeof resolver.last, "%s", name);
        /* Bounded, because closing waits for it. */
        for (int i = 0; resolver.hangs && i < 100; i++) {
                pthread_mutex_unlock(&resolver.mutex);
                IGNORE(poll(NULL, 0, 1), "one millisecond");
                pthread_mutex_lock(&resolver.mutex);
        }
        *ret = NULL;
        for (size_t i = 0; i < FOUND_MAX && resolver.addresses[i] != NULL; i++) {
                *end = found(resolver.addresses[i]);
                end = &(*end)->ai_next;
        }
        pthread_mutex_unlock(&resolver.mutex);
        return *ret != NULL ? 0 : EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *a)
{
        while (a != NULL) {
                struct addrinfo *next = a->ai_next;
                free(a);
                a = next;
        }
}

/* ---- fixture ---- */

typedef struct Fixture {
        TestClock time;
        Clock clock;
        Loop *loop;
        ProxyNames *names;
        bool close_inside;
        unsigned n_told;
} Fixture;

static void on_told(void *owner)
{
        Fixture *f = owner;
        f->n_told++;
        if (f->close_inside)
                f->names = proxy_names_close(f->names);
}

static void open_names(Fixture *f)
{
        f->names = proxy_names_open(f->loop, NULL, on_told, f);
}

static int setup(void **state)
{
        Fixture *f = mem_new(sizeof *f);
        f->time = (TestClock){{SPAN_S(1000).ns}, {1}, 0};
        f->clock = test_clock(&f->time);
        f->loop = loop_new(&f->clock);
        resolver.hangs = false;
        resolver.n_asked = 0;
        answer_with("10.0.0.1", NULL);
        open_names(f);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;
        set_hanging(false);
        proxy_names_close(f->names);
        loop_free(f->loop);
        mem_free(f);
        return 0;
}

/* Wants these proxies, of one TailscaleTailnet. */
static void want_all(Fixture *f, StrList proxies)
{
        TailnetSpec *t = leaf_new(sizeof *t, 256, NULL);
        t->proxies = leaf_strlist(&t->leaf, proxies);
        const void *leaf = t;
        Table *tailnets = table_new(&leaf, 1, tailnet_spec_order);
        Table *gateways = table_new(NULL, 0, gateway_spec_order);
        proxy_names_want(f->names, tailnets, gateways);
        table_unref(tailnets);
        table_unref(gateways);
}

static void want(Fixture *f, const char *a, const char *b)
{
        Str at[] = {str_of(a), str_of(b != NULL ? b : "")};
        want_all(f, (StrList){at, b != NULL ? 2 : 1});
}

/* Until so many look-ups have been made and told. */
static void until_asked(Fixture *f, unsigned n)
{
        for (int i = 0;
             i < 1000 && f->names != NULL && (n_asked() < n || f->names->under_way != NULL); i++)
                loop_turn(f->loop, SPAN_MS(5));
        assert_int_equal(n_asked(), n);
}

static const ProxyName *known(const Fixture *f, const char *name)
{
        Str key = str_of(name);
        return table_find(proxy_names_table(f->names), &key, proxy_name_find);
}

static void expect(const Fixture *f, const char *name, const char *a, const char *b)
{
        const ProxyName *n = known(f, name);
        assert_non_null(n);
        assert_int_equal(n->addresses.n, b != NULL ? 2 : 1);
        assert_true(str_eq(n->addresses.at[0], str_of(a)));
        if (b != NULL)
                assert_true(str_eq(n->addresses.at[1], str_of(b)));
}

/* ---- what is looked up ---- */

static void literals_are_no_names(void **state)
{
        Fixture *f = *state;
        static const char *const literals[] = {"127.0.0.1:3128", "[::1]:3128", "/run/proxy.sock"};
        for (size_t i = 0; i < LENGTH_OF(literals); i++) {
                want(f, literals[i], NULL);
                for (int t = 0; t < 5; t++)
                        loop_turn(f->loop, SPAN_MS(1));
        }
        assert_int_equal(n_asked(), 0);
        assert_true(proxy_names_all_resolved(f->names));
        assert_int_equal(table_n(proxy_names_table(f->names)), 0);
}

static void a_name_becomes_its_addresses_sorted_and_once(void **state)
{
        Fixture *f = *state;
        answer_with("fd7a:115c:a1e0::1", "10.0.0.1");
        resolver.addresses[2] = "10.0.0.1";
        want(f, "proxy.example:3128", NULL);
        assert_false(proxy_names_all_resolved(f->names));
        until_asked(f, 1);
        resolver.addresses[2] = NULL;
        assert_string_equal(resolver.last, "proxy.example");
        expect(f, "proxy.example:3128", "10.0.0.1:3128", "[fd7a:115c:a1e0::1]:3128");
        assert_true(proxy_names_all_resolved(f->names));
        assert_int_equal(f->n_told, 1);
}

static void the_same_name_twice_is_asked_once(void **state)
{
        Fixture *f = *state;
        want(f, "a:1", "a:1");
        until_asked(f, 1);
        want(f, "a:1", NULL);
        for (int t = 0; t < 5; t++)
                loop_turn(f->loop, SPAN_MS(1));
        assert_int_equal(n_asked(), 1);
}

static void a_name_that_moves_is_told(void **state)
{
        Fixture *f = *state;
        want(f, "a:1", NULL);
        until_asked(f, 1);
        for (unsigned i = 2; i < 4; i++) {
                test_clock_advance(&f->time, SPAN_S(PROXY_NAMES_SECONDS));
                until_asked(f, i);
                assert_int_equal(f->n_told, 1);
        }
        answer_with("10.0.0.2", NULL);
        test_clock_advance(&f->time, SPAN_S(PROXY_NAMES_SECONDS));
        until_asked(f, 4);
        assert_int_equal(f->n_told, 2);
        expect(f, "a:1", "10.0.0.2:1", NULL);
}

static void a_failure_keeps_what_was_known(void **state)
{
        Fixture *f = *state;
        want(f, "a:1", NULL);
        until_asked(f, 1);
        answer_with(NULL, NULL);
        test_clock_advance(&f->time, SPAN_S(PROXY_NAMES_SECONDS));
        until_asked(f, 2);
        expect(f, "a:1", "10.0.0.1:1", NULL);
        assert_true(proxy_names_all_resolved(f->names));
        assert_int_equal(f->n_told, 1);
}

static void a_name_that_is_not_known_yet_is_asked_again_soon(void **state)
{
        Fixture *f = *state;
        answer_with(NULL, NULL);
        want(f, "a:1", NULL);
        until_asked(f, 1);
        assert_false(proxy_names_all_resolved(f->names));
        assert_null(known(f, "a:1"));
        answer_with("10.0.0.1", NULL);
        test_clock_advance(&f->time, SPAN_S(1));
        until_asked(f, 2);
        assert_true(proxy_names_all_resolved(f->names));
}

static void what_nobody_wants_is_forgotten(void **state)
{
        Fixture *f = *state;
        want(f, "a:1", "b:1");
        until_asked(f, 2);
        want(f, "b:1", NULL);
        assert_null(known(f, "a:1"));
        assert_non_null(known(f, "b:1"));
        want(f, "127.0.0.1:1", NULL);
        assert_int_equal(table_n(proxy_names_table(f->names)), 0);
}

static void what_is_wanted_during_a_look_up_is_asked_after_it(void **state)
{
        Fixture *f = *state;
        set_hanging(true);
        want(f, "a:1", NULL);
        for (int i = 0; i < 1000 && n_asked() == 0; i++)
                loop_turn(f->loop, SPAN_MS(1));
        want(f, "b:2", NULL);
        set_hanging(false);
        for (int i = 0; i < 200 && known(f, "b:2") == NULL; i++) {
                loop_turn(f->loop, SPAN_MS(5));
                test_clock_advance(&f->time, SPAN_MS(100));
        }
        expect(f, "b:2", "10.0.0.1:2", NULL);
        assert_null(known(f, "a:1"));
}

/* ---- closing ---- */

typedef enum Moment {
        IDLE,
        LOOK_UP_IS_DUE,
        LOOK_UP_IS_UNDER_WAY,
        ANSWER_IS_DUE,
        MOMENTS,
} Moment;

static void close_names(void *ctx)
{
        Fixture *f = ctx;
        f->names = proxy_names_close(f->names);
}

static void closed_at_every_moment_in_every_way(void **state)
{
        Fixture *f = *state;
        f->names = proxy_names_close(f->names);
        for (unsigned i = 0; i < (unsigned)MOMENTS * CLOSER_KINDS; i++) {
                Moment m = i / CLOSER_KINDS;
                unsigned asked = n_asked();
                open_names(f);
                f->n_told = 0;
                set_hanging(m == LOOK_UP_IS_UNDER_WAY);
                if (m != IDLE)
                        want(f, "a:1", NULL);
                if (m > LOOK_UP_IS_DUE)
                        loop_turn(f->loop, SPAN_MS(0));
                for (int t = 0; m > LOOK_UP_IS_DUE && t < 1000 && n_asked() == asked; t++)
                        IGNORE(poll(NULL, 0, 1), "one millisecond");
                closer_play(f->loop, i % CLOSER_KINDS, close_names, f);
                unsigned told = f->n_told;
                test_clock_advance(&f->time, SPAN_S(100));
                for (int t = 0; t < 5; t++)
                        loop_turn(f->loop, SPAN_MS(0));
                assert_int_equal(f->n_told, told);
        }
}

/* Many names, and a name server that does not answer: the end waits for one of them, not for all.
 */
static void closing_waits_for_one_name_only(void **state)
{
        Fixture *f = *state;
        Str at[50];
        char names[LENGTH_OF(at)][16];
        for (size_t i = 0; i < LENGTH_OF(at); i++) {
                snprintf(names[i], sizeof names[i], "n%zu:1", i);
                at[i] = str_of(names[i]);
        }
        set_hanging(true);
        want_all(f, (StrList){at, LENGTH_OF(at)});
        for (int i = 0; i < 1000 && n_asked() == 0; i++)
                loop_turn(f->loop, SPAN_MS(1));
        f->names = proxy_names_close(f->names);
        assert_in_range(n_asked(), 1, 2);
}

static void closed_inside_its_own_delivery(void **state)
{
        Fixture *f = *state;
        f->close_inside = true;
        want(f, "a:1", "b:1");
        until_asked(f, 2);
        for (int i = 0; i < 1000 && f->names != NULL; i++)
                loop_turn(f->loop, SPAN_MS(1));
        assert_null(f->names);
        assert_int_equal(f->n_told, 1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(literals_are_no_names),
                TEST(a_name_becomes_its_addresses_sorted_and_once),
                TEST(the_same_name_twice_is_asked_once),
                TEST(a_name_that_moves_is_told),
                TEST(a_failure_keeps_what_was_known),
                TEST(a_name_that_is_not_known_yet_is_asked_again_soon),
                TEST(what_nobody_wants_is_forgotten),
                TEST(what_is_wanted_during_a_look_up_is_asked_after_it),
                TEST(closed_at_every_moment_in_every_way),
                TEST(closing_waits_for_one_name_only),
                TEST(closed_inside_its_own_delivery),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
