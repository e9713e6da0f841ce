// SPDX-License-Identifier: Apache-2.0
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// echoed is what echo-call prints of one call.
type echoed struct {
	Messages []string            `json:"messages"`
	Trailer  map[string][]string `json:"trailer"`
	Code     string              `json:"code"`
	Message  string              `json:"message"`
	Seconds  float64             `json:"seconds"`
}

// echoServe is a gRPC server on a device: whatever the method, each message comes back with the device's name in front,
// and trailers tell the name and how many there were. A method /…/Deadline sends how many milliseconds its caller gave it
// and then waits for the end of them; /…/Refuse answers FAILED_PRECONDITION.
func echoServe(flags *flag.FlagSet, args []string) error {
	listen := flags.String("listen", "127.0.0.1:50051", "address")
	name := flags.String("name", "device", "of the device")
	cert := flags.String("cert", "", "file of the certificate; none: without TLS")
	key := flags.String("key", "", "file of its key")
	parse(flags, args)
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	handler := func(_ any, stream grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(stream)
		n := 0
		defer func() { stream.SetTrailer(metadata.Pairs("x-device", *name, "x-messages", fmt.Sprint(n))) }()
		if strings.HasSuffix(method, "/Refuse") {
			return status.Error(codes.FailedPrecondition, "as asked")
		}
		if strings.HasSuffix(method, "/Deadline") {
			left := []byte("none")
			if deadline, ok := stream.Context().Deadline(); ok {
				left = []byte(fmt.Sprint(time.Until(deadline).Milliseconds()))
			}
			if err := stream.SendMsg(&left); err != nil {
				return err
			}
			<-stream.Context().Done()
			return stream.Context().Err()
		}
		for {
			var message []byte
			if err := stream.RecvMsg(&message); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			n++
			reply := append([]byte(*name+":"), message...)
			if err := stream.SendMsg(&reply); err != nil {
				return err
			}
		}
	}
	options := []grpc.ServerOption{grpc.ForceServerCodecV2(rawCodec{}), grpc.UnknownServiceHandler(handler)}
	if *cert != "" {
		transport, err := credentials.NewServerTLSFromFile(*cert, *key)
		if err != nil {
			return err
		}
		options = append(options, grpc.Creds(transport))
	}
	fmt.Println("listening on", listener.Addr())
	return grpc.NewServer(options...).Serve(listener)
}

// echoCall makes one call as a stream of both directions: sends a message, waits for its echo, and so on.
func echoCall(flags *flag.FlagSet, args []string) error {
	target := flags.String("target", "", "host:port")
	authority := flags.String("authority", "", "the host that is asked for")
	method := flags.String("method", "/test.Echo/Echo", "full path")
	messages := flags.String("messages", "one", "with commas between")
	every := flags.Duration("every", 0, "time between two messages")
	timeout := flags.Duration("timeout", 20*time.Second, "deadline of the call, which is sent")
	useTLS := flags.Bool("tls", false, "with TLS, whatever the certificate")
	parse(flags, args, "target")
	transport := insecure.NewCredentials()
	if *useTLS {
		transport = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, ServerName: *authority}) //nolint:gosec // a test's own
	}
	conn, err := grpc.NewClient("passthrough:///"+*target, grpc.WithTransportCredentials(transport), grpc.WithAuthority(*authority),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(rawCodec{})))
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	start := time.Now()
	said := echoed{Messages: []string{}}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, *method)
	if err == nil {
		err = said.talk(stream, strings.Split(*messages, ","), *every)
		said.Trailer = stream.Trailer()
	}
	s := status.Convert(err)
	said.Code, said.Message, said.Seconds = s.Code().String(), s.Message(), time.Since(start).Seconds()
	return printJSON(os.Stdout, said)
}

func (e *echoed) talk(stream grpc.ClientStream, messages []string, every time.Duration) error {
	receive := func() error {
		var reply []byte
		err := stream.RecvMsg(&reply)
		if err == nil {
			e.Messages = append(e.Messages, string(reply))
		}
		return err
	}
	for _, text := range messages {
		body := []byte(text)
		// An error of a send is told by the next receive.
		if err := stream.SendMsg(&body); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err := receive(); err != nil {
			return err
		}
		time.Sleep(every)
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	if err := receive(); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
