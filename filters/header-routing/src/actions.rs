//! What a rule does with a request.

use tidegate_config::{Cursor, Duration, HeaderName, HeaderValue, Name, Object};
use tidegate_filter_api::{GrpcStatus, LocalReply};

use crate::edits::{self, Edits, FieldName, Keys};
use crate::redirect::Redirect;
use crate::rewrite::Rewrite;
use crate::split::Split;
use crate::value::{Captures, Source, Value};

/// What a rule does with a request.
#[derive(Debug)]
pub(crate) struct Actions {
    /// What telemetry is told in the place of the rule's name, which it is told only if the configuration asks.
    pub(crate) mark: Option<Name>,
    pub(crate) way: Way,
}

/// Whether a request goes on.
#[derive(Debug)]
pub(crate) enum Way {
    /// It goes on, somewhere and changed somehow.
    Forward(Box<Forward>),
    /// It is answered with where to go instead.
    Redirect(Redirect),
    /// It is answered.
    Reply(Reply),
}

/// Where a request goes on to, and how it is changed.
#[derive(Debug, Default)]
pub(crate) struct Forward {
    pub(crate) choice: Option<Choice>,
    pub(crate) fallback: Option<Fallback>,
    pub(crate) rewrite: Option<Rewrite>,
    pub(crate) headers: Edits,
    pub(crate) query: Edits,
    pub(crate) cookies: Edits,
}

/// How the route is chosen.
#[derive(Debug)]
pub(crate) enum Choice {
    Route(Name),
    Split(Split),
}

/// The route instead of one that leads nowhere.
#[derive(Debug)]
pub(crate) struct Fallback {
    pub(crate) route: Name,
    /// How long it is believed that a route leads nowhere, or somewhere.
    pub(crate) believed: Duration,
    /// The path of a request by which it is found out whether the cluster with the route's name is there.
    pub(crate) probe: Option<String>,
}

/// `reply: {status, headers, body}`
#[derive(Debug)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(HeaderName, Value)>,
    body: String,
}

/// A value, built from a request, that cannot stand where it should: the request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadValue;

/// How the keys begin that make a request go on; what begins otherwise is no action or an answer.
const FORWARDING: [&str; 8] =
    ["route", "split", "fallback", "rewrite", "remove_", "rename_", "set_", "append_"];

const HEADERS: Keys =
    Keys { remove: "remove_headers", rename: "rename_headers", set: "set_headers", append: "append_headers" };
const QUERY: Keys =
    Keys { remove: "remove_query", rename: "rename_query", set: "set_query", append: "append_query" };
const COOKIES: Keys =
    Keys { remove: "remove_cookies", rename: "rename_cookies", set: "set_cookies", append: "append_cookies" };

impl Actions {
    /// Decodes the keys of a rule that say what it does.
    pub(crate) fn decode(
        object: &mut Object<'_>,
        rule: &str,
        captures: &Captures,
        route_header: Option<&HeaderName>,
    ) -> Option<Self> {
        let keys = object.cursor().keys();
        let forwards = keys.iter().find(|key| FORWARDING.iter().any(|start| key.starts_with(start)));
        let mark = object.optional::<Name>("mark");
        let mut forward = Box::<Forward>::default();
        let fine = forward.fill(object, rule, captures, route_header);
        let answer = object.at_most_one_of(&["redirect", "reply"])?;
        let way = match (answer, forwards) {
            (Some(answer), Some(key)) => object.cursor().expected_found(
                format_args!("nothing beside \"{}\", since the request goes no further", answer.key),
                format_args!("\"{key}\""),
            ),
            (Some(answer), None) if answer.key == "reply" => {
                Reply::decode(answer.cursor, captures).map(Way::Reply)
            }
            (Some(answer), None) => Redirect::decode(answer.cursor, captures).map(Way::Redirect),
            (None, None) if !keys.contains(&"mark") => object.cursor().expected_found(
                "an action: \"route\", \"split\", \"rewrite\", \"redirect\", \"reply\", \"mark\" or an edit such as \
                 \"set_headers\"",
                "none",
            ),
            (None, _) => fine.then_some(Way::Forward(forward)),
        };
        Some(Self { mark: mark?, way: way? })
    }

    /// Where the request goes on to, if it does.
    pub(crate) fn forward(&self) -> Option<&Forward> {
        match &self.way {
            Way::Forward(forward) => Some(forward),
            Way::Redirect(_) | Way::Reply(_) => None,
        }
    }
}

