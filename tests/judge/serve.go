// SPDX-License-Identifier: Apache-2.0
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/envoyproxy/gateway/proto/extension"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
)

// serveCopy is the least that any server can do: an answer that lies ready.
func serveCopy(flags *flag.FlagSet, args []string) error {
	socket := flags.String("unix", "", "path of the unix socket to serve on")
	file := flags.String("answer", "", "file with the answer's bytes")
	parse(flags, args, "unix", "answer")
	answer, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	return serveRaw(*socket, func(string, []byte) ([]byte, error) { return answer, nil })
}

// serveDecode is what an extension server in Go does: decode the request, append clusters and hosts
// (decoded before, not part of the time), encode the answer.
func serveDecode(flags *flag.FlagSet, args []string) error {
	socket := flags.String("unix", "", "path of the unix socket to serve on")
	file := flags.String("answer", "", "file with an answer; what is ours in it is appended to every answer")
	prefix := flags.String("ours-prefix", oursPrefix, "how names of ours begin")
	parse(flags, args, "unix", "answer")
	var prepared extension.PostTranslateModifyResponse
	if err := readMessage(*file, &prepared); err != nil {
		return err
	}
	ours := oursOf(&prepared, *prefix)
	return serveRaw(*socket, func(fullMethod string, request []byte) ([]byte, error) {
		if fullMethod != service+translate {
			return nil, fmt.Errorf("%s is not served here", fullMethod)
		}
		var in extension.PostTranslateModifyRequest
		if err := proto.Unmarshal(request, &in); err != nil {
			return nil, err
		}
		return proto.Marshal(ours.appendTo(&in))
	})
}

// injected is what is ours in an answer: clusters, and virtual hosts by RouteConfiguration.
type injected struct {
	answer *extension.PostTranslateModifyResponse
	hosts  map[string][]*routev3.VirtualHost
}

func oursOf(answer *extension.PostTranslateModifyResponse, prefix string) injected {
	found := injected{&extension.PostTranslateModifyResponse{}, map[string][]*routev3.VirtualHost{}}
	for _, c := range answer.Clusters {
		if strings.HasPrefix(c.Name, prefix) {
			found.answer.Clusters = append(found.answer.Clusters, c)
		}
	}
	for _, rc := range answer.Routes {
		for _, vh := range rc.VirtualHosts {
			if strings.HasPrefix(vh.Name, prefix) {
				found.hosts[rc.Name] = append(found.hosts[rc.Name], vh)
			}
		}
	}
	return found
}

func (i injected) appendTo(in *extension.PostTranslateModifyRequest) proto.Message {
	for _, rc := range in.Routes {
		rc.VirtualHosts = append(rc.VirtualHosts, i.hosts[rc.Name]...)
	}
	return &extension.PostTranslateModifyResponse{
		Clusters: append(in.Clusters, i.answer.Clusters...), Secrets: in.Secrets,
		Listeners: in.Listeners, Routes: in.Routes,
	}
}

// memcpy times the copy of a file's bytes into memory that was touched before.
func memcpy(flags *flag.FlagSet, args []string) error {
	file := flags.String("file", "", "file whose bytes are copied")
	n := flags.Int("n", 1000, "copies to make")
	parse(flags, args, "file")
	from, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	to := make([]byte, len(from))
	took := make([]time.Duration, *n)
	for i := range took {
		start := time.Now()
		copy(to, from)
		took[i] = time.Since(start)
	}
	runtime.KeepAlive(to)
	return printLine(os.Stdout, summarise(took, len(from), 0))
}
