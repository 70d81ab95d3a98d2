//! Events: everything that happens in either program, and how it reads.
//!
//! The server's and the client's events are two types. Every renderer matches its type exhaustively,
//! so adding an event without printing it does not compile.

mod color;
pub(crate) mod escape;
pub(crate) mod json;
pub(crate) mod log;
mod progress;
mod quiet;
mod render;
pub(crate) mod time;
mod transcript;
pub(crate) mod wording;

use std::{
    fmt::{self, Display, Formatter},
    net::SocketAddr,
    sync::Arc,
    time::SystemTime,
};

pub use self::{
    color::Colors,
    json::Json,
    progress::Progress,
    quiet::Responses,
    render::{Page, Render},
    transcript::{CLIENT_PROMPT, ClientTranscript, SERVER_PROMPT, ServerTranscript},
};

use crate::{address::Zoned, wire::lines::Lines};

/// Something that happened in the server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// The server listens at `address`.
    Bound {
        /// The address, with the actual port.
        address: SocketAddr,
    },
    /// The web console and the HTTP API are served at `address`.
    Admin {
        /// The address, with the actual port.
        address: SocketAddr,
    },
    /// A client was admitted, or the hub has connected to a device.
    Connected {
        /// The new session.
        session: SessionInfo,
        /// Whether the hub opened the connection.
        by_hub: bool,
        /// The number of sessions now, including this one.
        sessions: usize,
    },
    /// A client was refused because the hub is full.
    Rejected {
        /// The remote end.
        peer: SocketAddr,
    },
    /// A client sent lines. They are reversed already.
    Message {
        /// The session that received them.
        session: SessionInfo,
        /// In JSON, each line is an event of its own.
        lines: Lines,
    },
    /// A line of a client was discarded.
    Discarded {
        /// The session that received it.
        session: SessionInfo,
        /// Why it was discarded.
        reason: DiscardReason,
        /// The length of what was received of the line, without its end.
        bytes: usize,
    },
    /// The operator's lines went to all sessions.
    Broadcast {
        /// In JSON, each line is an event of its own.
        lines: Lines,
        /// The number of sessions that they went to.
        sessions: usize,
        /// Whether they came by HTTP.
        by_http: bool,
    },
    /// The operator's lines went to one session.
    Told {
        /// The session.
        session: SessionInfo,
        /// In JSON, each line is an event of its own.
        lines: Lines,
        /// Whether they came by HTTP.
        by_http: bool,
    },
    /// The answer to a command of the operator: whole lines. It is no event in JSON.
    Listing(String),
    /// A session ended.
    Disconnected {
        /// The session.
        session: SessionInfo,
        /// Why the session ended.
        reason: CloseReason,
        /// The number of sessions that remain.
        sessions: usize,
        /// Whether it was kicked by HTTP.
        by_http: bool,
    },
    /// Something went wrong that has no event of its own, in one plain sentence.
    Problem(String),
    /// The server has stopped. This is the last event.
    Stopped,
}

/// Something that happened in the client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The server admitted the client.
    Connected {
        /// The server's IP address or host name as it was typed.
        host: String,
        /// The server's port.
        port: u16,
        /// The server's address.
        server: SocketAddr,
        /// The client's own address.
        local: SocketAddr,
    },
    /// The user entered lines.
    Entered {
        /// The lines.
        lines: Lines,
    },
    /// The user's input ended.
    InputEnded,
    /// Lines were sent.
    Sent {
        /// The number of lines.
        lines: usize,
        /// Their size in bytes, line ends included.
        bytes: usize,
    },
    /// The server sent lines. They are reversed already, unless reversal is off.
    Response {
        /// In JSON, each line is an event of its own.
        lines: Lines,
    },
    /// The server refused the client.
    Rejected {
        /// The text of the server's `421` line.
        text: String,
    },
    /// Something went wrong that has no event of its own, in one plain sentence.
    Problem(String),
    /// The connection is closed. A client that reconnects may get another one.
    Closed {
        /// Why it is closed.
        reason: ClientCloseReason,
    },
    /// The client ends. This is the last event.
    Ended,
}

/// A session as the events about it name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// The session's number, from 1. It is never used again while the server runs.
    pub id: u64,
    /// The session's name, if it has one.
    pub name: Option<Arc<str>>,
    /// The address of the remote end.
    pub peer: SocketAddr,
}

