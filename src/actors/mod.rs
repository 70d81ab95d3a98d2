//! The cast, and who sends what to whom.
//!
//! ```text
//!               Broadcast                      Deliver · Close
//!  operator ──► StdinReader ─────────► Hub ◄──────────────────────► Session ◄──► peer
//!                                       │     Register · Received      (one for every
//!                                       │     Deregister                connection)
//!                                       │ Print
//!                                       ▼
//!                                    Console ──► stdout, stderr
//! ```
//!
//! - [`hub::Hub`] owns the registry: who is here, and whether there is room for one more. It
//!   relays the operator's lines and says to the Console what happens. It never waits.
//! - [`session::Session`] has one connection. It knows the peer and the Hub's messages, nothing
//!   else.
//! - [`stdin_reader::StdinReader`] reads the operator's lines.
//! - [`console::Console`] prints what happens: by itself what stdout takes without anybody waiting,
//!   the rest by its Writer, on a thread of its own, because stdout can block.
//!
//! Actors know [`messages`], not each other: the modules here do not import their siblings.
//! Every message has a reply, and the reply is the backpressure: whoever has sent lines sends no
//! more, or one batch more, until they have been taken. Only the many copies of a broadcast share
//! one: a [`messages::Receipt`].

pub mod console;
pub mod hub;
pub mod messages;
mod poll_fn;
pub mod session;
pub mod stdin_reader;
#[cfg(test)]
mod stubs;
