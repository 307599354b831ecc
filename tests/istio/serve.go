package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pilot/pkg/features"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/config"
)

// serve runs the discovery server and, on another port, takes manifests: PUT /manifests creates or replaces them, DELETE
// /manifests removes them.
func serve(folder string) error {
	// Upstream Envoy has neither of these filters.
	features.MetadataExchange = false
	features.ALPNFilter = false
	server := xds.NewFakeDiscoveryServer(process{}, xds.FakeOptions{ListenerBuilder: loopback})
	withAgent(server.Discovery, folder)
	listener, err := loopback()
	if err != nil {
		return err
	}
	addresses, err := json.Marshal(map[string]string{
		"xds":     server.Listener.Addr().String(),
		"control": listener.Addr().String(),
	})
	if err != nil {
		return err
	}
	// Renamed, so that nobody reads half of it.
	fresh := filepath.Join(folder, "addresses.new")
	if err := os.WriteFile(fresh, addresses, 0o600); err != nil {
		return err
	}
	if err := os.Rename(fresh, filepath.Join(folder, "addresses")); err != nil {
		return err
	}
	handler := http.NewServeMux()
	handle := func(method string, change func(model.ConfigStore, config.Config) error) {
		handler.HandleFunc(method+" /manifests", func(writer http.ResponseWriter, request *http.Request) {
			if err := each(request.Body, server.Store(), change); err != nil {
				http.Error(writer, err.Error(), http.StatusUnprocessableEntity)
				return
			}
			server.EnsureSynced(process{})
		})
	}
	handle(http.MethodPut, put)
	handle(http.MethodDelete, remove)
	return http.Serve(listener, handler)
}

// each changes the store by every manifest in the text, which Istio's webhook must accept.
func each(body io.Reader, store model.ConfigStore, change func(model.ConfigStore, config.Config) error) error {
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	configs, others, err := crd.ParseInputs(string(text))
	if err != nil {
		return err
	}
	for _, other := range others {
		return fmt.Errorf("Istio knows no kind %q in %q", other.Kind, other.APIVersion)
	}
	var failed []error
	for _, manifest := range configs {
		if manifest.Namespace == "" {
			manifest.Namespace = "default"
		}
		if err := change(store, manifest); err != nil {
			failed = append(failed, fmt.Errorf("%s %s/%s: %w",
				manifest.GroupVersionKind.Kind, manifest.Namespace, manifest.Name, err))
		}
	}
	return errors.Join(failed...)
}

func put(store model.ConfigStore, manifest config.Config) error {
	existing := store.Get(manifest.GroupVersionKind, manifest.Name, manifest.Namespace)
	if existing == nil {
		_, err := store.Create(manifest)
		return err
	}
	manifest.CreationTimestamp = existing.CreationTimestamp
	_, err := store.Update(manifest)
	return err
}

func remove(store model.ConfigStore, manifest config.Config) error {
	return store.Delete(manifest.GroupVersionKind, manifest.Name, manifest.Namespace, nil)
}

func loopback() (net.Listener, error) {
	return net.Listen("tcp", "127.0.0.1:0")
}
