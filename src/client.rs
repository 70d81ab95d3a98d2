//! The client: connects, sends what is entered, prints what the server sends.

use std::{
    cell::Cell,
    future::Future,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    rc::Rc,
    time::Duration,
};

use actix::Recipient;
use actix_rt::System;
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWriteExt},
    net::{
        TcpStream, lookup_host,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    time::{Instant, sleep, timeout},
};

use crate::{
    actors::{
        console::{Console, Outputs},
        messages::{ConsoleGone, Print},
    },
    events::{ClientCloseReason, ClientEvent, wording::os_error_text},
    wire::{
        greeting::Greeting,
        line_reader::{Buffers, LineReader},
        lines::{Decoded, LineDecoder, Lines},
        reverse::reverse_lines,
    },
};

/// The longest line that is accepted from a server or from the user, in bytes.
const MAX_LINE: usize = 1024 * 1024;

/// How long the server may take to greet.
const GREETING: Duration = Duration::from_secs(10);

/// How long a leaving client waits while the server makes no progress.
const NO_PROGRESS: Duration = Duration::from_secs(5);

/// The line that ends the client. The server never sees it.
const EXIT: &str = "exit";

/// Buffers for each direction: a batch is written before the next one is read.
const BUFFERS: usize = 1;

/// Why a conversation failed.
#[derive(Debug, Error)]
pub enum ClientError {
    /// No address was found for the host name.
    #[error("cannot find the host {host}: {}", os_error_text(.source))]
    UnknownHost {
        /// The name as it was typed.
        host: String,
        /// The system's error.
        source: io::Error,
    },
    /// The connection failed.
    #[error("cannot connect to {address}: {}", os_error_text(.source))]
    Connect {
        /// The host as it was typed, and the port.
        address: String,
        /// The system's error.
        source: io::Error,
    },
    /// The other side is not a linehub server.
    #[error("{server} does not greet as a linehub server does")]
    Greeting {
        /// The server's address.
        server: SocketAddr,
    },
    /// The other side did not send anything.
    #[error("{server} did not greet within {} seconds", GREETING.as_secs())]
    NoGreeting {
        /// The server's address.
        server: SocketAddr,
    },
    /// The hub is full. The transcript says so.
    #[error("the hub is full")]
    Refused,
    /// The server closed before everything was sent.
    #[error("{server} closed the connection")]
    Closed {
        /// The server's address.
        server: SocketAddr,
    },
    /// The connection broke.
    #[error("the connection to {server} was lost: {}", os_error_text(.source))]
    Lost {
        /// The server's address.
        server: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The server neither reads nor sends anything.
    #[error("{server} has not read all lines: no progress for {} seconds", NO_PROGRESS.as_secs())]
    Stuck {
        /// The server's address.
        server: SocketAddr,
    },
    /// The user stopped the client before its input had been sent.
    #[error("stopped before the end of the input")]
    Interrupted,
    /// Some lines were too long to be sent, and have been reported. All others were confirmed.
    #[error("not every line was sent: some are longer than 1 MiB")]
    Overlong,
    /// stdin cannot be read.
    #[error("cannot read stdin: {}", os_error_text(.0))]
    Input(io::Error),
    /// The system has run out of threads or descriptors.
    #[error("cannot start: {}", os_error_text(.0))]
    Start(io::Error),
    /// The client was run outside an Actix system.
    #[error("the client needs an Actix system: run it in #[actix::main] or actix_rt::System")]
    NoSystem,
    /// stdout is closed.
    #[error("cannot continue: stdout is closed")]
    ConsoleGone,
}

impl From<ConsoleGone> for ClientError {
    fn from(_: ConsoleGone) -> Self {
        Self::ConsoleGone
    }
}

/// A client of one server.
pub struct Client {
    host: String,
    port: u16,
    outputs: Outputs<ClientEvent>,
}

impl Client {
    /// The number of event loops that a client runs.
    pub const EVENT_LOOPS: usize = 1 + Console::<ClientEvent>::EVENT_LOOPS;

    /// A client of the server at `host`, an IP address or a host name.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port, outputs: Outputs::quiet() }
    }

    /// Sets where events are printed. Default: nowhere.
    #[must_use]
    pub fn console(mut self, outputs: Outputs<ClientEvent>) -> Self {
        self.outputs = outputs;
        self
    }

