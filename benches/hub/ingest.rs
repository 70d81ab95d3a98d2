//! Ingest: lines from the clients, and all of them on the server's stdout.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::TcpStream;
use std::process::ChildStdout;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use memchr::memchr_iter;
use rustix::event::epoll::EventFlags;

use crate::contender::{Contender, Kind, Way};
use crate::poll::Poll;
use crate::sample::{Load, Sample};
use crate::{BLOCK, Result, load, process};

/// Each client's first line. It reads the same reversed or not, so one can look for it in what any
/// server prints.
const PROBE: &[u8] = b"racecar\n";

/// The size of the pipe that the servers print to. In the usual 64 KiB the server and its reader take
/// turns, one asleep while the other works, and how fast the kernel wakes them is all one measures:
/// the floor prints half as much. This is what Linux grants to everybody.
const OUTPUT_PIPE: usize = 1024 * 1024;

/// How often the count of printed lines is looked at: what the elapsed time is exact to.
const LOOK: Duration = Duration::from_millis(1);

/// Sends for `duration` and waits for the last line on stdout.
///
/// Million lines a second; server CPU per line in µs.
pub(crate) fn run(kind: Kind, clients: usize, line: usize, duration: Duration) -> Result<Sample> {
    let (contender, mut pipes) = Contender::start(kind, Way::In, clients)?;
    let stdout = pipes.stdout.take().ok_or("the server has no stdout")?;
    rustix::pipe::fcntl_setpipe_size(&stdout, OUTPUT_PIPE)?;
    let block = load::block_of_lines(line);
    let printed = AtomicU64::new(0);
    let (ready, all_ready) = mpsc::channel();
    thread::scope(|scope| {
        let reader = scope.spawn(|| count_lines(stdout, clients, ready, &printed));
        let run = || -> Result<_> {
            let mut senders = Senders::connect(&contender, clients)?;
            all_ready.recv().map_err(|_| "the server closed its stdout")?;

            let cpu_before = contender.cpu_time()?;
            let own_before = process::own_cpu_time();
            let start = Instant::now();
            let sent = senders.send(&block, start + duration)? / line as u64;
            while printed.load(Ordering::Relaxed) < sent {
                if reader.is_finished() {
                    return Err("the server closed its stdout".into());
                }
                thread::sleep(LOOK);
            }
            let elapsed = start.elapsed();
            let cpu = contender.cpu_time()?.saturating_sub(cpu_before);
            let sender_cpu = process::own_cpu_time().saturating_sub(own_before);
            // Before the clients leave, so that it does not print that they did.
            contender.kill();
            Ok((sent, elapsed, cpu, sender_cpu))
        };
        let outcome = run();
        // This ends the reader, if the run has failed.
        contender.kill();
        let reader_cpu = reader.join().map_err(|_| "the reader panicked")?;
        let (sent, elapsed, cpu, sender_cpu) = outcome?;
        let printed = printed.load(Ordering::Relaxed);
        if printed != sent {
            return Err(format!("{sent} lines became {printed}").into());
        }
        Ok(Sample {
            values: vec![
                sent as f64 / elapsed.as_secs_f64() / 1e6,
                cpu.as_secs_f64() * 1e6 / sent as f64,
            ],
            load: Load::shares(elapsed, sender_cpu, reader_cpu),
        })
    })
}

/// Reads what the server prints until it ends. Up to the last of the probes that is the beginning,
/// announcements of connections and the like; what comes after them is counted in `printed`. Gives
/// its CPU time.
fn count_lines(
    stdout: ChildStdout,
    probes: usize,
    ready: Sender<()>,
    printed: &AtomicU64,
) -> Duration {
    let mut stdout = BufReader::with_capacity(BLOCK, stdout);
    let mut line = Vec::new();
    let mut missing = probes;
    while missing > 0 {
        line.clear();
        match stdout.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return process::own_cpu_time(),
            Ok(_) => missing -= usize::from(line.ends_with(PROBE)),
        }
    }
    // If nobody waits for it, the run has failed for another reason.
    let _ = ready.send(());
    while let Ok(part) = stdout.fill_buf() {
        let length = part.len();
        if length == 0 {
            break;
        }
        printed.fetch_add(memchr_iter(b'\n', part).count() as u64, Ordering::Relaxed);
        stdout.consume(length);
    }
    process::own_cpu_time()
}

/// All the clients, written to by one thread.
struct Senders {
    sockets: Vec<TcpStream>,
    poll: Poll,
}

impl Senders {
    fn connect(contender: &Contender, clients: usize) -> Result<Self> {
        let mut sockets = vec![load::connect_first(contender)?];
        sockets.extend(load::connect(contender, clients - 1)?);
        let poll = Poll::new()?;
        for (token, socket) in sockets.iter_mut().enumerate() {
            socket.write_all(PROBE)?;
            socket.set_nonblocking(true)?;
            poll.add(&*socket, token, EventFlags::OUT)?;
        }
        Ok(Self { sockets, poll })
    }

    /// Sends `block` over and over; at `deadline` everyone finishes the one it is at. Gives the sum
    /// of the bytes.
    fn send(&mut self, block: &[u8], deadline: Instant) -> Result<u64> {
        let mut offsets = vec![0; self.sockets.len()];
        let mut sending = self.sockets.len();
        let mut total = 0;
        while sending > 0 {
            let stop = Instant::now() >= deadline;
            let mut finished = Vec::new();
            for token in self.poll.wait(None)? {
                let offset = &mut offsets[token];
                if *offset > 0 || !stop {
                    match self.sockets[token].write(&block[*offset..]) {
                        Ok(length) => {
                            total += length as u64;
                            *offset = (*offset + length) % block.len();
                        }
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                if *offset == 0 && stop {
                    finished.push(token);
                }
            }
            for token in finished {
                self.poll.remove(&self.sockets[token])?;
                sending -= 1;
            }
        }
        Ok(total)
    }
}
