//! What is not read but made out: conditions, claims, what went wrong, where the proxy is.

use std::borrow::Cow;

use tidegate_filter_api::Property;

use super::{Value, View, borrowed, known};
use crate::attribute::response_flags;
use crate::config::when::When;

impl View<'_> {
    /// Whether conditions hold. The cheap ones are looked at first.
    pub(crate) fn satisfies(&self, when: &When) -> bool {
        let status = |statuses: &tidegate_matchers::StatusMatch| {
            self.status().is_some_and(|status| statuses.matches(status))
        };
        when.status.as_ref().is_none_or(status)
            && when.duration.is_none_or(|bounds| self.nanos().is_some_and(|nanos| bounds.hold(nanos)))
            && when.sample.is_none_or(|sampling| sampling.takes(self.sampled_by()))
            && (when.grpc_status.is_empty()
                || self.grpc_number().is_some_and(|number| when.grpc_status.contains(&number)))
            && (when.request.is_empty() || when.request.matches(self.facts()))
            && (when.any.is_empty() || when.any.iter().any(|any| self.satisfies(any)))
            && !when.not.as_ref().is_some_and(|not| self.satisfies(not))
    }

    pub(super) fn claim(&self, name: &str) -> Value<'_> {
        let claims = self.claims.get_or_init(|| self.now.kept.claims(self.host));
        let Some(claim) = claims.as_ref().and_then(|claims| claims.get(name)) else { return Value::Nothing };
        match claim {
            serde_json::Value::Null => Value::Nothing,
            serde_json::Value::String(text) => borrowed(text.as_bytes()),
            serde_json::Value::Bool(true) => borrowed(b"true"),
            serde_json::Value::Bool(false) => borrowed(b"false"),
            // What is no whole number above zero has no place in a label.
            serde_json::Value::Number(number) => number.as_u64().map_or(Value::Several, Value::Number),
            serde_json::Value::Array(list) => match list.as_slice() {
                [serde_json::Value::String(text)] => borrowed(text.as_bytes()),
                [] => Value::Nothing,
                _ => Value::Several,
            },
            serde_json::Value::Object(_) => Value::Several,
        }
    }

    pub(super) fn error_type(&self) -> Value<'_> {
        match self.status() {
            Some(status) if status < 500 => Value::Nothing,
            Some(status) => Value::Number(status.into()),
            None => match self.flags() {
                Value::Nothing => known(Some("_OTHER")),
                flags => flags,
            },
        }
    }

    pub(super) fn flags(&self) -> Value<'_> {
        match self.number(Property::RESPONSE_FLAGS).and_then(response_flags) {
            Some(flags) => Value::Text(Cow::Owned(flags.into_bytes())),
            None => Value::Nothing,
        }
    }

    /// `region/zone/sub_zone` of the proxy, as far as it was told.
    pub(super) fn locality(&self) -> Value<'_> {
        let read = || {
            let parts = [Property::NODE_REGION, Property::NODE_ZONE, Property::NODE_SUB_ZONE]
                .map(|property| self.host.property(property).unwrap_or_default());
            let known = parts.iter().rposition(|part| !part.is_empty())?;
            Some(parts.get(..=known)?.join(&b'/'))
        };
        self.around.locality.get_or_init(read).as_deref().map_or(Value::Nothing, borrowed)
    }
}
