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
#[cfg(feature = "admin")]
mod browser;
mod client;
mod client_addresses;
mod client_dead_link;
mod client_greeting;
mod client_options;
mod client_quiet;
mod client_reconnect;
mod client_stay;
mod clock;
mod config;
#[cfg(feature = "admin")]
mod dashboard;
mod delivery;
mod descriptors;
mod devices;
mod docs;
mod example;
mod foreign;
mod framing;
mod half_close;
mod hostile;
mod house;
#[cfg(feature = "admin")]
mod http;
mod json;
mod library;
mod limit;
mod log;
mod names;
mod paused;
#[cfg(feature = "terminal")]
mod pty;
mod readme;
mod recipes;
mod refusal;
mod signals;
mod slots;
mod stalled;
mod stdin;
mod stopping;
mod support;
mod telnet;
#[cfg(feature = "terminal")]
mod terminal;
mod transcript;
mod urgent;
mod wire;
mod workers;
mod zones;
