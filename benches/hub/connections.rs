//! Connections: how fast they are accepted and greeted, and what each costs while it is idle.

use std::thread;
use std::time::{Duration, Instant};

use crate::contender::{Contender, Kind, Way};
use crate::sample::{Load, Sample};
use crate::{Result, load, process};

/// What a server does after a connection it does at once; then its memory is at rest. There is no
/// event to wait for, because nothing happens any more.
const SETTLE: Duration = Duration::from_millis(300);

/// Opens `count` connections and leaves them open.
///
/// Thousand connections greeted a second; server CPU for each in µs; memory for each in bytes.
pub(crate) fn run(kind: Kind, count: usize) -> Result<Sample> {
    // One more: the place of the first client may not be free again when the last one comes.
    let (contender, _pipes) = Contender::start(kind, Way::Out, count + 1)?;
    // What the first client makes a server load and allocate once is no cost of a connection.
    drop(load::connect_first(&contender)?);
    thread::sleep(SETTLE);
    let memory_before = contender.memory()?;
    let cpu_before = contender.cpu_time()?;
    let own_before = process::own_cpu_time();
    let start = Instant::now();
    let sockets = load::connect(&contender, count)?;
    let elapsed = start.elapsed();
    let own_cpu = process::own_cpu_time().saturating_sub(own_before);
    thread::sleep(SETTLE);
    let cpu = contender.cpu_time()?.saturating_sub(cpu_before);
    let memory = contender.memory()?.saturating_sub(memory_before);
    // The server goes first, so that it has no thousands of departures to deal with.
    drop(contender);
    drop(sockets);
    Ok(Sample {
        values: vec![
            count as f64 / elapsed.as_secs_f64() / 1e3,
            cpu.as_secs_f64() * 1e6 / count as f64,
            memory as f64 / count as f64,
        ],
        load: Load::shares(elapsed, own_cpu, Duration::ZERO),
    })
}
