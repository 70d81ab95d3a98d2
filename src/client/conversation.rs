//! A conversation with one server: greeting, lines in both directions, and the end.

use std::{
    cell::Cell,
    future::Future,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    time::Duration,
};

use actix::Recipient;
use tokio::{
    io::{AsyncRead, AsyncWriteExt, ReadHalf, WriteHalf, split},
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    errors::{ClientError, NO_PROGRESS},
    opening::Connection,
};
use crate::{
    actors::messages::{ConsoleGone, Print},
    address::HostPort,
    events::{ClientCloseReason, ClientEvent, wording::one_line},
    net::socket::Socket,
    wire::{
        line_reader::{Buffers, LineReader},
        lines::{Decoded, LineDecoder, Lines},
        reverse::reverse_lines,
    },
};

/// The longest line that is accepted from a server or from the user, in bytes.
pub(super) const MAX_LINE: usize = 1024 * 1024;

/// How long a client that is stopped checks whether unsent input is waiting.
const LAST_READ: Duration = Duration::from_millis(10);

/// The line that ends the client. The server never sees it.
const EXIT: &str = "exit";

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
    pub(super) console: Recipient<Print<ClientEvent>>,
}

/// Why nothing more is read from the input.
#[derive(PartialEq, Eq)]
enum InputEnd {
    /// The line `exit`.
    Exit,
    /// The input has ended.
    EndOfInput,
    /// The user has stopped the client.
    Stopped,
}

