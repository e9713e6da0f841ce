/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "kube/kube_delay.h"

static void lines_are_the_same_however_they_are_cut(void **state)
{
        Str text = STR("one\n\n  \ntwo two\nthree\nrest");

        (void)state;
        for (size_t piece = 1; piece <= text.n; piece++) {
                KubeLines l;
                Buf got;

                buf_init(&got, 64);
                kube_lines_init(&l);
                for (size_t at = 0; at < text.n; at += piece) {
                        Str bytes = str_sub(text, at, piece), line;

                        while (kube_lines_next(&l, &bytes, &line)) {
                                buf_add_str(&got, line);
                                buf_add_char(&got, '|');
                        }
                        assert_int_equal(bytes.n, 0);
                }
                assert_true(str_eq(buf_str(&got), STR("one|two two|three|")));
                buf_done(&got);
                buf_done(&l.part);
        }
}

static void a_line_has_a_cap(void **state)
{
        static char piece[64 << 10];
        KubeLines l;
        Str line;

        (void)state;
        memset(piece, 'x', sizeof(piece));
        kube_lines_init(&l);
        for (size_t n = 0; n <= KUBE_EVENT_BYTES_MAX; n += sizeof(piece)) {
                Str bytes = str_make(piece, sizeof(piece));

                assert_false(kube_lines_next(&l, &bytes, &line));
        }
        assert_true(l.part.failed);
        Str bytes = STR("\nmore\n");
        assert_false(kube_lines_next(&l, &bytes, &line));
        buf_done(&l.part);
}

static bool read_event(const char *line, KubeEvent *ret, Arena *arena, Err *err)
{
        arena_init(arena, 0);
        return kube_event_read(str_of(line), arena, ret, err);
}

static void members_come_in_any_order(void **state)
{
        KubeEvent e;
        Arena arena;
        Err err = {0};

        (void)state;
        assert_true(read_event("{\"object\":{\"metadata\":{\"name\":\"n\",\"uid\":\"u\","
                               "\"resourceVersion\":\"5\"}},\"type\":\"DELETED\"}",
                               &e, &arena, &err));
        assert_int_equal(e.type, KUBE_EVENT_GONE);
        assert_string_equal(e.id.key, "n");
        assert_true(str_eq(e.id.version, STR("5")));
        arena_done(&arena);
        assert_false(read_event("{\"type\":\"ADDED\"}", &e, &arena, &err));
        assert_string_equal(err.reason, "BadObject");
        arena_done(&arena);
}

static void delays_grow_and_are_bounded(void **state)
{
        uint64_t chance = 1, same = 1;

        (void)state;
        for (unsigned i = 1; i < 200; i++) {
                Span d = kube_delay_backoff(&chance, i % 10 + 1, SPAN_S(0));

                assert_true(d.ns >= SPAN_MS(100).ns && d.ns <= SPAN_S(KUBE_BACKOFF_MAX_S).ns);
                assert_int_equal(d.ns, kube_delay_backoff(&same, i % 10 + 1, SPAN_S(0)).ns);
                assert_true(kube_delay_backoff(&chance, 1, SPAN_S(90)).ns == SPAN_S(90).ns);
                assert_true(kube_delay_jitter(&chance, SPAN_S(2)).ns < SPAN_S(2).ns);
                same = chance;
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lines_are_the_same_however_they_are_cut),
                cmocka_unit_test(a_line_has_a_cap),
                cmocka_unit_test(members_come_in_any_order),
                cmocka_unit_test(delays_grow_and_are_bounded),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
