//! The promises of hub-client: its exit statuses, what it reports, and what it sends.

use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::Stdio,
    thread,
};

use rustix::process::Signal;

use crate::support::{Hub, Peer, Program, client_command, heavy, server_command, wait_until};

/// A client connected to this address, with pipes as stdin, stdout and stderr.
pub(crate) fn client(address: SocketAddr) -> Program {
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    Program::start(client_command().args([port, ip]))
}

/// A file of `count` numbered lines of 64 bytes.
fn numbered(count: usize) -> (tempfile::NamedTempFile, File) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let mut text = Vec::new();
    for number in 0..count {
        writeln!(text, "{number:063}").unwrap();
    }
    file.write_all(&text).unwrap();
    let input = file.reopen().unwrap();
    (file, input)
}

/// A client that reads the file as its stdin. Its stdout is discarded.
fn client_of_file(address: SocketAddr, file: File) -> Program {
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    Program::spawn(client_command().args([port, ip]).stdin(file).stdout(Stdio::null()))
}

/// A listener with which the test plays the server.
pub(crate) fn played() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Accepts the next client and sends it the greeting.
pub(crate) fn greet(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all(b"220 linehub ready: client 1 of 4\n").unwrap();
    stream
}

/// Reports that a test did not run because this machine does not permit something that it needs.
pub(crate) fn not_permitted(reason: &str) {
    let thread = thread::current();
    let test = thread.name().unwrap_or("a test");
    // The test harness captures what eprintln! prints, but not this.
    let _ = io::stderr().write_all(format!("skipped {test}: {reason}\n").as_bytes());
}

#[test]
fn status_0_after_a_large_file_means_the_server_printed_every_line() {
    let _turn = heavy();
    // 12.8 MB in a debug build; 640 MB in a release build, which is fast enough.
    let count = if cfg!(debug_assertions) { 200_000 } else { 10_000_000 };
    let (_file, input) = numbered(count);
    let hub = Hub::start(&[]);
    let mut client = client_of_file(hub.address, input);
    for number in 0..count {
        let line = hub.program.out.find("Client message = ");
        let text: String = line.rsplit(' ').next().unwrap().chars().rev().collect();
        assert_eq!(text.parse(), Ok(number));
        if number == count / 20 {
            let memory = client.status("VmHWM");
            assert!(memory < 32 * 1024, "{memory} KiB");
        }
    }
    client.ends_with(0);
}

#[test]
fn a_server_that_ends_first_gives_status_1() {
    let _turn = heavy();
    for signal in [Signal::KILL, Signal::TERM] {
        let (_file, input) = numbered(400_000);
        let hub = Hub::with_unread_stdout("[timeouts]\ndrain = \"500ms\"\n");
        let mut client = client_of_file(hub.address, input);
        // The server's stdout is not read, so most lines are still in transit when the server ends.
        wait_until("the client is under way", || (client.position_in_stdin() > 0).then_some(()));
        hub.program.signal(signal);
        client.ends_with(1);
        // After SIGTERM, the server may close in an orderly way before the reset. Then only the
        // transcript reports the end.
        let why = client.err.rest();
        let lost = format!("hub-client: the connection to {} was lost: ", hub.address);
        let closed = signal == Signal::TERM && why.is_empty();
        assert!(closed || why.starts_with(&lost) && why.lines().count() == 1, "{why}");
    }
}

#[test]
fn lines_after_exit_are_not_sent() {
    let hub = Hub::start(&["--max-sessions", "1"]);
    let mut client = client(hub.address);
    client.stdin.as_mut().unwrap().write_all(b"before\nexit\nafter\n").unwrap();
    client.ends_with(0);
    hub.program.out.find("New connection");
    assert!(hub.program.out.next().ends_with("Client message = erofeb"));
    assert!(hub.program.out.next().starts_with("> Closing connection"));
    // `exit` is a command of hub-client. To the server it is a line like any other.
    let mut peer = hub.peer();
    peer.send("exit\n");
    hub.program.out.find("Client message = tixe");
}

#[test]
fn a_refused_client_ends_with_status_3_and_prints_nothing_on_stderr() {
    let hub = Hub::start(&["--max-sessions", "1"]);
    let _holder = hub.peer();
    let mut client = client(hub.address);
    client.ends_with(3);
    assert_eq!(
        client.out.rest(),
        "> Server rejected due to too many clients\n> Closing client...\n"
    );
    assert_eq!(client.err.rest(), "");
}

#[test]
fn a_server_that_never_closes_is_given_up_after_a_few_seconds() {
    let (listener, address) = played();
    let mut client = client(address);
    let mut server = BufReader::new(greet(&listener));
    client.enter("hello");
    client.end_input();
    let mut text = String::new();
    server.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello\n");
    client.ends_with(1);
    let why = format!("hub-client: {address} has not read all lines: no progress for 5 seconds");
    assert_eq!(client.err.next(), why);
}

