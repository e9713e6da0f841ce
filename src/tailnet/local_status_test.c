/* SPDX-License-Identifier: Apache-2.0 */
#include "tailnet/local_status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "proto/json_stream.h"

#define SELF                                                                                \
        "\"Self\":{\"ID\":\"nSelf1CNTRL\",\"DNSName\":\"gate.corp.test.\",\"Online\":true," \
        "\"InNetworkMap\":true}"
#define UP      "\"BackendState\":\"Running\",\"HaveNodeKey\":true"
#define TAILNET "\"CurrentTailnet\":{\"Name\":\"corp\",\"MagicDNSSuffix\":\"corp.test\"}"
#define PEER(id, name, more)                                                                  \
        "\"nodekey:" id "\":{\"ID\":\"" id "\",\"HostName\":\"whatever\",\"DNSName\":\"" name \
        "\",\"TailscaleIPs\":[\"100.64.0." id "\"],\"InNetworkMap\":true" more "}"

static TailnetAnswer read_in_pieces(Str text, size_t piece, const Table *before)
{
        TailnetAnswer a = {0};
        LocalStatus *s = local_status_new(STR("spec.test"), before);
        bool ok = true;

        for (size_t at = 0; ok && at < text.n; at += piece)
                ok = local_status_feed(s, str_sub(text, at, piece), &a.err);
        if (ok)
                local_status_finish(s, &a);
        local_status_free(s);
        assert_int_equal(a.devices != NULL, a.err.kind == ERR_NONE);
        return a;
}

/* Whatever the pieces and whatever was known before: the same. */
static TailnetAnswer read_text(const char *text)
{
        TailnetAnswer a = read_in_pieces(str_of(text), SIZE_MAX / 2, NULL);

        for (size_t piece = 1; piece < 300; piece += 1 + piece) {
                TailnetAnswer b = read_in_pieces(str_of(text), piece, a.devices);

                assert_ptr_equal(a.devices, b.devices);
                assert_int_equal(a.err.kind, b.err.kind);
                assert_int_equal(a.n_invalid, b.n_invalid);
                assert_string_equal(a.self_node, b.self_node);
                table_unref(b.devices);
        }
        return a;
}

static const Device *device_at(const TailnetAnswer *a, size_t i)
{
        assert_true(i < table_n(a->devices));
        return a->devices->at[i];
}

#define assert_str(s, want) assert_true(str_eq((s), STR(want)))

static void the_state_of_a_daemon(void **state)
{
        static const char text[] =
                "{\n\t\"Version\": \"1.102.3\",\n\t\"TUN\": false,\n\t" UP
                ",\n\t\"AuthURL\": \"\",\n\t" SELF
                ",\"Health\":[\"some text\"],\"MagicDNSSuffix\":\"old.test\"," TAILNET
                ",\"CertDomains\":null,\"Peer\":{" PEER(
                        "7", "Web.Corp.Test.",
                        ",\"OS\":\"linux\",\"UserID\":41,\"Tags\":[\"tag:web\",\"tag:http-8080\"],"
                        "\"Online\":true,\"LastSeen\":\"0001-01-01T00:00:00Z\","
                        "\"AllowedIPs\":[\"100.64.0.7/32\",\"fd7a:115c:a1e0::7/128\"],"
                        "\"KeyExpiry\":\"2027-02-03T04:05:06Z\",\"RxBytes\":12,"
                        "\"CurAddr\":\"10.0.0.7:41641\"") "," PEER("8", "db.corp.test.",
                                                                   ",\"UserID\":42,\"Online\":"
                                                                   "false,"
                                                                   "\"LastSeen\":\"2026-11-20T10:"
                                                                   "00:00Z\","
                                                                   "\"Expired\":true") "," PEER("9",
                                                                                                "pr"
                                                                                                "in"
                                                                                                "te"
                                                                                                "r."
                                                                                                "ot"
                                                                                                "he"
                                                                                                "r."
                                                                                                "te"
                                                                                                "st"
                                                                                                ".",
                                                                                                ","
                                                                                                "\""
                                                                                                "Us"
                                                                                                "er"
                                                                                                "ID"
                                                                                                "\""
                                                                                                ":4"
                                                                                                "3,"
                                                                                                "\""
                                                                                                "On"
                                                                                                "li"
                                                                                                "ne"
                                                                                                "\""
                                                                                                ":t"
                                                                                                "ru"
                                                                                                "e") "," PEER("6",
                                                                                                              "phone.other.test.",
                                                                                                              ",\"ShareeNode\":true,\"Online\":true") "},\"User\":{\"41\":{\"ID\":41,\"LoginName\":\"ada@corp.test\",\"DisplayName\":\"Ada\"},"
                                                                                                                                                      "\"42\":{\"ID\":42,\"LoginName\":\"tagged-devices\"}},\"ClientVersion\":null}";
        TailnetAnswer a = read_text(text);
        const Device *d;

        (void)state;
        assert_int_equal(table_n(a.devices), 4);
        assert_string_equal(a.self_node, "nSelf1CNTRL");
        assert_string_equal(a.suffix, "corp.test");
        assert_string_equal(a.warning, "");
        d = device_at(&a, 1);
        assert_str(d->node_id, "7");
        assert_str(d->name, "web.corp.test");
        assert_str(d->short_name, "web");
        assert_str(d->ip4, "100.64.0.7");
        assert_str(d->os, "linux");
        assert_str(d->user, "ada@corp.test");
        assert_int_equal(d->tags.n, 2);
        assert_int_equal(d->online, DEVICE_ONLINE);
        assert_int_equal(d->last_seen.ms, 0);
        assert_int_equal(d->expires.ms, INT64_C(1801627506000));
        assert_true(d->authorized && !d->external && !d->blocks_incoming);
        d = device_at(&a, 2);
        assert_str(d->user, "tagged-devices");
        assert_int_equal(d->online, DEVICE_OFFLINE);
        assert_true(d->last_seen.ms > 0 && d->expires.ms == 1 && !d->external);
        d = device_at(&a, 3);
        assert_str(d->user, "");
        assert_true(d->external && !d->blocks_incoming);
        d = device_at(&a, 0);
        assert_true(d->external && d->blocks_incoming);
        table_unref(a.devices);
}

