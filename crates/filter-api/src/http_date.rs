//! Dates as headers write them.

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [(&str, u64); 12] = [
    ("Jan", 31),
    ("Feb", 28),
    ("Mar", 31),
    ("Apr", 30),
    ("May", 31),
    ("Jun", 30),
    ("Jul", 31),
    ("Aug", 31),
    ("Sep", 30),
    ("Oct", 31),
    ("Nov", 30),
    ("Dec", 31),
];

/// Seconds since 1970 of a date such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7, the preferred form); `None`
/// if it is none, or before 1970.
#[must_use]
pub fn http_date(text: &str) -> Option<u64> {
    let (day_name, rest) = text.split_once(", ")?;
    let mut words = rest.split(' ');
    let (day, month, year, time, zone) =
        (words.next()?, words.next()?, words.next()?, words.next()?, words.next()?);
    if words.next().is_some() || zone != "GMT" {
        return None;
    }
    let (day, year) = (digits(day, 2)?, digits(year, 4)?);
    let month = MONTHS.iter().position(|(name, _)| *name == month)?;
    let mut parts = time.split(':');
    let (hour, minute, second) =
        (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let length = MONTHS.get(month)?.1 + u64::from(month == 1 && is_leap(year));
    let sound =
        parts.next().is_none() && (1..=length).contains(&day) && hour < 24 && minute < 60 && second < 61;
    if !sound || year < 1970 {
        return None;
    }
    let before: u64 = MONTHS.iter().take(month).map(|(_, days)| days).sum();
    let leap_days = (1970..year).filter(|year| is_leap(*year)).count() as u64;
    let days = (year - 1970) * 365 + leap_days + before + u64::from(month > 1 && is_leap(year)) + day - 1;
    let name = DAYS.get(usize::try_from(days % 7).ok()?)?;
    (day_name == *name).then_some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn digits(text: &str, count: usize) -> Option<u64> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_rfc_9110_writes_them() {
        for (text, expected) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Tue, 29 Feb 2000 12:00:00 GMT", Some(951_825_600)),
            ("Mon, 06 Nov 1994 08:49:37 GMT", None),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("784111777", None),
        ] {
            assert_eq!(http_date(text), expected, "{text}");
        }
    }
}
