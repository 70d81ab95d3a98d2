//! A conversation with one server: greeting, lines in both directions, and the end. A client that
//! reconnects has one connection after another.

use std::{cell::Cell, future::Future, io, mem, net::SocketAddr, pin::pin, time::Duration};

use actix::Recipient;
use tokio::{
    io::{AsyncRead, ReadHalf, split},
    sync::watch,
    time::{Instant, sleep},
};

use super::{
    errors::{ClientError, NO_PROGRESS},
    opening::Connection,
    reconnecting::{Backoff, loss_report},
    sending::{Input, Outgoing},
};
use crate::{
    actors::messages::{ConsoleGone, Print},
    address::HostPort,
    events::{ClientCloseReason, ClientEvent, wording::one_line},
    net::socket::Socket,
    wire::{
        line_reader::LineReader,
        lines::{Decoded, Lines},
        reverse::reverse_lines,
    },
};

/// The longest line that is accepted from a server or from the user, in bytes.
pub(super) const MAX_LINE: usize = 1024 * 1024;

/// Buffers for each direction: a batch is written before the next one is read.
pub(super) const BUFFERS: usize = 1;

/// A conversation with one server.
pub(super) struct Conversation {
    pub(super) server: HostPort,
    /// The server's host as it was typed.
    pub(super) host: String,
    /// How long it may take until the server has greeted.
    pub(super) timeout: Duration,
    /// Whether to keep receiving after the end of the input.
    pub(super) stay: bool,
    /// Whether to connect again after a loss.
    pub(super) reconnect: bool,
    /// Whether the server's lines are reversed.
    pub(super) reverse: bool,
    pub(super) console: Recipient<Print<ClientEvent>>,
}

/// The signal to stop.
pub(super) struct Stop<S> {
    signal: S,
    /// Whether the signal has come.
    came: bool,
}

impl<S: Future<Output = ()> + Unpin> Stop<S> {
    /// Completes when the signal has come, and at once after that.
    pub(super) async fn wait(&mut self) {
        if !self.came {
            (&mut self.signal).await;
            self.came = true;
        }
    }
}

/// How a connection ended.
enum End {
    /// The client left. The result says whether it had sent everything.
    Left(Result<(), ClientError>),
    /// The server closed it, or it broke.
    Lost(ClientCloseReason, ClientError),
}

