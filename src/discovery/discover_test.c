/* SPDX-License-Identifier: Apache-2.0 */
#include "discovery/discover.h"

#include "discovery/test_entry.h"

enum {
        SEEDS = 40,
        STEPS = 60,
        FIRST_SERVICE = 48, /* things from here on are Tailscale Services, the others devices */
};

static void never_synced_is_not_empty(void **state)
{
        Fixture *f = *state;

        evaluate(f);
        assert_false(f->view->known);
        assert_int_equal(table_n(f->view->endpoints), 0);
        f->in.state = &f->state;
        evaluate(f);
        assert_false(f->view->known);
        answer(f, NULL, 0);
        assert_true(f->view->known);
        assert_int_equal(f->view->held.n, 0);
        assert_true(str_eq(f->view->gateway.namespace, STR("team-a")));
        assert_true(str_eq(f->view->tailnet, STR("corp")));
}

static void devices_become_endpoints(void **state)
{
        static const Str tags[] = {STR_INIT("tag:grpc-9000"), STR_INIT("tag:http-8080")};
        Fixture *f = *state;
        Device web = {.node_id = STR("2"),
                      .name = STR("web_app.corp.ts.net"),
                      .short_name = STR("web_app"),
                      .ip4 = STR("100.64.0.2"),
                      .ip6 = STR("fd7a:115c:a1e0::2"),
                      .tags = {tags, LENGTH_OF(tags)},
                      .online = DEVICE_OFFLINE,
                      .authorized = true};
        Device six = {.node_id = STR("3"),
                      .name = STR("six"),
                      .short_name = STR("six"),
                      .ip4 = STR("192.168.0.1"),
                      .ip6 = STR("fd7a:115c:a1e0:0:0::3"),
                      .authorized = true};

        answer_with(f, (const void *[]){device(1, "api"), device_new(&web), device_new(&six)}, 3);
        assert_string_equal(endpoints(f), "api:80/HTTP@100.64.0.1 defaultPort\n"
                                          "six:80/HTTP@fd7a:115c:a1e0::3 defaultPort\n"
                                          "web-app:8080/HTTP@100.64.0.2 tag:http-8080\n"
                                          "web-app:9000/GRPC@100.64.0.2 tag:grpc-9000\n");
        const Endpoint *e = f->view->endpoints->at[2];
        assert_true(str_eq(e->fqdn, STR("web_app.corp.ts.net")));
        assert_true(str_eq(e->health, STR("Offline")));
        assert_true(str_eq(e->rule, STR("no pattern")));
        assert_true(str_eq(e->node_id, STR("2")));
        assert_int_equal(e->tags.n, 2);
        assert_int_equal(e->weight, 1);
        e = f->view->endpoints->at[0];
        assert_int_equal(e->fqdn.n, 0);
        assert_true(str_eq(e->health, STR("Healthy")));
}

static void each_that_is_left_out_says_why(void **state)
{
        const Device odd[] = {
                {.node_id = STR("1"),
                 .name = STR("expired"),
                 .ip4 = STR("100.64.0.1"),
                 .expires = {1000},
                 .authorized = true},
                {.node_id = STR("2"), .name = STR("unapproved"), .ip4 = STR("100.64.0.2")},
                {.node_id = STR("3"),
                 .name = STR("lan"),
                 .ip4 = STR("10.0.0.3"),
                 .authorized = true},
                {.node_id = STR("4"),
                 .name = STR("--"),
                 .ip4 = STR("100.64.0.4"),
                 .authorized = true},
                {.node_id = STR("5"),
                 .name = STR("proxy-a"),
                 .ip4 = STR("100.64.0.5"),
                 .authorized = true},
                {.node_id = STR("6"),
                 .name = STR("twin"),
                 .ip4 = STR("100.64.0.6"),
                 .authorized = true,
                 .external = true},
                {.node_id = STR("7"),
                 .name = STR("twin"),
                 .ip4 = STR("100.64.0.7"),
                 .authorized = true},
                {.node_id = STR("8"),
                 .name = STR("x-9"),
                 .ip4 = STR("100.64.0.8"),
                 .authorized = true},
                {.node_id = STR("9"),
                 .name = STR("db"),
                 .ip4 = STR("100.64.0.9"),
                 .authorized = true},
        };
        const PortRule ports[] = {{.pattern = STR("[!d]*"), .ports = {{{80, 80}}, 1, false}}};
        const void *leaves[LENGTH_OF(odd)];
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(odd); i++) {
                Device d = odd[i];

                d.short_name = d.name;
                leaves[i] = device_new(&d);
        }
        f->entry.discovery.default_port = 0;
        f->entry.discovery.ports = ports;
        f->entry.discovery.n_ports = 1;
        f->entry.discovery.exclude_patterns = LIST(STR("x-*"));
        f->in.own_nodes = LIST(STR("proxy-a"));
        answer_with(f, leaves, LENGTH_OF(odd));
        assert_string_equal(endpoints(f), "twin:80/HTTP@100.64.0.7 ports[0]\n");
        assert_string_equal(
                left_out(f),
                "-- BadName: no DNS label can be made of its name\n"
                "db NoPort: no ports[] rule and no port tag matches, and there is no defaultPort\n"
                "expired Expired: the device's key has expired\n"
                "lan AddressRefused: 10.0.0.3 is neither a tailnet address nor in allowedCIDRs\n"
                "proxy-a OwnNode: a proxy of ours is never taken\n"
                "twin NameConflict: device 7 (twin) has the name twin\n"
                "unapproved Unapproved: the device is not approved in the tailnet\n"
                "x-9 Excluded: excludePatterns[0] x-* matches\n");
        assert_int_equal(f->view->n_left_out, 8);
}

