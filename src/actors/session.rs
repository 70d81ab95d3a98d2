//! A Session: one connection, from its greeting or refusal to its close.
//!
//! Handles `Deliver` and [`Close`] from the Hub. Sends [`Register`] first, then [`Received`] for
//! everything that the peer sends, then [`Deregister`]. It ends when the peer leaves or is lost,
//! stalls or is idle for too long, or when the Hub closes it; always with a [`CloseReason`].
//!
//! It works on any byte stream, holds no buffer while nothing arrives, and knows no other session.

mod ending;
mod linger;
mod output;
mod question;

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Running, WrapFuture,
    dev::RecipientRequest,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use tokio_util::sync::{CancellationToken, DropGuard};

use self::{ending::Phase, output::Overflow, question::Asked};
use crate::{
    actors::{
        messages::{
            Admission, Close, Deregister, HubHandle, Input, PeerKind, Received, Refused, Register,
            SessionHandle, SessionId,
        },
        poll_fn::poll_fn,
    },
    desk::gauges::Gauges,
    events::CloseReason,
    wire::{
        framing::Framing,
        greeting,
        line_reader::{Buffers, Lease, LineReader},
        lines::{Decoded, LineDecoder},
        outbox::Outbox,
        reverse::reverse_and_count,
    },
};

/// Batches of one peer that the Hub may not have acknowledged: one being printed, and the next one
/// being reversed meanwhile.
const MAX_UNACKED: usize = 2;

/// A connection that a Session can serve.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + 'static {
    /// Makes closing it a reset, if the stream has such a thing, so that a peer whose lines were
    /// lost does not mistake the close for an orderly end.
    fn reset_on_close(&self) {}
}

impl Stream for DuplexStream {}

/// What all sessions of clients share. Each device has one of its own.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The Hub.
    pub(crate) hub: HubHandle,
    /// Which kind of peers these are.
    pub(crate) kind: PeerKind,
    /// Whether lines are reversed before they are passed on.
    pub(crate) reverse: bool,
    /// Whether an admitted peer is greeted.
    pub(crate) greeting: bool,
    /// How the streams in both directions are divided into lines.
    pub(crate) framing: Framing,
    /// The longest line, in bytes, its end not counted.
    pub(crate) max_line: usize,
    /// The limit on the outbox, in bytes.
    pub(crate) outbox: usize,
    /// How long a full outbox may delay the operator.
    pub(crate) stall: Duration,
    /// How long a peer may be silent.
    pub(crate) idle: Option<Duration>,
    /// How long closing an idle session may take.
    pub(crate) drain: Duration,
    /// What sessions read into; it bounds what the Hub has not acknowledged.
    pub(crate) buffers: Arc<Buffers>,
    /// How many refused peers may linger at once until they have read why.
    pub(crate) lingering: Arc<Semaphore>,
}

/// See the [module's documentation](self).
pub(crate) struct Session<S> {
    stream: S,
    setup: Arc<Setup>,
    phase: Phase,
    /// The Hub's name for the session, while it has a slot.
    slot: Option<SessionId>,
    gauges: Arc<Gauges>,
    reader: LineReader,
    /// Batches that the Hub has not acknowledged, oldest first.
    unacked: VecDeque<Unacked>,
    /// Why the peer will send nothing more.
    input_ended: Option<CloseReason>,
    /// When the peer last sent something. Kept only if silence has a limit.
    last_received: Option<Instant>,
    outbox: Outbox,
    /// Deliveries for which the outbox has no room yet.
    overflow: VecDeque<Overflow>,
    /// The question under way, which is rare.
    asked: Option<Box<Asked>>,
    /// Whether the peer's lines still reach stdout.
    output_alive: bool,
    /// Whether writing has failed. What the peer sent before is still read.
    write_failed: bool,
    /// Dropped when the peer is admitted or refused. A session that runs needs none of it.
    arrival: Option<Box<Arrival>>,
    /// Cancels a token when the session has ended, if somebody wants to know.
    _ended: Option<DropGuard>,
}

