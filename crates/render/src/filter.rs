//! The filters: what each is called where, and what a configuration of it is decoded with.

use tidegate_config::{Environment, Errors, decode_in};

/// One of Tidegate's filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Filter {
    /// Who, and whether.
    Auth,
    /// How many.
    RateLimit,
    /// Where to.
    HeaderRouting,
    /// What happened.
    Telemetry,
    /// All of this in one module.
    Suite,
}

impl Filter {
    /// All of them, in the order in which a request meets them where each is a module of its own; the suite last.
    pub const ALL: [Self; 5] =
        [Self::Telemetry, Self::Auth, Self::RateLimit, Self::HeaderRouting, Self::Suite];

    /// As in file names, plugin names and on the command line: `rate-limit`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::RateLimit => "rate-limit",
            Self::HeaderRouting => "header-routing",
            Self::Telemetry => "telemetry",
            Self::Suite => "suite",
        }
    }

    /// The filter of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|filter| filter.name() == name)
    }

    /// The file of its module: `tidegate_rate_limit.wasm`.
    #[must_use]
    pub fn module_file(self) -> String {
        format!("tidegate_{}.wasm", self.name().replace('-', "_"))
    }

    /// Whether what it does must not be left undone: requests are then refused rather than let through.
    pub(crate) fn must_decide(self) -> bool {
        self != Self::Telemetry
    }

    /// Keys of its configuration's first level that no other filter has.
    pub(crate) fn own_keys(self) -> &'static [&'static str] {
        match self {
            Self::Auth => &["providers", "ambiguous_paths", "forward"],
            Self::RateLimit => &["limits", "table", "global"],
            Self::HeaderRouting => &["route_header", "trust_route_header"],
            Self::Telemetry => &["metrics", "access_log", "trace", "preset", "resource"],
            Self::Suite => &["auth", "rate_limit", "header_routing", "telemetry", "order"],
        }
    }

    /// What the filter itself says of a configuration.
    pub(crate) fn check(self, document: &[u8], environment: &Environment<'_>) -> Result<(), Errors> {
        match self {
            Self::Auth => decode_in::<tidegate_auth::Config>(document, environment).map(drop),
            Self::RateLimit => decode_in::<tidegate_rate_limit::Config>(document, environment).map(drop),
            Self::HeaderRouting => {
                decode_in::<tidegate_header_routing::Config>(document, environment).map(drop)
            }
            Self::Telemetry => decode_in::<tidegate_telemetry::Config>(document, environment).map(drop),
            Self::Suite => decode_in::<tidegate_suite::Config>(document, environment).map(drop),
        }
    }
}
