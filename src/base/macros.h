/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The GNU extensions of this tree, all of them. Nothing else may use one. */

#include <stddef.h>

#define MUST_USE     __attribute__((warn_unused_result))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define NORETURN     __attribute__((noreturn))
#define CLEANUP(fn)  __attribute__((cleanup(fn)))
#define LENGTH_OF(a) (sizeof(a) / sizeof((a)[0]))

/* The object that embeds `member` at `ptr`. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Moves a pointer out of a variable that a CLEANUP guards. */
#define TAKE(p)                             \
        ({                                  \
                __typeof__(p) taken_ = (p); \
                (p) = NULL;                 \
                taken_;                     \
        })

/* Drops a MUST_USE result on purpose; `why` is for the reader. */
#define IGNORE(expr, why)                           \
        do {                                        \
                __typeof__(expr) ignored_ = (expr); \
                (void)ignored_;                     \
        } while (0)

/* Defines `type_cleanup(type **)` for CLEANUP on a local that owns what `free_fn` frees. */
#define DEFINE_CLEANUP(type, name, free_fn) \
        static inline void name(type **p)   \
        {                                   \
                if (*p != NULL)             \
                        free_fn(*p);        \
        }

/* What a programmer promised; stays on in release builds. Never on bytes from outside. */
#define INSIST(cond) ((cond) ? (void)0 : insist_failed(#cond, __FILE__, __LINE__))
NORETURN void insist_failed(const char *cond, const char *file, int line);
