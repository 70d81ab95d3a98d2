//! The server: puts the actors together, starts them, and stops them in order.

use std::{
    cell::Cell,
    future::Future,
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::Arc,
    time::Duration,
};

use actix::{Actor, Addr};
use actix_rt::{Arbiter, ArbiterHandle};
use thiserror::Error;
use tokio::{
    io::AsyncRead,
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::{Instant, timeout_at},
};

use crate::{
    actors::{
        console::{Console, Outputs},
        hub::Hub,
        messages::{Bound, Drain, HubHandle, Report},
        session::{Session, Setup},
        stdin_reader::{Finish, RelayHandle, StdinReader},
    },
    config::{Config, ConfigError},
    events::wording::os_error_text,
    net::listener,
    wire::line_reader::Buffers,
};

/// Batches that sessions may have read and the Console not taken, all together: 4 MiB.
const BATCHES: usize = 64;

/// Refused peers that may linger at once until they have read why.
const LINGERING: usize = 64;

/// What stopping may take beyond `timeouts.drain`: the Console's last words.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Why the server could not start, or could not go on.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The configuration is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address is taken, or not this host's.
    #[error("cannot listen on {address}: {}", os_error_text(.source))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// The terminal, or another of the program's own ends, cannot be used.
    #[error("cannot use the terminal, stdin or stdout: {}", os_error_text(.0))]
    Stdio(io::Error),
    /// Threads or descriptors are short.
    #[error("cannot start: {}", os_error_text(.0))]
    Start(io::Error),
    /// What happens can no longer be said: stdout is closed, or an actor has died.
    #[error("cannot go on: stdout is closed")]
    ConsoleGone,
}

/// A server that has its port and does not serve yet.
pub struct Server {
    config: Config,
    listener: StdListener,
    address: SocketAddr,
    operator: Option<Operator>,
    outputs: Outputs,
}

type Input = Box<dyn AsyncRead + Unpin>;

struct Operator {
    input: Input,
    stops_the_server: bool,
}

impl Server {
    /// Takes the port. From now on peers can connect; they wait in the backlog.
    ///
    /// # Errors
    ///
    /// [`ServerError::Config`] and [`ServerError::Bind`].
    pub fn bind(config: Config) -> Result<Self, ServerError> {
        config.validate()?;
        let address = SocketAddr::new(config.server.bind, config.server.port);
        let failed = |source| ServerError::Bind { address, source };
        let sessions = config.server.max_sessions;
        let listener = listener::bind(address, sessions, &config.timeouts).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let outputs = Outputs::quiet();
        Ok(Self { config, listener, address, operator: None, outputs })
    }

    /// Says what happens here; without this it is said nowhere.
    #[must_use]
    pub fn console(mut self, outputs: Outputs) -> Self {
        self.outputs = outputs;
        self
    }

    /// Where it listens, with the true port.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Relays lines from here. When this input ends, the server goes on without an operator.
    #[must_use]
    pub fn operator(mut self, input: impl AsyncRead + Unpin + 'static) -> Self {
        self.operator = Some(Operator { input: Box::new(input), stops_the_server: false });
        self
    }

    /// Relays lines from here, and stops when this input ends.
    #[must_use]
    pub fn operator_until_eof(mut self, input: impl AsyncRead + Unpin + 'static) -> Self {
        self.operator = Some(Operator { input: Box::new(input), stops_the_server: true });
        self
    }

