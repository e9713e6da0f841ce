// SPDX-License-Identifier: Apache-2.0
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/envoyproxy/gateway/proto/extension"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// gen copies the one cluster and virtual host of a recorded request as often as wanted, so that a
// large request has exactly the shapes that Envoy Gateway sends.
func gen(flags *flag.FlagSet, args []string) error {
	like := flags.String("like", "", "recorded PostTranslateModify request with one route `web` of www.example.com")
	out := flags.String("out", "", "file to write")
	routes := flags.Int("routes", 1000, "HTTPRoutes, each with a cluster")
	hosts := flags.Int("hosts", 0, "virtual hosts that they are spread over; 0: one each")
	revision := flags.String("revision", "", "spec.revision of the Binding; none: as recorded, -: without Binding")
	attempt := flags.Int("attempt", 1, "spec.attempt of the Binding")
	parse(flags, args, "like", "out")
	var request extension.PostTranslateModifyRequest
	if err := readMessage(*like, &request); err != nil {
		return err
	}
	if len(request.Clusters) != 1 || len(request.Routes) != 1 || len(request.Routes[0].VirtualHosts) != 1 {
		return fmt.Errorf("%s does not hold one cluster and one virtual host", *like)
	}
	multiply(&request, *routes, *hosts)
	if err := setRevision(request.PostTranslateContext, *revision, *attempt); err != nil {
		return err
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(&request)
	if err != nil {
		return err
	}
	return os.WriteFile(*out, b, 0o644)
}

func multiply(request *extension.PostTranslateModifyRequest, routes, hosts int) {
	cluster, rc := request.Clusters[0], request.Routes[0]
	host := rc.VirtualHosts[0]
	request.Clusters, rc.VirtualHosts = nil, nil
	for i := range routes {
		c := proto.Clone(cluster).(*clusterv3.Cluster)
		number(c.ProtoReflect(), i)
		request.Clusters = append(request.Clusters, c)
		h := proto.Clone(host).(*routev3.VirtualHost)
		number(h.ProtoReflect(), i)
		if hosts > 0 && i >= hosts {
			h.Routes[0].Match.PathSpecifier = &routev3.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: fmt.Sprintf("/web-%04d", i)}
			first := rc.VirtualHosts[i%hosts]
			first.Routes = append(h.Routes, first.Routes...)
			continue
		}
		rc.VirtualHosts = append(rc.VirtualHosts, h)
	}
}

// number makes "web" and "www" in all strings of a message "web-0007" and "www-0007".
func number(m protoreflect.Message, i int) {
	rename := strings.NewReplacer("web", fmt.Sprintf("web-%04d", i), "www", fmt.Sprintf("www-%04d", i))
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap():
			if field.MapValue().Message() != nil {
				value.Map().Range(func(_ protoreflect.MapKey, item protoreflect.Value) bool {
					number(item.Message(), i)
					return true
				})
			}
		case field.IsList():
			list := value.List()
			for k := range list.Len() {
				if field.Message() != nil {
					number(list.Get(k).Message(), i)
				} else if field.Kind() == protoreflect.StringKind {
					list.Set(k, protoreflect.ValueOfString(rename.Replace(list.Get(k).String())))
				}
			}
		case field.Message() != nil:
			number(value.Message(), i)
		// "websocket" is no name.
		case field.Kind() == protoreflect.StringKind && field.Name() != "upgrade_type":
			m.Set(field, protoreflect.ValueOfString(rename.Replace(value.String())))
		}
		return true
	})
}

// bind copies a request with another revision in its Binding; all else stays byte for byte.
func bind(flags *flag.FlagSet, args []string) error {
	file := flags.String("request", "", "recorded PostTranslateModify request")
	out := flags.String("out", "", "file to write")
	revision := flags.String("revision", "", "spec.revision of the Binding; none: as it is, -: without Binding")
	attempt := flags.Int("attempt", 1, "spec.attempt of the Binding")
	parse(flags, args, "request", "out")
	b, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	if b, err = rebind(b, *revision, *attempt); err != nil {
		return err
	}
	return os.WriteFile(*out, b, 0o644)
}

func rebind(request []byte, revision string, attempt int) ([]byte, error) {
	var out []byte
	for at := 0; at < len(request); {
		num, _, size := protowire.ConsumeField(request[at:])
		if size < 0 {
			return nil, fmt.Errorf("bad field at byte %d", at)
		}
		field := request[at : at+size]
		at += size
		if num != 1 {
			out = append(out, field...)
			continue
		}
		_, _, tag := protowire.ConsumeTag(field)
		value, _ := protowire.ConsumeBytes(field[tag:])
		var context extension.PostTranslateExtensionContext
		if err := proto.Unmarshal(value, &context); err != nil {
			return nil, err
		}
		if err := setRevision(&context, revision, attempt); err != nil {
			return nil, err
		}
		b, err := proto.Marshal(&context)
		if err != nil {
			return nil, err
		}
		out = protowire.AppendTag(out, 1, protowire.BytesType)
		out = protowire.AppendBytes(out, b)
	}
	return out, nil
}

func setRevision(context *extension.PostTranslateExtensionContext, revision string, attempt int) error {
	if revision == "-" {
		context.ExtensionResources = nil
		return nil
	}
	for _, resource := range context.ExtensionResources {
		var object map[string]any
		if err := json.Unmarshal(resource.UnstructuredBytes, &object); err != nil {
			return err
		}
		spec, ok := object["spec"].(map[string]any)
		if !ok {
			return fmt.Errorf("the Binding has no spec")
		}
		spec["attempt"] = attempt
		if revision != "" {
			spec["revision"] = revision
		}
		b, err := json.Marshal(object)
		if err != nil {
			return err
		}
		resource.UnstructuredBytes = b
	}
	return nil
}
