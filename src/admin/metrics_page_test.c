/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page is read as Prometheus reads it, by a parser that is stricter: families in one piece,
 * HELP and TYPE once and first, no sample twice. What it holds is compared with docs/metrics.md.
 */
#include "admin/admin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

#include "admin/admin_test_view.h"
#include "io/file.h"

enum {
        PAGE_MAX = 1 << 20,
        FAMILIES_MAX = 200,
        SAMPLES_MAX = 1000,
        LABELS_MAX = 5,
};

typedef struct Family {
        Str name, type;
        Str labels[LABELS_MAX]; /* names, in the order of the first sample; without `le` */
        size_t n_labels, n_samples;
} Family;

typedef struct Metrics {
        Buf text;
        Family families[FAMILIES_MAX];
        size_t n;
        Str samples[SAMPLES_MAX]; /* name and labels as they stand */
        size_t n_samples;
} Metrics;

static bool is_name_char(char c, bool first)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
               (!first && c >= '0' && c <= '9');
}

static Str take_name(Str *rest)
{
        size_t n = 0;
        while (n < rest->n && is_name_char(rest->p[n], n == 0))
                n++;
        assert_true(n > 0);
        Str name = str_sub(*rest, 0, n);
        *rest = str_sub(*rest, n, rest->n);
        return name;
}

static void take(Str *rest, const char *text)
{
        if (!str_starts(*rest, str_of(text)))
                fail_msg("expected '%s' at '%.*s'", text, STR_FMT(*rest));
        *rest = str_sub(*rest, strlen(text), rest->n);
}

static Family *find_family(Metrics *m, Str name)
{
        for (size_t i = 0; i < m->n; i++) {
                if (str_eq(m->families[i].name, name))
                        return &m->families[i];
        }
        return NULL;
}

/* "# HELP name text", then "# TYPE name type". */
static void parse_head(Metrics *m, Str help, Str type)
{
        take(&help, "# HELP ");
        Str name = take_name(&help);
        take(&help, " ");
        assert_true(help.n > 1 && str_ends(help, STR(".")));
        assert_null(find_family(m, name));
        assert_true(m->n < FAMILIES_MAX);
        take(&type, "# TYPE ");
        assert_true(str_eq(take_name(&type), name));
        take(&type, " ");
        assert_true(str_eq(type, STR("counter")) || str_eq(type, STR("gauge")) ||
                    str_eq(type, STR("histogram")));
        assert_int_equal(str_eq(type, STR("counter")), str_ends(name, STR("_total")));
        m->families[m->n++] = (Family){.name = name, .type = type};
}

static void take_value(Str *rest)
{
        take(rest, "\"");
        while (rest->n > 0 && rest->p[0] != '"') {
                size_t n = str_utf8(*rest);
                assert_true(n > 0);
                if (rest->p[0] == '\\') {
                        assert_true(rest->n > 1 && strchr("\\\"n", rest->p[1]) != NULL);
                        n = 2;
                }
                *rest = str_sub(*rest, n, rest->n);
        }
        take(rest, "\"");
}

static void take_labels(Family *f, Str *rest)
{
        bool is_first = f->n_samples == 0;
        size_t n = 0;
        if (!str_starts(*rest, STR("{"))) {
                assert_true(is_first || f->n_labels == 0);
                return;
        }
        take(rest, "{");
        for (;;) {
                Str name = take_name(rest);
                take(rest, "=");
                take_value(rest);
                if (!str_eq(name, STR("le"))) {
                        assert_true(n < LABELS_MAX);
                        if (is_first)
                                f->labels[f->n_labels++] = name;
                        assert_true(str_eq(f->labels[n++], name));
                }
                if (!str_starts(*rest, STR(",")))
                        break;
                take(rest, ",");
        }
        take(rest, "}");
        assert_int_equal(n, f->n_labels);
}

