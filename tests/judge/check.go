// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// oursPrefix begins the name of every cluster, virtual host and route that we inject.
const oursPrefix = "tailscale/"

// maxReasons bounds what is printed; the count is exact.
const maxReasons = 20

// virtualHostsField is RouteConfiguration.virtual_hosts (envoy/config/route/v3/route.proto).
const virtualHostsField = protowire.Number(2)

// verdict is what check prints. Ok is last: it is what a reader of a log looks for.
type verdict struct {
	Method       string         `json:"method"`
	RequestBytes int            `json:"request_bytes"`
	AnswerBytes  int            `json:"answer_bytes"`
	Theirs       map[string]int `json:"theirs"`
	Ours         map[string]int `json:"ours"`
	Wrong        int            `json:"wrong"`
	Reasons      []string       `json:"reasons"`
	Ok           bool           `json:"ok"`

	prefix   string
	clusters map[string]bool // names in the answer; nil where the method carries none
	led      []string        // clusters that listeners lead to by our doing
}

func (v *verdict) fail(format string, args ...any) {
	v.Wrong++
	if len(v.Reasons) < maxReasons {
		v.Reasons = append(v.Reasons, fmt.Sprintf(format, args...))
	}
}

func (v *verdict) isOurs(name string) bool { return strings.HasPrefix(name, v.prefix) }

func check(flags *flag.FlagSet, args []string) error {
	requestFile := flags.String("request", "", "file with the request")
	answerFile := flags.String("answer", "", "file with the answer to it")
	name := flags.String("method", translate, "method that was called")
	prefix := flags.String("ours-prefix", oursPrefix, "how names of ours begin")
	parse(flags, args, "request", "answer")
	m, err := methodByName(*name)
	if err != nil {
		return err
	}
	request, err := os.ReadFile(*requestFile)
	if err != nil {
		return err
	}
	answer, err := os.ReadFile(*answerFile)
	if err != nil {
		return err
	}
	v := judge(m, request, answer, *prefix)
	if err := printJSON(os.Stdout, v); err != nil {
		return err
	}
	if !v.Ok {
		return errWrong
	}
	return nil
}

func judge(m method, request, answer []byte, prefix string) *verdict {
	v := &verdict{Method: m.name, RequestBytes: len(request), AnswerBytes: len(answer),
		Theirs: map[string]int{}, Ours: map[string]int{}, Reasons: []string{}, prefix: prefix}
	if err := proto.Unmarshal(request, m.newReq()); err != nil {
		v.fail("request: %v", err)
	}
	if err := proto.Unmarshal(answer, m.newAns()); err != nil {
		v.fail("answer: %v", err)
	}
	if v.Wrong == 0 {
		v.fields(m, answer)
		switch m.name {
		case translate:
			v.translate(request, answer)
		case "PostVirtualHostModify":
			v.virtualHost(request, answer)
		default:
			v.single(request, answer)
		}
	}
	v.Ok = v.Wrong == 0
	return v
}

// fields refuses what Envoy Gateway would drop without a word.
func (v *verdict) fields(m method, answer []byte) {
	last := protowire.Number(1)
	if m.name == translate {
		last = 4
	}
	found, err := numbers(answer)
	if err != nil {
		v.fail("answer: %v", err)
	}
	for num := range found {
		if num < 1 || num > last {
			v.fail("answer: has field %d, which no answer of %s has", num, m.name)
		}
	}
}

// pair returns the one object of request and answer. An answer without it means "unchanged" to
// Envoy Gateway, but loses the work of the manager before us where there are several.
func (v *verdict) pair(request, answer []byte) (before, after []byte, ok bool) {
	in, _ := elements(request, 1)
	out, _ := elements(answer, 1)
	if len(in) != len(out) || len(in) > 1 {
		v.fail("the object occurs %d times in the request and %d times in the answer", len(in), len(out))
		return nil, nil, false
	}
	if len(in) == 0 {
		return nil, nil, false
	}
	return in[0], out[0], true
}

func (v *verdict) single(request, answer []byte) {
	before, after, ok := v.pair(request, answer)
	if ok && !bytes.Equal(before, after) {
		v.fail("the object is not given back byte for byte (%d bytes became %d)", len(before), len(after))
	}
	v.Theirs["objects"] = 1
}

func (v *verdict) virtualHost(request, answer []byte) {
	before, after, ok := v.pair(request, answer)
	if !ok {
		return
	}
	v.Theirs["virtual_hosts"] = 1
	var was, is routev3.VirtualHost
	if !v.decode(before, &was) || !v.decode(after, &is) {
		return
	}
	v.sameHost("virtual host", before, after, &was, &is)
	v.host("", &is)
}

func (v *verdict) decode(b []byte, m proto.Message) bool {
	if err := proto.Unmarshal(b, m); err != nil {
		v.fail("%s: %v", m.ProtoReflect().Descriptor().Name(), err)
		return false
	}
	return true
}

// translate compares the four lists. Field numbers: proto/extension/service.proto; those of the
// answer are one lower.
func (v *verdict) translate(request, answer []byte) {
	var clusters []*clusterv3.Cluster
	v.list("clusters", request, answer, 2, func(b []byte) named {
		c := &clusterv3.Cluster{}
		v.decode(b, c)
		return c
	}, func(after named) {
		clusters = append(clusters, after.(*clusterv3.Cluster))
	}, nil)
	v.list("secrets", request, answer, 3, func(b []byte) named {
		s := &tlsv3.Secret{}
		v.decode(b, s)
		return s
	}, nil, nil)
	v.list("listeners", request, answer, 4, func(b []byte) named {
		l := &listenerv3.Listener{}
		v.decode(b, l)
		return l
	}, nil, v.sameListener)
	v.checkClusters(clusters)
	for _, name := range v.led {
		if !v.clusters[name] {
			v.fail("a listener leads to cluster %q, which is not in the answer", name)
		}
	}
	v.list("route_configurations", request, answer, 5, func(b []byte) named {
		rc := &routev3.RouteConfiguration{}
		v.decode(b, rc)
		return rc
	}, func(after named) {
		v.hosts(after.(*routev3.RouteConfiguration))
	}, v.sameRoutes)
}

