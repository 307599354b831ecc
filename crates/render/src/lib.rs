//! Manifests for every host, made from filter configurations.
//!
//! A [`Configuration`] is a filter's own text, checked by the filter's own code; [`Options`] say for which host and form,
//! and where things are; [`render`] puts both into a template of `templates/`, comments included. [`tree()`] is everything
//! below `envoy-config/`, which `cargo xtask render --all` writes and `cargo xtask lint` holds against what is there.
//!
//! Decides nothing about requests, and reads no file but in [`tree()`].

mod capabilities;
mod checks;
mod configuration;
mod consul;
mod envoy;
mod envoy_gateway;
mod error;
mod filter;
mod form;
mod istio;
mod json;
mod linkerd;
mod manifest;
mod options;
mod stats;
mod template;
mod tree;
mod yaml;

pub use capabilities::{NOT_EVERY_FILTERS, capabilities};
pub use configuration::{Called, Configuration};
pub use envoy::bootstrap;
pub use error::Error;
pub use filter::Filter;
pub use form::{Form, Host};
pub use istio::{clusters as istio_clusters, stats as istio_stats};
pub use manifest::{Manifest, render};
pub use options::{Module, Options, Place, UNKNOWN_DIGEST};
pub use stats::{envoy_stats, istio_extra_tags, istio_prefixes, istio_warnings};
pub use template::TemplateError;
pub use tree::{Broken, LINKERD_SOURCES, SOURCES, Tree, tree};
