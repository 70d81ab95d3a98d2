//! The Hub: owns the registry of sessions, relays between them and the operator, and emits the events.
//!
//! Handles [`Register`], [`Received`] and [`Deregister`] from Sessions, [`Broadcast`] from the
//! StdinReader, `Report` from anybody, [`Bound`] and [`Drain`] from the server. Sends `Deliver`
//! and [`Close`] to Sessions, [`Print`] to the Console and [`Observed`] to observers. It never waits,
//! touches no socket and does not know a Session's type. It ends with the server.
//!
//! [`Observed`]: crate::actors::messages::Observed

mod admin;
mod desk;
mod observers;
mod print_queue;
mod settings;
mod waiting;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::SystemTime,
};

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Recipient, ResponseFuture, WrapFuture,
};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) use self::settings::Settings;
use self::{
    admin::Asking,
    observers::Observer,
    print_queue::{Ack, PrintQueue},
    waiting::WaitingClients,
};
use crate::{
    actors::messages::{
        Admission, Bound, Broadcast, Close, ConsoleGone, Deregister, Drain, Input, Observed,
        PeerKind, Print, Received, Refused, Register, SessionHandle, SessionId,
    },
    desk::{gauges::Gauges, tally::Tally},
    events::{CloseReason, DiscardReason, ServerEvent, SessionInfo},
};

/// Events that may be pending for the Console before a peer that connects has to wait for it, too.
///
/// All other events are bounded by the number of sessions. Without this limit, peers that come and go
/// while stdout is stuck would fill the memory.
const MAX_PENDING: usize = 1024;

/// Broadcasts that the Console may not have acknowledged while the next one is relayed.
///
/// Large batches are printed on another thread. Taking turns with it for each batch would cost more
/// than the relaying itself.
const MAX_UNACKED: usize = 4;

/// See the [module's documentation](self).
pub(crate) struct Hub {
    settings: Settings,
    /// In the order of arrival, which is the order in which they are served.
    sessions: BTreeMap<SessionId, Entry>,
    /// The number of sessions that are clients.
    clients: usize,
    /// Clients that wait for a slot.
    waiting: WaitingClients,
    last_id: u64,
    tally: Tally,
    since: SystemTime,
    /// The address of the listener, once it is up.
    address: Option<SocketAddr>,
    console: Recipient<Print<ServerEvent>>,
    observers: Vec<Observer>,
    /// Events that have not been sent to the Console.
    pending: PrintQueue,
    /// Whether they are about to be sent.
    print_due: bool,
    /// The Console's acknowledgements of the last broadcasts, oldest first.
    unacked_broadcasts: VecDeque<Ack>,
    /// Dropped when the Console is gone, which tells the server.
    console_alive: Option<DropGuard>,
    draining: bool,
    /// Gets the acknowledgement of the event `stopped` when the last session is gone.
    drained: Option<oneshot::Sender<Ack>>,
}

struct Entry {
    session: SessionHandle,
    /// What a broadcast does not need, elsewhere: the nodes of the registry are half empty.
    details: Box<Details>,
}

struct Details {
    info: SessionInfo,
    /// The name that the session has unless the operator names it.
    original_name: Option<Arc<str>>,
    is_client: bool,
    /// Whether it was kicked by HTTP.
    kicked_by_http: bool,
    /// Questions, while there are any.
    asking: Option<Box<Asking>>,
    since: SystemTime,
    gauges: Arc<Gauges>,
}

impl Hub {
    /// The token is cancelled when the Hub or its Console is gone.
    pub(crate) fn new(
        settings: Settings,
        console: Recipient<Print<ServerEvent>>,
        observers: Vec<Recipient<Observed>>,
    ) -> (Self, CancellationToken) {
        let console_gone = CancellationToken::new();
        let feed = settings.feed.clone().map(Observer::feed);
        let hub = Self {
            settings,
            sessions: BTreeMap::new(),
            clients: 0,
            waiting: WaitingClients::default(),
            last_id: 0,
            tally: Tally::default(),
            since: SystemTime::now(),
            address: None,
            console,
            observers: observers.into_iter().map(Observer::new).chain(feed).collect(),
            pending: PrintQueue::default(),
            print_due: false,
            unacked_broadcasts: VecDeque::new(),
            console_alive: Some(console_gone.clone().drop_guard()),
            draining: false,
            drained: None,
        };
        (hub, console_gone)
    }

    fn has_slot(&self) -> bool {
        self.clients < self.settings.max_clients
    }

