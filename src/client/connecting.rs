//! Connecting: finds the addresses of a host, and connects to the first one that answers.
//!
//! As RFC 8305 (Happy Eyeballs) describes, the addresses of both families alternate, and each has a
//! quarter of a second before the next one is tried, too. So a dead address costs only that. The
//! resolver's order is kept, which prefers IPv6 where it works (RFC 6724). Unlike the RFC, this waits for
//! the addresses of both families, because getaddrinfo(3) returns them together.

use std::{collections::VecDeque, future::Future, io, net::SocketAddr, time::Duration};

use rustix::io::Errno;
use socket2::SockRef;
use tokio::{
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::{Instant, sleep},
};

use super::errors::ClientError;
use crate::{
    address::HostPort,
    net::{keepalive::Keepalive, lookup::lookup, socket::Socket},
};

/// How long an address may take to answer before the next one is tried, too (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// A server is dead after 60 s of silence, or 60 s without an acknowledgement: three probes follow the
/// first half.
const KEEPALIVE: Keepalive = Keepalive {
    idle: Duration::from_secs(30),
    interval: Duration::from_secs(10),
    user_timeout: Duration::from_secs(60),
};

/// An open connection.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) socket: Socket,
    /// The server's address.
    pub(super) server: SocketAddr,
    /// The client's own address.
    pub(super) local: SocketAddr,
    /// How long the TCP handshake took.
    pub(super) round_trip: Duration,
}

/// Connects to the server.
pub(super) async fn connect(server: &HostPort) -> Result<Connected, ClientError> {
    let found = lookup(&server.host, server.port).await;
    let host = || server.host.clone();
    let addresses = found.map_err(|source| ClientError::UnknownHost { host: host(), source })?;
    let connected = race(interleave(addresses.into_iter()), dial).await;
    connected.map_err(|source| ClientError::Connect { address: server.to_string(), source })
}

/// Connects to one address.
async fn dial(address: SocketAddr) -> io::Result<Connected> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_nodelay(true)?;
    SockRef::from(&socket).set_out_of_band_inline(true)?;
    let start = Instant::now();
    let stream: TcpStream = socket.connect(address).await?;
    let round_trip = start.elapsed();
    // Set only now: during connecting, the user timeout would limit that, too.
    KEEPALIVE.apply(&SockRef::from(&stream))?;
    // The peer's address, because 0.0.0.0 has become 127.0.0.1. If the server has already reset the
    // connection, the kernel no longer knows it.
    let server = stream.peer_addr().unwrap_or(address);
    let local = stream.local_addr()?;
    Ok(Connected { socket: Socket::new(stream), server, local, round_trip })
}

/// The addresses with the families alternating, from the family of the first one on (RFC 8305, section 4).
fn interleave(addresses: impl Iterator<Item = SocketAddr>) -> VecDeque<SocketAddr> {
    let mut addresses = addresses.peekable();
    let first_is_ipv4 = addresses.peek().is_some_and(SocketAddr::is_ipv4);
    let (first, second): (VecDeque<_>, VecDeque<_>) =
        addresses.partition(|address| address.is_ipv4() == first_is_ipv4);
    let mut families = [first, second];
    let mut order = VecDeque::new();
    while families.iter().any(|family| !family.is_empty()) {
        order.extend(families.iter_mut().filter_map(VecDeque::pop_front));
    }
    order
}

/// The first connection that succeeds, or else the most informative error. A failure starts the next attempt
/// at once.
async fn race<T, F>(
    mut addresses: VecDeque<SocketAddr>,
    dial: impl Fn(SocketAddr) -> F,
) -> io::Result<T>
where
    T: Send + 'static,
    F: Future<Output = io::Result<T>> + Send + 'static,
{
    // Dropping it cancels the attempts that are still under way.
    let mut attempts = JoinSet::new();
    let mut failure: Option<io::Error> = None;
    loop {
        if let Some(address) = addresses.pop_front() {
            attempts.spawn(dial(address));
        }
        let ended = tokio::select! {
            ended = attempts.join_next() => ended,
            () = sleep(ATTEMPT_DELAY), if !addresses.is_empty() => continue,
        };
        match ended.map(|ended| ended.unwrap_or_else(|panic| Err(io::Error::other(panic)))) {
            Some(Ok(connected)) => return Ok(connected),
            Some(Err(error)) if failure.is_none() || !is_own_lack(&error) => failure = Some(error),
            Some(Err(_)) => {}
            None => return Err(failure.unwrap_or_else(|| io::ErrorKind::NotFound.into())),
        }
    }
}

