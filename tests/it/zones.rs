//! Link-local addresses: a zone identifies the interface of each.

use rustix::process::Signal;

use crate::support::{Program, network::Network};

const SERVER: &str = env!("CARGO_BIN_EXE_hub-server");
const CLIENT: &str = env!("CARGO_BIN_EXE_hub-client");

#[test]
fn link_local_clients_on_different_interfaces_are_shown_with_their_zones() {
    let Some(network) = Network::new() else { return };
    let mut hub = Program::start(network.near(SERVER).args(["--bind", "::", "0"]));
    let port = port(&hub.out.next());
    for zone in ["0", "1"] {
        // Both have the same address.
        let host = format!("fe80::1%far{zone}");
        let mut client = Program::start(network.far(CLIENT).args([&port, &host]));
        let connection = hub.out.next();
        let prefix = format!("> New connection [[fe80::2%near{zone}]:");
        assert!(connection.starts_with(&prefix), "{connection}");
        client.enter("taco cat");
        let message = hub.out.next();
        assert!(message.starts_with(&format!("> [[fe80::2%near{zone}]:")), "{message}");
        client.end_input();
        client.ends_with(0);
        hub.out.find("> Closing connection");
    }
    hub.signal(Signal::TERM);
    hub.ends_with(0);
}

#[test]
fn a_hub_at_a_link_local_address_serves_its_zone_only() {
    let Some(network) = Network::new() else { return };
    let bind = "fe80::1%near0";
    let mut hub =
        Program::start(network.near(SERVER).args(["--format", "json", "--bind", bind, "0"]));
    let bound: serde_json::Value = serde_json::from_str(&hub.out.next()).unwrap();
    let address = bound["address"].as_str().unwrap();
    let port = address.strip_prefix("[fe80::1%near0]:").unwrap();
    let mut client = Program::start(network.far(CLIENT).args([port, "fe80::1%far0"]));
    let connected: serde_json::Value = serde_json::from_str(&hub.out.next()).unwrap();
    let peer = connected["peer"].as_str().unwrap();
    assert!(peer.starts_with("[fe80::2%near0]:"), "{peer}");
    let mut stranger = Program::start(network.far(CLIENT).args([port, "fe80::1%far1"]));
    stranger.ends_with(1);
    client.end_input();
    client.ends_with(0);
    hub.signal(Signal::TERM);
    hub.ends_with(0);
}

#[test]
fn a_zone_that_does_not_exist_is_reported_in_one_sentence() {
    let mut hub = crate::support::server_command();
    let mut hub = Program::start(hub.args(["--bind", "fe80::1%nowhere", "0"]));
    hub.ends_with(1);
    let sentence = "hub-server: cannot listen on fe80::1%nowhere: No such device\n";
    assert_eq!(hub.err.rest(), sentence);
}

/// The port in the transcript's first line.
fn port(bound: &str) -> String {
    bound.rsplit(' ').next().unwrap().to_owned()
}
