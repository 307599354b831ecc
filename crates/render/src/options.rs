//! What a manifest is made for, beside the configuration.

use std::collections::BTreeMap;
use std::fmt;

use crate::form::Form;

/// What a manifest is made for.
#[derive(Debug, Clone)]
pub struct Options {
    /// For which host, and in which of its forms.
    pub form: Form,
    /// What the plugin is called: in logs, in the host's resource, and in the name of the memory that workers share. Two
    /// plugins of one filter need two names. Without one, the filter's.
    pub name: Option<String>,
    /// Where the module comes from; without one, from where the form's documentation says.
    pub module: Option<Module>,
    /// The namespace, where the host has them; without one, that of the examples.
    pub namespace: Option<String>,
    /// The labels (Istio), or the one name (Consul's service, Envoy Gateway's route), of what is to run the filter.
    pub workload: BTreeMap<String, String>,
    /// Where the clusters are that configurations name.
    pub clusters: BTreeMap<String, Place>,
    /// The variables that the module reads secrets from, where they are given in the manifest; those that are not, are
    /// taken from the proxy's own environment.
    pub variables: BTreeMap<String, String>,
    /// What the manifest's file is called, for the comment that says how it is used.
    pub file: Option<String>,
    /// Further comment lines, without marks.
    pub notes: String,
}

impl Options {
    /// What the files under `envoy-config/` are made with.
    #[must_use]
    pub fn new(form: Form) -> Self {
        Self {
            form,
            name: None,
            module: None,
            namespace: None,
            workload: BTreeMap::new(),
            clusters: BTreeMap::new(),
            variables: BTreeMap::new(),
            file: None,
            notes: String::new(),
        }
    }
}

/// Where a module comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Module {
    /// A file that the proxy can read.
    File(String),
    /// A server, and the digest of what it must send: SHA-256 in lower-case hexadecimal.
    Http {
        /// `http://…` or `https://…`
        url: String,
        /// Of the module.
        sha256: String,
    },
    /// An image in a registry, and its digest.
    Image {
        /// `registry.example.com/tidegate/auth:0.1.0`
        reference: String,
        /// Of the image's manifest.
        sha256: String,
    },
}

impl Module {
    /// A path, `file://`, `http://`, `https://` or `oci://`; the digest, where the module is fetched.
    #[must_use]
    pub fn at(place: &str, sha256: Option<&str>) -> Self {
        let sha256 = sha256.unwrap_or(UNKNOWN_DIGEST).to_owned();
        match place.split_once("://") {
            Some(("http" | "https", _)) => Self::Http { url: place.to_owned(), sha256 },
            Some(("oci", reference)) => Self::Image { reference: reference.to_owned(), sha256 },
            Some(("file", path)) => Self::File(path.to_owned()),
            _ => Self::File(place.to_owned()),
        }
    }
}

impl Module {
    /// The server that it is fetched from; nothing where it is not, or where the address names none.
    pub(crate) fn server(&self) -> Option<Place> {
        let Self::Http { url, .. } = self else { return None };
        Place::of_url(url)
    }
}

/// Stands where a digest belongs and none was given: no module has it, so none is loaded.
pub const UNKNOWN_DIGEST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Where a cluster is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether it is spoken to over TLS.
    pub tls: bool,
}

impl Place {
    /// `HOST:PORT`, or `https://HOST[:PORT]` for TLS.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (tls, rest) = match text.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("http://").unwrap_or(text)),
        };
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None if tls => (rest, 443),
            None => return None,
        };
        let usable = |c: char| c.is_ascii_alphanumeric() || ".-_[]:".contains(c);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (!host.is_empty() && host.chars().all(usable)).then(|| Self { host: host.to_owned(), port, tls })
    }

    /// Where an `http://` or `https://` address leads.
    pub(crate) fn of_url(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?']).next()?;
        match (Self::parse(authority), scheme) {
            (Some(place), _) => Some(Self { tls: scheme == "https", ..place }),
            (None, "https") => Self::parse(&format!("https://{authority}")),
            (None, _) => Self::parse(&format!("{authority}:80")),
        }
    }

    /// Whether it is an address rather than a name that is looked up.
    pub(crate) fn is_address(&self) -> bool {
        self.host.parse::<std::net::IpAddr>().is_ok()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}
