//! The ways in which servers read an ambiguous path.

use crate::path::escape;

/// Longer than an honest path is: each reading costs a pass over it.
const LONGEST: usize = 1024;

/// What some servers do to a path as a whole.
type Habit = fn(&[u8]) -> Vec<u8>;

/// Every distinct path that some server may read `path` as, without query, the shortest first; `None` if it is too long to tell.
///
/// Only for paths that are ambiguous: it tries all habits of servers with all others. A habit that changes nothing makes no
/// further text to try the next one on, so that a path with one oddity costs little.
#[must_use]
pub fn readings(path: &[u8]) -> Option<Vec<Vec<u8>>> {
    let end = path.iter().position(|byte| *byte == b'?').unwrap_or(path.len());
    let path = path.get(..end).filter(|path| path.len() <= LONGEST)?;
    let once = decoded(path);
    let mut texts = Vec::new();
    for text in [decoded(&once), once, path.to_vec()] {
        insert(&mut texts, text);
    }
    let habits: [Habit; 3] = [without_overlong, cut, without_backslashes];
    for habit in habits {
        for text in texts.clone() {
            insert(&mut texts, habit(&text));
        }
    }
    let bit = |number: u32, place: u32| number >> place & 1 == 1;
    let mut readings = Vec::new();
    for number in 0..8 {
        let habits = Segments {
            drop_parameters: bit(number, 0),
            merge_slashes: bit(number, 1),
            resolve_dots: bit(number, 2),
        };
        texts.iter().for_each(|text| insert(&mut readings, habits.read(text)));
    }
    Some(readings)
}

/// Puts a text where it belongs, if it is not there: shorter ones first. A set of the standard library does no more for so
/// few, and is several times this function and all its callers in a module.
fn insert(texts: &mut Vec<Vec<u8>>, text: Vec<u8>) {
    let order = |other: &Vec<u8>| other.len().cmp(&text.len()).then_with(|| other.cmp(&text));
    if let Err(place) = texts.binary_search_by(order) {
        texts.insert(place, text);
    }
}

/// Servers that cut at `#` and at NUL.
fn cut(path: &[u8]) -> Vec<u8> {
    path.split(|byte| matches!(byte, b'#' | 0)).next().unwrap_or_default().to_vec()
}

/// Servers to which a backslash is a slash.
fn without_backslashes(path: &[u8]) -> Vec<u8> {
    path.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect()
}

/// What a server may do to the segments of a path.
#[derive(Debug, Clone, Copy)]
struct Segments {
    /// Drops `;name=value` from each.
    drop_parameters: bool,
    merge_slashes: bool,
    resolve_dots: bool,
}

impl Segments {
    fn read(self, path: &[u8]) -> Vec<u8> {
        let mut kept: Vec<&[u8]> = Vec::new();
        let mut folder = false;
        // What stands before the first slash is no segment.
        for segment in path.split(|byte| *byte == b'/').skip(1) {
            let segment = if self.drop_parameters {
                segment.split(|byte| *byte == b';').next().unwrap_or_default()
            } else {
                segment
            };
            folder = false;
            match segment {
                b"" if self.merge_slashes => folder = true,
                b"." if self.resolve_dots => folder = true,
                b".." if self.resolve_dots => {
                    kept.pop();
                    folder = true;
                }
                other => kept.push(other),
            }
        }
        let mut read = Vec::with_capacity(path.len() + 1);
        for segment in &kept {
            read.push(b'/');
            read.extend_from_slice(segment);
        }
        if folder || kept.is_empty() {
            read.push(b'/');
        }
        read
    }
}

/// Every escape decoded, broken ones left as they are.
fn decoded(path: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((byte, after)) = rest.split_first() {
        match escape(rest) {
            Some(value) => {
                decoded.push(value);
                rest = rest.get(3..).unwrap_or_default();
            }
            None => {
                decoded.push(*byte);
                rest = after;
            }
        }
    }
    decoded
}

/// ASCII in two or three bytes (forbidden by RFC 3629 section 3) as the one byte it stands for.
fn without_overlong(path: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((byte, after)) = rest.split_first() {
        let (value, length) = match rest {
            [first @ 0xc0..=0xc1, second @ 0x80..=0xbf, ..] => ((first & 1) << 6 | (second & 0x3f), 2),
            [0xe0, second @ 0x80..=0x81, third @ 0x80..=0xbf, ..] => ((second & 1) << 6 | (third & 0x3f), 3),
            _ => (*byte, 1),
        };
        plain.push(value);
        rest = if length == 1 { after } else { rest.get(length..).unwrap_or_default() };
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_read_as(path: &[u8], reading: &str) -> bool {
        readings(path).unwrap().iter().any(|found| found == reading.as_bytes())
    }

    #[test]
    fn every_way_round_is_among_the_readings() {
        for path in [
            &b"/healthz/../admin"[..],
            b"//admin",
            b"/./admin",
            b"/%61dmin",
            b"/%2561dmin",
            b"/healthz/..%2fadmin",
            b"/healthz%2f..%2fadmin",
            b"/healthz\\..\\admin",
            b"/healthz%5c..%5cadmin",
            b"/healthz/..;/admin",
            b"/healthz/..;a=b/admin",
            b"/admin;a=b",
            b"/admin#x",
            b"/admin%00.png",
            b"/healthz/%c0%ae%c0%ae/admin",
            b"/healthz/\xc0\xae\xc0\xae/admin",
            b"/healthz/%e0%80%ae%e0%80%ae/admin",
            b"/healthz%252f..%252fadmin",
            b"/admin?x=/healthz",
        ] {
            assert!(is_read_as(path, "/admin"), "{}", path.escape_ascii());
        }
    }

    #[test]
    fn one_reading_leaves_everything_as_it_is() {
        for path in ["/a;b/c", "/a%2fb", "/a//b", "/a/../b", "/a\\b"] {
            assert!(is_read_as(path.as_bytes(), path), "{path}");
        }
    }

    #[test]
    fn an_endless_path_is_not_read() {
        assert_eq!(readings(&[b'/'; 2_000]), None);
        assert!(readings(&[&[b'/'; 10][..], b"?", &[b'x'; 2_000]].concat()).is_some());
    }
}
