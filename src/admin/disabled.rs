//! What stands in for the admin side in a program without the Cargo feature `admin`. The configuration
//! refuses an address for it, so none of this is ever used.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU64},
};

use actix::{Addr, Recipient};

use crate::{
    actors::{hub::Hub, messages::Observed},
    config::{Config, Token},
    desk::histogram::Histogram,
};

/// The admin side after its port is bound: never.
pub(crate) struct Bound(Infallible);

impl Bound {
    pub(crate) fn bind(_: &Config, _: SocketAddr) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn random_token(&self) -> Option<&Token> {
        match self.0 {}
    }

    pub(crate) fn latency(&self) -> Arc<Histogram> {
        match self.0 {}
    }

    pub(crate) fn start_feed(&mut self) -> Recipient<Observed> {
        match self.0 {}
    }

    pub(crate) fn start(self, _: &Addr<Hub>, _: Arc<AtomicU64>) -> io::Result<Running> {
        match self.0 {}
    }
}

/// The admin side while it runs: never.
pub(crate) struct Running(Infallible);

impl Running {
    pub(crate) fn drain(&self) {
        match self.0 {}
    }

    pub(crate) async fn finish(self) {
        match self.0 {}
    }
}
