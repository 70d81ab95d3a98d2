//! What has happened and the Console has not been told: collected while it is busy, so that batches
//! grow by themselves under load and nothing is held back in order to batch.

use tokio::sync::oneshot;

use crate::{
    actors::messages::{ConsoleGone, Print},
    events::{Event, Stamped},
};

/// [`Print`]s at once on their way to the Console: one being written, one ready behind it.
const PRINTS: usize = 2;

/// How many bytes of lines make a [`Print`] large enough to go at once.
///
/// If it waited for more, busy sessions would hand over all they may and then wait for the
/// Console, and the Console for them: two threads would do the work of one.
pub(super) const LARGE: usize = 128 * 1024;

/// Whether the Console has taken something: a future of the answer.
pub(super) type Taken = oneshot::Receiver<Result<(), ConsoleGone>>;

/// Those who want to know when the Console has taken a [`Print`].
#[derive(Debug, Default)]
pub(super) struct Takers(Vec<oneshot::Sender<Result<(), ConsoleGone>>>);

impl Takers {
    pub(super) fn tell(self, taken: Result<(), ConsoleGone>) {
        for taker in self.0 {
            // Who no longer waits does not need to know.
            let _ = taker.send(taken);
        }
    }
}

/// See the [module's documentation](self).
#[derive(Debug, Default)]
pub(super) struct PrintQueue {
    events: Vec<Stamped>,
    /// How many bytes of clients' lines are in `events`.
    bytes: usize,
    takers: Takers,
    /// How many [`Print`]s are on their way.
    printing: usize,
}

impl PrintQueue {
    /// Events that wait.
    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether so much waits that it should go before there is more.
    pub(super) fn is_large(&self) -> bool {
        self.bytes >= LARGE
    }

    /// Whether the Console may be sent another [`Print`].
    pub(super) fn may_print(&self) -> bool {
        self.printing < PRINTS
    }

    pub(super) fn push(&mut self, event: Event) {
        if let Event::Message { lines, .. } = &event {
            self.bytes += lines.len();
        }
        self.events.push(event.into());
    }

    /// Tells when all that has been pushed so far has been taken.
    pub(super) fn taken(&mut self) -> Taken {
        let (taker, taken) = oneshot::channel();
        self.takers.0.push(taker);
        taken
    }

    /// All that waits, and who waits for it; none if there is nothing or the Console has enough to
    /// do. It is on its way until [`Self::printed`].
    pub(super) fn next(&mut self) -> Option<(Print, Takers)> {
        if !self.may_print() || self.events.is_empty() && self.takers.0.is_empty() {
            return None;
        }
        self.printing += 1;
        self.bytes = 0;
        Some((Print(std::mem::take(&mut self.events)), std::mem::take(&mut self.takers)))
    }

    /// The Console has answered for one [`Print`].
    pub(super) fn printed(&mut self) {
        self.printing -= 1;
    }
}
