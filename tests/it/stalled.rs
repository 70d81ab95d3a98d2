//! A client that does not read is closed, and the others carry on.

use std::{
    io,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use crate::support::{Hub, nap};

const CONFIG: &str = "[limits]\nmax_line = \"64 KiB\"\noutbox = \"128 KiB\"\n\
                      [timeouts]\nstall = \"1s\"\n";

#[test]
fn closes_a_peer_that_does_not_read_and_the_others_get_everything() {
    let mut hub = Hub::with_config(CONFIG, &["--format", "json"]);
    let mut stalled = hub.small_peer();
    let mut reader = hub.peer();
    let mut talker = hub.peer();
    let line = "x".repeat(10_000);
    let receiving = thread::spawn(move || {
        for _ in 0..2000 {
            assert_eq!(reader.line().len(), 10_000);
        }
    });
    let talking = thread::spawn(move || {
        for _ in 0..2000 {
            assert_eq!(talker.line().len(), 10_000);
        }
        talker.send("I go on\n");
        talker
    });
    let mut stdin = hub.program.stdin.take().unwrap();
    let relaying = thread::spawn(move || {
        for _ in 0..2000 {
            io::Write::write_all(&mut stdin, format!("{line}\n").as_bytes()).unwrap();
        }
        stdin
    });
    let gone = hub.event_named("disconnected");
    assert_eq!(gone["reason"], "stalled");
    assert_eq!(gone["peer"], stalled.address().to_string());
    relaying.join().unwrap();
    receiving.join().unwrap();
    let _talker = talking.join().unwrap();
    assert_eq!(hub.event_named("message")["text"], "no og I");
    // It has missed lines, so it must see a reset instead of a normal end.
    assert_eq!(stalled.try_rest().unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn a_peer_that_reads_a_byte_now_and_then_is_stalled() {
    let mut hub = Hub::with_config(CONFIG, &["--format", "json"]);
    let peer = hub.small_peer();
    let (stop, stopped) = mpsc::channel::<()>();
    let trickle = thread::spawn(move || {
        // Reads a byte, then nothing for a while.
        while stopped.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
            let _ = io::Read::read(&mut peer.stream(), &mut [0]);
        }
    });
    let mut stdin = hub.program.stdin.take().unwrap();
    thread::spawn(move || {
        let block = format!("{}\n", "x".repeat(10_000)).repeat(10);
        while io::Write::write_all(&mut stdin, block.as_bytes()).is_ok() {}
    });
    assert_eq!(hub.event_named("disconnected")["reason"], "stalled");
    drop(stop);
    trickle.join().unwrap();
}

#[test]
fn clients_lines_still_arrive_while_a_stalled_peer_blocks_the_operator() {
    let config = CONFIG.replace("1s", "1h");
    let mut hub = Hub::with_config(&config, &["--format", "json"]);
    let _stalled = hub.small_peer();
    let mut talker = hub.peer();
    let mut stdin = hub.program.stdin.take().unwrap();
    // More than the kernel and the outbox hold: this blocks the operator for an hour.
    thread::spawn(move || {
        let block = format!("{}\n", "x".repeat(10_000)).repeat(10);
        while io::Write::write_all(&mut stdin, block.as_bytes()).is_ok() {}
    });
    for _ in 0..100 {
        talker.line();
    }
    for number in 0..100 {
        talker.send(format!("{number:03}\n"));
        let text: String = format!("{number:03}").chars().rev().collect();
        assert_eq!(hub.event_named("message")["text"], text);
    }
}

#[test]
fn keeps_a_slow_but_steady_reader() {
    let mut hub = Hub::with_config(CONFIG, &["--format", "json"]);
    let mut slow = hub.small_peer();
    let mut stdin = hub.program.stdin.take().unwrap();
    let relaying = thread::spawn(move || {
        let line = format!("{}\n", "x".repeat(9_999));
        for _ in 0..800 {
            io::Write::write_all(&mut stdin, line.as_bytes()).unwrap();
        }
        stdin
    });
    for _ in 0..800 {
        assert_eq!(slow.line().len(), 9_999);
        // 8 MB at about 2 MB a second take several times the stall time-out.
        nap(Duration::from_millis(5));
    }
    drop(relaying.join().unwrap());
    slow.send("all of it\n");
    assert_eq!(hub.event_named("message")["text"], "ti fo lla");
}
