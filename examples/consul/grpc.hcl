# A caller of a gRPC service that is `http` to Consul, so that filters see it: its calls go out as HTTP/2. The service itself
# needs the same patch, beside its filter, with TrafficDirection = "inbound".
Kind     = "service-defaults"
Name     = "client"
Protocol = "http"
EnvoyExtensions = [
  {
    Name     = "builtin/property-override"
    Required = true
    Arguments = {
      ProxyType = "connect-proxy"
      Patches = [
        {
          ResourceFilter = { ResourceType = "cluster", TrafficDirection = "outbound" }
          Op             = "add"
          Path           = "/http2_protocol_options/max_concurrent_streams"
          Value          = 1024
        }
      ]
    }
  }
]
