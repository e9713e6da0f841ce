/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "model/observed.h"

#include "model/label_value.h"
#include "proto/json.h"

#include <stdio.h>

static const Observed *observed(ObservedKind kind, const char *json)
{
        Arena arena;
        arena_init(&arena, 0);
        const Tree *t = json_read(&arena, str_of(json), NULL, NULL);
        assert_non_null(t);
        const Observed *o = observed_new(kind, t);
        arena_done(&arena);
        return o;
}

static Digest digest(const char *json, bool of_status)
{
        Arena arena;
        Digest own, status;
        arena_init(&arena, 0);
        const Tree *t = json_read(&arena, str_of(json), NULL, NULL);
        assert_non_null(t);
        observed_digests(t, &own, &status);
        arena_done(&arena);
        return of_status ? status : own;
}

static void assert_same(const char *a, const char *b, bool same)
{
        for (int of_status = 0; of_status < 2; of_status++) {
                char x[4096], y[4096];
                const char *what = of_status != 0 ? "status" : "spec";
                assert_in_range(snprintf(x, sizeof x, "{\"%s\":%s}", what, a), 1, sizeof x - 1);
                assert_in_range(snprintf(y, sizeof y, "{\"%s\":%s}", what, b), 1, sizeof y - 1);
                Digest dx = digest(x, of_status != 0), dy = digest(y, of_status != 0);
                assert_int_equal(digest_eq(&dx, &dy), same);
        }
}

static void what_means_the_same_has_one_digest(void **state)
{
        (void)state;
        assert_same("{\"a\":1,\"b\":{\"c\":\"x\",\"d\":[1,2]}}",
                    " {\"b\": {\"d\": [1, 2], \"c\": \"x\"}, \"a\": 1}", true);
        assert_same("{\"a\":1}", "{\"a\":1,\"b\":null,\"c\":[],\"d\":{}}", true);
        assert_same("{\"a\":[{\"n\":1},{\"n\":2}]}", "{\"a\":[{\"n\":2},{\"n\":1}]}", true);
}

static Digest calm_of(const char *status)
{
        char text[1024];
        snprintf(text, sizeof text,
                 "{\"metadata\":{\"name\":\"gw\"},\"status\":{\"tailnets\":[%s]}}", status);
        CLEANUP(leaf_cleanup) const Observed *o = observed(OBSERVED_GATEWAY, text);
        return o->calm;
}

static void what_an_entry_excludes_may_wait(void **state)
{
        (void)state;
        Digest a = calm_of("{\"name\":\"corp\",\"selected\":4,\"excluded\":3}");
        Digest b = calm_of("{\"name\":\"corp\",\"excluded\":9,\"selected\":4}");
        Digest c = calm_of("{\"name\":\"corp\",\"selected\":5,\"excluded\":3}");
        Digest d = calm_of("{\"name\":\"corp\",\"selected\":4}");
        assert_true(digest_eq(&a, &b) && digest_eq(&a, &d));
        assert_false(digest_eq(&a, &c));
}

static void what_does_not_has_two(void **state)
{
        static const char *const all[] = {
                "{}",
                "{\"a\":1}",
                "{\"a\":\"1\"}",
                "{\"a\":2}",
                "{\"b\":1}",
                "{\"a\":true}",
                "{\"a\":false}",
                "{\"a\":{\"b\":\"c\"}}",
                "{\"a\":\"bc\"}",
                "{\"ab\":\"c\"}",
                "{\"a\":[\"b\",\"c\"]}",
                "{\"a\":[\"c\",\"b\"]}",
                "{\"a\":[\"bc\"]}",
                "{\"a\":[[\"b\"],[\"c\"]]}",
                "{\"a\":[{\"n\":1}]}",
                "{\"a\":[{\"n\":1},{\"n\":1}]}",
                "{\"a\":[{\"n\":1},{\"n\":2}]}",
                "{\"a\":{\"n\":1}}",
        };
        (void)state;
        for (size_t i = 0; i < LENGTH_OF(all); i++) {
                for (size_t j = 0; j < LENGTH_OF(all); j++)
                        assert_same(all[i], all[j], i == j);
        }
}

