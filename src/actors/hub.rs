//! The Hub: owns the registry of sessions, relays between them and the operator, and says what
//! happens.
//!
//! Takes [`Register`], [`Received`] and [`Deregister`] from Sessions, [`Broadcast`]
//! from the StdinReader, [`Report`] from anybody, [`Bound`] and [`Drain`] from the server. Sends
//! [`Deliver`] and [`Close`] to Sessions and [`Print`] to the Console. It never waits, touches no
//! socket and does not know what a Session is. It ends with the server.

mod print_queue;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
};

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Recipient, ResponseFuture, WrapFuture,
};
use tokio::sync::oneshot;

use self::print_queue::{PrintQueue, Taken};
use crate::{
    actors::messages::{
        Admission, Bound, Broadcast, Close, ConsoleGone, Deliver, Deregister, Drain, Print,
        Receipt, Received, Refused, Register, Report, SessionHandle, SessionId,
    },
    events::Event,
    wire::lines::Decoded,
};

/// Events that may wait for the Console before a peer that connects has to wait for it, too.
///
/// All other events are bounded by the sessions there are; without this, peers that come and go
/// while stdout is stuck would fill the memory.
const EVENTS: usize = 1024;

/// Broadcasts that may wait for the Console while the next one is relayed.
///
/// Large batches are printed on another thread: taking turns with it for each would cost more than
/// the relaying itself.
const ECHOES: usize = 4;

/// See the [module's documentation](self).
pub struct Hub {
    max_sessions: usize,
    /// In the order of arrival, which is the order in which they are served.
    sessions: BTreeMap<SessionId, Entry>,
    next_id: u64,
    console: Recipient<Print>,
    /// What happened and has not been sent to the Console.
    unsaid: PrintQueue,
    /// Whether it is about to be sent.
    print_due: bool,
    /// The last broadcasts, oldest first: whether the Console has taken them.
    echoes: VecDeque<Taken>,
    /// Dropped when the Console is gone: tells the server.
    console_alive: Option<oneshot::Sender<()>>,
    draining: bool,
    /// Dropped when the last session is gone: tells who drains.
    drained: Option<oneshot::Sender<()>>,
}

struct Entry {
    peer: SocketAddr,
    session: SessionHandle,
}

impl Hub {
    /// A Hub with places for `max_sessions` sessions. The receiver that it comes with fails when
    /// the Hub or its Console is gone.
    pub fn new(max_sessions: usize, console: Recipient<Print>) -> (Self, oneshot::Receiver<()>) {
        let (alive, gone) = oneshot::channel();
        let hub = Self {
            max_sessions,
            sessions: BTreeMap::new(),
            next_id: 0,
            console,
            unsaid: PrintQueue::default(),
            print_due: false,
            echoes: VecDeque::new(),
            console_alive: Some(alive),
            draining: false,
            drained: None,
        };
        (hub, gone)
    }

    fn admit(&mut self, register: Register, ctx: &mut Context<Self>) -> Result<Admission, Refused> {
        let Register { peer, session } = register;
        if self.draining {
            return Err(Refused::Stopping);
        }
        if self.sessions.len() >= self.max_sessions {
            self.say(Event::Rejected { peer }, ctx);
            return Err(Refused::Full);
        }
        let id = SessionId(self.next_id);
        self.next_id += 1;
        self.sessions.insert(id, Entry { peer, session });
        let sessions = self.sessions.len();
        self.say(Event::Connected { peer, sessions }, ctx);
        Ok(Admission { id, sessions, max_sessions: self.max_sessions })
    }

    /// Says that something happened.
    fn say(&mut self, event: Event, ctx: &mut Context<Self>) {
        if self.unsaid.is_large() {
            self.print(ctx);
        }
        self.unsaid.push(event);
        if self.unsaid.may_print() && !self.print_due {
            self.print_due = true;
            // Sessions that are about to run go first: what they have to say goes with it, and
            // what they have to deliver does not wait for it to be printed.
            let others_first = tokio::task::yield_now().into_actor(self);
            ctx.spawn(others_first.map(|(), hub, ctx| {
                hub.print_due = false;
                hub.print(ctx);
            }));
        }
    }

    /// Says that something happened, and tells when that has been taken.
    fn say_and_tell(&mut self, event: Event, ctx: &mut Context<Self>) -> Taken {
        self.say(event, ctx);
        self.unsaid.taken()
    }

    /// Sends all that has happened to the Console, unless that has enough to do.
    fn print(&mut self, ctx: &mut Context<Self>) {
        let Some((print, takers)) = self.unsaid.next() else {
            return;
        };
        let taken = self.console.send(print);
        ctx.spawn(taken.into_actor(self).map(|taken, hub, ctx| {
            hub.unsaid.printed();
            let taken = taken.unwrap_or(Err(ConsoleGone));
            if taken.is_err() {
                hub.console_alive = None;
            }
            takers.tell(taken);
            if !hub.print_due {
                hub.print(ctx);
            }
        }));
    }
}

