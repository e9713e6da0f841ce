// SPDX-License-Identifier: Apache-2.0
package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/envoyproxy/gateway/proto/extension"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
)

const corpus = "../corpus/hooks"

var fileName = regexp.MustCompile(`^(\w+?)(-\d+)?\.bin$`)

// Every recorded request that is given back unchanged is right, and can be printed.
func TestCorpusGivenBack(t *testing.T) {
	files, err := filepath.Glob(corpus + "/*/*.bin")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	for _, file := range files {
		m, err := methodByName(fileName.FindStringSubmatch(filepath.Base(file))[1])
		if err != nil {
			t.Fatal(err)
		}
		request := read(t, file)
		answer, err := giveBack(m, request)
		if err != nil {
			t.Fatal(err)
		}
		if v := judge(m, request, answer, oursPrefix); !v.Ok {
			t.Errorf("%s: %v", file, v.Reasons)
		}
		message := m.newReq()
		if err := readMessage(file, message); err != nil {
			t.Fatal(err)
		}
		if _, err := stableTree(message); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func translateMethod(t *testing.T) method {
	t.Helper()
	m, err := methodByName(translate)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// build encodes an answer with each RouteConfiguration's and cluster's bytes as they came, then ours.
func build(t *testing.T, request []byte, change func(a *extension.PostTranslateModifyResponse)) []byte {
	t.Helper()
	m := translateMethod(t)
	given, err := giveBack(m, request)
	if err != nil {
		t.Fatal(err)
	}
	var answer extension.PostTranslateModifyResponse
	if err := proto.Unmarshal(given, &answer); err != nil {
		t.Fatal(err)
	}
	change(&answer)
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(&answer)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mark() *corev3.Metadata {
	return &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{oursMetadata: {}}}
}

func ourCluster(name string) *clusterv3.Cluster {
	address := &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: "100.64.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: 80}}}}
	return &clusterv3.Cluster{
		Name: name, Metadata: mark(), ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		LoadAssignment: &endpointv3.ClusterLoadAssignment{ClusterName: name, Endpoints: []*endpointv3.LocalityLbEndpoints{{
			LbEndpoints: []*endpointv3.LbEndpoint{{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{
				Endpoint: &endpointv3.Endpoint{Address: address}}}}}}},
	}
}

func ourRoute(cluster string) *routev3.Route {
	return &routev3.Route{Name: cluster, Metadata: mark(),
		Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
		Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: cluster}}}}
}

func ourHost(name, domain, cluster string) *routev3.VirtualHost {
	return &routev3.VirtualHost{Name: name, Domains: []string{domain}, Metadata: mark(), Routes: []*routev3.Route{ourRoute(cluster)}}
}

// inject is a right answer: one host with its cluster, one route before those of a host that is not ours.
func inject(a *extension.PostTranslateModifyResponse) {
	a.Clusters = append(a.Clusters, ourCluster("tailscale/a"))
	rc := a.Routes[0]
	rc.VirtualHosts = append(rc.VirtualHosts, ourHost("tailscale/a", "a.tailscale.local", "tailscale/a"))
	if len(rc.VirtualHosts) > 1 {
		theirs := rc.VirtualHosts[0]
		theirs.Routes = append([]*routev3.Route{ourRoute("tailscale/a")}, theirs.Routes...)
	}
}

func TestInjectedIsRight(t *testing.T) {
	for _, name := range []string{"no-route", "one-route", "auth"} {
		for _, scheme := range []string{"v1", "v2"} {
			request := read(t, filepath.Join(corpus, scheme+"-"+name, translate+".bin"))
			v := judge(translateMethod(t), request, inWire(t, request, inject), oursPrefix)
			if !v.Ok || v.Ours["clusters"] != 1 || v.Ours["virtual_hosts"] != 1 || v.Ours["endpoints"] != 1 {
				t.Errorf("%s-%s: %+v", scheme, name, v)
			}
		}
	}
}

// inWire is build, but with the bytes of elements that did not change as they came: encoding anew
// orders maps as it likes.
func inWire(t *testing.T, request []byte, change func(a *extension.PostTranslateModifyResponse)) []byte {
	t.Helper()
	built := build(t, request, change)
	unchanged := build(t, request, func(*extension.PostTranslateModifyResponse) {})
	given, err := giveBack(translateMethod(t), request)
	if err != nil {
		t.Fatal(err)
	}
	return keepBytes(built, unchanged, given, 4)
}

// keepBytes replaces each length-delimited field of built that occurs in `was` by the same-numbered,
// same-placed one of `raw`, and looks inside RouteConfigurations (field 4) for virtual hosts (field 2).
func keepBytes(built, was, raw []byte, inside protowire.Number) []byte {
	original := map[string][]byte{}
	for num := protowire.Number(1); num < 20; num++ {
		w, _ := elements(was, num)
		r, _ := elements(raw, num)
		for i := range w {
			original[string(protowire.AppendVarint(nil, uint64(num)))+string(w[i])] = r[i]
		}
	}
	var out []byte
	for at := 0; at < len(built); {
		num, typ, size := protowire.ConsumeField(built[at:])
		if typ != protowire.BytesType {
			out = append(out, built[at:at+size]...)
			at += size
			continue
		}
		_, _, tag := protowire.ConsumeTag(built[at:])
		value, _ := protowire.ConsumeBytes(built[at+tag:])
		kept, same := original[string(protowire.AppendVarint(nil, uint64(num)))+string(value)]
		if !same {
			kept = value
			if num == inside {
				w, _ := elements(was, num)
				r, _ := elements(raw, num)
				kept = keepBytes(value, w[0], r[0], 0)
			}
		}
		out = protowire.AppendTag(out, num, typ)
		out = protowire.AppendBytes(out, kept)
		at += size
	}
	return out
}

