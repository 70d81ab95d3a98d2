//! A Session: one connection, from its greeting or refusal to its close.
//!
//! Takes [`Deliver`] and [`Close`] from the Hub. Sends [`Register`] first, then [`Received`] for
//! all that the peer sends, then [`Deregister`]. It ends when the peer leaves or is lost, stalls
//! or is idle for too long, or when the Hub closes it; always with a [`CloseReason`].
//!
//! It speaks to any byte stream, holds no buffer while nothing comes, and knows of no other
//! session.

mod ending;
mod refusal;

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll, Waker},
    time::Duration,
};

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Running, WrapFuture,
    dev::RecipientRequest,
};
use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::Instant,
};

use self::ending::Phase;
use crate::{
    actors::{
        messages::{
            Admission, Close, Deliver, Deregister, HubHandle, Received, Refused, Register,
            SessionHandle, SessionId,
        },
        poll_fn::poll_fn,
    },
    events::CloseReason,
    wire::{
        greeting,
        line_reader::{Buffers, Lease, LineReader},
        lines::{Decoded, LineDecoder},
        outbox::Outbox,
        reverse::reverse_lines,
    },
};

/// Batches of one peer that the Hub may not have answered for: one being printed, and the next
/// being reversed meanwhile.
const CREDIT: usize = 2;

/// A connection that a Session can serve.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + 'static {
    /// Makes closing it a reset, if the stream has such a thing, so that a peer whose lines were
    /// not taken does not mistake it for an orderly end.
    fn reset_on_close(&self) {}
}

impl Stream for TcpStream {
    fn reset_on_close(&self) {
        // Where it cannot be set the stream is broken already.
        let _ = self.set_zero_linger();
    }
}

impl Stream for DuplexStream {}

/// What all sessions have in common.
#[derive(Debug)]
pub struct Setup {
    /// The Hub.
    pub hub: HubHandle,
    /// The longest line, in bytes, its end not counted.
    pub max_line: usize,
    /// Bytes that may wait for the peer.
    pub outbox: usize,
    /// How long a full outbox may hold the hub up.
    pub stall: Duration,
    /// How long a peer may be silent.
    pub idle: Option<Duration>,
    /// What sessions read into; the bound of what waits for the Hub.
    pub buffers: Arc<Buffers>,
    /// How many refused peers may linger at once until they have read why.
    pub lingering: Arc<Semaphore>,
}

/// See the [module's documentation](self).
pub struct Session<S> {
    peer: SocketAddr,
    stream: S,
    setup: Arc<Setup>,
    phase: Phase,
    /// While the session has a place: what the Hub calls it.
    place: Option<SessionId>,
    reader: LineReader,
    /// What the Hub has not answered for yet, oldest first.
    forwarding: VecDeque<Forwarded>,
    /// Why the peer will send no more.
    input_ended: Option<CloseReason>,
    /// When the peer last sent something; kept if silence has a limit.
    heard: Option<Instant>,
    outbox: Outbox,
    /// What has no room in the outbox yet.
    overflow: VecDeque<Overflow>,
    /// Whether [`Self::poll_flush`] is under way.
    flushing: bool,
    /// Whether lines of the peer still reach stdout.
    taking: bool,
    /// Whether writing has failed. What the peer sent before is taken all the same.
    broken: bool,
    /// Held until the peer is admitted or gone: the listener bounds the newcomers by it.
    newcomer: Option<OwnedSemaphorePermit>,
}

/// A batch that the Hub has and the Console may not have.
struct Forwarded {
    answer: Pin<Box<RecipientRequest<Received>>>,
    _lease: Option<Lease>,
}

/// Lines for the peer that wait for room.
struct Overflow {
    deliver: Deliver,
    /// Dropped when there was room, or when there will be none.
    _waiting: oneshot::Sender<()>,
}