static void allowed_ranges_widen(void **state)
{
        static const Cidr lan = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10}, 104};
        Fixture *f = *state;
        Device d = {.node_id = STR("1"),
                    .name = STR("lan"),
                    .short_name = STR("lan"),
                    .ip4 = STR("10.0.0.3"),
                    .authorized = true};

        f->entry.connectivity.allowed = &lan;
        f->entry.connectivity.n_allowed = 1;
        answer_with(f, (const void *[]){device_new(&d)}, 1);
        assert_string_equal(endpoints(f), "lan:80/HTTP@10.0.0.3 defaultPort\n");
}

static void what_is_left_out_is_bounded(void **state)
{
        enum {
                N = LEFT_OUT_MAX + 500
        };
        Fixture *f = *state;
        const void **leaves = mem_new_array(N + 1, sizeof(*leaves));

        for (unsigned i = 0; i < N; i++) {
                char name[16];

                snprintf(name, sizeof(name), "a%04u", i);
                leaves[i] = device(i, name);
        }
        leaves[N] = device_new(&(Device){.node_id = STR("z"),
                                         .name = STR("zz"),
                                         .short_name = STR("zz"),
                                         .ip4 = STR("100.64.9.9")});
        f->entry.discovery.patterns = LIST(STR("z*"));
        answer_with(f, leaves, N + 1);
        assert_int_equal(f->view->n_left_out, N + 1);
        assert_int_equal(left_out_n(f->view->left_out), LEFT_OUT_MAX);
        /* What a user looks for is among them, however many others there are. */
        LeftOut last = left_out_at(f->view->left_out, LEFT_OUT_MAX - 1);
        assert_true(str_eq(last.reason, STR("Unapproved")));
        mem_free(leaves);
}

static void answer_with_range(Fixture *f, unsigned from, unsigned n)
{
        const void **leaves = mem_new_array(n, sizeof(*leaves));

        for (unsigned i = 0; i < n; i++) {
                char name[16];

                snprintf(name, sizeof(name), "d%05u", from + i);
                leaves[i] = device(from + i, name);
        }
        answer_with(f, leaves, n);
        mem_free(leaves);
}

static bool has_id(const EntryView *v, const char *id)
{
        TABLE_FOREACH (Endpoint, e, v->endpoints)
                if (str_eq(e->node_id, str_of(id)))
                        return true;
        return false;
}

/* Who comes last finds no room, whatever its node id is. */
static void a_cap_throws_nobody_out(void **state)
{
        Fixture *f = *state;

        answer_with_range(f, 30000, DISCOVER_DEVICES_MAX);
        assert_int_equal(table_n(f->view->endpoints), DISCOVER_ENDPOINTS_MAX);
        answer_with_range(f, 29999, DISCOVER_DEVICES_MAX + 1);
        assert_int_equal(table_n(f->view->endpoints), DISCOVER_ENDPOINTS_MAX);
        assert_true(has_id(f->view, "49999"));
        assert_false(has_id(f->view, "29999"));
        assert_int_equal(f->view->n_left_out, 1);
        /* Nor do devices of a wrong tenant, while what they displace is held. */
        answer_with_range(f, 10000, 100);
        assert_int_equal(f->view->held.n, DISCOVER_ENDPOINTS_MAX);
        assert_true(has_id(f->view, "49999"));
        assert_int_equal(table_n(f->view->endpoints), DISCOVER_ENDPOINTS_MAX);
}

