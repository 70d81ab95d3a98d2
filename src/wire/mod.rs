//! What crosses a connection, without actors: lines, and how they are read and written.

pub(crate) mod greeting;
pub mod line_reader;
pub mod lines;
pub mod outbox;
pub mod reverse;