#[test]
fn a_server_line_that_is_too_long_is_discarded_and_reported() {
    let (listener, address) = played();
    let client = client(address);
    let mut server = greet(&listener);
    server.write_all(&vec![b'x'; (1 << 20) + 1]).unwrap();
    server.write_all(b"\nshort\n").unwrap();
    client.out.find("> Server response : trohs");
    let report = client.err.next();
    assert!(report.starts_with("hub-client: discarded a line of 1048577 bytes"), "{report}");
}

#[test]
fn a_signal_before_the_end_of_input_is_reported_with_status_1() {
    let hub = Hub::start(&[]);
    let mut client = client(hub.address);
    client.enter("entered");
    hub.program.out.find("deretne");
    client.signal(Signal::TERM);
    client.ends_with(1);
    assert_eq!(client.err.next(), "hub-client: stopped before the end of the input");
    assert!(client.out.rest().ends_with("> Closing client...\n"));
}

#[test]
fn a_client_without_stdout_ends_with_status_1() {
    let hub = Hub::start(&[]);
    let (ip, port) = (hub.address.ip().to_string(), hub.address.port().to_string());
    let mut command = client_command();
    let (mut client, stdout) = Program::with_stdout(command.args([port, ip]).stdin(Stdio::piped()));
    drop(stdout);
    hub.program.out.find("New connection");
    // If the client printed its first lines before the pipe was closed, printing these must fail.
    let mut stdin = client.stdin.take().unwrap();
    let typing = thread::spawn(move || while stdin.write_all(b"hello\n").is_ok() {});
    client.ends_with(1);
    typing.join().unwrap();
}

#[test]
fn a_reset_after_an_orderly_end_gives_status_1() {
    let (_file, input) = numbered(20_000);
    let (listener, address) = played();
    let mut client = client_of_file(address, input);
    let server = Peer::of(greet(&listener));
    // The server reads none of it, so the last lines are still in transit.
    wait_until("the client has read its input", || {
        (client.position_in_stdin() == 20_000 * 64).then_some(())
    });
    server.stream().shutdown(Shutdown::Write).unwrap();
    server.reset();
    client.ends_with(1);
    assert!(client.err.next().contains("127.0.0.1"));
}

#[test]
fn a_signal_while_waiting_for_the_server_to_close_changes_nothing() {
    let (listener, address) = played();
    let mut client = client(address);
    let mut server = Peer::of(greet(&listener));
    client.enter("hello");
    client.end_input();
    assert_eq!(server.rest(), "hello\n");
    client.signal(Signal::TERM);
    server.send("got it\n");
    client.out.find("ti tog");
    drop(server);
    client.ends_with(0);
    assert_eq!(client.err.rest(), "");
}

#[test]
fn an_input_line_that_is_too_long_is_reported_and_gives_status_1() {
    let hub = Hub::start(&[]);
    let mut client = client(hub.address);
    client.enter(&"x".repeat((1 << 20) + 1));
    client.enter("short");
    client.end_input();
    hub.program.out.find("trohs");
    client.ends_with(1);
    let report = client.err.next();
    assert!(report.starts_with("hub-client: a line of 1048577 bytes was not sent"), "{report}");
    assert!(client.err.next().starts_with("hub-client: not every line was sent"));
}

#[test]
fn unreadable_input_is_reported_and_gives_status_1() {
    let hub = Hub::start(&[]);
    let mut client = client_of_file(hub.address, File::open("/").unwrap());
    client.ends_with(1);
    assert_eq!(client.err.rest(), "hub-client: cannot read stdin: Is a directory\n");
}

#[test]
fn an_ipv6_address_may_have_brackets() {
    let hub = Hub::start_as(server_command().args(["--bind", "::1", "0"]));
    let port = hub.address.port().to_string();
    let mut client = Program::start(client_command().args([port.as_str(), "[::1]"]));
    client.end_input();
    client.ends_with(0);
    let connected = format!("> Connected to server IP = [::1] and PORT = {port}");
    assert_eq!(client.out.next(), connected);
}

#[test]
fn sends_and_receives_at_full_speed_at_once() {
    let _turn = heavy();
    let (_file, input) = numbered(50_000);
    let mut hub = Hub::start(&[]);
    let (ip, port) = (hub.address.ip().to_string(), hub.address.port().to_string());
    let mut client =
        Program::spawn(client_command().args([port, ip]).stdin(input).stdout(Stdio::piped()));
    let mut peer: Peer = hub.peer();
    let mut operator = hub.program.stdin.take().unwrap();
    let relaying = thread::spawn(move || {
        for number in 0..50_000 {
            writeln!(operator, "{number}").unwrap();
        }
        operator
    });
    for number in 0..50_000 {
        assert_eq!(peer.line(), number.to_string());
    }
    drop(relaying.join().unwrap());
    client.ends_with(0);
    assert!(client.out.rest().ends_with("> Closing client...\n"));
}
