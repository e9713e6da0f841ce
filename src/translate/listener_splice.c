/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is put into a message stands behind its own fields: of a singular field that comes twice the
 * last one counts (protobuf's rule), so Envoy Gateway's TcpProxy keeps its access log and whatever
 * else it has, and gets our cluster.
 *
 * 1. A listener that a user's route has is left to it: a filter chain, or a udp_proxy, that leads
 *    anywhere but to "EmptyCluster" stays as it is, and so does a server name that one of them has.
 * 2. Bytes that are not ours come back in their order.
 */
#include "translate/listener_splice.h"

#include "proto/pb_reader.h"
#include "proto/pb_writer.h"

#include "pb_tokens.h"

#define EMPTY_CLUSTER "EmptyCluster"
#define TCP_PROXY     "envoy.filters.network.tcp_proxy"
#define TLS_INSPECTOR "envoy.filters.listener.tls_inspector"

typedef struct Work {
        const ListenerJob *job;
        PbWriter w;
        const ListenerPart *to; /* the part that has all of the listener; NULL: none */
        Map names;              /* server names that are there or were added */
        Map filters;            /* names of listener filters, likewise */
        Str access_log;         /* of the first TcpProxy: whole fields */
        bool has_inspector;
        Buf logs;
} Work;

/* -- What is there --------------------------------------------------------------------------- */

static Str config_of(Str filter, uint32_t field, Str type)
{
        Str any = pb_get(filter, field);
        return str_eq(pb_get(any, PBN_Any_type_url), type) ? pb_get(any, PBN_Any_value) : (Str){0};
}

static Str tcp_proxy_of(Str filter)
{
        return config_of(filter, PBN_Filter_typed_config, PB_TYPE_TcpProxy);
}

static Str udp_proxy_of(Str filter)
{
        return config_of(filter, PBN_ListenerFilter_typed_config, PB_TYPE_UdpProxyConfig);
}

static bool is_empty_tcp(Str filter)
{
        return str_eq(pb_get(tcp_proxy_of(filter), PBN_TcpProxy_cluster), STR(EMPTY_CLUSTER));
}

static bool is_empty_udp(Str filter)
{
        Str matcher = pb_get(udp_proxy_of(filter), PBN_UdpProxyConfig_matcher);
        Str action = pb_get(pb_get(matcher, PBN_Matcher_on_no_match), PBN_Matcher_OnMatch_action);
        Str route =
                config_of(action, PBN_TypedExtensionConfig_typed_config, PB_TYPE_udp_proxy_Route);
        return str_eq(pb_get(route, PBN_udp_proxy_Route_cluster), STR(EMPTY_CLUSTER));
}

static void note_chain(Work *k, Str chain)
{
        PbReader r = pb_reader(pb_get(chain, PBN_FilterChain_filter_chain_match));
        for (Str name; pb_next_len(&r, PBN_FilterChainMatch_server_names, &name);)
                IGNORE(map_put(&k->names, name, k), "the same name twice is there as well");
        r = pb_reader(chain);
        for (Str filter; k->logs.n == 0 && pb_next_len(&r, PBN_FilterChain_filters, &filter);) {
                PbReader p = pb_reader(tcp_proxy_of(filter));
                for (PbField f; pb_next(&p, &f);) {
                        if (f.number == PBN_TcpProxy_access_log && f.wire == PB_LEN)
                                buf_add_str(&k->logs, f.span);
                }
        }
}

static void note_filter(Work *k, Str filter)
{
        Str name = pb_get(filter, PBN_ListenerFilter_name);
        IGNORE(map_put(&k->filters, name, k), "one that comes twice is there as well");
        k->has_inspector = k->has_inspector || str_eq(name, STR(TLS_INSPECTOR));
}

static bool is_message(Str bytes)
{
        PbReader r = pb_reader(bytes);
        for (PbField f; pb_next(&r, &f);)
                ;
        return !r.bad;
}

static SpliceVerdict note_all(Work *k, Str body)
{
        bool is_good = true;
        PbReader r = pb_reader(body);
        for (PbField f; pb_next(&r, &f);) {
                if (f.wire != PB_LEN)
                        continue;
                if (f.number == PBN_Listener_filter_chains ||
                    f.number == PBN_Listener_default_filter_chain) {
                        is_good = is_good && is_message(f.body);
                        note_chain(k, f.body);
                } else if (f.number == PBN_Listener_listener_filters) {
                        note_filter(k, f.body);
                }
        }
        return r.bad || !is_good ? SPLICE_INVALID : SPLICE_DONE;
}

/* -- What is put in -------------------------------------------------------------------------- */

static bool is_taken(const Work *k, const Pack *p)
{
        return strlist_has(k->job->taken, p->cluster);
}

static void miss(const ListenerPart *part, const Pack *p, GapReason reason)
{
        gap_notes_add(
                &part->tally->gaps,
                &(AnswerGap){.reason = reason,
                             .listener = part->patch->listener,
                             .host = part->patch->kind == LISTENER_BY_NAME ? p->name : (Str){0},
                             .cluster = p->cluster,
                             .n = 1});
}

static bool has_guards(const Work *k)
{
        for (size_t i = 0; i < k->job->n_parts; i++) {
                if (k->job->parts[i].patch->kind == LISTENER_GUARDED)
                        return true;
        }
        return false;
}

/* In front of all filters of a chain. */
static void put_chain_guards(Work *k)
{
        for (size_t i = 0; i < k->job->n_parts; i++) {
                const ListenerPatch *p = k->job->parts[i].patch;
                if (p->kind == LISTENER_GUARDED)
                        buf_add_str(k->w.out, p->packs[1]->bytes);
        }
}

/* One whose name is there already, by a policy of Envoy Gateway or of another patch, is not put a
 * second time: that would wait for what the first has taken away. */
static void put_listener_guards(Work *k)
{
        for (size_t i = 0; i < k->job->n_parts; i++) {
                const ListenerPatch *p = k->job->parts[i].patch;
                PbReader r = pb_reader(p->kind == LISTENER_GUARDED ? p->packs[0]->bytes : (Str){0});
                for (PbField f; pb_next(&r, &f);) {
                        Str name = f.wire == PB_LEN ? pb_get(f.body, PBN_ListenerFilter_name)
                                                    : (Str){0};
                        if (map_put(&k->filters, name, k) == NULL)
                                buf_add_str(k->w.out, f.span);
                }
        }
}

/* A filter again, with more at the end of its configuration. */
static void put_filter(Work *k, PbMsg as, uint32_t config, Str filter, Str more)
{
        pb_begin(&k->w, as);
        PbReader r = pb_reader(filter);
        for (PbField f; pb_next(&r, &f);) {
                if (f.number != config)
                        buf_add_str(k->w.out, f.span);
        }
        Str any = pb_get(filter, config);
        pb_begin(&k->w, (PbMsg){config});
        pb_str(&k->w, PB_Any_type_url, pb_get(any, PBN_Any_type_url));
        pb_begin(&k->w, (PbMsg){PBN_Any_value});
        buf_add_str(k->w.out, pb_get(any, PBN_Any_value));
        buf_add_str(k->w.out, more);
        pb_end(&k->w);
        pb_end(&k->w);
        pb_end(&k->w);
}

static bool has_empty(Str chain)
{
        PbReader r = pb_reader(chain);
        for (Str filter; pb_next_len(&r, PBN_FilterChain_filters, &filter);) {
                if (is_empty_tcp(filter))
                        return true;
        }
        return false;
}

/* A filter chain as it is, but for guards, and for the cluster of one that has none. */
static void put_chain(Work *k, const PbField *field)
{
        Str chain = field->body;
        const Pack *to = k->to != NULL && !k->to->patch->udp && has_empty(chain)
                                 ? k->to->patch->packs[0]
                                 : NULL;
        if (to == NULL && !has_guards(k)) {
                buf_add_str(k->w.out, field->span);
                return;
        }
        pb_begin(&k->w, (PbMsg){field->number});
        put_chain_guards(k);
        PbReader r = pb_reader(chain);
        for (PbField f; pb_next(&r, &f);) {
                if (to != NULL && f.number == PBN_FilterChain_filters && is_empty_tcp(f.body))
                        put_filter(k, PB_FilterChain_filters, PBN_Filter_typed_config, f.body,
                                   to->bytes);
                else
                        buf_add_str(k->w.out, f.span);
        }
        if (to != NULL)
                pb_str(&k->w, PB_FilterChain_name, to->cluster);
        pb_end(&k->w);
        if (to != NULL)
                k->to->tally->ports++;
}

static void put_named_chain(Work *k, const Pack *p)
{
        pb_begin(&k->w, PB_Listener_filter_chains);
        put_chain_guards(k);
        pb_begin(&k->w, PB_FilterChain_filter_chain_match);
        pb_str(&k->w, PB_FilterChainMatch_server_names, p->name);
        pb_end(&k->w);
        pb_begin(&k->w, PB_FilterChain_filters);
        pb_str(&k->w, PB_Filter_name, STR(TCP_PROXY));
        pb_any_begin(&k->w, PB_Filter_typed_config, PB_TYPE_TcpProxy);
        buf_add_str(k->w.out, p->bytes);
        buf_add_str(k->w.out, buf_str(&k->logs));
        pb_any_end(&k->w);
        pb_end(&k->w);
        pb_str_join(&k->w, PB_FilterChain_name, (const Str[]){p->cluster, STR("/"), p->name}, 3);
        pb_end(&k->w);
}

static void put_inspector(Work *k)
{
        pb_begin(&k->w, PB_Listener_listener_filters);
        pb_str(&k->w, PB_ListenerFilter_name, STR(TLS_INSPECTOR));
        pb_any_begin(&k->w, PB_ListenerFilter_typed_config, PB_TYPE_TlsInspector);
        pb_any_end(&k->w);
        pb_end(&k->w);
}

/* A name that two Gateways have is the first one's (joined_order has no listeners to compare: Envoy
 * Gateway merges no two of the same port and kind but for TLS). */
static void put_named(Work *k)
{
        size_t n = 0;
        for (size_t i = 0; i < k->job->n_parts; i++) {
                const ListenerPart *part = &k->job->parts[i];
                for (size_t j = 0; part->patch->kind == LISTENER_BY_NAME && j < part->patch->n;
                     j++) {
                        const Pack *p = part->patch->packs[j];
                        if (is_taken(k, p)) {
                                miss(part, p, GAP_CLUSTER_TAKEN);
                        } else if (map_put(&k->names, p->name, k) != NULL) {
                                miss(part, p, GAP_HOST_TAKEN);
                        } else {
                                put_named_chain(k, p);
                                part->tally->hosts++;
                                n++;
                        }
                }
        }
        if (n > 0 && !k->has_inspector)
                put_inspector(k);
}

/* Who has all of the listener: the first, of several (there are none, where Envoy Gateway keeps
 * ports apart). */
static void choose_owner(Work *k, Str body)
{
        bool is_free = false;
        PbReader r = pb_reader(body);
        for (PbField f; pb_next(&r, &f);)
                is_free = is_free ||
                          (f.number == PBN_Listener_filter_chains && has_empty(f.body)) ||
                          (f.number == PBN_Listener_listener_filters && is_empty_udp(f.body));
        for (size_t i = 0; i < k->job->n_parts; i++) {
                const ListenerPart *part = &k->job->parts[i];
                if (part->patch->kind != LISTENER_TO_CLUSTER || part->patch->n == 0)
                        continue;
                const Pack *p = part->patch->packs[0];
                if (is_taken(k, p))
                        miss(part, p, GAP_CLUSTER_TAKEN);
                else if (!is_free || k->to != NULL)
                        miss(part, p, GAP_HOST_TAKEN);
                else
                        k->to = part;
        }
}

static void put_field(Work *k, const PbField *f)
{
        bool is_chain = f->number == PBN_Listener_filter_chains ||
                        f->number == PBN_Listener_default_filter_chain;
        if (is_chain && f->wire == PB_LEN) {
                put_chain(k, f);
        } else if (f->number == PBN_Listener_listener_filters && f->wire == PB_LEN &&
                   k->to != NULL && k->to->patch->udp && is_empty_udp(f->body)) {
                put_filter(k, PB_Listener_listener_filters, PBN_ListenerFilter_typed_config,
                           f->body, k->to->patch->packs[0]->bytes);
                k->to->tally->ports++;
        } else {
                buf_add_str(k->w.out, f->span);
        }
}

SpliceVerdict listener_splice(const ListenerJob *job, Str body)
{
        Work k = {.job = job};
        buf_init(&k.logs, PACK_BYTES_MAX);
        map_init(&k.names);
        map_init(&k.filters);
        pb_writer_init(&k.w, job->answer);
        SpliceVerdict v = note_all(&k, body);
        if (v == SPLICE_DONE) {
                choose_owner(&k, body);
                pb_begin(&k.w, (PbMsg){job->field});
                put_listener_guards(&k);
                PbReader r = pb_reader(body);
                for (PbField f; pb_next(&r, &f);)
                        put_field(&k, &f);
                put_named(&k);
                pb_end(&k.w);
                pb_writer_done(&k.w);
                v = job->answer->failed || k.logs.failed ? SPLICE_TOO_LARGE : SPLICE_DONE;
        }
        map_done(&k.names);
        map_done(&k.filters);
        buf_done(&k.logs);
        return v;
}
