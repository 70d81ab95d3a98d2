//! The options of hub-client that change what it connects to and how lines read.

use std::{fs::File, io::Read, process::Stdio};

use serde_json::Value;

use crate::{
    client::{greet, played},
    support::{Hub, Peer, Program, client_command, server_command},
};

#[test]
fn host_and_port_may_be_one_argument() {
    for (bind, typed) in [("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "localhost"), ("::1", "[::1]")]
    {
        let hub = Hub::start_as(server_command().args(["--bind", bind, "0"]));
        let port = hub.address.port();
        let mut client = Program::start(client_command().arg(format!("{typed}:{port}")));
        let connected = format!("> Connected to server IP = {typed} and PORT = {port}");
        assert_eq!(client.out.next(), connected);
        client.end_input();
        client.ends_with(0);
    }
}

#[test]
fn host_and_port_exclude_an_address() {
    let mut client = Program::start(client_command().args(["localhost:4444", "127.0.0.1"]));
    client.ends_with(2);
    let why = "hub-client: HOST:PORT cannot be used with an ADDRESS after it";
    assert_eq!(client.err.next(), why);
    for wrong in ["localhost:0", "::1:4444", "localhost:", ":4444", "localhost"] {
        let mut client = Program::start(client_command().arg(wrong));
        client.ends_with(2);
        assert!(client.err.next().starts_with(&format!("hub-client: invalid value '{wrong}'")));
    }
}

#[test]
fn without_reversal_lines_read_as_they_were_sent() {
    for json in [false, true] {
        for variable in [false, true] {
            let (listener, address) = played();
            let mut command = client_command();
            command.arg(address.to_string()).args(if json {
                &["--format", "json"][..]
            } else {
                &[]
            });
            match variable {
                true => command.env("LINEHUB_REVERSE", "false"),
                false => command.arg("--no-reverse"),
            };
            let client = Program::start(&mut command);
            let mut server = Peer::of(greet(&listener));
            server.send("taco cat\n");
            let line = client.out.find("taco cat");
            if json {
                let response: Value = serde_json::from_str(&line).unwrap();
                assert_eq!(response["text"], "taco cat");
            } else {
                assert_eq!(line, "> Server response : taco cat");
            }
        }
    }
}

#[test]
fn a_variable_that_is_not_boolean_is_rejected() {
    let mut client = Program::start(client_command().arg("4444").env("LINEHUB_REVERSE", "no"));
    client.ends_with(2);
    assert!(client.err.next().starts_with("hub-client: LINEHUB_REVERSE: invalid value 'no'"));
}

/// What a client writes to a terminal at stderr while a pipe is at stdin and stdout.
fn progress_of(args: &[&str], lines: &str) -> String {
    let hub = Hub::start(&[]);
    let (mut terminal, its_end) = pty_process::blocking::open().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), lines).unwrap();
    let mut command = client_command();
    command.arg(hub.address.to_string()).args(args).stdin(File::open(file.path()).unwrap());
    let err = rustix::io::dup(&its_end).unwrap();
    let mut client = command.stdout(Stdio::null()).stderr(Stdio::from(err)).spawn().unwrap();
    let status = client.wait().unwrap();
    assert!(status.success(), "{status}");
    // Its other end is open, so that this read ends before an error would.
    let mut written = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&written).contains("received by the hub") {
        let count = terminal.read(&mut buffer).unwrap();
        written.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8(written).unwrap()
}

#[test]
fn the_progress_is_a_line_on_stderr_and_ends_with_the_lines_that_the_hub_received() {
    for args in [&[][..], &["--quiet"], &["--format", "json"]] {
        let progress = progress_of(args, "one\ntwo\nthree");
        // The last line has no end, and is read by itself.
        assert!(progress.starts_with("\rlines sent: 2, 8 B, "), "{progress:?}");
        let end = "\rhub-client: lines sent: 3; received by the hub: 3\r\n";
        assert!(progress.ends_with(end), "{progress:?}");
    }
}