/// A peer that has not been admitted.
struct Arrival {
    peer: SocketAddr,
    /// The listener bounds pending connections by it.
    _pending: Option<OwnedSemaphorePermit>,
}

/// A batch that the Hub has, and that may not have been written yet.
struct Unacked {
    ack: Pin<Box<RecipientRequest<Received>>>,
    _lease: Option<Lease>,
}

/// What a session that reads does next.
enum Step {
    Read,
    /// Wait until the Hub acknowledges a batch.
    Wait,
    Leave(CloseReason),
    Done,
}

impl<S: Stream> Session<S> {
    /// A session for the connection to `peer`. `pending` is held until it is admitted or gone.
    pub(crate) fn new(
        stream: S,
        peer: SocketAddr,
        setup: Arc<Setup>,
        pending: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let decoder = LineDecoder::new(setup.max_line);
        let reader = LineReader::new(decoder, Arc::clone(&setup.buffers)).framed(&setup.framing);
        Self {
            stream,
            phase: Phase::New,
            slot: None,
            gauges: Arc::default(),
            reader,
            unacked: VecDeque::new(),
            input_ended: None,
            last_received: None,
            outbox: Outbox::new(setup.outbox),
            overflow: VecDeque::new(),
            asked: None,
            output_alive: true,
            write_failed: false,
            arrival: Some(Box::new(Arrival { peer, _pending: pending })),
            _ended: None,
            setup,
        }
    }

    /// Has the token cancelled when the connection is closed.
    pub(crate) fn until(self, ended: CancellationToken) -> Self {
        Self { _ended: Some(ended.drop_guard()), ..self }
    }

    fn admitted(&mut self, admission: Admission, ctx: &mut Context<Self>) {
        let Admission { id, clients, max_clients } = admission;
        self.slot = Some(id);
        self.phase = Phase::Open;
        self.arrival = None;
        if self.setup.greeting {
            self.send(greeting::ready(clients, max_clients).into(), ctx);
        }
        if let Some(idle) = self.setup.idle {
            self.last_received = Some(Instant::now());
            self.watch_silence(idle, ctx);
        }
        ctx.spawn(poll_fn(Self::poll_reading));
    }

    /// Reads and passes on what the peer sends, as far as the Hub acknowledges it. Actix polls this
    /// after every message, so a handler only needs to change the phase.
    fn poll_reading(&mut self, ctx: &mut Context<Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        loop {
            if self.collect_acks(cx).is_err() {
                self.reset(CloseReason::Shutdown, ctx);
                return Poll::Ready(());
            }
            match self.next_step() {
                Step::Read => {}
                Step::Wait => return Poll::Pending,
                Step::Leave(reason) => {
                    self.leave(reason, ctx);
                    return Poll::Ready(());
                }
                Step::Done => return Poll::Ready(()),
            }
            let read = self.poll_read(cx);
            self.answer_telnet(ctx);
            match read {
                Poll::Pending => {
                    self.send_question_if_due(ctx);
                    self.linger_if_drained(ctx);
                    return Poll::Pending;
                }
                Poll::Ready(Ok(Some(input))) => {
                    self.pass_on(input, ctx);
                    self.send_question_if_due(ctx);
                }
                Poll::Ready(Ok(None)) => self.input_ended = Some(CloseReason::Left),
                Poll::Ready(Err(_)) => self.input_ended = Some(CloseReason::Lost),
            }
        }
    }

