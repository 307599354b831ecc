//! Ten, a thousand and ten thousand rules of each kind, beside the same as Envoy's routes and as RBAC policies.
//!
//! The load goes to the first rule, to the last and to none in turn; the first and the last lead to `beta`.

use serde_json::{Value, json};

use super::header_routing::chosen_route;
use super::{native, request};
use crate::bench::case::{Case, Expected, HttpFilter, Setup, answering};
use crate::bench::load::{Load, Request};

const SIZES: [usize; 3] = [10, 1_000, 10_000];

/// What rules look at.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Exact,
    Prefix,
    Template,
    Regex,
    /// Each of the others in turn, and a header.
    Mixed,
}

const KINDS: [(&str, Kind); 5] = [
    ("exact", Kind::Exact),
    ("prefix", Kind::Prefix),
    ("template", Kind::Template),
    ("regex", Kind::Regex),
    ("mixed", Kind::Mixed),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (word, kind) in KINDS {
        for size in SIZES {
            let name = format!("header-routing/rules/{word}/{size}");
            let about = format!("{size} rules ({word}): the first, the last and none in turn");
            let load = load(kind, &["first", "last", "none"]);
            cases.extend(pair(&name, &about, kind, size, load));
            if kind == Kind::Exact {
                cases.push(policies(&format!("{name}/rbac"), size));
            }
        }
    }
    for place in ["first", "last", "none"] {
        let name = format!("header-routing/rules/exact/10000/{place}");
        let about = format!("10000 rules (exact), always {place}");
        cases.extend(pair(&name, &about, Kind::Exact, 10_000, load(Kind::Exact, &[place])));
    }
    cases
}

/// A case and its native counterpart.
fn pair(name: &str, about: &str, kind: Kind, size: usize, load: Load) -> [Case; 2] {
    let native = format!("{name}/routes");
    let routes = move || Setup {
        routes: (0..size).map(|number| route(kind, number, size)).collect(),
        ..Setup::default()
    };
    let ours = move || Setup { routes: vec![chosen_route()], ..Setup::of(filter(kind, size)) };
    let checked = |case: Case| {
        case.check("the first rule leads to the other route", to(kind, "first"), Expected::Body("beta"))
            .check("so does the last", to(kind, "last"), Expected::Body("beta"))
            .check("no rule does not", to(kind, "none"), Expected::Body("stable"))
            .on_demand()
    };
    [
        checked(Case::new(name, about, load.clone(), ours)).counted_by("matched").native(&native),
        checked(Case::new(&native, &format!("{about}, as Envoy's routes"), load, routes)),
    ]
}

fn policies(name: &str, size: usize) -> Case {
    let setup = move || {
        let policies: serde_json::Map<String, Value> = (0..size)
            .map(|number| {
                let path = json!({"path": {"exact": format!("/exact/{}", id(number, size))}});
                // Policies are tried in the order of their names.
                let policy = json!({"permissions": [{"url_path": path}], "principals": [{"any": true}]});
                (format!("rule-{number:05}"), policy)
            })
            .collect();
        let rules = json!({"rules": {"action": "ALLOW", "policies": policies}});
        Setup::of(native("rbac", "rbac.v3.RBAC", rules))
    };
    let about = format!("{size} RBAC policies (exact): the first and the last in turn");
    Case::new(name, &about, load(Kind::Exact, &["first", "last"]), setup)
        .check("the last policy allows", to(Kind::Exact, "last"), Expected::Status(200))
        .check("none does not", to(Kind::Exact, "none"), Expected::Status(403))
        .on_demand()
}

fn load(kind: Kind, places: &[&str]) -> Load {
    let requests = places.iter().map(|place| to(kind, place)).collect();
    Load { requests, ..Load::of(request()) }
}

/// A request to one rule. Those to the first and the last are the same whatever the size, so that all sizes are compared
/// with one baseline.
fn to(kind: Kind, id: &str) -> Request {
    let path = match kind {
        // The first rule is of the first kind, and the last of the last: a header.
        Kind::Exact => format!("/exact/{id}"),
        Kind::Mixed if id == "first" => format!("/exact/{id}"),
        Kind::Mixed => return Request { path: "/api/x".to_owned(), ..request() }.with("x-rule", id),
        Kind::Prefix => format!("/prefix/{id}/items/42"),
        Kind::Template => format!("/users/42/{id}"),
        Kind::Regex => format!("/users/42/r-{id}"),
    };
    Request { path, ..request() }
}

fn id(number: usize, size: usize) -> String {
    match number {
        0 => "first".to_owned(),
        _ if number + 1 == size => "last".to_owned(),
        _ => format!("rule-{number}"),
    }
}

/// The kind of one rule of a mixed list: 0 to 3, and 4 for a header, which the last rule is.
fn mixed(number: usize) -> Option<Kind> {
    match number % 5 {
        0 => Some(Kind::Exact),
        1 => Some(Kind::Prefix),
        2 => Some(Kind::Template),
        3 => Some(Kind::Regex),
        _ => None,
    }
}

fn filter(kind: Kind, size: usize) -> HttpFilter {
    let rule = |number: usize| {
        let id = id(number, size);
        let kind = if kind == Kind::Mixed { mixed(number) } else { Some(kind) };
        let paths = |path: Value| json!({"paths": [path]});
        let condition = match kind {
            Some(Kind::Exact) => paths(json!({"exact": format!("/exact/{id}")})),
            Some(Kind::Prefix) => paths(json!({"prefix": format!("/prefix/{id}")})),
            Some(Kind::Template) => paths(json!({"template": format!("/users/{{user}}/{id}")})),
            Some(Kind::Regex) => paths(json!({"regex": format!("/[a-z]+/[0-9]+/r-{id}")})),
            Some(Kind::Mixed) | None => json!({"headers": [{"name": "x-rule", "exact": id}]}),
        };
        let end = number == 0 || number + 1 == size;
        json!({"name": id, "match": condition, "route": if end { "beta" } else { "stable" }})
    };
    let rules: Vec<Value> = (0..size).map(rule).collect();
    let configuration =
        json!({"rules": rules, "default": {"route": "stable"}, "route_header": "x-tidegate-route"});
    HttpFilter::Module("header-routing", configuration)
}

fn route(kind: Kind, number: usize, size: usize) -> Value {
    let id = id(number, size);
    let kind = if kind == Kind::Mixed { mixed(number) } else { Some(kind) };
    let condition = match kind {
        Some(Kind::Exact) => json!({"path": format!("/exact/{id}")}),
        Some(Kind::Prefix) => json!({"path_separated_prefix": format!("/prefix/{id}")}),
        Some(Kind::Template) => json!({"path_match_policy": {
            "name": "envoy.path.match.uri_template.uri_template_matcher",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
                "path_template": format!("/users/{{user}}/{id}"),
            },
        }}),
        Some(Kind::Regex) => json!({"safe_regex": {"regex": format!("/[a-z]+/[0-9]+/r-{id}")}}),
        Some(Kind::Mixed) | None => {
            json!({"prefix": "/", "headers": [{"name": "x-rule", "string_match": {"exact": id}}]})
        }
    };
    let end = number == 0 || number + 1 == size;
    answering(&id, &condition, if end { "beta" } else { "stable" })
}
