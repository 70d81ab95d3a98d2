//! Signals that only report a failed write end no program. Others keep their meaning.

use std::{
    fs::{self, File},
    net::TcpListener,
    os::unix::process::ExitStatusExt,
    process::{Command, Stdio},
};

use rustix::process::Signal;

use crate::support::{Hub, Peer, Program, command, wait_until};

const SERVER: &str = env!("CARGO_BIN_EXE_hub-server");
const CLIENT: &str = env!("CARGO_BIN_EXE_hub-client");

/// What is reported when stdout has reached the limit of a file's size.
const TOO_LARGE: &str = "cannot write to stdout: File too large\n";

/// A command for the program with a limit on the size of files, in blocks of 512 bytes or of 1 KiB,
/// whichever the shell counts.
fn limited(blocks: usize, program: &str) -> Command {
    let mut command = command("sh");
    let script = format!("ulimit -f {blocks}; exec \"$0\" \"$@\"");
    command.args(["-c", &script, program]);
    command
}

#[test]
fn the_hub_stops_in_order_when_stdout_reaches_its_file_size_limit() {
    for format in ["text", "json"] {
        let out = tempfile::NamedTempFile::new().unwrap();
        let mut command = limited(1, SERVER);
        command.args(["--bind", "127.0.0.1", "--format", format, "0"]);
        command.stdin(Stdio::null()).stdout(out.reopen().unwrap());
        let mut hub = Program::spawn(&mut command);
        let port = wait_until("it is bound", || {
            let text = fs::read_to_string(out.path()).unwrap();
            let line = text.strip_suffix('\n')?;
            let digits = line.trim_end_matches(['}', '"']).rsplit([' ', ':']).next()?;
            digits.parse::<u16>().ok()
        });
        let mut peer = Peer::connect(([127, 0, 0, 1], port).into()).greeted();
        peer.send("a line\n".repeat(1000));
        hub.ends_with(1);
        assert_eq!(hub.err.rest(), format!("hub-server: {TOO_LARGE}"));
        // The peer sees that its lines were lost.
        assert!(peer.try_rest().is_err());
    }
}

#[test]
fn the_client_ends_with_an_error_when_stdout_reaches_its_file_size_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let out = tempfile::tempfile().unwrap();
    let mut command = limited(1, CLIENT);
    command.arg(listener.local_addr().unwrap().port().to_string());
    let mut client = Program::spawn(command.stdin(Stdio::piped()).stdout(out));
    let mut hub = Peer::of(listener.accept().unwrap().0);
    hub.send("220 linehub ready: client 1 of 4\n");
    hub.send("a line\n".repeat(1000));
    client.ends_with(1);
    assert_eq!(client.err.rest(), format!("hub-client: {TOO_LARGE}"));
}

#[test]
fn a_requested_text_that_exceeds_the_file_size_limit_is_an_error() {
    for (name, program) in [("hub-server", SERVER), ("hub-client", CLIENT)] {
        let out = tempfile::tempfile().unwrap();
        let mut command = limited(0, program);
        let mut program = Program::spawn(command.arg("--help").stdin(Stdio::null()).stdout(out));
        program.ends_with(1);
        assert_eq!(program.err.rest(), format!("{name}: {TOO_LARGE}"));
    }
}

#[test]
fn keeps_serving_when_stderr_reaches_its_file_size_limit() {
    let err = tempfile::NamedTempFile::new().unwrap();
    let mut command = command("sh");
    let script = "ulimit -f 0; exec \"$0\" --bind 127.0.0.1 0 2>\"$1\"";
    command.args(["-c", script, SERVER]).arg(err.path());
    // A directory at stdin is reported.
    command.stdin(File::open("/").unwrap()).stdout(Stdio::piped());
    let mut hub = Hub::of(Program::spawn(&mut command));
    let mut peer = hub.peer();
    peer.send("still there?\n");
    hub.program.out.find("?ereht llits");
    hub.program.stop();
}

#[test]
fn signals_that_report_a_failed_write_do_not_end_the_hub() {
    let mut hub = Hub::start(&[]);
    for signal in [Signal::PIPE, Signal::XFSZ] {
        hub.program.signal(signal);
    }
    let mut peer = hub.peer();
    peer.send("still there?\n");
    hub.program.out.find("?ereht llits");
    hub.program.stop();
}

#[test]
fn a_limit_on_cpu_time_still_ends_the_hub() {
    let mut hub = Hub::start(&[]);
    hub.program.signal(Signal::XCPU);
    assert_eq!(hub.program.wait().signal(), Some(Signal::XCPU.as_raw()));
}
