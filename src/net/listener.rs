//! The listener: binds, accepts, and sorts what can go wrong by whose fault it is.

use std::{
    future::poll_fn,
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::Arc,
    time::Duration,
};

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::coop,
};

use crate::{config::Timeouts, events::wording::os_error_text};

/// Connections that may be accepted and neither admitted nor gone. More wait in the backlog.
const NEWCOMERS: usize = 256;

/// The least backlog, in connections; the kernel caps it with `net.core.somaxconn`.
const BACKLOG: usize = 1024;

/// Keepalive probes without an answer that mean that the peer is dead.
const PROBES: u32 = 3;

/// How long to wait for descriptors or memory before accepting again.
const RETRY: Duration = Duration::from_millis(200);

/// Listens at `address` for up to `max_sessions` clients at once.
///
/// The options of the listening socket are those of every connection that it accepts: no delay
/// for small writes, and keepalive probes after so much silence (three more, each a sixth of
/// that apart). There are no probes while sent lines are unacknowledged, so they are waited for
/// just as long, or for `timeouts.stall` if that is longer (TCP_USER_TIMEOUT, RFC 5482: it also
/// ends the wait for a peer whose window stays closed). A port in TIME_WAIT can be taken; `::`
/// serves IPv4, too.
///
/// # Errors
///
/// The system's own, as for an address that is taken or not there.
pub fn bind(
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
    if let Some(time) = timeouts.keepalive {
        let interval = (time / 6).max(Duration::from_secs(1));
        let keepalive =
            TcpKeepalive::new().with_time(time).with_interval(interval).with_retries(PROBES);
        socket.set_tcp_keepalive(&keepalive)?;
        let dead_after = time + interval * PROBES;
        socket.set_tcp_user_timeout(Some(dead_after.max(timeouts.stall)))?;
    }
    socket.bind(&address.into())?;
    let backlog = max_sessions.clamp(BACKLOG, 65_535);
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Accepts connections for ever and gives each to `serve`, with a permit to be held until the
/// peer is admitted or gone. Says through `report` what the operator should know.
pub async fn accept(
    listener: TcpListener,
    mut serve: impl FnMut(TcpStream, SocketAddr, OwnedSemaphorePermit),
    report: impl Fn(String),
) {
    let newcomers = Arc::new(Semaphore::new(NEWCOMERS));
    let mut exhausted = false;
    loop {
        // Nobody closes the semaphore.
        let Ok(newcomer) = Arc::clone(&newcomers).acquire_owned().await else {
            return;
        };
        let accepted = poll_fn(|cx| {
            let accepted = listener.poll_accept(cx);
            // When nobody waits to be accepted the shortage is over, and the next one is news.
            exhausted &= !(accepted.is_pending() && coop::has_budget_remaining());
            accepted
        });
        match accepted.await {
            Ok((stream, peer)) => serve(stream, canonical(peer), newcomer),
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

/// The peer's address as it would be without dual stack: an IPv4 peer of a `::` server is IPv4.
fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

/// Whose fault a failed accept is.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    /// The connection broke before it was accepted: on to the next.
    Peer,
    /// Descriptors, memory or the like are short: it gets better when others leave.
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
