//! The rows of the table: the work, the contenders, and the goals for the hub.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;

use crate::contender::Kind;
use crate::sample::Sample;
use crate::{Result, connections, fan_out, ingest, latency};

/// The groups of rows that the command line can select.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Group {
    Fanout,
    Ingest,
    Latency,
    Connections,
    /// The hub beside a version of the floor that also prints the transcript.
    Transcript,
    /// The hub with two event loops for its sessions beside the hub with one.
    Workers,
    /// The hub with a log beside its transcript, next to the hub that writes JSON into a file.
    Log,
    /// How the cost of a delivery and of a session grows with the number of clients.
    Growth,
}

#[derive(Clone, Copy)]
pub(crate) enum Work {
    FanOut { clients: usize, line: usize },
    Ingest { clients: usize, line: usize },
    Latency { clients: usize, rate: u32 },
    Connections { count: usize },
}

impl Work {
    /// Runs this work once with one contender.
    pub(crate) fn run(self, kind: Kind, duration: Duration) -> Result<Sample> {
        match self {
            Self::FanOut { clients, line } => fan_out::run(kind, clients, line, duration),
            Self::Ingest { clients, line } => ingest::run(kind, clients, line, duration),
            Self::Latency { clients, rate } => latency::run(kind, clients, rate, duration),
            Self::Connections { count } => connections::run(kind, count),
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FanOut { clients, line } => write!(f, "fan-out, {clients} clients, {line} B"),
            Self::Ingest { clients, line } => write!(f, "ingest, {clients} clients, {line} B"),
            Self::Latency { clients, rate } => {
                write!(f, "latency, {clients} clients, {rate} lines/s")
            }
            Self::Connections { count } => write!(f, "{count} connections"),
        }
    }
}

pub(crate) struct Row {
    pub(crate) work: Work,
    /// The first one is compared with each of the others.
    pub(crate) contenders: Vec<Kind>,
    pub(crate) figures: Vec<Figure>,
}

pub(crate) struct Figure {
    pub(crate) what: &'static str,
    pub(crate) quantity: Quantity,
    pub(crate) decimals: usize,
    pub(crate) goals: Vec<Goal>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantity {
    /// The only figure that is better when it is higher.
    Rate,
    Cpu,
    Latency,
    Memory,
}

/// A limit for the ratio of the first contender's figure to another's (`against`), or for the figure
/// itself if `against` is `None`.
#[derive(Clone, Copy)]
pub(crate) struct Goal {
    pub(crate) against: Option<Kind>,
    pub(crate) bound: Bound,
}

#[derive(Clone, Copy)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    pub(crate) fn allows(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, "≥ {bound}"),
            Self::AtMost(bound) => write!(f, "≤ {bound}"),
        }
    }
}

fn at_least(against: Kind, bound: f64) -> Goal {
    Goal { against: Some(against), bound: Bound::AtLeast(bound) }
}

fn at_most(against: Kind, bound: f64) -> Goal {
    Goal { against: Some(against), bound: Bound::AtMost(bound) }
}

fn row(work: Work, contenders: &[Kind], goals: &[&[Goal]]) -> Row {
    use Quantity::{Cpu, Latency, Memory, Rate};
    let figures: &[(&'static str, Quantity, usize)] = match work {
        Work::FanOut { .. } => {
            &[("million deliveries/s", Rate, 2), ("server CPU per delivery, µs", Cpu, 4)]
        }
        Work::Ingest { .. } => &[("million lines/s", Rate, 2), ("server CPU per line, µs", Cpu, 4)],
        Work::Latency { .. } => &[("p50, µs", Latency, 0), ("p99, µs", Latency, 0)],
        Work::Connections { .. } => &[
            ("thousand greeted/s", Rate, 1),
            ("server CPU each, µs", Cpu, 1),
            ("bytes each, idle", Memory, 0),
        ],
    };
    let goals = goals.iter().copied().chain(std::iter::repeat(&[][..]));
    let figures = figures.iter().zip(goals).map(|(&(what, quantity, decimals), goals)| Figure {
        what,
        quantity,
        decimals,
        goals: goals.into(),
    });
    Row { work, contenders: contenders.into(), figures: figures.collect() }
}

/// The rows of a group, with the project's goals. Growth has none here: it prints its own table.
pub(crate) fn of(group: Group) -> Vec<Row> {
    use Kind::{Hub, Ncat, Raw};
    let all = &[Hub, Raw, Ncat];
    match group {
        Group::Fanout => [
            (4, 64, &[at_least(Raw, 0.9), at_least(Ncat, 1.7)][..], &[at_most(Raw, 1.15)][..]),
            (64, 64, &[at_least(Raw, 0.85)], &[]),
            (1000, 64, &[at_least(Raw, 0.8)], &[]),
            (1000, 512, &[at_least(Raw, 0.8)], &[]),
        ]
        .map(|(clients, line, rate, cpu)| row(Work::FanOut { clients, line }, all, &[rate, cpu]))
        .into(),
        Group::Ingest => [(4, 64), (64, 512)]
            .map(|(clients, line)| {
                row(Work::Ingest { clients, line }, all, &[&[at_least(Raw, 0.9)]])
            })
            .into(),
        Group::Latency => {
            let both = &[at_most(Raw, 1.3), at_most(Ncat, 1.0)][..];
            [(4, 1000, both, both), (1000, 20, &[], &[at_most(Raw, 1.1)])]
                .map(|(clients, rate, p50, p99)| {
                    row(Work::Latency { clients, rate }, all, &[p50, p99])
                })
                .into()
        }
        Group::Connections => {
            let bytes = Goal { against: None, bound: Bound::AtMost(3000.0) };
            // ncat sends no greeting, so a client cannot tell when it has been accepted.
            let goals = [&[at_least(Raw, 0.6)][..], &[], &[bytes]];
            vec![row(Work::Connections { count: 5000 }, &[Hub, Raw], &goals)]
        }
        Group::Transcript => {
            [Work::FanOut { clients: 4, line: 64 }, Work::Latency { clients: 4, rate: 1000 }]
                .map(|work| row(work, &[Hub, Kind::RawPrinting], &[]))
                .into()
        }
        Group::Workers => {
            let contenders = &[Kind::HubWorkers(2), Kind::HubWorkers(1)];
            let mut rows = Vec::new();
            for clients in [4, 64, 1000] {
                rows.push(row(Work::FanOut { clients, line: 64 }, contenders, &[]));
                rows.push(row(Work::Ingest { clients, line: 64 }, contenders, &[]));
            }
            rows
        }
        Group::Log => {
            let goals: &[&[Goal]] = &[&[at_least(Kind::HubJson, 0.7)]];
            let (clients, line) = (4, 64);
            [Work::FanOut { clients, line }, Work::Ingest { clients, line }]
                .map(|work| row(work, &[Kind::HubLog, Kind::HubJson], goals))
                .into()
        }
        Group::Growth => Vec::new(),
    }
}
