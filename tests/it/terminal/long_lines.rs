//! Lines that take several rows, and lines that are longer than the window.

use super::{CLIENT_HELP, CTRL_A, HELP, HubClient, HubServer, LEFT, PROMPT};

#[test]
fn keeps_the_prompt_intact_while_a_thousand_lines_arrive() {
    let server = HubServer::start("xterm-256color", (1100, 60));
    let mut peer = server.connect();
    let typed = "more than fits on one row of this window";
    server.program.press(typed);
    server.program.press(&LEFT.repeat(7));
    let lines: String = (0..1000).map(|n| format!("line {n}\n")).collect();
    peer.send(&lines);
    let mut expected = format!(
        "> Server bound to IP : 127.0.0.1 and PORT : {}\n{HELP}\n> New connection [{}]\n",
        server.port,
        peer.address()
    );
    for n in 0..1000 {
        let line: String = format!("line {n}").chars().rev().collect();
        expected += &format!("> [{}] Client message = {line}\n", peer.address());
    }
    let (first, second) = typed.split_at(60 - PROMPT.len() - 1);
    server.program.shows(&format!("{expected}{PROMPT} {first}\n{second}"));
    server.program.cursor_comes_to(1004, (second.len() - 7).try_into().unwrap());
}

#[test]
fn keeps_a_wrapped_line_intact_while_lines_arrive() {
    let mut client = HubClient::start("xterm-256color", (20, 30));
    // Two rows: thirteen columns after the prompt, then all thirty, with wide characters.
    client.program.press("thirteen wide漢字ends in the last column ..");
    client.program.wait_for(|screen| screen.ends_with(".."));
    for word in ["one", "two", "three"] {
        client.hub.send(format!("{word}\n"));
        let word: String = word.chars().rev().collect();
        let expected = format!(
            "> Server response : {word}\n\
             \n\
             > Enter string : thirteen wide\n\
             漢字ends in the last column .."
        );
        client.program.wait_for(|screen| screen.ends_with(&expected));
    }
    client.program.press(&[CTRL_A, "x"].concat());
    let expected = "\n\n> Enter string : xthirteen wid\ne漢字ends in the last column .\n.";
    client.program.wait_for(|screen| screen.ends_with(expected));
    client.program.press("\r");
    assert_eq!(client.hub.line(), "xthirteen wide漢字ends in the last column ..");
    client.program.wait_for(|screen| screen.ends_with("\n.\n\n> Enter string :"));
}

#[test]
fn scrolls_a_line_that_is_longer_than_the_window() {
    let mut client = HubClient::start("xterm-256color", (5, 20));
    let line = "0123456789".repeat(30);
    client.program.press(&line);
    client.program.wait_for(|screen| screen.ends_with("6789"));
    client.hub.send("seen\n");
    client.program.wait_for(|screen| screen.starts_with("  nees\n") && screen.ends_with("6789"));
    client.program.press(CTRL_A);
    client.program.wait_for(|screen| screen.contains("\n> Enter string : 012\n3456789"));
    client.program.press("!");
    client.program.wait_for(|screen| screen.contains("\n> Enter string : !01\n23456789"));
    client.program.press("\r");
    assert_eq!(client.hub.line(), format!("!{line}"));
    client.program.wait_for(|screen| screen.ends_with("789\n\n> Enter string :"));
    // The whole line was written once it was entered.
    let bytes = String::from_utf8(client.program.bytes()).unwrap();
    assert!(bytes.contains(&format!("> Enter string : !{line}")));
}

#[test]
fn continues_a_long_line_in_rows_that_start_with_two_spaces() {
    let server = HubServer::start("xterm-256color", (30, 60));
    let mut peer = server.connect();
    let prefix = format!("> [{}] Client message = ", peer.address());
    let forged = "> Closing connection for client [10.0.0.1:4444]...";
    let reversed: String = forged.chars().rev().collect();
    for padding in [60 - prefix.len(), 58 + 60 - prefix.len()] {
        peer.send(format!("{reversed}{}\n", "x".repeat(padding)));
    }
    let first = "x".repeat(60 - prefix.len());
    let bound = format!("> Server bound to IP : 127.0.0.1 and PORT : {}", server.port);
    server.program.shows(&format!(
        "{bound}\n\
         {HELP}\n\
         > New connection [{peer}]\n\
         {prefix}{first}\n\x20 {forged}\n\
         {prefix}{first}\n\x20 {}\n\x20 {forged}\n\
         {PROMPT}",
        "x".repeat(58),
        peer = peer.address(),
    ));
}

#[test]
fn a_line_as_wide_as_the_window_takes_one_row() {
    let mut client = HubClient::start("xterm-256color", (20, 40));
    let width = 40 - "> Server response : ".len();
    let (ascii, wide) = ("x".repeat(width), "漢".repeat(width / 2));
    client.hub.send(format!("{ascii}\n{wide}\n"));
    client.program.shows(&format!(
        "> Connected to server IP = 127.0.0.1 and\n\x20  PORT = {}\n\
         {CLIENT_HELP}\n\
         > Server response : {ascii}\n\
         > Server response : {wide}\n\
         \n\
         > Enter string :",
        client.port
    ));
}

#[test]
fn keeps_a_wrapped_line_intact_while_wrapped_lines_arrive() {
    let server = HubServer::start("xterm-256color", (24, 60));
    let mut peer = server.connect();
    let typed = "more than fits on one row, with 👍🏽 and 🇩🇪 in a row that ends before column 60";
    server.program.press(typed);
    server.program.press(&LEFT.repeat(7));
    let prefix = format!("> [{}] Client message = ", peer.address());
    let (end_of_prefix, room) = (prefix.clone() + &"x".repeat(60 - prefix.len()), 58);
    peer.send(format!("{}\n", "x".repeat(60 - prefix.len() + room + 3)).repeat(200));
    let row = format!("{end_of_prefix}\n  {}\n  xxx\n", "x".repeat(room));
    // As much as fits into the window.
    let expected = format!("{}{PROMPT} more than fits on o\nne row", row.repeat(6));
    let screen = server.program.wait_for(|screen| screen.contains(&expected));
    assert_eq!(screen.matches(PROMPT).count(), 1, "{screen}");
    server.program.press("\r");
    assert_eq!(peer.line(), typed);
}
