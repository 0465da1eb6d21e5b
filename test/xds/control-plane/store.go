package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	// The types that resources may contain as Any.
	_ "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/aggregate/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/client_side_weighted_round_robin/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/round_robin/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/wrr_locality/v3"
)

// everyone is the key of the one snapshot, which all clients get.
const everyone = "everyone"

type nodeHash struct{}

func (nodeHash) ID(*core.Node) string { return everyone }

// store holds the resources that are served. Each type has its own version: clients get only the types
// that change.
type store struct {
	cache     cache.SnapshotCache
	version   int
	resources map[resource.Type]map[string]types.Resource
	versions  map[resource.Type]string
}

// served has the types of resources that clients may ask for.
var served = []resource.Type{
	resource.ListenerType,
	resource.RouteType,
	resource.ClusterType,
	resource.EndpointType,
}

func newStore() *store {
	s := &store{
		// Clients ask for one name after the other, which the mode for ADS leaves unanswered.
		cache:     cache.NewSnapshotCache(false, nodeHash{}, nil),
		resources: map[resource.Type]map[string]types.Resource{},
		versions:  map[resource.Type]string{},
	}
	for _, name := range served {
		s.resources[name] = map[string]types.Resource{}
	}
	return s
}

func (s *store) set(given []json.RawMessage) error {
	return s.change(given, func(known map[string]types.Resource, name string, value types.Resource) {
		known[name] = value
	})
}

func (s *store) remove(given []json.RawMessage) error {
	return s.change(given, func(known map[string]types.Resource, name string, _ types.Resource) {
		delete(known, name)
	})
}

func (s *store) change(
	given []json.RawMessage,
	apply func(known map[string]types.Resource, name string, value types.Resource),
) error {
	s.version++
	for _, text := range given {
		var packed anypb.Any
		if err := protojson.Unmarshal(text, &packed); err != nil {
			return err
		}
		value, err := packed.UnmarshalNew()
		if err != nil {
			return err
		}
		known, ok := s.resources[packed.TypeUrl]
		if !ok {
			return fmt.Errorf("cannot serve %s", packed.TypeUrl)
		}
		apply(known, cache.GetResourceName(value), proto.Message(value))
		s.versions[packed.TypeUrl] = strconv.Itoa(s.version)
	}
	snapshot := &cache.Snapshot{}
	for name, resources := range s.resources {
		items := map[string]types.ResourceWithTTL{}
		for key, value := range resources {
			items[key] = types.ResourceWithTTL{Resource: value}
		}
		snapshot.Resources[cache.GetResponseType(name)] = cache.Resources{
			Version: s.versions[name],
			Items:   items,
		}
	}
	return s.cache.SetSnapshot(context.Background(), everyone, snapshot)
}
