/* SPDX-License-Identifier: Apache-2.0 */
/* Who has a name, and at which addresses: groups, Tailscale Services, identity, ranges. */
#include "discovery/candidate.h"

#include "discovery/test_entry.h"

/* Device `id` of that name at 100.64.0.<id>, with up to one tag. */
static Device *tagged(unsigned id, const char *name, const char *tag)
{
        Device *plain = device(id, name), *d;
        Device like = *plain;
        Str tags[] = {str_of(tag)};

        like.tags = (StrList){tags, 1};
        d = device_new(&like);
        leaf_unref(plain);
        return d;
}

static TailnetService *service(const char *label, const char *ip, StrList ports)
{
        char name[128];

        snprintf(name, sizeof(name), "svc:%s", label);
        return tailnet_service_new(&(TailnetService){
                .name = str_of(name), .label = str_of(label), .ip4 = str_of(ip), .ports = ports});
}

#define LEAVES(...) \
        (const void *[]){__VA_ARGS__}, sizeof((const void *[]){__VA_ARGS__}) / sizeof(void *)

static const GroupRule groups[] = {
        {.name = STR_INIT("web"), .pattern = STR_INIT("web-*")},
        {.name = STR_INIT("db"), .tag = STR_INIT("tag:database")},
        {.name = STR_INIT("web"), .tag = STR_INIT("tag:also-web")},
};

static void set_groups(Fixture *f)
{
        f->entry.discovery.groups = groups;
        f->entry.discovery.n_groups = LENGTH_OF(groups);
}

/* --- groups --- */

static void members_share_a_name(void **state)
{
        const PortRule ports[] = {{.tag = STR("tag:database"),
                                   .ports = {{{5432, 5433}}, 1, false},
                                   .protocol = PROTOCOL_TCP}};
        Fixture *f = *state;

        set_groups(f);
        f->entry.discovery.ports = ports;
        f->entry.discovery.n_ports = 1;
        f->entry.discovery.exclude_patterns = LIST(STR("*-9"));
        answer_with(f, LEAVES(device(1, "web-1"), tagged(2, "web-2", "tag:http-8080"),
                              tagged(3, "pg", "tag:database"), tagged(4, "web-4", "tag:database"),
                              tagged(5, "extra", "tag:also-web"), device(6, "alone"),
                              device(9, "web-9")));
        assert_string_equal(endpoints(f), "alone:80/HTTP@100.64.0.6 defaultPort\n"
                                          "db:5432/TCP@100.64.0.3 ports[0]\n"
                                          "db:5433/TCP@100.64.0.3 ports[0]\n"
                                          "web:80/HTTP@100.64.0.1 defaultPort\n"
                                          "web:80/HTTP@100.64.0.5 defaultPort\n"
                                          "web:5432/TCP@100.64.0.4 ports[0]\n"
                                          "web:5433/TCP@100.64.0.4 ports[0]\n"
                                          "web:8080/HTTP@100.64.0.2 tag:http-8080\n");
        assert_string_equal(left_out(f), "web-9 Excluded: excludePatterns[0] *-9 matches\n");
        const Endpoint *e = f->view->endpoints->at[3];
        assert_true(str_eq(e->node_id, STR("1")));
        assert_true(str_eq(e->short_name, STR("web-1")));
        assert_true(str_eq(e->rule, STR("no pattern, groups[0]")));
        assert_true(endpoint_is_grouped(e));
        e = f->view->endpoints->at[4];
        assert_true(str_eq(e->rule, STR("no pattern, groups[2]")));
        assert_false(endpoint_is_grouped(f->view->endpoints->at[0]));
}

/* One place is one endpoint: Envoy would give it twice the traffic, and what is written with both
 * could not be read back. */
static void an_address_is_in_a_group_once(void **state)
{
        Device again = {.node_id = STR("7"),
                        .name = STR("web-7"),
                        .short_name = STR("web-7"),
                        .ip4 = STR("100.64.0.1"),
                        .authorized = true};
        Fixture *f = *state;

        set_groups(f);
        answer_with(f, LEAVES(device(1, "web-1"), device_new(&again)));
        assert_string_equal(endpoints(f), "web:80/HTTP@100.64.0.1 defaultPort\n");
        assert_string_equal(
                left_out(f),
                "web-7 SameAddress: another endpoint of web is 100.64.0.1, port 80, too\n");
        restart(f);
        evaluate(f);
        assert_string_equal(endpoints(f), "web:80/HTTP@100.64.0.1 defaultPort\n");
        /* Its address is somebody else's now: what is held of it goes. */
        answer_with(f, LEAVES(device_new(&again)));
        assert_true(str_eq(((const Endpoint *)f->view->endpoints->at[0])->node_id, STR("7")));
        assert_int_equal(table_n(f->view->endpoints), 1);
}