    /// Serves until `until` is ready, then stops in order (see ARCHITECTURE.md). Must be called
    /// within an Actix system. Who drops it instead has closed the listener, and the sessions go on
    /// until their peers leave, or with the system.
    ///
    /// # Errors
    ///
    /// [`ServerError::ConsoleGone`], after having stopped in order for that reason;
    /// [`ServerError::Bind`] if the event loop does not take the port; [`ServerError::Start`].
    pub async fn run(self, until: impl Future<Output = ()>) -> Result<(), ServerError> {
        let Self { config, listener, address, operator, outputs } = self;
        let failed = |source| ServerError::Bind { address, source };
        let listener = TcpListener::from_std(listener).map_err(failed)?;

        let console = Console::start(outputs).map_err(ServerError::Start)?;
        let (hub, mut console_gone) = Hub::new(config.server.max_sessions, console.recipient());
        let hub = hub.start();
        let workers = Workers::start(config.server.workers).map_err(ServerError::Start)?;
        let mut operator = operator.map(|operator| operator.start(&config, &hub));

        let serving = async {
            // Who connects need not wait until the Console has said so.
            tokio::join!(hub.send(Bound { address }), accept(listener, &config, &hub, &workers))
        };
        let console_is_gone = tokio::select! {
            () = until => false,
            () = stopped_by(&mut operator) => false,
            _ = &mut console_gone => true,
            _ = serving => false,
        };

        let (start, drain) = (Instant::now(), config.timeouts.drain);
        if let Some(operator) = operator {
            // Sessions want some of the time for themselves.
            let _ = timeout_at(start + drain / 2, operator.reader.send(Finish)).await;
        }
        let deadline = start + drain;
        let drained = timeout_at(deadline + LAST_WORDS, hub.send(Drain { deadline })).await;
        match drained {
            Ok(Ok(Ok(()))) | Err(_) if !console_is_gone => Ok(()),
            _ => Err(ServerError::ConsoleGone),
        }
    }
}

/// Accepts for ever, and starts a Session for every connection.
async fn accept(listener: TcpListener, config: &Config, hub: &Addr<Hub>, workers: &Workers) {
    let setup = Arc::new(Setup {
        hub: HubHandle::new(hub.clone()),
        max_line: config.limits.max_line,
        outbox: config.limits.outbox,
        stall: config.timeouts.stall,
        idle: config.timeouts.idle,
        buffers: Buffers::new(BATCHES),
        lingering: Arc::new(Semaphore::new(LINGERING)),
    });
    let serve = |stream, peer, newcomer| workers.serve(stream, peer, &setup, newcomer);
    let report = |sentence| {
        #[expect(clippy::disallowed_methods, reason = "nothing depends on its being read")]
        hub.do_send(Report(sentence));
    };
    listener::accept(listener, serve, report).await;
}

/// The event loops that sessions are spread over: this one, and those of other threads. Dropping
/// it ends the others.
struct Workers {
    others: Vec<ArbiterHandle>,
    next: Cell<usize>,
}

impl Workers {
    fn start(count: usize) -> io::Result<Self> {
        let mut workers = Self { others: Vec::new(), next: Cell::new(0) };
        for _ in 1..count {
            workers.others.push(Arbiter::try_new()?.handle());
        }
        Ok(workers)
    }

    /// Starts the connection's Session on the event loop whose turn it is.
    fn serve(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        setup: &Arc<Setup>,
        newcomer: OwnedSemaphorePermit,
    ) {
        let setup = Arc::clone(setup);
        let turn = self.next.replace((self.next.get() + 1) % (self.others.len() + 1));
        match self.others.get(turn) {
            None => {
                Session::new(stream, peer, setup, Some(newcomer)).start();
            }
            Some(other) => {
                // The stream belongs to this event loop until it is taken out. A stream that
                // does not move is closed: the peer sees that.
                let Ok(stream) = stream.into_std() else {
                    return;
                };
                other.spawn_fn(move || {
                    if let Ok(stream) = TcpStream::from_std(stream) {
                        Session::new(stream, peer, setup, Some(newcomer)).start();
                    }
                });
            }
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for other in &self.others {
            other.stop();
        }
    }
}

impl Operator {
    fn start(self, config: &Config, hub: &Addr<Hub>) -> RunningOperator {
        let relay =
            RelayHandle { broadcast: hub.clone().recipient(), report: hub.clone().recipient() };
        let (max_line, outbox) = (config.limits.max_line, config.limits.outbox);
        let (reader, ended) = StdinReader::new(self.input, max_line, outbox, relay);
        let stops_the_server = self.stops_the_server;
        RunningOperator { reader: reader.start(), ended, stops_the_server }
    }
}

/// An operator whose lines are being relayed.
struct RunningOperator {
    reader: Addr<StdinReader<Input>>,
    /// Fails when the input has ended.
    ended: oneshot::Receiver<()>,
    stops_the_server: bool,
}

/// Ready when the operator's input has ended and that is a reason to stop.
async fn stopped_by(operator: &mut Option<RunningOperator>) {
    match operator {
        Some(operator) if operator.stops_the_server => {
            // Fails when the sender is dropped: that is the signal.
            let _ = (&mut operator.ended).await;
        }
        _ => std::future::pending().await,
    }
}
