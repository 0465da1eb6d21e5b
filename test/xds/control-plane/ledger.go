package main

import (
	"context"
	"strings"
	"sync"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
)

// counts is what the control plane knows of its clients.
type counts struct {
	// Streams that were opened, and those that are open.
	Streams     int `json:"streams"`
	OpenStreams int `json:"openStreams"`
	Requests    int `json:"requests"`
	// Responses that clients accepted or refused.
	Acks  int `json:"acks"`
	Nacks int `json:"nacks"`
	// Resources that were sent, by type.
	Resources map[string]int `json:"resources"`
	// The text of the latest refusal.
	Refusal string `json:"refusal"`
}

// ledger counts what happens on the streams of all servers.
type ledger struct {
	mu     sync.Mutex
	counts counts
	// sent has the versions of the responses on each open stream, by type and nonce, and answered those
	// that the client has answered.
	sent     map[int64]map[string]string
	answered map[int64]map[string]bool
}

func newLedger() *ledger {
	return &ledger{
		counts:   counts{Resources: map[string]int{}},
		sent:     map[int64]map[string]string{},
		answered: map[int64]map[string]bool{},
	}
}

func (l *ledger) snapshot() *counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	copied := l.counts
	copied.Resources = map[string]int{}
	for name, count := range l.counts.Resources {
		copied.Resources[name] = count
	}
	return &copied
}

func (l *ledger) callbacks() server.Callbacks {
	return server.CallbackFuncs{
		StreamOpenFunc: func(_ context.Context, id int64, _ string) error {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.counts.Streams++
			l.counts.OpenStreams++
			l.sent[id] = map[string]string{}
			l.answered[id] = map[string]bool{}
			return nil
		},
		StreamClosedFunc: func(id int64, _ *core.Node) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.counts.OpenStreams--
			delete(l.sent, id)
			delete(l.answered, id)
		},
		StreamRequestFunc: func(id int64, request *discovery.DiscoveryRequest) error {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.counts.Requests++
			l.answer(id, request)
			return nil
		},
		StreamResponseFunc: func(
			_ context.Context,
			id int64,
			_ *discovery.DiscoveryRequest,
			response *discovery.DiscoveryResponse,
		) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.sent[id][key(response.TypeUrl, response.Nonce)] = response.VersionInfo
			name := strings.TrimPrefix(response.TypeUrl, "type.googleapis.com/")
			l.counts.Resources[name] += len(response.Resources)
		},
	}
}

func key(typeURL, nonce string) string {
	return typeURL + " " + nonce
}

// answer counts the first request with a nonce. Later ones only change the names that it subscribes to.
func (l *ledger) answer(id int64, request *discovery.DiscoveryRequest) {
	if request.ResponseNonce == "" {
		return
	}
	key := key(request.TypeUrl, request.ResponseNonce)
	if request.ErrorDetail != nil {
		// A client that refuses a version names the one before, and would be sent the same again at once.
		request.VersionInfo = l.sent[id][key]
	}
	if l.answered[id][key] {
		return
	}
	l.answered[id][key] = true
	if request.ErrorDetail == nil {
		l.counts.Acks++
		return
	}
	l.counts.Nacks++
	l.counts.Refusal = request.ErrorDetail.Message
}
