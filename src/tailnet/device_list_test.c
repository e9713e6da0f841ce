/* SPDX-License-Identifier: Apache-2.0 */
#include "tailnet/device_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "proto/json.h"

/* What one list gives, built whole. */
static TailnetAnswer read_whole(DeviceShape shape, const char *suffix, const char *array,
                                const Table *before)
{
        TailnetAnswer a = {0};
        DeviceList *l = device_list_new(shape, str_of(suffix), before);
        Arena arena;
        const Tree *root;

        arena_init(&arena, 0);
        root = json_read(&arena, str_of(array), NULL, &a.err);
        assert_non_null(root);
        TREE_FOREACH (element, root)
                assert_true(device_list_add(l, element, &a.err));
        arena_done(&arena);
        device_list_finish(l, &a);
        device_list_free(l);
        return a;
}

static void assert_same_devices(const Table *a, const Table *b)
{
        assert_int_equal(table_n(a), table_n(b));
        for (size_t i = 0; i < table_n(a); i++)
                assert_true(device_same(a->at[i], b->at[i]));
}

/* What one list gives, read as sources read it; the caller unrefs .devices. Neither what is left
 * out while it is read nor what was there before makes a difference to what comes out. */
static TailnetAnswer read_all(DeviceShape shape, const char *suffix, const char *array,
                              const Table *before)
{
        TailnetAnswer a = {0}, whole = read_whole(shape, suffix, array, NULL);
        DeviceList *l = device_list_new(shape, str_of(suffix), before);
        const JsonStreamPart *part = device_list_part(shape);
        CLEANUP(json_stream_cleanup) JsonStream *s = json_stream_new_parts(part, 1, l);

        assert_true(json_stream_feed(s, STR("{\""), &a.err));
        assert_true(json_stream_feed(s, part->name, &a.err));
        assert_true(json_stream_feed(s, STR("\":"), &a.err));
        assert_true(json_stream_feed(s, str_of(array), &a.err));
        assert_true(json_stream_feed(s, STR("}"), &a.err));
        assert_true(json_stream_finish(s, &a.err));
        device_list_finish(l, &a);
        device_list_free(l);
        assert_same_devices(a.devices, whole.devices);
        assert_int_equal(a.n_invalid, whole.n_invalid);
        table_unref(whole.devices);
        return a;
}

static void headscale_as_it_answers(void **state)
{
        static const char nodes[] =
                "[{\"id\":\"12\",\"machineKey\":\"mkey:0\",\"ipAddresses\":"
                "[\"fd7a:115c:a1e0::c\",\"100.64.0.12\"],\"name\":\"Laptop.lan\","
                "\"user\":{\"id\":\"1\",\"name\":\"carol\",\"email\":\"\"},"
                "\"lastSeen\":\"2026-03-01T10:00:00.5Z\",\"expiry\":null,"
                "\"preAuthKey\":{\"user\":null,\"aclTags\":[\"tag:no\"]},"
                "\"givenName\":\"Laptop-1\",\"online\":true,\"subnetRoutes\":[],\"tags\":[]},"
                "{\"id\":\"3\",\"ipAddresses\":[\"100.64.0.3\"],\"user\":{\"name\":"
                "\"tagged-devices\"},\"lastSeen\":\"2026-03-01T10:00:00Z\","
                "\"expiry\":\"2026-04-01T00:00:00Z\",\"givenName\":\"db\",\"online\":false,"
                "\"tags\":[\"tag:tcp-5432\",\"tag:db\",\"tag:db\"]}]";
        TailnetAnswer a = read_all(DEVICE_SHAPE_HEADSCALE, "corp.example", nodes, NULL);

        (void)state;
        assert_int_equal(a.devices->n, 2);
        assert_int_equal(a.n_invalid, 0);
        assert_int_equal(a.err.kind, ERR_NONE);
        const Device *d = a.devices->at[0];
        assert_true(str_eq(d->node_id, STR("12")));
        assert_true(str_eq(d->short_name, STR("laptop-1")));
        assert_true(str_eq(d->name, STR("laptop-1.corp.example")));
        assert_true(str_eq(d->ip4, STR("100.64.0.12")));
        assert_true(str_eq(d->ip6, STR("fd7a:115c:a1e0::c")));
        assert_true(str_eq(d->user, STR("carol")));
        assert_int_equal(d->online, DEVICE_ONLINE);
        assert_int_equal(d->last_seen.ms, 0);
        assert_int_equal(d->expires.ms, 0);
        assert_true(d->authorized);
        assert_int_equal(d->tags.n, 0);
        d = a.devices->at[1];
        assert_int_equal(d->online, DEVICE_OFFLINE);
        assert_int_equal(d->last_seen.ms, INT64_C(1772359200000));
        assert_int_equal(d->expires.ms, INT64_C(1775001600000));
        assert_int_equal(d->tags.n, 2);
        assert_true(str_eq(d->tags.at[0], STR("tag:db")));
        assert_true(str_eq(d->tags.at[1], STR("tag:tcp-5432")));
        table_unref(a.devices);
}