impl Forward {
    /// Decodes the keys, in place. False after something wrong was reported.
    fn fill(
        &mut self,
        object: &mut Object<'_>,
        rule: &str,
        captures: &Captures,
        route_header: Option<&HeaderName>,
    ) -> bool {
        let chosen = object.at_most_one_of(&["route", "split"]);
        let mut fine = chosen.is_some();
        let chosen = chosen.flatten();
        if let Some(variant) = &chosen {
            self.choice = match variant.key {
                "route" => variant.cursor.decode().map(Choice::Route),
                _ => Split::decode(variant.cursor, rule).map(Choice::Split),
            };
            fine &= self.choice.is_some();
        }
        fine &= object.fill("fallback", &mut self.fallback, |cursor| {
            if chosen.is_none() && fine {
                return cursor.expected_found("a \"route\" or \"split\" beside it", "neither");
            }
            let fallback = Fallback::decode(cursor)?;
            if matches!(&self.choice, Some(Choice::Route(route)) if *route == fallback.route) {
                return cursor.expected_found(
                    "another route than that which it stands in for",
                    format_args!("\"{}\"", fallback.route),
                );
            }
            Some(Some(fallback))
        });
        fine &=
            object.fill("rewrite", &mut self.rewrite, |cursor| Rewrite::decode(cursor, captures).map(Some));
        fine &= self.headers.fill(object, &HEADERS, captures, &|cursor, text| {
            edits::header_name(cursor, text, route_header).map(FieldName::Header)
        });
        fine &= self.query.fill(object, &QUERY, captures, &edits::parameter_name);
        fine &= self.cookies.fill(object, &COOKIES, captures, &|cursor, text| {
            edits::cookie_name(cursor, text).map(FieldName::Other)
        });
        fine
    }
}

impl Fallback {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        const BELIEVED: Duration = Duration::from_secs(10);
        if !cursor.is_object() {
            return Some(Self { route: cursor.decode()?, believed: BELIEVED, probe: None });
        }
        let mut object = cursor.object()?;
        let route = object.required("route");
        let believed = object.or("for", BELIEVED);
        let probe = object.get("probe").map_or(Some(None), |cursor| {
            let mut probe = cursor.object()?;
            let path = probe.require("path").and_then(|cursor| {
                let path = cursor
                    .as_str()
                    .filter(|path| path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()));
                path.map(str::to_owned).or_else(|| cursor.expected("a path starting with \"/\""))
            });
            probe.finish();
            path.map(Some)
        });
        object.finish();
        Some(Self { route: route?, believed: believed?, probe: probe? })
    }
}

impl Reply {
    fn decode(cursor: Cursor<'_>, captures: &Captures) -> Option<Self> {
        let mut object = cursor.object()?;
        let status = object.require("status").and_then(|cursor| cursor.integer(200, 599));
        let headers = object.get("headers").map_or(Some(Vec::new()), |cursor| {
            let mut headers = Vec::new();
            let mut complete = true;
            for (text, element) in cursor.entries()? {
                match (reply_header(element, text), Value::decode(element, captures)) {
                    (Some(name), Some(value)) => headers.push((name, value)),
                    _ => complete = false,
                }
            }
            complete.then_some(headers)
        });
        let body = object.or("body", String::new());
        object.finish();
        Some(Self { status: u16::try_from(status?).ok()?, headers: headers?, body: body? })
    }

    /// The reply to a request; a header whose value is built from something absent is left out.
    pub(crate) fn reply(&self, source: &Source<'_, '_>) -> Result<LocalReply, BadValue> {
        let mut headers = Vec::new();
        for (name, value) in &self.headers {
            if let Some(value) = value.render(source) {
                headers.push((name.clone(), HeaderValue::new(value).map_err(|_| BadValue)?));
            }
        }
        Ok(LocalReply {
            status: self.status,
            grpc_status: reply_grpc_status(self.status),
            headers,
            body: self.body.clone().into(),
            details: "tidegate_routing_reply",
        })
    }
}

/// A header that a reply may have. Those that send a client elsewhere belong to a redirect, which watches over where to.
fn reply_header(cursor: Cursor<'_>, text: &str) -> Option<HeaderName> {
    let name = edits::header_name(cursor, text, None)?;
    if matches!(name.as_str(), "location" | "refresh") {
        return cursor.expected_found(
            "a header that does not send the client elsewhere (for that there is \"redirect\")",
            format_args!("\"{text}\""),
        );
    }
    Some(name)
}

/// What a reply's HTTP status is to a gRPC client, as Envoy maps it
/// (<https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>).
pub(crate) fn reply_grpc_status(status: u16) -> GrpcStatus {
    match status {
        400 => GrpcStatus::Internal,
        401 => GrpcStatus::Unauthenticated,
        403 => GrpcStatus::PermissionDenied,
        404 => GrpcStatus::Unimplemented,
        429 | 502..=504 => GrpcStatus::Unavailable,
        _ => GrpcStatus::Unknown,
    }
}
