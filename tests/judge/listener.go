// SPDX-License-Identifier: Apache-2.0
package main

import (
	"strings"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	udpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/udp/udp_proxy/v3"
	"google.golang.org/protobuf/proto"
)

const (
	emptyCluster = "EmptyCluster"
	tlsInspector = "envoy.filters.listener.tls_inspector"
)

// sameListener: a listener that is not what it was has a filter chain, or a udp_proxy, that led nowhere and leads to a cluster
// of ours, or filter chains of ours behind its own, each with a server name. All else of it is the same.
func (v *verdict) sameListener(_, _ []byte, wasMsg, isMsg named) {
	was, is := wasMsg.(*listenerv3.Listener), proto.Clone(isMsg).(*listenerv3.Listener)
	v.valid("listener "+is.Name, isMsg)
	ours := v.undoChains(was, is) + v.undoUDP(was, is)
	if ours == 0 {
		v.fail("listener %q: nothing of ours is in it, but it is not given back byte for byte", is.Name)
	}
	if !proto.Equal(was, is) {
		v.fail("listener %q: what is not ours changed", is.Name)
	}
	if ours > 0 {
		v.Ours["patches"] += ours
	}
}

func (v *verdict) undoChains(was, is *listenerv3.Listener) int {
	ours := 0
	if n := len(was.FilterChains); len(is.FilterChains) > n {
		for _, chain := range is.FilterChains[n:] {
			names := chain.GetFilterChainMatch().GetServerNames()
			if !v.isOurs(chain.Name) || len(names) != 1 || !v.leadsToOurs(chain) {
				v.fail("listener %q: filter chain %q for %v is not one of ours", is.Name, chain.Name, names)
			}
			ours++
		}
		is.FilterChains = is.FilterChains[:n]
		last := len(is.ListenerFilters) - 1
		if last == len(was.ListenerFilters) && is.ListenerFilters[last].Name == tlsInspector {
			is.ListenerFilters = is.ListenerFilters[:last]
		}
	}
	for i, chain := range is.FilterChains {
		if i < len(was.FilterChains) && v.isOurs(chain.Name) && was.FilterChains[i].Name == emptyCluster && v.leadsToOurs(chain) {
			is.FilterChains[i] = was.FilterChains[i]
			ours += v.keeps(is.Name, chain, was.FilterChains[i])
		}
	}
	return ours
}

func proxyOf(chain *listenerv3.FilterChain) *tcpv3.TcpProxy {
	for _, filter := range chain.Filters {
		proxy := &tcpv3.TcpProxy{}
		if filter.GetTypedConfig().UnmarshalTo(proxy) == nil {
			return proxy
		}
	}
	return &tcpv3.TcpProxy{}
}

// leadsToOurs: to a cluster of ours that is in the answer.
func (v *verdict) leadsToOurs(chain *listenerv3.FilterChain) bool {
	name := proxyOf(chain).GetCluster()
	v.led = append(v.led, name)
	return v.isOurs(name)
}

// keeps: but for cluster and prefix of its statistics, the proxy is what it was, and so is all else of the chain.
func (v *verdict) keeps(listener string, is, was *listenerv3.FilterChain) int {
	a, b := proxyOf(is), proxyOf(was)
	a.StatPrefix, a.ClusterSpecifier = b.StatPrefix, b.ClusterSpecifier
	rest := proto.Clone(is).(*listenerv3.FilterChain)
	rest.Name = was.Name
	for i, filter := range rest.Filters {
		if strings.HasSuffix(filter.GetTypedConfig().GetTypeUrl(), "tcp_proxy.v3.TcpProxy") && i < len(was.Filters) {
			rest.Filters[i] = was.Filters[i]
		}
	}
	if !proto.Equal(a, b) || !proto.Equal(rest, was) {
		v.fail("listener %q: filter chain %q is more than led elsewhere", listener, is.Name)
	}
	return 1
}

func (v *verdict) undoUDP(was, is *listenerv3.Listener) int {
	ours := 0
	for i, filter := range is.ListenerFilters {
		a, b := &udpv3.UdpProxyConfig{}, &udpv3.UdpProxyConfig{}
		if i >= len(was.ListenerFilters) || proto.Equal(filter, was.ListenerFilters[i]) || filter.GetTypedConfig().UnmarshalTo(a) != nil ||
			was.ListenerFilters[i].GetTypedConfig().UnmarshalTo(b) != nil {
			continue
		}
		to, from := udpClusterOf(a), udpClusterOf(b)
		if !v.isOurs(to) || from != emptyCluster {
			continue
		}
		v.led = append(v.led, to)
		a.StatPrefix, a.RouteSpecifier = b.StatPrefix, b.RouteSpecifier
		if proto.Equal(a, b) {
			is.ListenerFilters[i] = was.ListenerFilters[i]
			ours++
		}
	}
	return ours
}

func udpClusterOf(config *udpv3.UdpProxyConfig) string {
	route := &udpv3.Route{}
	if config.GetMatcher().GetOnNoMatch().GetAction().GetTypedConfig().UnmarshalTo(route) != nil {
		return ""
	}
	return route.Cluster
}
