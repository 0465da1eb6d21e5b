package main

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// message stands for both EchoRequest and EchoResponse, which have one string in field 1 too.
type message = wrapperspb.StringValue

// hanging counts the calls that got the message "hang".
var hanging atomic.Int64

const echo = "/grpc.examples.echo.Echo/"

// echoService is the description that generated code of echo.proto would have.
var echoService = grpc.ServiceDesc{
	ServiceName: "grpc.examples.echo.Echo",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "UnaryEcho", Handler: unaryEcho}},
	Streams: []grpc.StreamDesc{
		{StreamName: "ServerStreamingEcho", ServerStreams: true, Handler: serverStreamingEcho},
		{StreamName: "ClientStreamingEcho", ClientStreams: true, Handler: clientStreamingEcho},
		{
			StreamName:    "BidirectionalStreamingEcho",
			ServerStreams: true,
			ClientStreams: true,
			Handler:       bidirectionalStreamingEcho,
		},
	},
}

// hangOrFail hangs or fails if a message says so, and returns nil for any other message.
func hangOrFail(ctx context.Context, text string) error {
	if text == "hang" {
		return hang(ctx)
	}
	return plannedFailure(ctx, text)
}

// hang waits until the call ends.
func hang(ctx context.Context) error {
	hanging.Add(1)
	<-ctx.Done()
	return ctx.Err()
}

// plannedFailure returns the error that a message asks for. "status 9" and "replies 9" fail with code 9.
// "trailers 9" also sets metadata in the trailers, and "headers 9" first sends metadata in headers.
func plannedFailure(ctx context.Context, text string) error {
	how, number, _ := strings.Cut(text, " ")
	code, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return nil
	}
	reason := metadata.Pairs("reason", number)
	switch how {
	case "headers":
		if err := grpc.SendHeader(ctx, reason); err != nil {
			return err
		}
	case "trailers":
		if err := grpc.SetTrailer(ctx, reason); err != nil {
			return err
		}
	}
	return status.Error(codes.Code(code), text)
}

func unaryEcho(_ any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
	request := new(message)
	if err := decode(request); err != nil {
		return nil, err
	}
	answer := func(ctx context.Context, request any) (any, error) {
		text := request.(*message).Value
		if err := hangOrFail(ctx, text); err != nil {
			return nil, err
		}
		return request, nil
	}
	if intercept == nil {
		return answer(ctx, request)
	}
	return intercept(ctx, request, &grpc.UnaryServerInfo{FullMethod: echo + "UnaryEcho"}, answer)
}

func serverStreamingEcho(_ any, stream grpc.ServerStream) error {
	request := new(message)
	if err := stream.RecvMsg(request); err != nil {
		return err
	}
	if request.Value == "nothing" || strings.HasPrefix(request.Value, "status ") {
		return plannedFailure(stream.Context(), request.Value)
	}
	for range 3 {
		if err := stream.SendMsg(request); err != nil {
			return err
		}
	}
	return hangOrFail(stream.Context(), request.Value)
}

func clientStreamingEcho(_ any, stream grpc.ServerStream) error {
	last, err := readAll(stream, func(*message) error { return nil })
	if err != nil {
		return err
	}
	return stream.SendMsg(last)
}

func bidirectionalStreamingEcho(_ any, stream grpc.ServerStream) error {
	_, err := readAll(stream, func(request *message) error {
		if strings.HasPrefix(request.Value, "status ") {
			return nil
		}
		return stream.SendMsg(request)
	})
	return err
}

// readAll passes each request to a function. After the client's half-close it returns the last request,
// or the error that this request asks for.
func readAll(stream grpc.ServerStream, each func(*message) error) (*message, error) {
	last := new(message)
	for {
		request := new(message)
		switch err := stream.RecvMsg(request); {
		case errors.Is(err, io.EOF):
			return last, plannedFailure(stream.Context(), last.Value)
		case err != nil:
			return nil, err
		}
		last = request
		if err := each(request); err != nil {
			return nil, err
		}
		if request.Value == "hang" {
			return nil, hang(stream.Context())
		}
	}
}
