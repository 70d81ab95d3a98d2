//! Commands at a terminal: help, completion, and JSON on stdout.

use std::fs;

use serde_json::Value;

use super::{CTRL_D, HELP, HubServer, PROMPT, address};
use crate::{
    pty::{OnPty, WINDOW},
    support::{Peer, wait_until},
};

#[test]
fn tab_completes_commands_and_clients() {
    let server = HubServer::start("xterm-256color", WINDOW);
    let mut peer = server.connect();
    server.program.press("/na\t1 anna\r/wh\t\r");
    server.program.wait_for(|screen| screen.contains("> 1  anna"));
    server.program.press("/te\ta\thello\r");
    assert_eq!(peer.line(), "hello");
    server.program.press("/\t");
    server.prompts("/");
    server
        .program
        .wait_for(|screen| screen.contains("\n/help  /who  /tell  /kick  /name  /quit\n"));
    // In a line that is no command it is a tab.
    server.program.press("\x15no command\t|\r");
    assert_eq!(peer.line(), "no command\t|");
}

#[test]
fn tab_inserts_a_tab_where_commands_are_off() {
    let server = HubServer::start_with(&["--commands", "off"], "xterm-256color", WINDOW);
    let mut peer = server.connect();
    server.program.press("/te\t|\r");
    assert_eq!(peer.line(), "/te\t|");
    server.program.wait_for(|screen| screen.contains("\nCtrl-D stops the server\n"));
}

#[test]
fn json_at_a_terminal_is_printed_above_the_prompt_and_is_not_divided() {
    let program = env!("CARGO_BIN_EXE_hub-server");
    let args = ["--format", "json", "--bind", "127.0.0.1", "0"];
    let server = OnPty::start(program, &args, "xterm-256color", WINDOW);
    server.wait_for(|screen| screen.ends_with(&format!("{HELP}\n{PROMPT}")));
    server.press("half typed");
    server.last_row(&format!("{PROMPT} half typed"));
    server.press("\x15/who\r");
    server.wait_for(|screen| screen.ends_with(&format!("> Nobody is connected\n{PROMPT}")));
    server.press(&["x".repeat(100), "\r".to_owned()].concat());
    server.wait_for(|screen| screen.contains("\"event\":\"broadcast\""));
    server.press(CTRL_D);
    assert_eq!(server.exit_status(), Some(0));
    server.wait_for(|screen| screen.ends_with("\"event\":\"stopped\"}"));
    assert!(server.has_its_original_modes());
    let written = String::from_utf8(server.bytes()).unwrap();
    assert!(written.contains(&format!("\"text\":\"{}\"", "x".repeat(100))));
}

#[test]
fn the_editor_uses_stderr_if_json_goes_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events");
    let program = env!("CARGO_BIN_EXE_hub-server");
    let command =
        format!("exec {program} --format json --bind 127.0.0.1 0 > {}", file.to_str().unwrap());
    let server = OnPty::start("/bin/sh", &["-c", &command], "xterm-256color", WINDOW);
    server.shows(&format!("{HELP}\n{PROMPT}"));
    let events = || fs::read_to_string(&file).unwrap();
    server.press("/nobody\r");
    server.wait_for(|screen| screen.contains("there is no command /nobody"));
    let bound = wait_until("the server is bound", || {
        let events = events();
        let (line, _) = events.split_once('\n')?;
        Some(serde_json::from_str::<Value>(line).unwrap())
    });
    let bound = bound["address"].as_str().unwrap().parse::<std::net::SocketAddr>().unwrap();
    let mut peer = Peer::connect(address(bound.port())).greeted();
    server.press("hello\r");
    assert_eq!(peer.line(), "hello");
    server.press(CTRL_D);
    assert_eq!(server.exit_status(), Some(0));
    let events: Vec<Value> =
        events().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.last().unwrap()["event"], "stopped");
}