static void nothing_new_is_the_same_view(void **state)
{
        Fixture *f = *state;

        ANSWER(f, 1, 2, 3);
        const EntryView *first = f->view;
        ANSWER(f, 3, 2, 1);
        assert_ptr_equal(f->view, first);
        fail_poll(f);
        assert_ptr_equal(f->view, first);
        ANSWER(f, 1, 2, 3, 4);
        assert_ptr_not_equal(f->view, first);
        assert_string_equal(services(f), "d1 d2 d3 d4");
}

static bool has_leaf(const Table *t, const Endpoint *e)
{
        return table_find(t, e, endpoint_order) == e;
}

static size_t bytes_of(const EntryView *v)
{
        size_t n = leaf_bytes(v) + leaf_bytes(v->endpoints) + leaf_bytes(v->left_out);
        TABLE_FOREACH (Endpoint, e, v->endpoints)
                n += leaf_bytes(e);
        return n;
}

/* Two thousand lists, each with one device that moved, came or went: what is in force is made of
 * what was, but for that device, and holds what the list alone gives. */
static void a_change_makes_one_endpoint_and_nothing_grows(void **state)
{
        enum {
                N = 40,
                CHANGES = 2000
        };
        Fixture *f = *state;
        const void *leaves[N + 1];
        unsigned ids[N];
        size_t first = 0;

        f->tailnet.guard.max_percent = 100;
        f->entry.discovery.patterns = LIST(STR("d0*"), STR("d1*"), STR("d2*"));
        for (unsigned i = 0; i < N; i++)
                ids[i] = i;
        for (unsigned change = 0; change <= CHANGES; change++) {
                CLEANUP(leaf_cleanup) EntryView *before = leaf_ref(f->view);
                unsigned fresh = 0, at = change * 7 % N;
                size_t n = 0;

                ids[at] = change % CHANGES == 0 ? at : 1000 + change % 997;
                for (unsigned i = 0; i < N; i++) {
                        char name[16];

                        snprintf(name, sizeof(name), "d%02u", i);
                        if (change % CHANGES == 0)
                                ids[i] = i;
                        if (change % 3 != 0 || i != at || change % CHANGES == 0)
                                leaves[n++] = device(ids[i], name);
                }
                answer_with(f, leaves, n);
                TABLE_FOREACH (Endpoint, e, f->view->endpoints)
                        fresh += before != NULL && !has_leaf(before->endpoints, e);
                if (change > 0 && change < CHANGES)
                        assert_in_range(fresh, 0, 2);
                if (change == 0)
                        first = bytes_of(f->view);
        }
        assert_int_equal(bytes_of(f->view), first);
}

static void a_few_may_leave(void **state)
{
        Fixture *f = *state;

        ANSWER(f, 1, 2, 3, 4, 5, 6);
        ANSWER(f, 1, 2, 3);
        assert_string_equal(services(f), "d1 d2 d3");
        assert_int_equal(f->view->held.n, 0);
        ANSWER(f, 9);
        assert_string_equal(services(f), "d9");
}

static void many_leave_only_when_confirmed(void **state)
{
        Fixture *f = *state;

        ANSWER(f, 1, 2, 3, 4, 5, 6);
        ANSWER(f, 1, 2);
        assert_string_equal(services(f), "d1 d2 d3! d4! d5! d6!");
        assert_int_equal(f->view->held.n, 4);
        assert_int_equal(f->view->held.confirmations, 1);
        assert_true(str_eq(f->view->held.reason, STR("TooManyRemoved")));
        evaluate(f);
        fail_poll(f);
        assert_int_equal(f->view->held.confirmations, 1);
        ANSWER(f, 1, 2);
        assert_int_equal(f->view->held.confirmations, 2);
        /* Something else is missing now: it begins again. */
        ANSWER(f, 1, 2, 3);
        assert_string_equal(services(f), "d1 d2 d3");
        assert_int_equal(f->view->held.n, 0);
}

static void polls_are_told_apart_by_any_number(void **state)
{
        Fixture *f = *state;

        ANSWER(f, 1);
        answer(f, NULL, 0);
        answer(f, NULL, 0);
        assert_int_equal(f->view->held.confirmations, 2);
        /* The tailnet was deleted and made again: its polls are counted from the beginning. */
        f->state.poll = 0;
        answer(f, NULL, 0);
        assert_string_equal(services(f), "");
}

