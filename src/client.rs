//! The client: connects, sends what is entered, prints what the server sends.

use std::{cell::Cell, future::Future, io, net::SocketAddr, pin::pin, rc::Rc, time::Duration};

use actix::Recipient;
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWriteExt},
    net::{
        TcpStream, lookup_host,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    time::{Instant, sleep},
};

use crate::{
    actors::messages::{ConsoleGone, Print},
    events::{ClosedBy, Event, wording::os_error_text},
    wire::{
        greeting::Greeting,
        line_reader::{Buffers, LineReader},
        lines::{Decoded, LineDecoder, Lines},
        reverse::reverse_lines,
    },
};

/// The longest line that is taken from a server, and from the user, in bytes.
const MAX_LINE: usize = 1024 * 1024;

/// How long the server may take without any progress to let a leaving client go.
const FAREWELL: Duration = Duration::from_secs(5);

/// The user's word for leaving. The server never sees it.
const EXIT: &str = "exit";

/// Buffers of each direction: what has been read is taken before there is more.
const BUFFERS: usize = 1;

/// Why a conversation could not be held, or not to its end.
#[derive(Debug, Error)]
pub enum ClientError {
    /// No address for the host name.
    #[error("cannot find the host {host}: {}", os_error_text(.source))]
    UnknownHost {
        /// The name as it was typed.
        host: String,
        /// The system's answer.
        source: io::Error,
    },
    /// No connection.
    #[error("cannot connect to {address}: {}", os_error_text(.source))]
    Connect {
        /// The host as it was typed, and the port.
        address: String,
        /// The system's answer.
        source: io::Error,
    },
    /// Whoever answered is not a linehub server.
    #[error("{server} does not greet as a linehub server does")]
    Greeting {
        /// The server's address.
        server: SocketAddr,
    },
    /// The hub is full. The transcript has told the user.
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
        /// The system's answer.
        source: io::Error,
    },
    /// The server no longer takes or sends anything.
    #[error("{server} has not taken all lines: no progress for {} seconds", FAREWELL.as_secs())]
    Stuck {
        /// The server's address.
        server: SocketAddr,
    },
    /// The user stopped the client before its input had been sent.
    #[error("stopped before the end of the input")]
    Interrupted,
    /// Lines of the user were too long to be sent, and have been reported. All others were taken.
    #[error("not every line was sent: some are longer than 1 MiB")]
    Overlong,
    /// stdin cannot be read.
    #[error("cannot read stdin: {}", os_error_text(.0))]
    Input(io::Error),
    /// Threads or descriptors are short.
    #[error("cannot start: {}", os_error_text(.0))]
    Start(io::Error),
    /// stdout is closed.
    #[error("cannot go on: stdout is closed")]
    ConsoleGone,
}

impl From<ConsoleGone> for ClientError {
    fn from(_: ConsoleGone) -> Self {
        Self::ConsoleGone
    }
}

/// A server to talk to.
#[derive(Clone, Debug)]
pub struct Client {
    /// IP address or host name, as it was typed.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Takes what happens.
    pub console: Recipient<Print>,
}

