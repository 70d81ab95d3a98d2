//! Both transcripts against the lab's own, and what is escaped in them.

use proptest::prelude::*;

use super::*;
use crate::events::ClosedBy;

fn render(
    renderer: &mut dyn Renderer,
    events: impl IntoIterator<Item = Event>,
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

fn server() -> ServerTranscript {
    ServerTranscript { program: "hub-server", at_terminal: false }
}

fn client() -> ClientTranscript {
    ClientTranscript::new("hub-client", false)
}

fn message(port: u16, text: &str) -> Event {
    Event::Message { peer: peer(port), lines: Lines::one(text) }
}

fn greeted() -> Event {
    Event::Greeted { host: "0.0.0.0".to_owned(), port: 4444, server: peer(4444) }
}

fn entered(text: &str) -> Event {
    Event::Entered { lines: Lines::one(text) }
}

fn response(text: &str) -> Event {
    Event::Response { lines: Lines::one(text) }
}

const LEFT: Event = Event::Closed { reason: ClosedBy::Left };

#[test]
fn the_servers_transcript_reads_like_the_labs() {
    let left = CloseReason::Left;
    let events = [
        Event::Bound { address: "0.0.0.0:4444".parse().unwrap() },
        Event::Connected { peer: peer(13442), sessions: 1 },
        message(13442, "revres ot gnidnes 1 eniL"),
        message(13442, "racecar\ntac ocat"),
        Event::Broadcast { lines: Lines::one("I have 3 clients"), sessions: 1 },
        Event::Disconnected { peer: peer(13442), reason: left, sessions: 0 },
        Event::Stopped,
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
fn an_ipv6_peer_has_its_own_brackets() {
    let connected = Event::Connected { peer: "[::1]:4444".parse().unwrap(), sessions: 1 };
    assert_eq!(render(&mut server(), [connected]).0, "> New connection [[::1]:4444]\n");
}

#[test]
fn at_a_terminal_the_editor_shows_what_the_operator_types() {
    let mut server = ServerTranscript { at_terminal: true, ..server() };
    let broadcast = Event::Broadcast { lines: Lines::one("hello"), sessions: 1 };
    assert_eq!(render(&mut server, [broadcast]).0, "");
}

#[test]
fn mishaps_are_one_line_each_on_stderr() {
    let stalled = CloseReason::Stalled;
    let (out, err) = render(
        &mut server(),
        [
            Event::Rejected { peer: peer(1) },
            Event::Discarded { peer: peer(2), bytes: 70_000 },
            Event::Disconnected { peer: peer(3), reason: stalled, sessions: 0 },
            Event::Problem("cannot accept connections for now: Too many open files".to_owned()),
        ],
    );
    assert_eq!(out, "> Closing connection for client [127.0.0.1:3]...\n");
    assert_eq!(
        err,
        "hub-server: refused 127.0.0.1:1: too many clients\n\
         hub-server: discarded a line of 70000 bytes from 127.0.0.1:2: it is longer than \
         limits.max_line\n\
         hub-server: let 127.0.0.1:3 go: it does not read, and what waits for it has had no \
         room for longer than timeouts.stall\n\
         hub-server: cannot accept connections for now: Too many open files\n"
    );
}

#[test]
fn the_clients_transcript_reads_like_the_labs() {
    let (out, err) = render(
        &mut client(),
        [
            greeted(),
            entered("Line 1 sending to server"),
            response("stneilc 3 evah I"),
            entered("exit"),
            Event::InputEnded,
            LEFT,
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
fn what_comes_while_the_prompt_stands_begins_on_a_new_line() {
    let after = |events: &[Event]| {
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
    assert_eq!(after(&[Event::InputEnded, LEFT]), "\n> Enter string : \n> Closing client...\n");
    assert_eq!(
        after(&[Event::Closed { reason: ClosedBy::Server }]),
        "\n> Enter string : \n> Server closed the connection\n> Closing client...\n"
    );
}

#[test]
fn a_line_read_while_no_prompt_stands_has_a_prompt_of_its_own() {
    let (out, _) = render(&mut client(), [greeted(), entered("one"), entered("two")]);
    let expected = "\n\n> Enter string : one\n\n> Enter string : two\n";
    assert!(out.ends_with(expected), "{out}");
}

#[test]
fn a_response_after_the_end_of_the_input_has_no_prompt_behind_it() {
    let events = [greeted(), entered("exit"), Event::InputEnded, response("a"), LEFT];
    let (out, _) = render(&mut client(), events);
    assert!(out.ends_with("exit\n> Server response : a\n> Closing client...\n"), "{out}");
}

#[test]
fn a_refused_client_says_so() {
    let (out, _) = render(&mut client(), [Event::Refused]);
    assert_eq!(out, "> Server rejected due to too many clients\n> Closing client...\n");
}

#[test]
fn json_has_its_own_escapes_and_keeps_mishaps_for_stderr() {
    let mishap = Event::Problem("oh".to_owned());
    let mut json = Json { program: "hub-server" };
    let (out, err) = render(&mut json, [message(1, "\u{1b}[2J\u{202e}"), mishap]);
    assert!(out.ends_with("\"text\":\"\\u001b[2J\u{202e}\"}\n"), "{out}");
    assert_eq!(err, "hub-server: oh\n");
}

fn escaped(text: &str) -> String {
    let mut out = Vec::new();
    escape(text, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn nothing_of_the_other_side_moves_the_cursor_or_forges_a_line() {
    for (text, shown) in [
        ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
        ("\u{1b}[2J\u{9b}31m", "\\u{1b}[2J\\u{9b}31m"),
        ("good\rbad", "good\\rbad"),
        ("a\u{2028}b\u{2029}c\u{85}d", "a\\u{2028}b\\u{2029}c\\u{85}d"),
        ("\u{202e}drow\u{202c} \u{2066}x\u{2069}", "\\u{202e}drow\\u{202c} \\u{2066}x\\u{2069}"),
        ("\u{61c}\u{200e}\u{200f}\u{7f}\0", "\\u{61c}\\u{200e}\\u{200f}\\u{7f}\\u{0}"),
    ] {
        assert_eq!(escaped(text), shown);
        let (out, _) = render(&mut server(), [message(1, text)]);
        assert_eq!(out, format!("> [127.0.0.1:1] Client message = {shown}\n"));
        let (out, _) = render(&mut client(), [response(text)]);
        assert!(out.starts_with(&format!("> Server response : {shown}\n")), "{out}");
    }
}

#[test]
fn what_is_safe_stays_as_it_is() {
    for text in [
        "\ttab",
        "back\\slash \\u{1b}",
        "👩\u{200d}👩\u{200d}👧",
        "می\u{200c}خواهم",
        "é\u{301}\u{fe0f}",
    ] {
        assert_eq!(escaped(text), text);
    }
}

/// What SPEC section 3 has escaped, written out.
fn is_to_be_escaped(character: char) -> bool {
    matches!(
        u32::from(character),
        // C0 but tab, DEL and C1.
        0x00..=0x08 | 0x0a..=0x1f | 0x7f | 0x80..=0x9f
        // Line and paragraph separators.
        | 0x2028 | 0x2029
        // Bidirectional controls.
        | 0x061c | 0x200e | 0x200f
        | 0x202a | 0x202b | 0x202c | 0x202d | 0x202e
        | 0x2066 | 0x2067 | 0x2068 | 0x2069
    )
}

#[test]
fn of_all_characters_those_that_are_written_down_are_escaped_and_no_other() {
    for character in '\0'..=char::MAX {
        let expected = match character {
            '\n' => "\\n".to_owned(),
            '\r' => "\\r".to_owned(),
            _ if is_to_be_escaped(character) => format!("\\u{{{:x}}}", u32::from(character)),
            _ => character.to_string(),
        };
        assert_eq!(escaped(&character.to_string()), expected, "{:x}", u32::from(character));
    }
}

proptest! {
    #[test]
    fn nothing_unsafe_is_left(text in any::<String>()) {
        let shown = escaped(&text);
        prop_assert!(!shown.chars().any(is_to_be_escaped));
        let safe: String = text.chars().filter(|&one| !is_to_be_escaped(one)).collect();
        prop_assert_eq!(escaped(&safe), safe);
    }
}
