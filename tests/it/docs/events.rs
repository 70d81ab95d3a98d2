//! docs/events.md describes every event, field and reason, and nothing that does not happen.

use std::{
    collections::BTreeSet,
    io::Write,
    net::{SocketAddr, TcpListener},
    thread,
};

use rustix::process::Signal;
use serde_json::Value;
use socket2::SockRef;

use crate::support::{Peer, Program, client_command, config_file, server_command};

/// An event as its section describes it.
struct Section {
    event: String,
    /// The examples, one line each.
    examples: Vec<String>,
    fields: Vec<Field>,
    reasons: BTreeSet<String>,
}

struct Field {
    name: String,
    /// As in JSON: `string` or `number`.
    kind: String,
    is_optional: bool,
}

impl Section {
    fn parse(text: &str) -> Self {
        let (event, text) = text.split_once('\n').unwrap();
        let examples = text.split("```json\n").nth(1).and_then(|rest| rest.split("```").next());
        let fields = rows(text, "| field | type | meaning |").into_iter().map(|row| {
            let kind = row[1].trim_end_matches(", optional").to_owned();
            Field { name: code(&row[0]), is_optional: row[1] != kind, kind }
        });
        Self {
            event: event.to_owned(),
            examples: examples.unwrap_or_default().lines().map(str::to_owned).collect(),
            fields: fields.collect(),
            reasons: rows(text, "| reason | when |").iter().map(|row| code(&row[0])).collect(),
        }
    }

    /// Checks an event of this kind against its description. Returns the parts of the description that
    /// it is an instance of.
    fn check(&self, line: &str, value: &Value) -> BTreeSet<String> {
        let object = value.as_object().unwrap();
        let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
        keys.sort_by_key(|key| line.find(&format!("\"{key}\":")));
        let is_there = |field: &&Field| !field.is_optional || object.contains_key(&field.name);
        let fields: Vec<&Field> = self.fields.iter().filter(is_there).collect();
        let documented = fields.iter().map(|field| field.name.as_str());
        let documented: Vec<&str> = ["time", "event"].into_iter().chain(documented).collect();
        assert_eq!(keys, documented, "{line}");
        for field in &fields {
            let kind = if value[&field.name].is_u64() { "number" } else { "string" };
            assert_eq!(kind, field.kind, "the type of {} in {line}", field.name);
        }
        assert_eq!(form_of_time(value), "0000-00-00T00:00:00.000000Z", "{line}");
        let mut parts: BTreeSet<_> =
            fields.iter().map(|field| part(&self.event, &field.name)).collect();
        if let Some(reason) = value["reason"].as_str() {
            assert!(self.reasons.contains(reason), "the reason is not documented: {line}");
            parts.insert(part(&self.event, reason));
        }
        parts.insert(self.event.clone());
        parts
    }

    /// All parts of the description.
    fn parts(&self) -> impl Iterator<Item = String> {
        let fields = self.fields.iter().map(|field| &field.name);
        let named = fields.chain(&self.reasons).map(|name| part(&self.event, name));
        named.chain([self.event.clone()])
    }
}

fn part(event: &str, name: &str) -> String {
    format!("{event}: {name}")
}

fn form_of_time(value: &Value) -> String {
    let time = value["time"].as_str().unwrap();
    time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
}

