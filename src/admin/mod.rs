//! The admin side: the web console and the HTTP API. docs/http.md describes every request.
//!
//! ```text
//!  browser, curl ──► connections ──► checks ──► routes ──► Desk ──► Hub     the operator's messages
//!                                                 └─ stream ◄── Feed        events, for slow readers
//! ```
//!
//! It runs on the server's event loop. Everything that it has is bounded: connections, requests under
//! way, readers, and what is rendered for readers at a time.

mod answers;
mod body;
mod checks;
mod connections;
mod desk;
mod figures;
mod metrics;
mod pages;
mod routes;
mod stream;

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    rc::Rc,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use actix::{Actor, Addr, Recipient};
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use self::{
    answers::Failure,
    checks::Checks,
    connections::{Activity, Busy, Slots},
    desk::Desk,
    stream::{Streams, Throttle},
};
use crate::{
    actors::{
        feed::Feed,
        hub::Hub,
        messages::{AdminBound, Observed, Report},
    },
    config::{Config, Token, read_token},
    desk::histogram::Histogram,
    net::listener,
};

/// Readers of events at once.
const READERS: u32 = 16;

/// Questions under way at once.
const QUESTIONS: usize = 8;

/// Other requests at once that need the Hub.
const OTHERS: usize = 8;

/// The bytes of randomness in a token that nobody has chosen: as many as cannot be guessed, and few enough
/// that the address with the token fits into 80 columns, so that it can be clicked.
const RANDOM_TOKEN: usize = 16;

/// How long readers of events may delay the end of the server.
const LAST_EVENTS: Duration = Duration::from_millis(250);

/// What all requests share.
pub(crate) struct Admin {
    checks: Checks,
    desk: Desk,
    streams: Streams,
    latency: Arc<Histogram>,
    /// Counts the events that are not in the log.
    log_lost: Arc<AtomicU64>,
    /// Cancelled when the hub stops.
    draining: CancellationToken,
    questions: Arc<Semaphore>,
    others: Arc<Semaphore>,
    max_line: usize,
    outbox: usize,
    reverse: bool,
}

/// A request that is being carried out.
pub(crate) struct Underway {
    _permit: OwnedSemaphorePermit,
    _busy: Busy,
}

impl Admin {
    /// Begins a request whose body has come, if there are not too many of its kind.
    fn begin(&self, kind: &Arc<Semaphore>, activity: &Arc<Activity>) -> Result<Underway, Failure> {
        if self.draining.is_cancelled() {
            return Err(Failure::stopping());
        }
        let permit = Arc::clone(kind).try_acquire_owned().map_err(|_| Failure::too_many())?;
        Ok(Underway { _permit: permit, _busy: activity.enter() })
    }
}

/// The admin side after its port is bound.
pub(crate) struct Bound {
    listener: StdListener,
    address: SocketAddr,
    config: Config,
    token: Token,
    /// Whether nobody has chosen the token.
    is_random: bool,
    /// What the operator should know about the token.
    warning: Option<String>,
    latency: Arc<Histogram>,
    feed: Option<Addr<Feed>>,
}

impl Bound {
    /// Binds the port. The configuration is valid.
    pub(crate) fn bind(config: &Config, address: SocketAddr) -> io::Result<Self> {
        let listener = listener::bind(address, connections::MAX, &config.timeouts)?;
        let address = listener.local_addr()?;
        let (token, is_random, warning) = choose_token(config)?;
        let (config, latency) = (config.clone(), Arc::default());
        Ok(Self { listener, address, config, token, is_random, warning, latency, feed: None })
    }

    /// The token, if it is a random one that the operator has to be told.
    pub(crate) fn random_token(&self) -> Option<&Token> {
        self.is_random.then_some(&self.token)
    }

    /// Where the Hub observes how long broadcasts take.
    pub(crate) fn latency(&self) -> Arc<Histogram> {
        Arc::clone(&self.latency)
    }

    /// Starts the Feed, which observes the Hub.
    pub(crate) fn start_feed(&mut self) -> Recipient<Observed> {
        let feed = Feed::new(self.config.admin.backlog).start();
        self.feed = Some(feed.clone());
        feed.recipient()
    }

    /// Starts to accept connections. `log_lost` counts the events that are not in the log.
    pub(crate) fn start(self, hub: &Addr<Hub>, log_lost: Arc<AtomicU64>) -> io::Result<Running> {
        let listener = TcpListener::from_std(self.listener)?;
        let feed = self.feed.ok_or(io::ErrorKind::NotConnected)?;
        let draining = CancellationToken::new();
        let readers = Arc::new(Semaphore::new(READERS as usize));
        let admin = Arc::new(Admin {
            checks: Checks::new(&self.config.admin, self.token),
            desk: Desk::new(hub, &feed),
            streams: Streams::new(Arc::clone(&readers), Throttle::default())?,
            latency: self.latency,
            log_lost,
            draining: draining.clone(),
            questions: Arc::new(Semaphore::new(QUESTIONS)),
            others: Arc::new(Semaphore::new(OTHERS)),
            max_line: self.config.limits.max_line,
            outbox: self.config.limits.outbox,
            reverse: self.config.server.reverse,
        });
        #[expect(clippy::disallowed_methods, reason = "the Hub answers when it has printed it")]
        hub.do_send(AdminBound { address: self.address });
        let report = reporter(hub);
        if let Some(warning) = self.warning {
            report(warning);
        }
        let router = routes::router(admin);
        let mut tasks = JoinSet::new();
        let stopped = CancellationToken::new();
        let slots = Rc::new(Slots::new(stopped.clone()));
        tasks.spawn_local(async move {
            connections::serve(listener, &slots, &router, report).await;
        });
        Ok(Running { draining, readers, _tasks: tasks, _stopped: stopped.drop_guard() })
    }
}

/// The token, whether it is random, and a warning about it.
fn choose_token(config: &Config) -> io::Result<(Token, bool, Option<String>)> {
    let admin = &config.admin;
    if let Some(token) = &admin.token {
        return Ok((token.clone(), false, None));
    }
    let Some(path) = &admin.token_file else {
        let mut random = [0; RANDOM_TOKEN];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        return Ok((text.parse().map_err(io::Error::other)?, true, None));
    };
    let file = read_token(path).map_err(io::Error::other)?;
    let warning = file.is_public.then(|| {
        format!("admin.token_file: everybody can read {}: expected mode 0600", path.display())
    });
    Ok((file.token, false, warning))
}

/// Reports problems to the operator.
fn reporter(hub: &Addr<Hub>) -> impl Fn(String) + 'static {
    let hub = hub.clone();
    move |sentence| {
        #[expect(clippy::disallowed_methods, reason = "nothing depends on this report")]
        hub.do_send(Report(sentence));
    }
}

/// The admin side while it runs. Dropping it closes its port.
pub(crate) struct Running {
    draining: CancellationToken,
    readers: Arc<Semaphore>,
    _tasks: JoinSet<()>,
    /// Closes the connections.
    _stopped: DropGuard,
}

impl Running {
    /// The hub stops: further requests are refused.
    pub(crate) fn drain(&self) {
        self.draining.cancel();
    }

    /// Waits until the readers of events have got the last one, for a short time.
    pub(crate) async fn finish(self) {
        let _ = timeout(LAST_EVENTS, self.readers.acquire_many(READERS)).await;
    }
}

#[cfg(test)]
mod tests;