static void a_group_has_its_name_alone(void **state)
{
        Fixture *f = *state;

        set_groups(f);
        answer_with(f, LEAVES(device(1, "web"), device(2, "web-2"), device(3, "DB")));
        assert_string_equal(services(f), "web");
        assert_string_equal(
                left_out(f),
                "DB NameConflict: groups[1] has the name db, and the device is not in it\n"
                "web NameConflict: groups[0] has the name web, and the device is not in it\n");
        /* A member may be called like its group. */
        answer_with(f, LEAVES(tagged(1, "web", "tag:also-web"), device(2, "web-2")));
        assert_string_equal(services(f), "web web");
        assert_int_equal(f->view->n_left_out, 0);
}

static void an_edit_makes_and_ends_a_group(void **state)
{
        Fixture *f = *state;

        answer_with(f, LEAVES(device(1, "web-1"), device(2, "web-2"),
                              tagged(3, "pg", "tag:database"), device(4, "x"), device(5, "y")));
        for (int source_answers = 1; source_answers >= 0; source_answers--) {
                set_groups(f);
                evaluate(f);
                assert_string_equal(services(f), "db web web x y");
                assert_int_equal(f->view->held.n, 0);
                f->entry.discovery.n_groups = 0;
                evaluate(f);
                assert_string_equal(services(f), "pg web-1 web-2 x y");
                assert_int_equal(f->view->held.n, 0);
                /* The second time of what was read back, with nobody who answers. */
                restart(f);
        }
}

static void members_are_held_like_any_other(void **state)
{
        Fixture *f = *state;

        set_groups(f);
        answer_with(f, LEAVES(device(1, "web-1"), device(2, "web-2"), device(3, "web-3"),
                              device(4, "web-4"), device(5, "web-5"), device(6, "x")));
        answer_with(f, LEAVES(device(1, "web-1")));
        assert_string_equal(services(f), "web web! web! web! web! x!");
        restart(f);
        evaluate(f);
        assert_string_equal(services(f), "web web web web web x");
        answer_with(f, LEAVES(device(1, "web-1")));
        assert_int_equal(f->view->held.confirmations, 2);
        answer_with(f, LEAVES(device(1, "web-1")));
        assert_string_equal(services(f), "web");
}

/* --- identity --- */

/* The same node with another name: the old name goes at once, however many there are. */
static void a_renamed_device_is_one_edit(void **state)
{
        Fixture *f = *state;

        set_groups(f);
        answer_with(f, LEAVES(device(1, "a"), device(2, "b"), device(3, "web-3"),
                              device(4, "web-4"), device(5, "c"), device(6, "d")));
        assert_string_equal(services(f), "a b c d web web");
        answer_with(f, LEAVES(device(1, "a2"), device(2, "b2"), device(3, "three"),
                              device(4, "web-4x"), device(5, "web-5"), device(6, "d2")));
        assert_string_equal(services(f), "a2 b2 d2 three web web");
        assert_int_equal(f->view->held.n, 0);
        assert_int_equal(f->view->n_left_out, 0);
}

/* Another node with the same name: enrolled again. */
static void a_device_made_again_takes_its_name_over(void **state)
{
        Fixture *f = *state;

        set_groups(f);
        answer_with(f, LEAVES(device(1, "a"), device(2, "b"), device(3, "web-3"),
                              device(4, "web-4"), device(5, "web-5"), device(6, "d")));
        answer_with(f, LEAVES(device(11, "a"), device(12, "b"), device(13, "web-3"),
                              device(14, "web-4"), device(15, "web-5"), device(16, "d")));
        assert_string_equal(services(f), "a b d web web web");
        assert_int_equal(f->view->held.n, 0);
        TABLE_FOREACH (Endpoint, e, f->view->endpoints)
                assert_true(e->node_id.n == 2);
        /* Of a group only those that came again did. */
        answer_with(f, LEAVES(device(23, "web-3")));
        assert_string_equal(services(f), "a! b! d! web! web! web");
        assert_int_equal(f->view->held.n, 5);
}

