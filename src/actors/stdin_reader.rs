//! The StdinReader: reads the operator's lines and has them broadcast.
//!
//! Handles [`Finish`]. Sends [`Broadcast`], one at a time, and [`Report`] for a line that is too long
//! and for input that cannot be read. It ends with its input, with the Console, or after [`Finish`].

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
use tokio::io::AsyncRead;
use tokio_util::sync::{CancellationToken, DropGuard};

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

/// One batch is being broadcast while the next is being read.
const BUFFERS: usize = 2;

/// Server → StdinReader: read no more. Answered when the lines that had been read are broadcast.
#[derive(Debug)]
pub(crate) struct Finish;

impl Message for Finish {
    type Result = ();
}

/// How the StdinReader reaches the Hub.
#[derive(Clone)]
pub(crate) struct RelayHandle {
    /// Broadcasts lines.
    pub(crate) broadcast: Recipient<Broadcast>,
    /// Reports problems with the input.
    pub(crate) report: Recipient<Report>,
}

/// The next message to the Hub.
enum Next {
    Broadcast(Lines),
    Report(String),
}

/// A message that the Hub has not acknowledged.
struct Unacked {
    ack: Ack,
    _lease: Option<Lease>,
}

type Ack = Pin<Box<dyn Future<Output = Result<Result<(), ConsoleGone>, MailboxError>>>>;

/// See the [module's documentation](self).
pub(crate) struct StdinReader<R> {
    input: R,
    reader: LineReader,
    max_line: usize,
    relay: RelayHandle,
    unacked: Option<Unacked>,
    /// What was read while that is under way.
    next: Option<Next>,
    input_ended: bool,
    ended: CancellationToken,
    /// Cancels `ended` with this actor.
    _guard: DropGuard,
}

impl<R: AsyncRead + Unpin + 'static> StdinReader<R> {
    /// A reader of `input` for lines of up to `max_line` bytes, in batches that an outbox of
    /// `outbox` bytes can hold. The token is cancelled when the reader has ended.
    pub(crate) fn new(
        input: R,
        max_line: usize,
        outbox: usize,
        relay: RelayHandle,
    ) -> (Self, CancellationToken) {
        let max_batch = BATCH.min(outbox.saturating_sub(BATCH_OVERHEAD));
        let decoder = LineDecoder::with_batch(max_line, max_batch);
        let ended = CancellationToken::new();
        let reader = Self {
            input,
            reader: LineReader::new(decoder, Buffers::new(BUFFERS)),
            max_line,
            relay,
            unacked: None,
            next: None,
            input_ended: false,
            ended: ended.clone(),
            _guard: ended.clone().drop_guard(),
        };
        (reader, ended)
    }

    /// Reads, and sends what has been read. Actix polls this after every message, so [`Finish`] only
    /// needs to stop the reader.
    fn poll_reading(&mut self, ctx: &mut Context<Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        loop {
            if self.next.is_none()
                && !self.input_ended
                && let Poll::Ready(read) = self.reader.poll_next(&mut self.input, cx)
            {
                self.next = self.next_message(read);
            }
            if let Some(unacked) = &mut self.unacked {
                let ack = ready!(unacked.ack.as_mut().poll(cx));
                self.unacked = None;
                if !matches!(ack, Ok(Ok(()))) {
                    ctx.stop();
                    return Poll::Ready(());
                }
            }
            match self.next.take() {
                Some(next) => self.send(next),
                None if self.input_ended => {
                    ctx.stop();
                    return Poll::Ready(());
                }
                None => return Poll::Pending,
            }
        }
    }

    /// Turns the result of a read into the next message.
    fn next_message(&mut self, read: io::Result<Option<Decoded>>) -> Option<Next> {
        match read {
            Ok(Some(Decoded::Lines(lines))) => Some(Next::Broadcast(lines)),
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
        self.unacked = Some(match next {
            Next::Broadcast(lines) => {
                let lease = self.reader.lease(&lines);
                // A few lines in an outbox must not keep a whole read buffer alive.
                let lines = if lines.len() < BATCH / 2 { lines.compact() } else { lines };
                let ack = Box::pin(self.relay.broadcast.send(Broadcast(lines)));
                Unacked { ack, _lease: Some(lease) }
            }
            Next::Report(sentence) => {
                let ack = Box::pin(self.relay.report.send(Report(sentence)));
                Unacked { ack, _lease: None }
            }
        });
    }
}

impl<R: AsyncRead + Unpin + 'static> Actor for StdinReader<R> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.spawn(poll_fn(Self::poll_reading));
    }
}

impl<R: AsyncRead + Unpin + 'static> Handler<Finish> for StdinReader<R> {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Finish, _: &mut Context<Self>) -> Self::Result {
        self.reader.stop();
        let ended = self.ended.clone();
        Box::pin(async move { ended.cancelled().await })
    }
}

#[cfg(test)]
mod tests;
