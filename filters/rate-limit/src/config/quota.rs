//! So many requests or units in so much time.

use tidegate_config::{Cursor, Decode, Duration};
use tidegate_quota::{Rate, Unit, Unusable};

/// So many requests or units in so much time, of which so many may come at once.
#[derive(Debug, Clone)]
pub(crate) struct Quota {
    pub(crate) unit: Unit,
    pub(crate) amount: u64,
    pub(crate) per: Duration,
    pub(crate) burst: u64,
    pub(crate) rate: Rate,
}

impl Decode for Quota {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        const MOST: i64 = 1_000_000_000_000;
        let mut object = cursor.object()?;
        let variant = object.one_of(&["requests", "units"]).and_then(|variant| {
            let unit = if variant.key == "requests" { Unit::Requests } else { Unit::Units };
            Some((unit, variant.cursor.integer(1, MOST)?.unsigned_abs()))
        });
        let per: Option<Duration> = object.required("per");
        let burst = object.get("burst").map_or(Some(None), |cursor| cursor.integer(1, MOST).map(Some));
        object.finish();
        let ((unit, amount), per) = (variant?, per?);
        let burst = burst?.map_or(amount, i64::unsigned_abs);
        match Rate::new(amount, per.as_nanos(), burst) {
            Ok(rate) => Some(Self { unit, amount, per, burst, rate }),
            Err(Unusable::TooFast) => cursor
                .expected_found("a rate of at most one a microsecond", format_args!("{amount} in that time")),
            Err(Unusable::TooSlow) => cursor.expected_found(
                "a burst that comes back within twenty years",
                format_args!("one of {burst}"),
            ),
        }
    }
}
