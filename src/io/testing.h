/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For unit tests only: a clock that stands still until it is told to go on, and a directory that
 * goes away with all that is in it. */

#include "io/clock.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct TestClock {
        Mono mono;
        Wall wall;
        unsigned reads; /* of mono */
} TestClock;

static inline Mono test_clock_mono(void *ctx)
{
        TestClock *c = ctx;

        c->reads++;
        return c->mono;
}

static inline Wall test_clock_wall(void *ctx)
{
        return ((TestClock *)ctx)->wall;
}

static inline Clock test_clock(TestClock *c)
{
        return (Clock){test_clock_mono, test_clock_wall, c};
}

static inline void test_clock_advance(TestClock *c, Span by)
{
        c->mono.ns += by.ns;
        c->wall.ms += by.ns / 1000000;
}

enum {
        TEST_PATH = 256
};

typedef struct TestDir {
        char path[TEST_PATH];
} TestDir;

static inline void test_dir_init(TestDir *d)
{
        *d = (TestDir){"/tmp/tsgw-test-XXXXXX"};
        INSIST(mkdtemp(d->path) != NULL);
}

static inline int test_dir_remove(const char *path, const struct stat *st, int flag, struct FTW *f)
{
        (void)st;
        (void)flag;
        (void)f;
        return remove(path);
}

static inline void test_dir_done(TestDir *d)
{
        INSIST(nftw(d->path, test_dir_remove, 8, FTW_DEPTH | FTW_PHYS) == 0);
}

/* DIR/NAME in `buf`. */
static inline const char *test_dir_join(const TestDir *d, const char *name, char buf[TEST_PATH])
{
        INSIST(snprintf(buf, TEST_PATH, "%s/%s", d->path, name) < TEST_PATH);
        return buf;
}