    /// Forgets the batches that have been acknowledged. Fails if the Hub or the Console is gone.
    fn collect_acks(&mut self, cx: &mut TaskContext<'_>) -> Result<(), ()> {
        while let Some(oldest) = self.unacked.front_mut() {
            match oldest.ack.as_mut().poll(cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(Ok(()))) => drop(self.unacked.pop_front()),
                Poll::Ready(_) => return Err(()),
            }
        }
        Ok(())
    }

    fn next_step(&self) -> Step {
        if matches!(self.phase, Phase::Flushing(_) | Phase::Deregistering) {
            return Step::Done;
        }
        match self.input_ended {
            Some(_) if !self.unacked.is_empty() => Step::Wait,
            Some(_) if self.write_failed => Step::Leave(CloseReason::Lost),
            Some(end_of_input) => Step::Leave(self.phase.reason().unwrap_or(end_of_input)),
            None if self.unacked.len() < MAX_UNACKED => Step::Read,
            None => Step::Wait,
        }
    }

    fn poll_read(&mut self, cx: &mut TaskContext<'_>) -> Poll<io::Result<Option<Decoded>>> {
        let received = self.reader.received();
        let next = self.reader.poll_next(&mut self.stream, cx);
        if self.reader.received() > received
            && let Some(last_received) = &mut self.last_received
        {
            *last_received = Instant::now();
        }
        next
    }

    /// Sends the answers to the telnet commands that have been read.
    fn answer_telnet(&mut self, ctx: &mut Context<Self>) {
        if let Some(answers) = self.reader.take_answers()
            && self.accepts_output()
        {
            let answers = self.outbox.limit_answers(answers);
            self.send(answers, ctx);
        }
    }

    /// Passes on to the Hub what has been read.
    fn pass_on(&mut self, decoded: Decoded, ctx: &mut Context<Self>) {
        let Some(id) = self.slot else { return };
        let (input, lease) = match decoded {
            Decoded::Lines(lines) => {
                self.collect_answer(&lines, ctx);
                let (lines, count) = match self.setup.reverse {
                    true => reverse_and_count(lines),
                    false => {
                        let count = lines.count();
                        (lines, count)
                    }
                };
                self.gauges.count_in(count, self.reader.take_len());
                // The lease comes after the reversal, which would otherwise have to copy the buffer.
                let lease = self.reader.lease(&lines);
                (Input::Lines(lines), Some(lease))
            }
            Decoded::Discarded(bytes) => (Input::Overlong(bytes), None),
        };
        let ack = Box::pin(self.setup.hub.received.send(Received { id, input }));
        self.unacked.push_back(Unacked { ack, _lease: lease });
    }
}

impl<S: Stream> Actor for Session<S> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let Some(Arrival { peer, .. }) = self.arrival.as_deref() else { return };
        let session = SessionHandle::new(ctx.address());
        let register = self.setup.hub.register.send(Register {
            peer: *peer,
            kind: self.setup.kind.clone(),
            session,
            gauges: Arc::clone(&self.gauges),
        });
        ctx.wait(register.into_actor(self).map(|answer, session, ctx| match answer {
            Ok(Ok(admission)) => session.admitted(admission, ctx),
            Ok(Err(Refused::Full)) => session.refuse(ctx),
            Ok(Err(Refused::Stopping)) | Err(_) => session.reset(CloseReason::Shutdown, ctx),
        }));
    }

    fn stopping(&mut self, _: &mut Context<Self>) -> Running {
        // Only after a panic does the session still have its slot.
        if let Some(id) = self.slot.take() {
            let deregister = Deregister { id, reason: CloseReason::Lost, unfinished: None };
            #[expect(clippy::disallowed_methods, reason = "a stopping actor cannot wait")]
            self.setup.hub.deregister.do_send(deregister);
        }
        Running::Stop
    }
}

impl<S: Stream> Handler<Close> for Session<S> {
    type Result = ();

    fn handle(&mut self, close: Close, ctx: &mut Context<Self>) {
        self.output_alive = close.output_alive;
        if self.phase == Phase::Open {
            self.phase = Phase::Draining(close.reason);
        }
        self.end_by(close.deadline, ctx);
    }
}

#[cfg(test)]
mod tests;