static void tailscale_as_it_answers(void **state)
{
        static const char devices[] =
                "[{\"addresses\":[\"100.80.1.2\",\"fd7a:115c:a1e0::5\"],\"id\":\"9001\","
                "\"nodeId\":\"nAbc1CNTRL\",\"user\":\"dora@example.com\","
                "\"name\":\"Grafana.tail1234.ts.net.\",\"hostname\":\"ip-10-0-0-7\","
                "\"os\":\"linux\",\"connectedToControl\":true,\"keyExpiryDisabled\":true,"
                "\"expires\":\"2020-01-01T00:00:00Z\",\"authorized\":true,"
                "\"tags\":[\"tag:web\"],\"updateAvailable\":false},"
                "{\"addresses\":[\"100.80.1.3\"],\"id\":9002,\"name\":\"nas.other.ts.net\","
                "\"created\":\"\",\"isExternal\":true,\"authorized\":false,"
                "\"blocksIncomingConnections\":true,\"expires\":\"0001-01-01T00:00:00Z\","
                "\"lastSeen\":\"2026-03-01T10:00:00Z\",\"tailnetLockError\":\"no signature\"},"
                "{\"addresses\":[\"100.80.1.4\"],\"nodeId\":\"n4\",\"name\":\"old\"}]";
        TailnetAnswer a = read_all(DEVICE_SHAPE_TAILSCALE, "", devices, NULL);

        (void)state;
        assert_int_equal(a.devices->n, 3);
        const Device *d = a.devices->at[2];
        assert_true(str_eq(d->node_id, STR("nAbc1CNTRL")));
        assert_true(str_eq(d->name, STR("grafana.tail1234.ts.net")));
        assert_true(str_eq(d->short_name, STR("grafana")));
        assert_int_equal(d->online, DEVICE_ONLINE);
        assert_int_equal(d->expires.ms, 0);
        assert_true(str_eq(d->os, STR("linux")));
        assert_false(d->external);
        d = a.devices->at[0];
        assert_true(str_eq(d->node_id, STR("9002")));
        assert_true(d->external && d->blocks_incoming && !d->authorized);
        assert_true(str_eq(d->lock_error, STR("no signature")));
        assert_int_equal(d->online, DEVICE_ONLINE_UNKNOWN);
        assert_int_equal(d->expires.ms, 0);
        assert_int_not_equal(d->last_seen.ms, 0);
        d = a.devices->at[1];
        assert_true(str_eq(d->name, STR("old")));
        assert_int_equal(d->online, DEVICE_ONLINE);
        assert_true(d->authorized);
        table_unref(a.devices);
}

