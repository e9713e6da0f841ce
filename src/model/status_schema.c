/* SPDX-License-Identifier: Apache-2.0 */
#include "model/status_schema.h"

#include "model/gateway_spec.h"

enum {
        PORT_MAX = 65535,
        COUNT_MAX = INT32_MAX,
        DIGEST_MAX = 128,
        PATH_BYTES_MAX = 4096, /* a prefix of STRING_MAX with a name in each placeholder */
        NAME_MAX_BYTES = 253,
        CONDITION_TYPE_MAX = 316,
};

#define TIME(name_, about_)                                             \
        {                                                               \
                .name = (name_), .about = (about_), .type = FIELD_TIME, \
        }
#define COUNT(name_, about_)                                                             \
        {                                                                                \
                .name = (name_), .about = (about_), .type = FIELD_INT, .max = COUNT_MAX, \
        }
#define TEXT(name_, about_)                                            \
        {                                                              \
                .name = (name_), .about = (about_), .type = FIELD_STR, \
        }
#define GENERATION(about_)                                                          \
        {                                                                           \
                .name = "observedGeneration", .about = (about_), .type = FIELD_INT, \
                .size = sizeof(int64_t), .max = INT64_MAX,                          \
        }
#define CONDITIONS(about_, schema_)                                                          \
        {                                                                                    \
                .name = "conditions", .about = (about_), .type = FIELD_LIST, .keys = "type", \
                .max_items = STATUS_CONDITIONS_MAX, .schema = (schema_),                     \
        }

static const EnumName truths[] = {{"True", 0}, {"False", 1}, {"Unknown", 2}, {NULL, 0}};

/* metav1.Condition, but for the type of `status`. */
#define CONDITION_FIELDS(status_type)                                                             \
        {.name = "type",                                                                          \
         .about = "What it is about, such as Accepted.",                                          \
         .type = FIELD_STR,                                                                       \
         .required = true,                                                                        \
         .max_length = CONDITION_TYPE_MAX,                                                        \
         .pattern = "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-"  \
                    "Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"},                                    \
                {.name = "status",                                                                \
                 .about = "True, False or Unknown.",                                              \
                 .type = (status_type),                                                           \
                 .required = true,                                                                \
                 .names = truths},                                                                \
                {.name = "reason",                                                                \
                 .about = "Why, as one word from a closed list.",                                 \
                 .type = FIELD_STR,                                                               \
                 .required = true,                                                                \
                 .min_length = 1,                                                                 \
                 .max_length = STRING_MAX,                                                        \
                 .pattern = "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"},                          \
                {.name = "message",                                                               \
                 .about = "Why, in words.",                                                       \
                 .type = FIELD_STR,                                                               \
                 .required = true,                                                                \
                 .max_length = CONDITION_MESSAGE_MAX},                                            \
                {.name = "lastTransitionTime",                                                    \
                 .about = "Since when the status is what it is.",                                 \
                 .type = FIELD_TIME,                                                              \
                 .required = true},                                                               \
                GENERATION("The metadata.generation that it was made of. Where the object has a " \
                           "newer one, the condition is not of it yet.")

static const Field condition_fields[] = {CONDITION_FIELDS(FIELD_ENUM)};

static const Schema condition = SCHEMA(condition_fields, .size = 0);

/* In the status of a TailscaleEndpoints that a user wrote, `status: True` may stand, which is a
 * boolean in YAML. A status is dropped from what a user applies, but an API server looks at its
 * types before. */
static const Field loose_condition_fields[] = {CONDITION_FIELDS(FIELD_ANY)};

static const Schema loose_condition = SCHEMA(loose_condition_fields, .size = 0);

/* TailscaleTailnet */

static const Field tailnet_fields[] = {
        GENERATION("The metadata.generation that all of this is made of."),
        CONDITIONS(
                "Accepted: the object can be used. Authenticated: the control server takes the "
                "credential. Synced: the last poll gave a whole list. Stale: no good answer for a "
                "day; what was last good stays in force.",
                &condition),
        TIME("lastSync", "When the list of devices was last read. It moves when something changed, "
                         "and every ten minutes otherwise."),
        COUNT("devices", "Devices of the tailnet."),
        COUNT("services", "Tailscale Services of the tailnet."),
        TEXT("magicDNSSuffix", "The suffix of full names, as it is given or was found."),
        {.name = "scopes",
         .about = "What the credential may do, as far as the control server says.",
         .type = FIELD_STRS,
         .max_items = STATUS_SCOPES_MAX},
        TIME("nextKeyExpiry", "When the first key of a device expires."),
};

const Schema tailnet_status_schema = SCHEMA(tailnet_fields, .size = 0);

/* TailscaleGateway */

static const Field entry_fields[] = {
        {.name = "name",
         .about = "The name of the entry in spec.tailnets.",
         .type = FIELD_STR,
         .required = true,
         .max_length = 63},
        COUNT("selected", "Endpoints that were taken."),
        COUNT("excluded", "Devices, or ports of them, that were left out."),
        COUNT("hosts", "Hosts that are programmed."),
        COUNT("paths", "Paths that are programmed."),
        COUNT("ports", "TCP and UDP listeners that lead to a service."),
        COUNT("conflicts", "Hosts, paths and ports that somebody else has."),
};

