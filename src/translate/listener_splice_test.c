/* SPDX-License-Identifier: Apache-2.0 */
#include "translate/listener_splice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/pb_reader.h"
#include "proto/pb_writer.h"

#include "pb_tokens.h"

/* A Listener of a few words. */
typedef struct Made {
        Buf bytes;
        PbWriter w;
} Made;

static void made_open(Made *m, const char *name)
{
        buf_init(&m->bytes, 1 << 20);
        pb_writer_init(&m->w, &m->bytes);
        pb_str(&m->w, PB_Listener_name, str_of(name));
}

/* A filter chain with a TcpProxy that has an access log and, behind it, a field that we do not
 * know. */
static void made_chain(Made *m, const char *cluster, const char *server_name)
{
        PbWriter *w = &m->w;
        pb_begin(w, PB_Listener_filter_chains);
        if (server_name != NULL) {
                pb_begin(w, PB_FilterChain_filter_chain_match);
                pb_str(w, PB_FilterChainMatch_server_names, str_of(server_name));
                pb_end(w);
        }
        pb_begin(w, PB_FilterChain_filters);
        pb_str(w, PB_Filter_name, STR("envoy.filters.network.tcp_proxy"));
        pb_any_begin(w, PB_Filter_typed_config, PB_TYPE_TcpProxy);
        pb_str(w, PB_TcpProxy_stat_prefix, STR("tcp-10022"));
        pb_str(w, PB_TcpProxy_cluster, str_of(cluster));
        pb_begin(w, PB_TcpProxy_access_log);
        buf_add_str(w->out, STR("\x0a\x03log"));
        pb_end(w);
        pb_any_end(w);
        pb_end(w);
        pb_str(w, PB_FilterChain_name, str_of(cluster));
        pb_end(w);
}

static void made_udp(Made *m, const char *cluster)
{
        PbWriter *w = &m->w;
        pb_begin(w, PB_Listener_listener_filters);
        pb_str(w, PB_ListenerFilter_name, STR("envoy.filters.udp_listener.udp_proxy"));
        pb_any_begin(w, PB_ListenerFilter_typed_config, PB_TYPE_UdpProxyConfig);
        pb_str(w, PB_UdpProxyConfig_stat_prefix, STR("service"));
        pb_begin(w, PB_UdpProxyConfig_matcher);
        pb_begin(w, PB_Matcher_on_no_match);
        pb_begin(w, PB_Matcher_OnMatch_action);
        pb_str(w, PB_TypedExtensionConfig_name, STR("route"));
        pb_any_begin(w, PB_TypedExtensionConfig_typed_config, PB_TYPE_udp_proxy_Route);
        pb_str(w, PB_udp_proxy_Route_cluster, str_of(cluster));
        pb_any_end(w);
        for (int i = 0; i < 3; i++)
                pb_end(w);
        pb_any_end(w);
        pb_end(w);
}

static Str made_done(Made *m)
{
        pb_writer_done(&m->w);
        return buf_str(&m->bytes);
}

/* A patch of one kind whose packs have these names, each to the cluster "tailscale/<name>". */
typedef struct Patched {
        ListenerPatch patch;
        const Pack *packs[4];
        JoinTally tally;
        Buf scratch, answer;
        Arena arena;
} Patched;

static void patched_open(Patched *p, ListenerPatchKind kind, bool udp, const char *const *names)
{
        *p = (Patched){.patch = {.kind = kind, .port = 10022, .udp = udp, .listener = STR("tcp")}};
        arena_init(&p->arena, 0);
        buf_init(&p->scratch, PACK_BYTES_MAX);
        buf_init(&p->answer, 1 << 20);
        p->patch.packs = p->packs;
        for (; *names != NULL; names++) {
                PackService s = {.cluster = arena_printf(&p->arena, "tailscale/%s", *names)};
                PackPlace place = {.name = str_of(*names)};
                p->packs[p->patch.n++] =
                        udp ? listener_patch_pack_udp(&s, &place, NULL, &p->scratch)
                            : listener_patch_pack_tcp(&s, &place, NULL, &p->scratch);
        }
}

static void patched_done(Patched *p)
{
        for (size_t i = 0; i < p->patch.n; i++)
                leaf_unref(p->packs[i]);
        buf_done(&p->scratch);
        buf_done(&p->answer);
        arena_done(&p->arena);
}

