# Requests per user, failed logins, units of what requests cost, requests at a time.
#
#   consul config write envoy-config/consul/rate-limit-outbound.hcl
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
        Name   = "rate-limit"
        RootID = "rate-limit"
        VmConfig = {
          # Shared data belongs to this id: keep it different for each plugin.
          VmID    = "tidegate.rate-limit"
          Runtime = "v8"
          Code = { Local = { Filename = "/var/lib/tidegate/tidegate_rate_limit.wasm" } }
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
