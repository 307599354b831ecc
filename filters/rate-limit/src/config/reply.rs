//! What refused requests are answered with, and what all are told of their quotas.

use tidegate_config::{Cursor, Decode, HeaderValue};

/// What refused requests are answered with, and what all are told of their quotas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Body,
    pub(crate) fields: Fields,
}

/// The body of a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    /// A line of text.
    Plain,
    /// Problem details (RFC 9457).
    Problem,
    /// A text of the configuration's own.
    Custom { text: String, content_type: Option<HeaderValue> },
}

/// Which fields tell clients of their quotas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fields {
    None,
    /// `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-11.
    Draft11,
    /// `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset`, as Envoy writes them.
    XRateLimit,
}

impl Default for Reply {
    fn default() -> Self {
        Self { status: 429, body: Body::Plain, fields: Fields::None }
    }
}

impl Decode for Reply {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let default = Self::default();
        let mut object = cursor.object()?;
        let status =
            object.get("status").map_or(Some(default.status.into()), |cursor| cursor.integer(400, 599));
        let problem = object.or("problem_json", false);
        let text = object.optional::<String>("body");
        let content_type = object.optional("content_type");
        let fields = object.get("headers").map_or(Some(default.fields), |cursor| {
            cursor.word(&[
                ("draft_11", Fields::Draft11),
                ("x_ratelimit", Fields::XRateLimit),
                ("none", Fields::None),
            ])
        });
        object.finish();
        let body = match (problem?, text?, content_type?) {
            (true, Some(_), _) => return cursor.expected_found("\"problem_json\" or \"body\"", "both"),
            (_, None, Some(_)) => return cursor.expected_found("\"body\" beside \"content_type\"", "none"),
            (true, None, None) => Body::Problem,
            (false, Some(text), content_type) => Body::Custom { text, content_type },
            (false, None, None) => Body::Plain,
        };
        Some(Self { status: u16::try_from(status?).ok()?, body, fields: fields? })
    }
}
