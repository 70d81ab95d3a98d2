//! The clients that wait for a slot, first come, first served. Clients that send one line and leave can
//! follow each other without being refused, although the last one's slot is not free yet.

use std::{collections::VecDeque, sync::Arc};

use actix::{AsyncContext, Context};
use tokio::{
    sync::oneshot,
    time::{Duration, Instant},
};

use super::Hub;
use crate::actors::messages::{Admission, PeerKind, Refused, Register};

/// The most clients that may wait at the same time. Further ones are refused immediately.
pub(super) const MAX_WAITING: usize = 1024;

type Answer = Result<Admission, Refused>;

/// The queue. All clients wait equally long, so the first one's time runs out first.
#[derive(Default)]
pub(super) struct WaitingClients {
    queue: VecDeque<Waiting>,
    /// Whether a timer for the first one is running.
    timer: bool,
}

struct Waiting {
    register: Register,
    answer: oneshot::Sender<Answer>,
    deadline: Instant,
}

impl Hub {
    /// Lets a client wait for a slot. None if it must be refused at once.
    pub(super) fn wait_for_slot(
        &mut self,
        register: &Register,
        ctx: &mut Context<Self>,
    ) -> Option<oneshot::Receiver<Answer>> {
        let slot = self.settings.slot;
        if slot.is_zero() || self.waiting.queue.len() >= MAX_WAITING {
            return None;
        }
        let (answer, answered) = oneshot::channel();
        let register = Register {
            peer: register.peer,
            kind: PeerKind::Client,
            session: register.session.clone(),
            gauges: Arc::clone(&register.gauges),
        };
        self.waiting.queue.push_back(Waiting { register, answer, deadline: Instant::now() + slot });
        self.watch_waiting(ctx);
        Some(answered)
    }

    /// Admits waiting clients as long as there are slots.
    pub(super) fn admit_waiting(&mut self, ctx: &mut Context<Self>) {
        while !self.draining
            && self.has_slot()
            && let Some(Waiting { register, answer, .. }) = self.waiting.queue.pop_front()
        {
            // A Session whose connection could not be served is gone.
            if !answer.is_closed() {
                let _ = answer.send(Ok(self.admit(register, ctx)));
            }
        }
    }

    /// Refuses all waiting clients.
    pub(super) fn refuse_all_waiting(&mut self, ctx: &mut Context<Self>) {
        while let Some(waiting) = self.waiting.queue.pop_front() {
            let _ = waiting.answer.send(Err(self.reject(&waiting.register, ctx)));
        }
    }

    /// Sets a timer for the client that has waited longest.
    fn watch_waiting(&mut self, ctx: &mut Context<Self>) {
        let Some(first) = self.waiting.queue.front().filter(|_| !self.waiting.timer) else {
            return;
        };
        self.waiting.timer = true;
        let remaining = first.deadline.saturating_duration_since(Instant::now());
        // Timers have a resolution of a millisecond: one that is early would only be set again.
        ctx.run_later(remaining.max(Duration::from_millis(1)), |hub, ctx| {
            hub.waiting.timer = false;
            hub.refuse_expired(ctx);
            hub.watch_waiting(ctx);
        });
    }

    fn refuse_expired(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        while self.waiting.queue.front().is_some_and(|first| first.deadline <= now) {
            if let Some(waiting) = self.waiting.queue.pop_front() {
                let _ = waiting.answer.send(Err(self.reject(&waiting.register, ctx)));
            }
        }
    }
}
