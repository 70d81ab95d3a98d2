//! The server: puts the actors together, starts them, and stops them in order.

mod operator;
mod workers;

use std::{
    future::Future,
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::Arc,
    time::Duration,
};

use actix::{Actor, Addr, Recipient};
use actix_rt::System;
use thiserror::Error;
use tokio::{
    io::AsyncRead,
    net::TcpListener,
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use self::{
    operator::{Operator, RunningOperator},
    workers::Workers,
};
use crate::{
    actors::{
        console::{Console, Outputs},
        hub::{self, Hub},
        messages::{Bound, Drain, HubHandle, Observed, PeerKind, Report},
        session::{Session, Setup, Stream},
        stdin_reader::Finish,
    },
    address::{BindAddress, Zoned},
    admin,
    config::{Config, ConfigError, Token},
    desk::roster::Roster,
    events::{ServerEvent, wording::os_error_text},
    net::{device, listener, socket::Socket},
    wire::line_reader::Buffers,
};

/// Batches that all sessions together may have read and the Console not written: 4 MiB.
const BATCHES: usize = 64;

/// Connections that may be accepted and neither admitted nor closed. There are more of them than clients
/// that may wait for a slot, so that these do not delay others.
const MAX_PENDING: usize = 2048;

/// Refused peers that may linger at once until they have read why.
const LINGERING: u32 = 1024;

/// How long refused peers may delay the end of the server.
const LAST_REFUSALS: Duration = Duration::from_millis(250);

/// How long stopping may take beyond `timeouts.drain`, for the Console's last output.
const LAST_OUTPUT: Duration = Duration::from_millis(500);

/// Why the server could not start, or could not continue.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The configuration is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address is in use, or is not an address of this host.
    #[error("cannot listen on {}: {}", Zoned(*.address), os_error_text(.source))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The address has a zone that does not exist.
    #[error("cannot listen on {address}: {}", os_error_text(.source))]
    Zone {
        /// The address.
        address: BindAddress,
        /// The system's error.
        source: io::Error,
    },
    /// The terminal, stdin or stdout cannot be used.
    #[error("cannot use the terminal, stdin or stdout: {}", os_error_text(.0))]
    Stdio(io::Error),
    /// The system has run out of threads or descriptors.
    #[error("cannot start: {}", os_error_text(.0))]
    Start(io::Error),
    /// The server was run outside an Actix system.
    #[error("the server needs an Actix system: run it in #[actix::main] or actix_rt::System")]
    NoSystem,
    /// Events can no longer be printed: stdout is closed, or an actor has died.
    #[error("cannot continue: stdout is closed")]
    ConsoleGone,
}

/// A server that has bound its port and does not serve yet.
pub struct Server {
    config: Config,
    listener: StdListener,
    address: SocketAddr,
    operator: Option<Operator>,
    outputs: Outputs<ServerEvent>,
    observers: Vec<Recipient<Observed>>,
    admin: Option<admin::Bound>,
    roster: Option<Roster>,
}

impl Server {
    /// Binds the port. From now on peers can connect; they wait in the backlog.
    ///
    /// # Errors
    ///
    /// [`ServerError::Config`] and [`ServerError::Bind`].
    pub fn bind(config: Config) -> Result<Self, ServerError> {
        config.validate()?;
        let (bind, port) = (&config.server.bind, config.server.port);
        let no_zone = |source| ServerError::Zone { address: bind.clone(), source };
        let address = bind.with_port(port).map_err(no_zone)?;
        let failed = |source| ServerError::Bind { address, source };
        let sessions = config.server.max_sessions;
        let listener = listener::bind(address, sessions, &config.timeouts).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let outputs = Outputs::quiet();
        let bind_admin = |address| {
            let failed = |source| ServerError::Bind { address, source };
            admin::Bound::bind(&config, address).map_err(failed)
        };
        let admin = config.admin.listen.map(bind_admin).transpose()?;
        Ok(Self {
            config,
            listener,
            address,
            operator: None,
            outputs,
            observers: Vec::new(),
            admin,
            roster: None,
        })
    }

    /// Sets where events are printed. Default: nowhere.
    #[must_use]
    pub fn console(mut self, outputs: Outputs<ServerEvent>) -> Self {
        self.outputs = outputs;
        self
    }

    /// Adds an observer, which gets all events. The server does not wait for it: see [`Observed`].
    #[must_use]
    pub fn observer(mut self, observer: Recipient<Observed>) -> Self {
        self.observers.push(observer);
        self
    }

    /// Has the sessions listed here, for the completion at a terminal.
    #[doc(hidden)]
    #[must_use]
    pub fn roster(mut self, roster: Roster) -> Self {
        self.roster = Some(roster);
        self
    }

    /// The token of the web console, if nobody has chosen it: whoever starts the server must show it.
    pub fn admin_token(&self) -> Option<&Token> {
        self.admin.as_ref()?.random_token()
    }

    /// The address of the listener, with the actual port.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Broadcasts the lines of this input. When it ends, the server goes on without an operator.
    #[must_use]
    pub fn operator(mut self, input: impl AsyncRead + Unpin + 'static) -> Self {
        self.operator = Some(Operator { input: Box::new(input), until_eof: false });
        self
    }

    /// Broadcasts the lines of this input, and stops when it ends: the operator is a person at a terminal.
    /// Unless `console.commands` says otherwise, lines that start with `/` are commands.
    #[must_use]
    pub fn operator_until_eof(mut self, input: impl AsyncRead + Unpin + 'static) -> Self {
        self.operator = Some(Operator { input: Box::new(input), until_eof: true });
        self
    }

    /// The number of event loops that a server with this configuration runs.
    pub fn event_loops(config: &Config) -> usize {
        config.server.workers + Console::<ServerEvent>::EVENT_LOOPS
    }

