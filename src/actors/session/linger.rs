//! Lingering close: the session closes its sending side and reads on for a while. If it closed the
//! connection with unread input, TCP would send a reset, which can make the peer lose what was sent last.
//!
//! A peer that the server closes lingers until it has been silent for a moment, and what it sends is
//! printed. A peer that is refused lingers until it closes, and what it sends is thrown away.

use std::{
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll, ready},
    time::Duration,
};

use actix::{AsyncContext, Context};
use tokio::{io::ReadBuf, time::Instant};

use super::{Phase, Session, Stream};
use crate::{actors::poll_fn::poll_fn, wire::greeting};

/// How long a peer must be silent before its session is closed: time for lines that were in transit
/// when the session closed its sending side.
const LAST_LINES: Duration = Duration::from_millis(250);

/// How long a refused peer may take to read its refusal and close.
pub(super) const REFUSED: Duration = Duration::from_secs(1);

impl<S: Stream> Session<S> {
    /// Starts to linger when everything that has arrived is acknowledged and everything queued is sent.
    pub(super) fn linger_if_drained(&mut self, ctx: &mut Context<Self>) {
        if let Phase::Draining(reason) = self.phase
            && !self.has_unacked_input()
            && self.outbox.is_empty()
        {
            self.phase = Phase::Lingering(reason);
            self.last_received = Some(Instant::now());
            // An orderly end tells the peer that all its lines have been printed.
            if self.output_alive && !self.reader.has_partial_line() {
                ctx.spawn(poll_fn(Self::poll_shutdown));
            }
            self.watch_silence(LAST_LINES, ctx);
            // A peer that talks without a pause must not keep its slot.
            self.end_by(Instant::now() + self.setup.drain, ctx);
        }
    }

    /// Ends the session once the peer has been silent for `limit`.
    pub(super) fn watch_silence(&mut self, limit: Duration, ctx: &mut Context<Self>) {
        let silence = self.last_received.map_or(Duration::ZERO, |at| at.elapsed());
        ctx.run_later(limit.saturating_sub(silence), move |session, ctx| {
            let silent = session.last_received.is_some_and(|at| at.elapsed() >= limit);
            match session.phase {
                // The session is not reading, so this is no silence of the peer.
                Phase::Open | Phase::Lingering(_) if session.has_unacked_input() => {
                    session.last_received = Some(Instant::now());
                    session.watch_silence(limit, ctx);
                }
                Phase::Open if silent => session.stop_idle(ctx),
                Phase::Lingering(reason) if silent => session.end_lingering(reason, ctx),
                Phase::Open | Phase::Lingering(_) => session.watch_silence(limit, ctx),
                _ => {}
            }
        });
    }

    /// Tells the peer why it is refused, and lingers so that it learns of it.
    pub(super) fn refuse(&mut self, ctx: &mut Context<Self>) {
        self.outbox.push(greeting::refused().into());
        self.arrival = None;
        let permit = Arc::clone(&self.setup.lingering).try_acquire_owned().ok();
        let limit = if permit.is_some() { REFUSED } else { Duration::ZERO };
        // In this order: the refusal is written first, however short the limit is.
        ctx.spawn(poll_fn(Self::poll_refusal));
        // The timer holds the permit. It ends with the actor.
        ctx.run_later(limit, |session, ctx| {
            drop(permit);
            session.close_unregistered(ctx);
        });
    }

    /// Writes the refusal, closes the sending side, and reads until the peer has closed.
    fn poll_refusal(&mut self, ctx: &mut Context<Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let _ = ready!(self.outbox.poll_write(&mut self.stream, cx));
        ready!(self.poll_shutdown(ctx, cx));
        // Not into the shared buffers: they may all be in use when stdout is stuck.
        let mut space = [MaybeUninit::uninit(); 16 * 1024];
        loop {
            let mut buffer = ReadBuf::uninit(&mut space);
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                self.close_unregistered(ctx);
                return Poll::Ready(());
            }
        }
    }

    /// Closes the sending side.
    fn poll_shutdown(&mut self, _: &mut Context<Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        // If this fails, the connection is closed already.
        Pin::new(&mut self.stream).poll_shutdown(cx).map(|_| ())
    }
}
