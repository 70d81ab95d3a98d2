//! Latency: the time from writing a line to the server's stdin to its arrival at each client.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::ChildStdin;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;

use crate::contender::{Contender, Direction, Kind};
use crate::poll::Poll;
use crate::sample::{Load, Sample};
use crate::{BLOCK, Result, load, process};

const LINE: usize = 64;

/// The number of digits at the start of a line. They are the time of its write in ns since the start
/// of the run.
const STAMP: usize = 19;

/// Publishes `rate` lines per second for `duration`, on a fixed schedule that does not wait for the
/// clients.
///
/// The figures are the median and the 99th percentile over all deliveries, in µs.
pub(crate) fn run(kind: Kind, clients: usize, rate: u32, duration: Duration) -> Result<Sample> {
    let (contender, mut pipes) = Contender::start(kind, Direction::Out, clients)?;
    let mut sockets = vec![load::connect_first(&contender)?];
    sockets.extend(load::connect(&contender, clients - 1)?);
    load::synchronise(&contender, &mut pipes.stdin, &mut sockets)?;

    let lines = (f64::from(rate) * duration.as_secs_f64()).ceil() as u32;
    let interval = Duration::from_secs(1) / rate;
    let own_before = process::thread_cpu_time();
    let start = Instant::now();
    let (latencies, publisher_cpu) = thread::scope(|scope| {
        let publisher = scope.spawn(|| publish(&mut pipes.stdin, lines, interval, start));
        let latencies = receive(sockets, lines as usize * clients, start);
        if latencies.is_err() {
            contender.kill();
        }
        let publisher_cpu = publisher.join().map_err(|_| "the publisher panicked")?;
        Ok::<_, Box<dyn std::error::Error>>((latencies?, publisher_cpu))
    })?;
    let receiver_cpu = process::thread_cpu_time().saturating_sub(own_before);
    Ok(Sample {
        values: vec![percentile(&latencies, 0.5), percentile(&latencies, 0.99)],
        load: Load::shares(start.elapsed(), publisher_cpu, receiver_cpu),
    })
}

/// Writes each line at its scheduled time and returns the CPU time of this thread.
///
/// The stamp is the time of the write, not the scheduled time, because the server is not to blame if
/// the scheduler wakes this thread late. A slow server does not hide its latency by blocking the
/// publisher, because the pipe has room for a thousand lines.
fn publish(stdin: &mut ChildStdin, lines: u32, interval: Duration, start: Instant) -> Duration {
    for line in 0..lines {
        thread::sleep((start + interval * line).saturating_duration_since(Instant::now()));
        let stamp = start.elapsed().as_nanos();
        let text = format!("{stamp:0STAMP$}{:.>1$}\n", "", LINE - STAMP - 1);
        if stdin.write_all(text.as_bytes()).is_err() {
            // The server is gone. The receivers notice it, too, and report the error.
            break;
        }
    }
    process::thread_cpu_time()
}

/// The latencies of all deliveries in µs, sorted.
fn receive(sockets: Vec<TcpStream>, deliveries: usize, start: Instant) -> Result<Vec<f64>> {
    let mut poll = Poll::new()?;
    let mut clients = Vec::new();
    for (token, socket) in sockets.into_iter().enumerate() {
        poll.add(&socket, token, EventFlags::IN)?;
        clients.push((socket, Vec::new()));
    }
    let mut latencies = Vec::with_capacity(deliveries);
    let mut buffer = vec![0; BLOCK];
    while latencies.len() < deliveries {
        for token in poll.wait(None)? {
            let (socket, unread) = &mut clients[token];
            match socket.read(&mut buffer) {
                Ok(0) => return Err("the server closed a connection".into()),
                Ok(length) => unread.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error.into()),
            }
            let now = start.elapsed().as_nanos();
            let whole = unread.len() / LINE * LINE;
            for line in unread.drain(..whole).as_slice().chunks(LINE) {
                let stamp: u128 = std::str::from_utf8(&line[..STAMP])?.parse()?;
                latencies.push(now.saturating_sub(stamp) as f64 / 1e3);
            }
        }
    }
    latencies.sort_by(f64::total_cmp);
    Ok(latencies)
}

fn percentile(sorted: &[f64], share: f64) -> f64 {
    let at = (sorted.len() as f64 * share) as usize;
    sorted[at.min(sorted.len() - 1)]
}
