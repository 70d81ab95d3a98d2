//! Fan-out: writes blocks of lines to the server's stdin and receives them at every client.

use std::io::Write;
use std::net::TcpStream;
use std::process::ChildStdin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;
use rustix::net::RecvFlags;

use crate::contender::{Contender, Direction, Kind};
use crate::poll::Poll;
use crate::sample::{Load, Sample};
use crate::{BLOCK, Result, load, process};

/// The value of `published` until the publisher has finished.
const UNKNOWN: u64 = u64::MAX;

/// How often idle receivers check whether the publisher has finished. It does not affect the elapsed
/// time, which ends with the last read.
const CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// Publishes for `duration` and waits until every client has received everything.
///
/// The figures are million deliveries per second and server CPU per delivery in µs.
pub(crate) fn run(kind: Kind, clients: usize, line: usize, duration: Duration) -> Result<Sample> {
    let (contender, mut pipes) = Contender::start(kind, Direction::Out, clients)?;
    let mut sockets = vec![load::connect_first(&contender)?];
    sockets.extend(load::connect(&contender, clients - 1)?);
    load::synchronise(&contender, &mut pipes.stdin, &mut sockets)?;
    let mut receivers = Receivers::new(sockets)?;

    let block = load::block_of_lines(line);
    let published = AtomicU64::new(UNKNOWN);
    let cpu_before = contender.cpu_time()?;
    let own_before = process::thread_cpu_time();
    let start = Instant::now();
    let (end, publisher_cpu) = thread::scope(|scope| {
        let publisher =
            scope.spawn(|| publish(&mut pipes.stdin, &block, start + duration, &published));
        let end = receivers.receive(&published);
        if end.is_err() {
            // The publisher may be blocked in a write to this server.
            contender.kill();
        }
        let publisher_cpu = publisher.join().map_err(|_| "the publisher panicked")?;
        Ok::<_, Box<dyn std::error::Error>>((end?, publisher_cpu))
    })?;
    let cpu = contender.cpu_time()?.saturating_sub(cpu_before);
    let receiver_cpu = process::thread_cpu_time().saturating_sub(own_before);

    let bytes = receivers.check(published.into_inner())?;
    let deliveries = bytes as f64 / line as f64;
    let elapsed = end - start;
    Ok(Sample {
        values: vec![
            deliveries / elapsed.as_secs_f64() / 1e6,
            cpu.as_secs_f64() * 1e6 / deliveries,
        ],
        load: Load::shares(elapsed, publisher_cpu, receiver_cpu),
    })
}

/// Writes blocks until `deadline`, stores the number of bytes in `published`, and returns its CPU time.
///
/// It leaves stdin open, because ncat closes its connections at the end of stdin.
fn publish(
    stdin: &mut ChildStdin,
    block: &[u8],
    deadline: Instant,
    published: &AtomicU64,
) -> Duration {
    let mut bytes = 0;
    while Instant::now() < deadline {
        if stdin.write_all(block).is_err() {
            // The server is gone. The receivers notice it, too, and report the error.
            return process::thread_cpu_time();
        }
        bytes += block.len() as u64;
    }
    published.store(bytes, Ordering::Relaxed);
    process::thread_cpu_time()
}

/// All clients, read by one thread. It only counts bytes, because all lines have the same length.
struct Receivers {
    sockets: Vec<TcpStream>,
    received: Vec<u64>,
    poll: Poll,
}

impl Receivers {
    fn new(sockets: Vec<TcpStream>) -> Result<Self> {
        let poll = Poll::new()?;
        for (token, socket) in sockets.iter().enumerate() {
            poll.add(socket, token, EventFlags::IN)?;
        }
        Ok(Self { received: vec![0; sockets.len()], sockets, poll })
    }

    /// Reads until every client has received everything; returns the time of the last read.
    fn receive(&mut self, published: &AtomicU64) -> Result<Instant> {
        let clients = self.sockets.len() as u64;
        let mut buffer = vec![0; BLOCK];
        let mut total: u64 = 0;
        let mut last = Instant::now();
        loop {
            let expected = published.load(Ordering::Relaxed);
            if expected != UNKNOWN && total >= expected * clients {
                return Ok(last);
            }
            let before = total;
            for token in self.poll.wait(Some(CHECK_INTERVAL))? {
                // The kernel discards the bytes instead of copying them (tcp(7), MSG_TRUNC).
                match rustix::net::recv(&self.sockets[token], &mut buffer[..], RecvFlags::TRUNC)? {
                    (_, 0) => return Err("the server closed a connection".into()),
                    (_, length) => {
                        self.received[token] += length as u64;
                        total += length as u64;
                    }
                }
            }
            if total > before {
                last = Instant::now();
            }
        }
    }

    /// Checks that every client received exactly what was published; returns the sum.
    fn check(&self, published: u64) -> Result<u64> {
        match self.received.iter().position(|&received| received != published) {
            None => Ok(self.received.iter().sum()),
            Some(client) => Err(format!(
                "client {client} received {} of {published} bytes",
                self.received[client]
            )
            .into()),
        }
    }
}