#define TWO_PEERS                                                                                \
        "\"Peer\":{" PEER("2", "web.corp.test.", ",\"UserID\":1") "," PEER("1", "api.far.test.", \
                                                                           ",\"UserID\":2") "}"
#define TWO_USERS                                           \
        "\"User\":{\"1\":{\"ID\":1,\"LoginName\":\"ada\"}," \
        "\"2\":{\"LoginName\":\"bob\",\"ID\":2}}"

static void members_come_in_any_order(void **state)
{
        static const char *const parts[] = {
                UP, SELF, TAILNET, TWO_PEERS, TWO_USERS,
        };
        enum {
                N = LENGTH_OF(parts)
        };
        TailnetAnswer first = {0};

        (void)state;
        for (unsigned turn = 0; turn < 2 * N; turn++) {
                CLEANUP(buf_done) Buf text;

                buf_init(&text, 4096);
                for (unsigned i = 0; i < N; i++) {
                        unsigned at = (turn + (turn < N ? i : N - i)) % N;

                        buf_printf(&text, "%s%s", i == 0 ? "{" : ",", parts[at]);
                }
                buf_add_char(&text, '}');
                TailnetAnswer a = read_in_pieces(buf_str(&text), 50, first.devices);

                assert_int_equal(table_n(a.devices), 2);
                assert_str(device_at(&a, 0)->user, "bob");
                assert_true(device_at(&a, 0)->external);
                assert_false(device_at(&a, 1)->external);
                if (first.devices != NULL) {
                        assert_ptr_equal(a.devices, first.devices);
                        table_unref(a.devices);
                } else {
                        first = a;
                }
        }
        table_unref(first.devices);
}