static void a_node_id_of_a_service_is_no_devices(void **state)
{
        Fixture *f = *state;

        answer_with(f, LEAVES(device_new(&(Device){.node_id = STR("svc:web"),
                                                   .name = STR("web"),
                                                   .short_name = STR("web"),
                                                   .ip4 = STR("100.64.0.1"),
                                                   .authorized = true})));
        assert_string_equal(left_out(f),
                            "web BadNodeID: its node id begins as a Tailscale Service's\n");
}

/* --- Services --- */

static void a_service_is_one_endpoint_a_port(void **state)
{
        const PortRule ports[] = {{.pattern = STR("*"), .ports = {{{9000, 9000}}, 1, false}}};
        Fixture *f = *state;

        f->state.suffix = STR("corp.ts.net");
        f->entry.discovery.ports = ports;
        f->entry.discovery.n_ports = 1;
        tell_services(f, LEAVES(service("web", "100.100.1.1", LIST(STR("tcp:443"), STR("tcp:80"))),
                                service("any", "100.100.1.2", LIST(STR("do-not-validate"))),
                                service("none", "100.100.1.3", (StrList){0}),
                                service("odd", "100.100.1.4", LIST(STR("udp:53"))),
                                service("some", "100.100.1.5", LIST(STR("tcp:81"), STR("x"))),
                                service("range", "100.100.1.6", LIST(STR("tcp:7000-7999"))),
                                service("lan", "10.0.0.1", LIST(STR("tcp:80")))));
        answer_with(f, LEAVES(device(1, "web-1")));
        const char *all = endpoints(f);
        assert_non_null(strstr(all, "any:9000/HTTP@100.100.1.2 ports[0]\n"
                                    "none:9000/HTTP@100.100.1.3 ports[0]\n"
                                    "range:7000/HTTP@100.100.1.6 service\n"));
        assert_non_null(strstr(all, "range:7015/HTTP@100.100.1.6 service\n"
                                    "some:81/HTTP@100.100.1.5 service\n"
                                    "web:80/HTTP@100.100.1.1 service\n"
                                    "web:443/HTTPS@100.100.1.1 service\n"
                                    "web-1:9000/HTTP@100.64.0.1 ports[0]\n"));
        assert_string_equal(
                left_out(f),
                "lan AddressRefused: 10.0.0.1 is neither a tailnet address nor in allowedCIDRs\n"
                "odd NoPort: of its own ports none can be used: udp:53, expected tcp (UDP does not "
                "go through a CONNECT proxy), not udp:53 (byte 1)\n"
                "range.corp.ts.net TooManyPorts: service names 1000 ports, the first 16 are taken\n"
                "some.corp.ts.net BadPort: one of its own ports: x, expected a port from 1 to "
                "65535, a range such as 80-90, or *, not x (byte 1)\n");
        const Endpoint *e = f->view->endpoints->at[table_n(f->view->endpoints) - 2];
        assert_true(str_eq(e->node_id, STR("svc:web")));
        assert_true(str_eq(e->fqdn, STR("web.corp.ts.net")));
        assert_true(str_eq(e->short_name, STR("web")));
        assert_false(endpoint_is_grouped(e));
}

static void filters_apply_to_services(void **state)
{
        static const Str tags[] = {STR_INIT("tag:web")};
        const TailnetService other = {.name = STR("svc:other"),
                                      .label = STR("other"),
                                      .ip6 = STR("fd7a:115c:a1e0::9"),
                                      .tags = {tags, 1},
                                      .ports = LIST(STR("tcp:80"))};
        Fixture *f = *state;

        f->state.suffix = STR("corp.ts.net");
        tell_services(f, LEAVES(service("web", "100.100.1.1", LIST(STR("tcp:80"))),
                                tailnet_service_new(&other)));
        f->entry.discovery.patterns = LIST(STR("web.corp.*"));
        answer(f, NULL, 0);
        assert_string_equal(services(f), "web");
        f->entry.discovery.patterns = LIST(STR("oth*"));
        evaluate(f);
        assert_string_equal(endpoints(f), "other:80/HTTP@fd7a:115c:a1e0::9 service\n");
        f->entry.discovery.patterns = (StrList){0};
        f->entry.discovery.exclude_tags = LIST(STR("tag:web"));
        evaluate(f);
        assert_string_equal(services(f), "web");
        f->entry.discovery.os = LIST(STR("linux"));
        evaluate(f);
        assert_string_equal(services(f), "");
        assert_string_equal(left_out(f),
                            "other Excluded: excludeTags[0] tag:web matches\n"
                            "web NotSelected: os: a Tailscale Service has no operating system\n");
        /* The same of what was read back. */
        f->entry.discovery.os = (StrList){0};
        evaluate(f);
        restart(f);
        evaluate(f);
        assert_string_equal(endpoints(f), "web:80/HTTP@100.100.1.1 service\n");
        f->entry.discovery.patterns = LIST(STR("*.other.ts.net"));
        evaluate(f);
        assert_string_equal(services(f), "");
        f->entry.discovery.patterns = LIST(STR("*.corp.ts.net"));
        f->entry.discovery.owners = LIST(STR("*"));
        evaluate(f);
        assert_string_equal(services(f), "");
}

