/* SPDX-License-Identifier: Apache-2.0 */
#include "model/condition.h"

enum {
        MESSAGE_MAX = 8 << 10, /* an API server takes 32 KiB */
};

/* By resource and type; the same order as in docs/conditions.md. */
const ConditionReason condition_reasons[] = {
        {"Accepted", "Valid"},
        {"Accepted", "Invalid"},
        {"Accepted", "InsecureAPI"},
        {"Accepted", "PathRefused"},
        {"Accepted", "EnvRefused"},
        {"Accepted", "ListenerAmbiguous"},
        {"Accepted", "NoMatchingListener"},
        {"Accepted", "NotAllowedByListeners"},
        {"Accepted", "ProtocolNotSupported"},
        {"Accepted", "NoProxy"},
        {"Accepted", "ProxyRefused"},
        {"Accepted", "ProxyShared"},
        {"Accepted", "ExtensionServerIgnored"},
        {"Accepted", "NoMatchingParent"},
        {"Accepted", "NoMatchingListenerHostname"},
        {"Accepted", "UnsupportedValue"},
        {"Accepted", "Pending"},
        {"Authenticated", "Accepted"},
        {"Authenticated", "NeverSynced"},
        {"Authenticated", "Unauthorized"},
        {"Authenticated", "Forbidden"},
        {"Authenticated", "NotFound"},
        {"Authenticated", "CredentialMissing"},
        {"Authenticated", "SecretDenied"},
        {"Authenticated", "NoSocket"},
        {"Authenticated", "SocketDenied"},
        {"Authenticated", "InUseOtherUser"},
        {"Authenticated", "NeedsLogin"},
        {"Authenticated", "NeedsMachineAuth"},
        {"Authenticated", "Stopped"},
        {"Authenticated", "Invalid"},
        {"Synced", "Synced"},
        {"Synced", "NeverSynced"},
        {"Synced", "Failing"},
        {"Synced", "Stale"},
        {"Synced", "TooManyTailnets"},
        {"Synced", "DiscoverySuccessful"},
        {"Synced", "Invalid"},
        {"Stale", "Fresh"},
        {"Stale", "NeverSynced"},
        {"Stale", "NoGoodAnswer"},
        {"Stale", "Invalid"},
        {"RemovalHeld", "NothingHeld"},
        {"RemovalHeld", "EmptyAnswer"},
        {"RemovalHeld", "TooManyRemoved"},
        {"ResolvedRefs", "ResolvedRefs"},
        {"ResolvedRefs", "GatewayNotFound"},
        {"ResolvedRefs", "TailnetNotFound"},
        {"ResolvedRefs", "RefNotPermitted"},
        {"ResolvedRefs", "CASecretNotFound"},
        {"ResolvedRefs", "BadCASecret"},
        {"ResolvedRefs", "SecretDenied"},
        {"ResolvedRefs", "FailoverNotFound"},
        {"ResolvedRefs", "BackendNotFound"},
        {"ResolvedRefs", "UnsupportedProtocol"},
        {"ResolvedRefs", "Invalid"},
        {"ResolvedRefs", "Pending"},
        {"Programmed", "Programmed"},
        {"Programmed", "Pending"},
        {"Programmed", "Invalid"},
        {"Programmed", "NothingSelected"},
        {"Programmed", "NothingLeft"},
        {"Programmed", "GatewayNotFound"},
        {"Programmed", "TailnetNotFound"},
        {"Programmed", "ListenerAmbiguous"},
        {"Programmed", "NoMatchingListener"},
        {"Programmed", "NotAllowedByListeners"},
        {"Programmed", "ProtocolNotSupported"},
        {"Programmed", "RefNotPermitted"},
        {"Programmed", "CASecretNotFound"},
        {"Programmed", "BadCASecret"},
        {"Programmed", "SecretDenied"},
        {"Programmed", "FailoverNotFound"},
        {"Programmed", "NoProxy"},
        {"Programmed", "ProxyRefused"},
        {"Programmed", "ProxyShared"},
        {"Conflicted", "NoConflict"},
        {"Conflicted", "Conflicted"},
        {"Conflicted", "Pending"},
        {"Conflicted", "Invalid"},
        {"IngressServing", "Serving"},
        {"IngressServing", "Pending"},
        {"IngressServing", "NoIngress"},
        {"IngressServing", "GatewayNotFound"},
        {"IngressServing", "ListenerAmbiguous"},
        {"IngressServing", "NoMatchingListener"},
        {"IngressServing", "NotAllowedByListeners"},
        {"IngressServing", "ProtocolNotSupported"},
        {"IngressServing", "ListenerNotNamed"},
        {"IngressServing", "ListenerShared"},
        {"IngressServing", "ListenerTaken"},
        {"IngressServing", "TooManySources"},
        {"IngressServing", "BadSocketPath"},
        {"IngressServing", "PathRefused"},
        {"IngressServing", "NoGatewayAddress"},
        {"IngressServing", "PortTaken"},
        {"IngressServing", "FunnelOn"},
        {"IngressServing", "TooManySockets"},
        {"IngressServing", "TooManyPorts"},
        {"IngressServing", "NoSocket"},
        {"IngressServing", "SocketDenied"},
        {"IngressServing", "NotListening"},
        {"IngressServing", "Forbidden"},
        {"IngressServing", "ServerError"},
        {"IngressServing", "NotTailscaled"},
        {"IngressServing", "NotServeConfig"},
        {"IngressServing", "ChangedMeanwhile"},
        {"IngressServing", "Timeout"},
};
const size_t n_condition_reasons = LENGTH_OF(condition_reasons);

