// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"sort"
	"strings"

	"github.com/envoyproxy/gateway/proto/extension"
	"google.golang.org/protobuf/proto"

	// Types that requests and answers carry inside google.protobuf.Any. One that is missing here
	// makes dump and check fail with its name.
	_ "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dns/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/api_key_auth/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/basic_auth/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_stats/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_web/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/health_check/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/oauth2/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/proxy_protocol/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/udp/udp_proxy/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/client_side_weighted_round_robin/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/common/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/least_request/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/round_robin/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/common_inputs/network/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/path/match/uri_template/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/http_11_proxy/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/quic/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/raw_buffer/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	_ "google.golang.org/protobuf/types/known/wrapperspb"
)

const service = "/envoygateway.extension.EnvoyGatewayExtension/"

// method is one call of the extension service: how to decode what goes in and what comes out.
type method struct {
	name   string
	newReq func() proto.Message
	newAns func() proto.Message
}

var methods = []method{
	{"PostRouteModify",
		func() proto.Message { return new(extension.PostRouteModifyRequest) },
		func() proto.Message { return new(extension.PostRouteModifyResponse) }},
	{"PostVirtualHostModify",
		func() proto.Message { return new(extension.PostVirtualHostModifyRequest) },
		func() proto.Message { return new(extension.PostVirtualHostModifyResponse) }},
	{"PostHTTPListenerModify",
		func() proto.Message { return new(extension.PostHTTPListenerModifyRequest) },
		func() proto.Message { return new(extension.PostHTTPListenerModifyResponse) }},
	{"PostClusterModify",
		func() proto.Message { return new(extension.PostClusterModifyRequest) },
		func() proto.Message { return new(extension.PostClusterModifyResponse) }},
	{"PostEndpointsModify",
		func() proto.Message { return new(extension.PostEndpointsModifyRequest) },
		func() proto.Message { return new(extension.PostEndpointsModifyResponse) }},
	{translate,
		func() proto.Message { return new(extension.PostTranslateModifyRequest) },
		func() proto.Message { return new(extension.PostTranslateModifyResponse) }},
}

const translate = "PostTranslateModify"

func methodByName(name string) (method, error) {
	known := make([]string, 0, len(methods))
	for _, m := range methods {
		if m.name == name {
			return m, nil
		}
		known = append(known, m.name)
	}
	sort.Strings(known)
	return method{}, fmt.Errorf("no method is called %q; there are: %s", name, strings.Join(known, ", "))
}