impl Client {
    /// Holds a conversation: sends the lines of what `input` gives once the server has greeted,
    /// up to the word `exit`, the end of the input or `stop`, and then waits until the server has
    /// taken them all.
    ///
    /// # Errors
    ///
    /// All of [`ClientError`]. Without one, the server has taken every line.
    pub async fn converse<I: AsyncRead + Unpin>(
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
        self.say(Event::Greeted { host, port, server }).await?;
        let input = input().map_err(ClientError::Input)?;

        // When this block ends so has the line editor, before the last words are printed.
        let (end, sent) = {
            let (stopper, stopped) = watch::channel(false);
            let progress = Rc::clone(&incoming.progress);
            let mut receiving = pin!(self.receive(&mut incoming));
            let mut sending = pin!(self.send(outgoing, input, stopped));
            let mut sent = None;
            let mut leaving = false;
            let end = loop {
                let seen = progress.get();
                tokio::select! {
                    // First, so that a server that has gone is not taken for one that let us go.
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
                        // Kept also where nobody listens any more, as all has been sent.
                        stopper.send_replace(true);
                    }
                    () = sleep(FAREWELL), if leaving => {
                        if progress.get() == seen {
                            break Err(ClientError::Stuck { server });
                        }
                    }
                }
            };
            (end, sent)
        };
        let end = match end {
            Ok(()) => incoming.was_orderly(sent.is_some()).await,
            Err(error) => Err(error),
        };
        let (closed, result) = match (end, sent) {
            (Ok(()), Some(sent)) => (ClosedBy::Left, sent),
            (Ok(()), None) => (ClosedBy::Server, Err(ClientError::Closed { server })),
            (Err(ClientError::ConsoleGone), _) => return Err(ClientError::ConsoleGone),
            (Err(error), _) => (ClosedBy::Lost, Err(error)),
        };
        self.say(Event::Closed { reason: closed }).await?;
        result
    }

    /// Connects and hears the greeting.
    async fn connect(&self) -> Result<(Incoming, Outgoing), ClientError> {
        let (stream, round_trip) = self.dial().await?;
        let lost = |source| ClientError::Connect { address: self.address(), source };
        let server = stream.peer_addr().map_err(lost)?;
        stream.set_nodelay(true).map_err(lost)?;
        let (stream, outgoing) = stream.into_split();
        let mut incoming = Incoming {
            server,
            round_trip,
            stream,
            reader: LineReader::new(LineDecoder::new(MAX_LINE), Buffers::new(BUFFERS)),
            early: None,
            progress: Rc::new(Cell::new(0)),
        };
        let first = incoming.reader.next(&mut incoming.stream).await;
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
                self.say(Event::Refused).await?;
                Err(ClientError::Refused)
            }
            None => Err(ClientError::Greeting { server }),
        }
    }

    /// A connection, and how long the handshake took.
    async fn dial(&self) -> Result<(TcpStream, Duration), ClientError> {
        // An IPv6 address may stand in brackets, as it does in front of a port.
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
            self.say(Event::Response { lines: reverse_lines(lines) }).await?;
        }
        while let Some(decoded) = incoming.reader.next(&mut incoming.stream).await.map_err(lost)? {
            incoming.progress.set(incoming.progress.get() + 1);
            let event = match decoded {
                Decoded::Lines(lines) => Event::Response { lines: reverse_lines(lines) },
                Decoded::Discarded(bytes) => Event::Problem(format!(
                    "discarded a line of {bytes} bytes from {server}: it is longer than 1 MiB"
                )),
            };
            self.say(event).await?;
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
                    self.say(Event::Problem(sentence)).await?;
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
            // Said first, sent at once, and only then waited for.
            let said = self.say(Event::Entered { lines: entered });
            if let Some(lines) = to_send
                && !outgoing.send(&lines).await
            {
                // The receiving side knows better what has happened.
                return std::future::pending().await;
            }
            said.await?;
            if exit {
                break all;
            }
        };
        self.say(Event::InputEnded).await?;
        // Where this fails the receiving side knows better what has happened.
        let _ = outgoing.stream.shutdown().await;
        end
    }

    fn say(&self, event: Event) -> impl Future<Output = Result<(), ClientError>> + use<> {
        let said = self.console.send(Print(vec![event.into()]));
        async { Ok(said.await.unwrap_or(Err(ConsoleGone))?) }
    }
}

/// What the server sends.
struct Incoming {
    server: SocketAddr,
    /// How long the handshake took.
    round_trip: Duration,
    stream: OwnedReadHalf,
    reader: LineReader,
    /// Lines that came together with the greeting.
    early: Option<Lines>,
    progress: Rc<Cell<u64>>,
}

impl Incoming {
    /// Whether the end was what it seems: a reset behind it means that something sent was not taken.
    /// It answers what was on its way when the server closed, so it comes within a round trip.
    async fn was_orderly(&self, all_sent: bool) -> Result<(), ClientError> {
        if all_sent {
            sleep(2 * self.round_trip.min(FAREWELL)).await;
        }
        match self.stream.as_ref().take_error() {
            Ok(Some(source)) | Err(source) => {
                Err(ClientError::Lost { server: self.server, source })
            }
            Ok(None) => Ok(()),
        }
    }
}

/// What the server gets.
struct Outgoing {
    stream: OwnedWriteHalf,
    progress: Rc<Cell<u64>>,
}

impl Outgoing {
    /// Whether the lines could be sent.
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
