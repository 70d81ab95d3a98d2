//! The server: puts the actors together, starts them, and stops them in order.

mod desk;
mod devices;
mod error;
mod log;
mod operator;
mod workers;

use std::{
    future::Future,
    net::{SocketAddr, TcpListener as StdListener},
    sync::Arc,
    time::Duration,
};

use actix::{Actor, Addr, Recipient};
use actix_rt::System;
use tokio::{
    io::AsyncRead,
    net::TcpListener,
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use self::{
    desk::RunningHub,
    log::RunningLog,
    operator::{Operator, RunningOperator},
    workers::Workers,
};
pub use self::{
    desk::{Desk, NotDone},
    error::ServerError,
    log::ReloadHandle,
};
use crate::{
    actors::{
        console::{Console, Outputs},
        hub::{self, Hub},
        messages::{Bound, Drain, HubHandle, Observed, PeerKind, Report},
        session::{Setup, Stream},
        stdin_reader::Finish,
    },
    admin,
    config::{Config, Timeouts, Token},
    desk::roster::Roster,
    events::{
        ServerEvent,
        log::{Log, LogFile},
    },
    net::{listener, socket::Socket},
    wire::line_reader::Buffers,
};

/// The most batches that all sessions together may have read before the Console has written them: 4 MiB.
const BATCHES: usize = 64;

/// The most connections that may be pending: accepted, but neither admitted nor closed. The limit is
/// higher than the number of clients that may wait for a slot, so that those do not block accepting.
const MAX_PENDING: usize = 2048;

/// The most refused peers that may linger at once until they have read why.
const LINGERING: u32 = 1024;

/// How long refused peers may delay the end of the server.
const LAST_REFUSALS: Duration = Duration::from_millis(250);

/// How long stopping may take beyond `timeouts.drain`, for the Console's last output.
const LAST_OUTPUT: Duration = Duration::from_millis(500);

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
    running: RunningHub,
    log: Option<LogFile>,
    reload: ReloadHandle,
}

impl Server {
    /// Binds the port. From now on peers can connect; they wait in the backlog.
    ///
    /// # Errors
    ///
    /// [`ServerError::Config`], [`ServerError::Bind`] and [`ServerError::Log`].
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
        let log = log::open(&config.log).map_err(|source| {
            let file = config.log.file.clone().unwrap_or_default();
            ServerError::Log { file, source }
        })?;
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
            running: RunningHub::default(),
            log,
            reload: ReloadHandle::default(),
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

    /// A handle that asks the server to open its log again while it runs.
    pub fn reload_handle(&self) -> ReloadHandle {
        self.reload.clone()
    }

    /// The operator's desk of this server, for the program that it runs in.
    pub fn desk(&self) -> Desk {
        Desk::new(&self.running)
    }

    /// The token of the web console, if nobody has chosen it: the program must show it.
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
        let (mut server, listener) = self.start()?;
        let served = server.serve(listener, until).await;
        let stopped = server.stop().await;
        served.and(stopped)
    }

    /// Starts everything but the listener.
    fn start(self) -> Result<(Running, TcpListener), ServerError> {
        let Self { config, listener, address, operator, outputs, observers, mut admin, .. } = self;
        let failed = |source| ServerError::Bind { address, source };
        let listener = TcpListener::from_std(listener).map_err(failed)?;

        let log = self.log.map(|file| RunningLog::start(file, config.timeouts.stall));
        let log = log.transpose().map_err(ServerError::Start)?;
        let outputs = outputs.log(log.as_ref().map(|running| running.log.clone()));
        let console = Console::start(outputs).map_err(ServerError::Start)?.recipient();
        let settings = hub::Settings {
            max_clients: config.server.max_sessions,
            slot: config.timeouts.slot.unwrap_or_default(),
            names: config.names.clone(),
            stall: config.timeouts.stall,
            feed: admin.as_mut().map(admin::Bound::start_feed),
            latency: admin.as_ref().map(admin::Bound::latency),
            roster: self.roster,
        };
        let (hub, console_gone) = Hub::new(settings, console, observers);
        let hub = hub.start();
        // Fails if the program has no desk, and then no one needs to learn of the Hub.
        let _ = self.running.send(Some(hub.downgrade()));
        let workers = Workers::start(config.server.workers).map_err(ServerError::Start)?;
        let operator = operator.map(|operator| operator.start(&config, &hub));
        let setup = Arc::new(setup(&config, &hub));
        let (log, log_tasks) = match log {
            Some(running) => (Some(running.log.clone()), Some(running.attend(&hub, self.reload))),
            None => (None, None),
        };
        let running = Running {
            config,
            address,
            hub,
            console_gone,
            setup,
            workers,
            operator,
            log,
            log_tasks,
            admin,
            running_admin: None,
        };
        Ok((running, listener))
    }
}