/// The rows of the first table with this head, as the texts of their cells.
fn rows(text: &str, head: &str) -> Vec<Vec<String>> {
    let Some((_, table)) = text.split_once(&format!("{head}\n")) else { return Vec::new() };
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

/// The text of a cell that is only code.
fn code(cell: &str) -> String {
    cell.strip_prefix('`').and_then(|cell| cell.strip_suffix('`')).unwrap().to_owned()
}

/// The sections about the events of one program.
fn sections(program: &str) -> Vec<Section> {
    let text = include_str!("../../../docs/events.md");
    let (_, text) = text.split_once(&format!("\n## Events of {program}\n")).unwrap();
    let text = text.split("\n## ").next().unwrap();
    text.split("\n### ").skip(1).map(Section::parse).collect()
}

/// Checks that these events of a program are as documented, and are all that is documented.
fn assert_documented(program: &str, events: &[String]) {
    let sections = sections(program);
    let mut missing: BTreeSet<String> = sections.iter().flat_map(Section::parts).collect();
    let check = |line: &String| {
        let value: Value = serde_json::from_str(line).unwrap();
        let section = sections.iter().find(|section| value["event"] == section.event.as_str());
        section.unwrap_or_else(|| panic!("not documented: {line}")).check(line, &value)
    };
    for event in events {
        missing = &missing - &check(event);
    }
    assert!(missing.is_empty(), "documented, but not emitted here: {missing:?}");
    for section in &sections {
        assert!(!section.examples.is_empty(), "no example of {}", section.event);
        for example in &section.examples {
            check(example);
            assert!(example.contains(&format!("\"event\":\"{}\"", section.event)), "{example}");
        }
    }
}

/// A program in JSON format, and all events that it has emitted.
struct Recorded {
    program: Program,
    events: Vec<String>,
}

impl Recorded {
    fn start(program: Program) -> Self {
        Self { program, events: Vec::new() }
    }

    /// Waits for the next event of this kind.
    fn until(&mut self, event: &str) -> Value {
        loop {
            let line = self.program.out.next();
            let value: Value = serde_json::from_str(&line).unwrap();
            self.events.push(line);
            if value["event"] == event {
                return value;
            }
        }
    }

    fn rest(mut self) -> Vec<String> {
        self.events.extend(self.program.out.rest().lines().map(str::to_owned));
        self.events
    }
}

/// A hub with this configuration.
fn hub(config: &str) -> (Recorded, SocketAddr) {
    let console = "[console]\nformat = \"json\"\ncommands = \"on\"\n";
    let file = config_file(&format!("{console}{config}"));
    let mut command = server_command();
    let command = command.args(["--bind", "127.0.0.1", "--config"]).arg(file.path()).arg("0");
    let mut hub = Recorded::start(Program::start(command));
    let address = hub.until("bound")["address"].as_str().unwrap().parse().unwrap();
    (hub, address)
}

fn admitted(address: SocketAddr) -> Peer {
    Peer::connect(address).greeted()
}

/// The events of an operator who uses HTTP.
#[cfg(feature = "admin")]
fn events_by_http() -> Vec<String> {
    use crate::http::web::{Api, SECRET};

    let token = config_file(SECRET);
    let path = token.path().display();
    let (mut hub, address) =
        hub(&format!("[admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"{path}\"\n"));
    let admin = hub.until("admin")["address"].as_str().unwrap().parse().unwrap();
    let api = Api { address: admin };
    let _client = admitted(address);
    hub.until("connected");
    assert_eq!(api.post("/api/v1/broadcast", "to all").status, 200);
    assert_eq!(api.post("/api/v1/sessions/1/lines", "to one").status, 200);
    assert_eq!(api.send("DELETE /api/v1/sessions/1", "", b"").status, 202);
    hub.until("disconnected");
    hub.program.stop();
    hub.rest()
}

/// The events that a device and a few clients cause.
fn events_of_ordinary_clients() -> Vec<String> {
    let device = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = format!(
        "[server]\nmax_sessions = 1\n[limits]\nmax_line = 100\n[timeouts]\nslot = \"off\"\n\
         [[connect]]\naddress = \"{}\"\nname = \"scope\"\n",
        device.local_addr().unwrap()
    );
    let (mut hub, address) = hub(&config);
    let mut scope = Peer::of(device.accept().unwrap().0);
    hub.until("connected");
    scope.send(format!("{}\n5.00 V\n", "x".repeat(101)));
    hub.until("message");
    let mut client = admitted(address);
    assert_eq!(Peer::connect(address).line(), "421 Server rejected due to too many clients");
    hub.until("rejected");
    hub.program.enter("I have 1 client");
    hub.until("broadcast");
    hub.program.enter("/tell scope MEASURE?");
    hub.until("told");
    client.send("taco cat\nhalf a line");
    hub.until("message");
    client.reset();
    assert_eq!(hub.until("disconnected")["reason"], "lost");
    assert_eq!(admitted(address).leave(), "");
    assert_eq!(hub.until("disconnected")["reason"], "left");
    hub.program.enter(&"x".repeat(101));
    hub.until("problem");
    drop(device);
    hub.program.enter("/kick scope");
    assert_eq!(hub.until("disconnected")["reason"], "kicked");
    drop(scope);
    let mut client = admitted(address);
    client.send("taco cat\nhalf a line");
    hub.until("message");
    hub.program.signal(Signal::TERM);
    hub.rest()
}

/// The events of clients that a hub closes because of their silence.
fn events_of_an_idle_client() -> Vec<String> {
    let (mut hub, address) = hub("[timeouts]\nidle = \"100ms\"\n");
    let mut client = admitted(address);
    assert_eq!(client.rest(), "");
    hub.until("disconnected");
    hub.program.stop();
    hub.rest()
}

/// The events of a client that does not read.
fn events_of_a_stalled_client() -> Vec<String> {
    let config = "[limits]\noutbox = \"128 KiB\"\n[timeouts]\nstall = \"100ms\"\n";
    let (mut hub, address) = hub(config);
    let _client = admitted(address);
    let mut stdin = hub.program.stdin.take().unwrap();
    let operator = thread::spawn(move || {
        let line = format!("{}\n", "x".repeat(60_000));
        // It fails when the hub has stopped.
        while stdin.write_all(line.as_bytes()).is_ok() {}
    });
    hub.until("disconnected");
    hub.program.signal(Signal::TERM);
    let events = hub.rest();
    operator.join().unwrap();
    events
}

#[test]
fn the_server_emits_what_is_documented_and_nothing_else() {
    let ordinary = events_of_ordinary_clients();
    assert!(ordinary[0].contains("\"event\":\"bound\""), "{}", ordinary[0]);
    assert!(ordinary.last().unwrap().contains("\"event\":\"stopped\""), "{ordinary:?}");
    let mut events = [ordinary, events_of_an_idle_client(), events_of_a_stalled_client()].concat();
    #[cfg(feature = "admin")]
    events.extend(events_by_http());
    assert_documented("hub-server", &events);
}

fn client(address: SocketAddr) -> Recorded {
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let args = ["--format", "json", &port, &ip];
    Recorded::start(Program::start(client_command().args(args)))
}

/// The events of a client whose connection breaks.
fn events_of_a_lost_connection() -> Vec<String> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = client(listener.local_addr().unwrap());
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all(b"220 linehub ready: client 1 of 4\n").unwrap();
    client.until("connected");
    SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(stream);
    client.rest()
}

