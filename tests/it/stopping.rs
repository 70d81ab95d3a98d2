//! Stopping is orderly, bounded, and prompt if nothing waits.

use std::{
    io::{self, Write},
    net::TcpStream,
    process::Stdio,
    thread,
};

use rustix::process::Signal;

use crate::support::{Hub, Peer, heavy, server_command, wait_until};

#[test]
fn it_stops_whatever_stdin_is_and_says_stopped_last() {
    for (signal, null) in [(Signal::TERM, false), (Signal::INT, true)] {
        let mut command = server_command();
        command.args(["--bind", "127.0.0.1", "--format", "json", "0"]);
        command.stdout(Stdio::piped()).stdin(if null { Stdio::null() } else { Stdio::piped() });
        let mut hub = Hub::of(crate::support::Program::spawn(&mut command));
        let mut peer = hub.peer();
        hub.event_named("connected");
        hub.program.signal(signal);
        assert_eq!(peer.rest(), "", "an orderly close");
        let gone = hub.event();
        assert_eq!((&gone["event"], &gone["reason"]), (&"disconnected".into(), &"shutdown".into()));
        assert_eq!(hub.event()["event"], "stopped");
        assert_eq!(hub.program.out.try_next(), None);
        hub.program.ends_with(0);
    }
}

#[test]
fn it_stops_in_the_order_that_is_written_down() {
    let mut hub = Hub::start(&["--format", "json"]);
    let mut peer = hub.peer();
    let (address, sender) = (hub.address, peer.address().to_string());
    hub.event_named("connected");
    peer.send("sent before\n");
    assert_eq!(hub.event_named("message")["text"], "erofeb tnes");
    hub.program.enter("entered before");
    assert_eq!(peer.line(), "entered before");
    hub.event_named("broadcast");
    hub.program.signal(Signal::TERM);
    // 1. The listener is closed: the system refuses, or what it had accepted is dropped.
    wait_until("nobody is admitted any more", || {
        let admitted = TcpStream::connect(address).map(|stream| Peer::of(stream).try_rest());
        (!matches!(admitted, Ok(Ok(greeting)) if greeting.starts_with("220"))).then_some(())
    });
    // 3. The session says goodbye, still takes what was on its way, and ends.
    assert_eq!(peer.line(), "");
    let _ = peer.try_send("on its way\n");
    let rest = hub.program.out.rest();
    let events: Vec<serde_json::Value> =
        rest.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let gone = events.iter().find(|event| event["peer"] == sender && event["reason"].is_string());
    assert_eq!(gone.unwrap()["reason"], "shutdown", "{rest}");
    // 4. Stopped comes last, and what was taken before.
    assert_eq!(events.last().unwrap()["event"], "stopped");
    hub.program.ends_with(0);
}

#[test]
fn what_waits_for_a_client_is_flushed_before_the_end() {
    let _turn = heavy();
    let mut hub = Hub::with_config("[limits]\noutbox = \"32 MiB\"\n", &[]);
    let mut peer = hub.peer();
    let block = "0123456789abcde\n".repeat(4096);
    let mut stdin = hub.program.stdin.take().unwrap();
    // More than the kernel takes for a peer that does not read yet.
    for _ in 0..256 {
        stdin.write_all(block.as_bytes()).unwrap();
    }
    stdin.write_all(b"the last line\n").unwrap();
    hub.program.out.find("the last line");
    hub.program.signal(Signal::TERM);
    let rest = peer.rest();
    assert_eq!(rest.len(), 256 * block.len() + "the last line\n".len());
    assert!(rest.ends_with("the last line\n"));
    hub.program.ends_with(0);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut hub = Hub::with_config("[timeouts]\ndrain = \"1h\"\nstall = \"1h\"\n", &[]);
    let _does_not_read = hub.peer();
    let mut stdin = hub.program.stdin.take().unwrap();
    let relaying = thread::spawn(move || {
        let block = "x".repeat(1023) + "\n";
        while stdin.write_all(block.repeat(64).as_bytes()).is_ok() {}
    });
    // The operator is held up: something waits that will never be sent.
    for _ in 0..2000 {
        hub.program.out.next();
    }
    hub.program.signal(Signal::TERM);
    wait_until("it no longer listens", || TcpStream::connect(hub.address).err());
    hub.program.signal(Signal::TERM);
    hub.program.ends_with(1);
    relaying.join().unwrap();
}

#[test]
fn a_stuck_stdout_holds_it_up_for_drain_and_no_longer_and_the_peer_can_tell() {
    let _turn = heavy();
    let config = "[timeouts]\ndrain = \"1s\"\n";
    let mut hub = Hub::with_unread_stdout(config);
    let mut peer = hub.peer();
    peer.stream().set_nonblocking(true).unwrap();
    let block = "never read\n".repeat(1000);
    // Until nothing more is taken: the pipe, the credits and the sockets are full.
    let mut refused = 0;
    wait_until("it is full", || {
        let full = peer.try_send(&block).is_err();
        refused = if full { refused + 1 } else { 0 };
        (refused > 100).then_some(())
    });
    peer.stream().set_nonblocking(false).unwrap();
    hub.program.signal(Signal::TERM);
    hub.program.ends_with(0);
    assert_eq!(peer.try_rest().unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn at_the_end_of_stdin_it_goes_on_serving() {
    let mut hub = Hub::start(&[]);
    hub.program.enter("to nobody");
    hub.program.end_input();
    hub.says("> Enter message to send to all clients : to nobody");
    let mut peer = hub.peer();
    peer.send("still there?\n");
    assert!(hub.program.out.find("Client message").ends_with(" = ?ereht llits"));
    assert_eq!(peer.leave(), "");
    hub.program.stop();
}

#[test]
fn without_stdout_it_stops_in_order_with_status_1() {
    let mut hub = Hub::with_closed_stdout();
    let mut peer = hub.peer();
    peer.send("anybody?\n");
    hub.program.ends_with(1);
    assert_eq!(hub.program.err.next(), "hub-server: cannot write to stdout: Broken pipe");
    // The line was not taken, so this is no orderly end.
    assert_eq!(peer.try_rest().unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}