/* The suffix is found from names of devices: where the list is empty by mistake, there is none. */
static void a_service_keeps_its_full_name_beside_an_empty_list(void **state)
{
        Fixture *f = *state;

        f->entry.discovery.patterns = LIST(STR("*.corp.ts.net"));
        f->state.suffix = STR("corp.ts.net");
        tell_services(f, LEAVES(service("web", "100.100.1.1", LIST(STR("tcp:80")))));
        answer_with(f, LEAVES(device_new(&(Device){.node_id = STR("1"),
                                                   .name = STR("d1.corp.ts.net"),
                                                   .short_name = STR("d1"),
                                                   .ip4 = STR("100.64.0.1"),
                                                   .authorized = true})));
        assert_string_equal(services(f), "d1 web");
        f->state.suffix = (Str){0};
        answer(f, NULL, 0);
        assert_string_equal(services(f), "d1! web");
        restart(f);
        answer(f, NULL, 0);
        assert_string_equal(services(f), "d1! web");
}

static void a_service_has_its_name_before_devices(void **state)
{
        Fixture *f = *state;

        set_groups(f);
        tell_services(f, LEAVES(service("web", "100.100.1.1", LIST(STR("tcp:80"))),
                                service("x", "100.100.1.2", LIST(STR("tcp:80")))));
        answer_with(f, LEAVES(device(1, "web-1"), device(2, "web-2"), device(3, "x")));
        assert_string_equal(services(f), "web x");
        assert_string_equal(left_out(f),
                            "web-1 NameConflict: Tailscale Service svc:web (web) has the name web\n"
                            "web-2 NameConflict: Tailscale Service svc:web (web) has the name web\n"
                            "x NameConflict: Tailscale Service svc:x (x) has the name x\n");
        /* The Services are not told this time: they still have their names. */
        tell_services(f, NULL, 0);
        answer_with(f, LEAVES(device(1, "web-1"), device(2, "web-2"), device(3, "x")));
        assert_string_equal(services(f), "web x");
        assert_int_equal(f->view->n_left_out, 3);
        assert_int_equal(f->view->held.n, 0);
}

static void services_survive_what_devices_survive(void **state)
{
        Fixture *f = *state;

        tell_services(f, LEAVES(service("a", "100.100.1.1", LIST(STR("tcp:80"), STR("tcp:81"))),
                                service("b", "100.100.1.2", LIST(STR("tcp:80")))));
        ANSWER(f, 1, 2, 3, 4, 5, 6);
        assert_string_equal(services(f), "a a b d1 d2 d3 d4 d5 d6");
        const EntryView *first = f->view;
        ANSWER(f, 1, 2, 3, 4, 5, 6);
        assert_ptr_equal(f->view, first);
        fail_poll(f);
        assert_ptr_equal(f->view, first);
        /* Read back, and nobody answers; then one that does not tell of Services. */
        restart(f);
        evaluate(f);
        assert_string_equal(services(f), "a a b d1 d2 d3 d4 d5 d6");
        tell_services(f, NULL, 0);
        ANSWER(f, 1, 2, 3, 4, 5, 6);
        ANSWER(f, 1, 2, 3, 4, 5, 6);
        assert_string_equal(services(f), "a a b d1 d2 d3 d4 d5 d6");
        assert_int_equal(f->view->held.n, 0);
        /* One of two is gone: so it is. */
        tell_services(f, LEAVES(service("b", "100.100.1.2", LIST(STR("tcp:80")))));
        ANSWER(f, 1, 2, 3, 4, 5, 6);
        assert_string_equal(services(f), "b d1 d2 d3 d4 d5 d6");
        /* An empty list of Services is as strange as one of devices. */
        tell_services(f, (const void *[]){NULL}, 0);
        ANSWER(f, 1, 2, 3, 4, 5, 6);
        assert_string_equal(services(f), "b! d1 d2 d3 d4 d5 d6");
        assert_true(str_eq(f->view->held.reason, STR("EmptyAnswer")));
        ANSWER(f, 1, 2, 3, 4, 5, 6);
        ANSWER(f, 1, 2, 3, 4, 5, 6);
        assert_string_equal(services(f), "d1 d2 d3 d4 d5 d6");
        /* Now a device may have the name. */
        answer_with(f, LEAVES(device(1, "b")));
        assert_non_null(strstr(services(f), "b "));
}

