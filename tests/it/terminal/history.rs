//! The history: its file, and the search in it.

use std::{fs, os::unix::fs::PermissionsExt};

use super::{CTRL_C, CTRL_D, HubServer, LEFT, PROMPT, UP};
use crate::pty::WINDOW;

const CTRL_G: &str = "\x07";
const CTRL_R: &str = "\x12";

#[test]
fn recalls_the_lines_of_earlier_runs() {
    let folder = tempfile::tempdir().unwrap();
    let state = [("LINEHUB_HISTORY", ""), ("XDG_STATE_HOME", folder.path().to_str().unwrap())];
    for (typed, recalled) in [("first\r second\rthird\r", None), ("", Some("third"))] {
        let server = HubServer::start_in(&state, &[], "xterm-256color", WINDOW);
        server.program.press(typed);
        if let Some(line) = recalled {
            server.program.press(UP);
            server.prompts(line);
            // A line that starts with a space is not kept.
            server.program.press(UP);
            server.prompts("first");
        }
        server.program.press(CTRL_C);
        assert_eq!(server.program.exit_status(), Some(0));
    }
    let file = folder.path().join("linehub/server");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!fs::read_to_string(&file).unwrap().contains("second"));
}

#[test]
fn a_history_that_cannot_be_read_is_reported_once_and_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().to_str().unwrap();
    let server =
        HubServer::start_in(&[("LINEHUB_HISTORY", file)], &[], "xterm-256color", (24, 200));
    let report = format!("hub-server: cannot read the history {file}: it is not a regular file");
    server.program.press("one\rtwo\r");
    server.program.press(UP);
    let screen = server.prompts("two");
    assert_eq!(screen.matches(&report).count(), 1, "{screen}");
}

#[test]
fn ctrl_r_searches_while_lines_arrive() {
    let server = HubServer::start("xterm-256color", WINDOW);
    let mut peer = server.connect();
    server.program.press("tell one\rother\rtell two\r");
    assert_eq!([peer.line(), peer.line(), peer.line()], ["tell one", "other", "tell two"]);
    server.program.press(&["half typed", CTRL_R, "te"].concat());
    server.program.last_row("> history: \"te\" : tell two");
    peer.send("taco cat\n");
    let arrived = format!(
        "{PROMPT} tell two\n> [{}] Client message = tac ocat\n> history: \"te\" : tell two",
        peer.address()
    );
    server.program.wait_for(|screen| screen.ends_with(&arrived));
    server.program.press(CTRL_R);
    server.program.last_row("> history: \"te\" : tell one");
    server.program.press("\r");
    assert_eq!(peer.line(), "tell one");
    server.prompts("");
}

#[test]
fn escape_and_ctrl_g_cancel_a_search_and_other_keys_accept_it() {
    let server = HubServer::start("xterm-256color", WINDOW);
    let mut peer = server.connect();
    server.program.press("old line\rhalf typed");
    assert_eq!(peer.line(), "old line");
    for cancel in [CTRL_G, "\x1b"] {
        server.program.press(&[CTRL_R, "line"].concat());
        server.program.last_row("> history: \"line\" : old line");
        server.program.press("x");
        server.program.last_row("> nothing more in the history for \"linex\" : old line");
        server.program.press(cancel);
        server.prompts("half typed");
    }
    server.program.press(&[CTRL_R, "line"].concat());
    server.program.last_row("> history: \"line\" : old line");
    server.program.press(&[LEFT, "r"].concat());
    server.prompts("oldr line");
    server.program.press(&[UP, UP, "\x1b[B\r"].concat());
    assert_eq!(peer.line(), "half typed");
    server.program.press(CTRL_D);
    assert_eq!(server.program.exit_status(), Some(0));
}