static void an_empty_answer_must_be_confirmed(void **state)
{
        Fixture *f = *state;

        ANSWER(f, 1);
        answer(f, NULL, 0);
        assert_string_equal(services(f), "d1!");
        assert_true(str_eq(f->view->held.reason, STR("EmptyAnswer")));
        ANSWER(f, 1);
        assert_string_equal(services(f), "d1");
        answer(f, NULL, 0);
        fail_poll(f);
        answer(f, NULL, 0);
        assert_string_equal(services(f), "d1!");
        assert_int_equal(f->view->held.confirmations, 2);
        answer(f, NULL, 0);
        assert_string_equal(services(f), "");
        assert_int_equal(f->view->held.n, 0);
        assert_true(f->view->known);
}

static void a_name_that_moved_is_not_missing(void **state)
{
        Fixture *f = *state;
        const void *again[6];
        char name[16];

        ANSWER(f, 1, 2, 3, 4, 5, 6);
        for (unsigned i = 0; i < 6; i++) {
                snprintf(name, sizeof(name), "d%u", i + 1);
                again[i] = device(100 + i, name);
        }
        answer_with(f, again, 6);
        assert_string_equal(services(f), "d1 d2 d3 d4 d5 d6");
        assert_int_equal(f->view->held.n, 0);
        assert_true(str_eq(((const Endpoint *)f->view->endpoints->at[0])->ip, STR("100.64.0.100")));
}

static void an_edit_is_no_removal(void **state)
{
        Fixture *f = *state;

        ANSWER(f, 1, 2, 3, 4, 5, 6);
        f->entry.discovery.patterns = LIST(STR("d[12]"));
        evaluate(f);
        assert_string_equal(services(f), "d1 d2");
        assert_int_equal(f->view->held.n, 0);
        f->entry.discovery.patterns = (StrList){0};
        evaluate(f);
        answer(f, NULL, 0);
        assert_int_equal(f->view->held.n, 6);
        /* Also of what is held. */
        f->entry.discovery.exclude_patterns = LIST(STR("d3"));
        evaluate(f);
        assert_string_equal(services(f), "d1! d2! d4! d5! d6!");
        assert_int_equal(f->view->held.confirmations, 1);
        f->entry.discovery.enabled = false;
        evaluate(f);
        assert_string_equal(services(f), "");
}

static void an_error_changes_nothing(void **state)
{
        Fixture *f = *state;
        Device d = {.node_id = STR("1"),
                    .name = STR("api"),
                    .short_name = STR("api"),
                    .ip4 = STR("100.64.0.1"),
                    .authorized = true};

        d.expires.ms = f->in.now.ms + 20000;
        d.last_seen.ms = f->in.now.ms;
        answer_with(f, (const void *[]){device_new(&d)}, 1);
        const EntryView *first = f->view;
        for (int i = 0; i < 100; i++)
                fail_poll(f);
        assert_ptr_equal(f->view, first);
        /* The same list, but said now: the key has expired. */
        answer_with(f, (const void *[]){device_new(&d)}, 1);
        assert_string_equal(services(f), "");
        assert_string_equal(left_out(f),
                            "api Expired: the device's key has expired; Offline: the control "
                            "server has not seen it since 2026-11-22T20:58:01Z\n");
}

/* What a partial list tells of takes effect, what it lacks is there all the same. */
static void a_partial_list_adds_and_misses_nothing(void **state)
{
        Fixture *f = *state;

        ANSWER(f, 1, 2, 3);
        f->state.partial = true;
        ANSWER(f, 3, 4);
        assert_string_equal(services(f), "d1 d2 d3 d4");
        answer(f, NULL, 0);
        assert_string_equal(services(f), "d1 d2 d3 d4");
        assert_int_equal(f->view->held.n, 0);
        f->state.partial = false;
        ANSWER(f, 2, 3, 4);
        assert_string_equal(services(f), "d2 d3 d4");
}

static void tell_of_services(Fixture *f, Str ip, StrList tags, bool partial)
{
        const void *leaf = tailnet_service_new(&(TailnetService){.name = STR("svc:web"),
                                                                 .label = STR("web"),
                                                                 .ip4 = ip,
                                                                 .ports = LIST(STR("tcp:80")),
                                                                 .tags = tags});

        tell_services(f, ip.n > 0 ? &leaf : (const void *[]){NULL}, ip.n > 0);
        if (ip.n == 0)
                leaf_unref(leaf);
        f->state.services_partial = partial;
        ANSWER(f, 1);
}