/// A running server.
struct Running {
    config: Config,
    address: SocketAddr,
    hub: Addr<Hub>,
    /// Cancelled when nothing is printed any more.
    console_gone: CancellationToken,
    setup: Arc<Setup>,
    workers: Workers,
    operator: Option<RunningOperator>,
    log: Option<Log<ServerEvent>>,
    log_tasks: Option<JoinSet<()>>,
    /// The admin side, until it runs.
    admin: Option<admin::Bound>,
    running_admin: Option<admin::Running>,
}

impl Running {
    /// Serves until `until` is ready, the operator stops the server, or nothing is printed any more.
    async fn serve(
        &mut self,
        listener: TcpListener,
        until: impl Future<Output = ()>,
    ) -> Result<(), ServerError> {
        let admin = self.admin.take();
        let Self { config, address, hub, setup, workers, running_admin, log, .. } = self;
        let bound = hub.send(Bound { address: *address });
        // When this is dropped, the listener is closed.
        let serving = async {
            // Accept connections without waiting for the "bound" line to be printed.
            tokio::join!(bound, accept(listener, setup, hub, workers))
        };
        let log_lost = log.as_ref().map(Log::lost).unwrap_or_default();
        let admin = admin.map(|admin| admin.start(hub, log_lost)).transpose();
        *running_admin = admin.map_err(ServerError::Start)?;
        // When this is dropped, a device whose session ends is not connected again.
        let _devices = devices::connect(config, *address, setup, hub);
        tokio::select! {
            () = until => {}
            () = RunningOperator::stops_server(self.operator.as_ref()) => {}
            () = self.console_gone.cancelled() => {}
            _ = serving => {}
        }
        Ok(())
    }

    /// Stops in order.
    async fn stop(self) -> Result<(), ServerError> {
        if let Some(admin) = &self.running_admin {
            admin.drain();
        }
        let output_alive = !self.console_gone.is_cancelled();
        let (start, Timeouts { drain, stall, .. }) = (Instant::now(), self.config.timeouts);
        if let Some(operator) = self.operator {
            // Sessions need some of the time themselves.
            let _ = timeout_at(start + drain / 2, operator.reader.send(Finish)).await;
        }
        let deadline = start + drain;
        let drained = timeout_at(deadline + LAST_OUTPUT, self.hub.send(Drain { deadline })).await;
        // `stopped` is the last event, whatever happens to the log now.
        drop(self.log_tasks);
        log::finish(self.log, stall, LAST_OUTPUT, deadline + LAST_OUTPUT).await;
        // Refused peers get time to read why.
        let _ = timeout(LAST_REFUSALS, self.setup.lingering.acquire_many(LINGERING)).await;
        if let Some(admin) = self.running_admin {
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

/// Accepts connections until it is dropped, and starts a Session for each.
async fn accept(listener: TcpListener, setup: &Arc<Setup>, hub: &Addr<Hub>, workers: &Workers) {
    let serve = |stream, peer, pending| workers.serve(stream, peer, setup, pending);
    listener::accept(listener, MAX_PENDING, serve, reporter(hub)).await;
}

/// Reports problems to the operator.
fn reporter(hub: &Addr<Hub>) -> impl Fn(String) + 'static {
    let hub = hub.clone();
    move |sentence| {
        #[expect(clippy::disallowed_methods, reason = "nothing depends on this report")]
        hub.do_send(Report(sentence));
    }
}
