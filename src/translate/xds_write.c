/* SPDX-License-Identifier: Apache-2.0 */
#include "translate/xds_write.h"

#include "pb_tokens.h"

void xds_write_seconds(PbWriter *w, PbMsg field, uint64_t seconds)
{
        pb_begin(w, field);
        if (seconds > 0)
                pb_varint(w, PB_Duration_seconds, seconds);
        pb_end(w);
}

void xds_write_u32(PbWriter *w, PbMsg field, uint32_t v)
{
        pb_begin(w, field);
        pb_varint(w, PB_UInt32Value_value, v);
        pb_end(w);
}

static void write_struct_field(PbWriter *w, Str key, Str value)
{
        pb_begin(w, PB_Struct_fields);
        pb_str(w, PB_Struct_fields_key, key);
        pb_begin(w, PB_Struct_fields_value);
        pb_str(w, PB_Value_string_value, value);
        pb_end(w);
        pb_end(w);
}

void xds_write_mark(PbWriter *w, PbMsg metadata, Str kind, const PackService *s)
{
        pb_begin(w, metadata);
        pb_begin(w, PB_Metadata_filter_metadata);
        pb_str(w, PB_Metadata_filter_metadata_key, STR(PACK_METADATA));
        pb_begin(w, PB_Metadata_filter_metadata_value);
        write_struct_field(w, STR("kind"), kind);
        if (s != NULL) {
                write_struct_field(w, STR("namespace"), s->gateway_namespace);
                write_struct_field(w, STR("gateway"), s->gateway);
                write_struct_field(w, STR("tailnet"), s->tailnet);
                write_struct_field(w, STR("service"), s->service);
        }
        pb_end(w);
        pb_end(w);
        pb_end(w);
}