/* Those that a tailscaled beside the control server may reach: the API's are not told. */
static void services_of_a_netmap_take_none_away(void **state)
{
        Fixture *f = *state;
        const StrList tags = LIST(STR("tag:web"));

        tell_of_services(f, STR("100.100.1.1"), tags, false);
        restart(f);
        for (int i = 0; i < 5; i++) {
                tell_of_services(f, (Str){0}, tags, true);
                assert_string_equal(services(f), "d1 web");
                assert_int_equal(f->view->held.n, 0);
        }
        /* Which it tells of without their tags. */
        f->entry.discovery.exclude_patterns = LIST(STR("d*"));
        f->entry.discovery.tags = tags;
        tell_of_services(f, STR("100.100.1.1"), (StrList){0}, true);
        assert_string_equal(services(f), "web");
        /* What it tells is true all the same. */
        f->entry.discovery.tags = (StrList){0};
        tell_of_services(f, STR("100.100.1.2"), (StrList){0}, true);
        assert_string_equal(endpoints(f), "web:80/HTTP@100.100.1.2 service\n");
        /* And an edit is an edit. */
        f->entry.discovery.exclude_patterns = LIST(STR("*"));
        evaluate(f);
        assert_string_equal(services(f), "");
}

/* A removal that is held stays so, uncounted, and one that is read back is about the same ones. */
static void a_partial_list_confirms_nothing(void **state)
{
        Fixture *f = *state;

        ANSWER(f, 1, 2, 3, 4, 5, 6);
        ANSWER(f, 1);
        assert_int_equal(f->view->held.confirmations, 1);
        f->state.partial = true;
        for (int i = 0; i < 5; i++)
                ANSWER(f, 1);
        assert_string_equal(services(f), "d1 d2! d3! d4! d5! d6!");
        assert_int_equal(f->view->held.confirmations, 1);
        f->state.partial = false;
        ANSWER(f, 1);
        assert_int_equal(f->view->held.confirmations, 2);
        ANSWER(f, 1);
        assert_string_equal(services(f), "d1");
}

static void a_removal_can_be_approved(void **state)
{
        Fixture *f = *state;

        ANSWER(f, 1, 2, 3, 4, 5, 6);
        ANSWER(f, 1);
        assert_int_equal(f->view->held.n, 5);
        assert_null(discover_approve(f->view, STR("other")));
        EntryView *approved = discover_approve(f->view, f->view->held.digest);
        assert_non_null(approved);
        leaf_unref(f->view);
        f->view = approved;
        assert_string_equal(services(f), "d1");
        assert_null(discover_approve(f->view, (Str){0}));
        evaluate(f);
        assert_string_equal(services(f), "d1");
        /* The same by the annotation. */
        ANSWER(f, 1, 2, 3, 4, 5, 6);
        ANSWER(f, 1);
        char digest[64];
        snprintf(digest, sizeof(digest), "%.*s", STR_FMT(f->view->held.digest));
        f->gateway.meta.approve_removal = str_of(digest);
        evaluate(f);
        assert_string_equal(services(f), "d1");
}

/* The same addresses are other devices there. */
static void another_tailnet_is_another_entry(void **state)
{
        Fixture *f = *state;

        f->entry.tailnet_name = STR("a");
        ANSWER(f, 1, 2, 3, 4, 5, 6);
        restart(f);
        evaluate(f);
        assert_string_equal(services(f), "d1 d2 d3 d4 d5 d6");
        f->entry.tailnet_name = STR("b");
        evaluate(f);
        assert_false(f->view->known);
        assert_string_equal(services(f), "");
        ANSWER(f, 7);
        assert_string_equal(services(f), "d7");
        assert_int_equal(f->view->held.n, 0);
        f->entry.tailnet_name = STR("a");
        ANSWER(f, 1);
        assert_string_equal(services(f), "d1");
}

