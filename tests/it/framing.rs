//! Line ends of every kind, pauses, byte order marks, and clients that are not greeted.

use std::io::Write;

use crate::support::{Hub, Peer};

/// The texts of the next client lines on stdout.
fn messages(hub: &Hub, count: usize) -> Vec<String> {
    let lines = (0..count).map(|_| hub.program.out.find("Client message = "));
    lines.map(|line| line.split_once("Client message = ").unwrap().1.to_owned()).collect()
}

#[test]
fn any_accepts_every_kind_of_line_end() {
    let hub = Hub::with_config("[lines]\nend = \"any\"\n", &[]);
    let mut peer = hub.peer();
    peer.send("one\r\ntwo\n\rthree\r\0four\rfive\0six\n\r\nlast");
    peer.half_close();
    let expected = ["eno", "owt", "eerht", "ruof", "evif", "xis", "", "tsal"];
    assert_eq!(messages(&hub, expected.len()), expected);
}

#[test]
fn a_line_end_that_arrives_in_two_reads_is_one() {
    let hub = Hub::with_config("[lines]\nend = \"any\"\n", &[]);
    let mut peer = hub.peer();
    for (line, rest) in [("one\r", "\n"), ("two\n", "\r"), ("three\r", "\0")] {
        peer.send(line);
        // The line is printed before the second byte is sent, so that byte is another read.
        let text: String = line.trim_end().chars().rev().collect();
        assert_eq!(messages(&hub, 1), [text]);
        peer.send(rest);
    }
    peer.send("last\n");
    assert_eq!(messages(&hub, 1), ["tsal"]);
}

#[test]
fn cr_ends_a_line_and_an_lf_after_it_is_removed() {
    let hub = Hub::with_config("[lines]\nend = \"cr\"\n", &[]);
    let mut peer = hub.peer();
    peer.send("one\rtwo\r\na\nb\r\r");
    assert_eq!(messages(&hub, 4), ["eno", "owt", "b\\na", ""]);
}

#[test]
fn with_nul_a_line_may_contain_cr_and_lf() {
    let hub = Hub::with_config("[lines]\nend = \"nul\"\n", &[]);
    let mut peer = hub.peer();
    peer.send("one\0a\nb\rc\0\r\n\0two\0");
    assert_eq!(messages(&hub, 4), ["eno", "c\\rb\\na", "\\r\\n", "owt"]);
}

#[test]
fn json_shows_the_line_ends_within_a_line() {
    let hub = Hub::with_config("[lines]\nend = \"nul\"\n", &["--format", "json"]);
    let mut peer = hub.peer();
    peer.send("a\nb\0plain\0é\n\"\0");
    for expected in ["b\na", "nialp", "\"\né"] {
        assert_eq!(hub.event_named("message")["text"], expected);
    }
}

#[test]
fn max_line_counts_no_line_end_of_any_kind() {
    for (end, text) in [("any", "\n\r"), ("cr", "\r\n"), ("nul", "\0")] {
        let config = format!("[lines]\nend = \"{end}\"\n[limits]\nmax_line = 4\n");
        let hub = Hub::with_config(&config, &[]);
        let mut peer = hub.peer();
        peer.send(format!("four{text}fives{text}four{text}"));
        assert_eq!(messages(&hub, 2), ["ruof", "ruof"]);
        assert!(hub.program.err.next().contains("discarded a line of 5 bytes"));
    }
}

#[test]
fn sends_lines_with_the_chosen_end_and_the_greeting_with_lf() {
    for (send_end, expected) in [("crlf", "one\r\n\r\ntwo\r\n"), ("cr", "one\r\rtwo\r")] {
        let mut hub = Hub::with_config(&format!("[lines]\nsend_end = \"{send_end}\"\n"), &[]);
        let mut peer = hub.peer();
        for line in ["one", "", "two"] {
            hub.program.enter(line);
        }
        assert_eq!(peer.bytes(expected.len()), expected.as_bytes());
        let mut hub = Hub::with_config(
            &format!("server.max_sessions = 1\nlines.send_end = \"{send_end}\"\n"),
            &[],
        );
        let _full = hub.peer();
        let mut refused = Peer::connect(hub.address);
        assert_eq!(refused.rest(), "421 Server rejected due to too many clients\n");
        hub.program.end_input();
    }
}

