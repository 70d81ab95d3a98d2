//! Ends that the keyboard and the system bring about at a terminal.

use std::fs;

use rustix::process::Signal;
use socket2::{Domain, Socket, Type};

use super::{CTRL_C, HubClient, HubServer, PROMPT, address};
use crate::{
    pty::{OnPty, WINDOW},
    support::Peer,
};

/// hub-server with room for little, and a peer that has been greeted and takes nothing.
fn server_with_a_peer_that_takes_nothing() -> (HubServer, Peer) {
    let config = tempfile::NamedTempFile::new().unwrap();
    let limits = "[limits]\nmax_line = \"2 KiB\"\noutbox = \"8 KiB\"\n";
    let timeouts = "[timeouts]\nstall = \"10m\"\ndrain = \"200ms\"\n";
    fs::write(&config, [limits, timeouts].concat()).unwrap();
    let args = ["--config", config.path().to_str().unwrap()];
    let server = HubServer::start_with(&args, "xterm-256color", WINDOW);
    // Small segments make for small buffers in the kernel.
    let peer = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    peer.set_recv_buffer_size(4096).unwrap();
    peer.set_tcp_mss(536).unwrap();
    peer.connect(&address(server.port).into()).unwrap();
    (server, Peer::of(peer.into()).greeted())
}

#[test]
fn stops_in_order_on_ctrl_c_when_nobody_takes_what_was_typed() {
    let (server, peer) = server_with_a_peer_that_takes_nothing();
    // More than all the buffers between the editor and the peer hold, and less than the editor does.
    for n in 0..450 {
        server.program.press(&format!("{} {n}\r", "x".repeat(2000)));
    }
    server.program.wait_for(|screen| screen.ends_with(&format!("x 449\n{PROMPT}")));
    server.program.press(CTRL_C);
    assert_eq!(server.program.exit_status(), Some(0));
    assert!(server.program.is_as_it_was_found());
    drop(peer);
}

#[test]
fn stops_in_order_at_sighup() {
    let server = HubServer::start("xterm-256color", WINDOW);
    let mut peer = server.connect();
    server.program.press("half typed");
    server.prompts("half typed");
    server.program.signal(Signal::HUP);
    assert_eq!(server.program.exit_status(), Some(0));
    server.program.wait_for(|screen| screen.contains(&format!("{PROMPT} half typed^C\n")));
    assert_eq!(peer.line(), "");
    assert!(server.program.is_as_it_was_found());
}

#[test]
fn a_second_sighup_does_not_cut_the_stop_short() {
    let client = HubClient::start("xterm-256color", WINDOW);
    client.program.signal(Signal::HUP);
    client.program.wait_for(|screen| !screen.ends_with("> Enter string :"));
    client.program.signal(Signal::HUP);
    let program = client.let_go();
    program.wait_for(|screen| screen.contains("> Closing client..."));
    assert!(program.is_as_it_was_found());
}

#[test]
fn leaves_sighup_ignored_as_nohup_does() {
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
