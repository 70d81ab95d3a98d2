//! Every message that crosses actors, and the handles through which actors send them.

use std::{fmt, net::SocketAddr, sync::Arc};

use actix::{Actor, Addr, Handler, Message, Recipient, dev::ToEnvelope};
use thiserror::Error;
use tokio::{sync::oneshot, time::Instant};

use crate::{
    events::{CloseReason, Stamped},
    wire::lines::{Decoded, Lines},
};

/// What the Hub calls a session. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Session → Hub: asks for a place. The Session waits for the answer before anything else.
#[derive(Debug)]
pub struct Register {
    /// The remote end.
    pub peer: SocketAddr,
    /// How to reach the Session.
    pub session: SessionHandle,
}

impl Message for Register {
    type Result = Result<Admission, Refused>;
}

/// The answer to [`Register`] when there is a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The session's name from now on.
    pub id: SessionId,
    /// Sessions there are now, this one included.
    pub sessions: usize,
    /// Sessions there may be at once.
    pub max_sessions: usize,
}

/// The answer to [`Register`] when there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// All places are taken.
    #[error("too many clients")]
    Full,
    /// The server stops; nobody is told about this one.
    #[error("the server stops")]
    Stopping,
}

/// Session → Hub: what the peer sent, its lines reversed. Answered when the Console has taken it;
/// until then the Session reads at most one batch more.
#[derive(Debug)]
pub struct Received {
    /// Whose.
    pub peer: SocketAddr,
    /// The lines, or the length of one that was too long.
    pub input: Decoded,
}

impl Message for Received {
    type Result = Result<(), ConsoleGone>;
}

/// What was sent has not reached stdout and will not: the Console is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the console is gone")]
pub struct ConsoleGone;

/// Session → Hub: gives the place back. When it is answered the place is free.
#[derive(Debug)]
pub struct Deregister {
    /// Whose.
    pub id: SessionId,
    /// Why the session ends.
    pub reason: CloseReason,
}

impl Message for Deregister {
    type Result = ();
}

/// Hub → Session: lines for the peer.
#[derive(Clone, Debug)]
pub struct Deliver {
    /// The lines.
    pub lines: Lines,
    /// Dropped when there was room for them in the outbox, or when the session takes no more: that
    /// is the answer.
    pub receipt: Receipt,
}

impl Message for Deliver {
    type Result = ();
}

/// What all [`Deliver`]s of a broadcast have in common: when the last of them has dropped it, the
/// receiver that it was made with fails. One receipt costs a thousand sessions less than a thousand
/// replies do.
#[derive(Clone, Debug)]
pub struct Receipt {
    _dropped: Arc<oneshot::Sender<()>>,
}

impl Receipt {
    /// A receipt, and what fails when its last clone is gone.
    pub fn new() -> (Self, oneshot::Receiver<()>) {
        let (sender, all_dropped) = oneshot::channel();
        (Self { _dropped: Arc::new(sender) }, all_dropped)
    }
}

/// Hub → Session: the server stops. Take what has arrived, flush, deregister.
#[derive(Clone, Copy, Debug)]
pub struct Close {
    /// When to end it, whatever is still waiting.
    pub deadline: Instant,
    /// Whether lines of the peer still reach stdout. If not, the session must not say goodbye
    /// before it knows that there are none.
    pub taking: bool,
}

impl Message for Close {
    type Result = ();
}

/// StdinReader → Hub: lines for every session. Answered when every session has taken them, and the
/// Console those of a few broadcasts before.
#[derive(Debug)]
pub struct Broadcast(pub Lines);

impl Message for Broadcast {
    type Result = Result<(), ConsoleGone>;
}

/// To the Hub from whoever met it: something went wrong that the operator should know, in one
/// plain sentence. Answered when the Console has said it.
#[derive(Debug)]
pub struct Report(pub String);

impl Message for Report {
    type Result = Result<(), ConsoleGone>;
}

/// Server → Hub: the listener is up. Answered when the Console has said so.
#[derive(Debug)]
pub struct Bound {
    /// The address, with the true port.
    pub address: SocketAddr,
}

impl Message for Bound {
    type Result = Result<(), ConsoleGone>;
}

/// Server → Hub: stop. Sessions are asked to close and nobody is admitted any more. Answered when
/// the last session is gone and the Console has written all there was.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// When the sessions end whatever is still waiting.
    pub deadline: Instant,
}

impl Message for Drain {
    type Result = Result<(), ConsoleGone>;
}

/// To the Console: what happened, in order. Answered when it has been written and flushed.
#[derive(Debug)]
pub struct Print(pub Vec<Stamped>);

impl Message for Print {
    type Result = Result<(), ConsoleGone>;
}

/// How the Hub reaches a Session, whatever its type.
#[derive(Clone)]
pub struct SessionHandle {
    /// Takes lines for the peer.
    pub deliver: Recipient<Deliver>,
    /// Takes the order to end.
    pub close: Recipient<Close>,
}

impl SessionHandle {
    /// The handle of any actor that takes a Session's messages.
    pub fn new<A>(session: Addr<A>) -> Self
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
pub struct HubHandle {
    /// Asks for a place.
    pub register: Recipient<Register>,
    /// Takes what the peer sent.
    pub received: Recipient<Received>,
    /// Takes the place back.
    pub deregister: Recipient<Deregister>,
}

impl HubHandle {
    /// The handle of any actor that takes the Hub's messages.
    pub fn new<A>(hub: Addr<A>) -> Self
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
