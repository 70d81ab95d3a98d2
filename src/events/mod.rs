//! Events: everything that happens in either program, and their form in JSON.

pub mod transcript;
pub mod wording;

use std::{io, net::SocketAddr, time::SystemTime};

use serde::Serialize;

use crate::wire::lines::Lines;

/// Something that happened. Made in one place, rendered in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The server listens at `address`.
    Bound {
        /// The address, with the true port.
        address: SocketAddr,
    },
    /// A peer was admitted.
    Connected {
        /// The remote end.
        peer: SocketAddr,
        /// Sessions there are now, this one included.
        sessions: usize,
    },
    /// A peer was refused.
    Rejected {
        /// The remote end.
        peer: SocketAddr,
    },
    /// A peer sent lines; they are reversed already.
    Message {
        /// The remote end.
        peer: SocketAddr,
        /// One event in JSON for each.
        lines: Lines,
    },
    /// A line that a peer sent was too long.
    Discarded {
        /// The remote end.
        peer: SocketAddr,
        /// The line's length, its end not counted.
        bytes: usize,
    },
    /// The operator's lines went to all sessions.
    Broadcast {
        /// One event in JSON for each.
        lines: Lines,
        /// How many sessions they went to.
        sessions: usize,
    },
    /// A session ended.
    Disconnected {
        /// The remote end.
        peer: SocketAddr,
        /// Why it ended.
        reason: CloseReason,
        /// Sessions there are still.
        sessions: usize,
    },
    /// The server has stopped. Nothing comes after it.
    Stopped,
    /// The client was admitted by the server.
    Greeted {
        /// The server's IP address or host name as it was typed.
        host: String,
        /// The server's port.
        port: u16,
        /// The server's address.
        server: SocketAddr,
    },
    /// The client's user entered lines.
    Entered {
        /// The lines.
        lines: Lines,
    },
    /// The client's user will enter no more.
    InputEnded,
    /// The server sent lines; they are reversed already.
    Response {
        /// One event in JSON for each.
        lines: Lines,
    },
    /// The server refused the client.
    Refused,
    /// The client's connection is closed.
    Closed {
        /// Why.
        reason: ClosedBy,
    },
    /// Something went wrong that has no event of its own: one plain sentence.
    Problem(String),
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The peer closed its sending side.
    Left,
    /// The connection broke: reset, or no answer to keepalive probes.
    Lost,
    /// The peer's outbox had no room for longer than `timeouts.stall`.
    Stalled,
    /// The peer sent nothing for longer than `timeouts.idle`.
    Idle,
    /// The server stops.
    Shutdown,
}

/// Why the client's connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedBy {
    /// The client left, and the server had taken all its lines.
    Left,
    /// The server closed first.
    Server,
    /// The connection broke, or the server no longer answered.
    Lost,
}

impl CloseReason {
    fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Lost => "lost",
            Self::Stalled => "stalled",
            Self::Idle => "idle",
            Self::Shutdown => "shutdown",
        }
    }
}

impl ClosedBy {
    fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Server => "server",
            Self::Lost => "lost",
        }
    }
}

/// An event and when it happened.
#[derive(Clone, Debug)]
pub struct Stamped {
    /// When, by the system's clock.
    pub time: SystemTime,
    /// What.
    pub event: Event,
}

impl From<Event> for Stamped {
    fn from(event: Event) -> Self {
        Self { time: SystemTime::now(), event }
    }
}

