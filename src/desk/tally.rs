//! What the Hub counts from the start of the server to its end.

use super::gauges::Reading;
use crate::events::CloseReason;

/// See the [module's documentation](self).
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Clients that were admitted.
    pub(crate) admitted: u64,
    /// Clients that were refused because the hub was full.
    pub(crate) full: u64,
    /// Lines that were discarded.
    pub(crate) discarded: u64,
    /// Sessions that ended, by [`CloseReason::ALL`].
    ended: [u64; CloseReason::ALL.len()],
    /// Lines that clients sent, and those that were accepted for them; bytes with line ends.
    pub(crate) lines_in: u64,
    pub(crate) lines_out: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

impl Tally {
    /// Counts a session that has ended.
    pub(crate) fn count_end(&mut self, reason: CloseReason) {
        let reasons = CloseReason::ALL.into_iter().zip(&mut self.ended);
        for (_, count) in reasons.filter(|(each, _)| *each == reason) {
            *count += 1;
        }
    }

    /// Every reason, and how many sessions have ended for it.
    pub(crate) fn ended(&self) -> impl Iterator<Item = (CloseReason, u64)> {
        CloseReason::ALL.into_iter().zip(self.ended)
    }

    /// Adds the lines of one session.
    pub(crate) fn add(&mut self, reading: &Reading) {
        self.lines_in += reading.lines_in;
        self.lines_out += reading.lines_out;
        self.bytes_in += reading.bytes_in;
        self.bytes_out += reading.bytes_out;
    }
}
