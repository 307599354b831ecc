//! The configuration: those of the filters, each under its name.

use tidegate_config::{Cursor, Decode};

use crate::member::Kind;

/// The filters' configurations and their order: see the module's README.
#[derive(Debug)]
pub struct Config {
    pub(crate) auth: Option<tidegate_auth::Config>,
    pub(crate) rate_limit: Option<tidegate_rate_limit::Config>,
    pub(crate) header_routing: Option<tidegate_header_routing::Config>,
    pub(crate) telemetry: Option<tidegate_telemetry::Config>,
    /// Those that are configured, in the order in which a request meets them.
    pub(crate) order: Vec<Kind>,
}

const WORDS: [(&str, Kind); 4] = [
    ("auth", Kind::Auth),
    ("rate_limit", Kind::RateLimit),
    ("header_routing", Kind::HeaderRouting),
    ("telemetry", Kind::Telemetry),
];

impl Decode for Config {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let auth = object.optional("auth");
        let rate_limit = object.optional("rate_limit");
        let header_routing = object.optional("header_routing");
        let telemetry = object.optional("telemetry");
        let configured: Vec<Kind> = WORDS
            .into_iter()
            .filter(|(word, _)| cursor.keys().contains(word))
            .map(|(_, kind)| kind)
            .collect();
        let order = object.get("order").map_or(Some(None), |cursor| order(cursor, &configured).map(Some));
        object.finish();
        if configured.is_empty() {
            return cursor.expected_found(
                "at least one of \"auth\", \"rate_limit\", \"header_routing\", \"telemetry\"",
                "none of them",
            );
        }
        Some(Self {
            auth: auth?,
            rate_limit: rate_limit?,
            header_routing: header_routing?,
            telemetry: telemetry?,
            order: order?.unwrap_or(configured),
        })
    }
}

/// Each configured filter once: one that is left out would be believed to be at work.
fn order(cursor: Cursor<'_>, configured: &[Kind]) -> Option<Vec<Kind>> {
    let decoded: Vec<Option<Kind>> = cursor.elements()?.map(|element| element.word(&WORDS)).collect();
    let order: Vec<Kind> = decoded.into_iter().collect::<Option<_>>()?;
    let once = |kind: &Kind| order.iter().filter(|other| *other == kind).count() == 1;
    if order.len() == configured.len() && configured.iter().all(once) {
        return Some(order);
    }
    let words: Vec<&str> =
        WORDS.iter().filter(|(_, kind)| configured.contains(kind)).map(|(word, _)| *word).collect();
    let found: Vec<&str> = order
        .iter()
        .filter_map(|kind| WORDS.iter().find(|(_, other)| other == kind))
        .map(|(word, _)| *word)
        .collect();
    cursor.expected_found(
        format_args!("each configured filter once: {}", words.join(", ")),
        if found.is_empty() { "none".to_owned() } else { found.join(", ") },
    )
}
