package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"istio.io/istio/manifests"
	"istio.io/istio/pkg/config/crd"
)

// The custom resources that Istio's chart installs.
const resources = "charts/base/files/crd-all.gen.yaml"

// validate says everything that is wrong with the manifests in these files: types, required and unknown fields, and the
// rules over several fields.
func validate(files []string) error {
	folder, err := os.MkdirTemp("", "crds")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	definitions, err := manifests.FS.ReadFile(resources)
	if err != nil {
		return err
	}
	place := filepath.Join(folder, "crds.yaml")
	if err := os.WriteFile(place, definitions, 0o600); err != nil {
		return err
	}
	// That Istio's definitions are valid is Istio's business, and takes seconds to find out.
	validator, err := crd.NewValidatorFromFilesWithOptions([]string{place}, crd.WithoutCRDValidation())
	if err != nil {
		return err
	}
	var found []error
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := validator.ValidateCustomResourceYAML(string(text), nil); err != nil {
			found = append(found, fmt.Errorf("%s: %w", file, err))
		}
	}
	return errors.Join(found...)
}
