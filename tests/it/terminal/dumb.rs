//! A terminal without control codes, where the kernel edits the line.

use super::{CTRL_C, CTRL_D, HELP, HubClient, HubServer, PROMPT};
use crate::pty::WINDOW;

#[test]
fn writes_no_control_codes_to_a_dumb_terminal() {
    for term in ["dumb", ""] {
        let server = HubServer::start(term, WINDOW);
        let mut peer = server.connect();
        // The kernel applies this backspace.
        server.program.press("helloo\x7f\n");
        assert_eq!(peer.line(), "hello");
        peer.send("taco cat\n");
        let arrived = format!("> [{}] Client message = tac ocat\n{PROMPT}", peer.address());
        server.program.wait_for(|screen| screen.ends_with(&arrived));
        server.program.press(CTRL_D);
        assert_eq!(server.program.exit_status(), Some(0));
        let end = format!("{PROMPT}\n> Closing connection for client [{}]...", peer.address());
        server.program.wait_for(|screen| screen.ends_with(&end));
        assert!(server.program.has_its_original_modes());
        assert!(!server.program.bytes().contains(&0x1b));
    }
}

#[test]
fn ctrl_c_stops_both_programs_at_a_dumb_terminal() {
    let server = HubServer::start("dumb", WINDOW);
    let mut peer = server.connect();
    server.program.press(&["a line\nhalf typed", CTRL_C].concat());
    assert_eq!(server.program.exit_status(), Some(0));
    assert_eq!([peer.line(), peer.line()], ["a line", ""]);
    assert!(server.program.has_its_original_modes());

    let client = HubClient::start("dumb", WINDOW);
    client.program.press(&["half typed", CTRL_C].concat());
    let program = client.close();
    assert_eq!(program.exit_status(), Some(0));
    program.wait_for(|screen| {
        screen.ends_with("\n\n> Enter string : half typed^C\n> Closing client...")
    });
    assert!(program.has_its_original_modes());
}

#[test]
fn prints_the_clients_prompt_again_at_a_dumb_terminal() {
    let mut client = HubClient::start("dumb", WINDOW);
    client.hub.send("taco cat\n");
    client.program.wait_for(|screen| {
        screen.ends_with("> Enter string :\n> Server response : tac ocat\n\n> Enter string :")
    });
    client.program.press("a line\nexit\n");
    assert_eq!(client.hub.line(), "a line");
    let program = client.close();
    assert_eq!(program.exit_status(), Some(0));
    program.wait_for(|screen| screen.ends_with("\n> Closing client..."));
    assert!(!program.bytes().contains(&0x1b));
}

#[test]
fn prints_the_first_line_before_the_prompt_at_a_dumb_terminal() {
    let server = HubServer::start("dumb", WINDOW);
    let port = server.port;
    server
        .program
        .shows(&format!("> Server bound to IP : 127.0.0.1 and PORT : {port}\n{HELP}\n{PROMPT}"));
}

#[test]
fn continues_a_long_line_after_two_spaces_at_a_dumb_terminal() {
    let mut client = HubClient::start("dumb", (20, 50));
    client.hub.send(format!(
        "{}{}\n",
        "> forged row".chars().rev().collect::<String>(),
        "x".repeat(50 - "> Server response : ".len())
    ));
    let end = "x\n  > forged row\n\n> Enter string :";
    client.program.wait_for(|screen| screen.ends_with(end));
}
