# Metrics of one's own, and access logs and spans to an OpenTelemetry collector that takes OTLP over HTTP.
#
#   consul config write envoy-config/consul/telemetry-otlp-proxy-defaults.hcl
#
# For every service: there is one proxy-defaults, and this replaces it. What it says already belongs in here as well.
Kind = "proxy-defaults"
Name = "global"
Config {
  protocol = "http"
  # Sidecars have them in their bootstrap: restart those that run.
  envoy_extra_static_clusters_json = <<-EOF
    {
      "connect_timeout": "2s",
      "load_assignment": {
        "cluster_name": "collector",
        "endpoints": [
          {
            "lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 4318}}}}]
          }
        ]
      },
      "name": "collector",
      "type": "STATIC",
      "typed_extension_protocol_options": {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
          "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
          "explicit_http_config": {"http_protocol_options": {}}
        }
      }
    }
  EOF
}
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
          Code = { Local = { Filename = "/var/lib/tidegate/tidegate_telemetry.wasm" } }
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
                "batch": {"every": "2s", "max": 512},
                "fields": ["method", "path", "query", "host", "status", "duration", "route_name", "principal", "decision"],
                "queue": 4096,
                "redact": {"query": ["voucher"]},
                "to": {"otlp": {"cluster": "collector"}}
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
            "resource": {"service.name": "shop-gateway"},
            "trace": {
              "baggage": {"tenant": {"header": "x-tenant"}},
              "otlp": {"cluster": "collector"},
              "propagate": ["w3c", "b3"],
              "response_header": "x-trace-id",
              "sample": 0.05
            }
          }
        EOF
      }
    }
  }
]