static void a_restart_remembers(void **state)
{
        Fixture *f = *state;

        ANSWER(f, 1, 2, 3, 4, 5, 6);
        ANSWER(f, 1);
        ANSWER(f, 1);
        assert_int_equal(f->view->held.confirmations, 2);
        restart(f);
        assert_true(f->view->known && f->view->from_cache);
        evaluate(f);
        assert_true(f->view->known && f->view->from_cache);
        /* Which of them are held the next answer tells. */
        assert_string_equal(services(f), "d1 d2 d3 d4 d5 d6");
        assert_int_equal(f->view->held.confirmations, 2);
        const EntryView *cached = f->view;
        fail_poll(f);
        assert_ptr_equal(f->view, cached);
        /* An edit counts before any answer has come. */
        f->entry.discovery.exclude_patterns = LIST(STR("d1"));
        evaluate(f);
        assert_string_equal(services(f), "d2 d3 d4 d5 d6");
        f->entry.discovery.exclude_patterns = (StrList){0};
        evaluate(f);
        ANSWER(f, 1);
        assert_string_equal(services(f), "d1");
        assert_false(f->view->from_cache);
}

/* It says when what is in force changed last, also after a restart: what is written does not change
 * with the clock. */
static void last_sync_moves_with_a_change(void **state)
{
        Fixture *f = *state;

        ANSWER(f, 1, 2);
        Wall first = f->view->last_sync;
        assert_true(first.ms != 0);
        f->in.now.ms += 1000;
        ANSWER(f, 1, 2);
        assert_int_equal(f->view->last_sync.ms, first.ms);
        restart(f);
        ANSWER(f, 1, 2);
        assert_false(f->view->from_cache);
        assert_int_equal(f->view->last_sync.ms, first.ms);
        f->in.now.ms += 1000;
        ANSWER(f, 1, 2, 3);
        assert_true(f->view->last_sync.ms > first.ms);
}

/* What is written does not tell which endpoints are held. */
static void what_was_read_back_cannot_be_approved_yet(void **state)
{
        Fixture *f = *state;
        Endpoint *at[2];
        EndpointsSpec shard = {.endpoints = (const Endpoint *const *)at,
                               .n = 2,
                               .held_confirmations = 1,
                               .held_digest = STR("0123456789abcdef")};

        ANSWER(f, 1, 2);
        at[0] = endpoint_new(f->view->endpoints->at[0]);
        at[1] = endpoint_new(f->view->endpoints->at[1]);
        leaf_unref(f->view);
        f->view = discover_from_cache(f->gateway.meta.key, f->entry.name,
                                      (const EndpointsSpec *const[]){&shard}, 1);
        assert_int_equal(f->view->held.n, 1);
        assert_null(discover_approve(f->view, shard.held_digest));
        leaf_unref(at[0]);
        leaf_unref(at[1]);
}

static void a_restart_removes_nothing(void **state)
{
        Fixture *f = *state;

        ANSWER(f, 1, 2, 3, 4, 5, 6);
        restart(f);
        evaluate(f);
        assert_string_equal(services(f), "d1 d2 d3 d4 d5 d6");
        answer(f, NULL, 0);
        assert_string_equal(services(f), "d1! d2! d3! d4! d5! d6!");
        assert_int_equal(f->view->held.confirmations, 1);
}

static void static_endpoints_win(void **state)
{
        const Endpoint own[] = {
                {.service = STR("d1"),
                 .ip = STR("100.64.7.7"),
                 .port = 80,
                 .protocol = PROTOCOL_HTTP,
                 .weight = 3},
                {.service = STR("d2"),
                 .ip = STR("100.64.7.8"),
                 .port = 81,
                 .protocol = PROTOCOL_TCP},
                {.service = STR("evil"),
                 .ip = STR("169.254.169.254"),
                 .port = 80,
                 .protocol = PROTOCOL_HTTP},
                {.service = STR("d1"),
                 .ip = STR("100.64.7.7"),
                 .port = 80,
                 .protocol = PROTOCOL_HTTP,
                 .node_id = STR("x")},
        };
        const Endpoint *at[] = {&own[0], &own[1], &own[2], &own[3]};
        const EndpointsSpec spec = {.endpoints = at, .n = LENGTH_OF(at)};
        Fixture *f = *state;

        f->in.statics = (const EndpointsSpec *const[]){&spec};
        f->in.n_statics = 1;
        evaluate(f);
        assert_false(f->view->known);
        assert_string_equal(services(f), "d1 d2");
        ANSWER(f, 1, 2);
        assert_string_equal(endpoints(f), "d1:80/HTTP@100.64.7.7 static\n"
                                          "d2:80/HTTP@100.64.0.2 defaultPort\n"
                                          "d2:81/TCP@100.64.7.8 static\n");
        assert_string_equal(
                left_out(f),
                "d1 Shadowed: a static endpoint has the name d1 and port 80\n"
                "evil AddressRefused: static: 169.254.169.254 is neither a tailnet address nor in "
                "allowedCIDRs\n");
        const Endpoint *e = f->view->endpoints->at[0];
        assert_int_equal(e->origin, ENDPOINT_STATIC);
        assert_int_equal(e->weight, 3);
        /* They are no part of what the guard counts, and stay when all else goes. */
        for (int i = 0; i < 3; i++)
                answer(f, NULL, 0);
        assert_string_equal(services(f), "d1 d2");
        restart(f);
        f->in.n_statics = 0;
        evaluate(f);
        assert_string_equal(services(f), "");
}

