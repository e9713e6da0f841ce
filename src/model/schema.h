/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Schema: what an object of a manifest may hold, as a table: member, type, where it goes, default,
 * check. The decoder, the comparison of leaves, and what is generated for others (CRDs, the
 * reference) all read the same table.
 *
 * A field that is not kept is checked for type and shape only: it is part of the resource, and this
 * program does not act on it yet.
 */

#include "base/str.h"

typedef enum FieldType {
        FIELD_STR,     /* Str */
        FIELD_BOOL,    /* bool */
        FIELD_INT,     /* an integer of `size` bytes */
        FIELD_ENUM,    /* an enum; one of `names` */
        FIELD_SPAN,    /* Span; "30s" */
        FIELD_STRS,    /* StrList */
        FIELD_INTS,    /* const uint16_t *, with a count */
        FIELD_CIDRS,   /* const Cidr *, with a count */
        FIELD_PORTS,   /* PortSpec: a port, or a string of ports */
        FIELD_OBJECT,  /* a struct within the struct, by `schema` */
        FIELD_LIST,    /* an array of structs by `schema`, with a count */
        FIELD_MAP,     /* strings by name; never kept */
        FIELD_AMOUNTS, /* Kubernetes' quantities by name; never kept */
        FIELD_TIME,    /* RFC 3339; of a status only, so never kept */
        FIELD_FREE,    /* an object of any shape; never kept */
        FIELD_ANY,     /* anything, or any of `names`; never kept */
} FieldType;

typedef struct EnumName {
        const char *name; /* NULL ends the table */
        int value;
} EnumName;

enum {
        EXPECTED_MAX = 200
};

/* Is `value` good? Else what would be goes to `expected` ("a DNS label"). */
typedef bool FieldCheck(Str value, char expected[EXPECTED_MAX]);

/* A rule as the API server evaluates it. What it says, the decoder says too: in `after`, or by a
 * check. */
typedef struct SchemaRule {
        const char *cel; /* NULL ends the list */
        const char *message;
        const char *path; /* ".pollInterval": the member that it is about; NULL: the object */
} SchemaRule;

typedef struct Schema Schema;

typedef struct Field {
        const char *name;
        const char *about; /* what `kubectl explain` and the reference say */
        FieldType type;
        bool required;
        bool kept;       /* `offset` is meant */
        bool has_here;   /* `here_offset` is meant */
        bool is_private; /* its value is not repeated in a fault */
        size_t offset, size;
        size_t n_offset;      /* of the size_t count of FIELD_LIST, FIELD_CIDRS and FIELD_INTS */
        size_t here_offset;   /* of a bool: the FIELD_OBJECT is in the manifest */
        int64_t min, max;     /* FIELD_INT, FIELD_INTS: values; FIELD_SPAN: ms, 0: no maximum */
        size_t max_items;     /* of lists and maps; 0: ITEMS_MAX */
        size_t min_items;     /* of lists */
        const char *keys;     /* of a FIELD_LIST: the members that name an item, space between */
        bool is_set;          /* of a list of scalars: none comes twice */
        const char *fallback; /* the default, as it would be written; of FIELD_STRS its one item */
        FieldCheck *check;    /* of the string, or of each */
        const char *pattern;  /* of a status, which has no checks: RE2, of the whole string */
        size_t min_length, max_length; /* and its length; max 0: STRING_MAX */
        const EnumName *names;
        const Schema *schema;
} Field;

struct Decoder;
struct Tree;

struct Schema {
        const Field *fields;
        size_t n;
        size_t size; /* of the struct; 0: nothing is kept */
        /* Rules between the fields, and what is derived from them. `node` is NULL where the object
         * is absent and `out` where it is not kept. May be NULL. */
        void (*after)(struct Decoder *d, const struct Tree *node, void *out);
        const SchemaRule *rules; /* those of `after` that need no other object; may be NULL */
};

/* For a Field: it goes to `member` of `type`. */
#define FIELD_TO(type, member) \
        .kept = true, .offset = offsetof(type, member), .size = sizeof(((type *)NULL)->member)
#define FIELD_COUNT_TO(type, member) .n_offset = offsetof(type, member)
#define FIELD_HERE_TO(type, member)  .has_here = true, .here_offset = offsetof(type, member)
#define SCHEMA(fields_, ...)                                              \
        {                                                                 \
                .fields = (fields_), .n = LENGTH_OF(fields_), __VA_ARGS__ \
        }

enum {
        ITEMS_MAX = 256,   /* of a list where its field says nothing else */
        STRING_MAX = 1024, /* bytes; names and hosts are below 254, paths and URLs longer */
};

/* Do two structs of this schema hold the same in all kept fields? */
bool schema_same(const Schema *schema, const void *a, const void *b);
