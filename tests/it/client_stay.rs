//! `hub-client --stay` keeps receiving after the end of its input, until it is stopped.

use std::{io::Write, net::SocketAddr};

use rustix::process::Signal;

use crate::{
    client::{greet, played},
    support::{Hub, Peer, Program, client_command},
};
#[cfg(feature = "terminal")]
use crate::{
    pty::{OnPty, WINDOW},
    support::wait_until,
};

fn staying_client(address: SocketAddr) -> Program {
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    Program::start(client_command().args(["--stay", &port, &ip]))
}

#[test]
fn the_end_of_input_does_not_end_it_and_a_signal_does_in_order() {
    let mut hub = Hub::start(&[]);
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut client = staying_client(hub.address);
        client.enter("taco cat");
        client.end_input();
        hub.program.out.find("tac ocat");
        hub.program.enter("still there?");
        client.out.find("?ereht llits");
        client.signal(signal);
        client.ends_with(0);
        assert!(client.out.rest().ends_with("> Closing client...\n"));
        assert_eq!(client.err.rest(), "");
        hub.program.out.find("> Closing connection");
    }
}

#[test]
fn a_signal_while_its_input_is_open_ends_it_with_status_0() {
    let hub = Hub::start(&[]);
    let mut client = staying_client(hub.address);
    client.enter("entered");
    hub.program.out.find("deretne");
    client.signal(Signal::TERM);
    client.ends_with(0);
    assert_eq!(client.err.rest(), "");
}

#[test]
fn a_line_that_has_no_end_when_it_is_stopped_is_not_sent_and_the_status_is_1() {
    let hub = Hub::start(&[]);
    let mut client = staying_client(hub.address);
    client.stdin.as_mut().unwrap().write_all(b"whole\nhalf").unwrap();
    hub.program.out.find("elohw");
    client.signal(Signal::TERM);
    client.ends_with(1);
    assert_eq!(client.err.rest(), "hub-client: stopped before the end of the input\n");
}

#[test]
fn exit_still_ends_it() {
    let hub = Hub::start(&[]);
    let mut client = staying_client(hub.address);
    client.enter("exit");
    client.ends_with(0);
}

#[test]
fn if_the_server_closes_first_the_status_is_1() {
    let mut hub = Hub::start(&[]);
    let mut client = staying_client(hub.address);
    client.end_input();
    hub.program.out.find("New connection");
    hub.program.stop();
    client.ends_with(1);
    let end = "> Server closed the connection\n> Closing client...\n";
    assert!(client.out.rest().ends_with(end));
    assert_eq!(client.err.rest(), "");
}

#[test]
fn a_server_that_does_not_confirm_is_waited_for_a_few_seconds() {
    let (listener, address) = played();
    let mut client = staying_client(address);
    let mut server = Peer::of(greet(&listener));
    client.enter("hello");
    client.end_input();
    assert_eq!(server.line(), "hello");
    client.signal(Signal::TERM);
    assert_eq!(server.rest(), "");
    client.ends_with(1);
    let why = format!("hub-client: {address} has not read all lines: no progress for 5 seconds\n");
    assert_eq!(client.err.rest(), why);
}

/// Runs a staying client at a terminal.
#[cfg(feature = "terminal")]
fn staying_client_at_a_terminal() -> (OnPty, Peer) {
    let (listener, address) = played();
    let (program, port) = (env!("CARGO_BIN_EXE_hub-client"), address.port().to_string());
    let client = OnPty::start(program, &["--stay", &port], "xterm-256color", WINDOW);
    let server = Peer::of(greet(&listener));
    client.last_row("> Enter string :");
    (client, server)
}

#[cfg(feature = "terminal")]
#[test]
fn ctrl_c_at_a_terminal_ends_it_in_order() {
    let (client, mut server) = staying_client_at_a_terminal();
    client.press("taco cat\r\u{3}");
    assert_eq!(server.rest(), "taco cat\n");
    drop(server);
    assert_eq!(client.exit_status(), Some(0));
    client.wait_for(|screen| screen.ends_with("> Closing client..."));
    assert!(client.has_its_original_modes());
}

#[cfg(feature = "terminal")]
#[test]
fn ctrl_d_at_a_terminal_does_not_end_it_and_ctrl_c_after_it_does() {
    let (client, mut server) = staying_client_at_a_terminal();
    client.press("taco cat\r\u{4}");
    assert_eq!(server.line(), "taco cat");
    // Without the editor, Ctrl-C is a signal.
    wait_until("the editor has ended", || client.has_its_original_modes().then_some(()));
    server.send("still there?\n");
    client.wait_for(|screen| screen.ends_with("> Server response : ?ereht llits"));
    client.press("\u{3}");
    assert_eq!(server.rest(), "");
    drop(server);
    assert_eq!(client.exit_status(), Some(0));
    client.wait_for(|screen| screen.ends_with("> Closing client..."));
}