/* --- a property: over any course of answers, errors, edits and restarts, an endpoint leaves only
 * for a reason that the rules name --- */

static uint32_t draw(uint32_t *seed, uint32_t below)
{
        *seed = *seed * 1664525 + 1013904223;
        return (uint32_t)((uint64_t)(*seed >> 8) * below >> 24);
}

typedef struct Course {
        Fixture *f;
        uint32_t seed;
        bool in_answer[MANY];   /* of the last good one */
        bool excluded[MANY];    /* by the rules in force */
        bool missing[MANY];     /* from it */
        bool answered;          /* since the restart */
        bool told;              /* of Services, by the last answer */
        unsigned confirmations; /* answers in a row from which the same was missing */
} Course;

static bool has_thing(const EntryView *v, unsigned id)
{
        char node_id[16];

        snprintf(node_id, sizeof(node_id), id < FIRST_SERVICE ? "%u" : "svc:d%u", id);
        TABLE_FOREACH (Endpoint, e, v->endpoints)
                if (str_eq(e->node_id, str_of(node_id)))
                        return true;
        return false;
}

static TailnetService *thing_as_service(unsigned id)
{
        char name[16], ip[32];

        snprintf(name, sizeof(name), "svc:d%u", id);
        snprintf(ip, sizeof(ip), "100.80.0.%u", id);
        return tailnet_service_new(&(TailnetService){.name = str_of(name),
                                                     .label = str_of(name + 4),
                                                     .ip4 = str_of(ip),
                                                     .ports = LIST(STR("tcp:8080"))});
}

/* The good answer that has these things; Services only where they are told. */
static void answer_things(Course *c)
{
        const void *found[MANY];
        unsigned ids[MANY], n = 0, n_services = 0;

        for (unsigned id = 0; id < FIRST_SERVICE; id++)
                if (c->in_answer[id])
                        ids[n++] = id;
        for (unsigned id = FIRST_SERVICE; c->told && id < MANY; id++)
                if (c->in_answer[id])
                        found[n_services++] = thing_as_service(id);
        tell_services(c->f, c->told ? found : NULL, n_services);
        answer(c->f, ids, n);
}

static void next_answer(Course *c)
{
        unsigned kind = draw(&c->seed, 6);
        bool missing[MANY];

        c->told = draw(&c->seed, 5) != 0;
        for (unsigned id = 0; id < MANY; id++) {
                if (id >= FIRST_SERVICE && !c->told)
                        continue;
                if (kind == 0 || (kind == 3 && id >= FIRST_SERVICE))
                        c->in_answer[id] = false;
                else if (kind == 1)
                        c->in_answer[id] = draw(&c->seed, 3) == 0;
                else if (kind == 2)
                        c->in_answer[id] = draw(&c->seed, 10) != 0;
        }
        c->answered = true;
        for (unsigned id = 0; id < MANY; id++)
                missing[id] = c->f->view != NULL && has_thing(c->f->view, id) &&
                              !c->in_answer[id] && (id < FIRST_SERVICE || c->told);
        /* Also over a restart: what was said before it is remembered. */
        c->confirmations =
                memcmp(missing, c->missing, sizeof(missing)) == 0 ? c->confirmations + 1 : 1;
        memcpy(c->missing, missing, sizeof(missing));
        answer_things(c);
}

static void next_edit(Course *c, Str *pattern, char text[32])
{
        unsigned id = draw(&c->seed, 10);

        snprintf(text, 32, "d%u?", id);
        *pattern = str_of(text);
        c->f->entry.discovery.exclude_patterns = (StrList){pattern, draw(&c->seed, 3) == 0 ? 0 : 1};
        for (unsigned i = 0; i < MANY; i++) {
                c->excluded[i] =
                        c->f->entry.discovery.exclude_patterns.n > 0 && i / 10 == id && i > 9;
                c->missing[i] = c->missing[i] && !c->excluded[i];
        }
        evaluate(c->f);
}

