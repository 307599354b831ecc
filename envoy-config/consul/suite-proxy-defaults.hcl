# All four filters in one module: one crossing into the VM.
#
#   consul config write envoy-config/consul/suite-proxy-defaults.hcl
#
# For every service: there is one proxy-defaults, and this replaces it. What it says already belongs in here as well.
Kind = "proxy-defaults"
Name = "global"
Config {
  protocol = "http"
}
EnvoyExtensions = [
  {
    Name = "builtin/wasm"
    # Where the filter cannot be put in or has trapped, requests are refused. Consul's word for failing open is that
    # an extension is not required.
    Required = true
    Arguments = {
      # That of the service. Where they differ, Consul leaves the filter out and says nothing; of grpc and http2 it takes none.
      Protocol     = "http"
      ListenerType = "inbound"
      PluginConfig = {
        Name   = "suite"
        RootID = "suite"
        VmConfig = {
          # Shared data belongs to this id: keep it different for each plugin.
          VmID    = "tidegate.suite"
          Runtime = "v8"
          Code = { Local = { Filename = "/var/lib/tidegate/tidegate_suite.wasm" } }
        }
        # All that the module may ask of Envoy, and be told by it: one that was exchanged for another could do no more.
        CapabilityRestrictionConfiguration = {
          AllowedCapabilities = {
            "environ_get" = {}, "environ_sizes_get" = {}, "proxy_add_header_map_value" = {},
            "proxy_call_foreign_function" = {}, "proxy_close_stream" = {}, "proxy_continue_stream" = {},
            "proxy_define_metric" = {}, "proxy_done" = {}, "proxy_get_buffer_bytes" = {},
            "proxy_get_current_time_nanoseconds" = {}, "proxy_get_header_map_pairs" = {},
            "proxy_get_header_map_value" = {}, "proxy_get_log_level" = {}, "proxy_get_property" = {},
            "proxy_get_shared_data" = {}, "proxy_grpc_call" = {}, "proxy_http_call" = {},
            "proxy_increment_metric" = {}, "proxy_log" = {}, "proxy_on_configure" = {},
            "proxy_on_context_create" = {}, "proxy_on_delete" = {}, "proxy_on_grpc_close" = {},
            "proxy_on_grpc_receive" = {}, "proxy_on_http_call_response" = {}, "proxy_on_log" = {},
            "proxy_on_request_body" = {}, "proxy_on_request_headers" = {}, "proxy_on_request_trailers" = {},
            "proxy_on_response_body" = {}, "proxy_on_response_headers" = {}, "proxy_on_tick" = {},
            "proxy_record_metric" = {}, "proxy_remove_header_map_value" = {},
            "proxy_replace_header_map_value" = {}, "proxy_send_local_response" = {},
            "proxy_set_effective_context" = {}, "proxy_set_property" = {}, "proxy_set_shared_data" = {},
            "proxy_set_tick_period_milliseconds" = {}, "random_get" = {}
          }
        }
        Configuration = <<-EOF
          {
            "auth": {
              "default": "deny",
              "forward": {"principal_header": "x-auth-subject", "strip_credentials": true},
              "providers": {
                "partners": {
                  "api_key": {
                    "from": [{"header": "x-api-key"}],
                    "keys": [
                      {"id": "acme", "sha256": "904fc520be4ca9db80d0ffcc6bf7e01b4148e33d45bb6b422ad2e607815fb508"},
                      {"id": "globex", "sha256": "4b6a03e748e1d6f1cff27279c6e8b65d522432122cf1faf2654f25bcfd9cfa54"}
                    ]
                  }
                }
              },
              "rules": [
                {"allow": "anyone", "match": {"paths": [{"exact": "/healthz"}]}, "name": "health"},
                {
                  "match": {"paths": [{"prefix": "/admin"}]},
                  "name": "admin",
                  "principals": [{"exact": "acme"}],
                  "require": "partners"
                },
                {"name": "rest", "require": "partners"}
              ]
            },
            "header_routing": {
              "default": {"route": "stable"},
              "route_header": "x-tidegate-route",
              "rules": [
                {
                  "match": {"headers": [{"exact": "1", "name": "x-beta"}]},
                  "name": "beta-testers",
                  "not": {"headers": [{"name": "x-opt-out", "present": true}]},
                  "route": "beta"
                }
              ]
            },
            "rate_limit": {
              "client_address": {"ipv6_prefix": 64, "trusted_hops": 0},
              "limits": [
                {
                  "key": [{"header": "x-user-id"}],
                  "match": {"paths": [{"prefix": "/api"}]},
                  "name": "per-user",
                  "on_missing": "skip",
                  "quotas": [{"burst": 3, "per": "30s", "requests": 3}]
                }
              ],
              "on_error": "deny",
              "table": {"max_keys": 65536, "on_full": "deny"}
            },
            "telemetry": {
              "access_log": [{"fields": ["method", "path", "host", "status", "duration", "route_name"], "to": "log"}],
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
                  "labels": {"route": "route_name"},
                  "name": "shop_latency_milliseconds",
                  "type": "histogram",
                  "value": "duration"
                }
              ]
            }
          }
        EOF
      }
    }
  }
]
