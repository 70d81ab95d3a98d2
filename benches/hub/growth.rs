//! How the cost of the hub grows with the number of its clients, beside the floor.

use std::time::Duration;

use crate::contender::Kind;
use crate::rounds::Measured;
use crate::rows::Work;
use crate::table;

const CLIENTS: [usize; 5] = [1, 10, 100, 1000, 10_000];

/// The positions of the two figures that the table shows: the first is one of `FanOut`, the second
/// one of `Connections`.
const CPU_PER_DELIVERY: usize = 1;
const BYTES_EACH: usize = 2;

/// Measures and prints the table, a line for each number of clients.
pub(crate) fn run(contenders: &[Kind], rounds: usize, duration: Duration) {
    table::print_growth_head(contenders);
    for clients in CLIENTS {
        let fan_out = Work::FanOut { clients, line: 64 };
        let deliveries = Measured::measure(fan_out, contenders, rounds, duration);
        let idle = Work::Connections { count: clients };
        let sessions = Measured::measure(idle, contenders, rounds, duration);
        let nanoseconds = |&kind| Some(deliveries.median(kind, CPU_PER_DELIVERY)? * 1e3);
        let cpu: Vec<_> = contenders.iter().map(nanoseconds).collect();
        // One session may fit into memory that the server held before; then there is no figure.
        let bytes = |&kind| sessions.median(kind, BYTES_EACH).filter(|bytes| *bytes >= 1.0);
        let bytes: Vec<_> = contenders.iter().map(bytes).collect();
        let ratio = match contenders[..] {
            [subject, other, ..] => deliveries.ratio(subject, other, CPU_PER_DELIVERY),
            _ => None,
        };
        table::print_growth_row(clients, &cpu, ratio, &bytes);
    }
}
