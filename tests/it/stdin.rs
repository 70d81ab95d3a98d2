//! Whatever is at stdin: pipes in packet mode, named FIFOs, and no input at all.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    net::TcpListener,
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::{
    fs::{CWD, FileType, Mode, OFlags, mknodat},
    pipe::{PipeFlags, pipe_with},
    process::Signal,
};
use tempfile::TempDir;

use crate::support::{Hub, Peer, Program, client_command, command, nap, server_command};

/// A command for a hub at a free port.
fn hub_command() -> Command {
    let mut command = server_command();
    command.args(["--bind", "127.0.0.1", "0"]);
    command
}

/// A named FIFO in a folder of its own.
struct Fifo {
    _folder: TempDir,
    path: PathBuf,
}

impl Fifo {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        Self { _folder: folder, path }
    }

    /// The end for reading. With this flag, opening it does not wait for a writer.
    fn reader(&self) -> File {
        let flags = OFlags::NONBLOCK.bits().try_into().unwrap();
        OpenOptions::new().read(true).custom_flags(flags).open(&self.path).unwrap()
    }

    /// The end for writing. Opening it waits for a reader.
    fn writer(&self) -> File {
        OpenOptions::new().write(true).open(&self.path).unwrap()
    }

    /// A hub with this FIFO at its stdin.
    fn hub(&self) -> Hub {
        Hub::of(Program::spawn(hub_command().stdin(self.reader()).stdout(Stdio::piped())))
    }
}

#[test]
fn the_hub_relays_every_line_of_a_pipe_in_packet_mode() {
    let (reader, writer) = pipe_with(PipeFlags::DIRECT | PipeFlags::CLOEXEC).unwrap();
    let mut writer = File::from(writer);
    let hub = Hub::of(Program::spawn(hub_command().stdin(reader).stdout(Stdio::piped())));
    let mut peer = hub.peer();
    // Each write is a packet, and a read returns one packet at most.
    hub.program.signal(Signal::STOP);
    for line in ["one\n", "two\n", "three\n"] {
        writer.write_all(line.as_bytes()).unwrap();
    }
    hub.program.signal(Signal::CONT);
    assert_eq!([peer.line(), peer.line(), peer.line()], ["one", "two", "three"]);
}

#[test]
fn the_client_sends_every_line_of_a_pipe_in_packet_mode() {
    let (reader, writer) = pipe_with(PipeFlags::DIRECT | PipeFlags::CLOEXEC).unwrap();
    let mut writer = File::from(writer);
    for line in ["one\n", "two\n", "three\n"] {
        writer.write_all(line.as_bytes()).unwrap();
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let _client = Program::spawn(client_command().arg(port).stdin(reader).stdout(Stdio::piped()));
    let mut hub = Peer::of(listener.accept().unwrap().0);
    hub.send("220 linehub ready: client 1 of 4\n");
    assert_eq!([hub.line(), hub.line(), hub.line()], ["one", "two", "three"]);
}

#[test]
fn the_hub_reads_a_named_fifo_again_when_the_next_program_opens_it() {
    let fifo = Fifo::new();
    let mut hub = fifo.hub();
    let mut peer = hub.peer();
    for round in 0..20 {
        // The end of each writer ends its last line.
        write!(fifo.writer(), "whole {round}\nlast {round}").unwrap();
        assert_eq!(peer.line(), format!("whole {round}"));
        assert_eq!(peer.line(), format!("last {round}"));
    }
    // The end of a writer that has ended its last line itself, or has written nothing, adds no line.
    fifo.writer().write_all(b"with its line end\n").unwrap();
    assert_eq!(peer.line(), "with its line end");
    drop(fifo.writer());
    fifo.writer().write_all(b"after nothing\n").unwrap();
    assert_eq!(peer.line(), "after nothing");
    hub.program.stop();
    assert_eq!(hub.program.err.rest(), "");
}

#[test]
fn the_hub_loses_nothing_that_is_written_to_a_fifo_before_it_starts() {
    let fifo = Fifo::new();
    let reader = fifo.reader();
    fifo.writer().write_all(b"early").unwrap();
    let hub = Hub::of(Program::spawn(hub_command().stdin(reader).stdout(Stdio::piped())));
    hub.says("> Enter message to send to all clients : early");
    fifo.writer().write_all(b"late").unwrap();
    hub.says("> Enter message to send to all clients : late");
}

#[test]
fn the_hub_neither_spins_nor_leaks_while_no_program_has_the_fifo_open() {
    let fifo = Fifo::new();
    let mut hub = fifo.hub();
    fifo.writer().write_all(b"first\n").unwrap();
    hub.says("> Enter message to send to all clients : first");
    let (cpu, descriptors) = (hub.program.cpu(), hub.program.descriptors());
    // This is the time in which it could spin.
    nap(Duration::from_millis(300));
    let spent = hub.program.cpu() - cpu;
    assert!(spent < 10, "{spent} ticks");
    for round in 0..100 {
        writeln!(fifo.writer(), "{round}").unwrap();
        hub.says(&format!("> Enter message to send to all clients : {round}"));
    }
    assert_eq!(hub.program.descriptors(), descriptors);
    // Nor does it delay the end.
    hub.program.stop();
}

#[test]
fn the_hub_stops_although_no_program_has_opened_the_fifo_yet() {
    Fifo::new().hub().program.stop();
}

#[test]
fn a_named_fifo_ends_for_the_client_when_its_writer_closes_it() {
    let hub = Hub::start(&[]);
    let fifo = Fifo::new();
    let port = hub.address.port().to_string();
    let mut command = client_command();
    let mut client = Program::spawn(command.arg(port).stdin(fifo.reader()).stdout(Stdio::piped()));
    client.out.find("> Connected to server");
    fifo.writer().write_all(b"the only line").unwrap();
    client.ends_with(0);
    assert!(hub.program.out.find("Client message").ends_with(" = enil ylno eht"));
}

/// What nohup puts at stdin instead of a terminal: a device that is only open for writing.
fn unreadable() -> File {
    OpenOptions::new().write(true).open("/dev/null").unwrap()
}

#[test]
fn the_hub_reports_nothing_if_stdin_is_closed_from_the_start() {
    let mut closed = command("sh");
    closed.args(["-c", "exec \"$0\" --bind 127.0.0.1 0 <&-", env!("CARGO_BIN_EXE_hub-server")]);
    let mut under_nohup = hub_command();
    under_nohup.stdin(unreadable());
    for mut command in [closed, under_nohup] {
        let mut hub = Hub::of(Program::spawn(command.stdout(Stdio::piped())));
        let mut peer = hub.peer();
        peer.send("anybody?\n");
        hub.program.out.find("?ydobyna");
        hub.program.stop();
        assert_eq!(hub.program.err.rest(), "");
    }
}

#[test]
fn the_client_reports_nothing_if_stdin_is_closed_from_the_start() {
    let hub = Hub::start(&[]);
    let mut client = client_command();
    client.arg(hub.address.port().to_string()).stdin(unreadable()).stdout(Stdio::piped());
    let mut client = Program::spawn(&mut client);
    client.ends_with(0);
    assert_eq!(client.err.rest(), "");
}

#[test]
fn the_hub_reports_a_stdin_that_cannot_be_read() {
    let folder = File::open("/").unwrap();
    let mut hub = Hub::of(Program::spawn(hub_command().stdin(folder).stdout(Stdio::piped())));
    assert_eq!(hub.program.err.next(), "hub-server: cannot read stdin: Is a directory");
    hub.program.stop();
}
