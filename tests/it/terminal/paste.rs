//! Pasting, at a terminal that marks what is pasted.

use super::{CTRL_C, HubServer, PROMPT};
use crate::pty::WINDOW;

/// What the terminal sends when this is pasted.
fn pasted(text: &str) -> String {
    format!("\x1b[200~{text}\x1b[201~")
}

const QUESTION: &str = "> Send 2 pasted lines? (y sends all of them, any other key none)";

#[test]
fn asks_before_it_sends_a_paste_of_several_lines() {
    let server = HubServer::start("xterm-256color", WINDOW);
    let mut peer = server.connect();
    server.program.press("half ");
    server.program.press(&pasted("typed\rlast"));
    server.program.last_row(QUESTION);
    peer.send("taco cat\n");
    let arrived = format!("Client message = tac ocat\n{QUESTION}");
    server.program.wait_for(|screen| screen.ends_with(&arrived));
    server.program.press("n");
    server.prompts("half");
    server.program.press(&pasted("typed\nlast"));
    server.program.last_row(QUESTION);
    server.program.press("y");
    assert_eq!([peer.line(), peer.line()], ["half typed", "last"]);
    let sent = format!("{PROMPT} half typed\n{PROMPT} last\n{PROMPT}");
    server.program.wait_for(|screen| screen.ends_with(&sent));
}

#[test]
fn keys_that_cancel_a_paste_do_nothing_else() {
    let server = HubServer::start("xterm-256color", WINDOW);
    for key in [CTRL_C, "\r", "\x1b", "\x1b[A"] {
        server.program.press(&pasted("one\rtwo\r"));
        server.program.last_row(QUESTION);
        server.program.press(key);
        server.prompts("");
    }
}

#[test]
fn a_pasted_line_behaves_as_if_it_had_been_typed() {
    let server = HubServer::start("xterm-256color", WINDOW);
    let mut peer = server.connect();
    server.program.press(&pasted("a\tpasted \x1b[A\x07line"));
    server.program.press(" and more");
    server.program.press(&pasted("\r"));
    assert_eq!(peer.line(), "a\tpasted line and more");
}

#[test]
fn sends_ten_thousand_pasted_lines_at_once() {
    let server = HubServer::start("xterm-256color", WINDOW);
    let mut peer = server.connect();
    let lines: Vec<String> = (0..10_000).map(|n| format!("pasted {n}")).collect();
    server.program.press(&pasted(&lines.join("\r")));
    server.program.last_row(&QUESTION.replace('2', "10000"));
    server.program.press("y");
    for line in &lines {
        assert_eq!(&peer.line(), line);
    }
    server.program.wait_for(|screen| screen.ends_with(&format!("pasted 9999\n{PROMPT}")));
}
