//! Quotas and leases of many keys, in bounded memory that all workers of a process share.
//!
//! [`Rate`] is one quota as arithmetic, [`Concurrency`] the number of requests under way; [`Rules`] joins them to one
//! decision per key, and a [`Table`] keeps the states of many keys. Time is an argument; memory is the host's shared data.
//!
//! A crate of its own so that it is compiled for speed while what surrounds it is compiled for size.

mod concurrency;
mod gcra;
mod state;
mod table;

pub use concurrency::{Concurrency, Lease, Leases};
pub use gcra::{MOST_DEBT, Rate, Unusable, Wait};
pub use state::{Ask, Cost, MOST_QUOTAS, Refusal, Rules, State, Unit, Verdict};
pub use table::{KeyDigest, PREFIX, Table};
