/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For this folder's tests: requests of a few words, and what stands in an answer. */

#include "proto/pb_reader.h"
#include "proto/pb_writer.h"
#include "translate/hook.h"

#include "pb_tokens.h"

typedef struct Request {
        Buf bytes;
        PbWriter w;
} Request;

static inline void request_open(Request *r)
{
        buf_init(&r->bytes, HOOK_ANSWER_MAX);
        pb_writer_init(&r->w, &r->bytes);
}

static inline void request_binding(Request *r, const char *json)
{
        pb_begin(&r->w, PB_PostTranslateModifyRequest_post_translate_context);
        pb_begin(&r->w, PB_PostTranslateExtensionContext_extension_resources);
        pb_bytes(&r->w, PB_ExtensionResource_unstructured_bytes, str_of(json));
        pb_end(&r->w);
        pb_end(&r->w);
}

static inline void request_struct_field(PbWriter *w, const char *key, const char *value)
{
        pb_begin(w, PB_Struct_fields);
        pb_str(w, PB_Struct_fields_key, str_of(key));
        pb_begin(w, PB_Struct_fields_value);
        pb_str(w, PB_Value_string_value, str_of(value));
        pb_end(w);
        pb_end(w);
}

/* Envoy Gateway's mark: metadata "kind/namespace/name/section". */
static inline void request_resource(PbWriter *w, PbMsg metadata, const char *kind,
                                    const char *namespace, const char *name)
{
        pb_begin(w, metadata);
        pb_begin(w, PB_Metadata_filter_metadata);
        pb_str(w, PB_Metadata_filter_metadata_key, STR("envoy-gateway"));
        pb_begin(w, PB_Metadata_filter_metadata_value);
        pb_begin(w, PB_Struct_fields);
        pb_str(w, PB_Struct_fields_key, STR("resources"));
        pb_begin(w, PB_Struct_fields_value);
        pb_begin(w, PB_Value_list_value);
        pb_begin(w, PB_ListValue_values);
        pb_begin(w, PB_Value_struct_value);
        request_struct_field(w, "kind", kind);
        request_struct_field(w, "name", name);
        request_struct_field(w, "namespace", namespace);
        request_struct_field(w, "sectionName", "http");
        for (int i = 0; i < 8; i++)
                pb_end(w);
}

/* One route of an HTTPRoute, with or without a JWT filter. */
static inline void request_route(PbWriter *w, const char *namespace, bool auth)
{
        pb_begin(w, PB_VirtualHost_routes);
        pb_begin(w, PB_Route_match);
        pb_str(w, PB_RouteMatch_prefix, STR("/"));
        pb_end(w);
        request_resource(w, PB_Route_metadata, "HTTPRoute", namespace, "web");
        if (auth) {
                pb_begin(w, PB_Route_typed_per_filter_config);
                pb_str(w, PB_Route_typed_per_filter_config_key,
                       STR("envoy.filters.http.jwt_authn"));
                pb_end(w);
        }
        pb_str(w, PB_Route_name, STR("httproute/x/web/rule/0/match/0/host"));
        pb_end(w);
}

/* A virtual host of Gateway demo/gw with one route. */
static inline void request_vhost_body(PbWriter *w, const char *domain, const char *namespace,
                                      bool auth)
{
        pb_str(w, PB_VirtualHost_name, str_of(domain));
        pb_str(w, PB_VirtualHost_domains, str_of(domain));
        request_route(w, namespace, auth);
        request_resource(w, PB_VirtualHost_metadata, "", "demo", "gw");
}

static inline void request_vhost(Request *r, const char *domain, const char *namespace, bool auth)
{
        pb_begin(&r->w, PB_RouteConfiguration_virtual_hosts);
        request_vhost_body(&r->w, domain, namespace, auth);
        pb_end(&r->w);
}

static inline void request_routes_begin(Request *r, const char *name)
{
        pb_begin(&r->w, PB_PostTranslateModifyRequest_routes);
        pb_str(&r->w, PB_RouteConfiguration_name, str_of(name));
}

static inline void request_routes_end(Request *r)
{
        pb_end(&r->w);
}

static inline void request_done(Request *r)
{
        pb_writer_done(&r->w);
        buf_done(&r->bytes);
}

typedef struct Answer {
        Buf bytes;
        HookResult all;
        HookGateway result; /* the first of them */
        HookVerdict verdict;
} Answer;

static inline Answer answer_bytes(const Snapshot *s, HookMethod method, Str request, bool may_wait)
{
        Answer a;
        buf_init(&a.bytes, HOOK_ANSWER_MAX);
        a.verdict = hook_answer(s, method, request, may_wait, &a.bytes, &a.all);
        a.result = a.all.n > 0 ? a.all.gateways[0] : (HookGateway){0};
        return a;
}

static inline Answer answer_of(const Snapshot *s, const Request *r)
{
        return answer_bytes(s, HOOK_TRANSLATE, buf_str(&r->bytes), false);
}

static inline void answer_done(Answer *a)
{
        hook_result_done(&a->all);
        buf_done(&a->bytes);
}

/* The virtual host with that domain among those of one RouteConfiguration; how many there are. */
static inline size_t find_vhost(Str routes, Str domain, Str *ret)
{
        size_t n = 0;
        PbReader r = pb_reader(routes);
        for (Str vhost; pb_next_len(&r, PBN_RouteConfiguration_virtual_hosts, &vhost);) {
                if (!str_eq(pb_get(vhost, PBN_VirtualHost_domains), domain))
                        continue;
                n++;
                *ret = vhost;
        }
        return n;
}

/* The same in all of the answer. */
static inline size_t answer_vhost(const Answer *a, const char *domain, Str *ret)
{
        size_t n = 0;
        PbReader r = pb_reader(buf_str(&a->bytes));
        for (Str routes; pb_next_len(&r, PBN_PostTranslateModifyResponse_routes, &routes);)
                n += find_vhost(routes, str_of(domain), ret);
        return n;
}

static inline size_t count_fields(Str message, uint32_t number)
{
        size_t n = 0;
        PbReader r = pb_reader(message);
        for (Str body; pb_next_len(&r, number, &body);)
                n++;
        return n;
}

/* The i-th route of a virtual host. */
static inline Str nth_route(Str vhost, size_t i)
{
        PbReader r = pb_reader(vhost);
        for (Str body; pb_next_len(&r, PBN_VirtualHost_routes, &body); i--) {
                if (i == 0)
                        return body;
        }
        return (Str){0};
}