static void what_cannot_be_understood_is_counted(void **state)
{
        static const char *bad[] = {
                "{}",
                "null",
                "[]",
                "\"x\"",
                "{\"nodeId\":\"\",\"name\":\"a\",\"addresses\":[\"100.64.0.1\"]}",
                "{\"nodeId\":true,\"name\":\"a\",\"addresses\":[\"100.64.0.1\"]}",
                "{\"nodeId\":\"1\",\"hostname\":\"a\",\"addresses\":[\"100.64.0.1\"]}",
                "{\"nodeId\":\"1\",\"name\":\".corp\",\"addresses\":[\"100.64.0.1\"]}",
                "{\"nodeId\":\"1\",\"name\":\"a\\nb\",\"addresses\":[\"100.64.0.1\"]}",
                "{\"nodeId\":\"1\",\"name\":7,\"addresses\":[\"100.64.0.1\"]}",
                "{\"nodeId\":\"1\",\"name\":\"a\"}",
                "{\"nodeId\":\"1\",\"name\":\"a\",\"addresses\":[]}",
                "{\"nodeId\":\"1\",\"name\":\"a\",\"addresses\":\"100.64.0.1\"}",
                "{\"nodeId\":\"1\",\"name\":\"a\",\"addresses\":[\"web.example.com\",1,null]}",
                "{\"nodeId\":\"1\",\"name\":\"a\",\"addresses\":{\"a\":\"100.64.0.1\"}}",
        };
        char text[512];

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(bad); i++) {
                snprintf(text, sizeof(text), "[%s]", bad[i]);
                TailnetAnswer a = read_all(DEVICE_SHAPE_TAILSCALE, "", text, NULL);

                /* Of a list with devices of which none is understood nothing may be concluded. */
                assert_null(a.devices);
                assert_int_equal(a.err.kind, ERR_INVALID);
                assert_string_equal(a.err.reason, "InvalidDevice");
                snprintf(text, sizeof(text),
                         "[%s,{\"id\":\"7\",\"name\":\"ok\",\"addresses\":[\"100.64.0.7\"]}]",
                         bad[i]);
                a = read_all(DEVICE_SHAPE_TAILSCALE, "", text, NULL);
                assert_int_equal(a.devices->n, 1);
                assert_int_equal(a.n_invalid, 1);
                assert_int_equal(a.err.kind, ERR_NONE);
                assert_true(a.err.text[0] != '\0');
                table_unref(a.devices);
        }
        TailnetAnswer none = read_all(DEVICE_SHAPE_TAILSCALE, "", "[]", NULL);
        assert_non_null(none.devices);
        assert_int_equal(none.devices->n, 0);
        table_unref(none.devices);
}

static void odd_values_do_no_harm(void **state)
{
        static const char devices[] =
                "[{\"nodeId\":\"1\",\"name\":\"a\",\"addresses\":[\"10.0.0.1\",\"100.64.0.9\","
                "\"100.64.0.2\",\"fe80::1\",7],\"tags\":null,\"os\":\"\",\"user\":\"a\\u0001\","
                "\"expires\":\"soon\",\"lastSeen\":null,\"connectedToControl\":null,"
                "\"authorized\":null,\"tailnetLockError\":\"\\u0007\",\"unknown\":{\"x\":[{}]}}]";
        TailnetAnswer a = read_all(DEVICE_SHAPE_TAILSCALE, "", devices, NULL);

        (void)state;
        assert_int_equal(a.devices->n, 1);
        const Device *d = a.devices->at[0];
        assert_true(str_eq(d->ip4, STR("100.64.0.2")));
        assert_true(str_eq(d->ip6, STR("fe80::1")));
        assert_int_equal(d->tags.n + d->os.n + d->user.n, 0);
        assert_int_equal(d->expires.ms, 0);
        assert_true(d->authorized && d->online == DEVICE_ONLINE);
        assert_true(str_eq(d->lock_error, STR("not signed")));
        assert_int_equal(a.n_invalid, 0);
        table_unref(a.devices);
}

/* From another tailnet, as its owner's own server shows it: much is empty. */
static void shared_in_devices_are_understood(void **state)
{
        static const char devices[] =
                "[{\"addresses\":[\"fd7a:115c:a1e0::5\",\"100.80.1.5\"],\"id\":\"12\",\"nodeId\":"
                "\"n5CNTRL\",\"user\":\"eve@other.example\",\"name\":\"nas.tail9999.ts.net\","
                "\"hostname\":\"nas\",\"clientVersion\":\"\",\"updateAvailable\":false,\"os\":"
                "\"linux\",\"created\":\"\",\"connectedToControl\":true,\"keyExpiryDisabled\":"
                "false,\"expires\":\"9999-12-31T23:59:59Z\",\"authorized\":true,\"isExternal\":"
                "true,\"machineKey\":\"\",\"nodeKey\":\"nodekey:1\",\"blocksIncomingConnections\":"
                "false,\"enabledRoutes\":[],\"advertisedRoutes\":[],\"clientConnectivity\":null,"
                "\"tags\":[],\"tailnetLockError\":\"\",\"multipleConnections\":true}]";
        TailnetAnswer a = read_all(DEVICE_SHAPE_TAILSCALE, "corp.ts.net", devices, NULL);

        (void)state;
        assert_int_equal(a.devices->n, 1);
        assert_int_equal(a.n_invalid, 0);
        const Device *d = a.devices->at[0];
        assert_true(str_eq(d->name, STR("nas.tail9999.ts.net")));
        assert_true(d->external && d->multiple_connections && d->online == DEVICE_ONLINE);
        assert_int_equal(d->tags.n + d->lock_error.n, 0);
        assert_true(d->expires.ms > INT64_C(250000000000000));
        table_unref(a.devices);
}

