/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/pb_reader.h"
#include "proto/pb_writer.h"

#include "pb_tokens.h"

static void check(Buf *b, const void *want, size_t n)
{
        assert_false(b->failed);
        assert_int_equal(b->n, n);
        assert_memory_equal(b->p, want, n);
        buf_reset(b);
}
#define CHECK(b, ...) \
        check((b), (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void writes_each_kind(void **state)
{
        (void)state;
        Buf b;
        buf_init(&b, 1 << 16);
        PbWriter w;
        pb_writer_init(&w, &b);
        pb_str(&w, PB_Cluster_name, STR("ab"));
        CHECK(&b, 0x0a, 2, 'a', 'b');
        pb_varint(&w, PB_SocketAddress_port_value, 300);
        CHECK(&b, 0x18, 0xac, 0x02);
        pb_enum(&w, PB_Cluster_lb_policy, PB_Cluster_LbPolicy_LEAST_REQUEST);
        CHECK(&b, 0x30, 1);
        pb_bool(&w, PB_BoolValue_value, true);
        CHECK(&b, 0x08, 1);
        pb_double(&w, PB_Percent_value, 1.0);
        CHECK(&b, 0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f);
        pb_bytes(&w, PB_ExtensionResource_unstructured_bytes, STR("{}"));
        CHECK(&b, 0x0a, 2, '{', '}');
        pb_packed(&w, PB_Cluster_load_assignment, STR("x"));
        CHECK(&b, 0x8a, 0x02, 1, 'x');
        pb_begin(&w, PB_Cluster_common_lb_config);
        pb_begin(&w, PB_Cluster_CommonLbConfig_healthy_panic_threshold);
        pb_end(&w);
        pb_end(&w);
        CHECK(&b, 0xda, 0x01, 2, 0x0a, 0);
        pb_writer_done(&w);
        buf_done(&b);
}

static void lengths_of_any_size_are_minimal(void **state)
{
        (void)state;
        static const size_t sizes[] = {0, 1, 125, 126, 127, 128, 129, 16380, 16383, 16384, 40000};
        char content[40000];
        memset(content, 'x', sizeof(content));
        for (size_t i = 0; i < LENGTH_OF(sizes); i++) {
                Buf b;
                buf_init(&b, 1 << 20);
                PbWriter w;
                pb_writer_init(&w, &b);
                pb_begin(&w, PB_Cluster_load_assignment);
                pb_begin(&w, PB_ClusterLoadAssignment_endpoints);
                pb_bytes(&w, (PbBytes){1}, str_make(content, sizes[i]));
                pb_end(&w);
                pb_str(&w, PB_ClusterLoadAssignment_cluster_name, STR("tail"));
                pb_end(&w);
                pb_writer_done(&w);
                Str outer = pb_get(buf_str(&b), PBN_Cluster_load_assignment);
                assert_int_equal(b.n, outer.n + pb_len_size(PBN_Cluster_load_assignment, outer.n));
                Str inner = pb_get(outer, PBN_ClusterLoadAssignment_endpoints);
                assert_int_equal(pb_get(inner, 1).n, sizes[i]);
                assert_true(
                        str_eq(pb_get(outer, PBN_ClusterLoadAssignment_cluster_name), STR("tail")));
                buf_done(&b);
        }
}

static void any_holds_type_and_value(void **state)
{
        (void)state;
        Buf b;
        buf_init(&b, 1 << 16);
        PbWriter w;
        pb_writer_init(&w, &b);
        pb_any_begin(&w, PB_TransportSocket_typed_config, PB_TYPE_Http11ProxyUpstreamTransport);
        pb_str(&w, (PbStr){7}, STR("v"));
        pb_any_end(&w);
        pb_writer_done(&w);
        Str any = pb_get(buf_str(&b), PBN_TransportSocket_typed_config);
        assert_true(str_eq(
                pb_get(any, PBN_Any_type_url),
                STR("type.googleapis.com/envoy.extensions.transport_sockets.http_11_proxy.v3."
                    "Http11ProxyUpstreamTransport")));
        assert_true(str_eq(pb_get(pb_get(any, PBN_Any_value), 7), STR("v")));
        buf_done(&b);
}

static void a_full_buffer_is_told_once(void **state)
{
        (void)state;
        Buf b;
        buf_init(&b, 130);
        PbWriter w;
        pb_writer_init(&w, &b);
        char content[126] = {0};
        pb_begin(&w, PB_Cluster_load_assignment);
        pb_bytes(&w, (PbBytes){1}, str_make(content, sizeof(content)));
        pb_end(&w);
        pb_str(&w, PB_Cluster_name, STR("more"));
        pb_writer_done(&w);
        assert_true(b.failed);
        buf_done(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(writes_each_kind),
                cmocka_unit_test(lengths_of_any_size_are_minimal),
                cmocka_unit_test(any_holds_type_and_value),
                cmocka_unit_test(a_full_buffer_is_told_once),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