/* What others put into metadata is theirs; what the server adds says nothing. */
static void of_metadata_only_ours_counts(void **state)
{
        static const char ours
                [] = "{\"metadata\":{\"name\":\"a\",\"labels\":{\"gateway.tailscale.com/gateway\":"
                     "\"g\",\"app.kubernetes.io/managed-by\":\"tailscale-gateway\"}},"
                     "\"spec\":{\"x\":1}}",
            there[] = "{\"apiVersion\":\"v1\",\"kind\":\"K\",\"metadata\":{\"name\":\"a\",\"uid\":"
                      "\"u\",\"resourceVersion\":\"7\",\"generation\":3,\"managedFields\":[{}],"
                      "\"annotations\":{\"served.gateway.tailscale.com/a\":\"r\",\"x\":\"y\"},"
                      "\"labels\":{\"app.kubernetes.io/managed-by\":\"tailscale-gateway\","
                      "\"team\":\"a\",\"gateway.tailscale.com/gateway\":\"g\"}},"
                      "\"spec\":{\"x\":1},\"status\":{\"y\":2}}",
            other[] = "{\"metadata\":{\"name\":\"a\",\"labels\":{\"gateway.tailscale.com/gateway\":"
                      "\"h\",\"app.kubernetes.io/managed-by\":\"tailscale-gateway\"}},"
                      "\"spec\":{\"x\":1}}",
            owned[] = "{\"metadata\":{\"name\":\"a\",\"ownerReferences\":[{\"uid\":\"u\"}],"
                      "\"labels\":{\"gateway.tailscale.com/gateway\":"
                      "\"g\",\"app.kubernetes.io/managed-by\":\"tailscale-gateway\"}},"
                      "\"spec\":{\"x\":1}}";
        (void)state;
        Digest a = digest(ours, false), b = digest(there, false), c = digest(other, false),
               d = digest(owned, false);
        assert_true(digest_eq(&a, &b));
        assert_false(digest_eq(&a, &c));
        assert_false(digest_eq(&a, &d));
}

static void an_object_is_read(void **state)
{
        (void)state;
        const Observed *o = observed(
                OBSERVED_GATEWAY,
                "{\"metadata\":{\"name\":\"g\",\"namespace\":\"team\",\"uid\":\"u-1\","
                "\"resourceVersion\":\"42\",\"generation\":5,"
                "\"deletionTimestamp\":\"2026-11-23T03:00:00Z\",\"labels\":{"
                "\"app.kubernetes.io/managed-by\":\"tailscale-gateway\"}},\"spec\":{},"
                "\"status\":{\"lastSync\":\"2026-11-23T03:20:00Z\",\"conditions\":[{\"type\":"
                "\"Accepted\",\"status\":\"True\",\"reason\":\"Valid\",\"message\":\"m\","
                "\"observedGeneration\":4,\"lastTransitionTime\":\"2026-11-23T03:10:00Z\"}]}}");
        assert_non_null(o);
        assert_true(object_key_eq(o->key, (ObjectKey){STR("team"), STR("g")}));
        assert_true(str_eq(o->uid, STR("u-1")));
        assert_true(str_eq(o->version, STR("42")));
        assert_int_equal(o->generation, 5);
        assert_true(o->deleting && o->ours);
        char text[WALL_TEXT];
        assert_string_equal(wall_format(o->last_sync, text), "2026-11-23T03:20:00Z");
        const ConditionSeen *c = observed_condition(o, STR("Accepted"));
        assert_non_null(c);
        assert_true(str_eq(c->status, STR("True")) && str_eq(c->reason, STR("Valid")));
        assert_true(str_eq(c->message, STR("m")));
        assert_int_equal(c->observed_generation, 4);
        assert_string_equal(wall_format(c->since, text), "2026-11-23T03:10:00Z");
        assert_null(observed_condition(o, STR("Synced")));
        assert_null(observed_condition(NULL, STR("Accepted")));
        leaf_unref(o);
}

static void a_binding_tells_who_served_what(void **state)
{
        (void)state;
        const Observed *o = observed(
                OBSERVED_BINDING,
                "{\"metadata\":{\"name\":\"eg\",\"namespace\":\"infra\",\"annotations\":{"
                "\"served.gateway.tailscale.com/pod-b\":\"r2\",\"note\":\"r3\","
                "\"served.gateway.tailscale.com/pod-a\":\"r1\","
                "\"served.gateway.tailscale.com/\":\"r4\","
                "\"served.gateway.tailscale.com/pod-c\":"
                "\"0123456789012345678901234567890123456789\"},"
                "\"managedFields\":[{\"manager\":\"tailscale-gateway\",\"time\":"
                "\"2026-11-23T01:00:00Z\"},{\"manager\":\"tailscale-gateway-extension-pod-a\","
                "\"operation\":\"Apply\",\"time\":\"2026-11-23T02:00:00Z\"},"
                "{\"manager\":\"tailscale-gateway-extension-pod-b\",\"operation\":\"Update\","
                "\"time\":\"2026-11-23T02:00:00Z\"}]},"
                "\"spec\":{\"revision\":\"r2\",\"attempt\":3}}");
        assert_true(str_eq(o->revision, STR("r2")));
        assert_int_equal(o->attempt, 3);
        assert_int_equal(o->n_served, 2);
        assert_true(str_eq(o->served[0].replica, STR("pod-a")));
        assert_true(str_eq(o->served[0].revision, STR("r1")));
        char text[WALL_TEXT];
        assert_string_equal(wall_format(o->served[0].at, text), "2026-11-23T02:00:00Z");
        /* Somebody's of that name, that is not applied, is not ours to take away. */
        assert_int_equal(o->served[1].at.ms, 0);
        assert_true(observed_is_served(o, STR("r1")) && observed_is_served(o, STR("r2")));
        assert_false(observed_is_served(o, STR("r3")));
        assert_false(observed_is_served(NULL, STR("r1")));
        leaf_unref(o);
}

