/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First byte: which ports are wanted and known; the rest: a serve configuration. What is not ours
 * is in the next one as it was, a step after a step changes nothing, and with nothing wanted all
 * that we put there goes again.
 */

#include <stddef.h>
#include <stdint.h>

#include "control/serve_config.h"
#include "proto/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ServeForward wanted_all[] = {{80, STR_INIT("127.0.0.1:10080")},
                                          {443, STR_INIT("127.0.0.1:10443")}};
static const ServeForward known_all[] = {{80, STR_INIT("127.0.0.1:10080")},
                                         {443, STR_INIT("127.0.0.1:10443")},
                                         {443, STR_INIT("127.0.0.1:9443")},
                                         {8443, STR_INIT("127.0.0.1:10443")}};

static bool trees_same(const Tree *a, const Tree *b)
{
        if (a->type != b->type || a->n != b->n || !str_eq(a->key, b->key) ||
            !str_eq(a->text, b->text))
                return false;
        for (const Tree *x = a->first, *y = b->first; x != NULL; x = x->next, y = y->next)
                if (!trees_same(x, y))
                        return false;
        return true;
}

/* Is all of `a` but ports of ours in `b`? */
static void check_kept(const Tree *a, const Tree *b)
{
        TREE_FOREACH (member, a) {
                const Tree *kept = tree_get(b, member->key);
                if (!str_eq(member->key, STR("TCP"))) {
                        INSIST(kept != NULL && trees_same(member, kept));
                        continue;
                }
                TREE_FOREACH (handler, member) {
                        const Tree *next = tree_get(kept, handler->key);
                        bool is_forward = handler->n == 2 &&
                                          tree_get_str(handler, STR("TCPForward")).n > 0 &&
                                          tree_get(handler, STR("ProxyProtocol")) != NULL;
                        INSIST(is_forward || (next != NULL && trees_same(handler, next)));
                }
        }
}

static const Tree *step(Arena *arena, const Tree *config, ServeForwards wanted, ServeForwards known,
                        Buf *next, ServeStep *ret)
{
        const Tree *after;

        serve_config_step(arena, config, wanted, known, next, ret);
        INSIST(!next->failed);
        after = serve_config_read(arena, buf_str(next), NULL);
        INSIST(after != NULL);
        return after;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        ServeForwards wanted = {wanted_all, data[0] % (LENGTH_OF(wanted_all) + 1)};
        ServeForwards known = {known_all, (data[0] >> 4) % (LENGTH_OF(known_all) + 1)};
        Arena arena;
        Buf next;
        const Tree *config;

        arena_init(&arena, 0);
        buf_init(&next, 16 * size + 1024);
        config = serve_config_read(&arena, str_make(data + 1, size - 1), NULL);
        if (config != NULL) {
                ServeStep first, second, none;
                const Tree *after = step(&arena, config, wanted, known, &next, &first);
                if (config->type == TREE_OBJECT)
                        check_kept(config, after);
                step(&arena, after, wanted, known, &next, &second);
                INSIST(!second.is_changed && second.n_removed == 0);
                const Tree *bare =
                        step(&arena, after, (ServeForwards){0},
                             (ServeForwards){known_all, LENGTH_OF(known_all)}, &next, &none);
                step(&arena, bare, (ServeForwards){0}, known, &next, &second);
                INSIST(!second.is_changed);
        }
        arena_done(&arena);
        buf_done(&next);
        return 0;
}
