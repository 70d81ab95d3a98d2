//! Devices that cannot be reached, and addresses that are no device's.

use std::{fs, net::SocketAddr};

use socket2::{Domain, Socket, Type};

use super::{Device, assert_event, connect, converses, json_hub};
use crate::support::{
    Hub, Peer, Program, config_file, network::Network, server_command, wait_until,
};

#[test]
fn an_unreachable_device_is_reported_once_and_once_when_it_is_back() {
    let device = Device::refusing();
    let address = device.address;
    let mut hub = Hub::with_config(&device.table("scope"), &[]);
    let cannot = format!("hub-server: cannot connect to scope at {address}: Connection refused");
    assert_eq!(hub.program.err.next(), format!("{cannot}; trying again"));
    converses(&mut hub);
    device.listen();
    let mut peer = device.accept();
    assert_eq!(hub.program.err.next(), format!("hub-server: connected to scope at {address}"));
    peer.send("I am back\n");
    hub.program.out.find("kcab ma I");
    peer.leave();
    device.accept().leave();
    hub.program.stop();
    assert_eq!(hub.program.err.rest(), "");
}

#[test]
fn in_json_these_reports_are_problems() {
    let device = Device::refusing();
    let hub = json_hub(&device.table("scope"));
    let problem = hub.event_named("problem");
    let text = format!("cannot connect to scope at {}: ", device.address);
    assert!(problem["text"].as_str().unwrap().starts_with(&text), "{problem}");
    device.listen();
    let text = format!("connected to scope at {}", device.address);
    assert_event(&hub.event_named("problem"), serde_json::json!({"text": text}));
}

#[test]
fn a_device_that_cannot_be_reached_is_reported_in_one_sentence_and_the_hub_keeps_serving() {
    // No packet leaves this machine: connect(2) rejects the broadcast address.
    for (address, why) in [
        ("no-such-host.invalid:5025", "failed to lookup address information"),
        ("255.255.255.255:5025", "Network is unreachable"),
    ] {
        let mut hub = Hub::with_config(&connect(address, "scope"), &[]);
        let report = hub.program.err.next();
        let sentence = format!("hub-server: cannot connect to scope at {address}: {why}");
        assert!(report.starts_with(&sentence), "{report}");
        converses(&mut hub);
        hub.program.stop();
        assert_eq!(hub.program.err.rest(), "");
    }
}

#[test]
fn the_hub_does_not_connect_to_itself() {
    // Below the ports that the kernel gives away, and not the port of another run of the tests.
    let port = 20_000 + std::process::id() % 10_000;
    for (bind, host) in [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.2"),
        ("0.0.0.0", "0.0.0.0"),
        ("0.0.0.0", "localhost"),
        ("::", "127.0.0.1"),
        ("::", "[::1]"),
    ] {
        let file = config_file(&connect(&format!("{host}:{port}"), "me"));
        let mut command = server_command();
        command.args(["--bind", bind, "--config"]).arg(file.path()).arg(port.to_string());
        let mut hub = Hub::start_as(&mut command);
        let sentence = format!("cannot connect to me at {host}:{port}: it is the hub's own port");
        assert_eq!(hub.program.err.next(), format!("hub-server: {sentence}"), "at {bind}");
        hub.address.set_ip([127, 0, 0, 1].into());
        converses(&mut hub);
        hub.program.stop();
        assert_eq!(hub.program.err.rest(), "", "it tries once");
    }
}

#[test]
fn a_device_at_the_hubs_port_of_another_address_is_a_device() {
    let device = Device::new();
    let mut hub_address = device.address;
    hub_address.set_ip([127, 0, 0, 2].into());
    let file = config_file(&device.table("scope"));
    let mut command = server_command();
    command.args(["--bind", "127.0.0.2", "--config"]).arg(file.path());
    let hub = Hub::start_as(command.arg(hub_address.port().to_string()));
    device.accept().send("abc\n");
    hub.program.out.find("cba");
}

#[test]
fn an_address_that_is_not_host_and_port_is_a_configuration_error() {
    for address in ["scope", "scope:", ":5025", "scope:0", "::1:5025", "scope:70000"] {
        let file = config_file(&format!("[[connect]]\naddress = \"{address}\"\n"));
        let mut command = server_command();
        let mut hub = Program::start(command.arg("--config").arg(file.path()).arg("0"));
        hub.ends_with(2);
        let err = hub.err.rest();
        let place = format!("hub-server: {}:2: connect[0].address: ", file.path().display());
        assert!(err.starts_with(&place) && err.contains("expected HOST:PORT"), "{err}");
        assert_eq!(err.lines().count(), 1);
    }
}

#[test]
fn stops_while_it_is_connecting() {
    // The queue of this listener is full with one connection, so that no further one is answered.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let _first = Peer::connect(address);
    let mut hub = Hub::with_config(&connect(&address.to_string(), "scope"), &[]);
    let syn_sent = format!("0100007F:{:04X} 02 ", address.port());
    wait_until("the hub connects", || {
        let sockets = fs::read_to_string("/proc/net/tcp").unwrap();
        sockets.contains(&syn_sent).then_some(())
    });
    hub.program.stop();
    assert_eq!(hub.program.err.rest(), "");
}

#[test]
fn stops_while_it_is_looking_up_a_name() {
    let Some(network) = Network::new() else { return };
    let config = "[[connect]]\naddress = \"scope.lab:5025\"\n";
    let config = config_file(config);
    // Nobody answers there, and the lookup lasts longer than a test waits.
    let resolver = "nameserver 192.0.2.53\noptions timeout:30 attempts:5\n";
    let resolver = config_file(resolver);
    let script = r#"mount --bind "$1" /etc/resolv.conf && shift && exec "$@""#;
    let mut command = network.near("sh");
    command.args(["-ec", script, "sh"]).arg(resolver.path()).arg(env!("CARGO_BIN_EXE_hub-server"));
    let mut hub = Program::start(command.arg("--config").arg(config.path()).arg("0"));
    hub.out.next();
    wait_until("the name server is asked", || {
        let sockets = fs::read_to_string(format!("/proc/{}/net/udp", hub.pid())).unwrap();
        sockets.contains("350200C0:0035").then_some(())
    });
    hub.stop();
}

#[test]
fn a_port_without_a_device_is_not_connected_to_itself() {
    let Some(network) = Network::new() else { return };
    let config = config_file(&connect("127.0.0.1:40000", "scope"));
    // The only port that the kernel can choose for the hub's end of the connection.
    let script = r#"echo 40000 40000 >/proc/sys/net/ipv4/ip_local_port_range && exec "$@""#;
    let mut command = network.near("sh");
    command.args(["-ec", script, "sh", env!("CARGO_BIN_EXE_hub-server"), "--config"]);
    let mut hub = Program::start(command.arg(config.path()).arg("4444"));
    let report = hub.err.next();
    assert!(report.contains("cannot connect to scope at 127.0.0.1:40000"), "{report}");
    hub.stop();
    let rest = (hub.out.rest(), hub.err.rest());
    assert_eq!(rest, ("> Server bound to IP : 0.0.0.0 and PORT : 4444\n".into(), "".into()));
}