    /// Adds a session to the registry.
    fn admit(&mut self, register: Register, ctx: &mut Context<Self>) -> Admission {
        let Register { peer, kind, session, gauges } = register;
        self.last_id += 1;
        let name = match &kind {
            PeerKind::Device { name: Some(name) } => Some(name.clone()),
            _ => self.settings.names.find(peer.ip()).map(|name| name.clone().into()),
        };
        let info = SessionInfo { id: self.last_id, name: name.clone(), peer };
        let (id, is_client) = (SessionId(self.last_id), kind == PeerKind::Client);
        self.clients += usize::from(is_client);
        self.tally.admitted += u64::from(is_client);
        self.list_for_completion(&info);
        let details = Details {
            info: info.clone(),
            original_name: name,
            is_client,
            kicked_by_http: false,
            asking: None,
            since: SystemTime::now(),
            gauges,
        };
        self.sessions.insert(id, Entry { session, details: Box::new(details) });
        let sessions = self.sessions.len();
        self.emit(ServerEvent::Connected { session: info, by_hub: !is_client, sessions }, ctx);
        Admission { id, clients: self.clients, max_clients: self.settings.max_clients }
    }

    fn reject(&mut self, register: &Register, ctx: &mut Context<Self>) -> Refused {
        self.tally.full += 1;
        self.emit(ServerEvent::Rejected { peer: register.peer }, ctx);
        Refused::Full
    }

    fn emit(&mut self, event: ServerEvent, ctx: &mut Context<Self>) {
        if self.pending.is_large() {
            self.print(ctx);
        }
        self.pending.push(event);
        if self.pending.may_print() && !self.print_due {
            self.print_due = true;
            // Sessions that are ready to run go first: their events join this batch, and their
            // deliveries do not wait until it is printed.
            let others_first = tokio::task::yield_now().into_actor(self);
            ctx.spawn(others_first.map(|(), hub, ctx| {
                hub.print_due = false;
                hub.print(ctx);
            }));
        }
    }

    /// Emits an event and returns the Console's acknowledgement of it.
    fn emit_acked(&mut self, event: ServerEvent, ctx: &mut Context<Self>) -> Ack {
        self.emit(event, ctx);
        self.pending.ack()
    }

    /// Emits lines of the operator. Resolves when the Console is at most [`MAX_UNACKED`] of them behind.
    fn emit_ahead(
        &mut self,
        event: ServerEvent,
        ctx: &mut Context<Self>,
    ) -> impl Future<Output = Result<(), ConsoleGone>> + use<> {
        let ack = self.emit_acked(event, ctx);
        self.unacked_broadcasts.push_back(ack);
        let full = self.unacked_broadcasts.len() > MAX_UNACKED;
        let oldest = if full { self.unacked_broadcasts.pop_front() } else { None };
        async {
            match oldest {
                Some(oldest) => acknowledgement(oldest).await,
                None => Ok(()),
            }
        }
    }

    /// Sends all pending events to the Console, unless that has enough to do.
    fn print(&mut self, ctx: &mut Context<Self>) {
        let Some((print, acks)) = self.pending.next() else {
            return;
        };
        self.observe(&print.0, ctx);
        let acknowledged = self.console.send(print);
        ctx.spawn(acknowledged.into_actor(self).map(|result, hub, ctx| {
            hub.pending.acknowledged();
            let result = result.unwrap_or(Err(ConsoleGone));
            if result.is_err() {
                hub.console_alive = None;
            }
            acks.resolve(result);
            if !hub.print_due {
                hub.print(ctx);
            }
        }));
    }

    /// Emits `stopped` if the Hub is draining and the last session is gone.
    fn stop_if_drained(&mut self, ctx: &mut Context<Self>) {
        if self.sessions.is_empty()
            && let Some(drained) = self.drained.take()
        {
            // The server may have stopped waiting.
            let _ = drained.send(self.emit_acked(ServerEvent::Stopped, ctx));
        }
    }
}

async fn acknowledgement(ack: Ack) -> Result<(), ConsoleGone> {
    ack.await.unwrap_or(Err(ConsoleGone))
}

impl Actor for Hub {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        // Every sender waits for a reply, which bounds the mailbox. The mailbox's own bound would only
        // cost a detour.
        ctx.set_mailbox_capacity(0);
    }
}

impl Handler<Bound> for Hub {
    type Result = ResponseFuture<Result<(), ConsoleGone>>;

