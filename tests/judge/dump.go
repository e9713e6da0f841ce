// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

func dump(flags *flag.FlagSet, args []string) error {
	name := flags.String("method", translate, "method that the bytes belong to")
	request := flags.String("request", "", "file of a request to print")
	answer := flags.String("answer", "", "file of an answer to print")
	parse(flags, args)
	if (*request == "") == (*answer == "") {
		return fmt.Errorf("give -request or -answer")
	}
	m, err := methodByName(*name)
	if err != nil {
		return err
	}
	path, message := *request, m.newReq()
	if path == "" {
		path, message = *answer, m.newAns()
	}
	if err := readMessage(path, message); err != nil {
		return err
	}
	tree, err := stableTree(message)
	if err != nil {
		return err
	}
	return printJSON(os.Stdout, tree)
}

func readMessage(path string, m proto.Message) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := proto.Unmarshal(b, m); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// stableTree is the message as JSON values. protojson varies its white space on purpose, so the text
// is read again; maps print sorted.
func stableTree(m proto.Message) (any, error) {
	text, err := protojson.Marshal(m)
	if err != nil {
		return nil, err
	}
	var tree any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&tree); err != nil {
		return nil, err
	}
	return openObjects(tree), nil
}

// openObjects shows the Kubernetes objects of a context as JSON instead of base64.
func openObjects(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			v[key] = openObjects(value)
			text, ok := value.(string)
			if key != "unstructuredBytes" || !ok {
				continue
			}
			if b, err := base64.StdEncoding.DecodeString(text); err == nil {
				var object any
				if json.Unmarshal(b, &object) == nil {
					v[key] = object
				}
			}
		}
	case []any:
		for i := range v {
			v[i] = openObjects(v[i])
		}
	}
	return v
}
