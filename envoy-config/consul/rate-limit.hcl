# Requests per user, failed logins, units of what requests cost, requests at a time.
#
#   consul config write envoy-config/consul/rate-limit.hcl
#
# For what others send to the service. Intentions come first: who they deny never reaches the filter.
Kind     = "service-defaults"
Name     = "web"
Protocol = "http"
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
        Name   = "rate-limit"
        RootID = "rate-limit"
        VmConfig = {
          # Shared data belongs to this id: keep it different for each plugin.
          VmID    = "tidegate.rate-limit"
          Runtime = "v8"
          Code = { Local = { Filename = "/var/lib/tidegate/tidegate_rate_limit.wasm" } }
        }
        # All that the module may ask of Envoy, and be told by it: one that was exchanged for another could do no more.
        CapabilityRestrictionConfiguration = {
          AllowedCapabilities = {
            "environ_get" = {}, "environ_sizes_get" = {}, "proxy_add_header_map_value" = {},
            "proxy_call_foreign_function" = {}, "proxy_close_stream" = {}, "proxy_continue_stream" = {},
            "proxy_define_metric" = {}, "proxy_done" = {}, "proxy_get_buffer_bytes" = {},
            "proxy_get_current_time_nanoseconds" = {}, "proxy_get_header_map_pairs" = {},
            "proxy_get_header_map_value" = {}, "proxy_get_log_level" = {}, "proxy_get_property" = {},
            "proxy_get_shared_data" = {}, "proxy_grpc_call" = {}, "proxy_increment_metric" = {},
            "proxy_log" = {}, "proxy_on_configure" = {}, "proxy_on_context_create" = {},
            "proxy_on_delete" = {}, "proxy_on_grpc_close" = {}, "proxy_on_grpc_receive" = {},
            "proxy_on_log" = {}, "proxy_on_request_body" = {}, "proxy_on_request_headers" = {},
            "proxy_on_request_trailers" = {}, "proxy_on_response_body" = {},
            "proxy_on_response_headers" = {}, "proxy_record_metric" = {},
            "proxy_remove_header_map_value" = {}, "proxy_replace_header_map_value" = {},
            "proxy_send_local_response" = {}, "proxy_set_effective_context" = {}, "proxy_set_property" = {},
            "proxy_set_shared_data" = {}, "random_get" = {}
          }
        }
        Configuration = <<-EOF
          {
            "client_address": {"ipv6_prefix": 64, "trusted_hops": 0},
            "limits": [
              {
                "key": [{"header": "x-user-id"}],
                "match": {"paths": [{"prefix": "/api"}]},
                "name": "per-user",
                "on_missing": "skip",
                "quotas": [{"burst": 3, "per": "30s", "requests": 3}]
              },
              {
                "count_when": {"status": [401, 403]},
                "key": ["source"],
                "match": {"paths": [{"exact": "/login"}]},
                "name": "login-guessing",
                "quotas": [{"per": "10m", "requests": 5}]
              },
              {
                "cost": {"json_field": "usage.total_tokens"},
                "key": [{"header": "x-user-id"}],
                "match": {"paths": [{"prefix": "/v1/chat"}]},
                "name": "tokens",
                "quotas": [{"per": "1m", "requests": 60}, {"per": "1h", "units": 100000}]
              },
              {
                "concurrency": {"expire": "5m", "max": 4},
                "key": [{"header": "x-tenant"}],
                "match": {"paths": [{"prefix": "/export"}]},
                "name": "parallel-exports"
              }
            ],
            "on_error": "deny",
            "reply": {"headers": "draft_11", "problem_json": true},
            "table": {"max_keys": 65536, "on_full": "deny"}
          }
        EOF
      }
    }
  }
]
