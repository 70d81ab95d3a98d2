//! The event loops that share the sessions.

use std::{cell::Cell, io, net::SocketAddr, sync::Arc};

use actix::Actor;
use actix_rt::{Arbiter, ArbiterHandle};
use tokio::{net::TcpStream, sync::OwnedSemaphorePermit};

use crate::{
    actors::session::{Session, Setup},
    net::socket::Socket,
};

/// The event loops that share the sessions: this one, and those of other threads. Dropping it ends
/// the others.
pub(super) struct Workers {
    others: Vec<ArbiterHandle>,
    next: Cell<usize>,
}

impl Workers {
    pub(super) fn start(count: usize) -> io::Result<Self> {
        let mut workers = Self { others: Vec::new(), next: Cell::new(0) };
        for _ in 1..count {
            workers.others.push(Arbiter::try_new()?.handle());
        }
        Ok(workers)
    }

    /// Starts the connection's Session on the next event loop.
    pub(super) fn serve(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        setup: &Arc<Setup>,
        pending: OwnedSemaphorePermit,
    ) {
        let setup = Arc::clone(setup);
        let next = self.next.replace((self.next.get() + 1) % (self.others.len() + 1));
        match self.others.get(next) {
            None => {
                Session::new(Socket::new(stream), peer, setup, Some(pending)).start();
            }
            Some(other) => {
                // The stream belongs to this event loop until it is taken out. If that fails, the
                // stream is closed, which the peer sees.
                let Ok(stream) = stream.into_std() else {
                    return;
                };
                other.spawn_fn(move || {
                    if let Ok(stream) = TcpStream::from_std(stream) {
                        Session::new(Socket::new(stream), peer, setup, Some(pending)).start();
                    }
                });
            }
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for other in &self.others {
            other.stop();
        }
    }
}
