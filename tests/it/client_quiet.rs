//! `hub-client --quiet` prints only the responses, so that it can be used in a pipe.

use std::{io::Write, net::SocketAddr};

use crate::{
    client::{greet, played},
    support::{Hub, Peer, Program, client_command},
};

fn quiet(address: SocketAddr) -> Program {
    Program::start(client_command().args(["--quiet", &address.to_string()]))
}

#[test]
fn stdout_has_only_the_responses_one_per_line() {
    let (listener, address) = played();
    let mut client = quiet(address);
    let mut server = Peer::of(greet(&listener));
    client.enter("hello");
    assert_eq!(server.line(), "hello");
    server.send("a\n\nné\n\u{1b}[2J\n");
    client.end_input();
    assert_eq!(server.rest(), "");
    drop(server);
    client.ends_with(0);
    assert_eq!(client.out.rest(), "a\n\nén\nJ2[\\u{1b}\n");
    assert_eq!(client.err.rest(), "");
}

#[test]
fn a_refusal_is_one_sentence_on_stderr() {
    let hub = Hub::start(&["--max-sessions", "1"]);
    let _holder = hub.peer();
    let mut client = quiet(hub.address);
    client.ends_with(3);
    let sentence = "refused the client: Server rejected due to too many clients";
    assert_eq!(client.err.rest(), format!("hub-client: {} {sentence}\n", hub.address));
    assert_eq!(client.out.rest(), "");
}

#[test]
fn a_closed_connection_is_one_sentence_on_stderr() {
    let (listener, address) = played();
    let mut client = quiet(address);
    drop(greet(&listener));
    client.ends_with(1);
    assert_eq!(client.err.rest(), format!("hub-client: {address} closed the connection\n"));
    assert_eq!(client.out.rest(), "");
}

#[test]
fn a_lost_connection_is_one_sentence_on_stderr() {
    let (listener, address) = played();
    let mut client = quiet(address);
    let mut stream = greet(&listener);
    // A reset can overtake the greeting, but not a line that has been printed.
    stream.write_all(b"one\n").unwrap();
    assert_eq!(client.out.next(), "eno");
    Peer::of(stream).reset();
    client.ends_with(1);
    let lost = format!("hub-client: the connection to {address} was lost: ");
    let err = client.err.rest();
    assert!(err.starts_with(&lost) && err.lines().count() == 1, "{err}");
}

#[test]
fn with_reconnect_a_loss_is_one_report() {
    let (listener, address) = played();
    let mut command = client_command();
    let mut client = Program::start(command.args(["--quiet", "--reconnect", &address.to_string()]));
    drop(greet(&listener));
    let mut stream = greet(&listener);
    stream.write_all(b"back\n").unwrap();
    assert_eq!(client.out.next(), "kcab");
    client.end_input();
    drop(Peer::of(stream).rest());
    client.ends_with(0);
    let report = client.err.rest();
    assert!(report.ends_with("; connecting again\n") && report.lines().count() == 1, "{report}");
}

#[test]
fn it_excludes_json() {
    let mut client = Program::start(client_command().args(["--quiet", "--format", "json", "4444"]));
    client.ends_with(2);
    assert_eq!(client.err.next(), "hub-client: --quiet cannot be used with --format json");
    // A variable is overridden.
    let (listener, address) = played();
    let mut command = client_command();
    command.env("LINEHUB_FORMAT", "json").args(["--quiet", &address.to_string()]);
    let client = Program::start(&mut command);
    greet(&listener).write_all(b"hello\n").unwrap();
    assert_eq!(client.out.next(), "olleh");
}
