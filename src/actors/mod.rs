//! The actors, and the messages between them.
//!
//! ```text
//!               Broadcast                      Deliver · Close
//!  operator ──► StdinReader ─────────► Hub ◄──────────────────────► Session ◄──► peer
//!                                      │ │     Register · Received      (one for each
//!                                      │ │     Deregister                connection)
//!                                      │ └─ Observed ──► observers
//!                                      │ Print
//!                                      ▼
//!                                   Console ──► stdout, stderr
//! ```
//!
//! - [`hub::Hub`] owns the registry: which sessions there are, and whether there is a free slot. It
//!   relays the operator's lines and emits the events. It never waits.
//! - [`session::Session`] has one connection. It knows the peer and the Hub's messages, nothing else.
//! - [`stdin_reader::StdinReader`] reads the operator's lines.
//! - [`console::Console`] prints the events. Its Writer has a thread of its own, because stdout can
//!   block.
//!
//! Actors know [`messages`], not each other: the modules here do not import their siblings. An
//! acknowledgement is the backpressure: a sender of lines sends at most a bounded number of batches
//! before the first one is acknowledged. The copies of a broadcast share one [`messages::Receipt`].
//! Only `Close`, `Report` and `Observed` are sent without waiting for an answer; nothing depends on
//! them.

pub(crate) mod console;
pub(crate) mod feed;
pub(crate) mod hub;
pub(crate) mod messages;
mod poll_fn;
pub(crate) mod session;
pub(crate) mod stdin_reader;
#[cfg(test)]
pub(crate) mod stubs;
