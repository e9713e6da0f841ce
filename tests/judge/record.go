// SPDX-License-Identifier: Apache-2.0
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
)

// record serves as an extension server that changes nothing and writes each request as
// DIR/<n>-<Method>.bin, exactly as it came off the wire.
func record(flags *flag.FlagSet, args []string) error {
	socket := flags.String("unix", "", "path of the unix socket to serve on")
	dir := flags.String("out", "", "directory for the requests")
	parse(flags, args, "unix", "out")
	if err := os.MkdirAll(*dir, 0o755); err != nil {
		return err
	}
	var mu sync.Mutex
	n := 0
	return serveRaw(*socket, func(fullMethod string, request []byte) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		n++
		name := strings.TrimPrefix(fullMethod, service)
		m, err := methodByName(name)
		if err != nil {
			return nil, err
		}
		// A file is there whole or not at all: the harness counts them.
		path := filepath.Join(*dir, fmt.Sprintf("%04d-%s.bin", n, m.name))
		if err := os.WriteFile(path+".part", request, 0o644); err != nil {
			return nil, err
		}
		if err := os.Rename(path+".part", path); err != nil {
			return nil, err
		}
		return giveBack(m, request)
	})
}

// giveBack makes the answer that changes nothing, from the bytes of the request.
func giveBack(m method, request []byte) ([]byte, error) {
	// Of all methods but one the object is field 1 both ways. PostTranslateModify has its context
	// there, and the lists one number higher than in the answer (proto/extension/service.proto).
	first, last, shift := protowire.Number(1), protowire.Number(1), protowire.Number(0)
	if m.name == translate {
		first, last, shift = 2, 5, 1
	}
	var answer []byte
	for num := first; num <= last; num++ {
		found, err := elements(request, num)
		if err != nil {
			return nil, err
		}
		for _, e := range found {
			answer = protowire.AppendTag(answer, num-shift, protowire.BytesType)
			answer = protowire.AppendBytes(answer, e)
		}
	}
	return answer, nil
}
