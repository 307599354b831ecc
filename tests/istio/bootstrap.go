package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"

	"sigs.k8s.io/yaml"

	"istio.io/istio/pkg/bootstrap"
	"istio.io/istio/pkg/config/mesh"
)

// A proxy as its pod and the mesh describe it.
type proxy struct {
	ID string `json:"id"`
	// What stands in `defaultConfig` of the mesh, or in a ProxyConfig.
	ProxyConfig json.RawMessage   `json:"proxyConfig"`
	Annotations map[string]string `json:"annotations"`
	Addresses   []string          `json:"addresses"`
}

// writeBootstrap writes what Istio's agent would give to Envoy, from the template in the module. Into a file: Istio's packages
// log to standard output as soon as they are loaded.
func writeBootstrap(modules string, input io.Reader, place string) error {
	var described proxy
	if err := json.NewDecoder(input).Decode(&described); err != nil {
		return err
	}
	config := mesh.DefaultProxyConfig()
	if len(described.ProxyConfig) > 0 {
		text, err := yaml.JSONToYAML(described.ProxyConfig)
		if err != nil {
			return err
		}
		if config, err = mesh.MergeProxyConfig(string(text), config); err != nil {
			return err
		}
	}
	node, err := bootstrap.GetNodeMetaData(bootstrap.MetadataOptions{
		ID:          described.ID,
		InstanceIPs: described.Addresses,
		ProxyConfig: config,
	})
	if err != nil {
		return err
	}
	node.Metadata.Annotations = described.Annotations
	version, err := istioVersion()
	if err != nil {
		return err
	}
	template := filepath.Join(modules, "istio.io", "istio@"+version, "tools/packaging/common/envoy_bootstrap.json")
	output, err := os.Create(place)
	if err != nil {
		return err
	}
	if err := bootstrap.New(bootstrap.Config{Node: node}).WriteTo(template, output); err != nil {
		return err
	}
	return output.Close()
}

// The version of the module that this program was built from.
func istioVersion() (string, error) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "", errors.New("built without modules")
	}
	for _, module := range info.Deps {
		if module.Path == "istio.io/istio" {
			return module.Version, nil
		}
	}
	return "", fmt.Errorf("istio.io/istio is not among the %d modules", len(info.Deps))
}
