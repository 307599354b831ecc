//! Everything below `envoy-config/`: which file is made of which configuration, in which form.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::configuration::{Called, Configuration};
use crate::envoy_gateway::GATEWAY;
use crate::filter::Filter;
use crate::form::{Form, Host};
use crate::istio::PER_ROUTE_DISABLED;
use crate::manifest::render;
use crate::options::{Options, Place};
use crate::template::{Values, fill};
use crate::{Error, envoy, istio};

/// The configurations below `filters/`: each file's name, and its filter.
pub const SOURCES: [(&str, Filter); 7] = [
    ("auth", Filter::Auth),
    ("rate-limit", Filter::RateLimit),
    ("rate-limit-service", Filter::RateLimit),
    ("header-routing", Filter::HeaderRouting),
    ("telemetry", Filter::Telemetry),
    ("telemetry-otlp", Filter::Telemetry),
    ("suite", Filter::Suite),
];

/// Those that make sense behind Linkerd's proxy only.
pub const LINKERD_SOURCES: [(&str, Filter); 1] = [("auth-linkerd", Filter::Auth)];

/// The folder of the configurations, below that of the manifests.
const FILTERS: &str = "filters";

/// Files by their paths below the folder, each with its text.
pub type Tree = Vec<(PathBuf, String)>;

/// What a file of the tree could not be made of.
#[derive(Debug)]
pub struct Broken {
    /// The configuration, below the folder.
    pub file: PathBuf,
    /// What is wrong.
    pub why: String,
}

impl std::error::Error for Broken {}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.why)
    }
}

/// All files of `folder` (`envoy-config/`) as they should be; the configurations below `filters/` stand as they are.
///
/// # Errors
/// Where a configuration cannot be read, or is refused.
pub fn tree(folder: &Path) -> Result<Tree, Broken> {
    let mut files = Tree::new();
    let mut suite = None;
    let mut telemetry = Vec::new();
    for (name, filter) in SOURCES.into_iter().chain(LINKERD_SOURCES) {
        let file = PathBuf::from(FILTERS).join(format!("{name}.yaml"));
        let text = std::fs::read_to_string(folder.join(&file))
            .map_err(|error| Broken { file: file.clone(), why: error.to_string() })?;
        let broken = |error: Error| Broken { file: file.clone(), why: error.to_string() };
        let configuration = Configuration::read(&text, Some(filter), None).map_err(broken)?;
        files.push((file.clone(), text));
        manifests(name, &configuration, &mut files).map_err(broken)?;
        if filter == Filter::Suite {
            suite = Some((file, configuration));
        } else {
            telemetry.extend(configuration.telemetry);
        }
    }
    if let Some((file, suite)) = suite {
        shared(&suite, &telemetry, &mut files).map_err(|error| Broken { file, why: error.to_string() })?;
    }
    files.sort();
    Ok(files)
}

fn manifests(name: &str, configuration: &Configuration, files: &mut Tree) -> Result<(), Error> {
    for form in Form::ALL {
        let only_linkerd = LINKERD_SOURCES.iter().any(|(source, _)| *source == name);
        let file = match (form, form.host()) {
            (Form::Clusters | Form::Stats, _) => continue,
            (Form::LinkerdMesh, _) => format!("linkerd/{name}.yaml"),
            // Callers from outside have no identity in the mesh.
            (Form::LinkerdPublic, _) if !only_linkerd => format!("linkerd/{name}-public.yaml"),
            _ if only_linkerd => continue,
            (_, Host::Linkerd) => continue,
            (_, Host::Envoy) => format!("{name}.yaml"),
            (_, Host::Istio) => format!("istio/{name}/{}.yaml", form.name()),
            (Form::ServiceInbound, _) => format!("consul/{name}.hcl"),
            (_, Host::Consul) => format!("consul/{name}-{}.hcl", form.name()),
            (Form::ExtensionPolicyHttp, _) => format!("envoy-gateway/{name}.yaml"),
            (_, Host::EnvoyGateway) => format!("envoy-gateway/{name}-{}.yaml", form.name()),
        };
        let options = options(form, name, &file);
        files.push((PathBuf::from(&file), render(configuration, &options)?.text));
    }
    Ok(())
}

