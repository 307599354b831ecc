//! Which way to the standard library is taken: what was asked for, what was recorded, and what works.

use anyhow::{Error, Result, anyhow};

use super::{TARGET, Via};

/// What an earlier run recorded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recorded {
    pub(super) via: Via,
    /// The user asked for it by name.
    pub(super) forced: bool,
    /// What it needs is still there, and the compiler is the same.
    pub(super) holds: bool,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// Use what was recorded.
    Keep,
    /// This way or none: the user asked for it.
    Take(Via),
    /// The first that works.
    First,
}

/// A way that was asked for stays, also when it has to be taken anew, until another is asked for.
pub(super) fn choose(asked: Option<Via>, recorded: Option<Recorded>) -> Choice {
    match (asked, recorded) {
        (None, Some(Recorded { holds: true, .. })) => Choice::Keep,
        (None, Some(Recorded { forced: true, via, .. })) => Choice::Take(via),
        (None | Some(Via::Auto), _) => Choice::First,
        (Some(way), Some(Recorded { via, forced: true, holds: true })) if via == way => Choice::Keep,
        (Some(way), _) => Choice::Take(way),
    }
}

/// The ways that are tried, the usual one first, and what each takes.
const ORDER: [(Via, &str); 3] = [
    (Via::Rustup, "`rustup target add wasm32-unknown-unknown` succeeds"),
    (Via::RustSrc, "the compiler's own source is there, or comes from rustup or Debian"),
    (Via::Distro, "Debian's rustc-web, cargo-web, rust-web-src and lld come from apt"),
];

/// Tries the ways in order. The error has a line for each.
pub(super) fn first<T>(mut take: impl FnMut(Via) -> Result<T>) -> Result<T> {
    let mut failures: Vec<(Via, &str, Error)> = Vec::new();
    for (way, takes) in ORDER {
        match take(way) {
            Ok(found) => return Ok(found),
            Err(error) => {
                println!("  the way `{way}` did not work: {error}");
                failures.push((way, takes, error));
            }
        }
    }
    let lines: Vec<String> = failures
        .iter()
        .map(|(way, takes, error)| format!("- {way}: {takes}. It did not: {error:#}"))
        .collect();
    Err(anyhow!(
        "the standard library for {TARGET} is missing, and no way to it worked. One of these has to:\n{}",
        lines.join("\n")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(via: Via, forced: bool, holds: bool) -> Option<Recorded> {
        Some(Recorded { via, forced, holds })
    }

    #[test]
    fn what_was_recorded_is_used_while_it_holds() {
        assert_eq!(choose(None, None), Choice::First);
        assert_eq!(choose(None, recorded(Via::RustSrc, false, true)), Choice::Keep);
        assert_eq!(choose(None, recorded(Via::RustSrc, false, false)), Choice::First);
    }

    #[test]
    fn a_way_that_was_asked_for_stays_until_another_is() {
        assert_eq!(choose(None, recorded(Via::Distro, true, true)), Choice::Keep);
        assert_eq!(choose(None, recorded(Via::Distro, true, false)), Choice::Take(Via::Distro));
        assert_eq!(choose(Some(Via::Distro), recorded(Via::Distro, true, true)), Choice::Keep);
        assert_eq!(choose(Some(Via::Distro), recorded(Via::Distro, false, true)), Choice::Take(Via::Distro));
        assert_eq!(choose(Some(Via::RustSrc), recorded(Via::Distro, true, true)), Choice::Take(Via::RustSrc));
        assert_eq!(choose(Some(Via::Auto), recorded(Via::Distro, true, true)), Choice::First);
    }

    #[test]
    fn the_first_way_that_works_is_taken() {
        let mut tried = Vec::new();
        let found = first(|way| {
            tried.push(way);
            if way == Via::RustSrc { Ok("found") } else { Err(anyhow!("not here")) }
        });
        assert_eq!((found.unwrap(), tried), ("found", vec![Via::Rustup, Via::RustSrc]));
    }

    #[test]
    fn no_way_says_what_each_takes_and_why_it_failed() {
        let error = first(|way| Err::<(), _>(anyhow!("no {way} here"))).unwrap_err().to_string();
        let lines: Vec<&str> = error.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "- rustup: `rustup target add wasm32-unknown-unknown` succeeds. It did not: no rustup here",
                "- rust-src: the compiler's own source is there, or comes from rustup or Debian. It did not: no rust-src here",
                "- distro: Debian's rustc-web, cargo-web, rust-web-src and lld come from apt. It did not: no distro here",
            ]
        );
    }
}