type named interface {
	proto.Message
	GetName() string
}

// list requires that what is not ours comes back in order and byte for byte, or, where differ is
// given and the bytes are not the same, that differ finds nothing wrong. every sees each element of
// the answer.
func (v *verdict) list(what string, request, answer []byte, num protowire.Number, decode func([]byte) named,
	every func(after named), differ func(before, after []byte, was, is named)) {
	in, err := elements(request, num)
	if err != nil {
		v.fail("request: %v", err)
	}
	out, err := elements(answer, num-1)
	if err != nil {
		v.fail("answer: %v", err)
	}
	var was, is [][]byte
	var wasMsg, isMsg []named
	for _, b := range in {
		if m := decode(b); !v.isOurs(m.GetName()) {
			was, wasMsg = append(was, b), append(wasMsg, m)
		}
	}
	for _, b := range out {
		m := decode(b)
		if every != nil {
			every(m)
		}
		if v.isOurs(m.GetName()) {
			v.Ours[what]++
			v.valid(what+" "+m.GetName(), m)
			continue
		}
		is, isMsg = append(is, b), append(isMsg, m)
	}
	v.Theirs[what] = len(was)
	if len(was) != len(is) {
		v.fail("%s: %d that are not ours came, %d went back", what, len(was), len(is))
		return
	}
	for i := range was {
		switch {
		case wasMsg[i].GetName() != isMsg[i].GetName():
			v.fail("%s: number %d was %q and is %q", what, i, wasMsg[i].GetName(), isMsg[i].GetName())
		case bytes.Equal(was[i], is[i]):
		case differ != nil:
			differ(was[i], is[i], wasMsg[i], isMsg[i])
		default:
			v.fail("%s: %q is not given back byte for byte", what, isMsg[i].GetName())
		}
	}
}

// sameRoutes: but for virtual hosts and routes of ours, a RouteConfiguration is what it was, and each
// virtual host without any is so byte for byte.
func (v *verdict) sameRoutes(before, after []byte, wasMsg, isMsg named) {
	was, is := wasMsg.(*routev3.RouteConfiguration), isMsg.(*routev3.RouteConfiguration)
	wasRaw, err := elements(before, virtualHostsField)
	if err != nil {
		v.fail("request: %v", err)
	}
	isRaw, err := elements(after, virtualHostsField)
	if err != nil {
		v.fail("answer: %v", err)
	}
	wasAt, isAt := v.theirHosts(was), v.theirHosts(is)
	if len(wasAt) != len(isAt) {
		v.fail("route configuration %q: %d virtual hosts that are not ours came, %d went back", is.Name, len(wasAt), len(isAt))
		return
	}
	ours := len(is.VirtualHosts) - len(isAt) + len(was.VirtualHosts) - len(wasAt)
	for k := range wasAt {
		i, j := wasAt[k], isAt[k]
		where := fmt.Sprintf("route configuration %q: virtual host %q", is.Name, is.VirtualHosts[j].Name)
		ours += v.sameHost(where, wasRaw[i], isRaw[j], was.VirtualHosts[i], is.VirtualHosts[j])
	}
	if ours == 0 {
		v.fail("route configuration %q: nothing of ours is in it, but it is not given back byte for byte", is.Name)
	}
	wasRest, isRest := proto.Clone(was).(*routev3.RouteConfiguration), proto.Clone(is).(*routev3.RouteConfiguration)
	wasRest.VirtualHosts, isRest.VirtualHosts = nil, nil
	if !proto.Equal(wasRest, isRest) {
		v.fail("route configuration %q: changed outside its virtual hosts", is.Name)
	}
}

// theirHosts returns the positions of the virtual hosts that are not ours.
func (v *verdict) theirHosts(rc *routev3.RouteConfiguration) []int {
	var at []int
	for i, vh := range rc.VirtualHosts {
		if !v.isOurs(vh.Name) {
			at = append(at, i)
		}
	}
	return at
}

// sameHost: but for routes of ours, a virtual host is what it was. Returns the number of ours on both
// sides.
func (v *verdict) sameHost(where string, before, after []byte, was, is *routev3.VirtualHost) int {
	wasRest, wasOurs := v.withoutOurs(was)
	isRest, isOurs := v.withoutOurs(is)
	if wasOurs+isOurs == 0 && !bytes.Equal(before, after) {
		v.fail("%s: nothing of ours is in it, but it is not given back byte for byte", where)
	}
	if !proto.Equal(wasRest, isRest) {
		v.fail("%s: what is not ours changed", where)
	}
	return wasOurs + isOurs
}

func (v *verdict) withoutOurs(vh *routev3.VirtualHost) (*routev3.VirtualHost, int) {
	rest := proto.Clone(vh).(*routev3.VirtualHost)
	rest.Routes = nil
	for _, r := range vh.Routes {
		if !v.isOurs(r.Name) {
			rest.Routes = append(rest.Routes, r)
		}
	}
	return rest, len(vh.Routes) - len(rest.Routes)
}