static void an_edit_of_ports_counts_for_what_was_read_back(void **state)
{
        const PortRule ports[] = {{.pattern = STR("web"),
                                   .ports = {{{1, 100}}, 1, false},
                                   .protocol = PROTOCOL_GRPC}};
        Fixture *f = *state;

        tell_services(f, LEAVES(service("web", "100.100.1.1", LIST(STR("tcp:443"), STR("tcp:80"))),
                                service("free", "100.100.1.2", LIST(STR("do-not-validate")))));
        ANSWER(f, 1);
        restart(f);
        f->entry.discovery.ports = ports;
        f->entry.discovery.n_ports = 1;
        f->entry.discovery.default_port = 9000;
        evaluate(f);
        assert_string_equal(endpoints(f), "d1:9000/HTTP@100.64.0.1 defaultPort\n"
                                          "free:9000/HTTP@100.100.1.2 defaultPort\n"
                                          "web:80/GRPC@100.100.1.1 service\n"
                                          "web:443/HTTPS@100.100.1.1 service\n");
}

/* A list that is partial tells of no Service: what is held is held on, uncounted. */
static void a_partial_list_holds_services_on(void **state)
{
        Fixture *f = *state;

        tell_services(f, LEAVES(service("a", "100.100.1.1", LIST(STR("tcp:80")))));
        ANSWER(f, 1);
        tell_services(f, (const void *[]){NULL}, 0);
        ANSWER(f, 1);
        assert_string_equal(services(f), "a! d1");
        f->state.partial = true;
        tell_services(f, NULL, 0);
        ANSWER(f, 1);
        assert_string_equal(services(f), "a! d1");
        assert_int_equal(f->view->held.confirmations, 1);
        EntryView *approved = discover_approve(f->view, f->view->held.digest);
        assert_int_equal(table_n(approved->endpoints), 1);
        leaf_unref(approved);
        f->state.partial = false;
        tell_services(f, (const void *[]){NULL}, 0);
        ANSWER(f, 1);
        assert_int_equal(f->view->held.confirmations, 2);
        ANSWER(f, 1);
        assert_string_equal(services(f), "d1");
}

static void a_service_says_how_its_hosts_are(void **state)
{
        TailnetService web = {.name = STR("svc:web"),
                              .label = STR("web"),
                              .ip4 = STR("100.100.1.1"),
                              .ports = LIST(STR("tcp:80")),
                              .hosts_known = true,
                              .n_hosts = 2};
        Fixture *f = *state;

        tell_services(f, LEAVES(tailnet_service_new(&web)));
        ANSWER(f, 1);
        assert_string_equal(services(f), "d1 web");
        assert_string_equal(health(f, 1), "NoServiceHost: 0 of 2 hosts are approved and ready");
        web.hosts = LIST(STR("1"));
        tell_services(f, LEAVES(tailnet_service_new(&web)));
        ANSWER(f, 1);
        assert_string_equal(health(f, 1), "Healthy: 1 of 2 hosts is approved and ready");
        restart(f);
        evaluate(f);
        assert_string_equal(health(f, 1), "Healthy: 1 of 2 hosts is approved and ready");
}

