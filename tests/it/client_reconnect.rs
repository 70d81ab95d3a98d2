//! `hub-client --reconnect` waits for a hub that cannot be reached, and connects again after each loss.

use std::{
    io::Write,
    net::{SocketAddr, TcpListener, TcpStream},
    process::Stdio,
};

use rustix::process::Signal;
use serde_json::Value;

#[cfg(feature = "terminal")]
use crate::pty::{OnPty, WINDOW};
use crate::{
    client::{greet, played},
    support::{Hub, Peer, Program, client_command, server_command, wait_until},
};

fn reconnecting(address: SocketAddr, args: &[&str]) -> Program {
    let address = address.to_string();
    Program::start(client_command().args(["--reconnect", &address]).args(args))
}

/// An address at which no program listens.
fn unused() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The next client, greeted.
fn next_peer(listener: &TcpListener) -> Peer {
    Peer::of(greet(listener))
}

/// A hub at this address.
fn hub_at(address: SocketAddr) -> Hub {
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    Hub::start_as(server_command().args(["--bind", &ip, &port]))
}

/// Closes the next connection after this greeting.
fn refuse(listener: &TcpListener, greeting: &str) {
    let mut stream: TcpStream = listener.accept().unwrap().0;
    stream.write_all(greeting.as_bytes()).unwrap();
}

#[test]
fn it_waits_for_a_hub_that_cannot_be_reached_and_says_so_once() {
    let address = unused();
    let mut client = reconnecting(address, &[]);
    let why = format!("hub-client: cannot connect to {address}: Connection refused; trying again");
    assert_eq!(client.err.next(), why);
    client.enter("taco cat");
    let hub = hub_at(address);
    hub.program.out.find("Client message = tac ocat");
    client.end_input();
    client.ends_with(0);
    let (ip, port) = (address.ip(), address.port());
    assert_eq!(
        client.out.rest(),
        format!(
            "> Connected to server IP = {ip} and PORT = {port}\n\
             \n> Enter string : taco cat\n> Closing client...\n"
        )
    );
    assert_eq!(client.err.rest(), "");
}

#[test]
fn a_loss_is_one_report_and_lines_that_were_sent_are_not_sent_again() {
    let (listener, address) = played();
    let mut client = reconnecting(address, &[]);
    let mut server = next_peer(&listener);
    client.enter("one\ntwo");
    assert_eq!((server.line(), server.line()), ("one".to_owned(), "two".to_owned()));
    server.reset();
    let report = client.err.next();
    assert!(report.starts_with(&format!("hub-client: the connection to {address} was lost: ")));
    assert!(report.ends_with("; 2 lines were sent on it and are not confirmed; connecting again"));
    client.enter("three");
    let mut server = next_peer(&listener);
    assert_eq!(server.line(), "three");
    server.send("hello\n");
    client.out.find("olleh");
    client.end_input();
    assert_eq!(server.rest(), "");
    drop(server);
    // Two lines are not confirmed.
    client.ends_with(1);
    assert_eq!(client.err.rest(), "");
}

#[test]
fn if_nothing_was_lost_the_status_is_0() {
    let (listener, address) = played();
    let mut client = reconnecting(address, &[]);
    drop(next_peer(&listener));
    let closed = format!("hub-client: {address} closed the connection");
    let report = format!("{closed}; 0 lines were sent on it; connecting again");
    assert_eq!(client.err.next(), report);
    let mut server = next_peer(&listener);
    client.enter("one");
    client.end_input();
    assert_eq!(server.rest(), "one\n");
    drop(server);
    client.ends_with(0);
    let connected = format!(
        "> Connected to server IP = {} and PORT = {}\n\n> Enter string : ",
        address.ip(),
        address.port()
    );
    assert_eq!(
        client.out.rest(),
        format!(
            "{connected}\n> Server closed the connection\n{connected}one\n> Closing client...\n"
        )
    );
}

#[test]
fn in_json_each_loss_is_closed_and_a_problem() {
    let (listener, address) = played();
    let mut client = reconnecting(address, &["--format", "json"]);
    let event = |client: &Program| -> Value { serde_json::from_str(&client.out.next()).unwrap() };
    drop(next_peer(&listener));
    assert_eq!(event(&client)["event"], "connected");
    let closed = event(&client);
    assert_eq!((&closed["event"], &closed["reason"]), (&"closed".into(), &"server".into()));
    let problem = event(&client);
    assert_eq!(problem["event"], "problem");
    assert_eq!(client.err.next(), format!("hub-client: {}", problem["text"].as_str().unwrap()));
    let mut server = next_peer(&listener);
    assert_eq!(event(&client)["event"], "connected");
    client.enter("exit");
    assert_eq!(server.rest(), "");
    drop(server);
    assert_eq!(event(&client)["reason"], "left");
    client.ends_with(0);
    assert_eq!(client.out.rest(), "");
}

