//! Values with a meaning of their own. Each can be held only if it is valid.

mod address;
mod digest;
mod duration;
mod fraction;
mod header;
mod name;
mod secret;

pub use address::Cidr;
pub use digest::{DigestError, Sha256Digest};
pub use duration::Duration;
pub use fraction::Fraction;
pub use header::{HeaderName, HeaderValue, InvalidHeaderName, InvalidHeaderValue};
pub use name::Name;
pub use secret::Secret;