static void only_a_daemon_that_runs_answers(void **state)
{
        static const struct {
                const char *text;
                ErrKind kind;
                const char *reason, *hint;
        } cases[] = {
                {"{\"BackendState\":\"NeedsLogin\",\"HaveNodeKey\":false,\"Self\":{},\"Peer\":"
                 "null}",
                 ERR_DENIED, "NeedsLogin", "`tailscale up`"},
                {"{\"BackendState\":\"NeedsMachineAuth\"," SELF ",\"Peer\":{}}", ERR_DENIED,
                 "NeedsMachineAuth", "approve"},
                {"{\"BackendState\":\"Stopped\",\"HaveNodeKey\":true," SELF
                 ",\"Peer\":{" PEER("1", "a.b.", "") "}}",
                 ERR_DENIED, "Stopped", "`tailscale up`"},
                {"{\"BackendState\":\"InUseOtherUser\",\"Peer\":null}", ERR_DENIED,
                 "InUseOtherUser", "`tailscale switch`"},
                {"{\"BackendState\":\"Starting\"," SELF ",\"Peer\":null}", ERR_TRANSIENT,
                 "Starting", "control server"},
                {"{\"BackendState\":\"NoState\",\"Peer\":null}", ERR_TRANSIENT, "Starting",
                 "begun"},
                {"{\"BackendState\":\"Dancing\",\"Peer\":null}", ERR_INVALID, "UnknownState",
                 "Dancing"},
                {"{\"BackendState\":7,\"Peer\":{}}", ERR_INVALID, "UnknownState", "\"\""},
                {"{\"Peer\":{}}", ERR_INVALID, "InvalidJson", "BackendState"},
                {"{" UP "," SELF "}", ERR_INVALID, "InvalidJson", "Peer"},
                {"{" UP ",\"Peer\":{}}", ERR_TRANSIENT, "NoNetmap", "not yet heard"},
                {"{" UP ",\"Self\":null,\"Peer\":{}}", ERR_TRANSIENT, "NoNetmap", "not yet heard"},
                {"{" UP ",\"Self\":[1],\"Peer\":{}}", ERR_TRANSIENT, "NoNetmap", "not yet heard"},
                {"{" UP ",\"Self\":{\"ID\":\"n1\",\"InNetworkMap\":false},\"Peer\":{}}",
                 ERR_TRANSIENT, "NoNetmap", "not yet heard"},
                {"{" UP ",\"Self\":{\"ID\":\"\",\"InNetworkMap\":true},\"Peer\":{}}", ERR_TRANSIENT,
                 "NoNetmap", "not yet heard"},
                {"{\"BackendState\":\"Running\"," SELF ",\"Peer\":{}}", ERR_TRANSIENT, "NoNetmap",
                 "no node key"},
                {"{" UP "," SELF ",\"Peer\":null", ERR_INVALID, "InvalidJson", "EOF"},
                {"{" UP "," SELF ",\"Peer\":{" PEER("1", "a.b.", ""), ERR_INVALID, "InvalidJson",
                 "EOF"},
                {"{" UP "," SELF ",\"Peer\":[]}", ERR_INVALID, "InvalidJson", "no list"},
                {"{" UP "," SELF ",\"Peer\":{},\"User\":[]}", ERR_INVALID, "InvalidJson",
                 "no list"},
                {"{" UP "," SELF ",\"Peer\":{},\"Peer\":{}}", ERR_INVALID, "InvalidJson", "twice"},
                {"<html>", ERR_INVALID, "InvalidJson", "byte"},
                {"", ERR_INVALID, "InvalidJson", "EOF"},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                TailnetAnswer a = read_text(cases[i].text);

                assert_null(a.devices);
                assert_int_equal(a.err.kind, cases[i].kind);
                assert_string_equal(a.err.reason, cases[i].reason);
                if (strstr(a.err.text, cases[i].hint) == NULL)
                        fail_msg("%s: %s", cases[i].text, a.err.text);
        }
}

static void a_node_without_peers_is_an_answer(void **state)
{
        static const char *const texts[] = {
                "{" UP "," SELF ",\"Peer\":null}",
                "{" UP "," SELF ",\"Peer\":{}}",
                /* None of these is a device of the tailnet, or was ever one. */
                "{" UP "," SELF ",\"Peer\":{\"nodekey:1\":{\"ID\":\"\",\"InNetworkMap\":false,"
                "\"InEngine\":true},\"nodekey:2\":{\"ID\":\"x\",\"DNSName\":\"se-1.mullvad.test.\","
                "\"TailscaleIPs\":[\"100.64.0.1\"],\"InNetworkMap\":true,\"ExitNodeOption\":true,"
                "\"Location\":{\"Country\":\"Sweden\"}}}}",
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(texts); i++) {
                TailnetAnswer a = read_text(texts[i]);

                assert_non_null(a.devices);
                assert_int_equal(a.devices->n, 0);
                assert_int_equal(a.n_invalid, 0);
                table_unref(a.devices);
        }
}

