//! Devices: connections that the hub opens itself, and opens again whenever they end.

use std::{io, net::SocketAddr, time::Duration};

use socket2::SockRef;
use tokio::{
    net::{TcpSocket, TcpStream, UdpSocket},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{keepalive::Keepalive, lookup::lookup};
use crate::{
    address::canonical,
    config::{Connect, Timeouts},
    events::wording::os_error_text,
};

/// How long one attempt to connect may take.
const ATTEMPT: Duration = Duration::from_secs(10);

/// Why the hub is not connected to a device.
enum Failure {
    /// It may work later.
    Unreachable(io::Error),
    /// The address is the hub's own. It must not be its own client.
    OwnPort,
}

/// Keeps the hub connected to the device until this is dropped. `own` is the address of the hub's
/// listener. `serve` starts a session and returns a token that is cancelled when it has ended.
pub(crate) async fn keep_connected(
    device: &Connect,
    own: SocketAddr,
    timeouts: &Timeouts,
    serve: impl Fn(TcpStream, SocketAddr) -> CancellationToken,
    report: impl Fn(String),
) {
    let mut pause = device.retry;
    let mut reported = false;
    loop {
        match connect(device, own, timeouts).await {
            Ok((stream, peer)) => {
                if std::mem::take(&mut reported) {
                    report(format!("connected to {device}"));
                }
                let start = Instant::now();
                serve(stream, peer).cancelled().await;
                if start.elapsed() > device.retry {
                    pause = device.retry;
                }
            }
            Err(Failure::Unreachable(error)) => {
                if !std::mem::replace(&mut reported, true) {
                    let why = os_error_text(&error);
                    report(format!("cannot connect to {device}: {why}; trying again"));
                }
            }
            Err(Failure::OwnPort) => {
                report(format!("cannot connect to {device}: it is the hub's own port"));
                return;
            }
        }
        // Jitter keeps several hubs from coming back to a device at the same moment.
        sleep(pause.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
        pause = (pause * 2).min(device.retry_max);
    }
}

async fn connect(
    device: &Connect,
    own: SocketAddr,
    timeouts: &Timeouts,
) -> Result<(TcpStream, SocketAddr), Failure> {
    let failed = Failure::Unreachable;
    let address = &device.address;
    let found = timeout(ATTEMPT, lookup(&address.host, address.port)).await;
    let mut failure = io::ErrorKind::NotFound.into();
    for peer in found.map_err(|late| failed(late.into()))?.map_err(failed)? {
        if is_own(peer, own).await {
            return Err(Failure::OwnPort);
        }
        let socket = socket_for(peer, timeouts).map_err(failed)?;
        match timeout(ATTEMPT, socket.connect(peer)).await {
            // While no program listens at a port of this host, the kernel may choose this port for the
            // connection's own end, and connect the socket to itself.
            Ok(Ok(stream)) if stream.local_addr().is_ok_and(|local| local == peer) => {
                failure = io::ErrorKind::ConnectionRefused.into();
            }
            Ok(Ok(stream)) => return Ok((stream, canonical(peer))),
            Ok(Err(error)) => failure = error,
            Err(late) => failure = late.into(),
        }
    }
    Err(failed(failure))
}

/// A socket with the options that the listener gives to the connections of clients.
fn socket_for(peer: SocketAddr, timeouts: &Timeouts) -> io::Result<TcpSocket> {
    let socket = if peer.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_nodelay(true)?;
    let options = SockRef::from(&socket);
    options.set_out_of_band_inline(true)?;
    if let Some(keepalive) = Keepalive::configured(timeouts) {
        keepalive.apply(&options)?;
    }
    Ok(socket)
}

/// Whether a connection to `peer` would reach the hub's own listener.
async fn is_own(peer: SocketAddr, own: SocketAddr) -> bool {
    if peer.port() != own.port() {
        return false;
    }
    if !own.ip().is_unspecified() {
        return canonical(peer).ip() == canonical(own).ip() || peer.ip().is_unspecified();
    }
    // `0.0.0.0` has no IPv6 address. Only an address of this host can be bound.
    (own.is_ipv6() || canonical(peer).is_ipv4())
        && UdpSocket::bind(SocketAddr::new(peer.ip(), 0)).await.is_ok()
}
