//! Linehub: a TCP line hub. Many clients send lines to one operator, who reads them live and
//! answers all of them with one line.
//!
//! [`Server`] and [`Client`] are the two programs as a library. [`ServerEvent`] and [`ClientEvent`]
//! are everything that happens in them.
//!
//! ```no_run
//! use linehub::{Config, Server};
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

#![cfg_attr(
    not(feature = "admin"),
    allow(dead_code, unused_imports, reason = "the actors also serve the admin side")
)]

// The modules in reading order: the public face, then what it is made of.
mod server;

mod client;

pub mod config;

pub mod events;

mod actors;

mod wire;

mod net;

#[cfg_attr(not(feature = "terminal"), path = "terminal/disabled.rs")]
mod terminal;

mod blocking;

mod address;

mod desk;

#[cfg_attr(not(feature = "admin"), path = "admin/disabled.rs")]
mod admin;

#[doc(hidden)]
pub mod program;

pub use self::{
    actors::{console::Outputs, messages::Observed},
    client::{Client, ClientError},
    config::Config,
    events::{
        ClientCloseReason, ClientEvent, CloseReason, DiscardReason, ServerEvent, SessionInfo,
        Stamped,
    },
    server::{Desk, NotDone, ReloadHandle, Server, ServerError},
    wire::lines::Lines,
};

/// What the project's own benchmarks and fuzz targets need.
#[doc(hidden)]
pub mod internals {
    pub use crate::{
        events::escape::escape,
        wire::{framing, line_reader, lines, outbox, reverse},
    };
}
