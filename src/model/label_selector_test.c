/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/label_selector.h"

#include "proto/json.h"

typedef struct Holder {
        Leaf leaf;
        LabelSelector selector;
        LabelList labels;
        bool labels_read;
} Holder;

/* Both from JSON; one reference. */
static Holder *hold(const char *selector, const char *labels)
{
        Holder *h = leaf_new(sizeof(*h), 64, NULL);
        TreeMark at;
        Err err;
        Arena a;

        arena_init(&a, 0);
        if (selector != NULL) {
                const Tree *t = json_read(&a, str_of(selector), &at, &err);
                assert_non_null(t);
                h->selector = label_selector_read(&h->leaf, t);
        }
        if (labels != NULL) {
                const Tree *t = json_read(&a, str_of(labels), &at, &err);
                assert_non_null(t);
                h->labels_read = labels_read(&h->leaf, t, &h->labels);
        }
        arena_done(&a);
        return h;
}

static void matches_as_kubernetes_does(void **state)
{
        static const struct {
                const char *selector, *labels, *printed;
                bool matches;
        } cases[] = {
                {"{}", "{}", "everything", true},
                {"{\"matchLabels\":{\"a\":\"1\"}}", "{\"a\":\"1\",\"b\":\"2\"}", "a=1", true},
                {"{\"matchLabels\":{\"a\":\"1\"}}", "{\"a\":\"2\"}", "a=1", false},
                {"{\"matchLabels\":{\"a\":\"1\",\"b\":\"2\"}}", "{\"a\":\"1\"}", "a=1,b=2", false},
                {"{\"matchLabels\":{\"a\":\"\"}}", "{}", "a=", false},
                {"{\"matchLabels\":{\"a\":\"\"}}", "{\"a\":\"\"}", "a=", true},
                {"{\"matchLabels\":{\"example.com/a\":\"1\"}}", "{\"example.com/a\":\"1\"}",
                 "example.com/a=1", true},
                {"{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"In\",\"values\":[\"1\","
                 "\"2\"]}]}",
                 "{\"a\":\"2\"}", "a in (1,2)", true},
                {"{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"In\",\"values\":[\"1\"]}]}",
                 "{}", "a=1", false},
                {"{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"NotIn\",\"values\":[\"1\"]}]"
                 "}",
                 "{\"a\":\"1\"}", "a notin (1)", false},
                {"{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"NotIn\",\"values\":[\"1\"]}]"
                 "}",
                 "{\"a\":\"2\"}", "a notin (1)", true},
                {"{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"NotIn\",\"values\":[\"1\"]}]"
                 "}",
                 "{}", "a notin (1)", true},
                {"{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Exists\"}]}",
                 "{\"a\":\"x\"}", "a", true},
                {"{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Exists\"}]}", "{}", "a",
                 false},
                {"{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"DoesNotExist\"}]}", "{}",
                 "!a", true},
                {"{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"DoesNotExist\"}]}",
                 "{\"a\":\"x\"}", "!a", false},
                {"{\"matchLabels\":{\"a\":\"1\"},\"matchExpressions\":[{\"key\":\"b\",\"operator\":"
                 "\"Exists\"}]}",
                 "{\"a\":\"1\"}", "a=1,b", false},
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                Holder *h = hold(cases[i].selector, cases[i].labels);
                CLEANUP(buf_done) Buf out;

                buf_init(&out, 256);
                label_selector_print(&h->selector, &out);
                assert_null(h->selector.fault);
                assert_true(h->labels_read);
                assert_true(str_eq(buf_str(&out), str_of(cases[i].printed)));
                if (label_selector_matches(&h->selector, h->labels) != cases[i].matches)
                        fail_msg("%s on %s", cases[i].selector, cases[i].labels);
                leaf_unref(h);
        }
}

/* What the API server, or Envoy Gateway, refuses: selects nothing, not everything. */
static void a_fault_selects_nothing(void **state)
{
        static const char *const cases[] = {
                "null",
                "[]",
                "{\"matchLabels\":{\"a\":1}}",
                "{\"matchLabels\":{\"a\":\"not a value\"}}",
                "{\"matchLabels\":{\"\":\"x\"}}",
                "{\"matchLabels\":{\"-a\":\"x\"}}",
                "{\"matchLabels\":{\"a/b/c\":\"x\"}}",
                "{\"matchLabels\":{\"a_b/c\":\"x\"}}",
                "{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"in\",\"values\":[\"1\"]}]}",
                "{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"NotIn\"}]}",
                "{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"NotIn\",\"values\":[]}]}",
                "{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"NotIn\",\"values\":[7]}]}",
                ("{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"DoesNotExist\",\"values\":["
                 "\"1\"]}"
                 "]}"),
                "{\"matchExpressions\":[{\"operator\":\"DoesNotExist\"}]}",
                "{\"matchExpressions\":[7]}",
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                Holder *h = hold(cases[i], NULL);

                if (h->selector.fault == NULL || label_selector_matches(&h->selector, h->labels))
                        fail_msg("%s was taken", cases[i]);
                leaf_unref(h);
        }
}

/* "k0":"v","k1":"v",… or, of `values`, "k0","k1",… */
static void add_many(Buf *b, size_t n, bool values)
{
        for (size_t i = 0; i < n; i++)
                buf_printf(b, "%s\"k%zu\"%s", i > 0 ? "," : "", i, values ? "" : ":\"v\"");
}

static void caps_fail_closed(void **state)
{
        CLEANUP(buf_done) Buf b;
        Holder *h;

        (void)state;
        buf_init(&b, 1 << 16);
        buf_add_str(&b, STR("{\"matchLabels\":{"));
        add_many(&b, LABEL_RULES_MAX + 1, false);
        buf_printf(&b, "}}%c", '\0');
        h = hold(b.p, NULL);
        assert_non_null(h->selector.fault);
        leaf_unref(h);
        buf_reset(&b);
        buf_add_str(&b, STR("{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"NotIn\","
                            "\"values\":["));
        add_many(&b, LABEL_VALUES_MAX + 1, true);
        buf_printf(&b, "]}]}%c", '\0');
        h = hold(b.p, NULL);
        assert_non_null(h->selector.fault);
        leaf_unref(h);
        buf_reset(&b);
        buf_add_str(&b, STR("{"));
        add_many(&b, OBJECT_LABELS_MAX + 1, false);
        buf_printf(&b, "}%c", '\0');
        h = hold(NULL, b.p);
        assert_false(h->labels_read);
        leaf_unref(h);
}

static void sameness_sees_every_word(void **state)
{
        static const char *const cases[] = {
                "{}",
                "{\"matchLabels\":{\"a\":\"1\"}}",
                "{\"matchLabels\":{\"b\":\"1\"}}",
                "{\"matchLabels\":{\"a\":\"2\"}}",
                "{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"NotIn\",\"values\":[\"\"]}]}",
                "{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Exists\"}]}",
                "{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"DoesNotExist\"}]}",
                "7",
                "{\"matchLabels\":{\"\":\"2\"}}",
        };

        (void)state;
        for (size_t i = 0; i < LENGTH_OF(cases); i++) {
                for (size_t j = 0; j < LENGTH_OF(cases); j++) {
                        Holder *a = hold(cases[i], NULL), *b = hold(cases[j], NULL);

                        assert_int_equal(label_selector_same(&a->selector, &b->selector), i == j);
                        leaf_unref(a);
                        leaf_unref(b);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(matches_as_kubernetes_does),
                cmocka_unit_test(a_fault_selects_nothing),
                cmocka_unit_test(caps_fail_closed),
                cmocka_unit_test(sameness_sees_every_word),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