static void wrong_types_cost_one_peer_at_most(void **state)
{
        static const char *const values[] = {"null",           "true", "-7",
                                             "1e400",          "[]",   "[[\"x\"]]",
                                             "{\"ID\":\"1\"}", "\"\"", "\"\\u0000\\ud800\"",
                                             "\"0001-01-01\""};
        static const char *const keys[] = {"ID",           "DNSName",       "TailscaleIPs",
                                           "OS",           "UserID",        "Tags",
                                           "Online",       "LastSeen",      "Expired",
                                           "KeyExpiry",    "ShareeNode",    "Location",
                                           "InNetworkMap", "ExitNodeOption"};

        (void)state;
        for (size_t k = 0; k < LENGTH_OF(keys); k++) {
                for (size_t v = 0; v < LENGTH_OF(values); v++) {
                        char text[2048];

                        snprintf(text, sizeof(text),
                                 "{" UP "," SELF ",\"Peer\":{" PEER(
                                         "1", "api.corp.test.",
                                         "") ",\"x\":{\"%s\":%s,"
                                             "\"ID\":\"2\",\"DNSName\":\"web.\",\"TailscaleIPs\":["
                                             "\"100.64.0.2\"]},\"y\":%s},"
                                             "\"User\":{\"1\":%s,\"2\":{\"%s\":%s}}}",
                                 keys[k], values[v], values[v], values[v], keys[k], values[v]);
                        TailnetAnswer a = read_text(text);

                        assert_non_null(a.devices);
                        assert_true(a.devices->n == 1 || a.devices->n == 2);
                        assert_non_null(table_find(a.devices, &STR("1"), device_find));
                        table_unref(a.devices);
                }
        }
        /* Of the members beside the peers none makes more of the state than it says. */
        for (size_t v = 0; v < LENGTH_OF(values); v++) {
                static const char *const tops[] = {"CurrentTailnet", "MagicDNSSuffix",
                                                   "HaveNodeKey", "Self"};

                for (size_t t = 0; t < LENGTH_OF(tops); t++) {
                        char text[1024];

                        snprintf(text, sizeof(text),
                                 "{\"BackendState\":\"Running\",\"Peer\":{},\"%s\":%s%s%s}",
                                 tops[t], values[v], t == 2 ? "" : ",\"HaveNodeKey\":true",
                                 t == 3 ? "" : "," SELF);
                        TailnetAnswer a = read_text(text);

                        assert_int_equal(a.devices == NULL, t == 3 || (t == 2 && v != 1));
                        table_unref(a.devices);
                }
        }
}

static void peers_that_are_not_understood_are_no_empty_list(void **state)
{
        TailnetAnswer a = read_text("{" UP "," SELF ",\"Peer\":{\"a\":{\"ID\":\"1\"},\"b\":7}}");

        (void)state;
        assert_null(a.devices);
        assert_int_equal(a.err.kind, ERR_INVALID);
        a = read_text("{" UP "," SELF
                      ",\"Peer\":{\"a\":{\"ID\":\"1\"},\"b\":7," PEER("3", "x.y.", "") "}}");
        assert_int_equal(table_n(a.devices), 1);
        assert_int_equal(a.n_invalid, 2);
        table_unref(a.devices);
}

/* What moves with each packet makes no new leaf, what a person would notice does. */
static void what_moves_all_day_changes_nothing(void **state)
{
#define DOC(more, login, suffix)                                                                   \
        "{" UP "," SELF ",\"Peer\":{" PEER("1", "api.corp.test.", ",\"UserID\":5" more) "," PEER(  \
                "2", "web.corp.test.", "") "},\"User\":{\"5\":{\"ID\":5,\"LoginName\":\"" login    \
                                           "\"}},\"CurrentTailnet\":{\"MagicDNSSuffix\":\"" suffix \
                                           "\"}}"
        static const char *const same[] = {
                DOC(",\"RxBytes\":1,\"TxBytes\":2,\"CurAddr\":\"10.0.0.1:1\",\"Relay\":\"fra\"",
                    "ada", "corp.test"),
                DOC(",\"LastHandshake\":\"2026-11-22T10:00:00Z\",\"Active\":true", "ada",
                    "corp.test"),
                DOC(",\"Addrs\":[\"1.2.3.4:5\"],\"PeerAPIURL\":[\"http://x\"],\"InEngine\":true",
                    "ada", "CORP.test."),
        };
        static const char *const other[] = {
                DOC("", "bob", "corp.test"),
                DOC("", "ada", "elsewhere.test"),
                DOC(",\"Online\":true", "ada", "corp.test"),
                DOC(",\"Expired\":true", "ada", "corp.test"),
                DOC(",\"Tags\":[\"tag:a\"]", "ada", "corp.test"),
        };
        TailnetAnswer first = read_text(DOC("", "ada", "corp.test"));

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(same); i++) {
                TailnetAnswer a = read_in_pieces(str_of(same[i]), 64, first.devices);

                assert_ptr_equal(a.devices, first.devices);
                table_unref(a.devices);
        }
        for (size_t i = 0; i < LENGTH_OF(other); i++) {
                TailnetAnswer a = read_in_pieces(str_of(other[i]), 64, first.devices);

                assert_ptr_not_equal(a.devices, first.devices);
                assert_ptr_not_equal(a.devices->at[0], first.devices->at[0]);
                assert_int_equal(a.devices->at[1] == first.devices->at[1], i != 1);
                table_unref(a.devices);
        }
        table_unref(first.devices);
}

