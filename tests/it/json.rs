//! Events: one JSON object a line, and nothing else.

use crate::support::{Hub, Peer, Program, client_command};

/// The event without its time, of which the form is checked.
fn event(line: &str) -> String {
    let (head, rest) = line.split_at("{\"time\":\"2026-01-02T03:04:05.678901Z\",".len());
    let form: String = head
        .chars()
        .map(|character| if character.is_ascii_digit() { '0' } else { character })
        .collect();
    assert_eq!(form, "{\"time\":\"0000-00-00T00:00:00.000000Z\",");
    format!("{{{rest}")
}

fn says(hub: &Hub, expected: &str) {
    assert_eq!(event(&hub.program.out.next()), expected);
}

#[test]
fn every_event_of_the_server() {
    let config = "[limits]\nmax_line = 100\n";
    let mut hub = Hub::with_config(config, &["--format", "json", "--max-sessions", "1"]);
    let mut peer = hub.peer();
    let name = peer.address();
    says(&hub, &format!(r#"{{"event":"connected","peer":"{name}","sessions":1}}"#));
    let mut refused = Peer::connect(hub.address);
    refused.rest();
    let other = refused.address();
    let reason = "too many clients";
    says(&hub, &format!(r#"{{"event":"rejected","peer":"{other}","reason":"{reason}"}}"#));
    peer.send("Line 1 \"\u{1b}\n");
    let text = r#"\u001b\" 1 eniL"#;
    says(&hub, &format!(r#"{{"event":"message","peer":"{name}","text":"{text}"}}"#));
    peer.send(format!("{}\n", "x".repeat(101)));
    let line = "line too long";
    says(
        &hub,
        &format!(r#"{{"event":"discarded","peer":"{name}","reason":"{line}","bytes":101}}"#),
    );
    hub.program.enter("I have 1 client");
    says(&hub, r#"{"event":"broadcast","text":"I have 1 client","sessions":1}"#);
    assert_eq!(peer.leave(), "I have 1 client\n");
    let gone = |reason: &str, name| {
        format!(r#"{{"event":"disconnected","peer":"{name}","reason":"{reason}","sessions":0}}"#)
    };
    says(&hub, &gone("left", name));
    hub.program.enter("to nobody");
    says(&hub, r#"{"event":"broadcast","text":"to nobody","sessions":0}"#);
    let peer = hub.peer();
    let name = peer.address();
    hub.event_named("connected");
    peer.reset();
    says(&hub, &gone("lost", name));
    let peer = hub.peer();
    let name = peer.address();
    hub.event_named("connected");
    hub.program.signal(rustix::process::Signal::TERM);
    says(&hub, &gone("shutdown", name));
    says(&hub, r#"{"event":"stopped"}"#);
    hub.program.ends_with(0);
    assert_eq!(hub.program.out.rest(), "");
}

#[test]
fn a_silent_peer_is_idle() {
    let hub = Hub::with_config("[timeouts]\nidle = \"100ms\"\n", &["--format", "json"]);
    let mut peer = hub.peer();
    assert_eq!(peer.rest(), "");
    assert_eq!(hub.event_named("disconnected")["reason"], "idle");
}

#[test]
fn every_event_of_the_client() {
    let mut hub = Hub::start(&["--max-sessions", "1"]);
    let (ip, port) = (hub.address.ip().to_string(), hub.address.port().to_string());
    let start = || {
        let args = ["--format", "json", &port, &ip];
        Program::start(client_command().args(args))
    };
    let mut client = start();
    let connected = format!(r#"{{"event":"connected","server":"{}"}}"#, hub.address);
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
