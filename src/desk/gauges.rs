//! The gauges of a session: what it has received and sent, for the list of sessions. The Session
//! writes them, the Hub reads them, and neither waits for the other.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

/// See the [module's documentation](self).
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    lines_in: AtomicU64,
    bytes_in: AtomicU64,
    lines_out: AtomicU64,
    bytes_out: AtomicU64,
    queued: AtomicU64,
    /// Since when a line has had no room in the outbox.
    stalled: Mutex<Option<Instant>>,
}

/// What the gauges showed at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Whole lines that the peer has sent and that were not discarded.
    pub(crate) lines_in: u64,
    /// Their bytes, with line ends.
    pub(crate) bytes_in: u64,
    /// Lines that were accepted for the peer.
    pub(crate) lines_out: u64,
    /// Their bytes, with line ends.
    pub(crate) bytes_out: u64,
    /// Bytes that are queued for the peer.
    pub(crate) queued: u64,
    /// How long a line has had no room in the outbox.
    pub(crate) stalled: Option<Duration>,
}

impl Gauges {
    /// Counts lines that the peer has sent.
    pub(crate) fn count_in(&self, lines: usize, bytes: usize) {
        self.lines_in.fetch_add(lines as u64, Relaxed);
        self.bytes_in.fetch_add(bytes as u64, Relaxed);
    }

    /// Counts lines that were accepted for the peer.
    pub(crate) fn count_out(&self, lines: usize, bytes: usize) {
        self.lines_out.fetch_add(lines as u64, Relaxed);
        self.bytes_out.fetch_add(bytes as u64, Relaxed);
    }

    /// Sets how much is queued.
    pub(crate) fn set_queued(&self, bytes: usize) {
        self.queued.store(bytes as u64, Relaxed);
    }

    /// Sets since when a line has had no room.
    pub(crate) fn set_stalled(&self, since: Option<Instant>) {
        *self.stalled.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// What they show now.
    pub(crate) fn read(&self) -> Reading {
        let stalled = *self.stalled.lock().unwrap_or_else(PoisonError::into_inner);
        Reading {
            lines_in: self.lines_in.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            lines_out: self.lines_out.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            queued: self.queued.load(Relaxed),
            stalled: stalled.map(|since| since.elapsed()),
        }
    }
}
