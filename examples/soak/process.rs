//! The server's process: what runs in it, its pipes, and what the system says of it.

use std::{
    cell::RefCell,
    io,
    net::{Ipv4Addr, SocketAddr},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    rc::Rc,
    time::Duration,
};

use linehub::{
    actors::console::Outputs,
    config::Config,
    events::transcript::Json,
    program::{
        signals,
        stdio::{self, Stdin},
    },
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use crate::{Failure, GUARD, books::Books};

/// What the server may use in memory, in KiB: what its sessions' outboxes may hold, and as much
/// as the tests allow a server at full load.
pub const MEMORY: u64 = 32 * 1024;

/// How the server is configured: limits so low that they are met all the time.
pub fn config() -> Config {
    let mut config = Config::default();
    config.server.bind = Ipv4Addr::LOCALHOST.into();
    config.server.port = 0;
    config.server.max_sessions = 64;
    config.limits.max_line = 2 * 1024;
    config.limits.outbox = 128 * 1024;
    config.timeouts.stall = Duration::from_secs(2);
    config
}

/// Serves as `hub-server --format json` does, but for the end of stdin, which ends it, so that it
/// never outlives the soak.
pub fn serve() -> Result<(), Failure> {
    actix::System::new().block_on(async {
        let server = linehub::server::Server::bind(config())?;
        let (out, out_file, err) = stdio::stdout_and_stderr(None)?;
        let outputs = Outputs { renderer: Box::new(Json { program: "soak" }), out, out_file, err };
        let stop = signals::stop_signals(None)?;
        let server = server.console(outputs).operator_until_eof(Stdin::open()?);
        Ok(server.run(stop).await?)
    })
}

/// A running server. Dropping it kills the process.
pub struct Server {
    child: Child,
    address: SocketAddr,
    books: Rc<RefCell<Books>>,
    operator: Option<pipe::Sender>,
    readers: [JoinHandle<()>; 2],
}

impl Server {
    /// Starts it and waits until it listens. From then on the books have what it says.
    pub async fn start(books: Rc<RefCell<Books>>) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let operator: OwnedFd = child.stdin.take().ok_or("no stdin")?.into();
        let stdout: OwnedFd = child.stdout.take().ok_or("no stdout")?.into();
        let stderr: OwnedFd = child.stderr.take().ok_or("no stderr")?.into();
        let readers = [
            actix::spawn(read_events(pipe::Receiver::from_owned_fd(stdout)?, Rc::clone(&books))),
            actix::spawn(read_reports(pipe::Receiver::from_owned_fd(stderr)?, Rc::clone(&books))),
        ];
        let operator = Some(pipe::Sender::from_owned_fd(operator)?);
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        let mut server = Self { child, address, books, operator, readers };
        let bound = async {
            loop {
                let bound = server.books.borrow().bound();
                match bound {
                    Some(address) => return address,
                    None => sleep(Duration::from_millis(1)).await,
                }
            }
        };
        server.address = timeout(GUARD, bound).await.map_err(|_| "the server does not start")?;
        Ok(server)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its stdin, to be had once. The server serves until it is closed.
    pub fn operator(&mut self) -> Result<pipe::Sender, Failure> {
        Ok(self.operator.take().ok_or("there is one operator")?)
    }

    /// How many descriptors it has open.
    pub fn descriptors(&self) -> io::Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }

    /// The same once it is down to `count`, or after ten seconds whatever it is.
    pub async fn descriptors_when_down_to(&self, count: usize) -> io::Result<usize> {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let open = self.descriptors()?;
            if open <= count || Instant::now() > end {
                return Ok(open);
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The most memory that it has ever had resident, in KiB.
    pub fn peak_memory(&self) -> Result<u64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let size = line.and_then(|line| line.split_whitespace().next());
        Ok(size.ok_or("the system does not tell the peak memory")?.parse()?)
    }

    /// Stops it with SIGTERM, and takes down what it still says.
    pub async fn stop(&mut self) -> Result<(), Failure> {
        let process = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(process.ok_or("the server has no process")?, Signal::TERM)?;
        for reader in &mut self.readers {
            timeout(GUARD, reader).await.map_err(|_| "the server does not stop")??;
        }
        let status = self.child.wait()?;
        self.books.borrow().verdict()?;
        if !status.success() {
            return Err(format!("the server ended with {status}").into());
        }
        if !self.books.borrow().has_stopped() {
            return Err("the server's last event was not `stopped`".into());
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails if it has ended, and then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Enters what the server says on stdout in the books, with a nap now and then: a slow stdout
/// must cost time and nothing else.
async fn read_events(mut stdout: pipe::Receiver, books: Rc<RefCell<Books>>) {
    let mut rng = fastrand::Rng::with_seed(books.borrow().script().seed());
    let mut text = Vec::with_capacity(256 * 1024);
    let mut next_nap = Instant::now() + Duration::from_secs(5);
    loop {
        match stdout.read_buf(&mut text).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let end = memchr::memrchr(b'\n', &text).map_or(0, |last| last + 1);
        for line in text.get(..end).unwrap_or_default().split_inclusive(|&byte| byte == b'\n') {
            let entered = books.borrow_mut().enter(line);
            if let Err(error) = entered {
                let line = String::from_utf8_lossy(line);
                books.borrow_mut().fail(format!("{error}: {}", line.trim_end()));
            }
        }
        text.drain(..end);
        if Instant::now() > next_nap {
            sleep(Duration::from_millis(rng.u64(50..1500))).await;
            next_nap = Instant::now() + Duration::from_millis(rng.u64(3_000..12_000));
        }
    }
}

/// Counts the reports of lines that the operator was not allowed to send; there is no other.
async fn read_reports(mut stderr: pipe::Receiver, books: Rc<RefCell<Books>>) {
    let mut text = Vec::new();
    while let Ok(1..) = stderr.read_buf(&mut text).await {
        while let Some(end) = memchr::memchr(b'\n', &text) {
            let line = String::from_utf8_lossy(text.get(..end).unwrap_or_default()).into_owned();
            books.borrow_mut().enter_report(&line);
            text.drain(..=end);
        }
    }
}
