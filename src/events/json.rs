//! The JSON form: one object per line on stdout. docs/events.md describes every event and field.

use std::{io, time::SystemTime};

use memchr::{memchr3, memmem};
use serde::Serialize;

use super::{
    ClientEvent, ServerEvent, SessionInfo, Stamped,
    render::{Page, Render, push_report},
    time::rfc3339_micros,
};
use crate::{
    address::Zoned,
    wire::{
        greeting::{REFUSAL, TOO_MANY_CLIENTS},
        lines::Lines,
    },
};

/// Writes events as JSON to stdout, and problems as sentences to stderr, too.
#[derive(Debug)]
pub struct Json {
    /// The program's name, with which a line on stderr begins.
    pub program: &'static str,
}

impl Render<ServerEvent> for Json {
    fn render(&mut self, stamped: &Stamped<ServerEvent>, page: &mut Page) {
        match &stamped.event {
            ServerEvent::Problem(sentence) => {
                push_report(self.program, &mut page.err, format_args!("{sentence}"));
            }
            ServerEvent::Listing(text) => page.err.extend_from_slice(text.as_bytes()),
            _ => {}
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
    address: Option<Zoned>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<Zoned>,
    #[serde(skip_serializing_if = "Option::is_none")]
    local: Option<Zoned>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<Zoned>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'static str>,
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    place: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missed: Option<u64>,
}

impl<'a> Record<'a> {
    /// The same record, about this session.
    fn about(self, session: &'a SessionInfo) -> Self {
        let SessionInfo { id, name, peer } = session;
        Self { id: Some(*id), name: name.as_deref(), peer: Some(Zoned(*peer)), ..self }
    }
}

/// Appends the `gap` event, which replaces events that are missing from the log.
pub(super) fn push_log_gap(missed: u64, out: &mut Vec<u8>) {
    let time = rfc3339_micros(SystemTime::now());
    let (place, missed) = (Some("log"), Some(missed));
    push_records(
        &Record { time: &time, event: "gap", place, missed, ..Record::default() },
        None,
        out,
    );
}

/// The record of an event. If it carries lines, each line is a record with its text.
fn server_record<'a>(
    time: &'a str,
    event: &'a ServerEvent,
) -> Option<(Record<'a>, Option<&'a Lines>)> {
    let record = |event| Record { time, event, ..Record::default() };
    Some(match event {
        ServerEvent::Bound { address } => {
            (Record { address: Some(Zoned(*address)), ..record("bound") }, None)
        }
        ServerEvent::Admin { address } => {
            (Record { address: Some(Zoned(*address)), ..record("admin") }, None)
        }
        ServerEvent::Connected { session, by_hub, sessions } => {
            let (by, sessions) = (by_hub.then_some("hub"), Some(*sessions));
            (Record { by, sessions, ..record("connected").about(session) }, None)
        }
        ServerEvent::Rejected { peer } => {
            let (peer, reason) = (Some(Zoned(*peer)), Some(TOO_MANY_CLIENTS));
            (Record { peer, reason, ..record("rejected") }, None)
        }
        ServerEvent::Message { session, lines } => (record("message").about(session), Some(lines)),
        ServerEvent::Discarded { session, reason, bytes } => {
            let (reason, bytes) = (Some(reason.as_str()), Some(*bytes));
            (Record { reason, bytes, ..record("discarded").about(session) }, None)
        }
        ServerEvent::Broadcast { lines, sessions, by_http } => {
            let (by, sessions) = (http(*by_http), Some(*sessions));
            (Record { by, sessions, ..record("broadcast") }, Some(lines))
        }
        ServerEvent::Disconnected { session, reason, sessions, by_http } => {
            let (by, reason, sessions) = (http(*by_http), Some(reason.as_str()), Some(*sessions));
            (Record { by, reason, sessions, ..record("disconnected").about(session) }, None)
        }
        ServerEvent::Told { session, lines, by_http } => {
            (Record { by: http(*by_http), ..record("told").about(session) }, Some(lines))
        }
        // What commands print goes to stderr.
        ServerEvent::Listing(_) => return None,
        ServerEvent::Problem(text) => (Record { text: Some(text), ..record("problem") }, None),
        ServerEvent::Stopped => (record("stopped"), None),
    })
}

/// The value of `by`.
fn http(by_http: bool) -> Option<&'static str> {
    by_http.then_some("http")
}

