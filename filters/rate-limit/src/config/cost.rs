//! What a request costs.

use tidegate_config::{Cursor, Decode, HeaderName};
use tidegate_matchers::request_header;

use crate::usage::JsonPath;

/// What a request costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) source: CostSource,
    /// What an absent or unusable cost counts as.
    default: u64,
    /// What one request can cost at most.
    max: u64,
}

/// Where the cost is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CostSource {
    Fixed,
    RequestHeader(HeaderName),
    ResponseHeader(HeaderName),
    /// Fields of a response's body, added up.
    JsonField(Vec<JsonPath>),
}

/// A cost, and whether it had to be made up: absent, no number, or above the most that one request can cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Measured {
    pub(crate) units: u64,
    pub(crate) faulty: bool,
}

/// Beyond it a number is a mistake.
const MOST: u64 = 1_000_000_000_000;

impl Default for Cost {
    /// Each request is one unit.
    fn default() -> Self {
        Self { source: CostSource::Fixed, default: 1, max: MOST }
    }
}

impl Cost {
    /// Whether the cost becomes known only from the response.
    pub(crate) fn is_late(&self) -> bool {
        matches!(self.source, CostSource::ResponseHeader(_) | CostSource::JsonField(_))
    }

    /// The cost that does not depend on the request.
    pub(crate) fn fixed(&self) -> u64 {
        self.default
    }

    /// The cost out of a header's values: exactly one, a decimal integer.
    pub(crate) fn of_header<'v>(&self, mut values: impl Iterator<Item = &'v [u8]>) -> Measured {
        let number = match (values.next(), values.next()) {
            (Some(only), None) => decimal(only.trim_ascii()),
            _ => None,
        };
        self.of_number(number)
    }

    /// The cost out of a number, if one was found.
    pub(crate) fn of_number(&self, number: Option<u64>) -> Measured {
        match number {
            None => Measured { units: self.default, faulty: true },
            Some(units) => Measured { units: units.min(self.max), faulty: units > self.max },
        }
    }
}

/// A decimal integer without sign; one too large for 64 bits is as good as the largest.
fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = text.iter().map(|digit| u64::from(digit - b'0'));
    Some(digits.fold(0_u64, |number, digit| number.saturating_mul(10).saturating_add(digit)))
}

impl Decode for Cost {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        const KEYS: [&str; 4] = ["fixed", "request_header", "response_header", "json_field"];
        let most = i64::try_from(MOST).unwrap_or(i64::MAX);
        let mut object = cursor.object()?;
        let variant = object.one_of(&KEYS);
        let (mut default, mut max) = (Some(None), Some(None));
        if variant.as_ref().is_none_or(|variant| variant.key != "fixed") {
            default = object.get("default").map_or(Some(None), |cursor| cursor.integer(0, most).map(Some));
            max = object.get("max").map_or(Some(None), |cursor| cursor.integer(1, most).map(Some));
        }
        object.finish();
        let variant = variant?;
        // A request that hides its cost is not free; a response without one did not say that it cost anything.
        let (source, otherwise) = match variant.key {
            "fixed" => (CostSource::Fixed, variant.cursor.integer(1, most)?),
            "request_header" => (CostSource::RequestHeader(request_header(variant.cursor)?), 1),
            "response_header" => (CostSource::ResponseHeader(variant.cursor.decode()?), 0),
            _ => (CostSource::JsonField(JsonPath::one_or_several(variant.cursor)?), 0),
        };
        Some(Self {
            source,
            default: default?.unwrap_or(otherwise).unsigned_abs(),
            max: max?.map_or(MOST, i64::unsigned_abs),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_cost_counts_as_the_default_and_as_a_fault() {
        let cost: Cost =
            tidegate_config::decode(br#"{"request_header": "x-cost", "default": 7, "max": 100}"#).unwrap();
        let of = |values: &[&str]| {
            let Measured { units, faulty } = cost.of_header(values.iter().map(|value| value.as_bytes()));
            (units, faulty)
        };
        assert_eq!(of(&["5"]), (5, false));
        assert_eq!(of(&[" 5 "]), (5, false));
        assert_eq!(of(&["0"]), (0, false));
        assert_eq!(of(&["100"]), (100, false));
        for huge in ["101", "99999999999999999999999999999999"] {
            assert_eq!(of(&[huge]), (100, true), "{huge}");
        }
        for unusable in
            [&[][..], &[""], &["-1"], &["+1"], &["1.0"], &["1e3"], &["five"], &["5", "5"], &["0x5"]]
        {
            assert_eq!(of(unusable), (7, true), "{unusable:?}");
        }
    }
}
