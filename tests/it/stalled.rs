//! A client that does not read is let go, and the others go on.

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
fn a_peer_that_does_not_read_is_let_go_and_the_others_get_everything() {
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
    // It has missed lines, and is not to think that this was all.
    assert_eq!(stalled.try_rest().unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn reading_a_byte_now_and_then_is_not_reading() {
    let mut hub = Hub::with_config(CONFIG, &["--format", "json"]);
    let peer = hub.small_peer();
    let (enough, tick) = mpsc::channel::<()>();
    let trickle = thread::spawn(move || {
        // A byte, and then nothing for a while.
        while tick.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
            let _ = io::Read::read(&mut peer.stream(), &mut [0]);
        }
    });
    let mut stdin = hub.program.stdin.take().unwrap();
    thread::spawn(move || {
        let block = format!("{}\n", "x".repeat(10_000)).repeat(10);
        while io::Write::write_all(&mut stdin, block.as_bytes()).is_ok() {}
    });
    assert_eq!(hub.event_named("disconnected")["reason"], "stalled");
    drop(enough);
    trickle.join().unwrap();
}

#[test]
fn while_a_stalled_peer_holds_up_the_operator_lines_of_clients_still_arrive() {
    let config = CONFIG.replace("1s", "1h");
    let mut hub = Hub::with_config(&config, &["--format", "json"]);
    let _stalled = hub.small_peer();
    let mut talker = hub.peer();
    let mut stdin = hub.program.stdin.take().unwrap();
    // More than the kernel and the outbox take: the operator is held up for an hour.
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
fn a_slow_but_steady_reader_is_not_let_go() {
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
        // 8 MB at about 2 MB a second take several times the stall time.
        nap(Duration::from_millis(5));
    }
    drop(relaying.join().unwrap());
    slow.send("all of it\n");
    assert_eq!(hub.event_named("message")["text"], "ti fo lla");
}
