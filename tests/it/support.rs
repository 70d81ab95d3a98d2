//! The harness: the real programs over pipes, and peers over plain sockets. Every wait is guarded.

mod peer;

use std::{
    env,
    ffi::OsString,
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::SocketAddr,
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use socket2::{Domain, Socket, Type};

pub(crate) use self::peer::Peer;

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Tests that move much data or fill the machine take turns by holding this.
pub(crate) static HEAVY: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// Takes the turn of a heavy test, also if another one has failed during its own.
pub(crate) fn heavy() -> std::sync::MutexGuard<'static, ()> {
    HEAVY.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The names of the set environment variables that the programs may read. Tests remove them, so that
/// the developer's environment does not matter.
pub(crate) fn hub_variables() -> impl Iterator<Item = OsString> {
    let is_ours = |name: &OsString| {
        let name = name.as_encoded_bytes();
        name.starts_with(b"HUB_") || name.starts_with(b"LINEHUB_")
    };
    env::vars_os().map(|(name, _)| name).filter(is_ours)
}

/// A command for one of the programs, without the environment variables that the programs read.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    for name in hub_variables() {
        command.env_remove(name);
    }
    command
}

pub(crate) fn server_command() -> Command {
    command(env!("CARGO_BIN_EXE_hub-server"))
}

pub(crate) fn client_command() -> Command {
    command(env!("CARGO_BIN_EXE_hub-client"))
}

/// A program whose pipes the test holds. Dropping it ends the program.
pub(crate) struct Program {
    child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) out: Lines,
    pub(crate) err: Lines,
}

impl Program {
    /// Starts it with pipes at stdin, stdout and stderr.
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()))
    }

    /// Starts it with the stdin and stdout that the command has been given.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        let out = child.stdout.take().map_or_else(Lines::none, Lines::of);
        let err = child.stderr.take().map_or_else(Lines::none, Lines::of);
        Self { child, stdin, out, err }
    }

    /// Starts it, and leaves its stdout to the test.
    pub(crate) fn with_stdout(command: &mut Command) -> (Self, ChildStdout) {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let stdin = child.stdin.take();
        let err = child.stderr.take().map_or_else(Lines::none, Lines::of);
        (Self { child, stdin, out: Lines::none(), err }, stdout)
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

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_until("the program ends", || self.child.try_wait().unwrap())
    }

    /// Waits for its end with this exit status.
    pub(crate) fn ends_with(&mut self, status: i32) {
        let ended = self.wait();
        let err = if ended.code() == Some(status) { String::new() } else { self.err.rest() };
        assert_eq!(ended.code(), Some(status), "{ended}; stderr: {err}");
    }

    /// Stops it in the orderly way.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::TERM);
        self.ends_with(0);
    }

    /// What proc(5) says of it: memory in KiB, `VmRSS` now or `VmHWM` at the most; `FDSize`.
    pub(crate) fn status(&self, what: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(what)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// How far it has read in the file at its stdin, in bytes.
    pub(crate) fn position_in_stdin(&self) -> u64 {
        let info = fs::read_to_string(format!("/proc/{}/fdinfo/0", self.pid())).unwrap();
        let position = info.lines().find_map(|line| line.strip_prefix("pos:")).unwrap();
        position.trim().parse().unwrap()
    }

    /// Open descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// CPU time in clock ticks (a hundredth of a second).
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
    /// Starts it with these arguments. Its first line has been taken from its stdout.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_as(server_command().args(["--bind", "127.0.0.1"]).args(args).arg("0"))
    }

    /// Starts a whole command with pipes at its ends.
    pub(crate) fn start_as(command: &mut Command) -> Self {
        Self::of(Program::start(command))
    }

    /// A hub of which nobody ever reads the stdout.
    pub(crate) fn with_unread_stdout(config: &str) -> Self {
        let file = config_file(config);
        let mut command = server_command();
        command.args(["--bind", "127.0.0.1", "--config"]).arg(file.path()).arg("0");
        let (program, mut stdout) = Program::with_stdout(command.stdin(Stdio::piped()));
        let address = bound(&first_line(&mut stdout));
        // It stays open until the program ends, and nobody reads it.
        thread::spawn(move || {
            let _keep = stdout;
            loop {
                thread::park();
            }
        });
        Self { program, address }
    }

    /// A hub whose stdout is closed once it has said where it listens.
    pub(crate) fn with_closed_stdout() -> Self {
        let mut command = server_command();
        command.args(["--bind", "127.0.0.1", "0"]).stdin(Stdio::piped());
        let (program, mut stdout) = Program::with_stdout(&mut command);
        let address = bound(&first_line(&mut stdout));
        Self { program, address }
    }

    /// A hub that has been started, of which the first line has not been read.
    pub(crate) fn of(program: Program) -> Self {
        let address = bound(&program.out.next());
        Self { program, address }
    }

    /// Starts it with this configuration file's text.
    pub(crate) fn with_config(text: &str, args: &[&str]) -> Self {
        let file = config_file(text);
        // The file has been read when the server has bound its port.
        let path = file.path().to_str().unwrap().to_owned();
        Self::start(&[&["--config", &path], args].concat())
    }

    /// A peer that has been greeted with 220.
    pub(crate) fn peer(&self) -> Peer {
        Peer::connect(self.address).greeted()
    }

    /// A peer whose kernel takes in little, so that not reading is noticed soon.
    pub(crate) fn small_peer(&self) -> Peer {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&self.address.into()).unwrap();
        Peer::of(socket.into()).greeted()
    }

    /// The next line on stdout is this one.
    pub(crate) fn says(&self, line: &str) {
        assert_eq!(self.program.out.next(), line);
    }

    /// The next event on stdout, in format json.
    pub(crate) fn event(&self) -> serde_json::Value {
        serde_json::from_str(&self.program.out.next()).unwrap()
    }

    /// Skips events until one of this name.
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

/// The first line, and not a byte more.
fn first_line(stream: &mut impl Read) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while byte != *b"\n" {
        stream.read_exact(&mut byte).unwrap();
        line.extend(byte);
    }
    String::from_utf8(line).unwrap().trim_end().to_owned()
}

/// The address in what a server says first.
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

/// The lines of a stream, read on a thread of their own.
pub(crate) struct Lines(Receiver<String>);

impl Lines {
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

    /// The next line, or none at the end.
    pub(crate) fn try_next(&self) -> Option<String> {
        match self.0.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Timeout) => panic!("no line came in time"),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    /// The first line that has this in it; those before it are skipped.
    pub(crate) fn find(&self, part: &str) -> String {
        loop {
            let line = self.next();
            if line.contains(part) {
                return line;
            }
        }
    }

    /// All lines to the end, each with its LF.
    pub(crate) fn rest(&self) -> String {
        let mut rest = String::new();
        while let Some(line) = self.try_next() {
            rest += &line;
            rest.push('\n');
        }
        rest
    }
}

/// Does nothing for a while: for peers that are slow, not for waiting until something happens.
pub(crate) fn nap(time: Duration) {
    // A receiver that never gets anything is a clock that lints do not mind.
    let (_keep, never) = mpsc::channel::<()>();
    let _ = never.recv_timeout(time);
}

/// Waits until there is something, and looks again every few milliseconds.
pub(crate) fn wait_until<T>(what: &str, mut is_there: impl FnMut() -> Option<T>) -> T {
    for _ in 0..PATIENCE.as_millis() / 5 {
        if let Some(value) = is_there() {
            return value;
        }
        nap(Duration::from_millis(5));
    }
    panic!("waited in vain: {what}");
}
