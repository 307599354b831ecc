# Requests per tenant, counted for all proxies by a rate limit service: https://github.com/envoyproxy/ratelimit, with rules
# such as
#
#   domain: shop
#   descriptors:
#     - key: x-tenant
#       rate_limit: {unit: minute, requests_per_unit: 100}
#
#   consul config write envoy-config/consul/rate-limit-service-outbound.hcl
#
# For what the service sends to others. Consul puts the filter before the router of each upstream's listener: one
# that speaks TCP would have none, and then Consul sends this sidecar nothing any more.
# It calls ratelimit: name there a cluster of Consul's (`NAME.default.dc1.internal.TRUST-DOMAIN.consul`, for an upstream of
# the service), or add one of your own to proxy-defaults, as the proxy-defaults form of this does.
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
            "global": {"cluster": "ratelimit", "domain": "shop", "on_error": "allow", "timeout": "20ms"},
            "limits": [
              {
                "global": true,
                "key": [{"header": "x-tenant"}],
                "name": "per-tenant",
                "quotas": [{"per": "1m", "requests": 1000}]
              }
            ],
            "reply": {"headers": "draft_11", "problem_json": true}
          }
        EOF
      }
    }
  }
]
