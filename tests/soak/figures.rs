//! What happened during the soak test, in numbers.

use std::{fmt, time::Duration};

/// Counters of everything that happened.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Clients that were admitted.
    pub(crate) connected: u64,
    /// Clients that were refused because the hub was full.
    pub(crate) refused: u64,
    /// Clients that left in an orderly way.
    pub(crate) left: u64,
    /// Clients that reset their connection.
    pub(crate) reset: u64,
    /// Clients that the server closed because they did not read.
    pub(crate) stalled: u64,
    /// Whole lines that admitted clients sent.
    pub(crate) sent: u64,
    /// Lines of clients that the server printed.
    pub(crate) received: u64,
    /// Lines of clients that the server reported as too long.
    pub(crate) discarded: u64,
    /// Lines that were in flight when their client reset the connection or was closed as stalled.
    pub(crate) cut_off: u64,
    /// Lines of clients that are missing though their client left in an orderly way.
    pub(crate) lost: u64,
    /// Lines that the operator sent.
    pub(crate) broadcast: u64,
    /// Broadcast lines that clients received, counted once for each client.
    pub(crate) delivered: u64,
    /// Lines that the operator sent and that were too long.
    pub(crate) too_long: u64,
    /// Lines of the operator that the server reported as too long.
    pub(crate) reported: u64,
}

impl Figures {
    /// The result of the whole test, as a table.
    pub(crate) fn table(&self, elapsed: Duration) -> String {
        let seconds = elapsed.as_secs_f64();
        let rate = |count: u64| count as f64 / seconds;
        let Self { connected, refused, left, reset, stalled, .. } = self;
        let Self { sent, received, discarded, cut_off, lost, broadcast, delivered, .. } = self;
        format!(
            "clients      {connected} connected, {refused} refused; {left} left, {reset} reset, \
             {stalled} stalled\n\
             client lines {sent} sent, {received} received ({:.0}/s), {discarded} too long and \
             reported, {cut_off} cut off\n\
             broadcasts   {broadcast} sent, {delivered} received by clients ({:.0}/s)\n\
             lost         {lost}\n\
             time         {seconds:.1} s",
            rate(*received),
            rate(*delivered),
        )
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connected, refused, stalled, received, broadcast, delivered, .. } = self;
        write!(
            f,
            "{connected} connected, {refused} refused, {stalled} stalled; {received} lines \
             received; {broadcast} broadcasts, {delivered} deliveries"
        )
    }
}
