# Metrics, an access log and trace contexts of one's own.
#
# examples/grafana has a dashboard and alerts for these metrics.
#
#   consul config write envoy-config/consul/telemetry-remote.hcl
#
# For what others send to the service. Intentions come first: who they deny never reaches the filter.
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
      ListenerType = "inbound"
      PluginConfig = {
        Name   = "telemetry"
        RootID = "telemetry"
        VmConfig = {
          # Shared data belongs to this id: keep it different for each plugin.
          VmID    = "tidegate.telemetry"
          Runtime = "v8"
          Code = {
            Remote = {
              # The service `modules` must be an upstream of this one.
              HttpURI = { Service = { Name = "modules" }, URI = "http://modules.service.consul/tidegate_telemetry.wasm", Timeout = "30s" }
              # Nothing else than the module of this digest is loaded. Render with --sha256 for yours.
              SHA256      = "0000000000000000000000000000000000000000000000000000000000000000"
              # The upstream's sidecar may come up later than this one.
              RetryPolicy = { NumRetries = 10 }
            }
          }
        }
        # All that the module may ask of Envoy, and be told by it: one that was exchanged for another could do no more.
        CapabilityRestrictionConfiguration = {
          AllowedCapabilities = {
            "environ_get" = {}, "environ_sizes_get" = {}, "proxy_add_header_map_value" = {},
            "proxy_call_foreign_function" = {}, "proxy_close_stream" = {}, "proxy_continue_stream" = {},
            "proxy_define_metric" = {}, "proxy_done" = {}, "proxy_get_buffer_bytes" = {},
            "proxy_get_current_time_nanoseconds" = {}, "proxy_get_header_map_pairs" = {},
            "proxy_get_header_map_value" = {}, "proxy_get_log_level" = {}, "proxy_get_property" = {},
            "proxy_get_shared_data" = {}, "proxy_http_call" = {}, "proxy_increment_metric" = {},
            "proxy_log" = {}, "proxy_on_configure" = {}, "proxy_on_context_create" = {},
            "proxy_on_delete" = {}, "proxy_on_http_call_response" = {}, "proxy_on_log" = {},
            "proxy_on_request_body" = {}, "proxy_on_request_headers" = {}, "proxy_on_request_trailers" = {},
            "proxy_on_response_headers" = {}, "proxy_on_tick" = {}, "proxy_record_metric" = {},
            "proxy_remove_header_map_value" = {}, "proxy_replace_header_map_value" = {},
            "proxy_send_local_response" = {}, "proxy_set_effective_context" = {},
            "proxy_set_shared_data" = {}, "proxy_set_tick_period_milliseconds" = {}, "random_get" = {}
          }
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