static void parse_sample(Metrics *m, Str line)
{
        assert_true(m->n > 0 && m->n_samples < SAMPLES_MAX);
        Family *f = &m->families[m->n - 1];
        Str rest = line, name = take_name(&rest);
        if (str_eq(f->type, STR("histogram"))) {
                assert_true(str_starts(name, f->name));
                Str suffix = str_sub(name, f->name.n, name.n);
                assert_true(str_eq(suffix, STR("_bucket")) || str_eq(suffix, STR("_sum")) ||
                            str_eq(suffix, STR("_count")));
        } else {
                assert_true(str_eq(name, f->name));
        }
        take_labels(f, &rest);
        f->n_samples++;
        Str id = str_sub(line, 0, line.n - rest.n);
        for (size_t i = 0; i < m->n_samples; i++)
                assert_false(str_eq(m->samples[i], id));
        m->samples[m->n_samples++] = id;
        take(&rest, " ");
        char number[64], *end;
        IGNORE(snprintf(number, sizeof number, "%.*s", STR_FMT(rest)), "long ones do not parse");
        errno = 0;
        IGNORE(strtod(number, &end), "that it is one is enough");
        assert_true(end != number && *end == '\0' && errno == 0);
}

static void parse(Metrics *m)
{
        Str rest = buf_str(&m->text), line, next;
        assert_true(str_ends(rest, STR("\n")));
        while (rest.n > 0) {
                assert_true(str_cut(&rest, '\n', &line));
                if (str_starts(line, STR("#"))) {
                        assert_true(str_cut(&rest, '\n', &next));
                        parse_head(m, line, next);
                } else {
                        parse_sample(m, line);
                }
        }
}

static Metrics *read_page(ViewKind kind, TestView *t)
{
        Metrics *m = mem_new(sizeof *m);
        test_view_open(t, kind);
        buf_init(&m->text, PAGE_MAX);
        metrics_page(&t->view, &m->text);
        assert_false(m->text.failed);
        parse(m);
        return m;
}

static void done(Metrics *m, TestView *t)
{
        buf_done(&m->text);
        mem_free(m);
        test_view_close(t);
}

/* The value of a sample, by its name and labels as they stand. */
static void expect_sample(const Metrics *m, const char *sample)
{
        char line[512];
        IGNORE(snprintf(line, sizeof line, "\n%s\n", sample), "fits");
        if (str_find_str(buf_str(&m->text), str_of(line)) < 0)
                fail_msg("%s: not on the page:\n%.*s", sample, STR_FMT(buf_str(&m->text)));
}

static void every_view_gives_a_well_formed_page(void **state)
{
        (void)state;
        size_t n = 0;
        for (ViewKind k = 0; k < VIEW_KINDS; k++) {
                TestView t;
                Metrics *m = read_page(k, &t);
                /* Families are there from the start, so that an alert on one is never without. */
                assert_true(n == 0 || n == m->n);
                n = m->n;
                done(m, &t);
        }
}

static void values_are_those_of_the_view(void **state)
{
        (void)state;
        TestView t;
        Metrics *m = read_page(VIEW_FULL, &t);
        expect_sample(m, "tailscale_gateway_ready 1");
        expect_sample(m, "tailscale_gateway_tailnet_up{tailnet=\"demo/corp\",source=\"api\"} 0");
        /* Not rounded: an age is computed with it. */
        expect_sample(m, "tailscale_gateway_tailnet_last_sync_timestamp_seconds{tailnet=\"demo/"
                         "corp\",source=\"api\"} 1795384364.321");
        expect_sample(m, "process_start_time_seconds 1795384300");
        expect_sample(m, "tailscale_gateway_held_endpoints{tailscale_gateway=\"demo/tg\",tailnet="
                         "\"corp\",reason=\"api\"} 2");
        expect_sample(
                m, "tailscale_gateway_programmed{tailscale_gateway=\"demo/tg\",tailnet=\"corp\"} "
                   "0");
        expect_sample(m, "tailscale_gateway_hosts{tailscale_gateway=\"demo/tg\",tailnet=\"corp\"} "
                         "1");
        expect_sample(m, "tailscale_gateway_revision_served{gateway=\"demo/gw\"} 0");
        expect_sample(m, "tailscale_gateway_revision_served_info{gateway=\"demo/gw\",revision="
                         "\"r1\"} 1");
        expect_sample(m, "tailscale_gateway_resources_broken{directory=\"resources\"} 1");
        expect_sample(m, "tailscale_gateway_hook_duration_seconds_bucket{le=\"0.0025\"} 1");
        done(m, &t);
        m = read_page(VIEW_EMPTY, &t);
        expect_sample(m, "tailscale_gateway_ready 0");
        expect_sample(m, "tailscale_gateway_resources_broken{directory=\"resources\"} 0");
        done(m, &t);
}

