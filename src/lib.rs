//! Linehub: a TCP line hub. Many clients send lines to one operator, who reads them live and
//! answers all of them with one line.
//!
//! The modules in reading order:
//!
//! - [`lines`]: what travels, batches of whole lines, and the codec that cuts a stream into them;
//!   [`reverse`] turns lines round, [`line_reader`] and [`outbox`] are the ends of a connection,
//!   and [`greeting`] is what a server says first.
//! - [`event`]: everything that happens; [`transcript`] is how it reads.
//! - [`config`]: the server's options, validated.
//! - [`actors`]: the cast, and who sends what to whom.
//! - [`descriptors`], [`listener`], [`server`], [`shutdown`]: the actors put together, served, and
//!   stopped.
//! - [`client`]: the other program.
//! - [`cli`], [`reason`]: the programs' arguments, and the system's answers, in plain sentences.
//! - [`stdio`], [`terminal`]: the ends at the operator's side, piped and at a keyboard.
//!
//! ```no_run
//! use linehub::{config::Config, server::Server};
//!
//! # #[actix::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut config = Config::default();
//! config.server.port = 0;
//! let server = Server::bind(config)?.operator(&b"hello, all\n"[..]);
//! println!("nc localhost {}", server.local_addr().port());
//! server.run(async { tokio::time::sleep(std::time::Duration::from_secs(60)).await }).await?;
//! # Ok(())
//! # }
//! ```

pub mod actors;
mod blocking;
pub mod cli;
pub mod client;
pub mod config;
pub mod descriptors;
pub mod event;
pub mod greeting;
pub mod line_reader;
pub mod lines;
pub mod listener;
pub mod outbox;
pub mod reason;
pub mod reverse;
pub mod server;
pub mod shutdown;
pub mod stdio;
pub mod terminal;
pub mod transcript;