static void control_out_of_reach_is_a_warning(void **state)
{
        TailnetAnswer a =
                read_text("{" UP ",\"Self\":{\"ID\":\"1\",\"InNetworkMap\":true,\"Online\":false},"
                          "\"Peer\":{" PEER("2", "web", "") "}}");

        (void)state;
        assert_non_null(strstr(a.warning, "control server"));
        /* The suffix of the spec serves where the state has none. */
        assert_str(device_at(&a, 0)->name, "web.spec.test");
        assert_false(device_at(&a, 0)->external);
        assert_string_equal(a.suffix, "");
        table_unref(a.devices);
}

/* `n` peers, each with a member of `more` bytes that nobody asked for. */
static TailnetAnswer read_many(size_t n, size_t more, const Table *before)
{
        LocalStatus *s = local_status_new((Str){0}, before);
        TailnetAnswer a = {0};
        Buf b;
        bool ok = local_status_feed(s, STR("{" UP "," SELF "," TAILNET ",\"Peer\":{"), &a.err);

        buf_init(&b, 1 << 20);
        for (size_t i = 0; ok && i < n; i++) {
                buf_reset(&b);
                buf_printf(&b,
                           "%s\"nodekey:%zu\":{\"ID\":\"n%zu\",\"DNSName\":\"d%zu.corp.test.\","
                           "\"UserID\":%zu,"
                           "\"TailscaleIPs\":[\"100.64.%zu.%zu\"],\"AllowedIPs\":[",
                           i > 0 ? "," : "", i, i, i, 1 + i % 50, i / 250, i % 250);
                for (size_t k = 0; k < more; k += 16)
                        buf_add_str(&b, STR("\"10.0.0.0/8\",    "));
                buf_add_str(&b, STR("1],\"Online\":true}"));
                ok = local_status_feed(s, buf_str(&b), &a.err);
        }
        ok = ok && local_status_feed(s, STR("},\"User\":{"), &a.err);
        for (size_t i = 1; ok && i <= 50; i++) {
                buf_reset(&b);
                buf_printf(&b, "%s\"%zu\":{\"ID\":%zu,\"LoginName\":\"user%zu\"}", i > 1 ? "," : "",
                           i, i, i);
                ok = local_status_feed(s, buf_str(&b), &a.err);
        }
        if (ok && local_status_feed(s, STR("}}"), &a.err))
                local_status_finish(s, &a);
        buf_done(&b);
        local_status_free(s);
        return a;
}

static void many_and_huge_peers(void **state)
{
        TailnetAnswer a = read_many(5000, 32, NULL), b = read_many(5000, 64, a.devices);

        (void)state;
        assert_int_equal(table_n(a.devices), 5000);
        assert_ptr_equal(a.devices, b.devices);
        assert_true(str_starts(device_at(&a, 77)->user, STR("user")));
        table_unref(a.devices);
        table_unref(b.devices);
        a = read_many(2, 2 * JSON_ELEMENT_MAX, NULL);
        assert_int_equal(table_n(a.devices), 2);
        table_unref(a.devices);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_state_of_a_daemon),
                cmocka_unit_test(members_come_in_any_order),
                cmocka_unit_test(only_a_daemon_that_runs_answers),
                cmocka_unit_test(a_node_without_peers_is_an_answer),
                cmocka_unit_test(wrong_types_cost_one_peer_at_most),
                cmocka_unit_test(peers_that_are_not_understood_are_no_empty_list),
                cmocka_unit_test(what_moves_all_day_changes_nothing),
                cmocka_unit_test(control_out_of_reach_is_a_warning),
                cmocka_unit_test(many_and_huge_peers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
