/* SPDX-License-Identifier: Apache-2.0 */
#include "model/schema.h"

#include "base/instant.h"
#include "model/gateway_spec.h"
#include "model/port_spec.h"

static const void *at(const void *base, size_t offset)
{
        return (const char *)base + offset;
}

static size_t count(const void *base, size_t offset)
{
        return *(const size_t *)at(base, offset);
}

static bool cidrs_same(const Cidr *a, const Cidr *b, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (a[i].bits != b[i].bits || memcmp(a[i].addr, b[i].addr, sizeof(a[i].addr)) != 0)
                        return false;
        return true;
}

static bool structs_same(const Schema *schema, const void *a, const void *b, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (!schema_same(schema, at(a, i * schema->size), at(b, i * schema->size)))
                        return false;
        return true;
}

static bool counted_same(const Field *f, const void *a, const void *b)
{
        const void *x = *(const void *const *)at(a, f->offset);
        const void *y = *(const void *const *)at(b, f->offset);
        size_t n = count(a, f->n_offset);

        if (n != count(b, f->n_offset))
                return false;
        if (f->type == FIELD_INTS)
                return n == 0 || memcmp(x, y, n * sizeof(uint16_t)) == 0;
        return f->type == FIELD_CIDRS ? cidrs_same(x, y, n) : structs_same(f->schema, x, y, n);
}

static bool field_same(const Field *f, const void *a, const void *b)
{
        const void *x = at(a, f->offset), *y = at(b, f->offset);

        switch (f->type) {
        case FIELD_STR:
                return str_eq(*(const Str *)x, *(const Str *)y);
        case FIELD_STRS:
                return strlist_eq(*(const StrList *)x, *(const StrList *)y);
        case FIELD_BOOL:
        case FIELD_INT:
        case FIELD_ENUM:
        case FIELD_SPAN:
                return memcmp(x, y, f->size) == 0;
        case FIELD_PORTS:
                return port_spec_same(x, y);
        case FIELD_INTS:
        case FIELD_CIDRS:
        case FIELD_LIST:
                return counted_same(f, a, b);
        case FIELD_OBJECT:
                return schema_same(f->schema, x, y);
        case FIELD_MAP:
        case FIELD_AMOUNTS:
        case FIELD_TIME:
        case FIELD_FREE:
        case FIELD_ANY:
                return true;
        }
        return true;
}

bool schema_same(const Schema *schema, const void *a, const void *b)
{
        for (size_t i = 0; i < schema->n; i++) {
                const Field *f = &schema->fields[i];

                if (f->has_here &&
                    *(const bool *)at(a, f->here_offset) != *(const bool *)at(b, f->here_offset))
                        return false;
                if (f->kept && !field_same(f, a, b))
                        return false;
        }
        return true;
}
