//! What is wrong with a token or a key: fixed texts, for debug logs and configuration errors.

use std::fmt;

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Longer than any honest one.
    TooLong,
    /// Not three parts of strict base64url.
    Encoding,
    /// The header is no JSON object without duplicate members.
    Header,
    /// `alg` is missing, `none`, or unknown.
    Algorithm,
    /// `alg` is not one of those allowed here.
    AlgorithmNotAllowed,
    /// `crit`, `b64`, `enc`, `zip` or a nested token: nothing of that is understood here.
    Extension,
    /// `typ` says that it is for something else.
    Type,
    /// No key of the issuer's has its `kid`, or fits its algorithm.
    UnknownKey,
    /// The signature is not that key's.
    Signature,
    /// The payload is no JSON object without duplicate members.
    Payload,
    /// A claim has a type or a value that it may not have.
    ClaimType,
    /// A required claim is missing.
    ClaimMissing,
    /// Another issuer's.
    Issuer,
    /// For another audience.
    Audience,
    /// `exp` has passed.
    Expired,
    /// `nbf` or `iat` is yet to come.
    NotYet,
}

impl Fault {
    /// The text.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::TooLong => "the token is too long",
            Self::Encoding => "the token is not three parts of base64url",
            Self::Header => "the header is not a JSON object without duplicate members",
            Self::Algorithm => "the algorithm is missing or unknown",
            Self::AlgorithmNotAllowed => "the algorithm is not among those allowed",
            Self::Extension => "the header asks for an extension",
            Self::Type => "the token is of another type",
            Self::UnknownKey => "no key fits the token",
            Self::Signature => "the signature is wrong",
            Self::Payload => "the payload is not a JSON object without duplicate members",
            Self::ClaimType => "a claim has a wrong type or value",
            Self::ClaimMissing => "a required claim is missing",
            Self::Issuer => "the issuer is another",
            Self::Audience => "the audience is another",
            Self::Expired => "the token has expired",
            Self::NotYet => "the token is not valid yet",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.text())
    }
}

impl std::error::Error for Fault {}

/// Why a key is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFault {
    /// A member that the key needs is missing or of a wrong type.
    Member,
    /// A member is not strict base64url of the right length.
    Encoding,
    /// `kty` or `crv` is none of those known.
    Type,
    /// `use` or `key_ops` say that it is not for verifying.
    Use,
    /// `alg` is unknown or does not go with the key.
    Algorithm,
    /// RSA below 2048 or above 8192 bits, an even or tiny exponent, a modulus that can be factored; a secret shorter than
    /// its hash.
    Weak,
    /// The point is not on the curve.
    Point,
    /// It holds a private part: it is nobody's secret any more.
    Private,
}

impl fmt::Display for KeyFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Member => "one that lacks a member or has one of a wrong type",
            Self::Encoding => "one with a member that is not base64url of the right length",
            Self::Type => "one of an unknown kty or crv",
            Self::Use => "one whose use or key_ops are not for verifying",
            Self::Algorithm => "one whose alg is unknown or does not go with it",
            Self::Weak => "a weak one",
            Self::Point => "one whose point is not on its curve",
            Self::Private => "a private one (not shown)",
        })
    }
}

impl std::error::Error for KeyFault {}