static const Schema entry = SCHEMA(entry_fields, .size = 0);

static const Field conflict_fields[] = {
        TEXT("host", "The host that was wanted."),
        {.name = "path",
         .about = "The path that was wanted, of a path.",
         .type = FIELD_STR,
         .max_length = PATH_BYTES_MAX},
        COUNT("listenerPort", "The port of the TCP or UDP listener that was wanted."),
        TEXT("tailnet", "The entry in spec.tailnets that wanted it."),
        TEXT("service", "The service that wanted it."),
        TEXT("reason", "Why it was refused, as one word."),
        {.name = "message",
         .about = "Why, and who has it.",
         .type = FIELD_STR,
         .max_length = CONDITION_MESSAGE_MAX},
};

static const Schema conflict = SCHEMA(conflict_fields, .size = 0);

static const Field gateway_fields[] = {
        GENERATION("The metadata.generation that all of this is made of."),
        CONDITIONS("Accepted: the object can be used. ResolvedRefs: the Gateway, the listeners and "
                   "the TailscaleTailnets that it names are there. Programmed: Envoy Gateway has "
                   "what is wanted. Conflicted: somebody else has a host or a path. "
                   "IngressServing: the "
                   "tailnets that ask for a way in have one.",
                   &condition),
        {.name = "tailnets",
         .about = "Numbers of each entry in spec.tailnets.",
         .type = FIELD_LIST,
         .keys = "name",
         .max_items = TAILNETS_MAX,
         .schema = &entry},
        {.name = "conflicts",
         .about = "The first hosts and paths that somebody else has.",
         .type = FIELD_LIST,
         .max_items = STATUS_CONFLICTS_MAX,
         .schema = &conflict},
};

const Schema gateway_status_schema = SCHEMA(gateway_fields, .size = 0);

/* TailscaleEndpoints */

static const Field held_fields[] = {
        COUNT("count", "Endpoints that the last answer lacked and that are kept."),
        COUNT("confirmations", "Polls in a row that said so."),
        {.name = "digest",
         .about = "What is held, as a digest: the value of the annotation "
                  "gateway.tailscale.com/approve-removal that lets it through.",
         .type = FIELD_STR,
         .max_length = DIGEST_MAX},
        TEXT("reason", "Why it is held."),
};

static const Schema held = SCHEMA(held_fields, .size = 0);

static const Field endpoints_fields[] = {
        CONDITIONS("Synced: the tailnet has been asked and has answered. RemovalHeld: the removal "
                   "guard keeps endpoints that the last answer lacked.",
                   &loose_condition),
        COUNT("discoveredEndpoints",
              "Endpoints that were found in the tailnet, of those in this object."),
        TIME("lastSync", "When something of this object changed last. In the first object of a "
                         "gateway and tailnet it also moves every ten minutes."),
        TIME("nextKeyExpiry", "When the first key of a device expires."),
        {.name = "held",
         .about = "What the removal guard holds. It is read back after a restart.",
         .type = FIELD_OBJECT,
         .schema = &held},
};

const Schema endpoints_status_schema = SCHEMA(endpoints_fields, .size = 0);

/* TailscaleGatewayBinding: Envoy Gateway writes it, so it refuses little. */

static const Field ancestor_ref_fields[] = {
        TEXT("group", "gateway.networking.k8s.io."),
        TEXT("kind", "Gateway."),
        {.name = "name",
         .about = "Name of the Gateway.",
         .type = FIELD_STR,
         .required = true,
         .max_length = NAME_MAX_BYTES},
        TEXT("namespace", "Its namespace."),
        TEXT("sectionName", "The listener, where it is one."),
        {.name = "port", .about = "The port, where it is one.", .type = FIELD_INT, .max = PORT_MAX},
};

static const Schema ancestor_ref = SCHEMA(ancestor_ref_fields, .size = 0);

static const Field ancestor_fields[] = {
        {.name = "ancestorRef",
         .about = "The Gateway that the Binding is attached to.",
         .type = FIELD_OBJECT,
         .required = true,
         .schema = &ancestor_ref},
        {.name = "controllerName",
         .about = "The controller that says so, that of Envoy Gateway.",
         .type = FIELD_STR,
         .required = true,
         .max_length = NAME_MAX_BYTES},
        {.name = "conditions",
         .about = "Accepted: Envoy Gateway hands the Binding to the extension server.",
         .type = FIELD_LIST,
         .keys = "type",
         .max_items = STATUS_CONDITIONS_MAX,
         .schema = &condition},
};

static const Schema ancestor = SCHEMA(ancestor_fields, .size = 0);

static const Field binding_fields[] = {
        {.name = "ancestors",
         .about = "What Envoy Gateway says of the Binding: PolicyStatus of Gateway API.",
         .type = FIELD_LIST,
         .required = true,
         .max_items = ANCESTORS_MAX,
         .schema = &ancestor},
};

const Schema binding_status_schema = SCHEMA(binding_fields, .size = 0);
