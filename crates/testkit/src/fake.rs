//! A fake host: the real pipeline over a host made of maps.

mod files;
mod host;
mod replay;
mod worker;

pub use host::{FakeHost, Pairs};
pub use replay::{costs, replay_each, replay_folder};
pub use worker::{Exchange, Outcome, Worker, refusal, worker, worker_on};
