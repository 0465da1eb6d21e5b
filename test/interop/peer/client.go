package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// call is a call for the client to make.
type call struct {
	Target string `json:"target"`
	// Path is the method's, such as /grpc.examples.echo.Echo/UnaryEcho.
	Path       string   `json:"path"`
	Messages   []string `json:"messages"`
	DeadlineMs *int     `json:"deadlineMs"`
	Gzip       bool     `json:"gzip"`
	// CancelAfter is the number of replies after which a stream is cancelled, without a half-close.
	CancelAfter int `json:"cancelAfter"`
}

// result is what the caller of a call saw.
type result struct {
	Code    uint32   `json:"code"`
	Replies []string `json:"replies"`
	// Reason is the metadata "reason" in the headers or trailers of a unary call.
	Reason string `json:"reason,omitempty"`
}

// client has one channel for each target.
type client struct {
	instrumented grpc.DialOption
	mu           sync.Mutex
	channels     map[string]*grpc.ClientConn
	cancels      map[int]context.CancelFunc
}

func newClient(instrumented grpc.DialOption) *client {
	return &client{
		instrumented: instrumented,
		channels:     map[string]*grpc.ClientConn{},
		cancels:      map[int]context.CancelFunc{},
	}
}

// begin creates the context of a call, which cancel cancels from now on.
func (c *client) begin(id int, asked call) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	if asked.DeadlineMs != nil {
		timeout := time.Duration(*asked.DeadlineMs) * time.Millisecond
		ctx, cancel = context.WithTimeout(context.Background(), timeout)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancels[id] = cancel
	return ctx
}

func (c *client) cancel(id int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cancel, ok := c.cancels[id]; ok {
		cancel()
		delete(c.cancels, id)
	}
}

func (c *client) channel(target string) (*grpc.ClientConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if channel, ok := c.channels[target]; ok {
		return channel, nil
	}
	plain := grpc.WithTransportCredentials(insecure.NewCredentials())
	channel, err := grpc.NewClient(target, plain, c.instrumented)
	if err == nil {
		c.channels[target] = channel
	}
	return channel, err
}

// call makes a call and waits until it ends.
func (c *client) call(ctx context.Context, id int, asked call) *result {
	defer c.cancel(id)
	seen := &result{Replies: []string{}}
	channel, err := c.channel(asked.Target)
	if err == nil {
		err = makeCall(ctx, channel, asked, seen, func() { c.cancel(id) })
	}
	seen.Code = uint32(status.Code(err))
	return seen
}

func makeCall(ctx context.Context, channel *grpc.ClientConn, asked call, seen *result, cancel func()) error {
	// Generated code passes StaticMethod too, because it knows the method's name.
	options := []grpc.CallOption{grpc.StaticMethod()}
	if asked.Gzip {
		options = append(options, grpc.UseCompressor(gzip.Name))
	}
	desc := streamDesc(asked.Path)
	if desc == nil {
		return makeUnaryCall(ctx, channel, asked, seen, options)
	}

	stream, err := channel.NewStream(ctx, desc, asked.Path, options...)
	if err != nil {
		return err
	}
	for _, text := range asked.Messages {
		// If the stream has already ended, RecvMsg returns its status.
		if err := stream.SendMsg(&message{Value: text}); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	if asked.CancelAfter == 0 || !desc.ClientStreams {
		if err := stream.CloseSend(); err != nil {
			return err
		}
	}
	for {
		reply := new(message)
		if err := stream.RecvMsg(reply); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		seen.Replies = append(seen.Replies, reply.Value)
		if len(seen.Replies) == asked.CancelAfter {
			cancel()
		}
		if !desc.ServerStreams {
			return nil
		}
	}
}

func makeUnaryCall(ctx context.Context, channel *grpc.ClientConn, asked call, seen *result, options []grpc.CallOption) error {
	reply := new(message)
	var headers, trailers metadata.MD
	options = append(options, grpc.Header(&headers), grpc.Trailer(&trailers))
	err := channel.Invoke(ctx, asked.Path, &message{Value: asked.Messages[0]}, reply, options...)
	if err == nil {
		seen.Replies = append(seen.Replies, reply.Value)
	}
	seen.Reason = strings.Join(append(headers.Get("reason"), trailers.Get("reason")...), ",")
	return err
}

// streamDesc describes a streaming method. It is nil for unary and unknown methods.
func streamDesc(path string) *grpc.StreamDesc {
	for i := range echoService.Streams {
		if desc := &echoService.Streams[i]; path == echo+desc.StreamName {
			return desc
		}
	}
	return nil
}
