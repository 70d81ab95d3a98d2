//! The two programs, seen from outside.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests say what they expect; clippy.toml allows it only in the test functions"
)]

mod delivery;
mod limit;
mod pty;
mod readme;
mod refusal;
mod stalled;
mod support;
mod terminal;