async fn answer(taken: Taken) -> Result<(), ConsoleGone> {
    taken.await.unwrap_or(Err(ConsoleGone))
}

impl Actor for Hub {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        // Everybody who sends waits for a reply: that bounds the mailbox. Its own bound would
        // only cost a detour.
        ctx.set_mailbox_capacity(0);
    }
}

impl Handler<Bound> for Hub {
    type Result = ResponseFuture<Result<(), ConsoleGone>>;

    fn handle(&mut self, bound: Bound, ctx: &mut Context<Self>) -> Self::Result {
        Box::pin(answer(self.say_and_tell(Event::Bound { address: bound.address }, ctx)))
    }
}

impl Handler<Register> for Hub {
    type Result = actix::Response<Result<Admission, Refused>>;

    fn handle(&mut self, register: Register, ctx: &mut Context<Self>) -> Self::Result {
        let admission = self.admit(register, ctx);
        if self.unsaid.len() <= EVENTS {
            return actix::Response::reply(admission);
        }
        let taken = self.unsaid.taken();
        actix::Response::fut(async move {
            let _ = answer(taken).await;
            admission
        })
    }
}

impl Handler<Received> for Hub {
    type Result = ResponseFuture<Result<(), ConsoleGone>>;

    fn handle(&mut self, received: Received, ctx: &mut Context<Self>) -> Self::Result {
        let peer = received.peer;
        let event = match received.input {
            Decoded::Lines(lines) => Event::Message { peer, lines },
            Decoded::Discarded(bytes) => Event::Discarded { peer, bytes },
        };
        Box::pin(answer(self.say_and_tell(event, ctx)))
    }
}

impl Handler<Deregister> for Hub {
    type Result = ();

    fn handle(&mut self, deregister: Deregister, ctx: &mut Context<Self>) {
        let Deregister { id, reason } = deregister;
        let Some(Entry { peer, .. }) = self.sessions.remove(&id) else {
            return;
        };
        let sessions = self.sessions.len();
        self.say(Event::Disconnected { peer, reason, sessions }, ctx);
        if sessions == 0 {
            self.drained = None;
        }
    }
}

impl Handler<Broadcast> for Hub {
    type Result = ResponseFuture<Result<(), ConsoleGone>>;

    fn handle(&mut self, Broadcast(lines): Broadcast, ctx: &mut Context<Self>) -> Self::Result {
        let (receipt, all_taken) = Receipt::new();
        for entry in self.sessions.values() {
            let deliver = Deliver { lines: lines.clone(), receipt: receipt.clone() };
            #[expect(
                clippy::disallowed_methods,
                reason = "the receipt is dropped with the message"
            )]
            entry.session.deliver.do_send(deliver);
        }
        drop(receipt);
        let sessions = self.sessions.len();
        let echo = self.say_and_tell(Event::Broadcast { lines, sessions }, ctx);
        self.echoes.push_back(echo);
        let full = self.echoes.len() > ECHOES;
        let oldest = if full { self.echoes.pop_front() } else { None };
        Box::pin(async {
            // Fails when the last session has dropped it: that is the signal.
            let _ = all_taken.await;
            match oldest {
                Some(oldest) => answer(oldest).await,
                None => Ok(()),
            }
        })
    }
}

impl Handler<Report> for Hub {
    type Result = ResponseFuture<Result<(), ConsoleGone>>;

    fn handle(&mut self, Report(sentence): Report, ctx: &mut Context<Self>) -> Self::Result {
        Box::pin(answer(self.say_and_tell(Event::Problem(sentence), ctx)))
    }
}

impl Handler<Drain> for Hub {
    type Result = ResponseFuture<Result<(), ConsoleGone>>;

    fn handle(&mut self, drain: Drain, ctx: &mut Context<Self>) -> Self::Result {
        self.draining = true;
        let (last_gone, gone) = oneshot::channel();
        self.drained = (!self.sessions.is_empty()).then_some(last_gone);
        for entry in self.sessions.values() {
            let taking = self.console_alive.is_some();
            let close = Close { deadline: drain.deadline, taking };
            #[expect(clippy::disallowed_methods, reason = "a Session that is gone need not close")]
            entry.session.close.do_send(close);
        }
        let hub = ctx.address();
        Box::pin(async move {
            // Fails when the sender is dropped: that is the signal.
            let _ = gone.await;
            hub.send(Stopped).await.unwrap_or(Err(ConsoleGone))
        })
    }
}

/// Hub → itself: the last session is gone.
struct Stopped;

impl actix::Message for Stopped {
    type Result = Result<(), ConsoleGone>;
}

impl Handler<Stopped> for Hub {
    type Result = ResponseFuture<Result<(), ConsoleGone>>;

    fn handle(&mut self, _: Stopped, ctx: &mut Context<Self>) -> Self::Result {
        Box::pin(answer(self.say_and_tell(Event::Stopped, ctx)))
    }
}

#[cfg(test)]
mod tests;