#define OTHER "{\"nodeId\":\"2\",\"name\":\"b\",\"addresses\":[\"100.64.0.2\"]}"

/* Garbage adds nothing, and takes nothing away. */
static void what_is_of_a_wrong_type_changes_nothing(void **state)
{
        static const char *const wrong[] = {
                "\"addresses\":7",
                "\"addresses\":{}",
                "\"addresses\":[{},\"x\"]",
                "\"addresses\":null",
                "\"authorized\":\"no\"",
                "\"authorized\":0",
                "\"blocksIncomingConnections\":1",
                "\"connectedToControl\":\"yes\"",
                "\"expires\":1893456000",
                "\"expires\":{}",
                "\"isExternal\":[]",
                "\"keyExpiryDisabled\":\"true\"",
                "\"lastSeen\":5",
                "\"multipleConnections\":{}",
                "\"name\":[\"a\"]",
                "\"name\":\"\\u0001\"",
                "\"name\":null",
                "\"nodeId\":{},\"id\":\"9\"",
                "\"nodeId\":true",
                "\"os\":[1]",
                "\"tags\":\"tag:x\"",
                "\"tags\":{}",
                "\"tailnetLockError\":true",
                "\"user\":{\"name\":\"x\"}",
        };
        static const char good[] = "\"nodeId\":\"1\",\"name\":\"a\",\"addresses\":[\"100.64.0.1\"]";
        char list[512];

        (void)state;
        snprintf(list, sizeof(list), "[{%s,\"tags\":[\"tag:x\"],\"os\":\"linux\"}," OTHER "]",
                 good);
        TailnetAnswer before = read_all(DEVICE_SHAPE_TAILSCALE, "", list, NULL);
        for (size_t i = 0; i < LENGTH_OF(wrong); i++) {
                /* The first of two members with one name counts. */
                snprintf(list, sizeof(list), "[{%s,%s}," OTHER "]", wrong[i], good);
                TailnetAnswer a = read_whole(DEVICE_SHAPE_TAILSCALE, "", list, NULL);
                assert_int_equal(a.devices->n, 1);
                assert_int_equal(a.n_invalid, 1);
                assert_true(a.err.kind == ERR_NONE && a.err.text[0] != '\0');
                table_unref(a.devices);
                a = read_whole(DEVICE_SHAPE_TAILSCALE, "", list, before.devices);
                assert_ptr_equal(a.devices, before.devices);
                assert_int_equal(a.n_invalid, 1);
                table_unref(a.devices);
                /* What stands beside it in good order counts, in any order. */
                for (int first = 0; first < 2; first++) {
                        snprintf(list, sizeof(list), "[" OTHER ",{%s%s%s},{%s%s%s}]",
                                 first ? wrong[i] : good, first ? "," : "", first ? good : "",
                                 first ? good : wrong[i], first ? "" : ",", first ? "" : good);
                        a = read_whole(DEVICE_SHAPE_TAILSCALE, "", list, before.devices);
                        assert_int_equal(a.devices->n, 2);
                        assert_int_equal(((const Device *)a.devices->at[0])->tags.n, 0);
                        table_unref(a.devices);
                }
        }
        /* To have no address is no garbage, nor is not to be there. */
        snprintf(list, sizeof(list), "[{\"addresses\":[],%s}," OTHER "]", good);
        TailnetAnswer a = read_whole(DEVICE_SHAPE_TAILSCALE, "", list, before.devices);
        assert_int_equal(a.devices->n, 1);
        table_unref(a.devices);
        a = read_whole(DEVICE_SHAPE_TAILSCALE, "", "[" OTHER "]", before.devices);
        assert_int_equal(a.devices->n, 1);
        table_unref(a.devices);
        /* Of nothing but garbage nothing is concluded. */
        a = read_whole(DEVICE_SHAPE_TAILSCALE, "", "[{\"nodeId\":\"1\"}]", before.devices);
        assert_null(a.devices);
        assert_int_equal(a.err.kind, ERR_INVALID);
        table_unref(before.devices);
}

