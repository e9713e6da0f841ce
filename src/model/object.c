/* SPDX-License-Identifier: Apache-2.0 */
#include "model/object.h"

#include <stdio.h>

int object_key_cmp(ObjectKey a, ObjectKey b)
{
        int c = str_cmp(a.namespace, b.namespace);

        return c != 0 ? c : str_cmp(a.name, b.name);
}

bool object_key_eq(ObjectKey a, ObjectKey b)
{
        return str_eq(a.name, b.name) && str_eq(a.namespace, b.namespace);
}

Str object_key_text(ObjectKey key, char buf[OBJECT_KEY_TEXT])
{
        IGNORE(snprintf(buf, OBJECT_KEY_TEXT, "%.*s/%.*s", STR_FMT(key.namespace),
                        STR_FMT(key.name)),
               "cut at its size");
        return str_of(buf);
}

bool object_meta_same(const ObjectMeta *a, const ObjectMeta *b)
{
        return object_key_eq(a->key, b->key) && a->generation == b->generation &&
               str_eq(a->uid, b->uid) && a->created.ms == b->created.ms &&
               a->deleting == b->deleting && str_eq(a->approve_removal, b->approve_removal);
}
