# The backend by what a request is, with changes on the way.
#
#   consul config write envoy-config/consul/header-routing-remote.hcl
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
        Name   = "header-routing"
        RootID = "header-routing"
        VmConfig = {
          # Shared data belongs to this id: keep it different for each plugin.
          VmID    = "tidegate.header-routing"
          Runtime = "v8"
          Code = {
            Remote = {
              # The service `modules` must be an upstream of this one.
              HttpURI = { Service = { Name = "modules" }, URI = "http://modules.service.consul/tidegate_header_routing.wasm", Timeout = "30s" }
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
            "proxy_on_delete" = {}, "proxy_on_http_call_response" = {}, "proxy_on_request_body" = {},
            "proxy_on_request_headers" = {}, "proxy_on_request_trailers" = {},
            "proxy_on_response_headers" = {}, "proxy_record_metric" = {},
            "proxy_remove_header_map_value" = {}, "proxy_replace_header_map_value" = {},
            "proxy_send_local_response" = {}, "proxy_set_effective_context" = {}, "proxy_set_property" = {},
            "random_get" = {}
          }
        }
        Configuration = <<-EOF
          {
            "default": {"route": "stable"},
            "route_header": "x-tidegate-route",
            "rules": [
              {
                "match": {"headers": [{"exact": "1", "name": "x-beta"}]},
                "name": "beta-testers",
                "not": {"headers": [{"name": "x-opt-out", "present": true}]},
                "route": "beta"
              },
              {
                "match": {"paths": [{"prefix": "/cart"}]},
                "name": "canary",
                "split": {
                  "by": [{"header": "x-user-id"}, {"cookie": "sid"}],
                  "issue_cookie": {"max_age": "7d", "name": "tg_canary"},
                  "to": [{"route": "beta", "weight": 5}, {"route": "stable", "weight": 95}]
                }
              },
              {
                "match": {"paths": [{"template": "/v1/users/{id}"}]},
                "name": "old-api",
                "remove_query": ["debug"],
                "rewrite": {"path": "/v2/users/{id}"},
                "set_headers": {"x-api-version": "1", "x-user": "{id}"}
              },
              {
                "match": {"paths": [{"exact": "/legacy"}]},
                "name": "gone",
                "redirect": {"location": "https://docs.example.com/legacy", "status": 308}
              },
              {
                "match": {"paths": [{"prefix": "/down"}]},
                "name": "maintenance",
                "reply": {"body": "back soon\n", "headers": {"retry-after": "60"}, "status": 503}
              }
            ]
          }
        EOF
      }
    }
  }
]