impl<S: Stream> Session<S> {
    /// A session for the connection to `peer`. `newcomer` is held until it is admitted or gone.
    pub fn new(
        stream: S,
        peer: SocketAddr,
        setup: Arc<Setup>,
        newcomer: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let decoder = LineDecoder::new(setup.max_line);
        Self {
            peer,
            stream,
            phase: Phase::New,
            place: None,
            reader: LineReader::new(decoder, Arc::clone(&setup.buffers)),
            forwarding: VecDeque::new(),
            input_ended: None,
            heard: None,
            outbox: Outbox::new(setup.outbox),
            overflow: VecDeque::new(),
            flushing: false,
            taking: true,
            broken: false,
            newcomer,
            setup,
        }
    }

    fn admitted(&mut self, admission: Admission, ctx: &mut Context<Self>) {
        let Admission { id, sessions, max_sessions } = admission;
        self.place = Some(id);
        self.phase = Phase::Open;
        self.newcomer = None;
        self.send(greeting::ready(sessions, max_sessions).into(), ctx);
        if let Some(idle) = self.setup.idle {
            self.heard = Some(Instant::now());
            self.watch_silence(idle, ctx);
        }
        ctx.spawn(poll_fn(Self::poll_reading));
    }

    /// Reads and forwards, as long as the Hub has answered for what came before.
    fn poll_reading(&mut self, ctx: &mut Context<Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        loop {
            while let Some(oldest) = self.forwarding.front_mut() {
                match oldest.answer.as_mut().poll(cx) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(Ok(()))) => drop(self.forwarding.pop_front()),
                    Poll::Ready(_) => {
                        self.reset(CloseReason::Shutdown, ctx);
                        return Poll::Ready(());
                    }
                }
            }
            match self.input_ended {
                _ if matches!(self.phase, Phase::Leaving(_) | Phase::Closed) => {
                    return Poll::Ready(());
                }
                Some(reason) if self.forwarding.is_empty() => {
                    let reason = match self.phase {
                        _ if self.broken => CloseReason::Lost,
                        Phase::Stopping(reason) | Phase::Parting(reason) => reason,
                        _ => reason,
                    };
                    self.leave(reason, ctx);
                    return Poll::Ready(());
                }
                None if self.forwarding.len() < CREDIT => {}
                _ => return Poll::Pending,
            }
            let received = self.reader.received();
            let next = self.reader.poll_next(&mut self.stream, cx);
            if self.reader.received() > received
                && let Some(heard) = &mut self.heard
            {
                *heard = Instant::now();
            }
            match next {
                Poll::Pending => {
                    self.part_if_done(ctx);
                    return Poll::Pending;
                }
                Poll::Ready(Ok(Some(input))) => self.forward(input),
                Poll::Ready(Ok(None)) => self.input_ended = Some(CloseReason::Left),
                Poll::Ready(Err(_)) => self.input_ended = Some(CloseReason::Lost),
            }
        }
    }

    fn forward(&mut self, input: Decoded) {
        let (input, lease) = match input {
            Decoded::Lines(lines) => {
                let lines = reverse_lines(lines);
                let lease = self.reader.lease(&lines);
                (Decoded::Lines(lines), Some(lease))
            }
            discarded @ Decoded::Discarded(_) => (discarded, None),
        };
        let answer = Box::pin(self.setup.hub.received.send(Received { peer: self.peer, input }));
        self.forwarding.push_back(Forwarded { answer, _lease: lease });
    }

    /// Writes at once what the stream takes; the rest waits in the outbox.
    fn send(&mut self, batch: Bytes, ctx: &mut Context<Self>) {
        // If the stream takes no more, the flush asks it again, then with somebody to wake.
        let mut nobody = TaskContext::from_waker(Waker::noop());
        match self.outbox.poll_send(batch, &mut self.stream, &mut nobody) {
            Poll::Ready(result) => self.written(result, ctx),
            Poll::Pending if self.flushing => {}
            Poll::Pending => {
                self.flushing = true;
                ctx.spawn(poll_fn(Self::poll_flush));
            }
        }
    }

    /// Writes what waits for the peer.
    fn poll_flush(&mut self, ctx: &mut Context<Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        loop {
            let result = self.outbox.poll_write(&mut self.stream, cx);
            while let Some(next) = self.overflow.pop_front() {
                if !self.outbox.has_room(next.deliver.lines.len()) {
                    self.overflow.push_front(next);
                    break;
                }
                self.outbox.push(next.deliver.lines.as_bytes().clone());
            }
            match result {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !self.outbox.is_empty() => {}
                Poll::Ready(result) => {
                    self.flushing = false;
                    self.written(result, ctx);
                    return Poll::Ready(());
                }
            }
        }
    }

    /// All that waited has been written, or the stream is broken.
    fn written(&mut self, result: io::Result<()>, ctx: &mut Context<Self>) {
        if let Err(error) = result {
            self.broken = true;
            // A broken pipe had been closed at the other end: what it ended with was whole. Of a
            // connection that was reset the rest is lost, and reading would not tell.
            if error.kind() != io::ErrorKind::BrokenPipe {
                self.reader.discard_partial_line();
            }
            self.outbox.clear();
            self.overflow.clear();
        }
        match self.phase {
            Phase::Leaving(_) if self.broken => self.close(CloseReason::Lost, ctx),
            Phase::Leaving(reason) => self.close(reason, ctx),
            Phase::Stopping(_) => self.part_if_done(ctx),
            _ => {}
        }
    }
}

