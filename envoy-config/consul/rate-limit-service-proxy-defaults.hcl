# Requests per tenant, counted for all proxies by a rate limit service: https://github.com/envoyproxy/ratelimit, with rules
# such as
#
#   domain: shop
#   descriptors:
#     - key: x-tenant
#       rate_limit: {unit: minute, requests_per_unit: 100}
#
#   consul config write envoy-config/consul/rate-limit-service-proxy-defaults.hcl
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
        "cluster_name": "ratelimit",
        "endpoints": [
          {
            "lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 8081}}}}]
          }
        ]
      },
      "name": "ratelimit",
      "type": "STATIC",
      "typed_extension_protocol_options": {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
          "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
          "explicit_http_config": {"http2_protocol_options": {}}
        }
      }
    }
  EOF
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
