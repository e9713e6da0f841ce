// SPDX-License-Identifier: Apache-2.0
package main

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"sort"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// figures is what a timed run says; times are milliseconds.
type figures struct {
	N        int     `json:"n"`
	Bytes    int     `json:"bytes"`
	P50      float64 `json:"p50"`
	P99      float64 `json:"p99"`
	Max      float64 `json:"max"`
	Min      float64 `json:"min"`
	MaxBytes int     `json:"request_bytes,omitempty"`
}

func summarise(took []time.Duration, answer, request int) figures {
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	ms := func(d time.Duration) float64 { return math.Round(d.Seconds()*1e9) / 1e6 }
	at := func(q float64) float64 { return ms(took[int(math.Ceil(q*float64(len(took))))-1]) }
	return figures{len(took), answer, at(0.5), at(0.99), ms(took[len(took)-1]), ms(took[0]), request}
}

// dial connects as Envoy Gateway does: plain gRPC, wait for ready, one connection.
func dial(target string) (*grpc.ClientConn, error) {
	if strings.HasPrefix(target, "/") {
		target = "unix://" + target
	}
	return grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(rawCodec{}), grpc.WaitForReady(true),
			grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)))
}

func call(flags *flag.FlagSet, args []string) error {
	target := flags.String("target", "", "unix:///path or host:port")
	name := flags.String("method", translate, "method, or a full path as /grpc.health.v1.Health/Check")
	requestFile := flags.String("request", "", "file with the request's bytes; none: an empty request")
	answerFile := flags.String("answer", "", "file to write the answer's bytes to")
	n := flags.Int("n", 1, "calls to make; more than one are timed")
	concurrency := flags.Int("concurrency", 1, "calls at once, each on a connection of its own")
	warmup := flags.Int("warmup", 5, "calls before the timed ones")
	collect := flags.String("collect", "any", "when Go's collector runs in this process: between calls, outside of their time; or any time")
	timeout := flags.Duration("timeout", 30*time.Second, "deadline of one call (not sent to the server)")
	parse(flags, args, "target")
	path := *name
	if !strings.HasPrefix(path, "/") {
		m, err := methodByName(path)
		if err != nil {
			return err
		}
		path = service + m.name
	}
	var request []byte
	if *requestFile != "" {
		var err error
		if request, err = os.ReadFile(*requestFile); err != nil {
			return err
		}
	}
	if *collect != "any" && (*collect != "between" || *concurrency != 1) {
		return fmt.Errorf("-collect is any, or between where -concurrency is 1")
	}
	run := caller{*target, path, request, *timeout, *collect == "between"}
	if *n == 1 {
		*warmup = 0
	}
	took, answer, err := run.times(*n, *warmup, *concurrency)
	if err != nil {
		return err
	}
	if *answerFile != "" {
		if err := os.WriteFile(*answerFile, answer, 0o644); err != nil {
			return err
		}
	}
	return printLine(os.Stdout, summarise(took, len(answer), len(request)))
}

type caller struct {
	target, path string
	request      []byte
	timeout      time.Duration
	// An answer is megabytes to the collector, which shares the CPUs with who is asked.
	collectBetween bool
}

// times makes n calls, spread over connections, and returns how long each took and the last answer.
func (c caller) times(n, warmup, concurrency int) ([]time.Duration, []byte, error) {
	took := make([]time.Duration, n)
	answers := make([][]byte, concurrency)
	errs := make([]error, concurrency)
	if c.collectBetween {
		defer debug.SetGCPercent(debug.SetGCPercent(-1))
	}
	var wg sync.WaitGroup
	for w := range concurrency {
		wg.Add(1)
		go func() {
			defer wg.Done()
			conn, err := dial(c.target)
			if err != nil {
				errs[w] = err
				return
			}
			defer conn.Close()
			for i := w - warmup*concurrency; i < n && errs[w] == nil; i += concurrency {
				if c.collectBetween {
					runtime.GC()
				}
				start := time.Now()
				answers[w], errs[w] = c.once(conn)
				if i >= 0 {
					took[i] = time.Since(start)
				}
			}
		}()
	}
	wg.Wait()
	for w := range concurrency {
		if errs[w] != nil {
			return nil, nil, errs[w]
		}
	}
	return took, answers[0], nil
}

func (c caller) once(conn *grpc.ClientConn) ([]byte, error) {
	// Envoy Gateway sends no deadline: the timer here cancels instead of announcing grpc-timeout.
	ctx, cancel := context.WithCancel(context.Background())
	timer := time.AfterFunc(c.timeout, cancel)
	defer cancel()
	defer timer.Stop()
	var answer []byte
	if err := conn.Invoke(ctx, c.path, &c.request, &answer); err != nil {
		return nil, fmt.Errorf("%s: %s", status.Code(err), status.Convert(err).Message())
	}
	return answer, nil
}
