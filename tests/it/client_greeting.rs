//! hub-client talks only to a hub: to a server that greets with `220 linehub`.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use rustix::process::Signal;
use serde_json::Value;
use socket2::SockRef;

use crate::{
    client::{client, greet, played},
    support::{Peer, Program, client_command, wait_until},
};

fn client_with(address: SocketAddr, args: &[&str]) -> Program {
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    Program::start(client_command().args([port, ip]).args(args))
}

/// What a client with this line at stdin, which never ends, says of a server that sends this. The server
/// keeps the connection open, and gets nothing.
fn error_after(sent: &[u8]) -> String {
    let (listener, address) = played();
    let mut client = client(address);
    client.enter("a secret");
    let mut stream = listener.accept().unwrap().0;
    stream.write_all(sent).unwrap();
    client.ends_with(1);
    // A reset means that the client has closed without reading everything.
    let mut received = Vec::new();
    let _ = stream.read_to_end(&mut received);
    assert_eq!(received, b"");
    assert_eq!(client.out.rest(), "");
    client.err.rest().replace(&address.to_string(), "SERVER")
}

#[test]
fn another_server_is_reported_at_once_with_what_it_sent() {
    let why = "hub-client: SERVER does not greet as a linehub server does: it sent";
    assert_eq!(error_after(b"220 mail ESMTP\r\n"), format!("{why} \"220 mail ESMTP\"\n"));
    // No line end is waited for.
    assert_eq!(error_after(b"SSH-2"), format!("{why} \"SSH-2\"\n"));
}

#[test]
fn what_another_server_sent_is_escaped_and_shortened() {
    let error = error_after(&[&b"\x1b]0;x\x07\n\xff"[..], &[b'x'; 10_000]].concat());
    assert!(error.contains(": it sent \"\\u{1b}]0;x\\u{7}\\n\u{fffd}xxxxx"), "{error}");
    assert!(error.len() < 300 && error.lines().count() == 1, "{error}");
}

#[test]
fn a_server_that_does_not_greet_in_time_is_reported_with_what_it_sent() {
    let (listener, address) = played();
    for (sent, quoted) in
        [("", "nothing"), ("220 line", "\"220 line\""), ("421 no end", "\"421 no end\"")]
    {
        let mut client = client_with(address, &["--timeout", "300ms"]);
        let mut stream = listener.accept().unwrap().0;
        stream.write_all(sent.as_bytes()).unwrap();
        client.ends_with(1);
        let why = format!("hub-client: {address} did not greet within 300ms: it sent {quoted}\n");
        assert_eq!(client.err.rest(), why);
    }
}

#[test]
fn a_server_that_closes_without_a_greeting_is_reported() {
    let (listener, address) = played();
    let mut client = client(address);
    drop(listener.accept().unwrap());
    client.ends_with(1);
    let why =
        format!("hub-client: {address} does not greet as a linehub server does: it sent nothing\n");
    assert_eq!(client.err.rest(), why);
}

#[test]
fn a_connection_that_is_reset_before_the_greeting_is_reported() {
    let (listener, address) = played();
    let mut client = client(address);
    Peer::of(listener.accept().unwrap().0).reset();
    client.ends_with(1);
    // The reset may come before the client knows that it is connected.
    let why = client.err.rest();
    let lost =
        format!("hub-client: the connection to {address} was lost: Connection reset by peer\n");
    let unconnected =
        format!("hub-client: cannot connect to {address}: Connection reset by peer\n");
    assert!(why == lost || why == unconnected, "{why}");
}

#[test]
fn in_json_a_failure_is_a_problem_and_a_sentence_on_stderr() {
    let (listener, address) = played();
    let mut client = client_with(address, &["--format", "json"]);
    listener.accept().unwrap().0.write_all(b"HTTP/1.1 400\r\n").unwrap();
    client.ends_with(1);
    let sentence = client.err.rest();
    let problem: Value = serde_json::from_str(&client.out.rest()).unwrap();
    assert_eq!(problem["event"], "problem");
    assert_eq!(sentence, format!("hub-client: {}\n", problem["text"].as_str().unwrap()));
}

#[test]
fn the_text_of_any_421_is_printed_and_the_status_is_3() {
    for (sent, printed) in [
        ("421 Not allowed from this address\n", "Not allowed from this address"),
        ("\u{feff}421 Go \u{1b}[2Jaway\r\n", "Go \\u{1b}[2Jaway"),
    ] {
        let (listener, address) = played();
        let mut client = client(address);
        listener.accept().unwrap().0.write_all(sent.as_bytes()).unwrap();
        client.ends_with(3);
        assert_eq!(client.out.rest(), format!("> {printed}\n> Closing client...\n"));
        assert_eq!(client.err.rest(), "");
    }
}

#[test]
fn in_json_the_reason_of_a_refusal_is_the_text_of_the_421() {
    let (listener, address) = played();
    let mut client = client_with(address, &["--format", "json"]);
    listener.accept().unwrap().0.write_all(b"421 This port speaks TLS\n").unwrap();
    client.ends_with(3);
    let rejected: Value = serde_json::from_str(&client.out.rest()).unwrap();
    assert_eq!(rejected["event"], "rejected");
    assert_eq!(rejected["reason"], "This port speaks TLS");
    assert_eq!(client.err.rest(), "");
}

/// Sends in a segment of its own.
fn send(mut stream: &TcpStream, text: &[u8]) {
    stream.set_nodelay(true).unwrap();
    stream.write_all(text).unwrap();
}

#[test]
fn a_byte_order_mark_before_the_greeting_is_removed_and_others_are_data() {
    let (listener, address) = played();
    let client = client(address);
    let stream = listener.accept().unwrap().0;
    send(&stream, b"\xef\xbb");
    send(&stream, b"\xbf220 linehub ready: client 1 of 4\n\xef\xbb\xbfx\n");
    assert!(client.out.next().starts_with("> Connected to server"));
    client.out.find("> Server response : x\u{feff}");
}

#[test]
fn urgent_data_of_the_server_keeps_its_position_and_delays_nothing() {
    let (listener, address) = played();
    let client = client(address);
    let stream = greet(&listener);
    client.out.find("> Connected");
    for _ in 0..20 {
        // Everything has arrived before the client reads.
        client.signal(Signal::STOP);
        wait_until("the client has stopped", || (client.state() == 'T').then_some(()));
        send(&stream, b"ab");
        assert_eq!(SockRef::from(&stream).send_out_of_band(b"!").unwrap(), 1);
        send(&stream, b"c\n");
        client.signal(Signal::CONT);
        assert_eq!(client.out.find("response"), "> Server response : c!ba");
    }
}
