// Command bench is an Echo server or a load client of grpc-go, with or without grpc-go's own
// OpenTelemetry plugin:
//
//	bench server bare|instrumented|traced
//	bench client PORT bare|instrumented|traced
//
// "instrumented" records the default metrics, and "traced" also makes spans.
//
// It answers commands line by line, like the programs in TypeScript (bench/programs).
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	experimental "google.golang.org/grpc/experimental/opentelemetry"
	"google.golang.org/grpc/stats/opentelemetry"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	concurrency = 50
	path        = "/grpc.examples.echo.Echo/UnaryEcho"
	text        = "this is examples/opentelemetry"
)

// message replaces EchoRequest and EchoResponse. All have one string in field 1.
type message = wrapperspb.StringValue

func main() {
	log.SetFlags(0)
	if len(os.Args) < 3 {
		log.Fatal("usage: bench server bare|instrumented|traced, or bench client PORT bare|instrumented|traced")
	}
	reader := metric.NewManualReader()
	var serverOptions []grpc.ServerOption
	dialOptions := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	if variant := os.Args[len(os.Args)-1]; variant != "bare" {
		options := opentelemetry.Options{MetricsOptions: opentelemetry.MetricsOptions{
			MeterProvider: metric.NewMeterProvider(metric.WithReader(reader)),
			Metrics:       opentelemetry.DefaultMetrics(),
		}}
		if variant == "traced" {
			options.TraceOptions = experimental.TraceOptions{
				TracerProvider:    trace.NewTracerProvider(trace.WithSpanProcessor(dropped{})),
				TextMapPropagator: propagation.TraceContext{},
			}
		}
		serverOptions = append(serverOptions, opentelemetry.ServerOption(options))
		dialOptions = append(dialOptions, opentelemetry.DialOption(options))
	}

	var ready any
	var client *grpc.ClientConn
	if os.Args[1] == "server" {
		ready = map[string]int{"port": serve(serverOptions)}
	} else {
		var err error
		if client, err = grpc.NewClient("127.0.0.1:"+os.Args[2], dialOptions...); err != nil {
			log.Fatal(err)
		}
	}
	answerCommands(ready, client, reader)
}

// dropped is a span processor that drops all spans.
type dropped struct{}

func (dropped) OnStart(context.Context, trace.ReadWriteSpan) {}
func (dropped) OnEnd(trace.ReadOnlySpan)                     {}
func (dropped) Shutdown(context.Context) error               { return nil }
func (dropped) ForceFlush(context.Context) error             { return nil }

func answerCommands(ready any, client *grpc.ClientConn, reader metric.Reader) {
	out := json.NewEncoder(os.Stdout)
	write := func(answer any) {
		if err := out.Encode(answer); err != nil {
			log.Fatal(err)
		}
	}
	write(ready)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		command, argument, _ := strings.Cut(lines.Text(), " ")
		switch command {
		case "cpu":
			write(cpuMicroseconds())
		case "recorded":
			write(recorded(reader))
		case "run":
			var milliseconds int
			if _, err := fmt.Sscan(argument, &milliseconds); err != nil {
				log.Fatal(err)
			}
			write(run(client, time.Duration(milliseconds)*time.Millisecond))
		default:
			log.Fatalf("%q: must be cpu, recorded or run", command)
		}
	}
}

// serve starts a server on a free port of the loopback interface and returns the port.
func serve(options []grpc.ServerOption) int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(options...)
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "grpc.examples.echo.Echo",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "UnaryEcho", Handler: unaryEcho}},
	}, nil)
	go func() { log.Fatal(server.Serve(listener)) }()
	return listener.Addr().(*net.TCPAddr).Port
}

// unaryEcho handles a call like generated code, without interceptors.
func unaryEcho(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	request := new(message)
	return request, decode(request)
}

// window is the performance of the client in one window of load.
type window struct {
	Calls   int     `json:"calls"`
	Seconds float64 `json:"seconds"`
	CPUUs   int64   `json:"cpuUs"`
	P50Ms   float64 `json:"p50Ms"`
	P99Ms   float64 `json:"p99Ms"`
}

// run keeps 50 calls in flight for a time.
func run(client *grpc.ClientConn, length time.Duration) window {
	latencies := make([][]time.Duration, concurrency)
	cpu := cpuMicroseconds()
	start := time.Now()
	var workers sync.WaitGroup
	for worker := range latencies {
		workers.Go(func() {
			for time.Since(start) < length {
				callStart := time.Now()
				reply := new(message)
				err := client.Invoke(context.Background(), path, &message{Value: text}, reply, grpc.StaticMethod())
				if err != nil {
					log.Fatal(err)
				}
				latencies[worker] = append(latencies[worker], time.Since(callStart))
			}
		})
	}
	workers.Wait()
	elapsed := time.Since(start)
	cpu = cpuMicroseconds() - cpu

	all := slices.Concat(latencies...)
	slices.Sort(all)
	percentile := func(percent int) float64 {
		return all[(len(all)-1)*percent/100].Seconds() * 1000
	}
	return window{len(all), elapsed.Seconds(), cpu, percentile(50), percentile(99)}
}

// cpuMicroseconds returns the CPU time of this process so far.
func cpuMicroseconds() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	return (usage.Utime.Nano() + usage.Stime.Nano()) / 1000
}

// recorded returns how many calls the plugin has counted.
func recorded(reader metric.Reader) (calls int64) {
	var data metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &data); err != nil {
		return 0
	}
	for _, scope := range data.ScopeMetrics {
		for _, metrics := range scope.Metrics {
			if sum, ok := metrics.Data.(metricdata.Sum[int64]); ok {
				for _, series := range sum.DataPoints {
					calls += series.Value
				}
			}
		}
	}
	return calls
}
