/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For this folder's tests: what was found as text, from texts. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/check_cluster.h"
#include "proto/yaml.h"

typedef struct Fixture {
        Arena arena;
        CheckRows rows;
        Buf text;
} Fixture;

static inline int setup(void **state)
{
        static Fixture f;

        arena_init(&f.arena, 0);
        check_rows_init(&f.rows);
        buf_init(&f.text, 1 << 16);
        *state = &f;
        return 0;
}

static inline int teardown(void **state)
{
        Fixture *f = *state;

        buf_done(&f->text);
        check_rows_done(&f->rows);
        arena_done(&f->arena);
        return 0;
}

/* A document of YAML, of which JSON is a part. */
static inline const Tree *tree_of(Fixture *f, const char *text)
{
        Yaml *yaml = yaml_new(str_of(text));
        const Tree *root = NULL;
        Err err = {0};

        if (!yaml_next(yaml, &f->arena, &root, NULL, &err))
                fail_msg("%s", err.text);
        yaml_free(yaml);
        return root;
}

static inline CheckFound found_of(Fixture *f, const char *text)
{
        return (CheckFound){.object = tree_of(f, text)};
}

static inline CheckFound refused(ErrKind kind)
{
        CheckFound found = {0};

        IGNORE(err_set(&found.err, kind, "Refused", "it says no"), "it is wanted");
        return found;
}

/* "wrong: what was found\n" for each row; then there is none. */
static inline const char *told(Fixture *f)
{
        static const char *const names[] = {"ok", "warning", "wrong", "unknown"};

        buf_reset(&f->text);
        for (size_t i = 0; i < f->rows.n; i++)
                buf_printf(&f->text, "%s: %.*s\n", names[f->rows.at[i].result],
                           STR_FMT(f->rows.at[i].found));
        buf_add_char(&f->text, '\0');
        f->rows.n = 0;
        return f->text.p;
}
