//! Both transcripts against the lab's own, and what is escaped in them.

use std::net::SocketAddr;

use super::*;

fn render<E>(
    renderer: &mut dyn Render<E>,
    events: impl IntoIterator<Item = E>,
) -> (String, String) {
    let mut page = Page::default();
    for event in events {
        renderer.render(&event.into(), &mut page);
    }
    (String::from_utf8(page.out).unwrap(), String::from_utf8(page.err).unwrap())
}

fn peer(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn session(port: u16) -> SessionInfo {
    SessionInfo { id: 1, name: None, peer: peer(port) }
}

fn connected(session: SessionInfo) -> ServerEvent {
    ServerEvent::Connected { session, by_hub: false, sessions: 1 }
}

fn server() -> ServerTranscript {
    ServerTranscript::new("hub-server", false)
}

fn client() -> ClientTranscript {
    ClientTranscript::new("hub-client", false)
}

fn message(port: u16, text: &str) -> ServerEvent {
    ServerEvent::Message { session: session(port), lines: Lines::one(text) }
}

fn greeted() -> ClientEvent {
    let (host, server, local) = ("0.0.0.0".to_owned(), peer(4444), peer(13442));
    ClientEvent::Connected { host, port: 4444, server, local }
}

fn entered(text: &str) -> ClientEvent {
    ClientEvent::Entered { lines: Lines::one(text) }
}

fn response(text: &str) -> ClientEvent {
    ClientEvent::Response { lines: Lines::one(text) }
}

const LEFT: ClientEvent = ClientEvent::Closed { reason: ClientCloseReason::Left };

#[test]
fn the_server_transcript_matches_the_lab() {
    let left = CloseReason::Left;
    let events = [
        ServerEvent::Bound { address: "0.0.0.0:4444".parse().unwrap() },
        connected(session(13442)),
        message(13442, "revres ot gnidnes 1 eniL"),
        message(13442, "racecar\ntac ocat"),
        ServerEvent::Broadcast {
            lines: Lines::one("I have 3 clients"),
            sessions: 1,
            by_http: false,
        },
        ServerEvent::Disconnected {
            session: session(13442),
            reason: left,
            sessions: 0,
            by_http: false,
        },
        ServerEvent::Stopped,
    ];
    let (out, err) = render(&mut server(), events);
    assert_eq!(
        out,
        "> Server bound to IP : 0.0.0.0 and PORT : 4444\n\
         > New connection [127.0.0.1:13442]\n\
         > [127.0.0.1:13442] Client message = revres ot gnidnes 1 eniL\n\
         > [127.0.0.1:13442] Client message = racecar\n\
         > [127.0.0.1:13442] Client message = tac ocat\n\
         > Enter message to send to all clients : I have 3 clients\n\
         > Closing connection for client [127.0.0.1:13442]...\n"
    );
    assert_eq!(err, "");
}

#[test]
fn an_ipv6_peer_keeps_its_own_brackets() {
    let session = SessionInfo { peer: "[::1]:4444".parse().unwrap(), ..session(1) };
    assert_eq!(render(&mut server(), [connected(session)]).0, "> New connection [[::1]:4444]\n");
}

#[test]
fn a_named_session_is_shown_with_its_name() {
    let named = SessionInfo { name: Some("scope".into()), ..session(1) };
    let lines = Lines::one("5.00");
    let events = [connected(named.clone()), ServerEvent::Message { session: named, lines }];
    assert_eq!(
        render(&mut server(), events).0,
        "> New connection [scope 127.0.0.1:1]\n> [scope 127.0.0.1:1] Client message = 5.00\n"
    );
}

#[test]
fn a_link_local_peer_is_shown_with_its_zone() {
    let peer = std::net::SocketAddrV6::new("fe80::2".parse().unwrap(), 5000, 0, 1).into();
    let (out, _) = render(&mut server(), [connected(SessionInfo { peer, ..session(1) })]);
    assert_eq!(out, "> New connection [[fe80::2%lo]:5000]\n");
}

#[test]
fn with_timestamps_each_line_starts_with_its_time() {
    let mut transcript = ServerTranscript { timestamps: true, ..server() };
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_micros(1_767_323_045_678_901);
    let mut page = Page::default();
    transcript.render(&Stamped { time, event: message(1, "one\ntwo") }, &mut page);
    assert_eq!(
        String::from_utf8(page.out).unwrap(),
        "2026-01-02T03:04:05.678Z > [127.0.0.1:1] Client message = one\n\
         2026-01-02T03:04:05.678Z > [127.0.0.1:1] Client message = two\n"
    );
}

#[test]
fn at_a_terminal_broadcasts_are_left_to_the_editor() {
    let mut server = ServerTranscript { at_terminal: true, ..server() };
    let broadcast =
        ServerEvent::Broadcast { lines: Lines::one("hello"), sessions: 1, by_http: false };
    assert_eq!(render(&mut server, [broadcast]).0, "");
}

#[test]
fn each_problem_is_one_line_on_stderr() {
    let stalled = CloseReason::Stalled;
    let (out, err) = render(
        &mut server(),
        [
            ServerEvent::Rejected { peer: peer(1) },
            ServerEvent::Discarded {
                session: session(2),
                reason: DiscardReason::TooLong,
                bytes: 70_000,
            },
            ServerEvent::Disconnected {
                session: session(3),
                reason: stalled,
                sessions: 0,
                by_http: false,
            },
            ServerEvent::Problem(
                "cannot accept connections for now: Too many open files".to_owned(),
            ),
        ],
    );
    assert_eq!(out, "> Closing connection for client [127.0.0.1:3]...\n");
    assert_eq!(
        err,
        "hub-server: refused 127.0.0.1:1: too many clients\n\
         hub-server: discarded a line of 70000 bytes from 127.0.0.1:2: it is longer than \
         limits.max_line\n\
         hub-server: closed 127.0.0.1:3: it stopped reading (outbox full for longer than \
         timeouts.stall)\n\
         hub-server: cannot accept connections for now: Too many open files\n"
    );
}

#[test]
fn the_client_transcript_matches_the_lab() {
    let (out, err) = render(
        &mut client(),
        [
            greeted(),
            entered("Line 1 sending to server"),
            response("stneilc 3 evah I"),
            entered("exit"),
            ClientEvent::InputEnded,
            LEFT,
            ClientEvent::Ended,
        ],
    );
    assert_eq!(
        out,
        "> Connected to server IP = 0.0.0.0 and PORT = 4444\n\
         \n\
         > Enter string : Line 1 sending to server\n\
         > Server response : stneilc 3 evah I\n\
         \n\
         > Enter string : exit\n\
         > Closing client...\n"
    );
    assert_eq!(err, "");
}

#[test]
fn output_after_a_prompt_begins_on_a_new_line() {
    let after = |events: &[ClientEvent]| {
        let all = [greeted()].into_iter().chain(events.iter().cloned());
        let (out, _) = render(&mut client(), all);
        out.strip_prefix("> Connected to server IP = 0.0.0.0 and PORT = 4444\n").unwrap().to_owned()
    };
    assert_eq!(
        after(&[response("a\nb")]),
        "\n> Enter string : \n> Server response : a\n\
         \n> Enter string : \n> Server response : b\n\
         \n> Enter string : "
    );
    assert_eq!(
        after(&[ClientEvent::InputEnded, LEFT, ClientEvent::Ended]),
        "\n> Enter string : \n> Closing client...\n"
    );
    assert_eq!(
        after(&[ClientEvent::Closed { reason: ClientCloseReason::Server }, ClientEvent::Ended]),
        "\n> Enter string : \n> Server closed the connection\n> Closing client...\n"
    );
}

#[test]
fn a_line_read_without_a_prompt_gets_its_own_prompt() {
    let (out, _) = render(&mut client(), [greeted(), entered("one"), entered("two")]);
    let expected = "\n\n> Enter string : one\n\n> Enter string : two\n";
    assert!(out.ends_with(expected), "{out}");
}

#[test]
fn a_response_after_the_end_of_input_is_not_followed_by_a_prompt() {
    let last = [ClientEvent::InputEnded, response("a"), LEFT, ClientEvent::Ended];
    let events = [greeted(), entered("exit")].into_iter().chain(last);
    let (out, _) = render(&mut client(), events);
    assert!(out.ends_with("exit\n> Server response : a\n> Closing client...\n"), "{out}");
}

#[test]
fn a_client_that_reconnects_closes_only_at_the_end() {
    let lost = ClientEvent::Closed { reason: ClientCloseReason::Lost };
    let events = [greeted(), lost, greeted(), ClientEvent::InputEnded, LEFT, ClientEvent::Ended];
    let (out, _) = render(&mut client(), events);
    let connected = "> Connected to server IP = 0.0.0.0 and PORT = 4444\n\n> Enter string : \n";
    let lost = "> Server closed the connection\n";
    assert_eq!(out, format!("{connected}{lost}{connected}> Closing client...\n"));
}

#[test]
fn a_client_that_was_never_connected_prints_nothing() {
    assert_eq!(render(&mut client(), [ClientEvent::Ended]).0, "");
}

#[test]
fn a_refused_client_prints_the_refusal() {
    let refused = |text: &str| ClientEvent::Rejected { text: text.to_owned() };
    let events = [refused("Server rejected due to too many clients"), ClientEvent::Ended];
    let (out, _) = render(&mut client(), events);
    assert_eq!(out, "> Server rejected due to too many clients\n> Closing client...\n");
    let (out, _) = render(&mut client(), [refused("Go \u{1b}[2J away"), ClientEvent::Ended]);
    assert_eq!(out, "> Go \\u{1b}[2J away\n> Closing client...\n");
}

#[test]
fn text_from_the_other_side_cannot_move_the_cursor_or_forge_a_line() {
    for (text, shown) in [
        ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
        ("\u{1b}[2J\u{9b}31m", "\\u{1b}[2J\\u{9b}31m"),
        ("good\rbad", "good\\rbad"),
        ("a\u{2028}b\u{2029}c\u{85}d", "a\\u{2028}b\\u{2029}c\\u{85}d"),
        ("\u{202e}drow\u{202c} \u{2066}x\u{2069}", "\\u{202e}drow\\u{202c} \\u{2066}x\\u{2069}"),
        ("\u{61c}\u{200e}\u{200f}\u{7f}\0", "\\u{61c}\\u{200e}\\u{200f}\\u{7f}\\u{0}"),
    ] {
        let (out, _) = render(&mut server(), [message(1, text)]);
        assert_eq!(out, format!("> [127.0.0.1:1] Client message = {shown}\n"));
        let (out, _) = render(&mut client(), [response(text)]);
        assert!(out.starts_with(&format!("> Server response : {shown}\n")), "{out}");
    }
}

#[test]
fn only_prefixes_and_problems_are_colored() {
    let colors = Colors { out: true, err: true };
    let mut server = ServerTranscript { colors, ..server() };
    let (out, err) = render(
        &mut server,
        [
            connected(session(7)),
            message(7, "tac ocat\u{1b}[31m"),
            ServerEvent::Problem("it is late".to_owned()),
        ],
    );
    let prefix = "\x1b[38;5;31m[127.0.0.1:7]\x1b[39m";
    assert_eq!(
        out,
        format!("> New connection {prefix}\n> {prefix} Client message = tac ocat\\u{{1b}}[31m\n")
    );
    assert_eq!(err, "\x1b[38;5;160mhub-server: it is late\x1b[39m\n");
}