/// Writes the event to `out` in JSON (SPEC: one object a line), if it has such a form.
///
/// The time is UTC in the format of RFC 3339 with microseconds.
pub fn write_json(stamped: &Stamped, out: &mut Vec<u8>) -> io::Result<()> {
    let time = humantime::format_rfc3339_micros(stamped.time).to_string();
    let record = |event| Record { time: &time, event, ..Record::default() };
    let (record, lines) = match &stamped.event {
        Event::Bound { address } => (Record { address: Some(*address), ..record("bound") }, None),
        Event::Connected { peer, sessions } => {
            let sessions = Some(*sessions);
            (Record { peer: Some(*peer), sessions, ..record("connected") }, None)
        }
        Event::Rejected { peer } => {
            let reason = Some(TOO_MANY_CLIENTS);
            (Record { peer: Some(*peer), reason, ..record("rejected") }, None)
        }
        Event::Message { peer, lines } => {
            (Record { peer: Some(*peer), ..record("message") }, Some(lines))
        }
        Event::Discarded { peer, bytes } => {
            let (reason, bytes) = (Some("line too long"), Some(*bytes));
            (Record { peer: Some(*peer), reason, bytes, ..record("discarded") }, None)
        }
        Event::Broadcast { lines, sessions } => {
            (Record { sessions: Some(*sessions), ..record("broadcast") }, Some(lines))
        }
        Event::Disconnected { peer, reason, sessions } => {
            let (reason, sessions) = (Some(reason.as_str()), Some(*sessions));
            (Record { peer: Some(*peer), reason, sessions, ..record("disconnected") }, None)
        }
        Event::Stopped => (record("stopped"), None),
        Event::Greeted { server, .. } => {
            (Record { server: Some(*server), ..record("connected") }, None)
        }
        Event::Response { lines } => (record("response"), Some(lines)),
        Event::Refused => (Record { reason: Some(TOO_MANY_CLIENTS), ..record("rejected") }, None),
        Event::Closed { reason } => {
            (Record { reason: Some(reason.as_str()), ..record("closed") }, None)
        }
        Event::Entered { .. } | Event::InputEnded | Event::Problem(_) => return Ok(()),
    };
    match lines {
        None => write_record(&record, out)?,
        Some(lines) => {
            for line in lines.iter() {
                let text = String::from_utf8_lossy(line);
                write_record(&Record { text: Some(&text), ..record }, out)?;
            }
        }
    }
    Ok(())
}

/// Why a peer is refused, in the words of SPEC section 4.
pub const TOO_MANY_CLIENTS: &str = "too many clients";

/// One line of JSON, with the keys of all events in the order in which they appear.
#[derive(Clone, Copy, Default, Serialize)]
struct Record<'a> {
    time: &'a str,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions: Option<usize>,
}

fn write_record(record: &Record<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    serde_json::to_writer(&mut *out, record)?;
    out.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn json(event: Event) -> String {
        let time = UNIX_EPOCH + Duration::from_micros(1_767_323_045_678_901);
        let mut out = Vec::new();
        write_json(&Stamped { time, event }, &mut out).unwrap();
        String::from_utf8(out).unwrap().replace("\"time\":\"2026-01-02T03:04:05.678901Z\",", "")
    }

    fn peer() -> SocketAddr {
        "127.0.0.1:13442".parse().unwrap()
    }

    #[test]
    fn every_event_has_the_form_that_is_promised() {
        let lines = Lines::one("tac \"ocat\"\u{1b}");
        for (event, expected) in [
            (Event::Bound { address: peer() }, r#"{"event":"bound","address":"127.0.0.1:13442"}"#),
            (
                Event::Connected { peer: peer(), sessions: 1 },
                r#"{"event":"connected","peer":"127.0.0.1:13442","sessions":1}"#,
            ),
            (
                Event::Rejected { peer: peer() },
                r#"{"event":"rejected","peer":"127.0.0.1:13442","reason":"too many clients"}"#,
            ),
            (
                Event::Message { peer: peer(), lines: lines.clone() },
                r#"{"event":"message","peer":"127.0.0.1:13442","text":"tac \"ocat\"\u001b"}"#,
            ),
            (
                Event::Discarded { peer: peer(), bytes: 70000 },
                r#"{"event":"discarded","peer":"127.0.0.1:13442","reason":"line too long","bytes":70000}"#,
            ),
            (
                Event::Broadcast { lines: Lines::one("I have 3 clients"), sessions: 3 },
                r#"{"event":"broadcast","text":"I have 3 clients","sessions":3}"#,
            ),
            (
                Event::Disconnected { peer: peer(), reason: CloseReason::Left, sessions: 2 },
                r#"{"event":"disconnected","peer":"127.0.0.1:13442","reason":"left","sessions":2}"#,
            ),
            (Event::Stopped, r#"{"event":"stopped"}"#),
            (Event::Refused, r#"{"event":"rejected","reason":"too many clients"}"#),
            (Event::Closed { reason: ClosedBy::Server }, r#"{"event":"closed","reason":"server"}"#),
        ] {
            assert_eq!(json(event), format!("{expected}\n"));
        }
    }

    #[test]
    fn a_batch_is_an_event_for_each_line() {
        let event = Event::Response { lines: Lines::one("a\n\nb") };
        assert_eq!(
            json(event),
            "{\"event\":\"response\",\"text\":\"a\"}\n\
             {\"event\":\"response\",\"text\":\"\"}\n\
             {\"event\":\"response\",\"text\":\"b\"}\n"
        );
    }

    #[test]
    fn what_has_no_event_is_not_written() {
        assert_eq!(json(Event::Problem("out of descriptors".to_owned())), "");
    }
}
