//! The server stops in an orderly way, within a time limit, and at once if nothing is pending.

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

/// A hub that reads this stdin and prints its events as JSON.
fn hub_with_stdin(stdin: impl Into<Stdio>) -> Hub {
    let mut command = server_command();
    command.args(["--bind", "127.0.0.1", "--format", "json", "0"]);
    Hub::of(Program::spawn(command.stdin(stdin).stdout(Stdio::piped())))
}

/// Connects a peer, sends the signal, and checks that the hub closes the session and emits `stopped` last.
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

/// Checks that a line of the operator reaches a peer.
fn relays(hub: &Hub, mut operator: impl Write) {
    let mut peer = hub.peer();
    operator.write_all(b"anybody there?\n").unwrap();
    assert_eq!(peer.line(), "anybody there?");
    hub.event_named("broadcast");
    peer.leave();
    hub.event_named("disconnected");
}

#[test]
fn stops_in_order_with_dev_null_or_a_pipe_at_stdin() {
    stops_in_order(hub_with_stdin(Stdio::null()), Signal::INT);
    let mut hub = hub_with_stdin(Stdio::piped());
    let mut pipe = hub.program.stdin.take().unwrap();
    relays(&hub, &mut pipe);
    stops_in_order(hub, Signal::TERM);
}

#[test]
fn broadcasts_a_file_at_stdin_and_keeps_serving() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"the only line\n").unwrap();
    file.rewind().unwrap();
    let hub = hub_with_stdin(file);
    let broadcast = hub.event();
    assert_eq!((&broadcast["text"], &broadcast["sessions"]), (&"the only line".into(), &0.into()));
    stops_in_order(hub, Signal::TERM);
}

#[test]
fn broadcasts_lines_from_a_socket_at_stdin_and_stops_in_order() {
    let (mut operator, socket) = UnixStream::pair().unwrap();
    let hub = hub_with_stdin(OwnedFd::from(socket));
    relays(&hub, &mut operator);
    stops_in_order(hub, Signal::TERM);
}

#[test]
fn broadcasts_lines_from_a_terminal_at_stdin_alone_and_stops_in_order() {
    let (mut operator, terminal) = pty_process::blocking::open().unwrap();
    let hub = hub_with_stdin(terminal.as_fd().try_clone_to_owned().unwrap());
    relays(&hub, &mut operator);
    stops_in_order(hub, Signal::TERM);
}

#[test]
fn stops_in_the_documented_order() {
    let config = "[limits]\noutbox = \"16 MiB\"\n[timeouts]\ndrain = \"1h\"\n";
    let mut hub = Hub::with_config(config, &["--format", "json"]);
    let mut peer = hub.small_peer();
    let (address, sender) = (hub.address, format!("\"{}\"", peer.address()));
    // More than the socket buffers hold while the peer does not read, so the outbox is not empty.
    for _ in 0..512 {
        hub.program.enter(&"x".repeat(16_383));
    }
    hub.program.enter("the last line");
    while hub.event_named("broadcast")["text"] != "the last line" {}
    hub.program.signal(Signal::TERM);
    // 1. The listener closes. (What happens to a connection made at that moment is up to the kernel.)
    wait_until("it no longer listens", || TcpStream::connect(address).err());
    // 2. The session reads what has been sent, flushes its outbox, and closes.
    peer.send("on its way\n");
    assert_eq!(hub.event_named("message")["text"], "yaw sti no");
    let rest = peer.rest();
    assert_eq!(rest.len(), 512 * 16_384 + "the last line\n".len());
    assert!(rest.ends_with("x\nthe last line\n"));
    // 3. `stopped` is the last event.
    let events = hub.program.out.rest();
    let gone = events.lines().find(|event| event.contains(&sender)).unwrap();
    assert!(gone.contains(r#""disconnected""#) && gone.contains(r#""shutdown""#), "{gone}");
    assert!(events.ends_with("\"event\":\"stopped\"}\n"), "{events}");
    hub.program.ends_with(0);
}

#[test]
fn stopping_broadcasts_every_line_read_from_stdin_and_reads_no_more() {
    let _turn = heavy();
    let (mut pipe, mut operator) = io::pipe().unwrap();
    // One read gives several batches, so some of its lines are still pending when the server stops.
    let limits = "[limits]\nmax_line = \"1 KiB\"\noutbox = \"4 KiB\"\n";
    let file = config_file(&format!("{limits}[timeouts]\ndrain = \"1h\"\n"));
    let mut command = server_command();
    command.args(["--bind", "127.0.0.1", "--config"]).arg(file.path()).arg("0");
    command.stdin(pipe.try_clone().unwrap()).stdout(Stdio::piped());
    let mut hub = Hub::of(Program::spawn(&mut command));
    let mut peer = hub.peer();
    let (enough, more) = mpsc::channel::<()>();
    thread::spawn(move || {
        // Each write is larger than the pipe's buffer, so there is always more to read.
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
    // The test has a reading end of the pipe, too, and finds there what the server has not read.
    drop(enough);
    let mut left = String::new();
    pipe.read_to_string(&mut left).unwrap();
    // At most one line has been read in part.
    let mut left = left.lines();
    let cut = left.next().unwrap();
    assert!(format!("{next:09}").ends_with(cut), "{cut} is left, {next} has not arrived");
    assert_eq!(left.next(), Some(format!("{:09}", next + 1).as_str()));
}

#[test]
fn flushes_queued_lines_to_a_client_before_it_ends() {
    let _turn = heavy();
    let mut hub = Hub::with_config("[limits]\noutbox = \"32 MiB\"\n", &[]);
    let mut peer = hub.peer();
    let block = "0123456789abcde\n".repeat(4096);
    let mut stdin = hub.program.stdin.take().unwrap();
    // More than the socket buffers hold while the peer does not read.
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
fn a_second_signal_ends_the_server_at_once() {
    let mut hub = Hub::with_config("[timeouts]\ndrain = \"1h\"\nstall = \"1h\"\n", &[]);
    let _does_not_read = hub.peer();
    let mut stdin = hub.program.stdin.take().unwrap();
    let relaying = thread::spawn(move || {
        let block = "x".repeat(1023) + "\n";
        while stdin.write_all(block.repeat(64).as_bytes()).is_ok() {}
    });
    // The peer does not read, so its outbox fills up and can never be flushed.
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
fn a_stuck_stdout_delays_stopping_for_drain_at_most_and_resets_the_peer() {
    let _turn = heavy();
    let config = "[timeouts]\ndrain = \"1s\"\n";
    let mut hub = Hub::with_unread_stdout(config);
    let mut peer = hub.peer();
    peer.fill();
    hub.program.signal(Signal::TERM);
    hub.program.ends_with(0);
    assert_eq!(peer.try_rest().unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn keeps_serving_after_the_end_of_stdin() {
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
fn without_stdout_the_server_stops_with_status_1() {
    let mut hub = Hub::with_closed_stdout();
    let mut peer = hub.peer();
    peer.send("anybody?\n");
    hub.program.ends_with(1);
    assert_eq!(hub.program.err.next(), "hub-server: cannot write to stdout: Broken pipe");
    // The line was not printed, so the peer must not see an orderly end.
    assert_eq!(peer.try_rest().unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn resets_a_peer_whose_last_line_is_unfinished() {
    let mut hub = Hub::start(&[]);
    let mut peer = hub.peer();
    peer.send("a whole line\nhalf a l");
    hub.program.out.find("Client message = enil elohw a");
    hub.program.signal(Signal::TERM);
    assert_eq!(peer.try_rest().unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    hub.program.ends_with(0);
}