/// Whether the error only says that this host has no route for the address, for example because it
/// has no IPv6. Another address's error is more informative.
fn is_own_lack(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NETUNREACH | Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT)
    )
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    fn addresses(texts: &[&str]) -> VecDeque<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// Races four addresses, which behave as `dial` says, and returns the outcome and the time it took.
    async fn timed<F>(
        dial: impl Fn(u16) -> F + Clone + Send + 'static,
    ) -> (io::Result<u16>, Duration)
    where
        F: Future<Output = io::Result<u16>> + Send + 'static,
    {
        let start = Instant::now();
        let four = addresses(&["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4"]);
        let outcome = race(four, |address| dial(address.port())).await;
        (outcome, start.elapsed())
    }

    fn errno(error: Errno) -> io::Error {
        error.into()
    }

    #[test]
    fn the_families_alternate_in_the_order_of_the_resolver() {
        let found = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "127.0.0.1:1", "127.0.0.2:1"]);
        let order = addresses(&["[::1]:1", "127.0.0.1:1", "[::2]:1", "127.0.0.2:1", "[::3]:1"]);
        assert_eq!(interleave(found.into_iter()), order);
        let found = addresses(&["127.0.0.1:1", "127.0.0.2:1", "[::1]:1"]);
        let order = addresses(&["127.0.0.1:1", "[::1]:1", "127.0.0.2:1"]);
        assert_eq!(interleave(found.into_iter()), order);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_address_costs_a_quarter_of_a_second() {
        let (connected, time) =
            timed(|port| async move { if port < 3 { pending().await } else { Ok(port) } }).await;
        assert_eq!(connected.unwrap(), 3);
        assert_eq!(time.as_millis() / 10, 2 * ATTEMPT_DELAY.as_millis() / 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_address_can_still_answer_first() {
        let (connected, time) = timed(|port| async move {
            sleep(Duration::from_millis(if port == 1 { 400 } else { 10_000 })).await;
            Ok(port)
        })
        .await;
        assert_eq!(connected.unwrap(), 1);
        assert_eq!(time.as_millis() / 10, 40);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_starts_the_next_attempt_at_once() {
        let (connected, time) = timed(|port| async move {
            if port < 4 { Err(errno(Errno::CONNREFUSED)) } else { Ok(port) }
        })
        .await;
        assert_eq!(connected.unwrap(), 4);
        assert!(time < Duration::from_millis(10), "{time:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn if_all_fail_the_most_telling_error_is_returned() {
        let (outcome, _) = timed(|port| async move {
            Err(errno(if port == 2 { Errno::CONNREFUSED } else { Errno::NETUNREACH }))
        })
        .await;
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        let (outcome, _) = timed(|_| async { Err(errno(Errno::NETUNREACH)) }).await;
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::NetworkUnreachable);
    }

    #[tokio::test]
    async fn the_socket_notices_a_dead_server_within_a_minute() {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let connected = dial(listener.local_addr().unwrap()).await.unwrap();
        let socket = SockRef::from(connected.socket.get_ref());
        assert!(socket.keepalive().unwrap());
        let silence = socket.tcp_keepalive_time().unwrap()
            + socket.tcp_keepalive_interval().unwrap() * socket.tcp_keepalive_retries().unwrap();
        let minute = Duration::from_secs(60);
        assert_eq!((silence, socket.tcp_user_timeout().unwrap()), (minute, Some(minute)));
        assert!(socket.out_of_band_inline().unwrap());
        assert!(connected.socket.get_ref().nodelay().unwrap());
    }
}
