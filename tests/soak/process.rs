//! The server's process: its configuration, its pipes, and its memory and descriptors.

use std::{
    cell::RefCell,
    env,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command, Stdio},
    rc::Rc,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use crate::{Failure, GUARD, ledger::Ledger};

/// The server's limits, so low that clients meet them all the time.
pub(crate) const MAX_SESSIONS: usize = 64;
pub(crate) const MAX_LINE: usize = 2 * 1024;
const OUTBOX: usize = 128 * 1024;
const STALL: &str = "2s";

/// The most memory that the server may use, in KiB: 8 MiB that its sessions' outboxes may hold, and
/// 24 MiB for everything else.
pub(crate) const MAX_MEMORY: u64 = 32 * 1024;

/// The server's configuration file.
fn config() -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new()?;
    write!(
        file,
        "[server]\nbind = \"127.0.0.1\"\nport = 0\nmax_sessions = {MAX_SESSIONS}\n\
         [limits]\nmax_line = {MAX_LINE}\noutbox = {OUTBOX}\n\
         [timeouts]\nstall = \"{STALL}\"\n\
         [console]\nformat = \"json\"\n"
    )?;
    Ok(file)
}

/// The command that starts `hub-server` with this configuration file and nothing else.
fn command(config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hub-server"));
    for (variable, _) in env::vars_os() {
        let name = variable.to_string_lossy();
        if name.starts_with("HUB_") || name.starts_with("LINEHUB_") {
            command.env_remove(&variable);
        }
    }
    command.arg("--config").arg(config);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A running server. Dropping it kills the process. If the test itself is killed, the server ends
/// when it next writes to its closed stdout.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    ledger: Rc<RefCell<Ledger>>,
    operator: Option<pipe::Sender>,
    readers: [JoinHandle<()>; 2],
}

impl Server {
    /// Starts the server and waits until it listens. From then on the ledger gets what it prints.
    pub(crate) async fn start(ledger: Rc<RefCell<Ledger>>) -> Result<Self, Failure> {
        // The server has read the file by the time it prints its address.
        let config = config()?;
        let mut child = command(config.path()).spawn()?;
        let operator: OwnedFd = child.stdin.take().ok_or("no stdin")?.into();
        let stdout: OwnedFd = child.stdout.take().ok_or("no stdout")?.into();
        let stderr: OwnedFd = child.stderr.take().ok_or("no stderr")?.into();
        let readers = [
            actix::spawn(read_events(pipe::Receiver::from_owned_fd(stdout)?, Rc::clone(&ledger))),
            actix::spawn(read_reports(pipe::Receiver::from_owned_fd(stderr)?, Rc::clone(&ledger))),
        ];
        let operator = Some(pipe::Sender::from_owned_fd(operator)?);
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        let mut server = Self { child, address, ledger, operator, readers };
        server.address =
            timeout(GUARD, server.bound()).await.map_err(|_| "the server does not start")??;
        Ok(server)
    }

    /// Waits until the server has printed its address.
    async fn bound(&self) -> Result<SocketAddr, Failure> {
        loop {
            self.ledger.borrow().verdict()?;
            let bound = self.ledger.borrow().bound();
            match bound {
                Some(address) => return Ok(address),
                None => sleep(Duration::from_millis(1)).await,
            }
        }
    }

    /// The address it listens on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server's stdin. Can be taken once.
    pub(crate) fn operator(&mut self) -> Result<pipe::Sender, Failure> {
        Ok(self.operator.take().ok_or("the operator has been taken")?)
    }

    /// How many descriptors the process has open.
    pub(crate) fn descriptors(&self) -> io::Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }

    /// Waits up to ten seconds until no more than `count` descriptors are open. Returns how many are.
    pub(crate) async fn wait_for_descriptors(&self, count: usize) -> io::Result<usize> {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let open = self.descriptors()?;
            if open <= count || Instant::now() > end {
                return Ok(open);
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The peak of its resident memory, in KiB.
    pub(crate) fn peak_memory(&self) -> Result<u64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let size = line.and_then(|line| line.split_whitespace().next());
        Ok(size.ok_or("the peak memory is unknown")?.parse()?)
    }

    /// Stops the server with SIGTERM, and checks what it still prints and its exit status.
    pub(crate) async fn stop(&mut self) -> Result<(), Failure> {
        let process = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(process.ok_or("the server has no process id")?, Signal::TERM)?;
        for reader in &mut self.readers {
            timeout(GUARD, reader).await.map_err(|_| "the server does not stop")??;
        }
        let status = self.child.wait()?;
        self.ledger.borrow().verdict()?;
        if !status.success() {
            return Err(format!("the server ended with {status}").into());
        }
        if !self.ledger.borrow().has_stopped() {
            return Err("the server's last event was not `stopped`".into());
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails if the process has ended already; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Checks the server's stdout, with a pause now and then: a slow reader may cost time, but no lines.
async fn read_events(mut stdout: pipe::Receiver, ledger: Rc<RefCell<Ledger>>) {
    let mut rng = fastrand::Rng::with_seed(ledger.borrow().script().seed());
    let mut text = Vec::with_capacity(256 * 1024);
    let mut next_pause = Instant::now() + Duration::from_secs(5);
    loop {
        match stdout.read_buf(&mut text).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let end = memchr::memrchr(b'\n', &text).map_or(0, |last| last + 1);
        for line in text.split_at(end).0.split_inclusive(|&byte| byte == b'\n') {
            let checked = ledger.borrow_mut().check_event(line);
            if let Err(error) = checked {
                let line = String::from_utf8_lossy(line);
                ledger.borrow_mut().fail(format!("{error}: {}", line.trim_end()));
            }
        }
        text.drain(..end);
        if Instant::now() > next_pause {
            sleep(Duration::from_millis(rng.u64(50..1500))).await;
            next_pause = Instant::now() + Duration::from_millis(rng.u64(3_000..12_000));
        }
    }
}

/// Checks the server's stderr.
async fn read_reports(mut stderr: pipe::Receiver, ledger: Rc<RefCell<Ledger>>) {
    let mut text = Vec::new();
    while let Ok(1..) = stderr.read_buf(&mut text).await {
        while let Some(end) = memchr::memchr(b'\n', &text) {
            let line = String::from_utf8_lossy(text.split_at(end).0).into_owned();
            ledger.borrow_mut().check_report(&line);
            text.drain(..=end);
        }
    }
}
