//! The messages of the admin side: the operator's orders by HTTP, questions, and what the Hub shows.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use actix::Message;
use tokio::sync::oneshot;

use super::{Broadcast, ConsoleGone, DeskError, Kick, SessionId, Tell};
use crate::{
    desk::{table::Row, tally::Tally},
    wire::lines::Lines,
};

/// An order that came by HTTP. It is carried out like the operator's own, and its event says so.
#[derive(Debug)]
pub(crate) struct ByHttp<M>(pub(crate) M);

impl Message for ByHttp<Broadcast> {
    /// The number of sessions that the lines went to.
    type Result = Result<usize, ConsoleGone>;
}

impl Message for ByHttp<Tell> {
    type Result = Result<(), DeskError>;
}

impl Message for ByHttp<Kick> {
    type Result = Result<(), DeskError>;
}

/// To the Hub: send lines to one session and pass on the lines that it answers. Questions to one
/// session take turns. Acknowledged at once; the answer comes by itself.
#[derive(Debug)]
pub(crate) struct Ask {
    /// The session.
    pub(crate) id: SessionId,
    /// The question.
    pub(crate) lines: Lines,
    /// What is expected.
    pub(crate) expected: Expected,
    /// Gets the answer. It is dropped if the session ends before the question's turn.
    pub(crate) answer: oneshot::Sender<Answer>,
}

impl Message for Ask {
    type Result = Result<(), DeskError>;
}

/// What the asker of a question expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    /// How many lines make up the answer.
    pub(crate) lines: usize,
    /// How long they may take.
    pub(crate) timeout: Duration,
}

/// A question, on its way to the Session together with its lines.
#[derive(Debug)]
pub(crate) struct Question {
    /// What is expected.
    pub(crate) expected: Expected,
    /// Gets the answer.
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// What a session has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// The lines as the peer sent them, each ended by LF.
    pub(crate) text: Vec<u8>,
}

impl Answer {
    /// Nothing was answered, because the session ended.
    pub(crate) fn ended() -> Self {
        Self { outcome: Outcome::Ended, text: Vec::new() }
    }
}

/// How a question ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All lines have come.
    Complete,
    /// The time ran out.
    TimedOut,
    /// The session ended.
    Ended,
}

/// To the Hub: the sessions after this number, at most `most` of them, ordered by number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListAfter {
    pub(crate) after: u64,
    pub(crate) most: usize,
}

impl Message for ListAfter {
    type Result = Vec<Row>;
}

/// To the Hub: the figures of the whole server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inspect;

impl Message for Inspect {
    type Result = Figures;
}

/// The figures of the whole server at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    /// The address of the listener, once it is up.
    pub(crate) address: Option<SocketAddr>,
    /// When the server started.
    pub(crate) since: SystemTime,
    /// The number of sessions.
    pub(crate) sessions: usize,
    /// The number of those that are clients.
    pub(crate) clients: usize,
    /// The limit on clients.
    pub(crate) max_clients: usize,
    /// Bytes that are queued for all sessions.
    pub(crate) queued: u64,
    /// Sessions whose outbox has no room for a line.
    pub(crate) stalled: usize,
    /// What has been counted since the start.
    pub(crate) tally: Tally,
}

/// Server → Hub: the admin side is up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdminBound {
    pub(crate) address: SocketAddr,
}

impl Message for AdminBound {
    type Result = ();
}
