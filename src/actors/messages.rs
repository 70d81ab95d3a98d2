//! The messages that cross actors, and the handles through which actors send them.
//!
//! The StdinReader's own `Finish` is beside it: only the server sends it.

mod admin;

use std::{fmt, net::SocketAddr, sync::Arc};

use actix::{Actor, Addr, Handler, Message, Recipient, dev::ToEnvelope};
use thiserror::Error;
use tokio::{sync::oneshot, time::Instant};

pub(crate) use self::admin::{
    AdminBound, Answer, Ask, ByHttp, Expected, Figures, Inspect, ListAfter, Outcome, Question,
};
use crate::{
    desk::{command::Who, gauges::Gauges, names::Name, table::Row},
    events::{CloseReason, ServerEvent, Stamped},
    wire::lines::Lines,
};

/// The Hub's name for a session. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SessionId(pub u64);

/// Session → Hub: asks for a slot. The Session does nothing else before it has the answer, which can
/// take as long as a client waits for a slot.
#[derive(Debug)]
pub(crate) struct Register {
    /// The remote end.
    pub(crate) peer: SocketAddr,
    /// Which kind of peer it is.
    pub(crate) kind: PeerKind,
    /// How to reach the Session.
    pub(crate) session: SessionHandle,
    /// What the session has received and sent.
    pub(crate) gauges: Arc<Gauges>,
}

impl Message for Register {
    type Result = Result<Admission, Refused>;
}

/// Who opened the connection to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PeerKind {
    /// The peer did. It needs a slot.
    Client,
    /// The hub did. A device needs no slot.
    Device {
        /// The name that the configuration gives it.
        name: Option<Arc<str>>,
    },
}

/// The answer to [`Register`] if a slot is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admission {
    /// The session's name from now on.
    pub(crate) id: SessionId,
    /// The number of clients now, including this one.
    pub(crate) clients: usize,
    /// The limit on clients.
    pub(crate) max_clients: usize,
}

/// The answer to [`Register`] if no slot is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Refused {
    /// All slots are in use.
    #[error("too many clients")]
    Full,
    /// The server is stopping. There is no event for this refusal.
    #[error("the server is stopping")]
    Stopping,
}

/// Session → Hub: what the peer sent. Acknowledged when the Console has written it; until then the
/// Session reads at most one more batch.
#[derive(Debug)]
pub(crate) struct Received {
    /// The session that received it.
    pub(crate) id: SessionId,
    /// What it received.
    pub(crate) input: Input,
}

impl Message for Received {
    type Result = Result<(), ConsoleGone>;
}

/// What a peer sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Whole lines, reversed.
    Lines(Lines),
    /// A line that was too long and was discarded: its length in bytes, without its end.
    Overlong(usize),
}

/// What was sent will never reach stdout, because the Console is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the console is gone")]
pub(crate) struct ConsoleGone;

/// Session → Hub: gives the slot back. The slot is free when this is answered.
#[derive(Debug)]
pub(crate) struct Deregister {
    /// The session that ends.
    pub(crate) id: SessionId,
    /// Why it ends.
    pub(crate) reason: CloseReason,
    /// The length of the unfinished line that the session drops, if there is one.
    pub(crate) unfinished: Option<usize>,
}

impl Message for Deregister {
    type Result = ();
}

/// Hub → Session: lines for the peer.
#[derive(Debug)]
pub(crate) struct Deliver {
    /// The lines.
    pub(crate) lines: Lines,
    /// How many they are, counted once for all sessions.
    pub(crate) count: usize,
    /// A question that the lines ask.
    pub(crate) question: Option<Box<Question>>,
    /// The answer: the Session drops it when the outbox has accepted the lines, or when the session
    /// accepts no more.
    pub(crate) _receipt: Receipt,
}

impl Message for Deliver {
    type Result = ();
}

/// The receipt that all [`Deliver`]s of a broadcast share. When its last clone is dropped, the
/// receiver that was made with it fails. For a thousand sessions, one receipt costs less than a
/// thousand replies.
#[derive(Clone, Debug)]
pub(crate) struct Receipt {
    _dropped: Arc<oneshot::Sender<()>>,
}

impl Receipt {
    /// A receipt, and a receiver that fails when its last clone is dropped.
    pub(crate) fn new() -> (Self, oneshot::Receiver<()>) {
        let (sender, all_dropped) = oneshot::channel();
        (Self { _dropped: Arc::new(sender) }, all_dropped)
    }
}

/// Hub → Session: end. Read what has arrived, flush, deregister.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Close {
    /// Why the session ends.
    pub(crate) reason: CloseReason,
    /// When the session ends even if something is still queued.
    pub(crate) deadline: Instant,
    /// Whether the peer's lines still reach stdout. If not, the session must not close in an orderly
    /// way while there may be lines.
    pub(crate) output_alive: bool,
}

impl Message for Close {
    type Result = ();
}

/// StdinReader → Hub: lines for every session. Acknowledged when every session has accepted them
/// and the Console is at most a few broadcasts behind.
#[derive(Debug)]
pub(crate) struct Broadcast {
    /// The lines.
    pub(crate) lines: Lines,
    /// When they were read.
    pub(crate) read: Instant,
}

impl Message for Broadcast {
    type Result = Result<(), ConsoleGone>;
}