/* Is the answer silent about it? */
static bool is_untold(const Course *c, unsigned id)
{
        return id >= FIRST_SERVICE && !c->told;
}

/* Does so much of what was there before this step miss that it must be confirmed? */
static bool is_suspicious(const Course *c, const bool before[MANY])
{
        unsigned known = 0, missing = 0, missing_services = 0;

        for (unsigned id = 0; id < MANY; id++) {
                if (!before[id] || c->excluded[id] || is_untold(c, id))
                        continue;
                known++;
                missing += !c->in_answer[id];
                missing_services += !c->in_answer[id] && id >= FIRST_SERVICE;
        }
        return table_n(c->f->devices) == 0 ||
               (missing_services > 0 && table_n(c->f->services) == 0) ||
               (known >= 5 && missing * 100 > 50 * known);
}

/* What was there before this step, and what may have gone. */
static void check_step(const Course *c, const bool before[MANY])
{
        bool suspicious = is_suspicious(c, before);

        for (unsigned id = 0; id < MANY; id++) {
                bool has = has_thing(c->f->view, id);

                if (c->excluded[id])
                        assert_false(has);
                else if (is_untold(c, id))
                        assert_int_equal(has, before[id]);
                else if (!before[id])
                        assert_int_equal(has, c->answered && c->in_answer[id]);
                else if (!c->answered || c->in_answer[id])
                        assert_true(has);
                else if (suspicious && c->confirmations < 3)
                        assert_true(has);
                else if (!suspicious)
                        assert_false(has);
        }
}

static void run_course(Fixture *f, uint32_t seed)
{
        static const GroupRule group = {.name = STR_INIT("some"), .pattern = STR_INIT("d?")};
        Course c = {.f = f, .seed = seed};
        char text[32];
        Str pattern;

        /* The first ten are one group's. */
        f->entry.discovery.groups = &group;
        f->entry.discovery.n_groups = 1;

        for (unsigned step = 0; step < STEPS; step++) {
                bool before[MANY];

                for (unsigned id = 0; id < MANY; id++)
                        before[id] = f->view != NULL && has_thing(f->view, id);
                switch (draw(&c.seed, 8)) {
                case 0:
                        fail_poll(f);
                        break;
                case 1:
                        next_edit(&c, &pattern, text);
                        break;
                case 2:
                        if (f->view == NULL)
                                continue;
                        restart(f);
                        c.answered = false;
                        evaluate(f);
                        break;
                default:
                        next_answer(&c);
                        break;
                }
                check_step(&c, before);
        }
        f->entry.discovery.exclude_patterns = (StrList){0};
}

static void no_good_endpoint_is_lost(void **state)
{
        for (uint32_t seed = 1; seed <= SEEDS; seed++) {
                void *own = NULL;

                setup(&own);
                run_course(own, seed);
                teardown(&own);
        }
        (void)state;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(never_synced_is_not_empty),
                TEST(devices_become_endpoints),
                TEST(each_that_is_left_out_says_why),
                TEST(allowed_ranges_widen),
                TEST(what_is_left_out_is_bounded),
                TEST(a_cap_throws_nobody_out),
                TEST(nothing_new_is_the_same_view),
                TEST(a_change_makes_one_endpoint_and_nothing_grows),
                TEST(a_few_may_leave),
                TEST(many_leave_only_when_confirmed),
                TEST(polls_are_told_apart_by_any_number),
                TEST(an_empty_answer_must_be_confirmed),
                TEST(a_name_that_moved_is_not_missing),
                TEST(an_edit_is_no_removal),
                TEST(an_error_changes_nothing),
                TEST(a_partial_list_adds_and_misses_nothing),
                TEST(services_of_a_netmap_take_none_away),
                TEST(a_partial_list_confirms_nothing),
                TEST(a_removal_can_be_approved),
                TEST(another_tailnet_is_another_entry),
                TEST(a_restart_remembers),
                TEST(last_sync_moves_with_a_change),
                TEST(what_was_read_back_cannot_be_approved_yet),
                TEST(a_restart_removes_nothing),
                TEST(static_endpoints_win),
                cmocka_unit_test(no_good_endpoint_is_lost),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