    /// Serves until `until` is ready, then stops in order (see ARCHITECTURE.md). Must be called
    /// within an Actix system. Dropping the future closes the listener; sessions on this event loop
    /// keep running until their peers leave, and those on other workers are cut off.
    ///
    /// # Errors
    ///
    /// [`ServerError::NoSystem`]; [`ServerError::Bind`] if the event loop does not accept the
    /// listener; [`ServerError::Start`]; and [`ServerError::ConsoleGone`], after having stopped in
    /// order for that reason.
    pub async fn run(self, until: impl Future<Output = ()>) -> Result<(), ServerError> {
        System::try_current().ok_or(ServerError::NoSystem)?;
        let Self { config, listener, address, operator, outputs, observers, mut admin, roster } =
            self;
        let failed = |source| ServerError::Bind { address, source };
        let listener = TcpListener::from_std(listener).map_err(failed)?;

        let console = Console::start(outputs).map_err(ServerError::Start)?.recipient();
        let settings = hub::Settings {
            max_clients: config.server.max_sessions,
            slot: config.timeouts.slot.unwrap_or_default(),
            names: config.names.clone(),
            stall: config.timeouts.stall,
            feed: admin.as_mut().map(admin::Bound::start_feed),
            latency: admin.as_ref().map(admin::Bound::latency),
            roster,
        };
        let (hub, console_gone) = Hub::new(settings, console, observers);
        let hub = hub.start();
        let workers = Workers::start(config.server.workers).map_err(ServerError::Start)?;
        let operator = operator.map(|operator| operator.start(&config, &hub));

        let setup = Arc::new(setup(&config, &hub));
        let bound = hub.send(Bound { address });
        // When this is dropped, the listener is closed.
        let serving = async {
            // Accept connections without waiting for the "bound" line to be printed.
            tokio::join!(bound, accept(listener, &setup, &hub, &workers))
        };
        let start_admin = |admin: admin::Bound| admin.start(&hub).map_err(ServerError::Start);
        let admin = admin.map(start_admin).transpose()?;
        let devices = connect_devices(&config, address, &setup, &hub);
        tokio::select! {
            () = until => {}
            () = RunningOperator::stops_server(operator.as_ref()) => {}
            () = console_gone.cancelled() => {}
            _ = serving => {}
        }
        // A device whose session ends now is not connected again.
        drop(devices);
        if let Some(admin) = &admin {
            admin.drain();
        }
        let output_alive = !console_gone.is_cancelled();

        let (start, drain) = (Instant::now(), config.timeouts.drain);
        if let Some(operator) = operator {
            // Sessions need some of the time themselves.
            let _ = timeout_at(start + drain / 2, operator.reader.send(Finish)).await;
        }
        let deadline = start + drain;
        let drained = timeout_at(deadline + LAST_OUTPUT, hub.send(Drain { deadline })).await;
        // Refused peers get time to read why.
        let _ = timeout(LAST_REFUSALS, setup.lingering.acquire_many(LINGERING)).await;
        if let Some(admin) = admin {
            admin.finish().await;
        }
        match drained {
            Ok(Ok(Ok(()))) | Err(_) if output_alive => Ok(()),
            _ => Err(ServerError::ConsoleGone),
        }
    }
}

impl Stream for Socket {
    fn reset_on_close(&self) {
        // If it cannot be set, the connection is broken already.
        let _ = self.get_ref().set_zero_linger();
    }
}

/// What the sessions of clients share.
fn setup(config: &Config, hub: &Addr<Hub>) -> Setup {
    Setup {
        hub: HubHandle::new(hub.clone()),
        kind: PeerKind::Client,
        reverse: config.server.reverse,
        greeting: config.server.greeting,
        framing: config.framing(),
        max_line: config.limits.max_line,
        outbox: config.limits.outbox,
        stall: config.timeouts.stall,
        idle: config.timeouts.idle,
        drain: config.timeouts.drain,
        buffers: Buffers::new(BATCHES),
        lingering: Arc::new(Semaphore::new(LINGERING as usize)),
    }
}

/// Accepts connections without end, and starts a Session for each.
async fn accept(listener: TcpListener, setup: &Arc<Setup>, hub: &Addr<Hub>, workers: &Workers) {
    let serve = |stream, peer, pending| workers.serve(stream, peer, setup, pending);
    listener::accept(listener, MAX_PENDING, serve, reporter(hub)).await;
}

/// Keeps the hub connected to its devices until the returned tasks are dropped.
fn connect_devices(
    config: &Config,
    own: SocketAddr,
    setup: &Arc<Setup>,
    hub: &Addr<Hub>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for device in config.connect.iter().cloned() {
        let name = device.name.clone().map(Into::into);
        let kind = PeerKind::Device { name };
        let framing = device.framing(setup.framing);
        let setup = Setup { kind, framing, greeting: false, ..Setup::clone(setup) };
        let setup = Arc::new(setup);
        let serve = move |stream, peer| {
            let ended = CancellationToken::new();
            let session = Session::new(Socket::new(stream), peer, Arc::clone(&setup), None);
            session.until(ended.clone()).start();
            ended
        };
        let report = reporter(hub);
        let keepalive = config.timeouts.clone();
        tasks.spawn_local(async move {
            device::keep_connected(&device, own, &keepalive, serve, report).await;
        });
    }
    tasks
}

/// Reports problems to the operator.
fn reporter(hub: &Addr<Hub>) -> impl Fn(String) + 'static {
    let hub = hub.clone();
    move |sentence| {
        #[expect(clippy::disallowed_methods, reason = "nothing depends on this report")]
        hub.do_send(Report(sentence));
    }
}
