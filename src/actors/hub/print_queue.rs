//! The queue of events for the Console. Events collect here while the Console is busy, so batches grow
//! by themselves under load, and no event is delayed just to make a batch larger.

use tokio::sync::oneshot;

use crate::{
    actors::messages::{ConsoleGone, Print},
    events::{ServerEvent, Stamped},
};

/// The most [`Print`]s that the Console may not have acknowledged: one being written, and the next one
/// ready.
const PRINTS: usize = 2;

/// The number of bytes of clients' lines at which a [`Print`] is sent without waiting for more.
///
/// Without this, busy sessions would use up their credit and then wait for the Console, while the
/// Console waits for them: the two threads would take turns instead of working in parallel.
pub(super) const LARGE: usize = 128 * 1024;

/// Resolves to the Console's acknowledgement of a [`Print`].
pub(super) type Ack = oneshot::Receiver<Result<(), ConsoleGone>>;

/// The acknowledgements that depend on one [`Print`].
#[derive(Debug, Default)]
pub(super) struct Acks(Vec<oneshot::Sender<Result<(), ConsoleGone>>>);

impl Acks {
    pub(super) fn resolve(self, result: Result<(), ConsoleGone>) {
        for ack in self.0 {
            // Fails if the receiver has stopped waiting.
            let _ = ack.send(result);
        }
    }
}

/// See the [module's documentation](self).
#[derive(Debug, Default)]
pub(super) struct PrintQueue {
    events: Vec<Stamped<ServerEvent>>,
    /// The number of bytes of clients' lines in `events`.
    bytes: usize,
    acks: Acks,
    /// The number of [`Print`]s under way.
    unacked: usize,
}

impl PrintQueue {
    /// The number of events in the queue.
    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether the queue holds so much that it should be sent before more is added.
    pub(super) fn is_large(&self) -> bool {
        self.bytes >= LARGE
    }

    /// Whether the Console may be sent another [`Print`].
    pub(super) fn may_print(&self) -> bool {
        self.unacked < PRINTS
    }

    pub(super) fn push(&mut self, event: ServerEvent) {
        if let ServerEvent::Message { lines, .. } = &event {
            self.bytes += lines.len();
        }
        self.events.push(event.into());
    }

    /// Resolves when everything pushed so far has been acknowledged.
    pub(super) fn ack(&mut self) -> Ack {
        let (sender, ack) = oneshot::channel();
        self.acks.0.push(sender);
        ack
    }

    /// Everything in the queue, and the acknowledgements that depend on it. None if the queue is
    /// empty or the Console has enough to do. It is under way until [`Self::acknowledged`].
    pub(super) fn next(&mut self) -> Option<(Print<ServerEvent>, Acks)> {
        if !self.may_print() || self.events.is_empty() && self.acks.0.is_empty() {
            return None;
        }
        self.unacked += 1;
        self.bytes = 0;
        Some((Print(std::mem::take(&mut self.events)), std::mem::take(&mut self.acks)))
    }

    /// The Console has acknowledged one [`Print`].
    pub(super) fn acknowledged(&mut self) {
        self.unacked -= 1;
    }
}
