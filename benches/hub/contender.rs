//! The servers that are compared. Every run starts a new child process.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::{Result, process};

/// How long one run may take before its server is killed. A run needs no other time limit: once the
/// server is gone, every read and write on its pipes and sockets fails.
const RUN_LIMIT: Duration = Duration::from_secs(90);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The cost of the system calls alone: see `raw.rs`.
    Raw,
    /// `Raw` that also prints a transcript of the lines it relays.
    RawPrinting,
    /// This build's `hub-server` with its defaults.
    Hub,
    /// Another `hub-server` with its defaults, at this path.
    OldHub(&'static Path),
    /// This build's `hub-server` with its sessions spread over this many event loops.
    HubWorkers(u32),
    /// This build's `hub-server` with a log beside the transcript on stdout.
    HubLog,
    /// This build's `hub-server` with JSON on stdout, which is a file.
    HubJson,
    /// `ncat -lk`, which one might use without the hub.
    Ncat,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raw => f.pad("raw"),
            Self::RawPrinting => f.pad("raw that prints"),
            Self::Hub => f.pad("hub"),
            Self::OldHub(_) => f.pad("old hub"),
            Self::HubWorkers(1) => f.pad("1 worker"),
            Self::HubWorkers(count) => f.pad(&format!("{count} workers")),
            Self::HubLog => f.pad("text, log"),
            Self::HubJson => f.pad("json > file"),
            Self::Ncat => f.pad("ncat"),
        }
    }
}

/// Which way the lines go. Only the floor runs different code for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From stdin to every client. The server's stdout is /dev/null.
    Out,
    /// From the clients to the server's stdout, which is a pipe.
    In,
}

/// A running server. Dropping it kills the process.
pub(crate) struct Contender {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    child: Arc<Mutex<Child>>,
    pid: u32,
    /// Dropping it ends the watchdog.
    _running: Sender<()>,
    /// Dropping it deletes the file, which the server reads while it starts.
    _config: Option<NamedTempFile>,
    /// The log or the file at stdout. Dropping it deletes the file.
    file: Option<NamedTempFile>,
}

/// The benchmark's ends of the pipes to the server.
pub(crate) struct Pipes {
    pub(crate) stdin: ChildStdin,
    /// Only with `Direction::In`, and if stdout is not a file.
    pub(crate) stdout: Option<ChildStdout>,
}

impl Contender {
    /// Starts a server for up to `clients` clients. It may not be listening yet.
    ///
    /// Call this on the main thread: the server dies with the thread that started it.
    pub(crate) fn start(kind: Kind, direction: Direction, clients: usize) -> Result<(Self, Pipes)> {
        let port = free_port()?;
        let config = match kind {
            Kind::HubWorkers(count) => Some(config_with_workers(count)?),
            _ => None,
        };
        let mut command = command(kind, direction, clients, port)?;
        if let Some(config) = &config {
            command.arg("--config").arg(config.path());
        }
        let file = match kind {
            // On the disk of the build, not in memory.
            Kind::HubLog | Kind::HubJson => {
                Some(NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR"))?)
            }
            _ => None,
        };
        if let Some(file) = file.as_ref().filter(|_| kind == Kind::HubLog) {
            command.arg("--log").arg(file.path());
        }
        command.stdin(Stdio::piped()).stdout(match (&file, direction) {
            (Some(file), _) if kind == Kind::HubJson => file.reopen()?.into(),
            (_, Direction::Out) => Stdio::null(),
            (_, Direction::In) => Stdio::piped(),
        });
        let mut child = command.spawn()?;
        let pipes = Pipes {
            stdin: child.stdin.take().ok_or("the server has no stdin")?,
            stdout: child.stdout.take(),
        };
        let pid = child.id();
        let child = Arc::new(Mutex::new(child));
        let running = watch(kind, Arc::clone(&child));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Ok((Self { kind, address, child, pid, _running: running, _config: config, file }, pipes))
    }

    /// Whether the server greets each client.
    pub(crate) fn greets(&self) -> bool {
        self.kind != Kind::Ncat
    }

    /// Reads what the server writes to the file at its stdout, until the server ends.
    pub(crate) fn follow_stdout(&self) -> Result<Follow> {
        let file = self.file.as_ref().ok_or("the server has no stdout")?.reopen()?;
        Ok(Follow { file, process: format!("/proc/{}", self.pid).into() })
    }

    /// The CPU time that the server has used so far.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        process::cpu_time(self.pid)
    }