/// The same for an event of the client.
fn client_record<'a>(
    time: &'a str,
    event: &'a ClientEvent,
) -> Option<(Record<'a>, Option<&'a Lines>)> {
    let record = |event| Record { time, event, ..Record::default() };
    Some(match event {
        ClientEvent::Connected { server, local, .. } => {
            let (server, local) = (Some(Zoned(*server)), Some(Zoned(*local)));
            (Record { server, local, ..record("connected") }, None)
        }
        ClientEvent::Response { lines } => (record("response"), Some(lines)),
        ClientEvent::Rejected { text } => {
            let reason = if text == REFUSAL { TOO_MANY_CLIENTS } else { text };
            (Record { reason: Some(reason), ..record("rejected") }, None)
        }
        ClientEvent::Closed { reason } => {
            (Record { reason: Some(reason.as_str()), ..record("closed") }, None)
        }
        ClientEvent::Problem(text) => (Record { text: Some(text), ..record("problem") }, None),
        ClientEvent::Entered { .. }
        | ClientEvent::InputEnded
        | ClientEvent::Sent { .. }
        | ClientEvent::Ended => return None,
    })
}

/// Writes the JSON of an event, one object for each line that it carries, without those that are
/// skipped. `wanted` gets the event's kind and session, and `each` the kind and the JSON; it says
/// whether to go on.
pub(crate) fn each_server_record(
    stamped: &Stamped<ServerEvent>,
    skip: usize,
    wanted: impl Fn(&'static str, Option<u64>) -> bool,
    mut each: impl FnMut(&'static str, &[u8]) -> bool,
) {
    let time = rfc3339_micros(stamped.time);
    let Some((record, lines)) = server_record(&time, &stamped.event) else { return };
    let is_wanted = wanted(record.event, record.id);
    let mut json = Vec::new();
    let mut push = |record: &Record<'_>| {
        json.clear();
        if is_wanted {
            push_json(record, &mut json);
        }
        each(record.event, &json)
    };
    let Some(lines) = lines else {
        push(&record);
        return;
    };
    for line in lines.iter().skip(skip) {
        let text = String::from_utf8_lossy(line);
        if !push(&Record { text: Some(&text), ..record }) {
            return;
        }
    }
}

/// The JSON that tells a reader of the events how many it has missed, if that is known.
pub(crate) fn feed_gap(missed: Option<u64>) -> String {
    #[derive(Serialize)]
    struct Gap<'a> {
        time: &'a str,
        event: &'static str,
        r#where: &'static str,
        missed: Option<u64>,
    }
    let time = rfc3339_micros(SystemTime::now());
    let gap = Gap { time: &time, event: "gap", r#where: "feed", missed };
    let mut json = Vec::new();
    push_json(&gap, &mut json);
    String::from_utf8_lossy(&json).into_owned()
}

fn push_json(value: &impl Serialize, out: &mut Vec<u8>) {
    // Writing to memory does not fail, and every record can be written as JSON.
    let _: io::Result<()> = serde_json::to_writer(out, value).map_err(io::Error::from);
}

fn push_records(record: &Record<'_>, lines: Option<&Lines>, out: &mut Vec<u8>) {
    match lines {
        None => {
            push_json(record, out);
            out.push(b'\n');
        }
        Some(lines) => push_record_of_each(record, lines, out),
    }
}

/// Appends the record once for each line, with the line as its text. What the records have in common is
/// written as JSON only once.
fn push_record_of_each(record: &Record<'_>, lines: &Lines, out: &mut Vec<u8>) {
    const TEXT: &[u8] = br#""text":"#;
    let mut common = Vec::new();
    push_json(&Record { text: Some(""), ..*record }, &mut common);
    // No value contains this: quotes in a value are escaped.
    let Some(at) = memmem::find(&common, br#""text":"""#) else {
        return;
    };
    let (head, rest) = common.split_at(at + TEXT.len());
    let (_empty, tail) = rest.split_at(2);
    let as_is = lines.is_plain() && memchr3(b'"', b'\\', b'\t', lines.as_bytes()).is_none();
    out.reserve(2 * lines.len());
    for line in lines.iter() {
        out.extend_from_slice(head);
        if as_is {
            out.push(b'"');
            out.extend_from_slice(line);
            out.push(b'"');
        } else {
            push_json(&String::from_utf8_lossy(line), out);
        }
        out.extend_from_slice(tail);
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests;
