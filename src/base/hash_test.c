/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* The key 00 01 … 0f and messages 00 01 … of the paper and its reference program. */
static const HashKey paper = {0x0706050403020100, 0x0f0e0d0c0b0a0908};

static void as_the_paper_says(void **state)
{
        static const struct {
                size_t n;
                uint64_t hash;
        } cases[] = {
                {0, 0x726fdb47dd0e0e31}, {1, 0x74f839c593dc67fd},  {7, 0xab0200f58b01d137},
                {8, 0x93f5f5799a932462}, {15, 0xa129ca6149be45e5},
        };
        char message[16];

        (void)state;
        for (size_t i = 0; i < sizeof(message); i++)
                message[i] = (char)i;
        for (size_t i = 0; i < LENGTH_OF(cases); i++)
                assert_int_equal(hash_str(&paper, str_make(message, cases[i].n)), cases[i].hash);
}

static void keys_are_of_their_own(void **state)
{
        HashKey a = hash_key_new(), b = hash_key_new();

        (void)state;
        assert_true(a.a != b.a || a.b != b.b);
        assert_true(hash_str(&a, STR("api")) != hash_str(&b, STR("api")));
}

/* Names that somebody chose because str_hash, which anybody can compute, puts all of them into one
 * place of a table are as good as any here. */
static void chosen_names_are_spread(void **state)
{
        enum {
                NAMES = 512,
                PLACES = 1024
        };
        static unsigned taken[PLACES];
        unsigned most = 0;
        size_t n = 0;

        (void)state;
        for (unsigned i = 0; n < NAMES; i++) {
                char name[16];
                unsigned *at;

                IGNORE(snprintf(name, sizeof(name), "device-%u", i), "fits");
                if (str_hash(str_of(name)) % PLACES != 0)
                        continue;
                n++;
                at = &taken[hash_str(&paper, str_of(name)) % PLACES];
                most = ++*at > most ? *at : most;
        }
        assert_true(most < 8);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(as_the_paper_says),
                cmocka_unit_test(keys_are_of_their_own),
                cmocka_unit_test(chosen_names_are_spread),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
