//! What crosses a connection: lines, and how they are read and written. No actors.

pub(crate) mod ends;
pub mod framing;
mod gap;
pub(crate) mod greeting;
pub mod line_reader;
pub mod lines;
pub mod outbox;
pub mod reverse;
pub(crate) mod telnet;
