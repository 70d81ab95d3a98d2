//! The StdinReader: reads the operator's lines and has them relayed to everybody.
//!
//! Takes [`Finish`]. Sends [`Broadcast`], one at a time, and [`Report`] for a line that is too
//! long and for input that cannot be read. It ends with its input, with the Console, or when it is told to finish.

use std::{
    pin::Pin,
    task::{Context as TaskContext, Poll, ready},
};

use actix::{
    Actor, ActorContext, AsyncContext, Context, Handler, Message, Recipient, ResponseFuture,
    dev::RecipientRequest,
};
use tokio::{io::AsyncRead, sync::oneshot};

use crate::{
    actors::{
        messages::{Broadcast, Report},
        poll_fn::poll_fn,
    },
    line_reader::{Buffers, Lease, LineReader},
    lines::{BATCH, Cut, LineDecoder, Lines},
    outbox::BATCH_OVERHEAD,
    reason::reason,
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

/// A batch that the Hub has and some session may not have.
struct Relayed {
    answer: Pin<Box<RecipientRequest<Broadcast>>>,
    _lease: Lease,
}

/// See the [module's documentation](self).
pub struct StdinReader<R> {
    input: R,
    reader: LineReader,
    max_line: usize,
    relay: RelayHandle,
    /// What the Hub has not answered for yet.
    relaying: Option<Relayed>,
    /// What has been read meanwhile.
    next: Option<Cut>,
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
            relaying: None,
            next: None,
            input_ended: false,
            ended: Some(ended),
            finished: None,
        };
        (reader, has_ended)
    }

    /// Reads, and relays what has been read.
    fn poll_relaying(&mut self, ctx: &mut Context<Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        loop {
            if self.next.is_none() && !self.input_ended {
                match self.reader.poll_next(&mut self.input, cx) {
                    Poll::Ready(Ok(Some(cut))) => self.next = Some(cut),
                    Poll::Ready(Ok(None)) => self.input_ended = true,
                    Poll::Ready(Err(error)) => {
                        self.input_ended = true;
                        self.report(format!("cannot read stdin: {}", reason(&error)));
                    }
                    Poll::Pending => {}
                }
            }
            if let Some(relaying) = &mut self.relaying {
                let answer = ready!(relaying.answer.as_mut().poll(cx));
                self.relaying = None;
                if !matches!(answer, Ok(Ok(()))) {
                    self.end(ctx);
                    return Poll::Ready(());
                }
            }
            match self.next.take() {
                Some(Cut::Lines(lines)) => self.relay(lines),
                Some(Cut::Discarded(bytes)) => self.report(format!(
                    "a line of {bytes} bytes was not sent: it is longer than limits.max_line ({} \
                     bytes)",
                    self.max_line
                )),
                None if self.input_ended => {
                    self.end(ctx);
                    return Poll::Ready(());
                }
                None => return Poll::Pending,
            }
        }
    }

    fn relay(&mut self, lines: Lines) {
        let lease = self.reader.lease(&lines);
        // A few lines must not keep a whole read buffer for as long as they wait in an outbox.
        let lines = if lines.len() < BATCH / 2 { lines.compact() } else { lines };
        let answer = Box::pin(self.relay.broadcast.send(Broadcast(lines)));
        self.relaying = Some(Relayed { answer, _lease: lease });
    }

    fn report(&self, sentence: String) {
        #[expect(clippy::disallowed_methods, reason = "nothing depends on its being read")]
        self.relay.report.do_send(Report(sentence));
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
        self.input_ended = true;
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
