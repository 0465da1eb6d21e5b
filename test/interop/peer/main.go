// Command peer is an Echo server and client of grpc-go with grpc-go's own OpenTelemetry plugin. Tests
// compare what it and grpc-js record.
//
// Each line of standard input is a request in JSON, and each answer is a line in JSON with the
// request's id:
//
//	{"id":1,"do":"serve"}              listens on a free port, and returns it
//	{"id":2,"do":"call","call":{...}}  makes a call, and answers when it has ended
//	{"id":3,"do":"cancel","of":2}      cancels a call
//	{"id":4,"do":"report"}             returns all metrics and ended spans
//
// It exits when standard input ends.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"log"
	"net"
	"os"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/stats/opentelemetry"
)

type request struct {
	ID   int    `json:"id"`
	Do   string `json:"do"`
	Call call   `json:"call"`
	Of   int    `json:"of"`
}

type answer struct {
	ID     int     `json:"id"`
	Port   int     `json:"port,omitempty"`
	Result *result `json:"result,omitempty"`
	Report *report `json:"report,omitempty"`
}

// printer writes answers, one a line. Calls may end at the same time.
type printer struct {
	mu      sync.Mutex
	encoder *json.Encoder
}

func (p *printer) print(value any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.encoder.Encode(value); err != nil {
		log.Fatal(err)
	}
}

func main() {
	log.SetFlags(0)
	propagation := flag.String("propagation", "traceparent", "traceparent or grpc-trace-bin")
	flag.Parse()
	telemetry, err := newTelemetry(*propagation)
	if err != nil {
		log.Fatal(err)
	}

	out := printer{encoder: json.NewEncoder(os.Stdout)}
	client := newClient(opentelemetry.DialOption(telemetry.options))
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var asked request
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			log.Fatal(err)
		}
		switch asked.Do {
		case "serve":
			out.print(answer{ID: asked.ID, Port: serve(opentelemetry.ServerOption(telemetry.options))})
		case "call":
			ctx := client.begin(asked.ID, asked.Call)
			go func() {
				out.print(answer{ID: asked.ID, Result: client.call(ctx, asked.ID, asked.Call)})
			}()
		case "cancel":
			client.cancel(asked.Of)
			out.print(answer{ID: asked.ID})
		case "report":
			report, err := telemetry.report()
			if err != nil {
				log.Fatal(err)
			}
			out.print(answer{ID: asked.ID, Report: report})
		default:
			log.Fatalf("cannot do %q", asked.Do)
		}
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
}

// serve starts a server on a free port of the loopback interface and returns the port.
func serve(instrumented grpc.ServerOption) int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(instrumented)
	server.RegisterService(&echoService, nil)
	go func() { log.Fatal(server.Serve(listener)) }()
	return listener.Addr().(*net.TCPAddr).Port
}
