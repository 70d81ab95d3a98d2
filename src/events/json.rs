//! The JSON form: one object per line on stdout. docs/events.md describes every event and field.

use std::{io, net::SocketAddr};

use serde::Serialize;

use super::{
    ClientEvent, ServerEvent, Stamped,
    render::{Page, Render, push_report},
    time::rfc3339_micros,
};
use crate::wire::{greeting::TOO_MANY_CLIENTS, lines::Lines};

/// Writes events as JSON to stdout, and what has no event of its own as a sentence to stderr.
#[derive(Debug)]
pub struct Json {
    /// The name that a line on stderr begins with.
    pub program: &'static str,
}

impl Render<ServerEvent> for Json {
    fn render(&mut self, stamped: &Stamped<ServerEvent>, page: &mut Page) {
        if let ServerEvent::Problem(sentence) = &stamped.event {
            push_report(self.program, &mut page.err, format_args!("{sentence}"));
        }
        let time = rfc3339_micros(stamped.time);
        if let Some((record, lines)) = server_record(&time, &stamped.event) {
            push_records(&record, lines, &mut page.out);
        }
    }
}

impl Render<ClientEvent> for Json {
    fn render(&mut self, stamped: &Stamped<ClientEvent>, page: &mut Page) {
        if let ClientEvent::Problem(sentence) = &stamped.event {
            push_report(self.program, &mut page.err, format_args!("{sentence}"));
        }
        let time = rfc3339_micros(stamped.time);
        if let Some((record, lines)) = client_record(&time, &stamped.event) {
            push_records(&record, lines, &mut page.out);
        }
    }
}

/// The keys of all events, in the order in which they appear.
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

/// The record of an event. If it carries lines, each line is a record with its text.
fn server_record<'a>(
    time: &'a str,
    event: &'a ServerEvent,
) -> Option<(Record<'a>, Option<&'a Lines>)> {
    let record = |event| Record { time, event, ..Record::default() };
    Some(match event {
        ServerEvent::Bound { address } => {
            (Record { address: Some(*address), ..record("bound") }, None)
        }
        ServerEvent::Connected { peer, sessions } => {
            let (peer, sessions) = (Some(*peer), Some(*sessions));
            (Record { peer, sessions, ..record("connected") }, None)
        }
        ServerEvent::Rejected { peer } => {
            let (peer, reason) = (Some(*peer), Some(TOO_MANY_CLIENTS));
            (Record { peer, reason, ..record("rejected") }, None)
        }
        ServerEvent::Message { peer, lines } => {
            (Record { peer: Some(*peer), ..record("message") }, Some(lines))
        }
        ServerEvent::Discarded { peer, bytes } => {
            let (peer, reason, bytes) = (Some(*peer), Some("line too long"), Some(*bytes));
            (Record { peer, reason, bytes, ..record("discarded") }, None)
        }
        ServerEvent::Broadcast { lines, sessions } => {
            (Record { sessions: Some(*sessions), ..record("broadcast") }, Some(lines))
        }
        ServerEvent::Disconnected { peer, reason, sessions } => {
            let (peer, reason) = (Some(*peer), Some(reason.as_str()));
            let sessions = Some(*sessions);
            (Record { peer, reason, sessions, ..record("disconnected") }, None)
        }
        ServerEvent::Stopped => (record("stopped"), None),
        ServerEvent::Problem(_) => return None,
    })
}

/// The same for an event of the client.
fn client_record<'a>(
    time: &'a str,
    event: &'a ClientEvent,
) -> Option<(Record<'a>, Option<&'a Lines>)> {
    let record = |event| Record { time, event, ..Record::default() };
    Some(match event {
        ClientEvent::Connected { server, .. } => {
            (Record { server: Some(*server), ..record("connected") }, None)
        }
        ClientEvent::Response { lines } => (record("response"), Some(lines)),
        ClientEvent::Rejected => {
            (Record { reason: Some(TOO_MANY_CLIENTS), ..record("rejected") }, None)
        }
        ClientEvent::Closed { reason } => {
            (Record { reason: Some(reason.as_str()), ..record("closed") }, None)
        }
        ClientEvent::Entered { .. } | ClientEvent::InputEnded | ClientEvent::Problem(_) => {
            return None;
        }
    })
}

