//! The two programs, seen from outside.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests say what they expect; clippy.toml allows it only in the test functions"
)]

mod limit;
mod pty;
mod support;
mod terminal;
