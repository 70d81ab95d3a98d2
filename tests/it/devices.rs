//! Devices that the hub connects to, played by small servers of this file: they answer, stay silent,
//! reset, refuse at first, close, and flood.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    thread,
};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::support::{
    Hub, Peer, Program, config_file, heavy, network::Network, server_command, wait_until,
};

/// A device, or what is at its address.
struct Device {
    listener: TcpListener,
    address: SocketAddr,
}

impl Device {
    /// A device that accepts connections.
    fn new() -> Self {
        let device = Self::refusing();
        device.listen();
        device
    }

    /// The address of a device that is switched off. Nobody else gets its port.
    fn refusing() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let listener: TcpListener = socket.into();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    /// Switches it on.
    fn listen(&self) {
        socket2::SockRef::from(&self.listener).listen(16).unwrap();
        self.listener.set_nonblocking(true).unwrap();
    }

    /// The next connection of the hub.
    fn accept(&self) -> Peer {
        let (stream, _) = wait_until("the hub connects", || self.listener.accept().ok());
        stream.set_nonblocking(false).unwrap();
        Peer::of(stream)
    }

    /// Its part of the configuration, with pauses that a test can wait for.
    fn table(&self, name: &str) -> String {
        connect(&self.address.to_string(), name)
    }
}

fn connect(address: &str, name: &str) -> String {
    format!(
        "[[connect]]\naddress = \"{address}\"\nname = \"{name}\"\nretry = \"10ms\"\n\
         retry_max = \"50ms\"\n"
    )
}

/// A hub with these devices that prints JSON.
fn json_hub(config: &str) -> Hub {
    Hub::with_config(config, &["--format", "json"])
}

/// Asserts that the event has these fields.
#[track_caller]
fn assert_event(event: &Value, fields: Value) {
    for (key, expected) in fields.as_object().unwrap() {
        assert_eq!(&event[key], expected, "{key} of {event}");
    }
}

/// A client converses with the hub, which shows that it works.
fn converses(hub: &mut Hub) {
    let mut client = hub.peer();
    client.send("taco cat\n");
    hub.program.out.find("tac ocat");
    hub.program.enter("hello");
    assert_eq!(client.line(), "hello");
    assert_eq!(client.leave(), "");
}

#[test]
fn a_device_is_a_session_without_a_greeting() {
    let device = Device::new();
    let peer = device.address.to_string();
    let mut hub = json_hub(&device.table("scope"));
    let mut scope = device.accept();
    let connected = hub.event_named("connected");
    let session = serde_json::json!({"id": 1, "name": "scope", "peer": peer});
    assert_event(&connected, session.clone());
    assert_event(&connected, serde_json::json!({"by": "hub", "sessions": 1}));
    hub.program.enter("*IDN?");
    assert_event(&hub.event_named("broadcast"), serde_json::json!({"sessions": 1}));
    // The operator's line is the first thing that the device reads.
    assert_eq!(scope.line(), "*IDN?");
    scope.send("ACME,7\n");
    let message = hub.event_named("message");
    assert_event(&message, session.clone());
    assert_event(&message, serde_json::json!({"text": "7,EMCA"}));
    hub.program.signal(rustix::process::Signal::TERM);
    assert_eq!(scope.rest(), "");
    drop(scope);
    let disconnected = hub.event_named("disconnected");
    assert_event(&disconnected, session);
    assert_event(&disconnected, serde_json::json!({"reason": "shutdown", "sessions": 0}));
    assert_event(&hub.event(), serde_json::json!({"event": "stopped"}));
    hub.program.ends_with(0);
    assert_eq!(hub.program.err.rest(), "");
}

