//! Has the kernel find out that a peer is dead, although it never closed the connection.

use std::{io, time::Duration};

use socket2::{SockRef, TcpKeepalive};

use crate::config::Timeouts;

/// How many unanswered keepalive probes mean that the peer is dead.
const PROBES: u32 = 3;

/// When a silent peer counts as dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keepalive {
    /// How long the peer may be silent before it is probed.
    pub(crate) idle: Duration,
    /// The time between two of the [`PROBES`] probes.
    pub(crate) interval: Duration,
    /// How long sent data may be unacknowledged (TCP_USER_TIMEOUT, RFC 5482). The kernel does not probe
    /// then. It also limits how long the peer's window may stay closed.
    pub(crate) user_timeout: Duration,
}

impl Keepalive {
    /// The configured times for the hub's peers, or `None` if they are not probed.
    pub(crate) fn configured(timeouts: &Timeouts) -> Option<Self> {
        let idle = timeouts.keepalive?;
        let interval = (idle / 6).max(Duration::from_secs(1));
        let user_timeout = (idle + interval * PROBES).max(timeouts.stall);
        Some(Self { idle, interval, user_timeout })
    }

    /// Sets the options of a socket.
    ///
    /// # Errors
    ///
    /// The operating system's error.
    pub(crate) fn apply(&self, socket: &SockRef<'_>) -> io::Result<()> {
        let keepalive = TcpKeepalive::new()
            .with_time(self.idle)
            .with_interval(self.interval)
            .with_retries(PROBES);
        socket.set_tcp_keepalive(&keepalive)?;
        socket.set_tcp_user_timeout(Some(self.user_timeout))
    }
}