/// To the Hub: lines for one session. Acknowledged like [`Broadcast`], but waits for this session alone.
#[derive(Debug)]
pub(crate) struct Tell {
    /// The session.
    pub(crate) who: Who,
    /// The lines.
    pub(crate) lines: Lines,
}

impl Message for Tell {
    type Result = Result<(), DeskError>;
}

/// To the Hub: end a session. Answered at once; the session ends within `timeouts.stall`.
#[derive(Debug)]
pub(crate) struct Kick {
    /// The session.
    pub(crate) who: Who,
}

impl Message for Kick {
    type Result = Result<(), DeskError>;
}

/// To the Hub: name a session, or give it its original name back.
#[derive(Debug)]
pub(crate) struct Rename {
    /// The session.
    pub(crate) who: Who,
    /// The new name.
    pub(crate) name: Option<Name>,
}

impl Message for Rename {
    type Result = Result<(), DeskError>;
}

/// To the Hub: which sessions are there? Ordered by number.
#[derive(Debug)]
pub(crate) struct List;

impl Message for List {
    type Result = Vec<Row>;
}

/// To the Hub: print the answer to a command. Acknowledged when the Console has written it.
#[derive(Debug)]
pub(crate) struct Show(pub(crate) String);

impl Message for Show {
    type Result = Result<(), ConsoleGone>;
}

/// Why the Hub did not do what the operator asked for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum DeskError {
    /// No session is meant.
    #[error("there is no client {0}; /who lists them")]
    Unknown(Who),
    /// Several sessions are meant.
    #[error("several clients are called {who}: use one of the numbers {}", list(.numbers))]
    Several {
        /// The name.
        who: Who,
        /// Their numbers.
        numbers: Vec<u64>,
    },
    /// Nothing more is printed.
    #[error(transparent)]
    ConsoleGone(#[from] ConsoleGone),
}

fn list(numbers: &[u64]) -> String {
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}

/// Anybody → Hub: a problem that the operator should know about, in one plain sentence.
/// Acknowledged when the Console has written it.
#[derive(Debug)]
pub(crate) struct Report(pub String);

impl Message for Report {
    type Result = Result<(), ConsoleGone>;
}

/// Server → Hub: the listener is up. Acknowledged when the Console has written it.
#[derive(Debug)]
pub(crate) struct Bound {
    /// The address, with the actual port.
    pub(crate) address: SocketAddr,
}

impl Message for Bound {
    type Result = Result<(), ConsoleGone>;
}

/// Server → Hub: stop. The Hub admits nobody any more and asks the sessions to close. Answered when
/// the last session is gone and the Console has written everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drain {
    /// When sessions end even if something is still queued.
    pub(crate) deadline: Instant,
}

impl Message for Drain {
    type Result = Result<(), ConsoleGone>;
}

/// To the Console: events, in order. Acknowledged when they have been written and flushed.
#[derive(Debug)]
pub(crate) struct Print<E>(pub Vec<Stamped<E>>);

impl<E: 'static> Message for Print<E> {
    type Result = Result<(), ConsoleGone>;
}

/// Hub → an observer: events, in the order in which the Console gets them. The Hub sends one batch
/// at a time and does not wait for it: an observer that is still busy misses events, and the next
/// batch says how many.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The number of events that were missed before these. Each line counts as one, as in JSON.
    pub missed: u64,
    /// The events.
    pub events: Arc<[Stamped<ServerEvent>]>,
}

impl Message for Observed {
    type Result = ();
}

/// How the Hub reaches a Session, whatever its type.
#[derive(Clone)]
pub(crate) struct SessionHandle {
    /// Delivers lines to the peer.
    pub(crate) deliver: Recipient<Deliver>,
    /// Asks the session to end.
    pub(crate) close: Recipient<Close>,
}

impl SessionHandle {
    /// The handle of any actor that handles a Session's messages.
    pub(crate) fn new<A>(session: Addr<A>) -> Self
    where
        A: Actor + Handler<Deliver> + Handler<Close>,
        A::Context: ToEnvelope<A, Deliver> + ToEnvelope<A, Close>,
    {
        Self { deliver: session.clone().recipient(), close: session.recipient() }
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionHandle").finish_non_exhaustive()
    }
}

/// How a Session reaches the Hub, whatever its type.
#[derive(Clone)]
pub(crate) struct HubHandle {
    /// Asks for a slot.
    pub(crate) register: Recipient<Register>,
    /// Passes on what the peer sent.
    pub(crate) received: Recipient<Received>,
    /// Gives the slot back.
    pub(crate) deregister: Recipient<Deregister>,
}

impl HubHandle {
    /// The handle of any actor that handles the Hub's messages.
    pub(crate) fn new<A>(hub: Addr<A>) -> Self
    where
        A: Actor + Handler<Register> + Handler<Received> + Handler<Deregister>,
        A::Context: ToEnvelope<A, Register> + ToEnvelope<A, Received> + ToEnvelope<A, Deregister>,
    {
        Self {
            register: hub.clone().recipient(),
            received: hub.clone().recipient(),
            deregister: hub.recipient(),
        }
    }
}

impl fmt::Debug for HubHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubHandle").finish_non_exhaustive()
    }
}
