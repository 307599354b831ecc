//! The demonstration behind `cargo xtask up`.