#[test]
fn the_client_emits_what_is_documented_and_nothing_else() {
    let config = "[server]\nmax_sessions = 1\n[timeouts]\nslot = \"off\"\n";
    let (mut hub, address) = hub(config);
    let mut leaving = client(address);
    leaving.until("connected");
    let refused = client(address).rest();
    hub.program.enter("né");
    leaving.until("response");
    leaving.program.enter(&"x".repeat((1 << 20) + 1));
    leaving.until("problem");
    leaving.program.end_input();
    let left = leaving.rest();
    let mut stays = client(address);
    stays.until("connected");
    hub.program.stop();
    let events = [left, refused, stays.rest(), events_of_a_lost_connection()].concat();
    assert_documented("hub-client", &events);
}

#[test]
fn every_event_and_reason_in_the_source_is_documented() {
    let sections: Vec<Section> =
        ["hub-server", "hub-client"].iter().flat_map(|program| sections(program)).collect();
    let events: BTreeSet<_> = sections.iter().map(|section| section.event.as_str()).collect();
    let json = include_str!("../../../src/events/json.rs");
    let kinds = json.split("record(\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    assert_eq!(kinds.collect::<BTreeSet<_>>(), events);
    let reasons: BTreeSet<_> = sections.iter().flat_map(|section| &section.reasons).collect();
    let source = include_str!("../../../src/events/mod.rs");
    let words = source.split("=> \"").skip(1).map(|rest| rest.split('"').next().unwrap());
    for word in words {
        assert!(reasons.contains(&word.to_owned()), "the reason {word} is not documented");
    }
}
