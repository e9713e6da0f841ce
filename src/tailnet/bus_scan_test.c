/* SPDX-License-Identifier: Apache-2.0 */
#include "tailnet/bus_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* 1: tells, 0: does not, -1: is no stream. The same in pieces of any size. */
static int scan(const char *text)
{
        int whole = -2;

        for (size_t piece = strlen(text) + 1; piece > 0; piece = piece / 3) {
                BusScan s;
                Err err = {0};
                bool tells = false, ok = true;
                Str rest = str_of(text);

                bus_scan_init(&s);
                for (; ok && rest.n > 0; rest = str_sub(rest, piece, rest.n))
                        ok = bus_scan_feed(&s, str_sub(rest, 0, piece), &tells, &err);
                int got = ok ? tells : -1;
                if (!ok)
                        assert_string_equal(err.reason, "NoNotifications");
                if (whole == -2)
                        whole = got;
                assert_int_equal(got, whole);
        }
        return whole;
}

static void what_tells(void **state)
{
        static const char *const tell[] = {
                "{\"Version\":\"1.102.3\",\"SessionID\":\"0a1b\",\"ErrMessage\":null,\"State\":6,"
                "\"Prefs\":null}\n",
                "{\"State\":0}",
                "{\"SelfChange\":{\"ID\":3}}\n",
                "{\"InitialStatus\":{\"BackendState\":\"Running\"}}\n",
                "{\"NetMap\":{\"SelfNode\":{\"ID\":3}}}\n",
                "{\"PeersChanged\":[{\"ID\":2,\"Name\":\"web.corp.test.\"}]}\n",
                "{\"PeersRemoved\":[4]}\n",
                "{\"LoginFinished\":{}}\n",
                "{\"UserProfiles\":{\"1\":{\"ID\":1}}}\n",
                "{\"State\":null}\n{\"Engine\":{}}\n{ \"State\" :\t2 }\n",
                "{\"PeerChangedPatch\":[{\"NodeID\":2,\"Online\":true}]}\n",
                "{\"PeerChangedPatch\":[{\"NodeID\":2,\"Endpoints\":[\"1.2.3.4:5\"]},{\"NodeID\":3,"
                "\"Online\":false}]}\n",
                "{\"PeerChangedPatch\":[{\"NodeID\":2,\"KeyExpiry\":\"2027-01-01T00:00:00Z\"}]}\n",
                "{\"PeerChangedPatch\":[{\"NodeID\":2,\"SomethingNewThatNobodyHasHeardOfYet\":1}]}"
                "\n",
                "{\"PeerChangedPatch\":[{\"NodeID\":2,\"CapMap\":{\"Online\":[]},\"\\u004fnline\":"
                "true}]}\n",
                /* As soon as it says so. */
                "{\"Prefs\":{\"a\":[{}]},\"NetMap\":{",
                "{\"State\":6",
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(tell); i++)
                if (scan(tell[i]) != 1)
                        fail_msg("%s", tell[i]);
}

static void what_is_noise(void **state)
{
        static const char *const noise[] = {
                "",
                "\n\n \r\n",
                "{}\n{}\n",
                "{\"Version\":\"1.102.3\",\"ErrMessage\":null,\"LoginFinished\":null,\"State\":"
                "null,"
                "\"Prefs\":null,\"NetMap\":null,\"Engine\":null,\"BrowseToURL\":null,"
                "\"DriveShares\":null}\n",
                "{\"Engine\":{\"RBytes\":1,\"WBytes\":2,\"NumLive\":1,\"LivePeers\":{\"State\":1}}}"
                "\n",
                "{\"Health\":{\"Warnings\":{\"x\":{\"Text\":\"\\\"State\\\":6 {[\"}}}}\n",
                "{\"BrowseToURL\":\"https://login.test/a/b\"}\n",
                "{\"FilesWaiting\":{},\"IncomingFiles\":[{\"Name\":\"State\"}]}\n",
                "{\"Prefs\":{\"State\":1,\"NetMap\":{},\"PeerChangedPatch\":[{\"Online\":true}]}}"
                "\n",
                "{\"SuggestedExitNode\":\"n1\",\"ClientVersion\":{\"RunningLatest\":true}}\n",
                "{\"x\":[\"State\",{\"State\":1}],\"y\":\"NetMap\"}\n",
                "{\"PeerChangedPatch\":[{\"NodeID\":2,\"DERPRegion\":7,\"Endpoints\":[\"1.2.3.4:"
                "5\"]}]}\n",
                "{\"PeerChangedPatch\":[{\"NodeID\":2,\"LastSeen\":\"2026-11-23T00:00:00Z\","
                "\"Key\":\"nodekey:1\"}]}\n",
                "{\"PeerChangedPatch\":[{\"NodeID\":2,\"Cap\":9,\"CapMap\":{\"a\":[{\"Online\":"
                "true}]},"
                "\"DiscoKey\":\"d\",\"KeySignature\":\"x\",\"Online\":null}]}\n",
                "{\"PeerChangedPatch\":null,\"Engine\":{\"a\":{\"Online\":true}}}\n",
                "{\"PeerChangedPatch\":[],\"Engine\":[{\"Online\":true}]}\n",
                "{\"PeerChangedPatch\":[[\"Online\"],{\"NodeID\":[\"Online\",{\"Online\":1}]},"
                "\"Online\"]}\n",
                "{\"StateStateStateStateStateStateStateStateState\":1}\n",
                "{\"\\u0053tate\":6}\n",
                "{\"Sta",
                "{\"State\":",
                "{\"State\": nu",
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(noise); i++)
                if (scan(noise[i]) != 0)
                        fail_msg("%s", noise[i]);
}

static void what_is_no_stream(void **state)
{
        static const char *const broken[] = {
                "<html>", "[]",           "7",           "\"State\"", "null",
                "{}}",    "{\"a\":[]]}}", "{\"a\n\":1}", "{}{}x",
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(broken); i++)
                if (scan(broken[i]) != -1)
                        fail_msg("%s", broken[i]);
}

/* However long it is, nothing is held. */
static void a_notification_without_end(void **state)
{
        static const char *const units[] = {
                "{\"ID\":2,\"Name\":\"web.corp.test.\",\"CapMap\":{\"State\":[1,{\"x\":null}]}},",
                "\"State\",",
                "[[[{}]]],",
        };
        BusScan s;
        Err err;
        bool tells = false;

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(units); i++) {
                bus_scan_init(&s);
                assert_true(bus_scan_feed(&s, STR("{\"Peers\":["), &tells, &err));
                for (int n = 0; n < 20000; n++)
                        assert_true(bus_scan_feed(&s, str_of(units[i]), &tells, &err));
                assert_false(tells);
                assert_true(bus_scan_feed(&s, STR("1],\"State\":1}"), &tells, &err));
                assert_true(tells);
                tells = false;
        }
        bus_scan_init(&s);
        for (int n = 0; n < BUS_DEPTH_MAX; n++)
                assert_true(bus_scan_feed(&s, n == 0 ? STR("{") : STR("["), &tells, &err));
        assert_false(bus_scan_feed(&s, STR("["), &tells, &err));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_tells),
                cmocka_unit_test(what_is_noise),
                cmocka_unit_test(what_is_no_stream),
                cmocka_unit_test(a_notification_without_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