/* The Listener that comes of it. */
static Str splice(Patched *p, const ListenerPatch *guard, Str listener, StrList taken)
{
        ListenerPart parts[2] = {{&p->patch, &p->tally}, {guard, &p->tally}};
        ListenerJob job = {.arena = &p->arena,
                           .parts = parts,
                           .n_parts = guard != NULL ? 2 : 1,
                           .taken = taken,
                           .field = 3,
                           .answer = &p->answer};
        buf_reset(&p->answer);
        assert_int_equal(listener_splice(&job, listener), SPLICE_DONE);
        return pb_get(buf_str(&p->answer), 3);
}

static Str nth(Str message, uint32_t number, size_t i)
{
        PbReader r = pb_reader(message);
        for (Str body; pb_next_len(&r, number, &body); i--) {
                if (i == 0)
                        return body;
        }
        return (Str){0};
}

static Str proxy_of(Str chain)
{
        Str any = pb_get(pb_get(chain, PBN_FilterChain_filters), PBN_Filter_typed_config);
        assert_true(str_eq(pb_get(any, PBN_Any_type_url), PB_TYPE_TcpProxy));
        return pb_get(any, PBN_Any_value);
}

static void assert_str(Str s, const char *wanted)
{
        if (!str_eq(s, str_of(wanted)))
                fail_msg("\"%.*s\" is not \"%s\"", STR_FMT(s), wanted);
}

static void tcp_listener_without_route_leads_to_the_service(void **state)
{
        Made m;
        Patched p;
        (void)state;
        made_open(&m, "demo/gw/tcp");
        made_chain(&m, "EmptyCluster", NULL);
        patched_open(&p, LISTENER_TO_CLUSTER, false, (const char *const[]){"db", NULL});
        Str l = splice(&p, NULL, made_done(&m), (StrList){0});
        Str chain = nth(l, PBN_Listener_filter_chains, 0);
        assert_str(pb_get(l, PBN_Listener_name), "demo/gw/tcp");
        assert_str(pb_get(chain, PBN_FilterChain_name), "tailscale/db");
        assert_str(pb_get(proxy_of(chain), PBN_TcpProxy_cluster), "tailscale/db");
        assert_str(pb_get(proxy_of(chain), PBN_TcpProxy_stat_prefix), "tailscale/db");
        assert_str(pb_get(proxy_of(chain), PBN_TcpProxy_access_log), "\x0a\x03log");
        assert_int_equal(p.tally.ports, 1);
        assert_int_equal(p.tally.gaps.total, 0);
        patched_done(&p);
        buf_done(&m.bytes);
}

static void a_users_listener_stays_his(void **state)
{
        Made m;
        Patched p;
        (void)state;
        made_open(&m, "demo/gw/tcp");
        made_chain(&m, "tcproute/demo/own/rule/-1", NULL);
        Str before = made_done(&m);
        patched_open(&p, LISTENER_TO_CLUSTER, false, (const char *const[]){"db", NULL});
        Str l = splice(&p, NULL, before, (StrList){0});
        assert_true(str_eq(l, before));
        assert_int_equal(p.tally.ports, 0);
        assert_int_equal(p.tally.gaps.by_reason[GAP_HOST_TAKEN], 1);
        assert_str(p.tally.gaps.at[0].listener, "tcp");
        patched_done(&p);
        buf_done(&m.bytes);
}

static void a_taken_cluster_is_not_led_to(void **state)
{
        Made m;
        Patched p;
        Str taken = STR("tailscale/db");
        (void)state;
        made_open(&m, "demo/gw/tcp");
        made_chain(&m, "EmptyCluster", NULL);
        Str before = made_done(&m);
        patched_open(&p, LISTENER_TO_CLUSTER, false, (const char *const[]){"db", NULL});
        assert_true(str_eq(splice(&p, NULL, before, (StrList){&taken, 1}), before));
        assert_int_equal(p.tally.gaps.by_reason[GAP_CLUSTER_TAKEN], 1);
        patched_done(&p);
        buf_done(&m.bytes);
}