/* Whatever stands there, something comes of it or nothing, and nothing breaks. */
static void strange_objects_are_read_as_far_as_they_go(void **state)
{
        static const char *const strange[] = {
                "{\"metadata\":{\"name\":\"a\",\"annotations\":[1],\"labels\":7,\"uid\":{},"
                "\"managedFields\":\"x\",\"generation\":-1},\"spec\":null,\"status\":[]}",
                "{\"metadata\":{\"name\":\"a\"},\"status\":{\"conditions\":{\"type\":1},"
                "\"lastSync\":\"yesterday\"}}",
                "{\"metadata\":{\"name\":\"a\"},\"status\":{\"conditions\":[1,null,{},{\"type\":[]}"
                "]},"
                "\"spec\":{\"revision\":{},\"attempt\":1.5}}",
        };
        (void)state;
        assert_null(observed(OBSERVED_BINDING, "{}"));
        assert_null(observed(OBSERVED_BINDING, "[]"));
        assert_null(observed(OBSERVED_BINDING, "{\"metadata\":{\"name\":\"\"}}"));
        for (size_t i = 0; i < LENGTH_OF(strange); i++) {
                const Observed *o = observed(OBSERVED_BINDING, strange[i]);
                assert_non_null(o);
                assert_int_equal(o->attempt, 0);
                assert_int_equal(o->last_sync.ms, 0);
                leaf_unref(o);
        }
}

static void conditions_and_annotations_are_capped(void **state)
{
        (void)state;
        Buf b CLEANUP(buf_done);
        buf_init(&b, 1 << 20);
        buf_add_str(&b, STR("{\"metadata\":{\"name\":\"a\",\"annotations\":{\"x\":\"\""));
        for (int i = 0; i < 2 * OBSERVED_SERVED_MAX; i++)
                buf_printf(&b, ",\"" OBSERVED_SERVED "p%03d\":\"r\"", i);
        buf_add_str(&b, STR("}},\"status\":{\"conditions\":[{}"));
        for (int i = 0; i < 2 * OBSERVED_CONDITIONS_MAX; i++)
                buf_printf(&b, ",{\"type\":\"T%d\"}", i);
        buf_add_str(&b, STR("]}}"));
        buf_add_char(&b, '\0');
        const Observed *o = observed(OBSERVED_BINDING, b.p);
        assert_int_equal(o->n_conditions, OBSERVED_CONDITIONS_MAX);
        assert_int_equal(o->n_served, OBSERVED_SERVED_MAX);
        leaf_unref(o);
}

static void a_table_finds_by_kind_and_key(void **state)
{
        (void)state;
        const Observed *a = observed(OBSERVED_GATEWAY, "{\"metadata\":{\"name\":\"a\"}}"),
                       *b = observed(OBSERVED_BINDING, "{\"metadata\":{\"name\":\"a\"}}");
        const void *leaves[] = {b, a};
        Table *t = table_new(leaves, 2, observed_order);
        ObjectKey key = {{0}, STR("a")};
        assert_ptr_equal(observed_at(t, OBSERVED_GATEWAY, key), a);
        assert_ptr_equal(observed_at(t, OBSERVED_BINDING, key), b);
        assert_null(observed_at(t, OBSERVED_TAILNET, key));
        assert_null(observed_at(NULL, OBSERVED_TAILNET, key));
        table_unref(t);
}

static void names_become_label_values(void **state)
{
        static const char *const bad[] = {"-a", "a-", "a b", ".a", "a/b"};
        char buf[LABEL_VALUE_MAX + 1], other[LABEL_VALUE_MAX + 1], name[254] = {0};
        (void)state;
        assert_true(str_eq(label_value(STR("eg-gateway.a_b"), buf), STR("eg-gateway.a_b")));
        assert_int_equal(label_value((Str){0}, buf).n, 0);
        for (size_t i = 0; i < LENGTH_OF(bad); i++) {
                assert_false(label_value_is_valid(str_of(bad[i])));
                assert_true(label_value_is_valid(label_value(str_of(bad[i]), buf)));
        }
        memset(name, 'n', sizeof name - 1);
        Str a = label_value(str_of(name), buf);
        name[252] = 'm';
        Str b = label_value(str_of(name), other);
        assert_int_equal(a.n, LABEL_VALUE_MAX);
        assert_true(label_value_is_valid(a) && label_value_is_valid(b));
        assert_false(str_eq(a, b));
        memset(name, '-', sizeof name - 1);
        assert_true(label_value_is_valid(label_value(str_of(name), buf)));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_means_the_same_has_one_digest),
                cmocka_unit_test(what_an_entry_excludes_may_wait),
                cmocka_unit_test(what_does_not_has_two),
                cmocka_unit_test(of_metadata_only_ours_counts),
                cmocka_unit_test(an_object_is_read),
                cmocka_unit_test(a_binding_tells_who_served_what),
                cmocka_unit_test(strange_objects_are_read_as_far_as_they_go),
                cmocka_unit_test(conditions_and_annotations_are_capped),
                cmocka_unit_test(a_table_finds_by_kind_and_key),
                cmocka_unit_test(names_become_label_values),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