/// What belongs to no configuration, or to several.
fn shared(
    suite: &Configuration,
    telemetry: &[tidegate_telemetry::Config],
    files: &mut Tree,
) -> Result<(), Error> {
    let mut all = Vec::new();
    for filter in [Filter::Telemetry, Filter::Auth, Filter::RateLimit, Filter::HeaderRouting] {
        all.push(suite.part(filter)?);
    }
    if let Some(first) = all.first_mut() {
        first.about = "All four filters. Telemetry stands first so that it sees what the others refuse too; auth before rate-limit, so that\n\
            nobody uses up another's quota without a key. Their configurations are the parts of filters/suite.yaml."
            .to_owned();
    }
    let mut options = options(Form::Bootstrap, "all-filters", "all-filters.yaml");
    files.push(("all-filters.yaml".into(), envoy::bootstrap(&all, &options)?));

    let istio = Values::from([
        ("namespace", "istio-system".to_owned()),
        ("labels", "{istio: ingressgateway}".to_owned()),
    ]);
    files.push(("istio/per-route-disabled.yaml".into(), fill(PER_ROUTE_DISABLED, &istio)?));
    options.form = Form::Clusters;
    options.clusters = [
        ("collector", "otel-collector.shop.svc.cluster.local:4318"),
        ("idp", "https://id.example.com"),
        ("ratelimit", "ratelimit.shop.svc.cluster.local:8081"),
    ]
    .into_iter()
    .filter_map(|(name, place)| Some((name.to_owned(), Place::parse(place)?)))
    .collect();
    let called = |name: &str, grpc: bool, why: &str| (Called { name: name.to_owned(), grpc }, why.to_owned());
    let clusters = [
        called("ratelimit", true, "The rate limit service: filters/rate-limit-service.yaml counts with it."),
        called("collector", false, "The collector: filters/telemetry-otlp.yaml sends to it."),
        called(
            "idp",
            false,
            "The identity provider, for auth's jwks: {cluster: idp, …}: whoever answers for it decides who is who.",
        ),
    ];
    files.push(("istio/clusters.yaml".into(), istio::clusters(&clusters, &options)?));
    let telemetry: Vec<_> = telemetry.iter().chain(&suite.telemetry).collect();
    options.notes = "For filters/telemetry.yaml, telemetry-otlp.yaml and suite.yaml together; `cargo xtask render --to istio --form stats\n\
        FILE` prints it for a configuration of your own."
        .to_owned();
    files.push(("istio/stats.yaml".into(), istio::stats(&telemetry, &options)?));
    files.push(("envoy-gateway/gateway.yaml".into(), GATEWAY.to_owned()));
    Ok(())
}

fn options(form: Form, name: &str, file: &str) -> Options {
    let mut options = Options::new(form);
    options.file = Some(format!("envoy-config/{file}"));
    let places = match form.host() {
        Host::Envoy | Host::Consul => [("ratelimit", "127.0.0.1:8081"), ("collector", "127.0.0.1:4318")],
        _ => [
            ("ratelimit", "ratelimit.shop.svc.cluster.local:8081"),
            ("collector", "otel-collector.shop.svc.cluster.local:4318"),
        ],
    };
    let backends: &[(&str, &str)] = match form.host() {
        Host::Linkerd => {
            &[("stable", "web.shop.svc.cluster.local:80"), ("beta", "web-beta.shop.svc.cluster.local:80")]
        }
        _ => &[],
    };
    options.clusters = places
        .iter()
        .chain(backends)
        .filter_map(|(name, place)| Some(((*name).to_owned(), Place::parse(place)?)))
        .collect();
    if form == Form::Bootstrap {
        options.notes = try_it(name).to_owned();
        if name == "auth" {
            options.variables.insert("HOOK_SECRET".to_owned(), "a-secret-for-this-example-only".to_owned());
        }
    }
    options
}

/// What to try with a bootstrap, and what comes of it.
fn try_it(name: &str) -> &'static str {
    match name {
        "auth" => {
            "  curl -i localhost:10000/orders                               401\n\
             \x20 curl -i -H 'x-api-key: acme-key-1' localhost:10000/orders    200\n\
             \x20 curl -i -u ops:secret localhost:10000/ops                    200"
        }
        "rate-limit" => "  curl -i -H 'x-user-id: ann' localhost:10000/api              the fourth time: 429",
        "rate-limit-service" => {
            "  curl -i -H 'x-tenant: acme' localhost:10000/api\n\nThe service listens on port 8081."
        }
        "header-routing" => {
            "  curl -H 'x-beta: 1' localhost:10000/                         answered by beta\n\
             \x20 curl -H 'x-user-id: ann' localhost:10000/cart                always by the same of both\n\
             \x20 curl localhost:10000/v1/users/7                              the backend sees /v2/users/7\n\
             \x20 curl -i localhost:10000/legacy                               308, to the documentation\n\
             \x20 curl -i localhost:10000/down                                 503, answered here"
        }
        "telemetry" => {
            "  curl -H 'x-tenant: acme' localhost:10000/users/7\n\
             \x20 curl -s localhost:9901/stats/prometheus | grep ^shop_"
        }
        "telemetry-otlp" => {
            "  curl -i -H 'x-tenant: acme' localhost:10000/users/7\n\n\
             Without a collector on port 4318 requests go on, the queues drop their oldest, and counters tell:\n\n\
             \x20 curl -s localhost:9901/stats/prometheus | grep ^tidegate_telemetry_"
        }
        "all-filters" => "\n`cargo xtask up` starts it on free ports with backends and shows what to try.",
        _ => "",
    }
}
