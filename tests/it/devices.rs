//! Devices that the hub connects to, played by small servers of this file: they answer, stay silent,
//! reset, refuse at first, close, and flood.

mod unreachable;

use std::{
    net::{SocketAddr, TcpListener},
    thread,
};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::support::{Hub, Peer, heavy, wait_until};

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
fn each_device_has_line_ends_of_its_own() {
    let devices = [Device::new(), Device::new()];
    let config = "[lines]\nsend_end = \"cr\"\n".to_owned()
        + &devices[0].table("cr")
        + "end = \"cr\"\nsend_end = \"crlf\"\n"
        + &devices[1].table("gap")
        + "gap = \"50ms\"\n";
    let mut hub = json_hub(&config);
    let mut peers = devices.each_ref().map(Device::accept);
    for _ in 0..2 {
        hub.event_named("connected");
    }
    peers[0].send("one\rtwo\r");
    for text in ["eno", "owt"] {
        assert_event(&hub.event_named("message"), serde_json::json!({"name": "cr", "text": text}));
    }
    peers[1].send("three");
    let message = hub.event_named("message");
    assert_event(&message, serde_json::json!({"name": "gap", "text": "eerht"}));
    hub.program.enter("go");
    assert_eq!(peers[0].bytes(4), b"go\r\n");
    assert_eq!(peers[1].bytes(3), b"go\r");
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
fn a_device_that_floods_the_hub_does_not_delay_clients() {
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
fn a_silent_device_delays_no_other_session() {
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