/// The session as the transcript shows it: `scope 10.0.0.7:13442`.
impl Display for SessionInfo {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name} ")?;
        }
        Zoned(self.peer).fmt(f)
    }
}

/// Why a line was discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiscardReason {
    /// It is longer than `limits.max_line`.
    TooLong,
    /// The connection broke before its end.
    ConnectionLost,
    /// The hub ended the session before its end.
    Unfinished,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The client closed its sending side.
    Left,
    /// The connection broke: a reset, or no answer to keepalive probes.
    Lost,
    /// The client's outbox had no room for longer than `timeouts.stall`.
    Stalled,
    /// The client sent nothing for longer than `timeouts.idle`.
    Idle,
    /// The server is stopping.
    Shutdown,
    /// The operator ended it.
    Kicked,
}

/// Why the client's connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCloseReason {
    /// The client left, and the server had accepted all its lines.
    Left,
    /// The server closed first.
    Server,
    /// The connection broke, or the server stopped answering.
    Lost,
}

impl CloseReason {
    /// Every reason, for counters.
    pub(crate) const ALL: [Self; 6] =
        [Self::Left, Self::Lost, Self::Stalled, Self::Idle, Self::Shutdown, Self::Kicked];

    /// The word that JSON uses.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Lost => "lost",
            Self::Stalled => "stalled",
            Self::Idle => "idle",
            Self::Shutdown => "shutdown",
            Self::Kicked => "kicked",
        }
    }
}

impl DiscardReason {
    /// The words that JSON uses.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "line too long",
            Self::ConnectionLost => "connection lost",
            Self::Unfinished => "unfinished line",
        }
    }
}

impl ClientCloseReason {
    /// The word that JSON uses.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Server => "server",
            Self::Lost => "lost",
        }
    }
}

/// An event and when it happened.
#[derive(Clone, Debug)]
pub struct Stamped<E> {
    /// When it happened, by the system's clock.
    pub time: SystemTime,
    /// What happened.
    pub event: E,
}

impl<E> From<E> for Stamped<E> {
    fn from(event: E) -> Self {
        Self { time: SystemTime::now(), event }
    }
}

/// What the Console needs to know of an event, whichever program it comes from.
pub trait Event: Clone + Send + Unpin + 'static {
    /// The lines that the event carries, if it is one that carries lines.
    fn lines(&self) -> Option<&Lines>;

    /// The number of lines that it has in JSON.
    fn records(&self) -> usize;

    /// The same lines, to be replaced.
    fn lines_mut(&mut self) -> Option<&mut Lines>;

    /// The event for a problem that is described in one plain sentence.
    fn problem(sentence: String) -> Self;
}

impl ServerEvent {
    /// How many events it is in JSON: one for each line that it carries.
    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Listing(_) => 0,
            event => event.lines().map_or(1, |lines| lines.count() as u64),
        }
    }
}

impl Event for ServerEvent {
    fn lines(&self) -> Option<&Lines> {
        match self {
            Self::Message { lines, .. }
            | Self::Broadcast { lines, .. }
            | Self::Told { lines, .. } => Some(lines),
            _ => None,
        }
    }

    fn records(&self) -> usize {
        match self {
            Self::Listing(_) => 0,
            _ => self.lines().map_or(1, Lines::count),
        }
    }

    fn lines_mut(&mut self) -> Option<&mut Lines> {
        match self {
            Self::Message { lines, .. }
            | Self::Broadcast { lines, .. }
            | Self::Told { lines, .. } => Some(lines),
            _ => None,
        }
    }

    fn problem(sentence: String) -> Self {
        Self::Problem(sentence)
    }
}

impl Event for ClientEvent {
    fn lines(&self) -> Option<&Lines> {
        match self {
            Self::Entered { lines } | Self::Response { lines } => Some(lines),
            _ => None,
        }
    }

    fn records(&self) -> usize {
        match self {
            Self::Entered { .. } | Self::InputEnded => 0,
            _ => self.lines().map_or(1, Lines::count),
        }
    }

    fn lines_mut(&mut self) -> Option<&mut Lines> {
        match self {
            Self::Entered { lines } | Self::Response { lines } => Some(lines),
            _ => None,
        }
    }

    fn problem(sentence: String) -> Self {
        Self::Problem(sentence)
    }
}
