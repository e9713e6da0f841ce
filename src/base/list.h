/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* List: intrusive, doubly linked, circular with a head. A Link that is on no list points to itself
 * or is zeroed. */

#include "base/macros.h"

#include <stdbool.h>

typedef struct Link Link;
struct Link {
        Link *prev, *next;
};

static inline void list_init(Link *head)
{
        head->prev = head->next = head;
}
static inline bool list_is_empty(const Link *head)
{
        return head->next == head || head->next == NULL;
}
static inline bool link_is_on(const Link *l)
{
        return l->next != NULL && l->next != l;
}
/* Appends at the end. */
static inline void list_add(Link *head, Link *l)
{
        l->prev = head->prev;
        l->next = head;
        head->prev->next = l;
        head->prev = l;
}
/* Takes it off its list; harmless where it is on none. */
static inline void link_remove(Link *l)
{
        if (!link_is_on(l))
                return;
        l->prev->next = l->next;
        l->next->prev = l->prev;
        l->prev = l->next = NULL;
}
static inline Link *list_first(const Link *head)
{
        return list_is_empty(head) ? NULL : head->next;
}

/* `var` is a `type *`; the current one may be removed inside. `break` and `continue` do what they
 * say: `go_` is NULL from when a body begins until it has ended, so a body that is left ends both
 * loops. */
#define LIST_FOREACH(type, var, head, member)                                             \
        for (Link *l_##var = (head)->next, *n_##var = l_##var->next, *go_##var = l_##var; \
             go_##var != NULL && l_##var != (head);                                       \
             l_##var = n_##var, n_##var = go_##var != NULL ? n_##var->next : NULL)        \
                for (type *var = (go_##var = NULL, CONTAINER_OF(l_##var, type, member));  \
                     (void)var, go_##var == NULL; go_##var = n_##var)
