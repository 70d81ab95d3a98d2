//! How a session ends: in which order it takes leave, and who is told.

use std::{
    pin::Pin,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use actix::{ActorContext, ActorFutureExt, AsyncContext, Context, WrapFuture};
use tokio::time::Instant;

use super::{Session, Stream};
use crate::{
    actors::{messages::Deregister, poll_fn::poll_fn},
    events::CloseReason,
    wire::lines::BATCH,
};

/// How long a stopping session listens for lines that were on their way when it said goodbye.
const LAST_LINES: Duration = Duration::from_millis(250);

/// Where a session is in its life. It only ever moves down this list:
///
/// ```text
/// New ──► Open ──► Stopping ──► Parting ──► Closed     the server ends it (shutdown, idle)
///           └─────────┴────────────┴─► Leaving ──► Closed     the peer has left
/// ```
///
/// From each of them it may be closed at once: lost, stalled, refused, or out of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not admitted yet.
    New,
    /// Admitted.
    Open,
    /// The server lets it go: takes what has arrived, and sends what waits.
    Stopping(CloseReason),
    /// The same when both have been done: it has said goodbye by closing its sending side, unless
    /// that would be untrue, and listens for what was on its way.
    Parting(CloseReason),
    /// Takes no more; ends when what waits for the peer has been sent.
    Leaving(CloseReason),
    /// Nothing is left to do but to go.
    Closed,
}

impl<S: Stream> Session<S> {
    /// Lets a silent peer go, as if the server stopped for it alone.
    pub(super) fn stop_idle(&mut self, ctx: &mut Context<Self>) {
        self.phase = Phase::Stopping(CloseReason::Idle);
        if self.flushing {
            self.watch_flush(ctx);
        }
        self.part_if_done(ctx);
    }

    /// Says goodbye to a peer that is let go, once all that has come from it has been taken, and all
    /// that waited has been sent.
    pub(super) fn part_if_done(&mut self, ctx: &mut Context<Self>) {
        if let Phase::Stopping(reason) = self.phase
            && !self.is_waiting()
            && self.outbox.is_empty()
        {
            self.phase = Phase::Parting(reason);
            self.heard = Some(Instant::now());
            // An orderly goodbye says that all has been taken.
            if self.taking && !self.reader.has_partial_line() {
                ctx.spawn(poll_fn(Self::poll_hang_up));
            }
            self.watch_silence(LAST_LINES, ctx);
        }
    }

    /// Whether what the peer sent waits: to be taken by the Console, or to be read at all.
    pub(super) fn is_waiting(&self) -> bool {
        !self.forwarding.is_empty() || !self.reader.is_drained()
    }

    /// Ends the session once the peer has been silent for `limit`.
    pub(super) fn watch_silence(&mut self, limit: Duration, ctx: &mut Context<Self>) {
        let silence = self.heard.map_or(Duration::ZERO, |heard| heard.elapsed());
        let rest = limit.saturating_sub(silence);
        ctx.run_later(rest, move |session, ctx| {
            let silent = session.heard.is_some_and(|heard| heard.elapsed() >= limit);
            match session.phase {
                // Whoever waits for the others is not silent.
                Phase::Open | Phase::Parting(_) if session.is_waiting() => {
                    session.heard = Some(Instant::now());
                    session.watch_silence(limit, ctx);
                }
                Phase::Open if silent => session.stop_idle(ctx),
                Phase::Parting(reason) if silent => session.end_parting(reason, ctx),
                Phase::Open | Phase::Parting(_) => session.watch_silence(limit, ctx),
                _ => {}
            }
        });
    }

    /// Takes no more, and ends when what waits for the peer has been sent.
    pub(super) fn leave(&mut self, reason: CloseReason, ctx: &mut Context<Self>) {
        if matches!(self.phase, Phase::Leaving(_) | Phase::Closed) {
            return;
        }
        self.phase = Phase::Leaving(reason);
        if self.flushing && reason != CloseReason::Lost {
            self.watch_flush(ctx);
        } else {
            self.close(reason, ctx);
        }
    }

    /// Lets a leaving peer go when it does not even make room for one batch within `stall`.
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

    /// Ends the session of a peer that was let go. If not everything of it has been taken, or it has
    /// not got everything, it can tell.
    pub(super) fn end_parting(&mut self, reason: CloseReason, ctx: &mut Context<Self>) {
        let cut_off = self.is_waiting() || self.reader.has_partial_line();
        if cut_off || !self.outbox.is_empty() {
            self.reset(reason, ctx);
        } else {
            self.close(reason, ctx);
        }
    }

    /// Ends the session at once, so that the peer can tell.
    pub(super) fn reset(&mut self, reason: CloseReason, ctx: &mut Context<Self>) {
        if self.phase != Phase::Closed {
            self.stream.reset_on_close();
            self.close(reason, ctx);
        }
    }

    /// Gives the place back; when the Hub has it the connection is closed.
    pub(super) fn close(&mut self, reason: CloseReason, ctx: &mut Context<Self>) {
        if self.phase == Phase::Closed {
            return;
        }
        self.phase = Phase::Closed;
        self.overflow.clear();
        let Some(id) = self.place.take() else {
            return ctx.stop();
        };
        let deregister = self.setup.hub.deregister.send(Deregister { id, reason });
        ctx.spawn(deregister.into_actor(self).map(|_, _, ctx| ctx.stop()));
    }

    /// Closes the sending side.
    pub(super) fn poll_hang_up(
        &mut self,
        _: &mut Context<Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<()> {
        // Where this fails the connection is closed already.
        Pin::new(&mut self.stream).poll_shutdown(cx).map(|_| ())
    }
}