/* Without an address of its own a Service is at its hosts'. */
static void hosts_are_the_endpoints_where_there_is_no_other(void **state)
{
        TailnetService web = {.name = STR("svc:web"),
                              .label = STR("web"),
                              .ports = LIST(STR("tcp:443")),
                              .hosts_known = true,
                              .hosts = LIST(STR("1"), STR("2"), STR("absent")),
                              .n_hosts = 3};
        Fixture *f = *state;

        tell_services(f, LEAVES(tailnet_service_new(&web)));
        ANSWER(f, 1, 2, 3);
        assert_string_equal(endpoints(f), "d1:80/HTTP@100.64.0.1 defaultPort\n"
                                          "d2:80/HTTP@100.64.0.2 defaultPort\n"
                                          "d3:80/HTTP@100.64.0.3 defaultPort\n"
                                          "web:443/HTTPS@100.64.0.1 service\n"
                                          "web:443/HTTPS@100.64.0.2 service\n");
        const Endpoint *e = f->view->endpoints->at[3];
        assert_true(str_eq(e->node_id, STR("svc:web/1")));
        restart(f);
        evaluate(f);
        assert_int_equal(table_n(f->view->endpoints), 5);
        /* Its hosts are not told: they stay. */
        web.hosts_known = false;
        web.hosts = (StrList){0};
        tell_services(f, LEAVES(tailnet_service_new(&web)));
        ANSWER(f, 1, 2, 3);
        assert_string_equal(services(f), "d1 d2 d3 web web");
        /* A device that is missing is missing as a host, too, and held with it. */
        web.hosts_known = true;
        web.hosts = LIST(STR("1"), STR("2"));
        tell_services(f, LEAVES(tailnet_service_new(&web)));
        answer(f, NULL, 0);
        assert_string_equal(services(f), "d1! d2! d3! web! web!");
        ANSWER(f, 1, 2, 3);
        assert_string_equal(services(f), "d1 d2 d3 web web");
        /* One that is a host no more has left. */
        web.hosts = LIST(STR("2"));
        tell_services(f, LEAVES(tailnet_service_new(&web)));
        ANSWER(f, 1, 2, 3);
        assert_string_equal(services(f), "d1 d2 d3 web");
        assert_int_equal(f->view->held.n, 0);
        /* Its own address takes their place. */
        web.ip4 = STR("100.100.1.1");
        tell_services(f, LEAVES(tailnet_service_new(&web)));
        ANSWER(f, 1, 2, 3);
        assert_true(str_eq(((const Endpoint *)f->view->endpoints->at[3])->node_id, STR("svc:web")));
        assert_int_equal(table_n(f->view->endpoints), 4);
}

static void an_odd_service_is_told(void **state)
{
        const TailnetService odd[] = {
                {.name = STR("web"), .label = STR("web"), .ip4 = STR("100.100.1.1")},
                {.name = STR("svc:"), .label = STR(""), .ip4 = STR("100.100.1.1")},
                {.name = STR("svc:a/b"), .label = STR("a/b"), .ip4 = STR("100.100.1.1")},
                {.name = STR("svc:--"), .label = STR("--"), .ip4 = STR("100.100.1.1")},
                {.name = STR("svc:nowhere"), .label = STR("nowhere")},
                {.name = STR("svc:hostless"), .label = STR("hostless"), .hosts_known = true},
                {.name = STR("svc:excluded"), .label = STR("excluded"), .hosts_known = true},
        };
        const void *leaves[LENGTH_OF(odd)];
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(odd); i++)
                leaves[i] = tailnet_service_new(&odd[i]);
        f->entry.discovery.exclude_patterns = LIST(STR("excl*"));
        tell_services(f, leaves, LENGTH_OF(odd));
        answer(f, NULL, 0);
        assert_string_equal(left_out(f), " BadName: it is no name of a Tailscale Service\n"
                                         "-- BadName: no DNS label can be made of its name\n"
                                         "a/b BadName: it is no name of a Tailscale Service\n"
                                         "excluded Excluded: excludePatterns[0] excl* matches\n"
                                         "hostless NoServiceHost: it has no address of its "
                                         "own, and no device of the list is an approved and "
                                         "ready host of it\n"
                                         "nowhere NoAddress: it has no address of its own, and "
                                         "its hosts are not known\n"
                                         "web BadName: it is no name of a Tailscale Service\n");
        assert_int_equal(table_n(f->view->endpoints), 0);
}

/* --- addresses --- */

