//! The two programs, seen from outside.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests say what they expect; clippy.toml allows it only in the test functions"
)]

mod delivery;
mod descriptors;
mod half_close;
mod hostile;
mod limit;
mod pty;
mod readme;
mod refusal;
mod stalled;
mod stopping;
mod support;
mod terminal;
