//! Measures the real `hub-server` beside two others: `raw`, which does nothing but the system calls,
//! and `ncat -lk`, which one might use without the hub. With `--old` it compares two hubs instead.
//!
//! ```text
//! cargo bench --bench hub                                            everything, 8 minutes
//! cargo bench --bench hub -- fanout ingest --rounds 7 --seconds 2    two groups, more exactly
//! cargo bench --bench hub -- --old ~/hub-server-old                  is this build slower than that?
//! ```
//!
//! Servers, publisher and clients share one machine. So only the ratios are meaningful, and only if
//! the machine does nothing else. `rounds.rs` has the method, `rows.rs` the goals, and `compare.rs`
//! the rule for `--old`.

// A benchmark may read the clock, print, block and panic: nothing else depends on it. Its indexes are
// in range because it made the vectors itself.
#![allow(clippy::disallowed_methods, clippy::indexing_slicing)]
#![allow(clippy::print_stderr, clippy::print_stdout)]

mod compare;
mod connections;
mod contender;
mod fan_out;
mod growth;
mod ingest;
mod latency;
mod load;
mod poll;
mod process;
mod raw;
mod rounds;
mod rows;
mod sample;
mod table;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::contender::Kind;
use crate::rounds::Measured;
use crate::rows::Group;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The size of reads and writes in `raw` and in the load generators.
const BLOCK: usize = 64 * 1024;

/// How often each row is measured, unless `--old` or `--rounds` sets another number.
const ROUNDS: u16 = 5;

#[derive(Parser)]
#[command(name = "cargo bench --bench hub --", about = "Measures hub-server beside raw and ncat")]
struct Arguments {
    /// What to measure [default: everything; with --old: fanout, ingest, latency, connections]
    #[arg(value_enum)]
    groups: Vec<Group>,

    /// Compare this build's hub-server with another one, at an absolute path
    #[arg(long, value_name = "PATH", conflicts_with = "without")]
    old: Option<PathBuf>,

    /// Rounds of each row [default: 5; with --old: 15]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,

    /// Length of one run; latencies need longer runs than rates
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,

    /// Leave a contender out
    #[arg(long, value_enum)]
    without: Vec<Opponent>,

    /// Cargo adds this
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Opponent {
    Raw,
    Hub,
    Ncat,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("--launch") if arguments.len() > 3 => process::launch(&arguments[2], &arguments[3..]),
        Some("--raw") if arguments.len() == 4 => raw::run(&arguments[2], &arguments[3]),
        // `cargo test --benches` runs this without `--bench`. It should not measure anything.
        _ if !arguments.iter().any(|argument| argument == "--bench") => Ok(()),
        _ => measure(&Arguments::parse()),
    }
}

fn measure(arguments: &Arguments) -> Result<()> {
    process::raise_descriptor_limit()?;
    let duration = Duration::try_from_secs_f64(arguments.seconds)?;
    let default_rounds = if arguments.old.is_some() { compare::ROUNDS } else { ROUNDS };
    let rounds = usize::from(arguments.rounds.unwrap_or(default_rounds));
    println!("Medians of {rounds} interleaved rounds of {duration:?}.");
    match &arguments.old {
        Some(old) => compare::run(&arguments.groups, old, rounds, duration),
        None => {
            measure_beside_raw_and_ncat(arguments, rounds, duration);
            Ok(())
        }
    }
}

fn measure_beside_raw_and_ncat(arguments: &Arguments, rounds: usize, duration: Duration) {
    let with_ncat = contender::has_ncat();
    if !with_ncat {
        println!("ncat is not installed and is left out.");
    }
    let takes_part = |kind: &Kind| match kind {
        Kind::Raw | Kind::RawPrinting => !arguments.without.contains(&Opponent::Raw),
        Kind::Hub | Kind::HubWorkers(_) | Kind::HubLog | Kind::HubJson => {
            !arguments.without.contains(&Opponent::Hub)
        }
        Kind::OldHub(_) => false,
        Kind::Ncat => with_ncat && !arguments.without.contains(&Opponent::Ncat),
    };
    let groups = match &arguments.groups[..] {
        [] => Group::value_variants(),
        some => some,
    };
    for &group in groups {
        if group == Group::Growth {
            let contenders: Vec<Kind> =
                [Kind::Hub, Kind::Raw].into_iter().filter(takes_part).collect();
            growth::run(&contenders, rounds, duration);
            continue;
        }
        for (at, row) in rows::of(group).iter().enumerate() {
            let contenders: Vec<Kind> = row.contenders.iter().copied().filter(takes_part).collect();
            if at == 0 {
                table::print_head(&contenders);
            }
            let measured = Measured::measure(row.work, &contenders, rounds, duration);
            table::print_row(row, &contenders, &measured);
        }
    }
}
