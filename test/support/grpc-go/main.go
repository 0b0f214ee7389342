// A gRPC service of the four kinds and a client for it, by grpc-go, whose messages are plain text: the like of grpc-echo.ts.
//
//	grpc-go server [PORT]              prints its port, then a line for each call that was given up
//	grpc-go client TARGET              holds each kind of call, and prints what came of it as JSON
//	grpc-go load TARGET KIND SECONDS   100 streams over 10 connections; prints how many messages went over them as JSON
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Messages are their own bytes.
type text struct{}

func (text) Name() string { return "proto" }

func (text) Marshal(value any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer([]byte(*value.(*string)))}, nil
}

func (text) Unmarshal(data mem.BufferSlice, value any) error {
	*value.(*string) = string(data.Materialize())
	return nil
}

func main() {
	encoding.RegisterCodecV2(text{})
	switch os.Args[1] {
	case "server":
		port := "0"
		if len(os.Args) > 2 {
			port = os.Args[2]
		}
		serve(port)
	case "load":
		load(os.Args[2], os.Args[3], os.Args[4])
	default:
		call(os.Args[2])
	}
}

func serve(port string) {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	check(err)
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "echo.Echo",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Unary", Handler: unary}},
		Streams: []grpc.StreamDesc{
			{StreamName: "Download", Handler: download, ServerStreams: true},
			{StreamName: "Upload", Handler: upload, ClientStreams: true},
			{StreamName: "Chat", Handler: chat, ServerStreams: true, ClientStreams: true},
		},
	}, struct{}{})
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	check(server.Serve(listener))
}

func unary(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	var asked string
	if err := decode(&asked); err != nil {
		return nil, err
	}
	if code, found := strings.CutPrefix(asked, "fail "); found {
		number, _ := strconv.Atoi(code)
		return nil, status.Error(codes.Code(number), "as you wish")
	}
	if asked == "hang" {
		<-ctx.Done()
		fmt.Println("cancelled unary")
		return nil, ctx.Err()
	}
	_ = grpc.SetTrailer(ctx, metadata.Pairs("x-trailer", "kept"))
	answer := "hello " + asked
	return &answer, nil
}

func download(_ any, stream grpc.ServerStream) error {
	var asked string
	if err := stream.RecvMsg(&asked); err != nil {
		return err
	}
	count, body, isGiven := strings.Cut(asked, " ")
	number, _ := strconv.Atoi(count)
	for index := range number {
		part := body
		if !isGiven {
			part = fmt.Sprintf("part %d", index)
		}
		if err := stream.SendMsg(&part); err != nil {
			return err
		}
	}
	return nil
}

func upload(_ any, stream grpc.ServerStream) error {
	bytes := 0
	for {
		var part string
		err := stream.RecvMsg(&part)
		if err == io.EOF {
			answer := strconv.Itoa(bytes)
			return stream.SendMsg(&answer)
		}
		if err != nil {
			return err
		}
		bytes += len(part)
	}
}

func chat(_ any, stream grpc.ServerStream) error {
	for {
		var said string
		err := stream.RecvMsg(&said)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			if status.Code(err) == codes.Canceled {
				fmt.Println("cancelled chat")
			}
			return err
		}
		answer := "you said " + said
		if err := stream.SendMsg(&answer); err != nil {
			return err
		}
	}
}

type outcome struct {
	Unary      string   `json:"unary"`
	Trailer    []string `json:"trailer"`
	Downloaded int      `json:"downloaded"`
	Last       string   `json:"last"`
	Uploaded   string   `json:"uploaded"`
	Chat       []string `json:"chat"`
	Failure    int      `json:"failure"`
	Deadline   int      `json:"deadline"`
	Cancelled  int      `json:"cancelled"`
}

func call(target string) {
	connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	check(err)
	ctx := context.Background()
	var result outcome

	var trailer metadata.MD
	asked := "you"
	check(connection.Invoke(ctx, "/echo.Echo/Unary", &asked, &result.Unary, grpc.Trailer(&trailer)))
	result.Trailer = trailer.Get("x-trailer")

	down := open(ctx, connection, "Download", grpc.StreamDesc{ServerStreams: true})
	count := "1000"
	check(down.SendMsg(&count))
	check(down.CloseSend())
	for down.RecvMsg(&result.Last) == nil {
		result.Downloaded++
	}

	up := open(ctx, connection, "Upload", grpc.StreamDesc{ClientStreams: true})
	megabyte := strings.Repeat("x", 1_000_000)
	for range 3 {
		check(up.SendMsg(&megabyte))
	}
	check(up.CloseSend())
	check(up.RecvMsg(&result.Uploaded))

	both := grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	talk := open(ctx, connection, "Chat", both)
	for _, said := range []string{"a", "b"} {
		var answer string
		check(talk.SendMsg(&said))
		check(talk.RecvMsg(&answer))
		result.Chat = append(result.Chat, answer)
	}
	check(talk.CloseSend())

	failing, ignored := "fail 9", ""
	result.Failure = codeOf(connection.Invoke(ctx, "/echo.Echo/Unary", &failing, &ignored))

	deadline := time.Now().Add(200 * time.Millisecond)
	soon, stop := context.WithDeadline(ctx, deadline)
	hanging := "hang"
	result.Deadline = codeOf(connection.Invoke(soon, "/echo.Echo/Unary", &hanging, &ignored))
	// The server resets the stream at its own deadline, and who is late to notice his own hears of that first.
	if result.Deadline == int(codes.Unavailable) && time.Now().After(deadline) {
		result.Deadline = int(codes.DeadlineExceeded)
	}
	stop()

	cancellable, cancel := context.WithCancel(ctx)
	given := open(cancellable, connection, "Chat", both)
	check(given.SendMsg(&asked))
	check(given.RecvMsg(&ignored))
	cancel()
	result.Cancelled = codeOf(given.RecvMsg(&ignored))
	// What was given up still has to leave.
	time.Sleep(100 * time.Millisecond)
	check(json.NewEncoder(os.Stdout).Encode(result))
}

func open(ctx context.Context, connection *grpc.ClientConn, name string, description grpc.StreamDesc) grpc.ClientStream {
	stream, err := connection.NewStream(ctx, &description, "/echo.Echo/"+name)
	check(err)
	return stream
}

func codeOf(err error) int { return int(status.Code(err)) }

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
