# Metrics, an access log and trace contexts of one's own.
#
# examples/grafana has a dashboard and alerts for these metrics.
#
#   consul config write envoy-config/consul/telemetry-outbound.hcl
#
# For what the service sends to others. Consul puts the filter before the router of each upstream's listener: one
# that speaks TCP would have none, and then Consul sends this sidecar nothing any more.
Kind     = "service-defaults"
Name     = "web"
Protocol = "http"
EnvoyExtensions = [
  {
    Name = "builtin/wasm"
    # Requests pass unmeasured where the filter cannot run: no reason to refuse them.
    Required = false
    Arguments = {
      # That of the service. Where they differ, Consul leaves the filter out and says nothing; of grpc and http2 it takes none.
      Protocol     = "http"
      ListenerType = "outbound"
      PluginConfig = {
        Name   = "telemetry"
        RootID = "telemetry"
        VmConfig = {
          # Shared data belongs to this id: keep it different for each plugin.
          VmID    = "tidegate.telemetry"
          Runtime = "v8"
          Code = { Local = { Filename = "/var/lib/tidegate/tidegate_telemetry.wasm" } }
        }
        Configuration = <<-EOF
          {
            "access_log": [
              {
                "fields": ["time", "method", "path", "query", "host", "status", "duration", "route_name", "trace_id"],
                "to": "log",
                "when": {"any": [{"status": {"gte": 500}}, {"duration": {"gte": "1s"}}, {"sample": 0.01}]}
              }
            ],
            "max_series": 2000,
            "metrics": [
              {
                "labels": {
                  "code": "status_class",
                  "method": "method",
                  "route": "route_name",
                  "tenant": {"allow": ["acme", "globex"], "header": "x-tenant"}
                },
                "name": "shop_requests_total",
                "type": "counter"
              },
              {
                "labels": {"path": "path_template", "route": "route_name"},
                "name": "shop_latency_milliseconds",
                "type": "histogram",
                "value": "duration"
              },
              {
                "name": "shop_upload_bytes",
                "type": "histogram",
                "value": "request_bytes",
                "when": {"methods": ["PUT", "POST"]}
              },
              {"name": "shop_in_flight", "type": "gauge", "value": "in_flight"}
            ],
            "path_templates": ["/users/{id}", "/orders/{id}/items"],
            "trace": {"propagate": ["w3c", "b3"], "response_header": "x-trace-id"}
          }
        EOF
      }
    }
  }
]
