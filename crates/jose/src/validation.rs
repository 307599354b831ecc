//! What the claims of a verified token must say (RFC 7519 section 4.1).

use serde_json::{Map, Value};

use crate::fault::Fault;
use crate::token::Header;

/// What the claims must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validation {
    /// `iss`, exactly.
    pub issuer: String,
    /// `aud` must name one of these. If there are none, a token with an audience is for somebody else (RFC 7519 section
    /// 4.1.3).
    pub audiences: Vec<String>,
    /// Kinds of token, in lower case and without `application/`, that are taken; if none are named, `jwt`, `at+jwt` and
    /// tokens that do not say.
    pub kinds: Vec<String>,
    /// Claims that must be there.
    pub require: Vec<String>,
    /// How many seconds clocks may differ.
    pub skew: u64,
}

/// When a token may be believed, in seconds since 1970 and with the skew allowed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// From here on; 0 if it has no beginning.
    pub from: u64,
    /// Before this; `u64::MAX` if it has no end.
    pub until: u64,
}

impl Lifetime {
    /// Whether it may be believed at `now`.
    ///
    /// # Errors
    /// Which end it misses.
    pub fn check(self, now: u64) -> Result<(), Fault> {
        match now {
            now if now >= self.until => Err(Fault::Expired),
            now if now < self.from => Err(Fault::NotYet),
            _ => Ok(()),
        }
    }
}

/// The end of the year 9999: a date beyond is in another unit, or a mistake.
const LATEST: u64 = 253_402_300_799;

impl Validation {
    /// Whether a token of this kind is taken at all.
    ///
    /// # Errors
    /// If it is not.
    pub fn check_kind(&self, header: &Header) -> Result<(), Fault> {
        let kind = header.kind.as_deref();
        let taken = match (self.kinds.as_slice(), kind) {
            ([], kind) => matches!(kind, None | Some("jwt" | "at+jwt")),
            (kinds, Some(kind)) => kinds.iter().any(|taken| taken == kind),
            (_, None) => false,
        };
        if taken { Ok(()) } else { Err(Fault::Type) }
    }

    /// Checks everything but the time, and says when the token may be believed.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self, claims: &Map<String, Value>) -> Result<Lifetime, Fault> {
        let missing = |name: &String| claims.get(name).is_none_or(Value::is_null);
        if self.require.iter().any(missing) {
            return Err(Fault::ClaimMissing);
        }
        for name in ["iss", "sub", "jti"] {
            if claims.get(name).is_some_and(|value| !value.is_string()) {
                return Err(Fault::ClaimType);
            }
        }
        if claims.get("iss").and_then(Value::as_str) != Some(self.issuer.as_str()) {
            return Err(Fault::Issuer);
        }
        if !self.is_for_us(claims.get("aud"))? {
            return Err(Fault::Audience);
        }
        let (until, from, issued) = (date(claims, "exp")?, date(claims, "nbf")?, date(claims, "iat")?);
        Ok(Lifetime {
            from: from.max(issued).unwrap_or(0).saturating_sub(self.skew),
            until: until.map_or(u64::MAX, |until| until.saturating_add(self.skew)),
        })
    }

    /// One audience, or a list of them.
    fn is_for_us(&self, aud: Option<&Value>) -> Result<bool, Fault> {
        let named = match aud {
            None => return Ok(self.audiences.is_empty()),
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(list)) => {
                list.iter().map(Value::as_str).collect::<Option<_>>().ok_or(Fault::ClaimType)?
            }
            Some(_) => return Err(Fault::ClaimType),
        };
        Ok(self.audiences.iter().any(|ours| named.contains(&ours.as_str())))
    }
}

/// A NumericDate in whole seconds; a fraction is cut off, which ends a token early and never late.
fn date(claims: &Map<String, Value>, name: &str) -> Result<Option<u64>, Fault> {
    let number = match claims.get(name) {
        None => return Ok(None),
        Some(Value::Number(number)) => number,
        Some(_) => return Err(Fault::ClaimType),
    };
    let seconds = number.as_u64().or_else(|| {
        let seconds = number.as_f64().filter(|seconds| (0.0..=LATEST as f64).contains(seconds))?;
        Some(seconds as u64)
    });
    match seconds {
        Some(seconds @ 0..=LATEST) => Ok(Some(seconds)),
        _ => Err(Fault::ClaimType),
    }
}

#[cfg(test)]
mod tests;
