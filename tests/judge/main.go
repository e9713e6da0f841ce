// SPDX-License-Identifier: Apache-2.0

// Judge looks at our extension server with the eyes of Envoy Gateway: the same Go types, the same
// validation and the same gRPC library that Envoy Gateway 1.9 itself uses (go.mod pins its versions).
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

const usage = `usage: judge COMMAND [flags]

  record        serve as an extension server that gives every input back and keeps each raw request
  check         is this answer to this request right: all that is not ours unharmed, all that is ours valid
  dump          print a request or an answer as JSON, sorted and stable
  call          call an extension server as Envoy Gateway does; with -n, time it
  gen           make a PostTranslateModify request of a Gateway with many routes
  bind          copy a PostTranslateModify request with another revision in its Binding
  bootstrap     make a file of an answer for envoy --mode validate
  serve-copy    serve one prepared answer, unparsed (for comparison)
  serve-decode  decode the request, append what is ours in an answer, encode (for comparison)
  echo-serve    a gRPC server on a device: gives every message back
  echo-call     a gRPC call to it, through whatever stands between; prints what came back
  memcpy        time the plain copy of a file's bytes (for comparison)

Every command has -h. Exit code: 0 fine, 1 something is wrong, 2 usage.
`

// errWrong says that the command worked and found something wrong, which it has printed already.
var errWrong = errors.New("wrong")

type command func(flags *flag.FlagSet, args []string) error

var commands = map[string]command{
	"record":       record,
	"check":        check,
	"dump":         dump,
	"call":         call,
	"gen":          gen,
	"bind":         bind,
	"bootstrap":    bootstrap,
	"serve-copy":   serveCopy,
	"serve-decode": serveDecode,
	"echo-serve":   echoServe,
	"echo-call":    echoCall,
	"memcpy":       memcpy,
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	name := os.Args[1]
	err := commands[name](flag.NewFlagSet("judge "+name, flag.ExitOnError), os.Args[2:])
	if errors.Is(err, errWrong) {
		os.Exit(1)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "judge %s: %v\n", name, err)
		os.Exit(1)
	}
}

// parse refuses what is left over, and flags that must be given and are not.
func parse(flags *flag.FlagSet, args []string, must ...string) {
	_ = flags.Parse(args)
	bad := ""
	if flags.NArg() > 0 {
		bad = "unexpected argument: " + flags.Arg(0)
	}
	for _, name := range must {
		if f := flags.Lookup(name); f.Value.String() == f.DefValue {
			bad = "missing: -" + name
		}
	}
	if bad != "" {
		fmt.Fprintf(os.Stderr, "%s: %s\n", flags.Name(), bad)
		flags.Usage()
		os.Exit(2)
	}
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// printLine prints one JSON object on one line, for scripts.
func printLine(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