impl Conversation {
    /// Holds the conversation. Emits the error that ends it, unless another event says it already.
    pub(super) async fn hold_and_report<I: AsyncRead + Unpin>(
        &self,
        input: impl FnOnce() -> io::Result<I>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ClientError> {
        let result = self.hold(input, stop).await;
        if let Err(error) = &result
            && error.needs_report()
        {
            self.emit(ClientEvent::Problem(one_line(&error.to_string()))).await?;
        }
        result
    }

    async fn hold<I: AsyncRead + Unpin>(
        &self,
        input: impl FnOnce() -> io::Result<I>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ClientError> {
        let mut stop = pin!(stop);
        let connection = tokio::select! {
            opened = self.open() => opened?,
            () = &mut stop => {
                return Err(ClientError::Unconnected { address: self.server.to_string() });
            }
        };
        let Connection { socket, round_trip, server, local, mut reader, early } = connection;
        let (host, port) = (self.host.clone(), self.server.port);
        self.emit(ClientEvent::Connected { host, port, server, local }).await?;
        let input = input().map_err(ClientError::Input)?;
        let (mut receiving, mut sending) = split(socket);
        let (progress, failure) = (Cell::new(0), Cell::new(None));
        let incoming =
            Incoming { server, stream: &mut receiving, reader: &mut reader, progress: &progress };
        let outgoing = Outgoing { stream: &mut sending, progress: &progress, failure: &failure };
        let (mut end, sent) = self.exchange(incoming, early, outgoing, input, stop).await;
        if end.is_ok() {
            let wait = if sent.is_some() { round_trip } else { Duration::ZERO };
            let orderly = check_orderly(&receiving.unsplit(sending), wait).await;
            // The system reports an error once: a failed write may have had it.
            let orderly = failure.take().map_or(orderly, Err);
            end = orderly.map_err(|source| ClientError::Lost { server, source });
        }
        let (reason, result) = match (end, sent) {
            (Ok(()), Some(sent)) => (ClientCloseReason::Left, sent),
            (Ok(()), None) => (ClientCloseReason::Server, Err(ClientError::Closed { server })),
            (Err(ClientError::ConsoleGone), _) => return Err(ClientError::ConsoleGone),
            (Err(error), _) => (ClientCloseReason::Lost, Err(error)),
        };
        self.emit(ClientEvent::Closed { reason }).await?;
        result
    }

    /// Sends and receives until the connection ends. Returns how it ended, and how sending ended if it
    /// ended before. With this future the line editor ends, too, before the last events are printed.
    async fn exchange<I: AsyncRead + Unpin>(
        &self,
        incoming: Incoming<'_>,
        early: Option<Lines>,
        outgoing: Outgoing<'_>,
        input: I,
        mut stop: Pin<&mut impl Future<Output = ()>>,
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
                () = &mut stop, if !*stopper.borrow() => {
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

    /// Prints what the server sends until it closes.
    async fn receive(
        &self,
        incoming: Incoming<'_>,
        early: Option<Lines>,
    ) -> Result<(), ClientError> {
        let Incoming { server, stream, reader, progress } = incoming;
        let lost = |source| ClientError::Lost { server, source };
        if let Some(lines) = early {
            self.emit(ClientEvent::Response { lines: reverse_lines(lines) }).await?;
        }
        while let Some(decoded) = reader.next(stream).await.map_err(lost)? {
            progress.set(progress.get() + 1);
            let event = match decoded {
                Decoded::Lines(lines) => ClientEvent::Response { lines: reverse_lines(lines) },
                Decoded::Discarded(bytes) => ClientEvent::Problem(format!(
                    "discarded a line of {bytes} bytes from {server}: it is longer than 1 MiB"
                )),
            };
            self.emit(event).await?;
        }
        Ok(())
    }

    /// Sends what is entered until that ends, and then closes the sending side. A client that stays
    /// does so only when it is stopped.
    async fn send<I: AsyncRead + Unpin>(
        &self,
        mut outgoing: Outgoing<'_>,
        input: I,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<(), ClientError> {
        let (end, result) = match self.send_lines(&mut outgoing, input, &mut stopped).await {
            Ok((end, all)) => (Some(end), all),
            Err(error) => (None, Err(error)),
        };
        self.emit(ClientEvent::InputEnded).await?;
        if self.stay && end == Some(InputEnd::EndOfInput) {
            // This fails only if the conversation has ended.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        }
        // If this fails, the receiving side learns why.
        let _ = outgoing.stream.shutdown().await;
        result
    }

    /// Sends what is entered until that ends. Returns what ended it, and whether every line was sent.
    async fn send_lines<I: AsyncRead + Unpin>(
        &self,
        outgoing: &mut Outgoing<'_>,
        mut input: I,
        stopped: &mut watch::Receiver<bool>,
    ) -> Result<(InputEnd, Result<(), ClientError>), ClientError> {
        let mut reader = LineReader::new(LineDecoder::new(MAX_LINE), Buffers::new(BUFFERS));
        let mut all = Ok(());
        loop {
            let decoded = tokio::select! {
                decoded = reader.next(&mut input) => decoded.map_err(ClientError::Input)?,
                _ = stopped.wait_for(|stopped| *stopped) => {
                    if !self.stay || has_more(&mut reader, &mut input).await {
                        all = Err(ClientError::Interrupted);
                    }
                    return Ok((InputEnd::Stopped, all));
                }
            };
            match decoded {
                Some(Decoded::Lines(lines)) => {
                    if self.send_up_to_exit(outgoing, lines).await? {
                        return Ok((InputEnd::Exit, all));
                    }
                }
                Some(Decoded::Discarded(bytes)) => {
                    let sentence = "it is longer than 1 MiB";
                    let sentence = format!("a line of {bytes} bytes was not sent: {sentence}");
                    self.emit(ClientEvent::Problem(sentence)).await?;
                    all = Err(ClientError::Overlong);
                }
                None => return Ok((InputEnd::EndOfInput, all)),
            }
        }
    }

    /// Sends the lines up to the line `exit`, and returns whether there is one.
    async fn send_up_to_exit(
        &self,
        outgoing: &mut Outgoing<'_>,
        lines: Lines,
    ) -> Result<bool, ClientError> {
        let (entered, to_send, exit) = match lines.up_to(EXIT) {
            Some((entered, to_send)) => (entered, to_send, true),
            None => (lines.clone(), Some(lines), false),
        };
        // The event is emitted before the lines are sent, and waited for only afterwards.
        let printed = self.emit(ClientEvent::Entered { lines: entered });
        if let Some(lines) = to_send
            && !outgoing.send(&lines).await
        {
            // The receiving side learns why, and ends the conversation.
            return std::future::pending().await;
        }
        printed.await?;
        Ok(exit)
    }

    pub(super) fn emit(
        &self,
        event: ClientEvent,
    ) -> impl Future<Output = Result<(), ClientError>> + use<> {
        let printed = self.console.send(Print(vec![event.into()]));
        async { Ok(printed.await.unwrap_or(Err(ConsoleGone))?) }
    }
}

/// Whether input that has not been sent is waiting.
async fn has_more<I: AsyncRead + Unpin>(reader: &mut LineReader, input: &mut I) -> bool {
    let ended = match timeout(LAST_READ, reader.next(input)).await {
        Ok(decoded) => matches!(decoded, Ok(None)),
        Err(_) => true,
    };
    !ended || reader.has_partial_line()
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

/// The sending side of the connection.
struct Outgoing<'a> {
    stream: &'a mut WriteHalf<Socket>,
    progress: &'a Cell<u64>,
    /// Why sending has failed.
    failure: &'a Cell<Option<io::Error>>,
}

impl Outgoing<'_> {
    /// Sends the lines. Returns whether that succeeded.
    async fn send(&mut self, lines: &Lines) -> bool {
        let mut rest = lines.as_bytes().clone();
        while !rest.is_empty() {
            if let Err(error) = self.stream.write_buf(&mut rest).await {
                self.failure.set(Some(error));
                return false;
            }
            self.progress.set(self.progress.get() + 1);
        }
        true
    }
}