impl<S: Stream> Actor for Session<S> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let session = SessionHandle::new(ctx.address());
        let register = self.setup.hub.register.send(Register { peer: self.peer, session });
        ctx.wait(register.into_actor(self).map(|answer, session, ctx| match answer {
            Ok(Ok(admission)) => session.admitted(admission, ctx),
            Ok(Err(Refused::Full)) => session.refused(ctx),
            Ok(Err(Refused::Stopping)) | Err(_) => session.reset(CloseReason::Shutdown, ctx),
        }));
    }

    fn stopping(&mut self, _: &mut Context<Self>) -> Running {
        // Only a panic leaves a place that has not been given back.
        if let Some(id) = self.place.take() {
            let deregister = Deregister { id, reason: CloseReason::Lost };
            #[expect(clippy::disallowed_methods, reason = "a stopping actor cannot wait")]
            self.setup.hub.deregister.do_send(deregister);
        }
        Running::Stop
    }
}

impl<S: Stream> Handler<Deliver> for Session<S> {
    type Result = ();

    fn handle(&mut self, deliver: Deliver, ctx: &mut Context<Self>) {
        if self.broken || !matches!(self.phase, Phase::Open | Phase::Stopping(_)) {
            return;
        }
        if self.overflow.is_empty() && self.outbox.has_room(deliver.lines.len()) {
            return self.send(deliver.lines.as_bytes().clone(), ctx);
        }
        let (waiting, no_longer) = oneshot::channel();
        self.overflow.push_back(Overflow { deliver, _waiting: waiting });
        let room = tokio::time::timeout(self.setup.stall, no_longer).into_actor(self);
        ctx.spawn(room.map(|in_time, session, ctx| {
            if in_time.is_err() {
                session.reset(CloseReason::Stalled, ctx);
            }
        }));
    }
}

impl<S: Stream> Handler<Close> for Session<S> {
    type Result = ();

    fn handle(&mut self, close: Close, ctx: &mut Context<Self>) {
        if self.phase == Phase::Open {
            // The reading that is under way takes it from here.
            self.phase = Phase::Stopping(CloseReason::Shutdown);
            self.taking = close.taking;
        }
        let left = close.deadline.saturating_duration_since(Instant::now());
        ctx.run_later(left, |session, ctx| session.end_parting(CloseReason::Shutdown, ctx));
    }
}

#[cfg(test)]
mod tests;