#[test]
fn a_slow_client_gets_every_line_with_its_own_end() {
    let config = "[lines]\nsend_end = \"crlf\"\n[limits]\nmax_line = 1000\noutbox = 4000\n";
    let mut hub = Hub::with_config(config, &[]);
    let mut peer = hub.small_peer();
    let count = 20_000;
    let mut stdin = hub.program.stdin.take().unwrap();
    let writing = std::thread::spawn(move || {
        for number in 0..count {
            stdin.write_all(format!("{number}\n").as_bytes()).unwrap();
        }
    });
    for number in 0..count {
        assert_eq!(peer.line(), format!("{number}\r"));
    }
    writing.join().unwrap();
}

#[test]
fn a_pause_ends_a_line_and_its_own_end_does_not_end_another() {
    let hub = Hub::with_config("[lines]\ngap = \"20ms\"\n", &[]);
    let mut peer = hub.peer();
    peer.send("t=5");
    assert_eq!(messages(&hub, 1), ["5=t"]);
    peer.send("\r\nt=6");
    assert_eq!(messages(&hub, 1), ["6=t"]);
    peer.send("\n\nt=7\n");
    assert_eq!(messages(&hub, 2), ["", "7=t"]);
}

#[test]
fn a_pause_ends_a_line_that_is_too_long() {
    let hub = Hub::with_config("[lines]\ngap = \"20ms\"\n[limits]\nmax_line = 4\n", &[]);
    let mut peer = hub.peer();
    peer.send("fives");
    assert!(hub.program.err.next().contains("discarded a line of 5 bytes"));
    peer.send("\nfour");
    assert_eq!(messages(&hub, 1), ["ruof"]);
}

#[test]
fn a_byte_order_mark_before_the_first_line_is_removed() {
    let mut hub = Hub::start(&["--format", "json"]);
    let mut peer = hub.peer();
    peer.send("\u{feff}one\n\u{feff}two\n");
    assert_eq!(hub.event_named("message")["text"], "eno");
    assert_eq!(hub.event_named("message")["text"], "owt\u{feff}");
    hub.program.enter("\u{feff}from a file");
    assert_eq!(peer.line(), "from a file");
}

#[test]
fn a_byte_order_mark_may_arrive_one_byte_at_a_time() {
    let hub = Hub::start(&["--format", "json"]);
    let mut peer = hub.peer();
    for byte in "\u{feff}o".bytes() {
        peer.send([byte]);
        // A whole line of another peer between two bytes makes each byte a read of its own.
        let mut other = hub.peer();
        other.send("in between\n");
        assert_eq!(hub.event_named("message")["text"], "neewteb ni");
        other.leave();
    }
    peer.send("ne\n");
    assert_eq!(hub.event_named("message")["text"], "eno");
}

#[test]
fn without_a_greeting_a_client_that_closes_at_once_loses_nothing() {
    let hub = Hub::with_config("server.greeting = false\n", &["--max-sessions", "200"]);
    for number in 0..100 {
        let mut peer = Peer::connect(hub.address);
        peer.send(format!("t={number}"));
    }
    let mut values = messages(&hub, 100);
    let expected = (0..100).map(|number| format!("t={number}").chars().rev().collect::<String>());
    let mut expected: Vec<_> = expected.collect();
    values.sort();
    expected.sort();
    assert_eq!(values, expected);
}

#[test]
fn without_a_greeting_clients_are_served_and_a_refused_one_still_reads_why() {
    let config = "server.greeting = false\nserver.max_sessions = 1\n";
    let mut hub = Hub::with_config(config, &[]);
    let mut peer = Peer::connect(hub.address);
    hub.program.out.find("New connection");
    let mut refused = Peer::connect(hub.address);
    assert_eq!(refused.rest(), "421 Server rejected due to too many clients\n");
    hub.program.enter("hello");
    assert_eq!(peer.line(), "hello");
}
