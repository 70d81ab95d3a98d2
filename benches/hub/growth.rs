//! How the hub's cost grows with the number of its clients, beside the floor's.

use std::path::Path;
use std::time::Duration;

use crate::contender::Kind;
use crate::plot::{self, Panel, Series};
use crate::rounds::Measured;
use crate::rows::Work;
use crate::{Result, table};

const CLIENTS: [usize; 5] = [1, 10, 100, 1000, 10_000];

/// What the figures of the two pieces of work are, in the order they are sampled.
const CPU_PER_DELIVERY: usize = 1;
const BYTES_EACH: usize = 2;

/// Prints the table and, if a path is given, draws it.
pub(crate) fn run(
    contenders: &[Kind],
    rounds: usize,
    duration: Duration,
    svg: Option<&Path>,
) -> Result<()> {
    let contenders: Vec<Kind> =
        contenders.iter().copied().filter(|&kind| kind != Kind::Ncat).collect();
    let mut cpu = Series::of_each(&contenders);
    let mut bytes = Series::of_each(&contenders);
    table::print_growth_head(&contenders);
    for clients in CLIENTS {
        let fan_out = Work::FanOut { clients, line: 64 };
        let deliveries = Measured::take(fan_out, &contenders, rounds, duration);
        let idle = Work::Connections { count: clients };
        let sessions = Measured::take(idle, &contenders, rounds, duration);
        for (at, &kind) in contenders.iter().enumerate() {
            let nanoseconds = deliveries.median(kind, CPU_PER_DELIVERY).map(|micros| micros * 1e3);
            cpu[at].push(clients, nanoseconds);
            bytes[at].push(clients, sessions.median(kind, BYTES_EACH));
        }
        let ratio = match contenders[..] {
            [subject, other, ..] => deliveries.ratio(subject, other, CPU_PER_DELIVERY),
            _ => None,
        };
        table::print_growth_row(clients, &cpu, &bytes, ratio);
    }
    if let Some(path) = svg {
        let panels = [
            Panel { title: "Server CPU per delivery of 64 bytes", unit: "ns", series: cpu },
            Panel { title: "Server memory per idle session", unit: "bytes", series: bytes },
        ];
        std::fs::write(path, plot::draw("clients", &panels))?;
        println!("\nDrawn into {}", path.display());
    }
    Ok(())
}
