//! Linehub: a TCP line hub. Many clients send lines to one operator, who reads them live and
//! answers all of them with one line.
//!
//! The modules in reading order:
//!
//! - [`server`] and [`client`]: the two programs as a library.
//! - [`config`]: the server's options, validated.
//! - [`wire`]: what crosses a connection, and [`net`]: how peers come in.
//! - [`events`]: everything that happens, and how it reads.
//! - [`actors`]: the cast, and who sends what to whom.
//! - [`terminal`]: the line editor; [`program`]: what only the two programs need.
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
pub mod client;
pub mod config;
pub mod events;
pub mod net;
pub mod program;
pub mod server;
#[cfg_attr(not(feature = "terminal"), path = "terminal/disabled.rs")]
pub mod terminal;
pub mod wire;
