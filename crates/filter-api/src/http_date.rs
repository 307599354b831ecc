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
    // Each part has its place; searching for them would take several times the code.
    let text = text.as_bytes();
    let is = |at: usize, wanted: &[u8]| text.get(at..at + wanted.len()) == Some(wanted);
    let number = |at: usize, length: usize| {
        let digits = text.get(at..at + length)?.iter();
        digits.copied().try_fold(0, |sum, digit| {
            digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit.wrapping_sub(b'0')))
        })
    };
    let marks: [(usize, &[u8]); 7] =
        [(3, b", "), (7, b" "), (11, b" "), (16, b" "), (19, b":"), (22, b":"), (25, b" GMT")];
    if text.len() != 29 || !marks.iter().all(|(at, mark)| is(*at, mark)) {
        return None;
    }
    let (day, year) = (number(5, 2)?, number(12, 4)?);
    let month = MONTHS.iter().position(|(name, _)| is(8, name.as_bytes()))?;
    let (hour, minute, second) = (number(17, 2)?, number(20, 2)?, number(23, 2)?);
    let length = MONTHS.get(month)?.1 + u64::from(month == 1 && is_leap(year));
    let sound = (1..=length).contains(&day) && hour < 24 && minute < 60 && second < 61;
    if !sound || year < 1970 {
        return None;
    }
    let before: u64 = MONTHS.iter().take(month).map(|(_, days)| days).sum();
    let leap_days = (1970..year).filter(|year| is_leap(*year)).count() as u64;
    let days = (year - 1970) * 365 + leap_days + before + u64::from(month > 1 && is_leap(year)) + day - 1;
    let name = DAYS.get(usize::try_from(days % 7).ok()?)?;
    is(0, name.as_bytes()).then_some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
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