fn push_records(record: &Record<'_>, lines: Option<&Lines>, out: &mut Vec<u8>) {
    let mut push = |record: &Record<'_>| {
        // Writing to memory does not fail, and every record can be written as JSON.
        let _: io::Result<()> = serde_json::to_writer(&mut *out, record).map_err(io::Error::from);
        out.push(b'\n');
    };
    match lines {
        None => push(record),
        Some(lines) => {
            for line in lines.iter() {
                let text = String::from_utf8_lossy(line);
                push(&Record { text: Some(&text), ..*record });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::events::{ClientCloseReason, CloseReason};

    fn json<E>(event: E) -> String
    where
        Json: Render<E>,
    {
        let time = UNIX_EPOCH + Duration::from_micros(1_767_323_045_678_901);
        let mut page = Page::default();
        Json { program: "test" }.render(&Stamped { time, event }, &mut page);
        let out = String::from_utf8(page.out).unwrap();
        out.replace("\"time\":\"2026-01-02T03:04:05.678901Z\",", "")
    }

    fn peer() -> SocketAddr {
        "127.0.0.1:13442".parse().unwrap()
    }

    #[test]
    fn every_server_event_has_its_documented_form() {
        let lines = Lines::one("tac \"ocat\"\u{1b}");
        for (event, expected) in [
            (
                ServerEvent::Bound { address: peer() },
                r#"{"event":"bound","address":"127.0.0.1:13442"}"#,
            ),
            (
                ServerEvent::Connected { peer: peer(), sessions: 1 },
                r#"{"event":"connected","peer":"127.0.0.1:13442","sessions":1}"#,
            ),
            (
                ServerEvent::Rejected { peer: peer() },
                r#"{"event":"rejected","peer":"127.0.0.1:13442","reason":"too many clients"}"#,
            ),
            (
                ServerEvent::Message { peer: peer(), lines: lines.clone() },
                r#"{"event":"message","peer":"127.0.0.1:13442","text":"tac \"ocat\"\u001b"}"#,
            ),
            (
                ServerEvent::Discarded { peer: peer(), bytes: 70000 },
                r#"{"event":"discarded","peer":"127.0.0.1:13442","reason":"line too long","bytes":70000}"#,
            ),
            (
                ServerEvent::Broadcast { lines: Lines::one("I have 3 clients"), sessions: 3 },
                r#"{"event":"broadcast","text":"I have 3 clients","sessions":3}"#,
            ),
            (
                ServerEvent::Disconnected { peer: peer(), reason: CloseReason::Left, sessions: 2 },
                r#"{"event":"disconnected","peer":"127.0.0.1:13442","reason":"left","sessions":2}"#,
            ),
            (ServerEvent::Stopped, r#"{"event":"stopped"}"#),
        ] {
            assert_eq!(json(event), format!("{expected}\n"));
        }
    }

    #[test]
    fn every_client_event_has_its_documented_form() {
        for (event, expected) in [
            (ClientEvent::Rejected, r#"{"event":"rejected","reason":"too many clients"}"#),
            (
                ClientEvent::Closed { reason: ClientCloseReason::Server },
                r#"{"event":"closed","reason":"server"}"#,
            ),
        ] {
            assert_eq!(json(event), format!("{expected}\n"));
        }
    }

    #[test]
    fn each_line_of_a_batch_is_an_event() {
        let event = ClientEvent::Response { lines: Lines::one("a\n\nb") };
        assert_eq!(
            json(event),
            "{\"event\":\"response\",\"text\":\"a\"}\n\
             {\"event\":\"response\",\"text\":\"\"}\n\
             {\"event\":\"response\",\"text\":\"b\"}\n"
        );
    }

    #[test]
    fn a_problem_goes_to_stderr_only() {
        let mut page = Page::default();
        let problem = ServerEvent::Problem("out of descriptors".to_owned());
        Json { program: "hub-server" }.render(&problem.into(), &mut page);
        assert_eq!(page.out, b"");
        assert_eq!(page.err, b"hub-server: out of descriptors\n");
    }

    #[test]
    fn json_has_its_own_escapes() {
        let lines = Lines::one("\u{1b}[2J\u{202e}");
        let out = json(ServerEvent::Message { peer: peer(), lines });
        assert!(out.ends_with("\"text\":\"\\u001b[2J\u{202e}\"}\n"), "{out}");
    }
}
