//! Finding the addresses of a host name.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    thread,
};

use tokio::sync::oneshot;

/// The addresses of a host: a name, or an IP address with or without a zone.
///
/// A lookup can take minutes and cannot be cancelled. tokio's lookup runs on a thread that
/// delays the end of the runtime, so this one has a thread of its own that delays nothing.
pub(crate) async fn lookup(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![(ip, port).into()]);
    }
    let (answer, answered) = oneshot::channel();
    let host = host.to_owned();
    thread::Builder::new().name("lookup".to_owned()).spawn(move || {
        let found = (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
        // Fails if the caller has stopped waiting.
        let _ = answer.send(found);
    })?;
    answered.await.map_err(io::Error::other)?
}
