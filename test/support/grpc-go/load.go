package main

import (
	"context"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

const (
	connections      = 10
	streamsEach      = 10
	messagesEachCall = 1000
	messageBytes     = 59 // with the five of its frame 64
)

// What passes in the given time: "download" streams answers one after the other, "chat" sends a message when the one before
// was answered, and counts both.
func load(target string, kind string, seconds string) {
	length, err := strconv.ParseFloat(seconds, 64)
	check(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(length*float64(time.Second)))
	defer cancel()
	run := downloads
	if kind == "chat" {
		run = chats
	}
	var messages, errors atomic.Int64
	var last atomic.Value
	var streams sync.WaitGroup
	for range connections {
		connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
		check(err)
		for range streamsEach {
			streams.Add(1)
			go func() {
				defer streams.Done()
				for ctx.Err() == nil {
					err := run(ctx, connection, &messages)
					// The time is over, here or, told by the deadline that the call carries, there.
					isOver := ctx.Err() != nil || status.Code(err) == codes.DeadlineExceeded
					if err != nil && !isOver {
						errors.Add(1)
						last.Store(err.Error())
						// What cannot be reached must not be asked without pause.
						time.Sleep(10 * time.Millisecond)
					}
				}
			}()
		}
	}
	streams.Wait()
	check(json.NewEncoder(os.Stdout).Encode(map[string]any{"messages": messages.Load(), "errors": errors.Load(), "lastError": last.Load()}))
}

func downloads(ctx context.Context, connection *grpc.ClientConn, messages *atomic.Int64) error {
	stream, err := connection.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/echo.Echo/Download")
	if err != nil {
		return err
	}
	asked := strconv.Itoa(messagesEachCall) + " " + strings.Repeat("x", messageBytes)
	if err := stream.SendMsg(&asked); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	var part string
	for range messagesEachCall {
		if err := stream.RecvMsg(&part); err != nil {
			return err
		}
		messages.Add(1)
	}
	return nil
}

func chats(ctx context.Context, connection *grpc.ClientConn, messages *atomic.Int64) error {
	both := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	stream, err := connection.NewStream(ctx, both, "/echo.Echo/Chat")
	if err != nil {
		return err
	}
	said, answer := strings.Repeat("x", messageBytes), ""
	for {
		if err := stream.SendMsg(&said); err != nil {
			return err
		}
		if err := stream.RecvMsg(&answer); err != nil {
			return err
		}
		messages.Add(2)
	}
}