#[test]
fn devices_need_no_slot_and_are_not_counted_in_the_greeting() {
    let devices = [Device::new(), Device::new()];
    let config = devices[0].table("left") + &devices[1].table("right");
    let mut hub = Hub::with_config(&config, &["--max-sessions", "1"]);
    let mut peers = devices.each_ref().map(Device::accept);
    for _ in 0..2 {
        hub.program.out.find("New connection");
    }
    let mut client = Peer::connect(hub.address);
    assert_eq!(client.line(), "220 linehub ready: client 1 of 1");
    let mut refused = Peer::connect(hub.address);
    assert!(refused.rest().starts_with("421 "));
    hub.program.enter("to all");
    for peer in peers.iter_mut().chain([&mut client]) {
        assert_eq!(peer.line(), "to all");
    }
    let name = format!("left {}", devices[0].address);
    peers[0].send("abc\n");
    assert_eq!(hub.program.out.find("message ="), format!("> [{name}] Client message = cba"));
    peers[0].half_close();
    assert_eq!(peers[0].rest(), "");
    hub.says(&format!("> Closing connection for client [{name}]..."));
}

#[test]
fn a_device_that_closes_or_resets_is_connected_again() {
    let device = Device::new();
    let hub = json_hub(&device.table("scope"));
    for id in 1..=6 {
        let mut peer = device.accept();
        assert_event(&hub.event_named("connected"), serde_json::json!({"id": id}));
        peer.send(format!("{id}\n"));
        let text = id.to_string();
        assert_event(&hub.event_named("message"), serde_json::json!({"id": id, "text": text}));
        let reason = if id % 2 == 0 { "lost" } else { "left" };
        if reason == "lost" {
            peer.reset();
        } else {
            peer.leave();
        }
        let disconnected = hub.event_named("disconnected");
        assert_event(&disconnected, serde_json::json!({"id": id, "reason": reason}));
    }
}

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
fn a_device_that_cannot_be_reached_is_one_sentence_and_the_hub_goes_on() {
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
fn a_device_that_floods_keeps_nobody_from_talking() {
    let _turn = heavy();
    let device = Device::new();
    let mut hub = Hub::with_config(&device.table("scope"), &[]);
    let mut peer = device.accept();
    let lines = format!("{}\n", "x".repeat(999)).repeat(100);
    let flooding = thread::spawn(move || {
        for _ in 0..300 {
            peer.send(&lines);
        }
        // A line without an end is not kept in memory.
        for _ in 0..300 {
            peer.send("y".repeat(100_000));
        }
        peer.leave()
    });
    converses(&mut hub);
    let expected = "hub-server: discarded a line of 30000000 bytes from scope";
    assert!(hub.program.err.next().starts_with(expected));
    flooding.join().unwrap();
    converses(&mut hub);
    let memory = hub.program.status("VmHWM");
    assert!(memory < 32 * 1024, "{memory} KiB");
}

#[test]
fn a_silent_device_delays_nobody() {
    let device = Device::new();
    let mut hub = Hub::with_config(&device.table("scope"), &[]);
    let silent = device.accept();
    for _ in 0..3 {
        converses(&mut hub);
    }
    hub.program.signal(rustix::process::Signal::TERM);
    let closing = format!("> Closing connection for client [scope {}]...", device.address);
    assert_eq!(hub.program.out.find("client [scope"), closing);
    hub.program.ends_with(0);
    drop(silent);
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

#[test]
fn a_hub_that_stops_does_not_connect_again() {
    let device = Device::new();
    let config = "[timeouts]\ndrain = \"1s\"\n".to_owned() + &device.table("scope");
    let mut hub = Hub::with_config(&config, &[]);
    let scope = device.accept();
    // This client does not read what fits in its outbox, so that stopping takes all of `drain`.
    let _client = hub.small_peer();
    let line = "x".repeat(50_000);
    for _ in 0..18 {
        hub.program.enter(&line);
    }
    hub.program.signal(rustix::process::Signal::TERM);
    drop(scope);
    hub.program.ends_with(0);
    assert!(device.listener.accept().is_err(), "nobody has connected");
}
