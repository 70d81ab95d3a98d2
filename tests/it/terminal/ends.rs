//! How the programs stop on Ctrl-C and on SIGHUP at a terminal.

use std::fs;

use rustix::process::Signal;
use socket2::{Domain, Socket, Type};

use super::{CTRL_C, HubClient, HubServer, PROMPT, address};
use crate::{
    pty::{OnPty, WINDOW},
    support::Peer,
};

/// hub-server with small limits, and a greeted peer that never reads.
fn server_with_a_peer_that_never_reads() -> (HubServer, Peer) {
    let config = tempfile::NamedTempFile::new().unwrap();
    let limits = "[limits]\nmax_line = \"2 KiB\"\noutbox = \"8 KiB\"\n";
    let timeouts = "[timeouts]\nstall = \"10m\"\ndrain = \"200ms\"\n";
    fs::write(&config, [limits, timeouts].concat()).unwrap();
    let args = ["--config", config.path().to_str().unwrap()];
    let server = HubServer::start_with(&args, "xterm-256color", WINDOW);
    // With small segments the kernel keeps its buffers small.
    let peer = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    peer.set_recv_buffer_size(4096).unwrap();
    peer.set_tcp_mss(536).unwrap();
    peer.connect(&address(server.port).into()).unwrap();
    (server, Peer::of(peer.into()).greeted())
}

#[test]
fn ctrl_c_stops_the_server_while_typed_lines_wait() {
    let (server, peer) = server_with_a_peer_that_never_reads();
    // More than all buffers between the editor and the peer hold, but less than the editor holds.
    for n in 0..450 {
        server.program.press(&format!("{} {n}\r", "x".repeat(2000)));
    }
    server.program.wait_for(|screen| screen.ends_with(&format!("x 449\n{PROMPT}")));
    server.program.press(CTRL_C);
    assert_eq!(server.program.exit_status(), Some(0));
    assert!(server.program.has_its_original_modes());
    drop(peer);
}

#[test]
fn sighup_stops_the_server_in_order() {
    let server = HubServer::start("xterm-256color", WINDOW);
    let mut peer = server.connect();
    server.program.press("half typed");
    server.prompts("half typed");
    server.program.signal(Signal::HUP);
    assert_eq!(server.program.exit_status(), Some(0));
    server.program.wait_for(|screen| screen.contains(&format!("{PROMPT} half typed\n")));
    assert_eq!(peer.line(), "");
    assert!(server.program.has_its_original_modes());
}

#[test]
fn sigint_stops_the_server_as_ctrl_c_does() {
    let server = HubServer::start("xterm-256color", WINDOW);
    server.program.press("half typed");
    server.prompts("half typed");
    server.program.signal(Signal::INT);
    assert_eq!(server.program.exit_status(), Some(0));
    server.prompts("half typed^C");
}

#[test]
fn a_second_sighup_does_not_cut_the_shutdown_short() {
    let client = HubClient::start("xterm-256color", WINDOW);
    client.program.signal(Signal::HUP);
    client.program.wait_for(|screen| !screen.ends_with("> Enter string :"));
    client.program.signal_if_running(Signal::HUP);
    let program = client.close();
    program.wait_for(|screen| screen.contains("> Closing client..."));
    assert!(program.has_its_original_modes());
}

#[test]
fn keeps_sighup_ignored_if_it_was_as_under_nohup() {
    let server = env!("CARGO_BIN_EXE_hub-server");
    let command = format!("trap '' HUP; exec {server} --bind 127.0.0.1 0");
    let program = OnPty::start("/bin/sh", &["-c", &command], "xterm-256color", WINDOW);
    program.last_row(PROMPT);
    program.signal(Signal::HUP);
    program.press("it still serves");
    program.last_row(&format!("{PROMPT} it still serves"));
    program.signal(Signal::TERM);
    assert_eq!(program.exit_status(), Some(0));
}

#[test]
fn a_hang_up_stops_the_server_although_sighup_is_ignored() {
    let server = env!("CARGO_BIN_EXE_hub-server");
    let command = format!("trap '' HUP; exec {server} --bind 127.0.0.1 0");
    let program = OnPty::start("/bin/sh", &["-c", &command], "xterm-256color", WINDOW);
    let screen = program.last_row(PROMPT);
    let (_, rest) = screen.split_once("PORT : ").unwrap();
    let port = rest.lines().next().unwrap().parse().unwrap();
    let mut peer = Peer::connect(address(port)).greeted();
    program.press("half typed");
    program.last_row(&format!("{PROMPT} half typed"));
    program.hang_up();
    assert_eq!(peer.rest(), "");
}

#[test]
fn edits_at_descriptors_above_1024() {
    let server = env!("CARGO_BIN_EXE_hub-server");
    // select(2) knows no descriptor above 1,023. All that the server opens is above.
    let command = format!(
        "ulimit -n 2048 || exit; for n in {{10..1100}}; do eval \"exec $n</dev/null\"; done; \
         exec {server} --bind 127.0.0.1 0"
    );
    let program = OnPty::start("bash", &["-c", &command], "xterm-256color", WINDOW);
    let screen = program.last_row(PROMPT);
    let (_, rest) = screen.split_once("PORT : ").unwrap();
    let port = rest.lines().next().unwrap().parse().unwrap();
    let mut peer = Peer::connect(address(port)).greeted();
    program.press("half ");
    program.last_row(&format!("{PROMPT} half"));
    peer.send("taco cat\n");
    program.wait_for(|screen| screen.ends_with(&format!("tac ocat\n{PROMPT} half")));
    program.press("typed\r");
    assert_eq!(peer.line(), "half typed");
    program.press(CTRL_C);
    assert_eq!(program.exit_status(), Some(0));
    assert!(program.has_its_original_modes());
}
