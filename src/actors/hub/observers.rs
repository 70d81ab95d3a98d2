//! The observers of the Hub: they get the same events as the Console, and the Hub does not wait for them.

use std::sync::Arc;

use actix::{ActorFutureExt, AsyncContext, Context, Recipient, fut::wrap_future};

use super::Hub;
use crate::{
    actors::messages::Observed,
    events::{ServerEvent, Stamped},
};

/// One observer. At most one [`Observed`] is in transit to it.
pub(super) struct Observer {
    recipient: Recipient<Observed>,
    busy: bool,
    /// The number of events that happened while it was busy.
    missed: u64,
}

impl Observer {
    pub(super) fn new(recipient: Recipient<Observed>) -> Self {
        Self { recipient, busy: false, missed: 0 }
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
            if observer.busy {
                observer.missed += events.len() as u64;
                continue;
            }
            observer.busy = true;
            let missed = std::mem::take(&mut observer.missed);
            let observed = Observed { missed, events: Arc::clone(&shared) };
            let answered = wrap_future::<_, Self>(observer.recipient.send(observed));
            ctx.spawn(answered.map(move |_, hub, _| {
                if let Some(observer) = hub.observers.get_mut(index) {
                    observer.busy = false;
                }
            }));
        }
    }
}
