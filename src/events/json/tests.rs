use std::{
    net::SocketAddr,
    time::{Duration, UNIX_EPOCH},
};

use super::*;
use crate::events::{ClientCloseReason, CloseReason, DiscardReason};

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

fn session(name: Option<&str>) -> SessionInfo {
    SessionInfo { id: 1, name: name.map(Into::into), peer: peer() }
}

#[test]
fn every_server_event_has_its_documented_form() {
    let lines = Lines::one("tac \"ocat\"\u{1b}");
    let (unnamed, named) = (session(None), session(Some("scope")));
    for (event, expected) in [
        (
            ServerEvent::Bound { address: peer() },
            r#"{"event":"bound","address":"127.0.0.1:13442"}"#,
        ),
        (
            ServerEvent::Connected { session: unnamed.clone(), by_hub: false, sessions: 1 },
            r#"{"event":"connected","id":1,"peer":"127.0.0.1:13442","sessions":1}"#,
        ),
        (
            ServerEvent::Connected { session: named.clone(), by_hub: true, sessions: 1 },
            r#"{"event":"connected","id":1,"name":"scope","peer":"127.0.0.1:13442","sessions":1,"by":"hub"}"#,
        ),
        (
            ServerEvent::Rejected { peer: peer() },
            r#"{"event":"rejected","peer":"127.0.0.1:13442","reason":"too many clients"}"#,
        ),
        (
            ServerEvent::Message { session: unnamed.clone(), lines: lines.clone() },
            r#"{"event":"message","id":1,"peer":"127.0.0.1:13442","text":"tac \"ocat\"\u001b"}"#,
        ),
        (
            ServerEvent::Message { session: named, lines: Lines::one("5") },
            r#"{"event":"message","id":1,"name":"scope","peer":"127.0.0.1:13442","text":"5"}"#,
        ),
        (
            ServerEvent::Discarded {
                session: unnamed.clone(),
                reason: DiscardReason::TooLong,
                bytes: 70000,
            },
            r#"{"event":"discarded","id":1,"peer":"127.0.0.1:13442","reason":"line too long","bytes":70000}"#,
        ),
        (
            ServerEvent::Broadcast {
                lines: Lines::one("I have 3 clients"),
                sessions: 3,
                by_http: false,
            },
            r#"{"event":"broadcast","text":"I have 3 clients","sessions":3}"#,
        ),
        (
            ServerEvent::Disconnected {
                session: unnamed,
                reason: CloseReason::Left,
                sessions: 2,
                by_http: false,
            },
            r#"{"event":"disconnected","id":1,"peer":"127.0.0.1:13442","reason":"left","sessions":2}"#,
        ),
        (
            ServerEvent::Problem("out of descriptors".to_owned()),
            r#"{"event":"problem","text":"out of descriptors"}"#,
        ),
        (
            ServerEvent::Told {
                session: session(None),
                lines: Lines::one("only for you"),
                by_http: true,
            },
            r#"{"event":"told","id":1,"peer":"127.0.0.1:13442","text":"only for you","by":"http"}"#,
        ),
        (ServerEvent::Stopped, r#"{"event":"stopped"}"#),
    ] {
        assert_eq!(json(event), format!("{expected}\n"));
    }
}

#[test]
fn every_client_event_has_its_documented_form() {
    for (event, expected) in [
        (
            ClientEvent::Connected {
                host: "localhost".to_owned(),
                port: 4444,
                server: "127.0.0.1:4444".parse().unwrap(),
                local: peer(),
            },
            r#"{"event":"connected","server":"127.0.0.1:4444","local":"127.0.0.1:13442"}"#,
        ),
        (
            ClientEvent::Rejected { text: REFUSAL.to_owned() },
            r#"{"event":"rejected","reason":"too many clients"}"#,
        ),
        (
            ClientEvent::Rejected { text: "Not allowed from this address".to_owned() },
            r#"{"event":"rejected","reason":"Not allowed from this address"}"#,
        ),
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
fn a_problem_is_also_a_sentence_on_stderr() {
    let mut page = Page::default();
    let problem = ServerEvent::Problem("out of descriptors".to_owned());
    Json { program: "hub-server" }.render(&problem.into(), &mut page);
    assert_eq!(page.err, b"hub-server: out of descriptors\n");
}

#[test]
fn json_has_its_own_escapes() {
    let lines = Lines::one("\u{1b}[2J\u{202e}");
    let out = json(ServerEvent::Message { session: session(None), lines });
    assert!(out.ends_with("\"text\":\"\\u001b[2J\u{202e}\"}\n"), "{out}");
}
