//! Stopping is orderly, bounded, and prompt if nothing waits.

use std::{
    io::{self, Read, Seek, Write},
    net::TcpStream,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::Stdio,
    sync::mpsc::{self, TryRecvError},
    thread,
};

use rustix::process::Signal;

use crate::support::{Hub, Program, config_file, heavy, server_command, wait_until};

/// A hub with this at stdin, in format json.
fn hub_with_stdin(stdin: impl Into<Stdio>) -> Hub {
    let mut command = server_command();
    command.args(["--bind", "127.0.0.1", "--format", "json", "0"]);
    Hub::of(Program::spawn(command.stdin(stdin).stdout(Stdio::piped())))
}

/// It greets a peer, and the signal ends it in the orderly way.
fn stops_in_order(mut hub: Hub, signal: Signal) {
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

/// What is entered here reaches a peer.
fn relays(hub: &Hub, mut operator: impl Write) {
    let mut peer = hub.peer();
    operator.write_all(b"anybody there?\n").unwrap();
    assert_eq!(peer.line(), "anybody there?");
    hub.event_named("broadcast");
    peer.leave();
    hub.event_named("disconnected");
}

#[test]
fn it_stops_whatever_stdin_is_and_says_stopped_last() {
    stops_in_order(hub_with_stdin(Stdio::null()), Signal::INT);
    let mut hub = hub_with_stdin(Stdio::piped());
    let mut pipe = hub.program.stdin.take().unwrap();
    relays(&hub, &mut pipe);
    stops_in_order(hub, Signal::TERM);
}

#[test]
fn a_file_at_stdin_is_relayed_to_whoever_is_there_and_then_it_goes_on_serving() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"the only line\n").unwrap();
    file.rewind().unwrap();
    let hub = hub_with_stdin(file);
    let broadcast = hub.event();
    assert_eq!((&broadcast["text"], &broadcast["sessions"]), (&"the only line".into(), &0.into()));
    stops_in_order(hub, Signal::TERM);
}

#[test]
fn a_socket_at_stdin_is_an_operator_and_holds_nothing_up() {
    let (mut operator, socket) = UnixStream::pair().unwrap();
    let hub = hub_with_stdin(OwnedFd::from(socket));
    relays(&hub, &mut operator);
    stops_in_order(hub, Signal::TERM);
}

#[test]
fn a_terminal_at_stdin_alone_is_an_operator_and_holds_nothing_up() {
    let (mut operator, terminal) = pty_process::blocking::open().unwrap();
    let hub = hub_with_stdin(terminal.as_fd().try_clone_to_owned().unwrap());
    relays(&hub, &mut operator);
    stops_in_order(hub, Signal::TERM);
}

#[test]
fn it_stops_in_the_order_that_is_written_down() {
    let config = "[limits]\noutbox = \"16 MiB\"\n[timeouts]\ndrain = \"1h\"\n";
    let mut hub = Hub::with_config(config, &["--format", "json"]);
    let mut peer = hub.small_peer();
    let (address, sender) = (hub.address, format!("\"{}\"", peer.address()));
    // More than the kernel takes for a peer that does not read: the session has something to do.
    for _ in 0..512 {
        hub.program.enter(&"x".repeat(16_383));
    }
    hub.program.enter("entered before");
    while hub.event_named("broadcast")["text"] != "entered before" {}
    hub.program.signal(Signal::TERM);
    // 1. The listener is closed. (What comes of a connection made in that moment is the system's.)
    wait_until("it no longer listens", || TcpStream::connect(address).err());
    // 3. The session takes what is sent, sends what waits, says goodbye, and ends.
    peer.send("on its way\n");
    assert_eq!(hub.event_named("message")["text"], "yaw sti no");
    let rest = peer.rest();
    assert_eq!(rest.len(), 512 * 16_384 + "entered before\n".len());
    assert!(rest.ends_with("x\nentered before\n"));
    // 4. Stopped comes last.
    let events = hub.program.out.rest();
    let gone = events.lines().find(|event| event.contains(&sender)).unwrap();
    assert!(gone.contains(r#""disconnected""#) && gone.contains(r#""shutdown""#), "{gone}");
    assert!(events.ends_with("\"event\":\"stopped\"}\n"), "{events}");
    hub.program.ends_with(0);
}

#[test]
fn of_the_operators_lines_all_that_were_read_are_relayed_and_no_more_are_read() {
    let _turn = heavy();
    let (mut pipe, mut operator) = io::pipe().unwrap();
    // Batches smaller than what is read at once: a few wait to be cut.
    let limits = "[limits]\nmax_line = \"1 KiB\"\noutbox = \"4 KiB\"\n";
    let file = config_file(&format!("{limits}[timeouts]\ndrain = \"1h\"\n"));
    let mut command = server_command();
    command.args(["--bind", "127.0.0.1", "--config"]).arg(file.path()).arg("0");
    command.stdin(pipe.try_clone().unwrap()).stdout(Stdio::piped());
    let mut hub = Hub::of(Program::spawn(&mut command));
    let mut peer = hub.peer();
    let (enough, more) = mpsc::channel::<()>();
    thread::spawn(move || {
        // More at once than a pipe holds: there is always more to be read.
        for first in (0..).step_by(10_000) {
            let lines = (first..first + 10_000).map(|number| format!("{number:09}\n"));
            let written = operator.write_all(lines.collect::<String>().as_bytes());
            if written.is_err() || more.try_recv() == Err(TryRecvError::Disconnected) {
                return;
            }
        }
    });
    for number in 0..50_000 {
        assert_eq!(peer.line(), format!("{number:09}"));
    }
    hub.program.signal(Signal::TERM);
    let mut next = 50_000;
    for line in peer.rest().lines() {
        assert_eq!(line, format!("{next:09}"));
        next += 1;
    }
    hub.program.ends_with(0);
    // What it has not read is still in the pipe, of which the test has an end, too.
    drop(enough);
    let mut left = String::new();
    pipe.read_to_string(&mut left).unwrap();
    // Of one line at most the beginning has been read.
    let mut left = left.lines();
    let cut = left.next().unwrap();
    assert!(format!("{next:09}").ends_with(cut), "{cut} is left, {next} has not arrived");
    assert_eq!(left.next(), Some(format!("{:09}", next + 1).as_str()));
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

#[test]
fn a_peer_of_which_half_a_line_was_read_sees_a_reset() {
    let mut hub = Hub::start(&[]);
    let mut peer = hub.peer();
    peer.send("a whole line\nhalf a l");
    hub.program.out.find("Client message = enil elohw a");
    hub.program.signal(Signal::TERM);
    assert_eq!(peer.try_rest().unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    hub.program.ends_with(0);
}
