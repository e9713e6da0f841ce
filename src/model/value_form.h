/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * ValueForm: what a check of single values says, in the words of an OpenAPI schema. A form refuses
 * nothing that its check takes; where it takes more, the check, which sees what a regular
 * expression cannot, has the last word.
 */

#include "model/schema.h"

typedef struct ValueForm {
        const char *pattern;     /* RE2, of the whole value; NULL where rules say it */
        unsigned min, max;       /* characters */
        const SchemaRule *rules; /* with a message that people read; may be NULL */
} ValueForm;

/* The form of `check`; of NULL that of any printable text. INSISTs that there is one. */
const ValueForm *value_form(FieldCheck *check);
/* Of FIELD_CIDRS' items, of FIELD_PORTS where it is text, of FIELD_AMOUNTS. */
const ValueForm *value_form_cidr(void);
const ValueForm *value_form_ports(void);
const ValueForm *value_form_amount(void);
