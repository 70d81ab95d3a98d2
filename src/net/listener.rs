//! The listener: binds, accepts, and classifies the errors of accept(2) by their cause.

use std::{
    future::poll_fn,
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::Arc,
    time::Duration,
};

use rustix::io::Errno;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::coop,
};

use super::keepalive::Keepalive;
use crate::{address::canonical, config::Timeouts, events::wording::os_error_text};

/// The smallest backlog, in connections; the kernel caps it at `net.core.somaxconn`.
const MIN_BACKLOG: usize = 1024;

/// How long to wait before accepting again after descriptors or memory ran out.
const RETRY: Duration = Duration::from_millis(200);

/// Listens at `address` for up to `max_sessions` clients at once.
///
/// Accepted connections inherit the options of the listening socket. Small writes are sent without
/// delay. Urgent data keeps its position in the stream. After `timeouts.keepalive` of silence a peer is
/// probed three times, a sixth of that time apart. The kernel does not probe while sent data is
/// unacknowledged, so TCP_USER_TIMEOUT (RFC 5482) limits that time to the same total, or to
/// `timeouts.stall` if that is longer; it also limits how long a peer's window may stay closed. A port
/// in TIME_WAIT can be bound; `::` serves IPv4, too.
///
/// # Errors
///
/// The system's own, such as an address in use or not available.
pub(crate) fn bind(
    address: SocketAddr,
    max_sessions: usize,
    timeouts: &Timeouts,
) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(keepalive) = Keepalive::configured(timeouts) {
        keepalive.apply(&SockRef::from(&socket))?;
    }
    socket.set_out_of_band_inline(true)?;
    socket.bind(&address.into())?;
    let backlog = max_sessions.clamp(MIN_BACKLOG, 65_535);
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Accepts connections until it is dropped. Each goes to `serve` with a permit that must be held
/// while the connection is pending: accepted, but neither admitted nor closed. At most `max_pending`
/// are, and more wait in the backlog. Shortages are reported to the operator through `report`.
pub(crate) async fn accept(
    listener: TcpListener,
    max_pending: usize,
    mut serve: impl FnMut(TcpStream, SocketAddr, OwnedSemaphorePermit),
    report: impl Fn(String),
) {
    let permits = Arc::new(Semaphore::new(max_pending));
    let mut exhausted = false;
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        let accepted = poll_fn(|cx| {
            let accepted = listener.poll_accept(cx);
            // An empty backlog means that the shortage is over: report the next one again.
            exhausted &= !(accepted.is_pending() && coop::has_budget_remaining());
            accepted
        });
        match accepted.await {
            Ok((stream, peer)) => serve(stream, canonical(peer), permit),
            Err(error) => match Fault::of(&error) {
                Fault::Peer => {}
                Fault::System => {
                    if !std::mem::replace(&mut exhausted, true) {
                        report(format!(
                            "cannot accept connections for now: {}",
                            os_error_text(&error)
                        ));
                    }
                    tokio::time::sleep(RETRY).await;
                }
            },
        }
    }
}

/// What caused accept(2) to fail.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    /// The connection failed before it was accepted. Accept the next one.
    Peer,
    /// Descriptors, memory or the like ran out. Wait until other connections have closed.
    System,
}

impl Fault {
    /// accept(2) also returns pending errors of the new connection, and EPERM if a firewall forbids
    /// it. Any other error would return at once if accepting did not wait.
    fn of(error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(
                Errno::CONNABORTED
                | Errno::CONNREFUSED
                | Errno::CONNRESET
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
                | Errno::INTR
                | Errno::NETDOWN
                | Errno::NETUNREACH
                | Errno::NONET
                | Errno::NOPROTOOPT
                | Errno::OPNOTSUPP
                | Errno::PERM
                | Errno::PROTO
                | Errno::TIMEDOUT,
            ) => Self::Peer,
            _ => Self::System,
        }
    }
}

#[cfg(test)]
mod tests;
