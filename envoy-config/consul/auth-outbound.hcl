# API keys, Basic, signed requests and tokens: who is calling, and whether they may. filters/auth/README.md has workloads and
# decision services as well.
#
#   consul config write envoy-config/consul/auth-outbound.hcl
#
# For what the service sends to others. Consul puts the filter before the router of each upstream's listener: one
# that speaks TCP would have none, and then Consul sends this sidecar nothing any more.
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
      ListenerType = "outbound"
      PluginConfig = {
        Name   = "auth"
        RootID = "auth"
        VmConfig = {
          # Shared data belongs to this id: keep it different for each plugin.
          VmID    = "tidegate.auth"
          Runtime = "v8"
          Code = { Local = { Filename = "/var/lib/tidegate/tidegate_auth.wasm" } }
          # Secrets that must be known in the clear are read from the sidecar's environment, never from the configuration.
          # Consul 1.22 takes a list of one text for the text itself and refuses it, hence a name that nothing has.
          EnvironmentVariables = { HostEnvKeys = ["HOOK_SECRET", "UNSET"] }
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
            "proxy_on_grpc_receive" = {}, "proxy_on_http_call_response" = {}, "proxy_on_request_body" = {},
            "proxy_on_request_headers" = {}, "proxy_on_request_trailers" = {}, "proxy_on_tick" = {},
            "proxy_record_metric" = {}, "proxy_remove_header_map_value" = {},
            "proxy_replace_header_map_value" = {}, "proxy_send_local_response" = {},
            "proxy_set_effective_context" = {}, "proxy_set_property" = {}, "proxy_set_shared_data" = {},
            "proxy_set_tick_period_milliseconds" = {}, "random_get" = {}
          }
        }
        Configuration = <<-EOF
          {
            "default": "deny",
            "forward": {"principal_header": "x-auth-subject", "strip_credentials": true},
            "providers": {
              "corp": {
                "jwt": {
                  "audiences": ["shop"],
                  "issuer": "https://id.example.com/",
                  "jwks": {
                    "inline": {
                      "keys": [
                        {
                          "crv": "P-256",
                          "kid": "2026-11",
                          "kty": "EC",
                          "x": "b_A7lJJBzh2t1DUZ5pYOCoW0GmmgXDKBA6orzhWUyhY",
                          "y": "PE91OlW_AdxT9sCwx-7ni0DG_30lqW4igrmJzvccFEo"
                        }
                      ]
                    }
                  }
                }
              },
              "ops": {
                "basic": {
                  "users": [{"name": "ops", "sha256": "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"}]
                }
              },
              "partners": {
                "api_key": {
                  "from": [{"header": "x-api-key"}],
                  "keys": [
                    {"id": "acme", "sha256": "904fc520be4ca9db80d0ffcc6bf7e01b4148e33d45bb6b422ad2e607815fb508"},
                    {"id": "globex", "sha256": "4b6a03e748e1d6f1cff27279c6e8b65d522432122cf1faf2654f25bcfd9cfa54"}
                  ]
                }
              },
              "webhooks": {
                "hmac": {
                  "from": {"header": "x-signature"},
                  "secret_env": "HOOK_SECRET",
                  "signed": ["method", "path", "header:date", "body_sha256"],
                  "window": "5m"
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
              {"match": {"paths": [{"prefix": "/hooks"}]}, "name": "hooks", "require": "webhooks"},
              {"match": {"paths": [{"prefix": "/ops"}]}, "name": "ops", "require": {"any_of": ["ops", "corp"]}},
              {
                "match": {"paths": [{"prefix": "/orders"}]},
                "mode": "shadow",
                "name": "next",
                "require": {"all_of": ["partners", "corp"]}
              },
              {"name": "rest", "require": {"any_of": ["partners", "corp"]}}
            ]
          }
        EOF
      }
    }
  }
]
