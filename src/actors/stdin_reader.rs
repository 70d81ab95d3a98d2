//! The StdinReader: reads the operator's lines and has them relayed to everybody.
//!
//! Takes [`Finish`]. Sends [`Broadcast`], one at a time, and [`Report`] for a line that is too
//! long and for input that cannot be read. It ends with its input, with the Console, or when it is
//! told to finish.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context as TaskContext, Poll, ready},
};

use actix::{
    Actor, ActorContext, AsyncContext, Context, Handler, MailboxError, Message, Recipient,
    ResponseFuture,
};
use tokio::{io::AsyncRead, sync::oneshot};

use crate::{
    actors::{
        messages::{Broadcast, ConsoleGone, Report},
        poll_fn::poll_fn,
    },
    events::wording::os_error_text,
    wire::{
        line_reader::{Buffers, Lease, LineReader},
        lines::{BATCH, Decoded, LineDecoder, Lines},
        outbox::BATCH_OVERHEAD,
    },
};

/// One batch is being relayed while the next is being read.
const BUFFERS: usize = 2;

/// Server → StdinReader: read no more. Answered when what had been read has been relayed.
#[derive(Debug)]
pub struct Finish;

impl Message for Finish {
    type Result = ();
}

/// How the StdinReader reaches the Hub.
#[derive(Clone)]
pub struct RelayHandle {
    /// Relays lines to everybody.
    pub broadcast: Recipient<Broadcast>,
    /// Takes notice of lines that cannot be.
    pub report: Recipient<Report>,
}

/// What has been read and is to be handed on.
enum Next {
    Relay(Lines),
    Report(String),
}

/// What the Hub has, and some session or the Console may not have.
struct Sent {
    answer: Answer,
    _lease: Option<Lease>,
}

type Answer = Pin<Box<dyn Future<Output = Result<Result<(), ConsoleGone>, MailboxError>>>>;

/// See the [module's documentation](self).
pub struct StdinReader<R> {
    input: R,
    reader: LineReader,
    max_line: usize,
    relay: RelayHandle,
    /// What the Hub has not answered for yet.
    sent: Option<Sent>,
    /// What has been read meanwhile.
    next: Option<Next>,
    input_ended: bool,
    /// Dropped when this ends: tells the server.
    ended: Option<oneshot::Sender<()>>,
    /// Dropped when this ends: tells who waits for [`Finish`].
    finished: Option<oneshot::Sender<()>>,
}

impl<R: AsyncRead + Unpin + 'static> StdinReader<R> {
    /// A reader of `input` for lines of up to `max_line` bytes, in batches that an outbox of
    /// `outbox` bytes can hold. The receiver that it comes with fails when it has ended.
    pub fn new(
        input: R,
        max_line: usize,
        outbox: usize,
        relay: RelayHandle,
    ) -> (Self, oneshot::Receiver<()>) {
        let max_batch = BATCH.min(outbox.saturating_sub(BATCH_OVERHEAD));
        let decoder = LineDecoder::with_batch(max_line, max_batch);
        let (ended, has_ended) = oneshot::channel();
        let reader = Self {
            input,
            reader: LineReader::new(decoder, Buffers::new(BUFFERS)),
            max_line,
            relay,
            sent: None,
            next: None,
            input_ended: false,
            ended: Some(ended),
            finished: None,
        };
        (reader, has_ended)
    }

    /// Reads, and hands on what has been read.
    fn poll_relaying(&mut self, ctx: &mut Context<Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        loop {
            if self.next.is_none()
                && !self.input_ended
                && let Poll::Ready(read) = self.reader.poll_next(&mut self.input, cx)
            {
                self.next = self.next_of(read);
            }
            if let Some(sent) = &mut self.sent {
                let answer = ready!(sent.answer.as_mut().poll(cx));
                self.sent = None;
                if !matches!(answer, Ok(Ok(()))) {
                    self.end(ctx);
                    return Poll::Ready(());
                }
            }
            match self.next.take() {
                Some(next) => self.send(next),
                None if self.input_ended => {
                    self.end(ctx);
                    return Poll::Ready(());
                }
                None => return Poll::Pending,
            }
        }
    }

    /// What is to be handed on of what has been read.
    fn next_of(&mut self, read: io::Result<Option<Decoded>>) -> Option<Next> {
        match read {
            Ok(Some(Decoded::Lines(lines))) => Some(Next::Relay(lines)),
            Ok(Some(Decoded::Discarded(bytes))) => Some(Next::Report(format!(
                "a line of {bytes} bytes was not sent: it is longer than limits.max_line ({} bytes)",
                self.max_line
            ))),
            Ok(None) => {
                self.input_ended = true;
                None
            }
            Err(error) => {
                self.input_ended = true;
                Some(Next::Report(format!("cannot read stdin: {}", os_error_text(&error))))
            }
        }
    }

    fn send(&mut self, next: Next) {
        self.sent = Some(match next {
            Next::Relay(lines) => {
                let lease = self.reader.lease(&lines);
                // A few lines must not keep a whole read buffer while they wait in an outbox.
                let lines = if lines.len() < BATCH / 2 { lines.compact() } else { lines };
                let answer = Box::pin(self.relay.broadcast.send(Broadcast(lines)));
                Sent { answer, _lease: Some(lease) }
            }
            Next::Report(sentence) => {
                let answer = Box::pin(self.relay.report.send(Report(sentence)));
                Sent { answer, _lease: None }
            }
        });
    }

    fn end(&mut self, ctx: &mut Context<Self>) {
        self.ended = None;
        self.finished = None;
        ctx.stop();
    }
}

impl<R: AsyncRead + Unpin + 'static> Actor for StdinReader<R> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.spawn(poll_fn(Self::poll_relaying));
    }
}

impl<R: AsyncRead + Unpin + 'static> Handler<Finish> for StdinReader<R> {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Finish, _: &mut Context<Self>) -> Self::Result {
        // The relaying that is under way takes it from here.
        self.reader.stop();
        let (finished, is_finished) = oneshot::channel();
        self.finished = Some(finished);
        Box::pin(async {
            // Fails when the sender is dropped: that is the signal.
            let _ = is_finished.await;
        })
    }
}

#[cfg(test)]
mod tests;
