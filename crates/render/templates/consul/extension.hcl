EnvoyExtensions = [
  {
    Name = "builtin/wasm"
    # {{required_why}}
    Required = {{required}}
    Arguments = {
      # That of the service. Where they differ, Consul leaves the filter out and says nothing; of grpc and http2 it takes none.
      Protocol     = "http"
      ListenerType = "{{direction}}"
      PluginConfig = {
        Name   = "{{name}}"
        RootID = "{{name}}"
        VmConfig = {
          # Shared data belongs to this id: keep it different for each plugin.
          VmID    = "tidegate.{{name}}"
          Runtime = "v8"
          {{code}}
          {{environment}}
        }
        # All that the module may ask of Envoy, and be told by it: one that was exchanged for another could do no more.
        CapabilityRestrictionConfiguration = {
          AllowedCapabilities = {
            {{capabilities}}
          }
        }
        Configuration = <<-EOF
          {{configuration}}
        EOF
      }
    }
  }
]
