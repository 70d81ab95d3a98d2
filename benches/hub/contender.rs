//! The servers that are compared, each started anew as a child process for every run.

use std::fmt;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::{Result, process};

/// How long one run may take before its server is ended. It is the only guard that a run needs:
/// with the server gone, everything that waits for it, at a pipe or at a socket, wakes with an error.
const RUN_LIMIT: Duration = Duration::from_secs(90);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What system calls alone cost: see `raw.rs`.
    Raw,
    /// The same, and it prints the transcript of what it relays.
    RawPrinting,
    /// `hub-server` as it is out of the box.
    Hub,
    /// `hub-server` with its sessions spread over so many event loops.
    HubWorkers(u32),
    /// `ncat -lk`, what a user without the hub would take.
    Ncat,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raw => f.pad("raw"),
            Self::RawPrinting => f.pad("raw that prints"),
            Self::Hub => f.pad("hub"),
            Self::HubWorkers(1) => f.pad("1 worker"),
            Self::HubWorkers(count) => f.pad(&format!("{count} workers")),
            Self::Ncat => f.pad("ncat"),
        }
    }
}

/// Which way the lines go; only the floor is a different program for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From stdin to every client; what the server prints goes to /dev/null.
    Out,
    /// From the clients to stdout, which is a pipe.
    In,
}

/// A running server. Dropping it ends it.
pub(crate) struct Contender {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    child: Arc<Mutex<Child>>,
    pid: u32,
    /// Dropping it tells the watchdog that the run is over.
    _running: Sender<()>,
    /// The file has to live as long as the server may read it.
    _config: Option<NamedTempFile>,
}

/// The server's own ends of its pipes.
pub(crate) struct Pipes {
    pub(crate) stdin: ChildStdin,
    /// Only where lines come in.
    pub(crate) stdout: Option<ChildStdout>,
}

impl Contender {
    /// Starts a server for up to `clients` clients. It may not be listening yet.
    ///
    /// The main thread has to call this: the server dies with the thread that started it.
    pub(crate) fn start(kind: Kind, way: Way, clients: usize) -> Result<(Self, Pipes)> {
        let port = free_port()?;
        let config = match kind {
            Kind::HubWorkers(count) => Some(config_with_workers(count)?),
            _ => None,
        };
        let mut command = command(kind, way, clients, port)?;
        if let Some(config) = &config {
            command.arg("--config").arg(config.path());
        }
        command.stdin(Stdio::piped()).stdout(match way {
            Way::Out => Stdio::null(),
            Way::In => Stdio::piped(),
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
        Ok((Self { kind, address, child, pid, _running: running, _config: config }, pipes))
    }

    /// Whether the server tells a client that it has been accepted.
    pub(crate) fn greets(&self) -> bool {
        self.kind != Kind::Ncat
    }

    /// The CPU time that the server has used so far.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        process::cpu_time(self.pid)
    }

    /// The memory that the server holds, in bytes.
    pub(crate) fn memory(&self) -> Result<u64> {
        process::memory(self.pid)
    }

    /// How the server has ended by itself, if it has.
    pub(crate) fn exit(&self) -> Result<Option<ExitStatus>> {
        Ok(self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait()?)
    }

    /// Ends the server. Whoever waits for it wakes with an error.
    pub(crate) fn kill(&self) {
        end(&self.child);
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        self.kill();
    }
}

fn end(child: &Mutex<Child>) {
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    // It may be gone already; then there is nothing to end.
    let _ = child.kill();
    let _ = child.wait();
}

fn watch(kind: Kind, child: Arc<Mutex<Child>>) -> Sender<()> {
    let (running, over) = mpsc::channel::<()>();
    thread::spawn(move || {
        if over.recv_timeout(RUN_LIMIT) == Err(RecvTimeoutError::Timeout) {
            eprintln!("{kind} took longer than {RUN_LIMIT:?} and was ended");
            end(&child);
        }
    });
    running
}

/// A port that was free a moment ago. ncat cannot be asked which port it took, and a server whose
/// stdout is /dev/null cannot say so; thus all of them are told.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn config_with_workers(count: u32) -> Result<NamedTempFile> {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile()?;
    write!(file, "[server]\nworkers = {count}\n")?;
    Ok(file)
}

fn command(kind: Kind, way: Way, clients: usize, port: u16) -> Result<Command> {
    let this = std::env::current_exe()?;
    let soft = process::descriptor_limit_of_the_shell();
    let mut command = Command::new(&this);
    command.arg("--launch").arg(soft);
    let (port, clients) = (port.to_string(), clients.to_string());
    match kind {
        Kind::Raw | Kind::RawPrinting => {
            let way = match way {
                Way::In => "in",
                Way::Out if kind == Kind::RawPrinting => "out-printing",
                Way::Out => "out",
            };
            command.arg(this).args(["--raw", way, &port])
        }
        Kind::Hub | Kind::HubWorkers(_) => {
            let variables = std::env::vars_os().map(|(name, _)| name);
            for name in variables.filter(|name| name.as_encoded_bytes().starts_with(b"LINEHUB_")) {
                command.env_remove(name);
            }
            command.arg(env!("CARGO_BIN_EXE_hub-server")).args([
                "--bind",
                "127.0.0.1",
                "--max-sessions",
                &clients,
                &port,
            ])
        }
        Kind::Ncat => command.args(["ncat", "-l", "-k", "-m", &clients, "127.0.0.1", &port]),
    };
    Ok(command)
}

/// Whether ncat is installed.
pub(crate) fn has_ncat() -> bool {
    let mut command = Command::new("ncat");
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