static void addresses_are_of_the_tailnet(void **state)
{
        static const struct {
                const char *ip4, *ip6;
                const char *used; /* empty: refused */
        } cases[] = {
                {"100.64.0.1", "fd7a:115c:a1e0::1", "100.64.0.1"},
                {"100.127.255.255", "", "100.127.255.255"},
                {"100.128.0.0", "", ""},
                {"100.63.255.255", "", ""},
                {"", "fd7a:115c:a1e0::1", "fd7a:115c:a1e0::1"},
                {"", "FD7A:115C:A1E0:0:0:0:0:1", "fd7a:115c:a1e0::1"},
                {"", "fd7a:115c:a1e1::1", ""},
                {"10.0.0.1", "fd7a:115c:a1e0::1", "fd7a:115c:a1e0::1"},
                /* An IPv4 address in IPv6 form is that address. */
                {"", "::ffff:100.64.0.1", "100.64.0.1"},
                {"::ffff:6440:1", "", "100.64.0.1"},
                {"", "::ffff:10.0.0.1", ""},
                {"", "::100.64.0.1", ""},
                {"", "64:ff9b::100.64.0.1", ""},
                {"127.0.0.1", "::1", ""},
                {"169.254.169.254", "fe80::1", ""},
                {"0.0.0.0", "::", ""},
                {"100.64.0.1/32", "", ""},
                {"100.064.0.1", "", ""},
                {"", "fe80::1%eth0", ""},
                {"", "", ""},
                /* Tailscale's own on every machine: what answers there is the proxy itself. */
                {"100.100.100.100", "fd7a:115c:a1e0::53", ""},
                {"", "::ffff:100.100.100.100", ""},
        };
        Fixture *f = *state;

        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                const Device d = {.node_id = STR("1"),
                                  .name = STR("x"),
                                  .short_name = STR("x"),
                                  .ip4 = str_of(cases[i].ip4),
                                  .ip6 = str_of(cases[i].ip6),
                                  .authorized = true};

                answer_with(f, LEAVES(device_new(&d)));
                assert_int_equal(table_n(f->view->endpoints), cases[i].used[0] != '\0');
                if (cases[i].used[0] == '\0')
                        continue;
                const Endpoint *e = f->view->endpoints->at[0];
                assert_true(str_eq(e->ip, str_of(cases[i].used)));
        }
}

/* An edit of the ranges counts for what was read back, too. */
static void addresses_that_were_read_back_obey_the_ranges(void **state)
{
        static const Cidr lan = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10}, 104};
        const Device d = {.node_id = STR("1"),
                          .name = STR("x"),
                          .short_name = STR("x"),
                          .ip4 = STR("10.0.0.3"),
                          .authorized = true};
        Fixture *f = *state;

        f->entry.connectivity.allowed = &lan;
        f->entry.connectivity.n_allowed = 1;
        answer_with(f, LEAVES(device_new(&d)));
        restart(f);
        evaluate(f);
        assert_string_equal(services(f), "x");
        f->entry.connectivity.n_allowed = 0;
        evaluate(f);
        assert_string_equal(services(f), "");
}

static void a_refused_address_is_told(void **state)
{
        Device d = {.node_id = STR("1"),
                    .name = STR("x"),
                    .short_name = STR("x"),
                    .ip4 = STR("100.100.100.100"),
                    .authorized = true};
        Fixture *f = *state;

        answer_with(f, LEAVES(device_new(&d)));
        assert_string_equal(left_out(f), "x AddressRefused: 100.100.100.100 is tailscaled's own on "
                                         "every machine, no device's, nor in allowedCIDRs\n");
        d.ip4 = STR("");
        answer_with(f, LEAVES(device_new(&d)));
        assert_string_equal(left_out(f), "x NoAddress: it has no address\n");
}

