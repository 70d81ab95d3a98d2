//! The two programs, seen from outside.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "tests say what they expect; clippy.toml allows it only in the test functions"
)]

mod actors_die;
mod addresses;
mod client;
mod config;
mod delivery;
mod descriptors;
mod example;
mod foreign;
mod half_close;
mod hostile;
mod house;
mod json;
mod library;
mod limit;
mod log;
mod paused;
#[cfg(feature = "terminal")]
mod pty;
mod readme;
mod refusal;
mod stalled;
mod stopping;
mod support;
#[cfg(feature = "terminal")]
mod terminal;
mod transcript;
mod wire;
mod workers;
