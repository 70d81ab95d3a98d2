//! The benchmark of the real `hub-server` beside two others: `raw`, the least that system calls cost,
//! and `ncat -lk`, what one would take without the hub.
//!
//! ```text
//! cargo bench --bench hub                                            everything, a few minutes
//! cargo bench --bench hub -- fanout ingest --rounds 7 --seconds 2    some of it, more exactly
//! ```
//!
//! Servers, publisher and clients share one machine, so only the ratios mean anything, and only on
//! a machine that does nothing else. `rounds.rs` has the method, `rows.rs` the goals.

// A benchmark reads the clock, prints, waits for other processes, and may end in a panic; what it
// indexes it has counted itself. Nothing else uses it.
#![allow(clippy::disallowed_methods, clippy::indexing_slicing)]
#![allow(clippy::print_stderr, clippy::print_stdout)]

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
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::contender::Kind;
use crate::rounds::Measured;
use crate::rows::Group;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The size of a read and of a write, for the floor and for the generators.
const BLOCK: usize = 64 * 1024;

#[derive(Parser)]
#[command(name = "cargo bench --bench hub --", about = "Measures hub-server beside raw and ncat")]
struct Arguments {
    /// What to measure [default: all of it]
    #[arg(value_enum)]
    groups: Vec<Group>,

    /// Rounds of each row; the medians are printed
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,

    /// How long one run lasts; rates want less than latencies
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,

    /// Leave a contender out
    #[arg(long, value_enum)]
    without: Vec<Opponent>,

    /// What cargo adds
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
        // `cargo test --benches` runs this too, without `--bench`, and wants no measurement.
        _ if !arguments.iter().any(|argument| argument == "--bench") => Ok(()),
        _ => measure(&Arguments::parse()),
    }
}

fn measure(arguments: &Arguments) -> Result<()> {
    process::raise_descriptor_limit()?;
    let duration = Duration::try_from_secs_f64(arguments.seconds)?;
    let rounds = usize::from(arguments.rounds);
    let with_ncat = contender::has_ncat();
    if !with_ncat {
        println!("ncat is not installed and is left out.");
    }
    let takes_part = |kind: &Kind| match kind {
        Kind::Raw | Kind::RawPrinting => !arguments.without.contains(&Opponent::Raw),
        Kind::Hub | Kind::HubWorkers(_) => !arguments.without.contains(&Opponent::Hub),
        Kind::Ncat => with_ncat && !arguments.without.contains(&Opponent::Ncat),
    };
    println!("Medians of {rounds} interleaved rounds of {duration:?}.");
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
            let measured = Measured::take(row.work, &contenders, rounds, duration);
            table::print_row(row, &contenders, &measured);
        }
    }
    Ok(())
}
