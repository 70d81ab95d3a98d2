//! The observers of the Hub: they get the same events as the Console, and the Hub does not wait for them.

use std::sync::Arc;

use actix::{ActorFutureExt, AsyncContext, Context, Recipient, fut::wrap_future};

use super::Hub;
use crate::{
    actors::messages::Observed,
    events::{ServerEvent, Stamped},
};

/// [`Observed`]s that the Feed may have under way. It runs on this event loop and only stores them, so
/// it never misses any just because it has not had its turn yet.
const FEED: usize = 4;

/// One observer.
pub(super) struct Observer {
    recipient: Recipient<Observed>,
    /// The number of batches that it has not taken.
    under_way: usize,
    /// The limit on them.
    most: usize,
    /// The number of events that happened while it was busy.
    missed: u64,
}

impl Observer {
    /// An observer that gets one batch at a time.
    pub(super) fn new(recipient: Recipient<Observed>) -> Self {
        Self { recipient, under_way: 0, most: 1, missed: 0 }
    }

    /// The Feed.
    pub(super) fn feed(recipient: Recipient<Observed>) -> Self {
        Self { most: FEED, ..Self::new(recipient) }
    }
}

impl Hub {
    /// Sends the events to every observer that is not busy, and counts them for the others.
    pub(super) fn observe(&mut self, events: &[Stamped<ServerEvent>], ctx: &mut Context<Self>) {
        if self.observers.is_empty() || events.is_empty() {
            return;
        }
        let shared: Arc<[_]> = events.into();
        for (index, observer) in self.observers.iter_mut().enumerate() {
            if observer.under_way >= observer.most {
                observer.missed += events.iter().map(|stamped| stamped.event.count()).sum::<u64>();
                continue;
            }
            observer.under_way += 1;
            let missed = std::mem::take(&mut observer.missed);
            let observed = Observed { missed, events: Arc::clone(&shared) };
            let answered = wrap_future::<_, Self>(observer.recipient.send(observed));
            ctx.spawn(answered.map(move |_, hub, _| {
                if let Some(observer) = hub.observers.get_mut(index) {
                    observer.under_way -= 1;
                }
            }));
        }
    }
}