impl Conversation {
    /// Holds the conversation. Emits the error that ends it, unless another event reports it already.
    pub(super) async fn hold_and_report<I: AsyncRead + Unpin>(
        &self,
        input: impl FnOnce() -> io::Result<I>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ClientError> {
        // The line editor ends with its input, before these are printed.
        let mut last = Vec::new();
        let result = self.hold(input, stop, &mut last).await;
        match &result {
            Err(ClientError::ConsoleGone) => return result,
            Err(ClientError::Refused { text }) => {
                last.push(ClientEvent::Rejected { text: text.clone() });
            }
            Err(error) if error.needs_report() => {
                last.push(ClientEvent::Problem(one_line(&error.to_string())));
            }
            _ => {}
        }
        last.push(ClientEvent::Ended);
        self.emit_all(last).await?;
        result
    }

    /// Holds the conversation, and leaves the last events to the caller.
    async fn hold<I: AsyncRead + Unpin>(
        &self,
        input: impl FnOnce() -> io::Result<I>,
        stop: impl Future<Output = ()>,
        last: &mut Vec<ClientEvent>,
    ) -> Result<(), ClientError> {
        let mut stop = Stop { signal: pin!(stop), came: false };
        let (mut input, mut backoff) = (Input::new(input), Backoff::new());
        let mut admitted = false;
        loop {
            let connected = self.connect(&mut input, &mut stop, &mut backoff, admitted).await?;
            let Some(connection) = connected else { return input.check_confirmed() };
            admitted = true;
            let start = Instant::now();
            let end = self.converse(connection, &mut input, &mut stop).await?;
            input.printed().await?;
            if let Some(sent) = input.settle() {
                self.emit(sent).await?;
            }
            let (reason, error) = match end {
                End::Left(result) => {
                    last.push(ClientEvent::Closed { reason: ClientCloseReason::Left });
                    return result.and_then(|()| input.check_confirmed());
                }
                End::Lost(reason, error) => (reason, error),
            };
            last.push(ClientEvent::Closed { reason });
            if !self.reconnect {
                return Err(error);
            }
            let again = !stop.came && !input.is_done(self.stay);
            last.push(ClientEvent::Problem(loss_report(&error, input.lose(), again)));
            if again {
                self.emit_all(mem::take(last)).await?;
            }
            backoff.reset_after(start.elapsed());
        }
    }

    /// Sends and receives on a connection until it ends.
    async fn converse<I: AsyncRead + Unpin>(
        &self,
        connection: Connection,
        input: &mut Input<impl FnOnce() -> io::Result<I>, I>,
        stop: &mut Stop<impl Future<Output = ()> + Unpin>,
    ) -> Result<End, ClientError> {
        let Connection { socket, round_trip, server, local, mut reader, early } = connection;
        let (host, port) = (self.host.clone(), self.server.port);
        self.emit(ClientEvent::Connected { host, port, server, local }).await?;
        let (mut receiving, mut sending) = split(socket);
        let (progress, failure) = (Cell::new(0), Cell::new(None));
        let incoming =
            Incoming { server, stream: &mut receiving, reader: &mut reader, progress: &progress };
        let outgoing = Outgoing { stream: &mut sending, progress: &progress, failure: &failure };
        let (mut end, sent) = self.exchange(incoming, early, outgoing, input, stop).await;
        if end.is_ok() {
            let wait = if sent.is_some() { round_trip } else { Duration::ZERO };
            let orderly = check_orderly(&receiving.unsplit(sending), wait).await;
            // The kernel reports a socket error once, and a failed write may have received it.
            let orderly = failure.take().map_or(orderly, Err);
            end = orderly.map_err(|source| ClientError::Lost { server, source });
        }
        match (end, sent) {
            (Ok(()), Some(sent)) => Ok(End::Left(sent)),
            (Ok(()), None) => {
                Ok(End::Lost(ClientCloseReason::Server, ClientError::Closed { server }))
            }
            (Err(ClientError::ConsoleGone), _) => Err(ClientError::ConsoleGone),
            (Err(error), _) => Ok(End::Lost(ClientCloseReason::Lost, error)),
        }
    }

    /// Sends and receives until the connection ends. Returns how it ended, and how sending ended if it
    /// ended before.
    async fn exchange<I: AsyncRead + Unpin>(
        &self,
        incoming: Incoming<'_>,
        early: Option<Lines>,
        outgoing: Outgoing<'_>,
        input: &mut Input<impl FnOnce() -> io::Result<I>, I>,
        stop: &mut Stop<impl Future<Output = ()> + Unpin>,
    ) -> (Result<(), ClientError>, Option<Result<(), ClientError>>) {
        let (server, progress) = (incoming.server, incoming.progress);
        let (stopper, stopped) = watch::channel(false);
        let mut receiving = pin!(self.receive(incoming, early));
        let mut sending = pin!(self.send(outgoing, input, stopped));
        let mut sent = None;
        let end = loop {
            let (seen, leaving) = (progress.get(), sent.is_some() || *stopper.borrow());
            tokio::select! {
                // The first branch is polled first, so that a server that closed before everything was
                // sent is not mistaken for one that confirmed it.
                biased;
                end = &mut receiving => break end,
                result = &mut sending, if sent.is_none() => match result {
                    Err(ClientError::ConsoleGone) => break Err(ClientError::ConsoleGone),
                    result => sent = Some(result),
                },
                () = stop.wait(), if !*stopper.borrow() => {
                    // `send` fails if sending has ended already; `send_replace` does not.
                    stopper.send_replace(true);
                }
                () = sleep(NO_PROGRESS), if leaving => {
                    if progress.get() == seen {
                        break Err(ClientError::Stuck { server });
                    }
                }
            }
        };
        (end, sent)
    }

    fn response(&self, lines: Lines) -> ClientEvent {
        let lines = if self.reverse { reverse_lines(lines) } else { lines };
        ClientEvent::Response { lines }
    }

    /// Prints what the server sends until it closes.
    async fn receive(
        &self,
        incoming: Incoming<'_>,
        early: Option<Lines>,
    ) -> Result<(), ClientError> {
        let Incoming { server, stream, reader, progress } = incoming;
        let lost = |source| ClientError::Lost { server, source };
        if let Some(lines) = early {
            self.emit(self.response(lines)).await?;
        }
        while let Some(decoded) = reader.next(stream).await.map_err(lost)? {
            progress.set(progress.get() + 1);
            let event = match decoded {
                Decoded::Lines(lines) => self.response(lines),
                Decoded::Discarded(bytes) => ClientEvent::Problem(format!(
                    "discarded a line of {bytes} bytes from {server}: it is longer than 1 MiB"
                )),
            };
            self.emit(event).await?;
        }
        Ok(())
    }

    pub(super) fn emit(
        &self,
        event: ClientEvent,
    ) -> impl Future<Output = Result<(), ClientError>> + use<> {
        self.emit_all(vec![event])
    }

    fn emit_all(
        &self,
        events: Vec<ClientEvent>,
    ) -> impl Future<Output = Result<(), ClientError>> + use<> {
        let events = events.into_iter().map(Into::into).collect();
        let printed = self.console.send(Print(events));
        async { Ok(printed.await.unwrap_or(Err(ConsoleGone))?) }
    }
}

/// Fails if a reset follows the server's close: then something that was sent has been lost. The
/// reset answers what was in transit when the server closed, so it arrives within a round trip.
async fn check_orderly(socket: &Socket, round_trip: Duration) -> io::Result<()> {
    sleep(2 * round_trip.min(NO_PROGRESS)).await;
    socket.get_ref().take_error()?.map_or(Ok(()), Err)
}

/// The receiving side of the connection.
struct Incoming<'a> {
    server: SocketAddr,
    stream: &'a mut ReadHalf<Socket>,
    reader: &'a mut LineReader,
    /// Counts what is sent and received.
    progress: &'a Cell<u64>,
}
