/* SPDX-License-Identifier: Apache-2.0 */
#include "model/resource_kind.h"

#include "model/binding_spec.h"
#include "model/endpoints_spec.h"
#include "model/gateway_spec.h"
#include "model/status_schema.h"
#include "model/tailnet_spec.h"

#define CONDITION(type_, member) ".status.conditions[?(@.type==\"" type_ "\")]." member
#define AGE                                                                   \
        {                                                                     \
                .name = "Age", .type = "date", .about = "Since it was made.", \
                .path = ".metadata.creationTimestamp",                        \
        }

/* A date is printed as the time since, so what lies ahead is a string. */

static const PrintColumn binding_columns[] = {
        {"Revision", "string", ".spec.revision", "The revision that the Gateway is to have.",
         false},
        {"Attempt", "integer", ".spec.attempt", "How often it was asked for again.", false},
        AGE,
        {"Accepted", "string", ".status.ancestors[0].conditions[?(@.type==\"Accepted\")].status",
         "Whether Envoy Gateway takes it.", true},
};

static const PrintColumn endpoints_columns[] = {
        {"Gateway", "string", ".metadata.labels.gateway\\.tailscale\\.com/gateway",
         "The TailscaleGateway that it is made for; empty where it is your own.", false},
        {"Tailnet", "string", ".spec.tailnet", "The entry in spec.tailnets.", false},
        {"Endpoints", "integer", ".status.discoveredEndpoints",
         "Endpoints that were found, of those in this object.", false},
        {"Synced", "string", CONDITION("Synced", "status"), "Whether the tailnet has answered.",
         false},
        AGE,
        {"Held", "integer", ".status.held.count", "Endpoints that the removal guard keeps.", true},
        {"Last Sync", "date", ".status.lastSync", "Since when nothing has changed.", true},
        {"Next Key Expiry", "string", ".status.nextKeyExpiry",
         "When the first key of a device expires.", true},
};

static const PrintColumn gateway_columns[] = {
        {"Gateway", "string", ".spec.gatewayRef.name", "The Gateway of Envoy Gateway.", false},
        {"Accepted", "string", CONDITION("Accepted", "status"), "Whether it can be used.", false},
        {"Programmed", "string", CONDITION("Programmed", "status"),
         "Whether Envoy Gateway has what is wanted.", false},
        {"Conflicted", "string", CONDITION("Conflicted", "status"),
         "Whether somebody else has a host or a path.", false},
        AGE,
        {"Namespace", "string", ".spec.gatewayRef.namespace", "The namespace of the Gateway.",
         true},
        {"Reason", "string", CONDITION("Programmed", "reason"), "Why it is programmed, or not.",
         true},
        {"Message", "string", CONDITION("Programmed", "message"), "The same in words.", true},
};

static const PrintColumn tailnet_columns[] = {
        {"Synced", "string", CONDITION("Synced", "status"), "Whether the last poll was good.",
         false},
        {"Devices", "integer", ".status.devices", "Devices of the tailnet.", false},
        {"Last Sync", "date", ".status.lastSync", "Since when nothing has changed.", false},
        AGE,
        {"Services", "integer", ".status.services", "Tailscale Services of the tailnet.", true},
        {"Suffix", "string", ".status.magicDNSSuffix", "The suffix of full names.", true},
        {"Next Key Expiry", "string", ".status.nextKeyExpiry",
         "When the first key of a device expires.", true},
        {"Reason", "string", CONDITION("Synced", "reason"), "Why it is synced, or not.", true},
};

const ResourceKind resource_kinds[RESOURCE_KINDS] = {
        {
                .kind = "TailscaleEndpoints",
                .singular = "tailscaleendpoints",
                .plural = "tailscaleendpoints",
                .short_name = "tse",
                .about = "What was found in a tailnet: services, addresses and ports. The operator "
                         "writes these, at most 250 entries an object, and reads them back when it "
                         "starts. You may make your own for what no discovery finds; those are "
                         "never written.",
                .about_spec = "The endpoints.",
                .about_status = "What is known of the discovery. Of your own objects it stays "
                                "empty.",
                .spec = &endpoints_spec_schema,
                .status = &endpoints_status_schema,
                .columns = endpoints_columns,
                .n_columns = LENGTH_OF(endpoints_columns),
        },
        {
                .kind = "TailscaleGateway",
                .singular = "tailscalegateway",
                .plural = "tailscalegateways",
                .short_name = "tsgw",
                .about = "What of which tailnets is exposed on a Gateway of Envoy Gateway, and "
                         "under which hosts and paths. Services are discovered; no route is "
                         "written.",
                .about_spec = "What is to be exposed, and how.",
                .about_status = "What came of it.",
                .spec = &gateway_spec_schema,
                .status = &gateway_status_schema,
                .columns = gateway_columns,
                .n_columns = LENGTH_OF(gateway_columns),
        },
        {
                .kind = "TailscaleGatewayBinding",
                .singular = "tailscalegatewaybinding",
                .plural = "tailscalegatewaybindings",
                .short_name = "tsgb",
                .about = "The thread to Envoy Gateway, made by the operator, one for each Gateway "
                         "that a TailscaleGateway refers to, with its name: when it changes, Envoy "
                         "Gateway asks the extension server again. Nobody else writes it.",
                .about_spec = "The revision that the Gateway is to have.",
                .about_status = "What Envoy Gateway says of it.",
                .spec = &binding_spec_schema,
                .status = &binding_status_schema,
                .columns = binding_columns,
                .n_columns = LENGTH_OF(binding_columns),
        },
        {
                .kind = "TailscaleTailnet",
                .singular = "tailscaletailnet",
                .plural = "tailscaletailnets",
                .short_name = "tst",
                .about = "One tailnet, and how it is asked which devices and services it has.",
                .about_spec = "How the tailnet is asked.",
                .about_status = "What it answered.",
                .spec = &tailnet_spec_schema,
                .status = &tailnet_status_schema,
                .columns = tailnet_columns,
                .n_columns = LENGTH_OF(tailnet_columns),
        },
};
