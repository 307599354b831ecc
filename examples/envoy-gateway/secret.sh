#!/bin/sh
# Prints the Secret that a cluster's certgen makes, out of the folder where `envoy-gateway certgen --local` put its files.
# With `stringData` it would be read as empty.
cat <<EOF
apiVersion: v1
kind: Secret
metadata: {name: envoy, namespace: envoy-gateway-system}
type: kubernetes.io/tls
data:
  ca.crt: $(base64 -w 0 < "$1/ca.crt")
  tls.crt: $(base64 -w 0 < "$1/tls.crt")
  tls.key: $(base64 -w 0 < "$1/tls.key")
EOF
