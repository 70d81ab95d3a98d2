//! Why a conversation fails.

use std::{io, net::SocketAddr, time::Duration};

use humantime::format_duration;
use thiserror::Error;

use crate::{
    actors::messages::ConsoleGone,
    address::Zoned,
    events::wording::{one_line, os_error_text},
};

/// How long a leaving client waits while the server makes no progress.
pub(super) const NO_PROGRESS: Duration = Duration::from_secs(5);

/// The most characters that are quoted of what arrived instead of a greeting.
const MAX_QUOTED: usize = 80;

/// The most bytes that are needed for such a quotation.
pub(super) const MAX_SENT: usize = 4 * (MAX_QUOTED + 1);

/// Why a conversation failed.
#[derive(Debug, Error)]
pub enum ClientError {
    /// No address was found for the host name.
    #[error("cannot find the host {host}: {}", os_error_text(.source))]
    UnknownHost {
        /// The name as it was typed.
        host: String,
        /// The system's error.
        source: io::Error,
    },
    /// The connection failed.
    #[error("cannot connect to {address}: {}", os_error_text(.source))]
    Connect {
        /// The host as it was typed, and the port.
        address: String,
        /// The system's error. If the host has several addresses, it is the most informative one.
        source: io::Error,
    },
    /// No address of the host has answered in time.
    #[error("cannot connect to {address}: no answer within {}", format_duration(*.within))]
    NoAnswer {
        /// The host as it was typed, and the port.
        address: String,
        /// The time limit.
        within: Duration,
    },
    /// The other side is not a linehub server.
    #[error("{} does not greet as a linehub server does: it sent {sent}", Zoned(*.server))]
    Greeting {
        /// The server's address.
        server: SocketAddr,
        /// What arrived, in quotes, or `nothing`.
        sent: String,
    },
    /// The other side closed before it had sent a whole greeting.
    #[error("{} does not greet as a linehub server does: it sent {sent}", Zoned(*.server))]
    ClosedUngreeted {
        /// The server's address.
        server: SocketAddr,
        /// What arrived, in quotes, or `nothing`.
        sent: String,
    },
    /// The other side did not send a whole greeting in time.
    #[error(
        "{} did not greet within {}: it sent {sent}",
        Zoned(*.server),
        format_duration(*.within)
    )]
    NoGreeting {
        /// The server's address.
        server: SocketAddr,
        /// The time limit.
        within: Duration,
        /// What arrived, in quotes, or `nothing`.
        sent: String,
    },
    /// The hub refused the client. The transcript says so.
    #[error("the hub refused the client: {text}")]
    Refused {
        /// The text of the hub's refusal.
        text: String,
    },
    /// The server closed before everything was sent. The transcript says so.
    #[error("{} closed the connection", Zoned(*.server))]
    Closed {
        /// The server's address.
        server: SocketAddr,
    },
    /// The connection was lost.
    #[error("the connection to {} was lost: {}", Zoned(*.server), os_error_text(.source))]
    Lost {
        /// The server's address.
        server: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The server neither reads nor sends anything.
    #[error(
        "{} has not read all lines: no progress for {} seconds",
        Zoned(*.server),
        NO_PROGRESS.as_secs()
    )]
    Stuck {
        /// The server's address.
        server: SocketAddr,
    },
    /// The user stopped the client before its input had been sent.
    #[error("stopped before the end of the input")]
    Interrupted,
    /// The user stopped the client before the server had greeted.
    #[error("stopped before {address} greeted")]
    Unconnected {
        /// The host as it was typed, and the port.
        address: String,
    },
    /// The input ended while a client that reconnects had not reached the server yet.
    #[error("the input ended before {address} greeted")]
    NeverConnected {
        /// The host as it was typed, and the port.
        address: String,
    },
    /// Lines were sent on connections that were lost, which has been reported. All others were
    /// confirmed.
    #[error("not every line is confirmed: {lines} were sent on connections that were lost")]
    Unconfirmed {
        /// The number of those lines.
        lines: usize,
    },
    /// Some lines were too long to be sent, and have been reported. All others were confirmed.
    #[error("not every line was sent: some are longer than 1 MiB")]
    Overlong,
    /// stdin cannot be read.
    #[error("cannot read stdin: {}", os_error_text(.0))]
    Input(io::Error),
    /// The system has run out of threads or descriptors.
    #[error("cannot start: {}", os_error_text(.0))]
    Start(io::Error),
    /// The client was run outside an Actix system.
    #[error("the client needs an Actix system: run it in #[actix_rt::main] or actix_rt::System")]
    NoSystem,
    /// stdout is closed.
    #[error("cannot continue: stdout is closed")]
    ConsoleGone,
}

impl ClientError {
    /// Whether it has been printed: as an event or, if that was impossible, by the Console itself.
    /// Otherwise nothing could be printed yet.
    pub fn is_reported(&self) -> bool {
        !matches!(self, Self::Start(_) | Self::NoSystem)
    }

    /// Whether it needs an event that describes it in a sentence, because no other event does.
    pub(super) fn needs_report(&self) -> bool {
        !matches!(
            self,
            Self::Refused { .. }
                | Self::Closed { .. }
                | Self::Unconfirmed { .. }
                | Self::ConsoleGone
        )
    }
}

impl From<ConsoleGone> for ClientError {
    fn from(_: ConsoleGone) -> Self {
        Self::ConsoleGone
    }
}

/// What a server sent instead of a greeting: in quotes, escaped and shortened.
pub(super) fn quote(sent: &[u8]) -> String {
    if sent.is_empty() {
        return "nothing".to_owned();
    }
    let text = String::from_utf8_lossy(sent);
    let text = text.trim_end_matches(['\r', '\n']);
    let quoted: String = text.chars().take(MAX_QUOTED).collect();
    let more = if quoted.len() < text.len() { "…" } else { "" };
    format!("\"{}\"{more}", one_line(&quoted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrived_is_quoted_without_its_line_end() {
        assert_eq!(quote(b""), "nothing");
        assert_eq!(quote(b"220 mail ESMTP\r\n"), "\"220 mail ESMTP\"");
        assert_eq!(quote("220 é".as_bytes()), "\"220 é\"");
    }

    #[test]
    fn what_arrived_is_escaped_and_shortened() {
        assert_eq!(quote(b"a\nb\x1b[2J"), "\"a\\nb\\u{1b}[2J\"");
        assert_eq!(quote(b"\xff\x15"), "\"\u{fffd}\\u{15}\"");
        assert_eq!(quote(&[b'x'; 81]), format!("\"{}\"…", "x".repeat(80)));
        assert_eq!(quote(&[b'x'; 80]), format!("\"{}\"", "x".repeat(80)));
    }
}
