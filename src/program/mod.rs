//! What only the two programs need: arguments, environment, signals, panics, descriptors and standard streams.

pub mod args;
pub mod descriptors;
pub mod environment;
pub mod panics;
pub mod signals;
pub mod stdio;

pub use crate::{
    desk::roster::Roster,
    terminal::{Completer, Terminal, TerminalOptions},
};
