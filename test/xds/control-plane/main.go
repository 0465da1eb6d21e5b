// Command control-plane is an xDS control plane for tests. It serves whatever resources it is told to,
// valid or not, and counts what clients ask and answer.
//
// Each line of standard input is a request in JSON, and each answer is a line in JSON with the
// request's id:
//
//	{"id":1,"do":"listen","port":0}         listens on a port, or on a free one, and returns it
//	{"id":2,"do":"set","resources":[...]}   adds or replaces resources, in the JSON form of their type
//	{"id":3,"do":"remove","resources":[...]} removes resources; only their types and names matter
//	{"id":4,"do":"counts"}                  returns what was counted since the start
//	{"id":5,"do":"stop"}                    closes the port and all connections
//
// It exits when standard input ends.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
)

type request struct {
	ID        int               `json:"id"`
	Do        string            `json:"do"`
	Port      int               `json:"port"`
	Resources []json.RawMessage `json:"resources"`
}

type answer struct {
	ID     int     `json:"id"`
	Error  string  `json:"error,omitempty"`
	Port   int     `json:"port,omitempty"`
	Counts *counts `json:"counts,omitempty"`
}

func main() {
	log.SetFlags(0)
	plane := newControlPlane()
	out := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var asked request
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			log.Fatal(err)
		}
		answered, err := plane.do(asked)
		if err != nil {
			answered.Error = err.Error()
		}
		answered.ID = asked.ID
		if err := out.Encode(answered); err != nil {
			log.Fatal(err)
		}
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
}

// controlPlane serves the resources of its store. Its counts survive a stop of the server.
type controlPlane struct {
	store  *store
	ledger *ledger
	server *grpc.Server
}

func newControlPlane() *controlPlane {
	return &controlPlane{store: newStore(), ledger: newLedger()}
}

func (p *controlPlane) do(asked request) (answer, error) {
	switch asked.Do {
	case "listen":
		port, err := p.listen(asked.Port)
		return answer{Port: port}, err
	case "set":
		return answer{}, p.store.set(asked.Resources)
	case "remove":
		return answer{}, p.store.remove(asked.Resources)
	case "counts":
		return answer{Counts: p.ledger.snapshot()}, nil
	case "stop":
		if p.server != nil {
			p.server.Stop()
			p.server = nil
		}
		return answer{}, nil
	default:
		return answer{}, fmt.Errorf("cannot do %q", asked.Do)
	}
}

func (p *controlPlane) listen(port int) (int, error) {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return 0, err
	}
	p.server = grpc.NewServer(grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
		MinTime:             time.Second,
		PermitWithoutStream: true,
	}))
	discovery.RegisterAggregatedDiscoveryServiceServer(
		p.server,
		server.NewServer(context.Background(), p.store.cache, p.ledger.callbacks()),
	)
	go func(server *grpc.Server) {
		if err := server.Serve(listener); err != nil {
			log.Fatal(err)
		}
	}(p.server)
	return listener.Addr().(*net.TCPAddr).Port, nil
}