    /// The memory that the server holds, in bytes.
    pub(crate) fn memory(&self) -> Result<u64> {
        process::memory(self.pid)
    }

    /// The exit status, if the server has ended by itself.
    pub(crate) fn exit(&self) -> Result<Option<ExitStatus>> {
        Ok(self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait()?)
    }

    /// Kills the server. Every read and write on its pipes and sockets then fails.
    pub(crate) fn kill(&self) {
        kill(&self.child);
    }
}

/// Reads a file to which a process appends.
pub(crate) struct Follow {
    file: File,
    process: PathBuf,
}

impl Read for Follow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let ended = !self.process.exists();
            let length = self.file.read(buffer)?;
            if length > 0 || ended {
                return Ok(length);
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        self.kill();
    }
}

fn kill(child: &Mutex<Child>) {
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    // Either call fails only if the process is already gone.
    let _ = child.kill();
    let _ = child.wait();
}

/// Starts a thread that kills the server if it runs for too long.
fn watch(kind: Kind, child: Arc<Mutex<Child>>) -> Sender<()> {
    let (running, over) = mpsc::channel::<()>();
    thread::spawn(move || {
        if over.recv_timeout(RUN_LIMIT) == Err(RecvTimeoutError::Timeout) {
            eprintln!("{kind} took longer than {RUN_LIMIT:?} and was killed");
            kill(&child);
        }
    });
    running
}

/// A port that was free a moment ago. Port 0 would not do: ncat does not report its port, and neither
/// can a server whose stdout is /dev/null.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn config_with_workers(count: u32) -> Result<NamedTempFile> {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile()?;
    write!(file, "[server]\nworkers = {count}\n")?;
    Ok(file)
}

fn command(kind: Kind, direction: Direction, clients: usize, port: u16) -> Result<Command> {
    let this = std::env::current_exe()?;
    let soft = process::inherited_descriptor_limit();
    let mut command = Command::new(&this);
    command.arg("--launch").arg(soft);
    let (port, clients) = (port.to_string(), clients.to_string());
    match kind {
        Kind::Raw | Kind::RawPrinting => {
            let mode = match direction {
                Direction::In => "in",
                Direction::Out if kind == Kind::RawPrinting => "out-printing",
                Direction::Out => "out",
            };
            command.arg(this).args(["--raw", mode, &port])
        }
        Kind::Hub | Kind::HubWorkers(_) | Kind::HubLog => {
            hub(&mut command, Path::new(env!("CARGO_BIN_EXE_hub-server")), &clients, &port)
        }
        Kind::HubJson => {
            hub(&mut command, Path::new(env!("CARGO_BIN_EXE_hub-server")), &clients, &port)
                .args(["--format", "json"])
        }
        Kind::OldHub(path) => hub(&mut command, path, &clients, &port),
        Kind::Ncat => command.args(["ncat", "-l", "-k", "-m", &clients, "127.0.0.1", &port]),
    };
    Ok(command)
}

/// Appends a `hub-server` and its flags to the command.
fn hub<'a>(command: &'a mut Command, program: &Path, clients: &str, port: &str) -> &'a mut Command {
    // Every setting is a flag, because the names of the variables differ between versions: HUB_PORT
    // was renamed to LINEHUB_PORT. Any of them in the caller's environment would distort the result.
    for (name, _) in std::env::vars_os() {
        let bytes = name.as_encoded_bytes();
        if bytes.starts_with(b"HUB_") || bytes.starts_with(b"LINEHUB_") {
            command.env_remove(&name);
        }
    }
    command.arg(program).args(["--bind", "127.0.0.1", "--max-sessions", clients, port])
}

/// Whether ncat is installed.
pub(crate) fn has_ncat() -> bool {
    let mut command = Command::new("ncat");
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