static void udp_listener_leads_to_the_service(void **state)
{
        Made m;
        Patched p;
        (void)state;
        made_open(&m, "udp-10053");
        made_udp(&m, "EmptyCluster");
        patched_open(&p, LISTENER_TO_CLUSTER, true, (const char *const[]){"dns", NULL});
        Str l = splice(&p, NULL, made_done(&m), (StrList){0});
        Str any = pb_get(nth(l, PBN_Listener_listener_filters, 0), PBN_ListenerFilter_typed_config);
        Str config = pb_get(any, PBN_Any_value);
        /* Of the matcher that comes twice the later one counts; protobuf merges the two. */
        Str matcher = nth(config, PBN_UdpProxyConfig_matcher, 1);
        Str action = pb_get(pb_get(matcher, PBN_Matcher_on_no_match), PBN_Matcher_OnMatch_action);
        Str route = pb_get(pb_get(action, PBN_TypedExtensionConfig_typed_config), PBN_Any_value);
        assert_str(pb_get(config, PBN_UdpProxyConfig_stat_prefix), "tailscale/dns");
        assert_str(pb_get(route, PBN_udp_proxy_Route_cluster), "tailscale/dns");
        assert_int_equal(p.tally.ports, 1);
        patched_done(&p);
        buf_done(&m.bytes);
}

static void a_users_udp_listener_stays_his(void **state)
{
        Made m;
        Patched p;
        (void)state;
        made_open(&m, "udp-10053");
        made_udp(&m, "udproute/demo/own");
        Str before = made_done(&m);
        patched_open(&p, LISTENER_TO_CLUSTER, true, (const char *const[]){"dns", NULL});
        assert_true(str_eq(splice(&p, NULL, before, (StrList){0}), before));
        assert_int_equal(p.tally.gaps.by_reason[GAP_HOST_TAKEN], 1);
        patched_done(&p);
        buf_done(&m.bytes);
}

static void tls_listener_gets_a_chain_for_each_name(void **state)
{
        Made m;
        Patched p;
        (void)state;
        made_open(&m, "demo/gw/tls");
        made_chain(&m, "tlsroute/demo/own/rule/-1", "b.example");
        made_chain(&m, "EmptyCluster", NULL);
        Str before = made_done(&m);
        patched_open(&p, LISTENER_BY_NAME, false,
                     (const char *const[]){"a.example", "b.example", "c.example", NULL});
        Str l = splice(&p, NULL, before, (StrList){0});
        assert_true(str_starts(l, before));
        Str chain = nth(l, PBN_Listener_filter_chains, 2);
        assert_str(pb_get(pb_get(chain, PBN_FilterChain_filter_chain_match),
                          PBN_FilterChainMatch_server_names),
                   "a.example");
        assert_str(pb_get(chain, PBN_FilterChain_name), "tailscale/a.example/a.example");
        assert_str(pb_get(proxy_of(chain), PBN_TcpProxy_cluster), "tailscale/a.example");
        assert_str(pb_get(proxy_of(chain), PBN_TcpProxy_access_log), "\x0a\x03log");
        assert_str(pb_get(nth(l, PBN_Listener_filter_chains, 3), PBN_FilterChain_name),
                   "tailscale/c.example/c.example");
        assert_int_equal(nth(l, PBN_Listener_filter_chains, 4).n, 0);
        assert_str(pb_get(nth(l, PBN_Listener_listener_filters, 0), PBN_ListenerFilter_name),
                   "envoy.filters.listener.tls_inspector");
        assert_int_equal(p.tally.hosts, 2);
        assert_int_equal(p.tally.gaps.by_reason[GAP_HOST_TAKEN], 1);
        assert_str(p.tally.gaps.at[0].host, "b.example");
        patched_done(&p);
        buf_done(&m.bytes);
}

static void an_inspector_that_is_there_is_enough(void **state)
{
        Made m;
        Patched p;
        (void)state;
        made_open(&m, "demo/gw/tls");
        pb_begin(&m.w, PB_Listener_listener_filters);
        pb_str(&m.w, PB_ListenerFilter_name, STR("envoy.filters.listener.tls_inspector"));
        pb_end(&m.w);
        patched_open(&p, LISTENER_BY_NAME, false, (const char *const[]){"a.example", NULL});
        Str l = splice(&p, NULL, made_done(&m), (StrList){0});
        assert_true(nth(l, PBN_Listener_listener_filters, 0).n > 0);
        assert_int_equal(nth(l, PBN_Listener_listener_filters, 1).n, 0);
        patched_done(&p);
        buf_done(&m.bytes);
}