    fn handle(&mut self, bound: Bound, ctx: &mut Context<Self>) -> Self::Result {
        self.address.get_or_insert(bound.address);
        let event = ServerEvent::Bound { address: bound.address };
        Box::pin(acknowledgement(self.emit_acked(event, ctx)))
    }
}

impl Handler<Register> for Hub {
    type Result = actix::Response<Result<Admission, Refused>>;

    fn handle(&mut self, register: Register, ctx: &mut Context<Self>) -> Self::Result {
        if self.draining {
            return actix::Response::reply(Err(Refused::Stopping));
        }
        let answer = if register.kind != PeerKind::Client || self.has_slot() {
            Ok(self.admit(register, ctx))
        } else if let Some(answer) = self.wait_for_slot(&register, ctx) {
            return actix::Response::fut(async { answer.await.unwrap_or(Err(Refused::Stopping)) });
        } else {
            Err(self.reject(&register, ctx))
        };
        if self.pending.len() <= MAX_PENDING {
            return actix::Response::reply(answer);
        }
        let ack = self.pending.ack();
        actix::Response::fut(async move {
            let _ = ack.await;
            answer
        })
    }
}

impl Handler<Received> for Hub {
    type Result = ResponseFuture<Result<(), ConsoleGone>>;

    fn handle(&mut self, received: Received, ctx: &mut Context<Self>) -> Self::Result {
        let Some(entry) = self.sessions.get(&received.id) else {
            // A Session sends nothing after it has deregistered.
            return Box::pin(async { Err(ConsoleGone) });
        };
        let session = entry.details.info.clone();
        let event = match received.input {
            Input::Lines(lines) => ServerEvent::Message { session, lines },
            Input::Overlong(bytes) => {
                self.tally.discarded += 1;
                ServerEvent::Discarded { session, reason: DiscardReason::TooLong, bytes }
            }
        };
        Box::pin(acknowledgement(self.emit_acked(event, ctx)))
    }
}

impl Handler<Deregister> for Hub {
    type Result = ();

    fn handle(&mut self, deregister: Deregister, ctx: &mut Context<Self>) {
        let Deregister { id, reason, unfinished } = deregister;
        let Some(Entry { details, .. }) = self.sessions.remove(&id) else {
            return;
        };
        let Details { info: session, is_client, kicked_by_http, gauges, .. } = *details;
        self.tally.add(&gauges.read());
        self.tally.count_end(reason);
        self.clients -= usize::from(is_client);
        if let Some(roster) = &self.settings.roster {
            roster.remove(session.id);
        }
        if let Some(bytes) = unfinished {
            let session = session.clone();
            let reason = match reason {
                CloseReason::Left | CloseReason::Lost => DiscardReason::ConnectionLost,
                CloseReason::Stalled
                | CloseReason::Idle
                | CloseReason::Shutdown
                | CloseReason::Kicked => DiscardReason::Unfinished,
            };
            self.tally.discarded += 1;
            self.emit(ServerEvent::Discarded { session, reason, bytes }, ctx);
        }
        let sessions = self.sessions.len();
        let by_http = kicked_by_http && reason == CloseReason::Kicked;
        self.emit(ServerEvent::Disconnected { session, reason, sessions, by_http }, ctx);
        self.admit_waiting(ctx);
        self.stop_if_drained(ctx);
    }
}

impl Handler<Broadcast> for Hub {
    type Result = ResponseFuture<Result<(), ConsoleGone>>;

    fn handle(&mut self, broadcast: Broadcast, ctx: &mut Context<Self>) -> Self::Result {
        Box::pin(self.broadcast(broadcast.lines, broadcast.read, false, ctx))
    }
}

impl Handler<Drain> for Hub {
    type Result = ResponseFuture<Result<(), ConsoleGone>>;

    fn handle(&mut self, drain: Drain, ctx: &mut Context<Self>) -> Self::Result {
        self.draining = true;
        self.refuse_all_waiting(ctx);
        let output_alive = self.console_alive.is_some();
        let (reason, deadline) = (CloseReason::Shutdown, drain.deadline);
        let close = Close { reason, deadline, output_alive };
        for entry in self.sessions.values() {
            #[expect(clippy::disallowed_methods, reason = "a Session that is gone need not close")]
            entry.session.close.do_send(close);
        }
        let (drained, is_drained) = oneshot::channel();
        self.drained = Some(drained);
        self.stop_if_drained(ctx);
        Box::pin(async {
            match is_drained.await {
                Ok(stopped) => acknowledgement(stopped).await,
                Err(_) => Err(ConsoleGone),
            }
        })
    }
}

#[cfg(test)]
mod tests;
