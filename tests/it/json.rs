//! The JSON format: one event per line on stdout, and nothing else.

use crate::support::{Hub, Peer, Program, client_command};

/// The event without its time. Checks the form of the time.
fn event(line: &str) -> String {
    let (head, rest) = line.split_at("{\"time\":\"2026-01-02T03:04:05.678901Z\",".len());
    let form: String = head
        .chars()
        .map(|character| if character.is_ascii_digit() { '0' } else { character })
        .collect();
    assert_eq!(form, "{\"time\":\"0000-00-00T00:00:00.000000Z\",");
    format!("{{{rest}")
}

#[track_caller]
fn assert_next(hub: &Hub, expected: &str) {
    assert_eq!(event(&hub.program.out.next()), expected);
}

#[test]
fn the_server_prints_every_event_as_json() {
    let config = "[limits]\nmax_line = 100\n";
    let mut hub = Hub::with_config(config, &["--format", "json", "--max-sessions", "1"]);
    let mut peer = hub.peer();
    let address = peer.address();
    assert_next(
        &hub,
        &format!(r#"{{"event":"connected","id":1,"peer":"{address}","sessions":1}}"#),
    );
    let mut refused = Peer::connect(hub.address);
    refused.rest();
    let other = refused.address();
    let reason = "too many clients";
    assert_next(&hub, &format!(r#"{{"event":"rejected","peer":"{other}","reason":"{reason}"}}"#));
    peer.send("Line 1 \"\u{1b}\n");
    let text = r#"\u001b\" 1 eniL"#;
    assert_next(
        &hub,
        &format!(r#"{{"event":"message","id":1,"peer":"{address}","text":"{text}"}}"#),
    );
    peer.send(format!("{}\n", "x".repeat(101)));
    let reason = "line too long";
    assert_next(
        &hub,
        &format!(
            r#"{{"event":"discarded","id":1,"peer":"{address}","reason":"{reason}","bytes":101}}"#
        ),
    );
    hub.program.enter("I have 1 client");
    assert_next(&hub, r#"{"event":"broadcast","text":"I have 1 client","sessions":1}"#);
    assert_eq!(peer.leave(), "I have 1 client\n");
    let disconnected = |id: u64, reason: &str, peer| {
        format!(
            r#"{{"event":"disconnected","id":{id},"peer":"{peer}","reason":"{reason}","sessions":0}}"#
        )
    };
    assert_next(&hub, &disconnected(1, "left", address));
    hub.program.enter("to nobody");
    assert_next(&hub, r#"{"event":"broadcast","text":"to nobody","sessions":0}"#);
    let peer = hub.peer();
    let address = peer.address();
    hub.event_named("connected");
    peer.reset();
    assert_next(&hub, &disconnected(2, "lost", address));
    let peer = hub.peer();
    let address = peer.address();
    hub.event_named("connected");
    hub.program.signal(rustix::process::Signal::TERM);
    assert_next(&hub, &disconnected(3, "shutdown", address));
    assert_next(&hub, r#"{"event":"stopped"}"#);
    hub.program.ends_with(0);
    assert_eq!(hub.program.out.rest(), "");
}

#[test]
fn a_silent_peer_is_disconnected_as_idle() {
    let hub = Hub::with_config("[timeouts]\nidle = \"100ms\"\n", &["--format", "json"]);
    let mut peer = hub.peer();
    assert_eq!(peer.rest(), "");
    assert_eq!(hub.event_named("disconnected")["reason"], "idle");
}

#[test]
fn the_client_prints_every_event_as_json() {
    let mut hub = Hub::start(&["--max-sessions", "1"]);
    let (ip, port) = (hub.address.ip().to_string(), hub.address.port().to_string());
    let start = || {
        let args = ["--format", "json", &port, &ip];
        Program::start(client_command().args(args))
    };
    let mut client = start();
    let hubs_view = hub.program.out.find("New connection");
    let local = hubs_view.split(['[', ']']).nth(1).unwrap();
    let server = hub.address;
    let connected = format!(r#"{{"event":"connected","server":"{server}","local":"{local}"}}"#);
    assert_eq!(event(&client.out.next()), connected);
    let mut refused = start();
    let rejected = r#"{"event":"rejected","reason":"too many clients"}"#;
    assert_eq!(event(&refused.out.next()), rejected);
    refused.ends_with(3);
    hub.program.enter("né");
    assert_eq!(event(&client.out.next()), r#"{"event":"response","text":"én"}"#);
    client.enter("exit");
    assert_eq!(event(&client.out.next()), r#"{"event":"closed","reason":"left"}"#);
    client.ends_with(0);

    let mut client = start();
    client.out.next();
    hub.program.stop();
    assert_eq!(event(&client.out.next()), r#"{"event":"closed","reason":"server"}"#);
    client.ends_with(1);
    assert_eq!(client.out.rest(), "");
}