static void headscale_garbage_changes_nothing(void **state)
{
        static const char *const wrong[] = {
                "\"givenName\":7",     "\"ipAddresses\":\"100.64.0.1\"",
                "\"online\":\"true\"", "\"expiry\":7",
                "\"lastSeen\":false",  "\"tags\":\"tag:x\"",
                "\"user\":\"x\"",      "\"id\":false",
        };
        static const char good[] =
                "\"id\":\"1\",\"givenName\":\"a\",\"ipAddresses\":[\"100.64.0.1\"],\"expiry\":null,"
                "\"user\":null,\"online\":true";
        static const char other[] = "{\"id\":\"2\",\"givenName\":\"b\",\"ipAddresses\":[\"100.64.0."
                                    "2\"],\"online\":true}";
        char list[512];

        (void)state;
        snprintf(list, sizeof(list), "[%s,{%s}]", other, good);
        TailnetAnswer before = read_all(DEVICE_SHAPE_HEADSCALE, "", list, NULL);
        assert_int_equal(before.devices->n, 2);
        for (size_t i = 0; i < LENGTH_OF(wrong); i++) {
                snprintf(list, sizeof(list), "[%s,{%s,%s}]", other, wrong[i], good);
                TailnetAnswer a = read_whole(DEVICE_SHAPE_HEADSCALE, "", list, before.devices);
                assert_ptr_equal(a.devices, before.devices);
                assert_int_equal(a.n_invalid, 1);
                table_unref(a.devices);
        }
        table_unref(before.devices);
}

/* They are written into TailscaleEndpoints, which must be read back at the next start. */
static void only_what_is_a_tag_is_one(void **state)
{
        static const char devices[] =
                "[{\"nodeId\":\"1\",\"name\":\"a\",\"addresses\":[\"100.64.0.1\"],\"tags\":"
                "[\"web\",\"tag:\",\"tag:a b\",\"tag:a,b\",\"tag:ok\",7,\"TAG:x\"]}]";
        TailnetAnswer a = read_all(DEVICE_SHAPE_TAILSCALE, "", devices, NULL);

        (void)state;
        assert_int_equal(a.devices->n, 1);
        const Device *d = a.devices->at[0];
        assert_int_equal(d->tags.n, 1);
        assert_true(str_eq(d->tags.at[0], STR("tag:ok")));
        table_unref(a.devices);
}

/* Full names are written and read back, too. */
static void a_full_name_has_a_bound(void **state)
{
        char name[254] = {0}, nodes[512];

        (void)state;
        memset(name, 'n', sizeof(name) - 1);
        snprintf(nodes, sizeof(nodes),
                 "[{\"id\":\"1\",\"ipAddresses\":[\"100.64.0.1\"],\"givenName\":\"%s\"}]", name);
        TailnetAnswer a = read_all(DEVICE_SHAPE_HEADSCALE, "corp.example", nodes, NULL);
        assert_int_equal(a.devices->n, 1);
        const Device *d = a.devices->at[0];
        assert_true(str_eq(d->name, str_of(name)));
        table_unref(a.devices);
}

static void of_one_id_the_same_wins_in_any_order(void **state)
{
#define ONE "{\"nodeId\":\"1\",\"name\":\"a\",\"addresses\":[\"100.64.0.1\"]}"
#define TWO "{\"nodeId\":\"1\",\"name\":\"b\",\"addresses\":[\"100.64.0.1\"]}"
        static const char *lists[] = {"[" ONE "," TWO "]", "[" TWO "," ONE "]",
                                      "[" TWO "," ONE "," ONE "]"};

        static const char *befores[] = {"[]", "[" ONE "]", "[" TWO "]"};

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(lists) * LENGTH_OF(befores); i++) {
                size_t list = i % LENGTH_OF(lists);
                TailnetAnswer before =
                        read_whole(DEVICE_SHAPE_TAILSCALE, "", befores[i / LENGTH_OF(lists)], NULL);
                TailnetAnswer a = read_all(DEVICE_SHAPE_TAILSCALE, "", lists[list], before.devices);

                assert_int_equal(a.devices->n, 1);
                assert_true(str_eq(((const Device *)a.devices->at[0])->name, STR("a")));
                assert_int_equal(a.n_invalid, list == 2 ? 2 : 1);
                assert_non_null(strstr(a.err.text, "another device has this id"));
                table_unref(before.devices);
                table_unref(a.devices);
        }
}

