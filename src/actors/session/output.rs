//! What a session sends: deliveries go to the stream at once, or wait in the outbox, or wait for room in
//! it.

use std::{
    io,
    task::{Context as TaskContext, Poll, Waker},
};

use actix::{ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use bytes::Bytes;
use tokio::{sync::oneshot, time::Instant};

use super::{Phase, Session, Stream};
use crate::{
    actors::{messages::Deliver, poll_fn::poll_fn},
    events::CloseReason,
};

/// A delivery that waits for room in the outbox.
pub(super) struct Overflow {
    /// What is sent for it.
    batch: Bytes,
    _deliver: Deliver,
    /// Dropped when there was room, or when there will be none.
    _waiting: oneshot::Sender<()>,
}

impl<S: Stream> Session<S> {
    /// Whether what is sent to the peer may still reach it.
    pub(super) fn accepts_output(&self) -> bool {
        let kicked = self.phase == Phase::Draining(CloseReason::Kicked);
        !self.write_failed && !kicked && matches!(self.phase, Phase::Open | Phase::Draining(_))
    }

    /// Writes at once what the stream accepts. The rest waits in the outbox.
    pub(super) fn send(&mut self, batch: Bytes, ctx: &mut Context<Self>) {
        let flushing = !self.outbox.is_empty();
        // If the stream does not accept everything, the flush tries again with a real waker.
        let mut no_waker = TaskContext::from_waker(Waker::noop());
        let sent = self.outbox.poll_send(batch, &mut self.stream, &mut no_waker);
        match sent {
            Poll::Ready(result) => return self.written(result, ctx),
            Poll::Pending if flushing => {}
            Poll::Pending => {
                ctx.spawn(poll_fn(Self::poll_flush));
            }
        }
        self.update_queued();
    }

    /// Keeps the gauges true about what is queued.
    pub(super) fn update_queued(&self) {
        self.gauges.set_queued(self.queued());
    }

    /// Bytes that have not been written.
    pub(super) fn queued(&self) -> usize {
        let overflow: usize = self.overflow.iter().map(|next| next.batch.len()).sum();
        self.outbox.waiting() + overflow
    }

    /// Writes what is queued for the peer.
    pub(super) fn poll_flush(
        &mut self,
        ctx: &mut Context<Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<()> {
        loop {
            let result = self.outbox.poll_write(&mut self.stream, cx);
            self.accept_overflow();
            self.update_queued();
            self.note_if_sent();
            match result {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !self.outbox.is_empty() => {}
                Poll::Ready(result) => {
                    self.written(result, ctx);
                    return Poll::Ready(());
                }
            }
        }
    }

    /// Moves deliveries into the outbox as far as it has room for them.
    fn accept_overflow(&mut self) {
        while let Some(next) = self.overflow.pop_front() {
            if !self.outbox.has_room(next.batch.len()) {
                return self.overflow.push_front(next);
            }
            self.outbox.push(next.batch);
            if self.overflow.is_empty() {
                self.gauges.set_stalled(None);
            }
        }
    }

    /// Everything queued has been written, or the connection is broken.
    pub(super) fn written(&mut self, result: io::Result<()>, ctx: &mut Context<Self>) {
        if let Err(error) = result {
            self.write_failed = true;
            // EPIPE: the peer had closed before, so its last line was whole. After a reset the rest of
            // the line is lost, and reading would not tell.
            if error.kind() != io::ErrorKind::BrokenPipe {
                self.reader.discard_partial_line();
            }
            self.outbox.clear();
            self.overflow.clear();
        }
        match self.phase {
            Phase::Flushing(_) if self.write_failed => self.close(CloseReason::Lost, ctx),
            Phase::Flushing(reason) => self.close(reason, ctx),
            Phase::Draining(_) => self.linger_if_drained(ctx),
            _ => {}
        }
    }
}

impl<S: Stream> Handler<Deliver> for Session<S> {
    type Result = ();

    fn handle(&mut self, mut deliver: Deliver, ctx: &mut Context<Self>) {
        if let Some(question) = deliver.question.take() {
            return self.ask(deliver, question, ctx);
        }
        // A question that has not been sent comes first.
        self.send_question(ctx);
        self.deliver(deliver, ctx);
    }
}

impl<S: Stream> Session<S> {
    /// Sends lines, queues them, or has them wait for room.
    pub(super) fn deliver(&mut self, deliver: Deliver, ctx: &mut Context<Self>) {
        if !self.accepts_output() {
            return;
        }
        let batch = self.setup.framing.send_end.encode(&deliver.lines);
        self.gauges.count_out(deliver.count, batch.len());
        if self.overflow.is_empty() && self.outbox.has_room(batch.len()) {
            return self.send(batch, ctx);
        }
        if self.overflow.is_empty() {
            self.gauges.set_stalled(Some(Instant::now()));
        }
        let (waiting, no_longer_waiting) = oneshot::channel();
        self.overflow.push_back(Overflow { batch, _deliver: deliver, _waiting: waiting });
        let room = tokio::time::timeout(self.setup.stall, no_longer_waiting).into_actor(self);
        ctx.spawn(room.map(|in_time, session, ctx| {
            if in_time.is_err() {
                session.reset(CloseReason::Stalled, ctx);
            }
        }));
    }
}