// Each fault is found, and named.
func TestFaults(t *testing.T) {
	type response = extension.PostTranslateModifyResponse
	cases := []struct {
		name, want string
		change     func(a *response)
	}{
		{"their cluster dropped", "1 that are not ours came, 0 went back", func(a *response) { a.Clusters = a.Clusters[1:] }},
		{"their cluster changed", "not given back byte for byte", func(a *response) { a.Clusters[0].ConnectTimeout = durationpb.New(1) }},
		{"their listener renamed", "was \"demo/gw/http\"", func(a *response) { a.Listeners[1].Name = "x" }},
		{"their listener changed", "listener \"demo/gw/http\": what is not ours changed", func(a *response) { a.Listeners[1].StatPrefix = "x" }},
		{"their listeners in another order", "listeners: number 0", func(a *response) {
			a.Listeners[0], a.Listeners[1] = a.Listeners[1], a.Listeners[0]
		}},
		{"their host dropped", "went back", func(a *response) { a.Routes[0].VirtualHosts = a.Routes[0].VirtualHosts[1:] }},
		{"their route changed", "what is not ours changed", func(a *response) {
			a.Routes[0].VirtualHosts[0].Routes[1].Decorator = &routev3.Decorator{Operation: "x"}
		}},
		{"their host's order", "what is not ours changed", func(a *response) {
			h := a.Routes[0].VirtualHosts[0]
			h.Routes[1].Name = "x"
		}},
		{"their configuration changed", "changed outside its virtual hosts", func(a *response) {
			a.Routes[0].InternalOnlyHeaders = []string{"x"}
		}},
		{"a domain twice", "is in", func(a *response) {
			a.Routes[0].VirtualHosts = append(a.Routes[0].VirtualHosts, ourHost("tailscale/b", "WWW.example.com", "tailscale/a"))
		}},
		{"a host twice", "occurs twice", func(a *response) {
			a.Routes[0].VirtualHosts = append(a.Routes[0].VirtualHosts, ourHost("tailscale/a", "b.example.com", "tailscale/a"))
		}},
		{"a cluster twice", "occurs twice", func(a *response) { a.Clusters = append(a.Clusters, ourCluster("tailscale/a")) }},
		{"a route without cluster", "is not in the answer", func(a *response) { a.Clusters = a.Clusters[:1] }},
		{"an unmarked cluster", "metadata", func(a *response) { a.Clusters[1].Metadata = nil }},
		{"an unmarked host", "without metadata", func(a *response) { a.Routes[0].VirtualHosts[1].Metadata = nil }},
		{"a name too long", "VirtualHost", func(a *response) { a.Routes[0].VirtualHosts[1].Domains = nil }},
		{"a bad value inside an Any", "Address", func(a *response) {
			bad, _ := anypb.New(&corev3.Address{})
			a.Clusters[1].LoadAssignment.Endpoints[0].LbEndpoints[0].Metadata = &corev3.Metadata{
				TypedFilterMetadata: map[string]*anypb.Any{proxyMetadata: bad}}
		}},
		{"a name as address", "no IP literal", func(a *response) {
			a.Clusters[1].LoadAssignment.Endpoints[0].LbEndpoints[0].GetEndpoint().Address.GetSocketAddress().Address = "host"
		}},
		{"another's load assignment", "load assignment is for", func(a *response) { a.Clusters[1].LoadAssignment.ClusterName = "x" }},
	}
	request := read(t, corpus+"/v1-one-route/"+translate+".bin")
	for _, c := range cases {
		answer := inWire(t, request, func(a *response) {
			inject(a)
			c.change(a)
		})
		v := judge(translateMethod(t), request, answer, oursPrefix)
		if v.Ok || !strings.Contains(strings.Join(v.Reasons, "\n"), c.want) {
			t.Errorf("%s: wanted %q, found %v", c.name, c.want, v.Reasons)
		}
	}
}

// The tags of an answer are one lower than those of the request; a server that forgets it is found out.
func TestRequestAsAnswer(t *testing.T) {
	request := read(t, corpus+"/v1-one-route/"+translate+".bin")
	if v := judge(translateMethod(t), request, request, oursPrefix); v.Ok {
		t.Error("the request itself was taken as an answer")
	}
	if v := judge(translateMethod(t), request, nil, oursPrefix); v.Ok {
		t.Error("nothing was taken as an answer")
	}
}

// What PostVirtualHostModify added before is ours, too: PostTranslateModify may replace it.
func TestOursInRequest(t *testing.T) {
	request := read(t, corpus+"/v1-catch-all/PostVirtualHostModify.bin")
	m, err := methodByName("PostVirtualHostModify")
	if err != nil {
		t.Fatal(err)
	}
	var in extension.PostVirtualHostModifyRequest
	if err := proto.Unmarshal(request, &in); err != nil {
		t.Fatal(err)
	}
	in.VirtualHost.Routes = append([]*routev3.Route{ourRoute("tailscale/a")}, in.VirtualHost.Routes...)
	answer, err := proto.Marshal(&extension.PostVirtualHostModifyResponse{VirtualHost: in.VirtualHost})
	if err != nil {
		t.Fatal(err)
	}
	v := judge(m, request, answer, oursPrefix)
	if !v.Ok || v.Ours["routes"] != 1 {
		t.Errorf("%+v", v)
	}
	in.VirtualHost.Routes = in.VirtualHost.Routes[:1]
	if answer, err = proto.Marshal(&extension.PostVirtualHostModifyResponse{VirtualHost: in.VirtualHost}); err != nil {
		t.Fatal(err)
	}
	if v := judge(m, request, answer, oursPrefix); v.Ok {
		t.Error("a lost route of theirs was not found")
	}
}
