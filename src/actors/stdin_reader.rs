//! The StdinReader: reads the operator's lines, has them broadcast, and carries out commands.
//!
//! Handles [`Finish`]. Sends `Broadcast`, or `Tell`, `Kick`, `Rename`, `List` and `Show` for commands,
//! and `Report` for mistakes, for a line that is too long and for input that cannot be read:
//! one message at a time, in the order of the lines. It ends with its input, with the Console, with the
//! command `/quit`, or after [`Finish`].

mod orders;

use std::{
    collections::VecDeque,
    future::Future,
    io,
    pin::Pin,
    task::{Context as TaskContext, Poll, ready},
};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, ResponseFuture};
use tokio::{io::AsyncRead, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) use self::orders::DeskHandle;
use self::orders::Order;
use crate::{
    actors::{messages::ConsoleGone, poll_fn::poll_fn},
    events::wording::os_error_text,
    wire::{
        line_reader::{Buffers, Lease, LineReader},
        lines::{BATCH, Decoded, LineDecoder},
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

/// What a StdinReader is configured with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The longest line, in bytes, its end not counted.
    pub(crate) max_line: usize,
    /// The limit on an outbox, in bytes. No batch is larger.
    pub(crate) outbox: usize,
    /// Whether lines that start with `/` are commands.
    pub(crate) commands: bool,
}

/// An order that the Hub has not acknowledged.
struct Unacked {
    ack: Ack,
    _lease: Option<Lease>,
}

type Ack = Pin<Box<dyn Future<Output = Result<(), ConsoleGone>>>>;

/// See the [module's documentation](self).
pub(crate) struct StdinReader<R> {
    input: R,
    reader: LineReader,
    settings: Settings,
    desk: DeskHandle,
    unacked: Option<Unacked>,
    /// Orders that were read and not sent yet. They follow `unacked`.
    orders: VecDeque<Order>,
    /// When that was read.
    read: Instant,
    input_ended: bool,
    ended: CancellationToken,
    /// Cancelled by the command `/quit`.
    quit: CancellationToken,
    /// Cancels `ended` with this actor.
    _guard: DropGuard,
}

/// When a StdinReader has ended, and whether it was asked to stop the server.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    /// Cancelled when the reader has ended.
    pub(crate) ended: CancellationToken,
    /// Cancelled when the operator has asked to stop the server.
    pub(crate) quit: CancellationToken,
}

impl<R: AsyncRead + Unpin + 'static> StdinReader<R> {
    /// A reader of `input`, in batches that an outbox can hold.
    pub(crate) fn new(input: R, settings: Settings, desk: DeskHandle) -> (Self, Ending) {
        let max_batch = BATCH.min(settings.outbox.saturating_sub(BATCH_OVERHEAD));
        let decoder = LineDecoder::with_batch(settings.max_line, max_batch);
        let ending = Ending { ended: CancellationToken::new(), quit: CancellationToken::new() };
        let reader = Self {
            input,
            reader: LineReader::new(decoder, Buffers::new(BUFFERS)),
            settings,
            desk,
            unacked: None,
            orders: VecDeque::new(),
            read: Instant::now(),
            input_ended: false,
            ended: ending.ended.clone(),
            quit: ending.quit.clone(),
            _guard: ending.ended.clone().drop_guard(),
        };
        (reader, ending)
    }

    /// Reads, and sends what has been read. Actix polls this after every message, so [`Finish`] only
    /// needs to stop the reader.
    fn poll_reading(&mut self, ctx: &mut Context<Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        loop {
            if self.orders.is_empty()
                && !self.input_ended
                && let Poll::Ready(read) = self.reader.poll_next(&mut self.input, cx)
            {
                self.take(read);
            }
            if let Some(unacked) = &mut self.unacked {
                let ack = ready!(unacked.ack.as_mut().poll(cx));
                self.unacked = None;
                if ack.is_err() {
                    ctx.stop();
                    return Poll::Ready(());
                }
            }
            match self.orders.pop_front() {
                Some(order) => self.send(order),
                None if self.input_ended => {
                    ctx.stop();
                    return Poll::Ready(());
                }
                None => return Poll::Pending,
            }
        }
    }

    /// Turns the result of a read into orders.
    fn take(&mut self, read: io::Result<Option<Decoded>>) {
        self.read = Instant::now();
        match read {
            Ok(Some(Decoded::Lines(lines))) if self.settings.commands => {
                orders::push(lines, &mut self.orders);
            }
            Ok(Some(Decoded::Lines(lines))) => self.orders.push_back(Order::Broadcast(lines)),
            Ok(Some(Decoded::Discarded(bytes))) => {
                let most = self.settings.max_line;
                self.orders.push_back(Order::Report(format!(
                    "a line of {bytes} bytes was not sent: it is longer than limits.max_line \
                     ({most} bytes)"
                )));
            }
            Ok(None) => self.input_ended = true,
            Err(error) => {
                self.input_ended = true;
                let why = os_error_text(&error);
                self.orders.push_back(Order::Report(format!("cannot read stdin: {why}")));
            }
        }
    }

    fn send(&mut self, order: Order) {
        if matches!(order, Order::Quit) {
            self.orders.clear();
            self.input_ended = true;
            return self.quit.cancel();
        }
        let (order, lease) = match order {
            Order::Broadcast(lines) => {
                let lease = self.reader.lease(&lines);
                // A few lines in an outbox must not keep a whole read buffer alive.
                let lines = if lines.len() < BATCH / 2 { lines.compact() } else { lines };
                (Order::Broadcast(lines), Some(lease))
            }
            order => (order, None),
        };
        self.unacked = Some(Unacked { ack: self.desk.send(order, self.read), _lease: lease });
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
