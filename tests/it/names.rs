//! `[names]`: clients are called by the name of their address or network.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use crate::support::{Hub, Peer, server_command};

const NAMES: &str = "[names]\n\
    \"127.0.0.0/8\" = \"plant\"\n\
    \"127.0.7.0/24\" = \"bench\"\n\
    \"127.0.7.7\" = \"scope\"\n\
    \"127.0.7.8/32\" = \"гость\"\n";

/// A client that has connected from this address.
fn client_from(hub: &Hub, ip: Ipv4Addr) -> Peer {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((ip, 0)).into()).unwrap();
    socket.connect(&hub.address.into()).unwrap();
    Peer::of(TcpStream::from(socket)).greeted()
}

#[test]
fn the_most_specific_entry_names_a_client_in_the_transcript() {
    let hub = Hub::with_config(NAMES, &["--max-sessions", "1"]);
    for (ip, name) in [
        ([127, 0, 0, 1], "plant"),
        ([127, 0, 7, 1], "bench"),
        ([127, 0, 7, 7], "scope"),
        ([127, 0, 7, 8], "гость"),
    ] {
        let mut client = client_from(&hub, ip.into());
        let session = format!("{name} {}", client.address());
        hub.says(&format!("> New connection [{session}]"));
        client.send("taco cat\n");
        hub.says(&format!("> [{session}] Client message = tac ocat"));
        client.leave();
        hub.says(&format!("> Closing connection for client [{session}]..."));
    }
}

#[test]
fn every_event_about_a_named_session_has_its_name() {
    let config = format!("[limits]\nmax_line = 10\n{NAMES}");
    let hub = Hub::with_config(&config, &["--format", "json"]);
    let mut client = client_from(&hub, [127, 0, 7, 7].into());
    client.send("short\nmuch too long\nunfinished\u{20}");
    for (event, reason) in [
        ("connected", None),
        ("message", None),
        ("discarded", Some("line too long")),
        ("discarded", Some("connection lost")),
        ("disconnected", Some("lost")),
    ] {
        if reason == Some("connection lost") {
            // Everything before it has been read.
            client = {
                client.reset();
                client_from(&hub, [127, 0, 7, 1].into())
            };
        }
        let found = hub.event_named(event);
        assert_eq!((found["id"].as_u64(), found["name"].as_str()), (Some(1), Some("scope")));
        assert_eq!(found["reason"].as_str(), reason, "{found}");
    }
}

#[test]
fn a_client_without_a_name_has_only_its_address() {
    let hub = Hub::with_config("[names]\n\"127.0.7.7\" = \"scope\"\n", &["--format", "json"]);
    let client = hub.peer();
    let connected = hub.event_named("connected");
    assert!(connected.get("name").is_none(), "{connected}");
    assert_eq!(connected["peer"], client.address().to_string());
}

#[test]
fn an_ipv4_client_of_a_dual_stack_hub_has_the_name_of_its_ipv4_address() {
    let file = crate::support::config_file(NAMES);
    let mut command = server_command();
    command.args(["--bind", "::", "--config"]).arg(file.path()).arg("0");
    let mut hub = Hub::start_as(&mut command);
    hub.address.set_ip([127, 0, 0, 1].into());
    let client = hub.peer();
    hub.says(&format!("> New connection [plant {}]", client.address()));
}
