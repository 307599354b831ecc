//! The hosts, and the forms in which each takes a filter.

/// What runs the filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// Envoy with a file.
    Envoy,
    /// Istio.
    Istio,
    /// Consul Connect.
    Consul,
    /// Envoy Gateway.
    EnvoyGateway,
    /// An Envoy that Linkerd meshes.
    Linkerd,
}

impl Host {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Envoy, Self::Istio, Self::Consul, Self::EnvoyGateway, Self::Linkerd];

    /// As a folder, and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Envoy => "envoy",
            Self::Istio => "istio",
            Self::Consul => "consul",
            Self::EnvoyGateway => "envoy-gateway",
            Self::Linkerd => "linkerd",
        }
    }

    /// The forms in which it takes a filter, the usual one first.
    pub fn forms(self) -> impl Iterator<Item = Form> {
        Form::ALL.into_iter().filter(move |form| form.host() == self)
    }
}

/// A kind of manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A whole file for Envoy.
    Bootstrap,
    /// Istio's `WasmPlugin`.
    WasmPlugin,
    /// Its successor, `TrafficExtension`.
    TrafficExtension,
    /// An `EnvoyFilter` that holds all, for a workload's own requests.
    EnvoyFilterInlineInbound,
    /// The same for a gateway.
    EnvoyFilterInlineGateway,
    /// An `EnvoyFilter` whose filter is delivered on its own, so that a change replaces no listener.
    EnvoyFilterEcdsInbound,
    /// The same for a gateway.
    EnvoyFilterEcdsGateway,
    /// Istio's `EnvoyFilter` with the clusters that a configuration calls.
    Clusters,
    /// What Istio must be told for telemetry's labels to arrive.
    Stats,
    /// Consul's `service-defaults`, for requests to the service.
    ServiceInbound,
    /// For requests of the service to others.
    ServiceOutbound,
    /// For requests to the service, with a module that is fetched.
    ServiceRemote,
    /// Consul's `proxy-defaults`: every service.
    ProxyDefaults,
    /// Envoy Gateway's `EnvoyExtensionPolicy`, with a module from a server.
    ExtensionPolicyHttp,
    /// The same with a module from a registry.
    ExtensionPolicyImage,
    /// An `EnvoyPatchPolicy`, with a module in a file.
    PatchPolicy,
    /// An Envoy that Linkerd meshes, for callers in the mesh: their requests pass Linkerd's proxy.
    LinkerdMesh,
    /// The same for callers from outside: theirs do not.
    LinkerdPublic,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Bootstrap,
        Self::WasmPlugin,
        Self::TrafficExtension,
        Self::EnvoyFilterInlineInbound,
        Self::EnvoyFilterInlineGateway,
        Self::EnvoyFilterEcdsInbound,
        Self::EnvoyFilterEcdsGateway,
        Self::Clusters,
        Self::Stats,
        Self::ServiceInbound,
        Self::ServiceOutbound,
        Self::ServiceRemote,
        Self::ProxyDefaults,
        Self::ExtensionPolicyHttp,
        Self::ExtensionPolicyImage,
        Self::PatchPolicy,
        Self::LinkerdMesh,
        Self::LinkerdPublic,
    ];

    /// As on the command line and, for Istio, in file names.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bootstrap => "bootstrap",
            Self::WasmPlugin => "wasmplugin",
            Self::TrafficExtension => "trafficextension",
            Self::EnvoyFilterInlineInbound => "envoyfilter-inline-inbound",
            Self::EnvoyFilterInlineGateway => "envoyfilter-inline-gateway",
            Self::EnvoyFilterEcdsInbound => "envoyfilter-ecds-inbound",
            Self::EnvoyFilterEcdsGateway => "envoyfilter-ecds-gateway",
            Self::Clusters => "clusters",
            Self::Stats => "stats",
            Self::ServiceInbound => "inbound",
            Self::ServiceOutbound => "outbound",
            Self::ServiceRemote => "remote",
            Self::ProxyDefaults => "proxy-defaults",
            Self::ExtensionPolicyHttp => "http",
            Self::ExtensionPolicyImage => "image",
            Self::PatchPolicy => "patch",
            Self::LinkerdMesh => "mesh",
            Self::LinkerdPublic => "public",
        }
    }

    /// Whose form it is.
    #[must_use]
    pub fn host(self) -> Host {
        match self {
            Self::Bootstrap => Host::Envoy,
            Self::ServiceInbound | Self::ServiceOutbound | Self::ServiceRemote | Self::ProxyDefaults => {
                Host::Consul
            }
            Self::ExtensionPolicyHttp | Self::ExtensionPolicyImage | Self::PatchPolicy => Host::EnvoyGateway,
            Self::LinkerdMesh | Self::LinkerdPublic => Host::Linkerd,
            _ => Host::Istio,
        }
    }

    /// Whether it is for a gateway rather than for a workload of its own.
    pub(crate) fn is_gateway(self) -> bool {
        matches!(self, Self::EnvoyFilterInlineGateway | Self::EnvoyFilterEcdsGateway)
    }
}
