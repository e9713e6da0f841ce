// SPDX-License-Identifier: Apache-2.0
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/envoyproxy/gateway/proto/extension"
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// bootstrap makes a file for `envoy --mode validate -c` of a PostTranslateModify answer: its clusters,
// and each RouteConfiguration inside the HTTP connection manager that asks for it. Envoy refuses
// more than Envoy Gateway's validation does.
func bootstrap(flags *flag.FlagSet, args []string) error {
	file := flags.String("answer", "", "file with the answer")
	out := flags.String("out", "", "file to write (JSON)")
	parse(flags, args, "answer", "out")
	var answer extension.PostTranslateModifyResponse
	if err := readMessage(*file, &answer); err != nil {
		return err
	}
	managers, err := managersOf(answer.Listeners)
	if err != nil {
		return err
	}
	ads, err := adsCluster()
	if err != nil {
		return err
	}
	static := &bootstrapv3.Bootstrap_StaticResources{Clusters: append(answer.Clusters, ads)}
	for _, rc := range answer.Routes {
		manager := managers[rc.Name]
		if manager == nil {
			return fmt.Errorf("no listener asks for route configuration %q", rc.Name)
		}
		listener, err := listenerOf(manager, rc)
		if err != nil {
			return err
		}
		static.Listeners = append(static.Listeners, listener)
	}
	source := &corev3.GrpcService{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{
		EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: ads.Name}}}
	b, err := protojson.Marshal(&bootstrapv3.Bootstrap{
		Node:            &corev3.Node{Id: "judge", Cluster: "judge"},
		StaticResources: static,
		DynamicResources: &bootstrapv3.Bootstrap_DynamicResources{AdsConfig: &corev3.ApiConfigSource{
			ApiType: corev3.ApiConfigSource_DELTA_GRPC, TransportApiVersion: corev3.ApiVersion_V3,
			GrpcServices: []*corev3.GrpcService{source}}},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(*out, b, 0o644)
}

// managersOf finds the HTTP connection manager of each RouteConfiguration's name.
func managersOf(listeners []*listenerv3.Listener) (map[string]*hcmv3.HttpConnectionManager, error) {
	managers := map[string]*hcmv3.HttpConnectionManager{}
	for _, l := range listeners {
		for _, chain := range append(l.FilterChains, l.DefaultFilterChain) {
			for _, filter := range chain.GetFilters() {
				if !filter.GetTypedConfig().MessageIs(&hcmv3.HttpConnectionManager{}) {
					continue
				}
				manager := &hcmv3.HttpConnectionManager{}
				if err := filter.GetTypedConfig().UnmarshalTo(manager); err != nil {
					return nil, err
				}
				// A QUIC listener's manager is no use on the TCP listener that is made of it.
				if name := manager.GetRds().GetRouteConfigName(); name != "" && l.UdpListenerConfig == nil {
					managers[name] = manager
				}
			}
		}
	}
	return managers, nil
}

func listenerOf(manager *hcmv3.HttpConnectionManager, rc *routev3.RouteConfiguration) (*listenerv3.Listener, error) {
	inline := proto.Clone(manager).(*hcmv3.HttpConnectionManager)
	inline.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: rc}
	config, err := anypb.New(inline)
	if err != nil {
		return nil, err
	}
	return &listenerv3.Listener{Name: rc.Name, Address: socketAddress("127.0.0.1", 0),
		FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{{
			Name: "envoy.filters.network.http_connection_manager", ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: config}}}}}}, nil
}

func socketAddress(ip string, port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: ip, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port}}}}
}

// adsCluster stands for Envoy Gateway, which the EDS clusters of an answer need to name.
func adsCluster() (*clusterv3.Cluster, error) {
	const options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
	http2, err := anypb.New(&httpv3.HttpProtocolOptions{UpstreamProtocolOptions: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{
		ExplicitHttpConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
			ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
				Http2ProtocolOptions: &corev3.Http2ProtocolOptions{}}}}})
	if err != nil {
		return nil, err
	}
	endpoint := &endpointv3.LbEndpoint{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{
		Endpoint: &endpointv3.Endpoint{Address: socketAddress("127.0.0.1", 18000)}}}
	return &clusterv3.Cluster{
		Name: "xds_cluster", ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		TypedExtensionProtocolOptions: map[string]*anypb.Any{options: http2},
		LoadAssignment: &endpointv3.ClusterLoadAssignment{ClusterName: "xds_cluster",
			Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{endpoint}}}},
	}, nil
}
