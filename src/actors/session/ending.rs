//! How a session ends: its phases, and the one `close` that every ending goes through.

use actix::{ActorContext, ActorFutureExt, AsyncContext, Context, WrapFuture};
use tokio::time::Instant;

use super::{Session, Stream};
use crate::{
    actors::messages::{Deregister, Outcome},
    events::CloseReason,
    wire::lines::BATCH,
};

/// The phases of a session. It only ever moves down this list:
///
/// ```text
/// New ──► Open ──► Draining ──► Lingering ──► Deregistering     the server ends it (shutdown, idle)
///           └─────────┴────────────┴─► Flushing ──► Deregistering     the peer has left
/// ```
///
/// From every phase it may go to `Deregistering` at once: lost, stalled, refused, or out of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not admitted yet.
    New,
    /// Admitted.
    Open,
    /// The server ends the session: it reads what has arrived and sends what is queued.
    Draining(CloseReason),
    /// Both are done. The session has closed its sending side, unless that would claim that all lines
    /// have been printed when they have not, and reads what was still in transit.
    Lingering(CloseReason),
    /// The session reads no more, and ends when what is queued has been sent.
    Flushing(CloseReason),
    /// The session gives its slot back.
    Deregistering,
}

impl Phase {
    /// Why the session ends, if the server has decided that.
    pub(super) fn reason(self) -> Option<CloseReason> {
        match self {
            Self::Draining(reason) | Self::Lingering(reason) => Some(reason),
            Self::New | Self::Open | Self::Flushing(_) | Self::Deregistering => None,
        }
    }
}

impl Phase {
    fn is_kicked(self) -> bool {
        matches!(
            self,
            Self::Draining(CloseReason::Kicked)
                | Self::Lingering(CloseReason::Kicked)
                | Self::Flushing(CloseReason::Kicked)
        )
    }
}

impl<S: Stream> Session<S> {
    /// Ends the session of a peer that has been silent for too long, as if the server stopped for it
    /// alone.
    pub(super) fn stop_idle(&mut self, ctx: &mut Context<Self>) {
        self.phase = Phase::Draining(CloseReason::Idle);
        if !self.outbox.is_empty() {
            self.watch_flush(ctx);
        }
        self.linger_if_drained(ctx);
    }

    /// Ends a session that the server closes at the deadline, even if it is still draining.
    pub(super) fn end_by(&mut self, deadline: Instant, ctx: &mut Context<Self>) {
        let remaining = deadline.saturating_duration_since(Instant::now());
        ctx.run_later(remaining, |session, ctx| {
            let reason = session.phase.reason().unwrap_or(CloseReason::Shutdown);
            session.end_lingering(reason, ctx);
        });
    }

    /// Whether something that the peer sent has not been read, or not been acknowledged by the Hub.
    pub(super) fn has_unacked_input(&self) -> bool {
        !self.unacked.is_empty() || !self.reader.is_drained()
    }

    /// Reads no more, and ends when what is queued has been sent.
    pub(super) fn leave(&mut self, reason: CloseReason, ctx: &mut Context<Self>) {
        if matches!(self.phase, Phase::Flushing(_) | Phase::Deregistering) {
            return;
        }
        self.phase = Phase::Flushing(reason);
        self.end_question(Outcome::Ended, ctx);
        if !self.outbox.is_empty() && reason != CloseReason::Lost {
            self.watch_flush(ctx);
        } else {
            self.close(reason, ctx);
        }
    }

    /// Ends the session if its peer does not accept even one batch within `stall`.
    fn watch_flush(&mut self, ctx: &mut Context<Self>) {
        let goal = self.outbox.written() + self.outbox.waiting().min(BATCH) as u64;
        ctx.run_later(self.setup.stall, move |session, ctx| {
            if session.outbox.written() < goal {
                session.reset(CloseReason::Stalled, ctx);
            } else {
                session.watch_flush(ctx);
            }
        });
    }

    /// Closes the connection in an orderly way, or with a reset if lines were lost in either direction,
    /// so that the peer notices.
    pub(super) fn end_lingering(&mut self, reason: CloseReason, ctx: &mut Context<Self>) {
        let lost_input = self.has_unacked_input() || self.reader.has_partial_line();
        if lost_input || !self.outbox.is_empty() {
            self.reset(reason, ctx);
        } else {
            self.close(reason, ctx);
        }
    }

    /// Closes the connection with a reset, at once.
    pub(super) fn reset(&mut self, reason: CloseReason, ctx: &mut Context<Self>) {
        if self.phase != Phase::Deregistering {
            self.stream.reset_on_close();
            self.close(reason, ctx);
        }
    }

    /// Gives the slot back. The connection is closed when the Hub has freed the slot.
    pub(super) fn close(&mut self, reason: CloseReason, ctx: &mut Context<Self>) {
        if self.phase == Phase::Deregistering {
            return;
        }
        // Whatever happens to a session that is being kicked, this is why it ends.
        let reason = if self.phase.is_kicked() { CloseReason::Kicked } else { reason };
        self.phase = Phase::Deregistering;
        self.end_question(Outcome::Ended, ctx);
        self.overflow.clear();
        let Some(id) = self.slot.take() else {
            return self.close_unregistered(ctx);
        };
        let unfinished = self.reader.partial_len();
        let unfinished = (reason != CloseReason::Left && unfinished > 0).then_some(unfinished);
        let deregister = self.setup.hub.deregister.send(Deregister { id, reason, unfinished });
        ctx.spawn(deregister.into_actor(self).map(|_, _, ctx| ctx.stop()));
    }

    /// Closes the connection of a peer that has no slot.
    pub(super) fn close_unregistered(&mut self, ctx: &mut Context<Self>) {
        self.phase = Phase::Deregistering;
        ctx.stop();
    }
}
