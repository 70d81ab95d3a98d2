//! Colors: at a terminal, and where the user asks for them.

use super::{CTRL_D, HubServer};
use crate::support::{Hub, server_command};

/// What the server has written to its terminal by the time that it has stopped.
fn written(environment: &[(&str, &str)], args: &[&str], term: &str) -> String {
    let server = HubServer::start_in(environment, args, term, (24, 200));
    let (mut one, _two) = (server.connect(), server.connect());
    one.send("taco cat\n");
    server.program.press("/nobody\r");
    server.program.wait_for(|screen| screen.contains("tac ocat") && screen.contains("no command"));
    server.program.press(CTRL_D);
    assert_eq!(server.program.exit_status(), Some(0));
    String::from_utf8(server.program.bytes()).unwrap()
}

#[test]
fn each_client_has_a_color_at_a_terminal_and_problems_have_another() {
    let written = written(&[], &[], "xterm-256color");
    assert!(written.contains("> New connection \x1b[38;5;31m[127.0.0.1:"));
    assert!(written.contains("> New connection \x1b[38;5;130m[127.0.0.1:"));
    assert!(written.contains("]\x1b[39m Client message = tac ocat\r\n"));
    assert!(
        written.contains("\x1b[38;5;160mhub-server: nothing was sent: there is"),
        "{written:?}"
    );
}

#[test]
fn no_color_and_the_flag_turn_colors_off() {
    let no_color = [("NO_COLOR", "1")];
    for (environment, args, term) in [
        (&no_color[..], &[][..], "xterm-256color"),
        (&[], &["--color", "never"], "xterm-256color"),
        (&[], &[], "dumb"),
    ] {
        assert!(!written(environment, args, term).contains("\x1b[38;"), "{environment:?} {args:?}");
    }
    assert!(written(&[("NO_COLOR", "")], &[], "xterm-256color").contains("\x1b[38;"));
    let always = written(&no_color, &["--color", "always"], "xterm-256color");
    assert!(always.contains("\x1b[38;"));
}

#[test]
fn always_colors_a_pipe_but_not_json() {
    let mut hub = Hub::start(&["--color", "always", "--commands", "on"]);
    let peer = hub.peer();
    hub.says(&format!("> New connection \x1b[38;5;31m[{}]\x1b[39m", peer.address()));
    hub.program.enter("/nobody");
    let problem = hub.program.err.next();
    assert!(problem.starts_with("\x1b[38;5;160mhub-server: ") && problem.ends_with("\x1b[39m"));
    for args in [&["--color", "always", "--format", "json"][..], &[]] {
        let mut hub =
            Hub::start_as(server_command().args(["--bind", "127.0.0.1"]).args(args).arg("0"));
        let _peer = hub.peer();
        hub.program.stop();
        assert!(!hub.program.out.rest().contains('\x1b'));
    }
}

#[test]
fn a_colored_row_that_fits_takes_one_row() {
    let server = HubServer::start("xterm-256color", (24, 60));
    let mut peer = server.connect();
    let prefix = format!("> [{}] Client message = ", peer.address());
    let fitting = "x".repeat(60 - prefix.len());
    peer.send(format!("{fitting}\n{fitting}y\n"));
    let rest = fitting.split_at(1).1;
    let rows = format!("\n{prefix}{fitting}\n{prefix}y{rest}\n  x\n");
    server.program.wait_for(|screen| screen.contains(&rows));
}
