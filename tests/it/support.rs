//! The test harness: the real programs over pipes, and peers over plain sockets. Every wait has a
//! time-out.

pub(crate) mod network;
mod peer;

use std::{
    env,
    ffi::OsString,
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::SocketAddr,
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use socket2::{Domain, Socket, Type};

pub(crate) use self::peer::Peer;

/// The time-out of every wait: longer than anything takes, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Held by tests that load the machine, so that only one of them runs at a time.
static HEAVY: Mutex<()> = Mutex::new(());

/// Waits until no other heavy test runs. A heavy test that failed does not fail the others.
pub(crate) fn heavy() -> MutexGuard<'static, ()> {
    HEAVY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A command for one of the programs, without the environment variables that it reads.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    for variable in linehub_variables() {
        command.env_remove(variable);
    }
    command
}

/// The names of the variables in the environment that the programs may read, now or in the future.
pub(crate) fn linehub_variables() -> impl Iterator<Item = OsString> {
    let names = env::vars_os().map(|(name, _)| name);
    names.filter(|name| name.as_encoded_bytes().starts_with(b"LINEHUB_"))
}

pub(crate) fn server_command() -> Command {
    command(env!("CARGO_BIN_EXE_hub-server"))
}

pub(crate) fn client_command() -> Command {
    command(env!("CARGO_BIN_EXE_hub-client"))
}

/// A running program whose pipes the test holds. Dropping it kills the program.
pub(crate) struct Program {
    child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) out: OutputLines,
    pub(crate) err: OutputLines,
}

impl Program {
    /// Starts it with pipes at stdin, stdout and stderr.
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()))
    }

    /// Starts it with the command's own stdin and stdout, and a pipe at stderr.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        let out = child.stdout.take().map_or_else(OutputLines::none, OutputLines::of);
        let err = child.stderr.take().map_or_else(OutputLines::none, OutputLines::of);
        Self { child, stdin, out, err }
    }

    /// Starts it and returns its stdout unread.
    pub(crate) fn with_stdout(command: &mut Command) -> (Self, ChildStdout) {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let stdin = child.stdin.take();
        let err = child.stderr.take().map_or_else(OutputLines::none, OutputLines::of);
        (Self { child, stdin, out: OutputLines::none(), err }, stdout)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line to its stdin.
    pub(crate) fn enter(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Closes its stdin.
    pub(crate) fn end_input(&mut self) {
        self.stdin = None;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits until it ends.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_until("the program ends", || self.child.try_wait().unwrap())
    }

    /// Waits until it ends and checks its exit status.
    pub(crate) fn ends_with(&mut self, status: i32) {
        let ended = self.wait();
        let err = if ended.code() == Some(status) { String::new() } else { self.err.rest() };
        assert_eq!(ended.code(), Some(status), "{ended}; stderr: {err}");
    }

    /// Stops it with SIGTERM and expects status 0.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::TERM);
        self.ends_with(0);
    }

    /// A field of its `/proc` status: memory in KiB (`VmRSS` now, `VmHWM` at its peak), or `FDSize`.
    pub(crate) fn status(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Its state in `/proc`, such as `T`: stopped.
    pub(crate) fn state(&self) -> char {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
    }

    /// How much it has read of the file at its stdin, in bytes.
    pub(crate) fn position_in_stdin(&self) -> u64 {
        let info = fs::read_to_string(format!("/proc/{}/fdinfo/0", self.pid())).unwrap();
        let position = info.lines().find_map(|line| line.strip_prefix("pos:")).unwrap();
        position.trim().parse().unwrap()
    }

    /// The number of its open descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// The CPU time that it has used, in clock ticks of a hundredth of a second.
    pub(crate) fn cpu(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let fields = stat.rsplit_once(')').unwrap().1;
        fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A hub at a free port of 127.0.0.1, over pipes.
pub(crate) struct Hub {
    pub(crate) program: Program,
    pub(crate) address: SocketAddr,
}

impl Hub {
    /// Starts it with these arguments and reads the first line of its stdout.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_as(server_command().args(["--bind", "127.0.0.1"]).args(args).arg("0"))
    }

    /// Starts this command with pipes at stdin, stdout and stderr.
    pub(crate) fn start_as(command: &mut Command) -> Self {
        Self::of(Program::start(command))
    }

    /// A hub whose stdout nobody reads after its first line.
    pub(crate) fn with_unread_stdout(config: &str) -> Self {
        let (hub, []) = Self::with_unread_stdout_after(config);
        hub
    }

    /// A hub whose stdout nobody reads after its first line and these further ones.
    pub(crate) fn with_unread_stdout_after<const N: usize>(config: &str) -> (Self, [String; N]) {
        let file = config_file(config);
        let mut command = server_command();
        command.args(["--bind", "127.0.0.1", "--config"]).arg(file.path()).arg("0");
        let (program, mut stdout) = Program::with_stdout(command.stdin(Stdio::piped()));
        let address = bound(&first_line(&mut stdout));
        let further = [(); N].map(|()| first_line(&mut stdout));
        // It stays open until the program ends, and nobody reads it.
        thread::spawn(move || {
            let _keep = stdout;
            loop {
                thread::park();
            }
        });
        (Self { program, address }, further)
    }

    /// A hub whose stdout is closed after its first line.
    pub(crate) fn with_closed_stdout() -> Self {
        let mut command = server_command();
        command.args(["--bind", "127.0.0.1", "0"]).stdin(Stdio::piped());
        let (program, mut stdout) = Program::with_stdout(&mut command);
        let address = bound(&first_line(&mut stdout));
        Self { program, address }
    }

    /// A hub that has been started and whose first line has not been read.
    pub(crate) fn of(program: Program) -> Self {
        let address = bound(&program.out.next());
        Self { program, address }
    }

    /// Starts it with this text as its configuration file.
    pub(crate) fn with_config(text: &str, args: &[&str]) -> Self {
        let file = config_file(text);
        // The server has read the file by the time it has bound its port.
        let path = file.path().to_str().unwrap().to_owned();
        Self::start(&[&["--config", &path], args].concat())
    }

    /// A peer that has been admitted.
    pub(crate) fn peer(&self) -> Peer {
        Peer::connect(self.address).greeted()
    }

    /// A peer with a small receive buffer, so that the hub soon notices when it does not read.
    pub(crate) fn small_peer(&self) -> Peer {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&self.address.into()).unwrap();
        Peer::of(socket.into()).greeted()
    }

    /// Expects this as the next line on stdout.
    pub(crate) fn says(&self, line: &str) {
        assert_eq!(self.program.out.next(), line);
    }

    /// The next event on stdout, in the JSON format.
    pub(crate) fn event(&self) -> serde_json::Value {
        serde_json::from_str(&self.program.out.next()).unwrap()
    }

    /// The next event with this name; those before it are skipped.
    pub(crate) fn event_named(&self, name: &str) -> serde_json::Value {
        loop {
            let event = self.event();
            if event["event"] == name {
                return event;
            }
        }
    }
}

pub(crate) fn config_file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// Reads the first line and nothing after it.
fn first_line(stream: &mut impl Read) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while byte != *b"\n" {
        stream.read_exact(&mut byte).unwrap();
        line.extend(byte);
    }
    String::from_utf8(line).unwrap().trim_end().to_owned()
}

