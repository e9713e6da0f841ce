/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "translate/binding_json.h"
#include "translate/test_request.h"

#define HEAD \
        "{\"apiVersion\":\"gateway.tailscale.com/v1alpha1\",\"kind\":\"TailscaleGatewayBinding\","
#define META "\"metadata\":{\"name\":\"x\",\"namespace\":\"demo\"},"

static void add(Request *r, Str json)
{
        pb_begin(&r->w, PB_PostTranslateExtensionContext_extension_resources);
        pb_bytes(&r->w, PB_ExtensionResource_unstructured_bytes, json);
        pb_end(&r->w);
}

/* How many targets one object has, at most one. Strings of `ret` live in `r`. */
static size_t read_one(Request *r, const char *json, BindingJson *ret)
{
        buf_reset(&r->bytes);
        add(r, str_of(json));
        return binding_json_read(buf_str(&r->bytes), ret, 1);
}

static void check(Str got, const char *want)
{
        if (!str_eq(got, str_of(want)))
                fail_msg("got \"%.*s\", want \"%s\"", STR_FMT(got), want);
}

static void what_a_binding_says(void **state)
{
        (void)state;
        BindingJson b;
        Request r;
        request_open(&r);
        assert_int_equal(1, read_one(&r,
                                     HEAD META "\"spec\":{\"revision\":\"ab12\",\"attempt\":3,"
                                               "\"targetRefs\":[{\"name\":\"gw\"}]},"
                                               "\"status\":{\"ancestors\":[{}]}}",
                                     &b));
        check(b.gateway.namespace, "demo");
        check(b.gateway.name, "gw");
        check(b.revision, "ab12");
        assert_int_equal(b.attempt, 3);
        assert_int_equal(1,
                         read_one(&r,
                                  HEAD META
                                  "\"spec\":{\"targetRefs\":[{\"name\":\"gw\"}],\"attempt\":-1}}",
                                  &b));
        check(b.revision, "");
        assert_int_equal(b.attempt, 0);
        assert_int_equal(0, read_one(&r, HEAD META "\"spec\":{\"targetRefs\":[]}}", &b));
        assert_int_equal(
                0,
                read_one(&r, HEAD META "\"spec\":{\"targetRefs\":[{\"kind\":\"Gateway\"}]}}", &b));
        assert_int_equal(0, read_one(&r, HEAD META "\"spec\":{}}", &b));
        assert_int_equal(0,
                         read_one(&r, HEAD "\"spec\":{\"targetRefs\":[{\"name\":\"gw\"}]}}", &b));
        assert_int_equal(0, read_one(&r,
                                     "{\"kind\":\"TailscaleGatewayBinding\"," META
                                     "\"spec\":{\"targetRefs\":[{\"name\":\"gw\"}]}}",
                                     &b));
        assert_int_equal(
                0,
                read_one(&r,
                         "{\"apiVersion\":\"gateway.tailscale.com/v1alpha1\",\"kind\":\"Other\"}",
                         &b));
        assert_int_equal(0, read_one(&r, "[]", &b));
        assert_int_equal(0, read_one(&r, "not json", &b));
        assert_int_equal(0, read_one(&r, "", &b));
        request_done(&r);
}

static void several_objects(void **state)
{
        (void)state;
        Request r;
        request_open(&r);
        add(&r, STR("{\"kind\":\"Other\"}"));
        add(&r, STR("{"));
        add(&r, STR(HEAD META "\"spec\":{\"targetRefs\":[{\"name\":\"a\"},{\"name\":\"b\"}]}}"));
        add(&r, STR(HEAD META "\"spec\":{\"targetRefs\":[{\"name\":\"c\"}]}}"));
        BindingJson b[4];
        assert_int_equal(binding_json_read(buf_str(&r.bytes), b, LENGTH_OF(b)), 3);
        check(b[1].gateway.name, "b");
        check(b[2].gateway.name, "c");
        assert_int_equal(binding_json_read(buf_str(&r.bytes), b, 2), 2);
        assert_int_equal(binding_json_read((Str){0}, b, 2), 0);
        request_done(&r);
}

static void objects_above_the_caps(void **state)
{
        (void)state;
        BindingJson b;
        Request r;
        request_open(&r);
        for (size_t i = 0; i < BINDING_JSON_OBJECTS_MAX; i++)
                add(&r, STR("{}"));
        add(&r, STR(HEAD META "\"spec\":{\"targetRefs\":[{\"name\":\"c\"}]}}"));
        assert_int_equal(binding_json_read(buf_str(&r.bytes), &b, 1), 0);
        request_done(&r);
        char *large = mem_new(BINDING_JSON_MAX + 1);
        memset(large, ' ', BINDING_JSON_MAX + 1);
        Str json = STR(HEAD META "\"spec\":{\"targetRefs\":[{\"name\":\"c\"}]}}");
        memcpy(large, json.p, json.n);
        request_open(&r);
        add(&r, str_make(large, BINDING_JSON_MAX + 1));
        assert_int_equal(binding_json_read(buf_str(&r.bytes), &b, 1), 0);
        request_done(&r);
        request_open(&r);
        add(&r, str_make(large, BINDING_JSON_MAX));
        assert_int_equal(binding_json_read(buf_str(&r.bytes), &b, 1), 1);
        request_done(&r);
        mem_free(large);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_a_binding_says),
                cmocka_unit_test(several_objects),
                cmocka_unit_test(objects_above_the_caps),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
