//! Fan-out: blocks of lines into the server's stdin, and all of them out again at every client.

use std::io::Write;
use std::net::TcpStream;
use std::process::ChildStdin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;
use rustix::net::RecvFlags;

use crate::contender::{Contender, Kind, Way};
use crate::poll::Poll;
use crate::sample::{Load, Sample};
use crate::{BLOCK, Result, load, process};

/// While the publisher has not said yet how much it has published.
const UNKNOWN: u64 = u64::MAX;

/// How often the receivers look whether the publisher has said so. It does not go into the time.
const LOOK: Duration = Duration::from_millis(10);

/// Publishes for `duration` and waits for the last line at the last client.
///
/// Million deliveries a second; server CPU per delivery in µs.
pub(crate) fn run(kind: Kind, clients: usize, line: usize, duration: Duration) -> Result<Sample> {
    let (contender, mut pipes) = Contender::start(kind, Way::Out, clients)?;
    let mut sockets = vec![load::connect_first(&contender)?];
    sockets.extend(load::connect(&contender, clients - 1)?);
    load::bring_in_step(&contender, &mut pipes.stdin, &mut sockets)?;
    let mut receivers = Receivers::new(sockets)?;

    let block = load::block_of_lines(line);
    let published = AtomicU64::new(UNKNOWN);
    let cpu_before = contender.cpu_time()?;
    let own_before = process::own_cpu_time();
    let start = Instant::now();
    let (end, publisher_cpu) = thread::scope(|scope| {
        let publisher =
            scope.spawn(|| publish(&mut pipes.stdin, &block, start + duration, &published));
        let end = receivers.receive(&published);
        if end.is_err() {
            // The publisher may be waiting for this server.
            contender.kill();
        }
        let publisher_cpu = publisher.join().map_err(|_| "the publisher panicked")?;
        Ok::<_, Box<dyn std::error::Error>>((end?, publisher_cpu))
    })?;
    let cpu = contender.cpu_time()?.saturating_sub(cpu_before);
    let receiver_cpu = process::own_cpu_time().saturating_sub(own_before);

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

/// Writes blocks until `deadline`; says in `published` how many bytes that were. Gives its CPU time.
///
/// It leaves stdin open: ncat takes leave of its clients when that ends.
fn publish(
    stdin: &mut ChildStdin,
    block: &[u8],
    deadline: Instant,
    published: &AtomicU64,
) -> Duration {
    let mut bytes = 0;
    while Instant::now() < deadline {
        if stdin.write_all(block).is_err() {
            // The server is gone, and the receivers see that too.
            return process::own_cpu_time();
        }
        bytes += block.len() as u64;
    }
    published.store(bytes, Ordering::Relaxed);
    process::own_cpu_time()
}

/// All the clients, read by one thread that only counts bytes: the lines are all of one length.
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

    /// Reads until everything has come that was published; gives the moment of the last read.
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
            for token in self.poll.wait(Some(LOOK))? {
                // The kernel throws the bytes away instead of copying them (tcp(7), MSG_TRUNC).
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

    /// Whether everyone got everything once; the sum of it.
    fn check(&self, published: u64) -> Result<u64> {
        match self.received.iter().position(|&received| received != published) {
            None => Ok(self.received.iter().sum()),
            Some(client) => {
                Err(format!("client {client} got {} of {published} bytes", self.received[client])
                    .into())
            }
        }
    }
}