    /// Holds a conversation: once the server has greeted, sends the lines of the input up to the word
    /// `exit`, the end of the input or `stop`, and then waits until the server has confirmed all of
    /// them by closing in an orderly way. Must be called within an Actix system.
    ///
    /// # Errors
    ///
    /// All of [`ClientError`]. Without an error, every line has reached the server's stdout.
    pub async fn converse<I: AsyncRead + Unpin>(
        self,
        input: impl FnOnce() -> io::Result<I>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ClientError> {
        System::try_current().ok_or(ClientError::NoSystem)?;
        let console = Console::start(self.outputs).map_err(ClientError::Start)?.recipient();
        Conversation { host: self.host, port: self.port, console }.hold(input, stop).await
    }
}

/// A conversation with one server.
struct Conversation {
    host: String,
    port: u16,
    console: Recipient<Print<ClientEvent>>,
}

impl Conversation {
    async fn hold<I: AsyncRead + Unpin>(
        &self,
        input: impl FnOnce() -> io::Result<I>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ClientError> {
        let mut stop = pin!(stop);
        let (mut incoming, outgoing) = tokio::select! {
            greeted = self.connect() => greeted?,
            () = &mut stop => return Err(ClientError::Interrupted),
        };
        let server = incoming.server;
        let (host, port) = (self.host.clone(), self.port);
        self.emit(ClientEvent::Connected { host, port, server }).await?;
        let input = input().map_err(ClientError::Input)?;
        let (end, sent) = self.exchange(&mut incoming, outgoing, input, stop).await;
        let end = match end {
            Ok(()) => incoming.check_orderly(sent.is_some()).await,
            Err(error) => Err(error),
        };
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
        incoming: &mut Incoming,
        outgoing: Outgoing,
        input: I,
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> (Result<(), ClientError>, Option<Result<(), ClientError>>) {
        let server = incoming.server;
        let (stopper, stopped) = watch::channel(false);
        let progress = Rc::clone(&incoming.progress);
        let mut receiving = pin!(self.receive(incoming));
        let mut sending = pin!(self.send(outgoing, input, stopped));
        let mut sent = None;
        let mut leaving = false;
        let end = loop {
            let seen = progress.get();
            tokio::select! {
                // The first branch is polled first, so that a server that closed before everything was
                // sent is not mistaken for one that confirmed it.
                biased;
                end = &mut receiving => break end,
                result = &mut sending, if sent.is_none() => {
                    leaving = true;
                    match result {
                        Err(ClientError::ConsoleGone) => break Err(ClientError::ConsoleGone),
                        result => sent = Some(result),
                    }
                }
                () = &mut stop, if !*stopper.borrow() => {
                    leaving = true;
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

    /// Connects and reads the greeting.
    async fn connect(&self) -> Result<(Incoming, Outgoing), ClientError> {
        let (stream, round_trip) = self.dial().await?;
        let failed = |source| ClientError::Connect { address: self.address(), source };
        let server = stream.peer_addr().map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let (stream, outgoing) = stream.into_split();
        let mut incoming = Incoming {
            server,
            round_trip,
            stream,
            reader: LineReader::new(LineDecoder::new(MAX_LINE), Buffers::new(BUFFERS)),
            early: None,
            progress: Rc::new(Cell::new(0)),
        };
        let first = timeout(GREETING, incoming.reader.next(&mut incoming.stream)).await;
        let first = first.map_err(|_| ClientError::NoGreeting { server })?;
        let lost = |source| ClientError::Lost { server, source };
        let Some(Decoded::Lines(lines)) = first.map_err(lost)? else {
            return Err(ClientError::Greeting { server });
        };
        let (status, rest) = lines.split_first();
        incoming.early = rest;
        match Greeting::parse(&status) {
            Some(Greeting::Ready) => {
                let progress = Rc::clone(&incoming.progress);
                Ok((incoming, Outgoing { stream: outgoing, progress }))
            }
            Some(Greeting::Refused) => {
                self.emit(ClientEvent::Rejected).await?;
                Err(ClientError::Refused)
            }
            None => Err(ClientError::Greeting { server }),
        }
    }

    /// Opens a connection. Also returns how long the TCP handshake took.
    async fn dial(&self) -> Result<(TcpStream, Duration), ClientError> {
        // An IPv6 address may be in brackets, as it is before a port.
        let bare = self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let found = lookup_host((bare.unwrap_or(&self.host), self.port)).await;
        let host = self.host.clone();
        let addresses = match found {
            Ok(addresses) => addresses,
            Err(source) => return Err(ClientError::UnknownHost { host, source }),
        };
        let mut failure = io::ErrorKind::NotFound.into();
        for address in addresses {
            let start = Instant::now();
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok((stream, start.elapsed())),
                Err(error) => failure = error,
            }
        }
        Err(ClientError::Connect { address: self.address(), source: failure })
    }

    /// The address as it was typed, with the port.
    fn address(&self) -> String {
        match self.host.parse() {
            Ok(ip) => SocketAddr::new(ip, self.port).to_string(),
            Err(_) => format!("{}:{}", self.host, self.port),
        }
    }

    /// Prints what the server sends until it closes.
    async fn receive(&self, incoming: &mut Incoming) -> Result<(), ClientError> {
        let server = incoming.server;
        let lost = |source| ClientError::Lost { server, source };
        if let Some(lines) = incoming.early.take() {
            self.emit(ClientEvent::Response { lines: reverse_lines(lines) }).await?;
        }
        while let Some(decoded) = incoming.reader.next(&mut incoming.stream).await.map_err(lost)? {
            incoming.progress.set(incoming.progress.get() + 1);
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

    /// Sends what is entered until that ends, then closes the sending side.
    async fn send<I: AsyncRead + Unpin>(
        &self,
        mut outgoing: Outgoing,
        mut input: I,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<(), ClientError> {
        let mut reader = LineReader::new(LineDecoder::new(MAX_LINE), Buffers::new(BUFFERS));
        let mut all = Ok(());
        let end = loop {
            let decoded = tokio::select! {
                decoded = reader.next(&mut input) => decoded.map_err(ClientError::Input),
                _ = stopped.wait_for(|stopped| *stopped) => break Err(ClientError::Interrupted),
            };
            let lines = match decoded {
                Ok(Some(Decoded::Lines(lines))) => lines,
                Ok(Some(Decoded::Discarded(bytes))) => {
                    let sentence = "it is longer than 1 MiB";
                    let sentence = format!("a line of {bytes} bytes was not sent: {sentence}");
                    self.emit(ClientEvent::Problem(sentence)).await?;
                    all = Err(ClientError::Overlong);
                    continue;
                }
                Ok(None) => break all,
                Err(error) => break Err(error),
            };
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
            if exit {
                break all;
            }
        };
        self.emit(ClientEvent::InputEnded).await?;
        // If this fails, the receiving side learns why.
        let _ = outgoing.stream.shutdown().await;
        end
    }

    fn emit(&self, event: ClientEvent) -> impl Future<Output = Result<(), ClientError>> + use<> {
        let printed = self.console.send(Print(vec![event.into()]));
        async { Ok(printed.await.unwrap_or(Err(ConsoleGone))?) }
    }
}

/// The receiving side of the connection.
struct Incoming {
    server: SocketAddr,
    /// How long the TCP handshake took.
    round_trip: Duration,
    stream: OwnedReadHalf,
    reader: LineReader,
    /// Lines that arrived together with the greeting.
    early: Option<Lines>,
    /// Counts what is sent and received.
    progress: Rc<Cell<u64>>,
}

impl Incoming {
    /// Fails if a reset follows the server's close: then something that was sent has been lost. The
    /// reset answers what was in transit when the server closed, so it arrives within a round trip.
    async fn check_orderly(&self, all_sent: bool) -> Result<(), ClientError> {
        if all_sent {
            sleep(2 * self.round_trip.min(NO_PROGRESS)).await;
        }
        match self.stream.as_ref().take_error() {
            Ok(Some(source)) | Err(source) => {
                Err(ClientError::Lost { server: self.server, source })
            }
            Ok(None) => Ok(()),
        }
    }
}

/// The sending side of the connection.
struct Outgoing {
    stream: OwnedWriteHalf,
    progress: Rc<Cell<u64>>,
}

impl Outgoing {
    /// Sends the lines. Returns whether that succeeded.
    async fn send(&mut self, lines: &Lines) -> bool {
        let mut rest = lines.as_bytes().clone();
        while !rest.is_empty() {
            if self.stream.write_buf(&mut rest).await.is_err() {
                return false;
            }
            self.progress.set(self.progress.get() + 1);
        }
        true
    }
}
