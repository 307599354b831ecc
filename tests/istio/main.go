// Istio's own code, without a cluster: its discovery server, the validator of its custom resources, and the bootstrap that
// its agent writes.
//
//	istio-discovery serve FOLDER          serves until it is killed; the addresses are in FOLDER/addresses
//	istio-discovery validate FILE...      validates manifests as the API server would, by the custom resources' schemas
//	istio-discovery bootstrap MODULES FILE
//	                                      writes the bootstrap for the proxy that standard input describes; MODULES is Go's
//	                                      module cache
package main

import (
	"errors"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	switch {
	case len(arguments) == 2 && arguments[0] == "serve":
		return serve(arguments[1])
	case len(arguments) > 1 && arguments[0] == "validate":
		return validate(arguments[1:])
	case len(arguments) == 3 && arguments[0] == "bootstrap":
		return writeBootstrap(arguments[1], os.Stdin, arguments[2])
	}
	return errors.New("usage: istio-discovery serve FOLDER | validate FILE... | bootstrap MODULES FILE")
}
