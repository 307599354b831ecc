//! `when`: conditions on an exchange, its response among them.

use tidegate_config::{Cursor, Duration, Fraction, Object, fill};
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
        Self::decode_nested(cursor, moment, true)
    }

    /// `any` and `not` do not stand within one another.
    fn decode_nested(cursor: Cursor<'_>, moment: Moment, nests: bool) -> Option<Self> {
        let mut object = cursor.object()?;
        let mut when = Self::default();
        let mut fine = when.read(&mut object, moment);
        if nests {
            fine &= object.fill("any", &mut when.any, |cursor| {
                let any = cursor.list(|element| Self::decode_nested(element, moment, false))?;
                not_empty(&cursor, any)
            });
            fine &= object.fill("not", &mut when.not, |cursor| {
                Self::decode_nested(cursor, moment, false).map(|not| Some(Box::new(not)))
            });
        }
        object.finish();
        // Where there are keys, but none that is known, that is said already.
        if fine && cursor.keys().is_empty() {
            return cursor.expected_found("at least one condition", "none");
        }
        fine.then_some(when)
    }

    fn read(&mut self, object: &mut Object<'_>, moment: Moment) -> bool {
        let request = Match::from_object(object, Scope::Request);
        let mut fine = request.is_some();
        self.request = request.unwrap_or_default();
        let [status, grpc_status, duration, sample] =
            ["status", "grpc_status", "duration", "sample"].map(|key| object.get(key));
        if moment == Moment::Arrival {
            for cursor in [status, grpc_status, duration, sample].into_iter().flatten() {
                fine = false;
                cursor.expected::<()>("a condition that is known when a request arrives");
            }
            return fine;
        }
        fine &= fill(status, &mut self.status, |cursor| cursor.decode().map(Some));
        fine &= fill(grpc_status, &mut self.grpc_status, grpc_statuses);
        fine &= fill(duration, &mut self.duration, |cursor| bounds(cursor).map(Some));
        fine & fill(sample, &mut self.sample, |cursor| {
            cursor.decode().map(|share: Fraction| Some(Sampling::new(share.get())))
        })
    }

    /// Whether any condition speaks of the request's headers.
    pub(crate) fn looks_at_request(&self) -> bool {
        !self.request.is_empty()
            || self.any.iter().any(Self::looks_at_request)
            || self.not.as_ref().is_some_and(|not| not.looks_at_request())
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
