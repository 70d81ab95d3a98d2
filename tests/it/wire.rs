//! What goes over the wire.

use crate::support::{Hub, Peer};

/// The text of the next client line on stdout.
fn message(hub: &Hub) -> String {
    let line = hub.program.out.find("Client message = ");
    line.split_once("Client message = ").unwrap().1.to_owned()
}

#[test]
fn the_greeting_counts_the_sessions() {
    let hub = Hub::start(&["--max-sessions", "2"]);
    let mut one = Peer::connect(hub.address);
    assert_eq!(one.line(), "220 linehub ready: client 1 of 2");
    let mut two = Peer::connect(hub.address);
    assert_eq!(two.line(), "220 linehub ready: client 2 of 2");
}

#[test]
fn lines_end_with_lf_and_a_cr_before_it_is_dropped() {
    let hub = Hub::start(&[]);
    let mut peer = hub.peer();
    peer.send("one\r\n\r\n\ntwo\rthree\r\r\nlast\r");
    peer.half_close();
    for text in ["eno", "", "", "\\reerht\\rowt", "\\rtsal"] {
        assert_eq!(message(&hub), text);
    }
    assert_eq!(peer.rest(), "");
}

#[test]
fn relays_the_operators_lines_unchanged_and_ended_by_lf() {
    let mut hub = Hub::start(&[]);
    let mut peer = hub.peer();
    hub.program.enter("né👍🏽 \u{1b}[1m\r");
    hub.program.enter("");
    std::io::Write::write_all(hub.program.stdin.as_mut().unwrap(), b"last").unwrap();
    hub.program.end_input();
    assert_eq!(peer.bytes(23), "né👍🏽 \u{1b}[1m\n\nlast\n".as_bytes());
}

#[test]
fn invalid_utf8_becomes_replacement_characters() {
    let hub = Hub::start(&[]);
    let mut peer = hub.peer();
    peer.send(b"a\xffb\xe2\x82c\xf0\x9f\x91\n\xc3(\n");
    assert_eq!(message(&hub), "\u{fffd}c\u{fffd}b\u{fffd}a");
    assert_eq!(message(&hub), "(\u{fffd}");
}

#[test]
fn reverses_by_grapheme_cluster() {
    let hub = Hub::start(&[]);
    let mut peer = hub.peer();
    peer.send("né👍🏽\nne\u{301}👍🏽\na🇩🇪🇫🇷b\n");
    assert_eq!(message(&hub), "👍🏽én");
    assert_eq!(message(&hub), "👍🏽e\u{301}n");
    assert_eq!(message(&hub), "b🇫🇷🇩🇪a");
}

#[test]
fn a_line_of_exactly_max_line_passes_and_one_byte_more_is_discarded_and_reported() {
    let hub = Hub::with_config("[limits]\nmax_line = 100\n", &[]);
    let mut peer = hub.peer();
    let exact = "x".repeat(100);
    peer.send(format!("{exact}\r\n{exact}x\n{exact}\n"));
    assert_eq!(message(&hub), exact);
    assert_eq!(message(&hub), exact);
    assert_eq!(
        hub.program.err.next(),
        format!(
            "hub-server: discarded a line of 101 bytes from {}: it is longer than limits.max_line",
            peer.address()
        )
    );
}

#[test]
fn a_long_line_passes_whole_in_both_directions() {
    let config = "[limits]\nmax_line = \"1 MiB\"\noutbox = \"2 MiB\"\n";
    let mut hub = Hub::with_config(config, &[]);
    let mut peer = hub.peer();
    let long: String = (0..125_000).map(|number| format!("{number:08}")).collect();
    peer.send(format!("{long}\nshort\n"));
    assert!(message(&hub).bytes().eq(long.bytes().rev()));
    assert_eq!(message(&hub), "trohs");
    hub.program.enter(&long);
    hub.program.enter("short");
    assert!(peer.line() == long);
    assert_eq!(peer.line(), "short");
}

#[test]
fn an_overlong_operators_line_is_reported_and_not_sent() {
    let mut hub = Hub::with_config("[limits]\nmax_line = 10\n", &[]);
    let mut peer = hub.peer();
    hub.program.enter("01234567890");
    hub.program.enter("0123456789");
    assert_eq!(peer.line(), "0123456789");
    let report = hub.program.err.next();
    let expected = "hub-server: a line of 11 bytes was not sent: it is longer than limits.max_line";
    assert!(report.starts_with(expected), "{report}");
}
