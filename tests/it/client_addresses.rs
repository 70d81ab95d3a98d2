//! hub-client and addresses that do not answer.

use std::{
    fs,
    io::Write,
    net::{SocketAddr, TcpListener},
    process::Command,
};

use socket2::{Domain, Socket, Type};

use crate::support::{Hub, Program, client_command, command, server_command};

/// An address whose backlog is full, so that the kernel answers nothing to further connections.
struct Dead {
    address: SocketAddr,
    _sockets: Vec<Socket>,
}

impl Dead {
    fn at(address: &str) -> Self {
        let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let listener = socket();
        listener.bind(&address.parse::<SocketAddr>().unwrap().into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut sockets = vec![listener];
        for _ in 0..3 {
            let full = socket();
            full.set_nonblocking(true).unwrap();
            // It is in progress, and remains so if the backlog is full already.
            let _ = full.connect(&address);
            sockets.push(full);
        }
        Self { address: address.as_socket().unwrap(), _sockets: sockets }
    }
}

#[test]
fn an_address_that_does_not_answer_is_reported_after_a_second_and_again_at_the_time_limit() {
    let dead = Dead::at("127.0.0.1:0");
    let (address, port) = (dead.address, dead.address.port().to_string());
    let mut client = Program::start(client_command().args(["--timeout", "1500ms", &port]));
    client.ends_with(1);
    assert_eq!(
        client.err.rest(),
        format!(
            "hub-client: still connecting to {address}\n\
             hub-client: cannot connect to {address}: no answer within 1s 500ms\n"
        )
    );
    assert_eq!(client.out.rest(), "");
}

#[test]
fn a_signal_ends_a_client_that_is_connecting() {
    let dead = Dead::at("127.0.0.1:0");
    let (address, port) = (dead.address, dead.address.port().to_string());
    let mut client = Program::start(client_command().arg(port));
    assert_eq!(client.err.next(), format!("hub-client: still connecting to {address}"));
    client.signal(rustix::process::Signal::TERM);
    client.ends_with(1);
    assert_eq!(client.err.rest(), format!("hub-client: stopped before {address} greeted\n"));
}

/// Runs a program with a hosts file of its own, in a mount namespace. None if the machine forbids that.
fn with_hosts(
    hosts: &str,
    program: &str,
    args: &[&str],
) -> Option<(Command, tempfile::NamedTempFile)> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(hosts.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let unshared = |script: &str| {
        let mut command = command("unshare");
        let script = format!("mount --bind {path} /etc/hosts && {script}");
        command.args(["--mount", "--map-root-user", "sh", "-c", &script, "sh", program]).args(args);
        command
    };
    let allowed = unshared("true").output().is_ok_and(|output| output.status.success());
    allowed.then(|| (unshared("exec \"$@\""), file))
}

#[test]
fn dead_addresses_of_a_host_cost_a_fraction_of_a_second_each() {
    let hub = Hub::start_as(server_command().args(["--bind", "127.0.0.3", "0"]));
    let port = hub.address.port();
    let _dead = [1, 2, 4, 5].map(|last| Dead::at(&format!("127.0.0.{last}:{port}")));
    let hosts: String = (1..=5).map(|last| format!("127.0.0.{last} many.test\n")).collect();
    let (program, port) = (env!("CARGO_BIN_EXE_hub-client"), port.to_string());
    // Less than the kernel would wait for the first address alone.
    let args = ["--timeout", "20s", &port, "many.test"];
    let Some((mut command, _hosts)) = with_hosts(&hosts, program, &args) else {
        let reason = "mount namespaces are not allowed here";
        return crate::client::not_permitted(reason);
    };
    let mut client = Program::start(&mut command);
    assert_eq!(
        client.out.next(),
        format!("> Connected to server IP = many.test and PORT = {port}")
    );
    client.end_input();
    client.ends_with(0);
}

#[test]
fn if_every_address_of_a_host_refuses_there_is_one_sentence() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let hosts = "127.0.0.1 many.test\n127.0.0.2 many.test\n";
    let program = env!("CARGO_BIN_EXE_hub-client");
    let Some((mut command, hosts)) = with_hosts(hosts, program, &[&unused, "many.test"]) else {
        return crate::client::not_permitted("mount namespaces are not allowed here");
    };
    let mut client = Program::start(&mut command);
    client.ends_with(1);
    let why = format!("hub-client: cannot connect to many.test:{unused}: Connection refused\n");
    assert_eq!(client.err.rest(), why);
    assert!(fs::metadata(hosts.path()).is_ok());
}
