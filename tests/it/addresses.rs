//! Addresses: IPv4, IPv6, host names, and ports in use or in TIME_WAIT.

use std::net::TcpListener;

use crate::support::{Hub, Peer, Program, client_command, server_command};

fn client(port: u16, host: &str) -> Program {
    Program::start(client_command().args([&port.to_string(), host]))
}

#[test]
fn shows_each_peer_of_a_dual_stack_server_in_its_own_family() {
    let hub = Hub::start_as(server_command().args(["--bind", "::", "0"]));
    let port = hub.address.port();
    for host in ["127.0.0.1", "::1", "localhost", "0.0.0.0"] {
        let mut client = client(port, host);
        let connected = format!("> Connected to server IP = {host} and PORT = {port}");
        assert_eq!(client.out.next(), connected);
        let event = hub.program.out.find("New connection");
        let (ipv4, ipv6) = (event.contains("[127.0.0.1:"), event.contains("[[::1]:"));
        assert!(if host == "::1" { ipv6 } else { ipv4 || ipv6 }, "{event}");
        assert!(host != "127.0.0.1" || ipv4, "{event}");
        client.end_input();
        client.ends_with(0);
        hub.program.out.find("> Closing connection");
    }
}

#[test]
fn reports_a_port_in_use_in_one_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let args = ["--bind", "127.0.0.1", &port.to_string()];
    let mut server = Program::start(server_command().args(args));
    server.ends_with(1);
    let why = format!("hub-server: cannot listen on 127.0.0.1:{port}: Address already in use\n");
    assert_eq!(server.err.rest(), why);
}

#[test]
fn restarts_at_once_on_a_port_in_time_wait() {
    let mut hub = Hub::start(&[]);
    let mut peers: Vec<Peer> = (0..4).map(|_| hub.peer()).collect();
    // The server closes first, so its side of the connections stays in TIME_WAIT.
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
fn reports_an_unknown_or_refusing_host_in_one_sentence() {
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