static void the_same_again_is_the_same_table(void **state)
{
        static const char *lists[] = {"[" ONE ",{\"nodeId\":\"2\",\"name\":\"c\",\"addresses\":"
                                      "[\"100.64.0.2\",\"fd7a:115c:a1e0::2\"]}]",
                                      "[{\"nodeId\":\"2\",\"name\":\"c\",\"addresses\":"
                                      "[\"fd7a:115c:a1e0::2\",\"100.64.0.2\"]}," ONE "]"};
        TailnetAnswer a = read_all(DEVICE_SHAPE_TAILSCALE, "", lists[0], NULL);
        TailnetAnswer b = read_all(DEVICE_SHAPE_TAILSCALE, "", lists[1], a.devices);

        (void)state;
        assert_ptr_equal(a.devices, b.devices);
        table_unref(a.devices);
        table_unref(b.devices);
}

#define DEVICE(id, name) \
        "{\"nodeId\":\"" id "\",\"name\":\"" name "\",\"addresses\":[\"100.64.0.1\"]}"

/* The letter of each leaf's name; small where it is that of `before`. */
static void assert_names(const Table *t, const Table *before, const char *expected)
{
        assert_int_equal(t->n, strlen(expected));
        for (size_t i = 0; i < t->n; i++) {
                const Device *d = t->at[i], *old = table_find(before, &d->node_id, device_find);
                int letter = d == old ? d->name.p[0] : d->name.p[0] - 'a' + 'A';

                assert_int_equal(letter, expected[i]);
        }
}

static void only_what_changed_is_made_anew(void **state)
{
        static const struct {
                const char *list, *leaves;
        } cases[] = {
                {"[" DEVICE("6", "c") "," DEVICE("2", "a") "," DEVICE("4", "b") "]", "abc"},
                {"[" DEVICE("2", "a") "," DEVICE("4", "x") "," DEVICE("6", "c") "]", "aXc"},
                {"[" DEVICE("6", "c") "," DEVICE("2", "a") "]", "ac"},
                {"[" DEVICE("7", "z") "," DEVICE("6", "c") "," DEVICE("3", "y") "," DEVICE(
                         "2", "a") "," DEVICE("1", "x") "," DEVICE("5", "w") "]",
                 "XaYWcZ"},
                {"[" DEVICE("1", "x") "]", "X"},
                {"[]", ""},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                TailnetAnswer before = read_whole(
                        DEVICE_SHAPE_TAILSCALE, "",
                        "[" DEVICE("2", "a") "," DEVICE("4", "b") "," DEVICE("6", "c") "]", NULL);
                TailnetAnswer a =
                        read_all(DEVICE_SHAPE_TAILSCALE, "", cases[i].list, before.devices);

                assert_names(a.devices, before.devices, cases[i].leaves);
                assert_int_equal(a.devices == before.devices, i == 0);
                table_unref(before.devices);
                table_unref(a.devices);
        }
}

static void the_cap_is_an_error(void **state)
{
        DeviceList *l = device_list_new(DEVICE_SHAPE_HEADSCALE, (Str){0}, NULL);
        const Tree nothing = {.type = TREE_OBJECT};
        Err err = {0};

        (void)state;
        for (unsigned i = 0; i < TAILNET_DEVICES_MAX; i++)
                assert_true(device_list_add(l, &nothing, &err));
        assert_false(device_list_add(l, &nothing, &err));
        assert_int_equal(err.kind, ERR_LIMIT);
        device_list_free(l);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(headscale_as_it_answers),
                cmocka_unit_test(tailscale_as_it_answers),
                cmocka_unit_test(what_cannot_be_understood_is_counted),
                cmocka_unit_test(odd_values_do_no_harm),
                cmocka_unit_test(shared_in_devices_are_understood),
                cmocka_unit_test(what_is_of_a_wrong_type_changes_nothing),
                cmocka_unit_test(headscale_garbage_changes_nothing),
                cmocka_unit_test(only_what_is_a_tag_is_one),
                cmocka_unit_test(a_full_name_has_a_bound),
                cmocka_unit_test(of_one_id_the_same_wins_in_any_order),
                cmocka_unit_test(the_same_again_is_the_same_table),
                cmocka_unit_test(only_what_changed_is_made_anew),
                cmocka_unit_test(the_cap_is_an_error),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
