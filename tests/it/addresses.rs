//! Addresses: both families, names, ports that are taken or were a moment ago.

use std::net::TcpListener;

use crate::support::{Hub, Peer, Program, client_command, server_command};

fn client(port: u16, host: &str) -> Program {
    Program::start(client_command().args([&port.to_string(), host]))
}

#[test]
fn one_server_for_both_families_shows_each_peer_in_its_own() {
    let hub = Hub::start_as(server_command().args(["--bind", "::", "0"]));
    let port = hub.address.port();
    for host in ["127.0.0.1", "::1", "localhost", "0.0.0.0"] {
        let mut client = client(port, host);
        let connected = format!("> Connected to server IP = {host} and PORT = {port}");
        assert_eq!(client.out.next(), connected);
        let newcomer = hub.program.out.find("New connection");
        let (ipv4, ipv6) = (newcomer.contains("[127.0.0.1:"), newcomer.contains("[[::1]:"));
        assert!(if host == "::1" { ipv6 } else { ipv4 || ipv6 }, "{newcomer}");
        assert!(host != "127.0.0.1" || ipv4, "{newcomer}");
        client.end_input();
        client.ends_with(0);
        hub.program.out.find("> Closing connection");
    }
}

#[test]
fn a_port_that_is_taken_is_told_in_one_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let args = ["--bind", "127.0.0.1", &port.to_string()];
    let mut server = Program::start(server_command().args(args));
    server.ends_with(1);
    let why = format!("hub-server: cannot listen on 127.0.0.1:{port}: Address already in use\n");
    assert_eq!(server.err.rest(), why);
}

#[test]
fn a_restart_does_not_wait_for_the_ports_of_those_who_were_there() {
    let mut hub = Hub::start(&[]);
    let mut peers: Vec<Peer> = (0..4).map(|_| hub.peer()).collect();
    // The server closes first, so that it is its side that stays in TIME_WAIT.
    hub.program.signal(rustix::process::Signal::TERM);
    for peer in &mut peers {
        assert_eq!(peer.rest(), "");
    }
    drop(peers);
    hub.program.ends_with(0);
    let port = hub.address.port().to_string();
    let again = Hub::start_as(server_command().args(["--bind", "127.0.0.1", &port]));
    again.peer();
}

#[test]
fn a_host_that_cannot_be_found_or_refuses_is_told_in_one_sentence() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut refused = client(unused.port(), "127.0.0.1");
    refused.ends_with(1);
    let why = format!("hub-client: cannot connect to {unused}: Connection refused\n");
    assert_eq!(refused.err.rest(), why);
    let mut unknown = client(4444, "no-such-host.invalid");
    unknown.ends_with(1);
    let why = unknown.err.rest();
    let sentence = "hub-client: cannot find the host no-such-host.invalid: ";
    assert!(why.starts_with(sentence) && why.lines().count() == 1, "{why}");
}
