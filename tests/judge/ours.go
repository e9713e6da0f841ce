// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"net/netip"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

const (
	// oursMetadata is the metadata namespace that everything we inject carries.
	oursMetadata = "gateway.tailscale.com"
	// proxyMetadata is where http_11_proxy looks for an endpoint's proxy (Envoy
	// source/extensions/transport_sockets/http_11_proxy).
	proxyMetadata = "envoy.http11_proxy_transport_socket.proxy_address"
)

// valid applies the validation of Envoy Gateway (ValidateAll of protoc-gen-validate), and, which Envoy
// Gateway does not but Envoy does, the same to everything inside an Any.
func (v *verdict) valid(where string, m proto.Message) {
	if checked, ok := m.(interface{ ValidateAll() error }); ok {
		if err := checked.ValidateAll(); err != nil {
			v.fail("%s: %v", where, err)
		}
	}
	v.validInside(where, m.ProtoReflect())
}

func (v *verdict) validInside(where string, m protoreflect.Message) {
	if packed, ok := m.Interface().(*anypb.Any); ok {
		inner, err := packed.UnmarshalNew()
		if err != nil {
			v.fail("%s: %s: %v", where, packed.TypeUrl, err)
			return
		}
		v.valid(where+": "+string(inner.ProtoReflect().Descriptor().Name()), inner)
		return
	}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap():
			if field.MapValue().Message() != nil {
				value.Map().Range(func(_ protoreflect.MapKey, item protoreflect.Value) bool {
					v.validInside(where, item.Message())
					return true
				})
			}
		case field.Message() == nil:
		case field.IsList():
			for i := range value.List().Len() {
				v.validInside(where, value.List().Get(i).Message())
			}
		default:
			v.validInside(where, value.Message())
		}
		return true
	})
}

func (v *verdict) checkClusters(clusters []*clusterv3.Cluster) {
	v.clusters = map[string]bool{}
	for _, c := range clusters {
		if v.clusters[c.Name] && v.isOurs(c.Name) {
			v.fail("cluster %q occurs twice: the last would win silently", c.Name)
		}
		v.clusters[c.Name] = true
		marked := hasOurMetadata(c.Metadata)
		if v.isOurs(c.Name) != marked {
			v.fail("cluster %q: name says ours %v, metadata %s says %v", c.Name, v.isOurs(c.Name), oursMetadata, marked)
		}
		if v.isOurs(c.Name) {
			v.cluster(c)
		}
	}
}

// cluster checks what Envoy asks of a cluster beyond its field rules.
func (v *verdict) cluster(c *clusterv3.Cluster) {
	where := fmt.Sprintf("cluster %q", c.Name)
	kind, hasKind := c.ClusterDiscoveryType.(*clusterv3.Cluster_Type)
	if !hasKind || c.LoadAssignment == nil {
		return
	}
	if c.LoadAssignment.ClusterName != c.Name {
		v.fail("%s: its load assignment is for %q", where, c.LoadAssignment.ClusterName)
	}
	for _, locality := range c.LoadAssignment.Endpoints {
		for _, e := range locality.LbEndpoints {
			v.Ours["endpoints"]++
			if kind.Type == clusterv3.Cluster_STATIC && !isLiteral(e.GetEndpoint().GetAddress()) {
				v.fail("%s: static, but an endpoint's address is no IP literal and no pipe: %v", where, e.GetEndpoint().GetAddress())
			}
			v.proxy(where, e.GetMetadata())
		}
	}
}

// proxy requires that an endpoint's proxy is one that Envoy can dial without resolving a name.
func (v *verdict) proxy(where string, m *corev3.Metadata) {
	packed, ok := m.GetTypedFilterMetadata()[proxyMetadata]
	if !ok {
		return
	}
	v.Ours["proxied_endpoints"]++
	var address corev3.Address
	if err := packed.UnmarshalTo(&address); err != nil {
		v.fail("%s: %s: %v", where, proxyMetadata, err)
	} else if !isLiteral(&address) {
		v.fail("%s: the proxy's address is no IP literal and no pipe: %v", where, &address)
	}
}

func isLiteral(a *corev3.Address) bool {
	if a.GetPipe().GetPath() != "" {
		return true
	}
	_, err := netip.ParseAddr(a.GetSocketAddress().GetAddress())
	return err == nil
}

func hasOurMetadata(m *corev3.Metadata) bool {
	_, plain := m.GetFilterMetadata()[oursMetadata]
	_, typed := m.GetTypedFilterMetadata()[oursMetadata]
	return plain || typed
}

// hosts checks what Envoy refuses in a RouteConfiguration: a domain that occurs twice (case folded)
// makes it reject the whole of it.
func (v *verdict) hosts(rc *routev3.RouteConfiguration) {
	names, domains := map[string]bool{}, map[string]string{}
	for _, vh := range rc.VirtualHosts {
		if names[vh.Name] {
			v.fail("route configuration %q: virtual host %q occurs twice", rc.Name, vh.Name)
		}
		names[vh.Name] = true
		for _, d := range vh.Domains {
			folded := strings.ToLower(d)
			if other, taken := domains[folded]; taken {
				v.fail("route configuration %q: domain %q is in %q and %q", rc.Name, d, other, vh.Name)
			}
			domains[folded] = vh.Name
		}
		v.host(rc.Name, vh)
	}
}

// host checks what is ours of one virtual host: itself, or routes in it.
func (v *verdict) host(rc string, vh *routev3.VirtualHost) {
	where := fmt.Sprintf("virtual host %q of %q", vh.Name, rc)
	if v.isOurs(vh.Name) {
		v.Ours["virtual_hosts"]++
		v.valid(where, vh)
		if !hasOurMetadata(vh.Metadata) {
			v.fail("%s: without metadata %s", where, oursMetadata)
		}
	}
	seen := map[string]bool{}
	for _, r := range vh.Routes {
		mine := v.isOurs(r.Name)
		if v.isOurs(vh.Name) && !mine {
			v.fail("%s: its route %q is not named as ours", where, r.Name)
		}
		if !mine {
			if hasOurMetadata(r.Metadata) {
				v.fail("%s: route %q carries our metadata without our name", where, r.Name)
			}
			continue
		}
		v.Ours["routes"]++
		if seen[r.Name] {
			v.fail("%s: route %q occurs twice", where, r.Name)
		}
		seen[r.Name] = true
		v.route(where, vh, r)
	}
}

func (v *verdict) route(host string, vh *routev3.VirtualHost, r *routev3.Route) {
	where := fmt.Sprintf("%s: route %q", host, r.Name)
	if !v.isOurs(vh.Name) {
		v.valid(where, r)
		if !hasOurMetadata(r.Metadata) {
			v.fail("%s: without metadata %s", where, oursMetadata)
		}
	}
	action := r.GetRoute()
	var wanted []string
	if action.GetCluster() != "" {
		wanted = append(wanted, action.GetCluster())
	}
	for _, w := range action.GetWeightedClusters().GetClusters() {
		wanted = append(wanted, w.Name)
	}
	for _, m := range action.GetRequestMirrorPolicies() {
		wanted = append(wanted, m.Cluster)
	}
	for _, name := range wanted {
		if v.clusters != nil && !v.clusters[name] {
			v.fail("%s: its cluster %q is not in the answer", where, name)
		}
		if !v.isOurs(name) {
			v.fail("%s: its cluster %q is not ours", where, name)
		}
	}
}