/* ---- docs/metrics.md ---- */

/* The tests are built in, and run from, meson's build folder, against which __FILE__ is meant. */
static void read_docs(Buf *b)
{
        char path[1024];
        Err err = {0};
        IGNORE(snprintf(path, sizeof path, "%.*s../../docs/metrics.md",
                        (int)(strrchr(__FILE__, '/') + 1 - __FILE__), __FILE__),
               "fits");
        buf_init(b, PAGE_MAX);
        if (!file_read(path, b, &err))
                fail_msg("%s (run it in the build folder)", err.text);
}

static Str cell(Str *line)
{
        Str c;
        IGNORE(str_cut(line, '|', &c), "the last");
        return str_trim(c);
}

/* `a` `b` -> a, b. */
static size_t names_in(Str cell_text, Str *names)
{
        size_t n = 0;
        Str before, name;
        while (str_cut(&cell_text, '`', &before) && str_cut(&cell_text, '`', &name)) {
                assert_true(n < LABELS_MAX);
                names[n++] = name;
        }
        return n;
}

static void expect_row(const Family *f, Str type, Str labels)
{
        Str names[LABELS_MAX];
        size_t n = names_in(labels, names);
        if (!str_eq(f->type, type))
                fail_msg("%.*s is a %.*s, docs say %.*s", STR_FMT(f->name), STR_FMT(f->type),
                         STR_FMT(type));
        if (f->n_samples == 0)
                fail_msg("%.*s: no sample in a view that has something of each kind",
                         STR_FMT(f->name));
        if (n != f->n_labels)
                fail_msg("%.*s has %zu labels, docs say %zu", STR_FMT(f->name), f->n_labels, n);
        for (size_t i = 0; i < n; i++) {
                if (!strlist_has((StrList){f->labels, f->n_labels}, names[i]))
                        fail_msg("%.*s has no label %.*s", STR_FMT(f->name), STR_FMT(names[i]));
        }
}

/* Each row of its tables is a family of the page, and the other way round. */
static void the_docs_have_the_same_metrics(void **state)
{
        (void)state;
        TestView t;
        Buf docs;
        bool seen[FAMILIES_MAX] = {false};
        Metrics *m = read_page(VIEW_FULL, &t);
        read_docs(&docs);
        for (Str rest = buf_str(&docs), line; str_cut(&rest, '\n', &line);) {
                Str name[LABELS_MAX];
                if (!str_starts(line, STR("| `")))
                        continue;
                IGNORE(cell(&line), "before the first |");
                Str first = cell(&line), type = cell(&line), labels = cell(&line);
                /* The table of alerts has two columns. */
                if (line.n == 0 || names_in(first, name) != 1)
                        continue;
                const Family *f = find_family(m, name[0]);
                if (f == NULL)
                        fail_msg("%.*s: in docs/metrics.md, not on the page", STR_FMT(name[0]));
                seen[f - m->families] = true;
                expect_row(f, type, labels);
        }
        for (size_t i = 0; i < m->n; i++) {
                if (!seen[i])
                        fail_msg("%.*s: on the page, not in docs/metrics.md",
                                 STR_FMT(m->families[i].name));
        }
        buf_done(&docs);
        done(m, &t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_view_gives_a_well_formed_page),
                cmocka_unit_test(values_are_those_of_the_view),
                cmocka_unit_test(the_docs_have_the_same_metrics),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