/// The address in a server's first line.
fn bound(line: &str) -> SocketAddr {
    match line.strip_prefix("> Server bound to IP : ") {
        Some(rest) => {
            let (ip, port) = rest.split_once(" and PORT : ").unwrap();
            SocketAddr::new(ip.parse().unwrap(), port.parse().unwrap())
        }
        None => {
            let bound: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(bound["event"], "bound");
            bound["address"].as_str().unwrap().parse().unwrap()
        }
    }
}

/// The lines of an output stream, read by a thread of its own.
pub(crate) struct OutputLines(Receiver<String>);

impl OutputLines {
    pub(crate) fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line));
                if sender.send(text.into_owned()).is_err() {
                    return;
                }
                line.clear();
            }
        });
        Self(receiver)
    }

    fn none() -> Self {
        Self::of(io::empty())
    }

    /// The next line.
    pub(crate) fn next(&self) -> String {
        match self.0.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("no line came in time"),
            Err(RecvTimeoutError::Disconnected) => panic!("the stream has ended"),
        }
    }

    /// The next line, or none at the end of the stream.
    pub(crate) fn try_next(&self) -> Option<String> {
        match self.0.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Timeout) => panic!("no line came in time"),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    /// The next line that contains `part`; those before it are skipped.
    pub(crate) fn find(&self, part: &str) -> String {
        loop {
            let line = self.next();
            if line.contains(part) {
                return line;
            }
        }
    }

    /// All lines up to the end of the stream, each with its LF.
    pub(crate) fn rest(&self) -> String {
        let mut rest = String::new();
        while let Some(line) = self.try_next() {
            rest += &line;
            rest.push('\n');
        }
        rest
    }
}

/// Sleeps. Only for slow peers and for polling: a test waits for an event, not for time.
#[expect(clippy::disallowed_methods, reason = "a slow peer")]
pub(crate) fn nap(time: Duration) {
    thread::sleep(time);
}

/// Reports that a test did not run because this machine lacks something. In CI that is a failure.
pub(crate) fn skipped(reason: &str) {
    let thread = thread::current();
    let test = thread.name().unwrap_or("a test");
    assert!(env::var_os("CI").is_none(), "{test} must not be skipped in CI: {reason}");
    // The test harness captures what eprintln! prints, but not this.
    let _ = io::stderr().write_all(format!("skipped {test}: {reason}\n").as_bytes());
}

/// Polls every few milliseconds until there is a value.
pub(crate) fn wait_until<T>(what: &str, mut is_there: impl FnMut() -> Option<T>) -> T {
    for _ in 0..PATIENCE.as_millis() / 5 {
        if let Some(value) = is_there() {
            return value;
        }
        nap(Duration::from_millis(5));
    }
    panic!("timed out: {what}");
}
