package main

import (
	"google.golang.org/protobuf/types/known/anypb"

	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/xds"
	v3 "istio.io/istio/pilot/pkg/xds/v3"
	"istio.io/istio/pkg/util/sets"
	"istio.io/istio/pkg/wasm"
)

// agent does to a filter's configuration what Istio's agent does to it on its way from the discovery server to Envoy: by
// Istio's code for that, it fetches modules and images, looks at their digests, and puts files in their places; and a filter
// that refuses, or lets pass, where it cannot.
type agent struct {
	generator model.XdsResourceGenerator
	cache     wasm.Cache
}

// Registries on loopback have no certificates.
func withAgent(server *xds.DiscoveryServer, folder string) {
	server.Generators[v3.ExtensionConfigurationType] = agent{
		generator: server.Generators[v3.ExtensionConfigurationType],
		cache: wasm.NewLocalFileCache(folder, wasm.Options{
			InsecureRegistries:    sets.New("*"),
			HTTPRequestMaxRetries: 1,
		}),
	}
}

func (a agent) Generate(
	proxy *model.Proxy, watched *model.WatchedResource, request *model.PushRequest,
) (model.Resources, model.XdsLogDetails, error) {
	resources, details, err := a.generator.Generate(proxy, watched, request)
	if err != nil {
		return resources, details, err
	}
	converted := make([]*anypb.Any, 0, len(resources))
	for _, resource := range resources {
		converted = append(converted, resource.Resource)
	}
	if err := wasm.MaybeConvertWasmExtensionConfig(converted, a.cache); err != nil {
		return nil, details, err
	}
	for i, resource := range resources {
		resource.Resource = converted[i]
	}
	return resources, details, nil
}
