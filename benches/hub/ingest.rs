//! Ingest: sends lines from the clients and counts them on the server's stdout.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use memchr::memchr_iter;
use rustix::event::epoll::EventFlags;

use crate::contender::{Contender, Direction, Kind};
use crate::poll::Poll;
use crate::sample::{Load, Sample};
use crate::{BLOCK, Result, load, process};

/// The first line of each client. It is a palindrome, so it looks the same whether or not the server
/// reverses lines.
const PROBE: &[u8] = b"racecar\n";

/// How the printed line ends if stdout is JSON.
const PROBE_IN_JSON: &[u8] = b"racecar\"}\n";

/// The size of the pipe on the server's stdout. With the default of 64 KiB the server and the reader
/// alternate, one asleep while the other works, so the run measures how fast the kernel wakes them:
/// the floor prints half as much. 1 MiB is the most that Linux grants to an unprivileged user.
const OUTPUT_PIPE: usize = 1024 * 1024;

/// How often the count of printed lines is checked. It is also the error of the elapsed time.
const CHECK_INTERVAL: Duration = Duration::from_millis(1);

/// Sends for `duration` and waits until the server has printed the last line.
///
/// The figures are million lines per second and server CPU per line in µs.
pub(crate) fn run(kind: Kind, clients: usize, line: usize, duration: Duration) -> Result<Sample> {
    let (contender, mut pipes) = Contender::start(kind, Direction::In, clients)?;
    let stdout: Box<dyn Read + Send> = match pipes.stdout.take() {
        Some(stdout) => {
            rustix::pipe::fcntl_setpipe_size(&stdout, OUTPUT_PIPE)?;
            Box::new(stdout)
        }
        None => Box::new(contender.follow_stdout()?),
    };
    let block = load::block_of_lines(line);
    let printed = AtomicU64::new(0);
    let (ready, all_ready) = mpsc::channel();
    thread::scope(|scope| {
        let reader = scope.spawn(|| count_lines(stdout, clients, ready, &printed));
        let run = || -> Result<_> {
            let mut senders = Senders::connect(&contender, clients)?;
            all_ready.recv().map_err(|_| "the server closed its stdout")?;

            let cpu_before = contender.cpu_time()?;
            let own_before = process::thread_cpu_time();
            let start = Instant::now();
            let sent = senders.send(&block, start + duration)? / line as u64;
            while printed.load(Ordering::Relaxed) < sent {
                if reader.is_finished() {
                    return Err("the server closed its stdout".into());
                }
                thread::sleep(CHECK_INTERVAL);
            }
            let elapsed = start.elapsed();
            let cpu = contender.cpu_time()?.saturating_sub(cpu_before);
            let sender_cpu = process::thread_cpu_time().saturating_sub(own_before);
            // Kill it before the clients close, or it prints that they disconnected.
            contender.kill();
            Ok((sent, elapsed, cpu, sender_cpu))
        };
        let outcome = run();
        // If the run has failed, this makes the reader return.
        contender.kill();
        let reader_cpu = reader.join().map_err(|_| "the reader panicked")?;
        let (sent, elapsed, cpu, sender_cpu) = outcome?;
        let printed = printed.load(Ordering::Relaxed);
        if printed != sent {
            return Err(format!("sent {sent} lines, but the server printed {printed}").into());
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

/// Reads the server's stdout until it ends and returns the CPU time of this thread. It skips everything
/// up to the last probe, such as the announcements of connections, and adds the number of lines after
/// that to `printed`.
fn count_lines(
    stdout: Box<dyn Read + Send>,
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
            Ok(0) | Err(_) => return process::thread_cpu_time(),
            Ok(_) => {
                let is_probe = line.ends_with(PROBE) || line.ends_with(PROBE_IN_JSON);
                missing -= usize::from(is_probe);
            }
        }
    }
    // This fails only if the run has already failed for another reason.
    let _ = ready.send(());
    while let Ok(part) = stdout.fill_buf() {
        let length = part.len();
        if length == 0 {
            break;
        }
        printed.fetch_add(memchr_iter(b'\n', part).count() as u64, Ordering::Relaxed);
        stdout.consume(length);
    }
    process::thread_cpu_time()
}

/// All clients, written to by one thread.
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

    /// Sends `block` from every client repeatedly until `deadline`; then each client finishes its
    /// current block. Returns the number of bytes sent.
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