#[test]
fn the_first_refusal_ends_it_with_status_3() {
    let hub = Hub::start(&["--max-sessions", "1"]);
    let _holder = hub.peer();
    let mut client = reconnecting(hub.address, &[]);
    client.ends_with(3);
    let refused = "> Server rejected due to too many clients\n> Closing client...\n";
    assert_eq!(client.out.rest(), refused);
}

#[test]
fn after_a_loss_a_hub_that_may_hold_the_lost_session_is_tried_again() {
    let (listener, address) = played();
    let mut client = reconnecting(address, &[]);
    drop(next_peer(&listener));
    refuse(&listener, "421 Server rejected due to too many clients\n");
    refuse(&listener, "421 Too many connections from this address\n");
    // The beginning of a greeting does not mean that the server is not a hub.
    refuse(&listener, "220 li");
    let mut server = next_peer(&listener);
    client.enter("back");
    assert_eq!(server.line(), "back");
    drop(server);
    refuse(&listener, "421 Not allowed from this address\n");
    client.ends_with(3);
    let end = "> Not allowed from this address\n> Closing client...\n";
    assert!(client.out.rest().ends_with(end));
    assert_eq!(client.err.rest().lines().count(), 2);
}

#[test]
fn another_server_ends_it() {
    let (listener, address) = played();
    let mut client = reconnecting(address, &[]);
    drop(next_peer(&listener));
    refuse(&listener, "220 mail ESMTP\r\n");
    client.ends_with(1);
    client.err.next();
    assert_eq!(
        client.err.rest(),
        format!(
            "hub-client: {address} does not greet as a linehub server does: \
             it sent \"220 mail ESMTP\"\n"
        )
    );
    assert!(client.out.rest().ends_with("> Server closed the connection\n> Closing client...\n"));
}

#[test]
fn the_time_limit_applies_to_each_attempt() {
    let (listener, address) = played();
    let mut client = reconnecting(address, &["--timeout", "200ms"]);
    let silent = listener.accept().unwrap();
    let why =
        format!("hub-client: {address} did not greet within 200ms: it sent nothing; trying again");
    assert_eq!(client.err.next(), why);
    let silent_again = listener.accept().unwrap();
    let mut server = next_peer(&listener);
    client.out.find("> Connected");
    client.enter("exit");
    assert_eq!(server.rest(), "");
    drop((server, silent, silent_again));
    client.ends_with(0);
    assert_eq!(client.err.rest(), "");
}

#[test]
fn input_that_ends_during_a_loss_ends_it_at_once() {
    let (listener, address) = played();
    let mut client = reconnecting(address, &[]);
    let mut server = next_peer(&listener);
    client.enter("one");
    assert_eq!(server.line(), "one");
    drop((server, listener));
    client.err.find("1 line was sent on it and is not confirmed");
    client.end_input();
    client.ends_with(1);
    assert_eq!(client.err.rest(), "");
    assert!(client.out.rest().ends_with("> Server closed the connection\n> Closing client...\n"));
}

#[test]
fn exit_during_a_loss_ends_it_at_once() {
    let (listener, address) = played();
    let mut client = reconnecting(address, &[]);
    drop((next_peer(&listener), listener));
    client.err.find("; 0 lines were sent");
    client.enter("exit");
    client.ends_with(0);
    let end = "> Server closed the connection\n\n> Enter string : exit\n> Closing client...\n";
    assert!(client.out.rest().ends_with(end));
}

#[test]
fn input_that_ends_before_the_hub_is_reached_ends_it_with_status_1() {
    let address = unused();
    let mut client = reconnecting(address, &[]);
    client.end_input();
    client.ends_with(1);
    let why = format!("hub-client: cannot connect to {address}: Connection refused; trying again");
    assert_eq!(client.err.next(), why);
    let end = format!("hub-client: the input ended before {address} greeted\n");
    assert_eq!(client.err.rest(), end);
    assert_eq!(client.out.rest(), "");
}

