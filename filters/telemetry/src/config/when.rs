//! `when`: conditions on an exchange, its response among them.

use tidegate_config::{Cursor, Duration, Fraction, Object};
use tidegate_matchers::{Match, Scope, StatusMatch};

use crate::attribute::GRPC_STATUSES;
use crate::trace::Sampling;

/// Conditions that must all hold. None at all: everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct When {
    pub(crate) request: Match,
    pub(crate) status: Option<StatusMatch>,
    pub(crate) grpc_status: Vec<u64>,
    pub(crate) duration: Option<Bounds>,
    pub(crate) sample: Option<Sampling>,
    pub(crate) any: Vec<When>,
    pub(crate) not: Option<Box<When>>,
}

/// Nanoseconds, both ends inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds(u64, u64);

impl Bounds {
    pub(crate) fn hold(self, nanos: u64) -> bool {
        (self.0..=self.1).contains(&nanos)
    }
}

/// When conditions are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// When the request arrives.
    Arrival,
    /// When the exchange has ended.
    End,
}

impl When {
    pub(crate) fn decode(cursor: Cursor<'_>, moment: Moment) -> Option<Self> {
        let mut object = cursor.object()?;
        let when = Self::from_object(&mut object, moment);
        let any = object.get("any").map_or(Some(Vec::new()), |cursor| {
            not_empty(&cursor, cursor.list(|element| Self::part(element, moment))?)
        });
        let not = object
            .get("not")
            .map_or(Some(None), |cursor| Self::part(cursor, moment).map(|not| Some(Box::new(not))));
        object.finish();
        let when = Self { any: any?, not: not?, ..when? };
        if when.is_empty() {
            return cursor.expected_found("at least one condition", "none");
        }
        Some(when)
    }

    /// One of `any`, or `not`: without those two in turn.
    fn part(cursor: Cursor<'_>, moment: Moment) -> Option<Self> {
        let mut object = cursor.object()?;
        let when = Self::from_object(&mut object, moment);
        object.finish();
        let when = when?;
        if when.is_empty() {
            return cursor.expected_found("at least one condition", "none");
        }
        Some(when)
    }

    fn from_object(object: &mut Object<'_>, moment: Moment) -> Option<Self> {
        let request = Match::from_object(object, Scope::Request);
        if moment == Moment::Arrival {
            let mut fine = true;
            for key in ["status", "grpc_status", "duration", "sample"] {
                if let Some(cursor) = object.get(key) {
                    fine = false;
                    cursor.expected::<()>("a condition that is known when a request arrives");
                }
            }
            return Some(Self { request: request?, ..Self::default() }).filter(|_| fine);
        }
        let status = object.optional("status");
        let grpc_status = object.get("grpc_status").map_or(Some(Vec::new()), grpc_statuses);
        let duration = object.get("duration").map_or(Some(None), |cursor| bounds(cursor).map(Some));
        let sample: Option<Option<Fraction>> = object.optional("sample");
        Some(Self {
            request: request?,
            status: status?,
            grpc_status: grpc_status?,
            duration: duration?,
            sample: sample?.map(|share| Sampling::new(share.get())),
            any: Vec::new(),
            not: None,
        })
    }

    fn is_empty(&self) -> bool {
        self.request.is_empty()
            && self.status.is_none()
            && self.grpc_status.is_empty()
            && self.duration.is_none()
            && self.sample.is_none()
            && self.any.is_empty()
            && self.not.is_none()
    }
}

fn grpc_statuses(cursor: Cursor<'_>) -> Option<Vec<u64>> {
    let statuses = cursor.list(|element| {
        let found = GRPC_STATUSES.iter().position(|name| element.as_str() == Some(name));
        match found {
            Some(number) => u64::try_from(number).ok(),
            None => element.expected("the name of a gRPC status such as \"UNAVAILABLE\""),
        }
    })?;
    not_empty(&cursor, statuses)
}

fn not_empty<T>(cursor: &Cursor<'_>, list: Vec<T>) -> Option<Vec<T>> {
    if list.is_empty() { cursor.expected("a list of at least one") } else { Some(list) }
}

/// `{gte: 1s, lt: 5s}`
fn bounds(cursor: Cursor<'_>) -> Option<Bounds> {
    let mut object = cursor.object()?;
    let least = object.at_most_one_of(&["gte", "gt"]).map(|variant| {
        variant.map_or(Some(0), |variant| {
            let nanos = variant.cursor.decode::<Duration>()?.as_nanos();
            Some(if variant.key == "gt" { nanos + 1 } else { nanos })
        })
    });
    let most = object.at_most_one_of(&["lte", "lt"]).map(|variant| {
        variant.map_or(Some(u64::MAX), |variant| {
            let nanos = variant.cursor.decode::<Duration>()?.as_nanos();
            Some(if variant.key == "lt" { nanos - 1 } else { nanos })
        })
    });
    object.finish();
    let (least, most) = (least??, most??);
    if least > most || (least, most) == (0, u64::MAX) {
        return cursor.expected_found("bounds that some durations meet and others do not", "none or all");
    }
    Some(Bounds(least, most))
}
