# The backend by what a request is, with changes on the way.
#
#   consul config write envoy-config/consul/header-routing-outbound.hcl
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
        Name   = "header-routing"
        RootID = "header-routing"
        VmConfig = {
          # Shared data belongs to this id: keep it different for each plugin.
          VmID    = "tidegate.header-routing"
          Runtime = "v8"
          Code = { Local = { Filename = "/var/lib/tidegate/tidegate_header_routing.wasm" } }
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
