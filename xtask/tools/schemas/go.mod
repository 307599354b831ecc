// Nothing is built of these: they hold the schemas that manifests are held against. Istio's is 1.31.
module tidegate/schemas

go 1.26.7

require (
	github.com/envoyproxy/gateway v1.9.1
	istio.io/istio v0.0.0-20260827124520-eed52ebb66ad
	sigs.k8s.io/kubectl-validate v0.0.5-0.20250915070809-d2f2d68fba09
)
