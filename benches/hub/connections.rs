//! Connections: how fast they are accepted and greeted, and how much memory an idle one needs.

use std::thread;
use std::time::{Duration, Instant};

use crate::contender::{Contender, Direction, Kind};
use crate::sample::{Load, Sample};
use crate::{Result, load, process};

/// How long to wait until the memory of the server no longer changes. No event marks that moment, and
/// a server finishes its work on a new connection long before this time is over.
const SETTLE: Duration = Duration::from_millis(300);

/// Opens `count` connections and leaves them open.
///
/// The figures are thousand connections greeted per second, server CPU per connection in µs, and
/// memory per connection in bytes.
pub(crate) fn run(kind: Kind, count: usize) -> Result<Sample> {
    // One more, because the server may not have released the first client's slot before the last
    // client connects.
    let (contender, _pipes) = Contender::start(kind, Direction::Out, count + 1)?;
    // The first client makes the server load and allocate things that later clients share.
    drop(load::connect_first(&contender)?);
    thread::sleep(SETTLE);
    let memory_before = contender.memory()?;
    let cpu_before = contender.cpu_time()?;
    let own_before = process::thread_cpu_time();
    let start = Instant::now();
    let sockets = load::connect(&contender, count)?;
    let elapsed = start.elapsed();
    let own_cpu = process::thread_cpu_time().saturating_sub(own_before);
    thread::sleep(SETTLE);
    let cpu = contender.cpu_time()?.saturating_sub(cpu_before);
    let memory = contender.memory()?.saturating_sub(memory_before);
    // Kill the server first, so that it does not process thousands of disconnections.
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