Str condition_reason(const Condition *c)
{
        for (size_t i = 0; i < n_condition_reasons; i++) {
                if (strcmp(condition_reasons[i].type, c->type) == 0 &&
                    str_eq(str_of(condition_reasons[i].reason), c->reason))
                        return c->reason;
        }
        return STR("Other");
}

bool condition_is_bad(const Condition *c)
{
        static const Str when_true[] = {STR_INIT("Conflicted"), STR_INIT("RemovalHeld"),
                                        STR_INIT("Stale")};
        bool is_negative = strlist_has((StrList){when_true, LENGTH_OF(when_true)}, str_of(c->type));
        return strcmp(c->status, is_negative ? "True" : "False") == 0;
}

void conditions_put(JsonWriter *w, const Condition *at, size_t n)
{
        json_key_array_begin(w, STR("conditions"));
        for (size_t i = 0; i < n; i++) {
                json_object_begin(w);
                json_key_str(w, STR("type"), str_of(at[i].type));
                json_key_str(w, STR("status"), str_of(at[i].status));
                json_key_str(w, STR("reason"), at[i].reason);
                json_key_str(w, STR("message"), at[i].message);
                json_object_end(w);
        }
        json_array_end(w);
}

/* Of whole characters, as many as may stand there. */
static Str message_of(const Condition *c)
{
        Str s = str_sub(c->message, 0, MESSAGE_MAX);
        while (s.n < c->message.n && s.n > 0 && ((unsigned char)c->message.p[s.n] & 0xc0) == 0x80)
                s.n--;
        return s;
}

static Wall since(const Condition *c, const ConditionPast *past)
{
        const ConditionSeen *before = observed_condition(past->seen, str_of(c->type));
        bool stands = before != NULL && before->since.ms != 0 &&
                      str_eq(before->status, str_of(c->status));
        return stands ? before->since : past->now;
}

void conditions_doc(DocWriter *d, const Condition *at, size_t n, const ConditionPast *past)
{
        doc_list(d, STR("conditions"), n);
        for (size_t i = 0; i < n; i++) {
                doc_item(d);
                doc_str(d, STR("type"), str_of(at[i].type));
                doc_quoted(d, STR("status"), str_of(at[i].status));
                if (past == NULL) {
                        doc_str(d, STR("reason"), at[i].reason);
                } else {
                        doc_str(d, STR("reason"), condition_reason(&at[i]));
                        doc_str(d, STR("message"), message_of(&at[i]));
                        doc_wall(d, STR("lastTransitionTime"), since(&at[i], past));
                        if (at[i].generation > 0)
                                doc_u64(d, STR("observedGeneration"), (uint64_t)at[i].generation);
                }
                doc_item_end(d);
        }
        doc_list_end(d);
}