/* In a cluster the author of a TailscaleGateway does not decide alone. */
static void a_cluster_has_a_say_in_addresses(void **state)
{
        static const Cidr all = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96};
        const Str ranges[] = {STR("10.1.0.0/16,169.254.0.0/16")};
        PolicyInput in = {.in_kubernetes = true, .lists = {[POLICY_CIDRS] = {ranges, 1}}};
        CLEANUP(leaf_cleanup) const Policy *cluster = policy_new(&in, NULL);
        Endpoint at = {.service = STR("s"), .ip = STR("10.2.0.9"), .port = 80};
        CLEANUP(leaf_cleanup) Endpoint *endpoint = endpoint_new(&at);
        const Endpoint *list[] = {endpoint};
        EndpointsSpec statics = {.tailnet = STR("corp"), .endpoints = list, .n = 1};
        const EndpointsSpec *const all_statics[] = {&statics};
        Device d = {.node_id = STR("1"),
                    .name = STR("x"),
                    .short_name = STR("x"),
                    .ip4 = STR("10.1.0.3"),
                    .authorized = true};
        Device e = d, l = d;
        Fixture *f = *state;

        e.node_id = e.name = e.short_name = STR("e");
        e.ip4 = STR("10.2.0.3");
        l.node_id = l.name = l.short_name = STR("l");
        l.ip4 = STR("169.254.169.254");
        f->entry.connectivity.allowed = &all;
        f->entry.connectivity.n_allowed = 1;
        f->in.policy = cluster;
        f->in.statics = all_statics;
        f->in.n_statics = 1;
        answer_with(f, LEAVES(device_new(&d), device_new(&e), device_new(&l)));
        assert_string_equal(services(f), "x");
        assert_string_equal(
                left_out(f),
                "e AddressRefused: 10.2.0.3 is in allowedCIDRs, but not within the operator's "
                "--allowed-cidrs\n"
                "l AddressRefused: 169.254.169.254 is loopback, link-local, unspecified or "
                "multicast: no device's\n"
                "s AddressRefused: static: 10.2.0.9 is in allowedCIDRs, but not within the "
                "operator's --allowed-cidrs\n");
        f->in.policy = NULL;
        evaluate(f);
        assert_string_equal(left_out(f), "");
}

/* --- keys --- */

static void the_next_key_to_expire_is_told(void **state)
{
        Fixture *f = *state;
        Device a = {.node_id = STR("1"),
                    .name = STR("a"),
                    .short_name = STR("a"),
                    .ip4 = STR("100.64.0.1"),
                    .authorized = true};
        Device b = a, excluded = a;

        b.node_id = b.name = b.short_name = STR("b");
        excluded.node_id = excluded.name = excluded.short_name = STR("c");
        f->entry.discovery.exclude_patterns = LIST(STR("c"));
        a.expires.ms = f->in.now.ms + 9000000;
        b.expires.ms = f->in.now.ms + 3000000;
        excluded.expires.ms = f->in.now.ms + 1000000;
        answer_with(f, LEAVES(device_new(&a), device_new(&b), device_new(&excluded)));
        assert_int_equal(f->view->next_key_expiry.ms, b.expires.ms);
        assert_string_equal(health(f, 0), "KeyExpiresSoon: the device's key expires on 2026-11-22");
        fail_poll(f);
        assert_int_equal(f->view->next_key_expiry.ms, b.expires.ms);
        restart(f);
        assert_int_equal(f->view->next_key_expiry.ms, b.expires.ms);
        evaluate(f);
        assert_int_equal(f->view->next_key_expiry.ms, b.expires.ms);
        assert_string_equal(health(f, 0), "KeyExpiresSoon: the device's key expires on 2026-11-22");
        b.expires.ms = 0;
        answer_with(f, LEAVES(device_new(&a), device_new(&b)));
        assert_int_equal(f->view->next_key_expiry.ms, a.expires.ms);
        a.expires.ms = 0;
        answer_with(f, LEAVES(device_new(&a), device_new(&b)));
        assert_int_equal(f->view->next_key_expiry.ms, 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(members_share_a_name),
                TEST(an_address_is_in_a_group_once),
                TEST(a_group_has_its_name_alone),
                TEST(an_edit_makes_and_ends_a_group),
                TEST(members_are_held_like_any_other),
                TEST(a_renamed_device_is_one_edit),
                TEST(a_device_made_again_takes_its_name_over),
                TEST(a_node_id_of_a_service_is_no_devices),
                TEST(a_service_is_one_endpoint_a_port),
                TEST(filters_apply_to_services),
                TEST(a_service_keeps_its_full_name_beside_an_empty_list),
                TEST(a_service_has_its_name_before_devices),
                TEST(services_survive_what_devices_survive),
                TEST(a_partial_list_holds_services_on),
                TEST(a_service_says_how_its_hosts_are),
                TEST(hosts_are_the_endpoints_where_there_is_no_other),
                TEST(an_odd_service_is_told),
                TEST(addresses_are_of_the_tailnet),
                TEST(addresses_that_were_read_back_obey_the_ranges),
                TEST(a_refused_address_is_told),
                TEST(a_cluster_has_a_say_in_addresses),
                TEST(an_edit_of_ports_counts_for_what_was_read_back),
                TEST(the_next_key_to_expire_is_told),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