#[test]
fn lines_that_were_not_sent_wait_for_the_next_connection_after_the_end_of_input() {
    let (listener, address) = played();
    let mut client = reconnecting(address, &[]);
    drop(next_peer(&listener));
    client.err.find("connecting again");
    client.enter("one\ntwo");
    client.end_input();
    let mut server = next_peer(&listener);
    assert_eq!(server.rest(), "one\ntwo\n");
    drop(server);
    client.ends_with(0);
}

#[test]
fn with_stay_it_reconnects_after_the_end_of_input_until_it_is_stopped() {
    let (listener, address) = played();
    let mut client = reconnecting(address, &["--stay"]);
    client.end_input();
    drop(next_peer(&listener));
    let mut server = next_peer(&listener);
    server.send("still there?\n");
    client.out.find("?ereht llits");
    drop((server, listener));
    client.err.find("connecting again");
    client.err.find("connecting again");
    client.signal(Signal::TERM);
    client.ends_with(0);
    assert_eq!(client.err.rest(), "");
}

#[test]
fn a_signal_ends_it_while_it_waits_for_the_hub() {
    let address = unused();
    let mut client = reconnecting(address, &[]);
    client.err.find("trying again");
    client.signal(Signal::TERM);
    client.ends_with(1);
    assert_eq!(client.err.rest(), format!("hub-client: stopped before {address} greeted\n"));
}

#[test]
fn what_a_lost_connection_did_not_accept_is_sent_on_the_next_one() {
    let count = 200_000;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let text: String = (0..count).map(|number| format!("{number:063}\n")).collect();
    file.write_all(text.as_bytes()).unwrap();
    let (listener, address) = played();
    let mut command = client_command();
    command.args(["--reconnect", "--quiet", &address.to_string()]);
    let mut client = Program::spawn(command.stdin(file.reopen().unwrap()).stdout(Stdio::null()));
    let mut server = next_peer(&listener);
    assert_eq!(server.line(), format!("{:063}", 0));
    // The kernel's buffers fill, so that it is the client that holds the rest.
    let mut before = 0;
    wait_until("the client is stuck", || {
        let position = client.position_in_stdin();
        (position > 0 && std::mem::replace(&mut before, position) == position).then_some(())
    });
    server.reset();
    let report = client.err.next();
    let sent = report.split("; ").nth(1).unwrap().split(' ').next().unwrap();
    let sent: usize = sent.parse().unwrap();
    assert!(0 < sent && sent < count, "{report}");
    let mut server = next_peer(&listener);
    let rest = server.rest();
    drop(server);
    assert_eq!(rest.len(), (count - sent) * 64);
    assert!(text.ends_with(&rest));
    client.ends_with(1);
}

#[cfg(feature = "terminal")]
#[test]
fn at_a_terminal_a_half_typed_line_survives_a_loss() {
    let (listener, address) = played();
    let (program, address) = (env!("CARGO_BIN_EXE_hub-client"), address.to_string());
    let client = OnPty::start(program, &["--reconnect", &address], "xterm-256color", WINDOW);
    let server = next_peer(&listener);
    client.last_row("> Enter string :");
    client.press("taco");
    client.last_row("> Enter string : taco");
    drop(server);
    client.wait_for(|screen| screen.contains("were sent on it"));
    client.press(" cat\rexit\r");
    let mut server = next_peer(&listener);
    assert_eq!(server.rest(), "taco cat\n");
    drop(server);
    assert_eq!(client.exit_status(), Some(0));
    client.wait_for(|screen| {
        screen.ends_with("> Closing client...") && screen.matches("> Connected").count() == 2
    });
    assert!(client.has_its_original_modes());
}

#[cfg(feature = "terminal")]
#[test]
fn at_a_terminal_ctrl_c_and_ctrl_d_end_it_during_a_loss() {
    for key in ["\u{3}", "\u{4}"] {
        let (listener, address) = played();
        let (program, address) = (env!("CARGO_BIN_EXE_hub-client"), address.to_string());
        let client = OnPty::start(program, &["--reconnect", &address], "xterm-256color", WINDOW);
        drop((next_peer(&listener), listener));
        client.wait_for(|screen| screen.contains("were sent on it"));
        client.last_row("> Enter string :");
        client.press(key);
        assert_eq!(client.exit_status(), Some(0));
        client.wait_for(|screen| screen.ends_with("> Closing client..."));
        assert!(client.has_its_original_modes());
    }
}