/* A pack whose bytes are these. */
static Pack *bytes_pack(Str bytes)
{
        Buf b;
        buf_init(&b, 100);
        buf_add_str(&b, bytes);
        Pack like = {.name = STR("guard")};
        Pack *p = pack_keep(&like, NULL, &b);
        buf_done(&b);
        return p;
}

static void guards_stand_in_front_of_every_chain(void **state)
{
        Made m;
        Patched p;
        (void)state;
        made_open(&m, "demo/gw/tls");
        made_chain(&m, "tlsroute/demo/own/rule/-1", "b.example");
        patched_open(&p, LISTENER_BY_NAME, false, (const char *const[]){"a.example", NULL});
        const Pack *guards[2] = {bytes_pack(STR("\x4a\x04\x0a\x02pp")),
                                 bytes_pack(STR("\x1a\x06\x0a\x04rbac"))};
        ListenerPatch guard = {.kind = LISTENER_GUARDED, .packs = guards, .n = 2};
        Str l = splice(&p, &guard, made_done(&m), (StrList){0});
        assert_str(pb_get(nth(l, PBN_Listener_listener_filters, 0), PBN_ListenerFilter_name), "pp");
        for (size_t i = 0; i < 2; i++) {
                Str chain = nth(l, PBN_Listener_filter_chains, i);
                assert_str(pb_get(nth(chain, PBN_FilterChain_filters, 0), PBN_Filter_name), "rbac");
                assert_str(pb_get(nth(chain, PBN_FilterChain_filters, 1), PBN_Filter_name),
                           "envoy.filters.network.tcp_proxy");
        }
        leaf_unref(guards[0]);
        leaf_unref(guards[1]);
        patched_done(&p);
        buf_done(&m.bytes);
}

/* A second one of its kind would wait for what the first has taken away. */
static void a_listener_filter_that_is_there_is_not_put_twice(void **state)
{
        (void)state;
        for (int is_there = 0; is_there < 2; is_there++) {
                Made m;
                Patched p;
                size_t n = 0;
                made_open(&m, "demo/gw/tls");
                if (is_there > 0)
                        buf_add_str(&m.bytes, STR("\x4a\x04\x0a\x02pp"));
                patched_open(&p, LISTENER_BY_NAME, false, (const char *const[]){NULL});
                const Pack *guards[2] = {
                        bytes_pack(STR("\x4a\x04\x0a\x02pp\x4a\x04\x0a\x02pq\x4a\x04\x0a\x02pp")),
                        bytes_pack((Str){0})};
                ListenerPatch guard = {.kind = LISTENER_GUARDED, .packs = guards, .n = 2};
                Str l = splice(&p, &guard, made_done(&m), (StrList){0});
                PbReader r = pb_reader(l);
                for (Str f; pb_next_len(&r, PBN_Listener_listener_filters, &f); n++)
                        assert_str(pb_get(f, PBN_ListenerFilter_name),
                                   n == (size_t)is_there ? "pp" : "pq");
                leaf_unref(guards[0]);
                leaf_unref(guards[1]);
                patched_done(&p);
                buf_done(&m.bytes);
                assert_int_equal(n, 2);
        }
}

static void what_is_no_listener_is_refused(void **state)
{
        Patched p;
        (void)state;
        patched_open(&p, LISTENER_BY_NAME, false, (const char *const[]){"a.example", NULL});
        ListenerPart part = {&p.patch, &p.tally};
        ListenerJob job = {
                .arena = &p.arena, .parts = &part, .n_parts = 1, .field = 3, .answer = &p.answer};
        assert_int_equal(listener_splice(&job, STR("\x0a\x7fx")), SPLICE_INVALID);
        assert_int_equal(p.answer.n, 0);
        patched_done(&p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(tcp_listener_without_route_leads_to_the_service),
                cmocka_unit_test(a_users_listener_stays_his),
                cmocka_unit_test(a_taken_cluster_is_not_led_to),
                cmocka_unit_test(udp_listener_leads_to_the_service),
                cmocka_unit_test(a_users_udp_listener_stays_his),
                cmocka_unit_test(tls_listener_gets_a_chain_for_each_name),
                cmocka_unit_test(an_inspector_that_is_there_is_enough),
                cmocka_unit_test(guards_stand_in_front_of_every_chain),
                cmocka_unit_test(a_listener_filter_that_is_there_is_not_put_twice),
                cmocka_unit_test(what_is_no_listener_is_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
