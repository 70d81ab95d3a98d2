//! Compares another `hub-server` with this build's and judges whether this build's is worse.
//!
//! It is no worse in a figure if the median of the rounds' ratios is worse than 1 by no more than the
//! tolerance for that kind of figure, or by no more than the spread of the ratios if that is larger.

use std::path::Path;
use std::time::Duration;

use crate::Result;
use crate::contender::Kind;
use crate::rounds::Measured;
use crate::rows::{self, Figure, Group, Quantity};
use crate::table::{self, CELL, WHAT};

/// The groups that compare the hub with its defaults. The others compare something else.
const GROUPS: [Group; 4] = [Group::Fanout, Group::Ingest, Group::Latency, Group::Connections];

/// The number of rounds for which the tolerances are set.
pub(crate) const ROUNDS: u16 = 15;

const RATE_CPU_MEMORY_TOLERANCE: f64 = 0.03;
const LATENCY_TOLERANCE: f64 = 0.1;

const VERDICT: usize = 12;

/// Measures `groups`, or every group that can be compared if there are none, and prints a verdict for
/// each figure.
pub(crate) fn run(groups: &[Group], old: &Path, rounds: usize, duration: Duration) -> Result<()> {
    if groups.iter().any(|group| !GROUPS.contains(group)) {
        return Err("--old compares only fanout, ingest, latency and connections".into());
    }
    let groups = if groups.is_empty() { &GROUPS } else { groups };
    let old = old.canonicalize().map_err(|error| format!("{}: {error}", old.display()))?;
    // `Kind` is `Copy`, so the path has to live as long as the program. This leaks it once.
    let old = Kind::OldHub(Box::leak(old.into_boxed_path()));
    let mut summary = Summary::default();
    print_head();
    for row in groups.iter().flat_map(|&group| rows::of(group)) {
        let measured = Measured::measure(row.work, &[Kind::Hub, old], rounds, duration);
        for (at, figure) in row.figures.iter().enumerate() {
            let title = format!("{}: {}", row.work, figure.what);
            let comparison = Comparison::new(&measured, old, at, figure.quantity);
            print_figure(&title, figure, comparison.as_ref());
            summary.add(&title, comparison.as_ref());
        }
        let mut cells = table::load_cells(&[old, Kind::Hub], &measured);
        cells.extend([CELL, CELL, VERDICT].map(|width| " ".repeat(width)));
        println!("| {} |", cells.join(" | "));
    }
    summary.print(rounds);
    Ok(())
}

/// One figure of the old hub and of this build's.
struct Comparison {
    old: f64,
    new: f64,
    /// The median of the rounds' ratios, new to old.
    ratio: f64,
    /// Half the interquartile range of the same ratios.
    spread: f64,
    quantity: Quantity,
}

impl Comparison {
    /// `None` if one of the two failed, or if the ratio is not a number because the old figure is 0.
    fn new(measured: &Measured, old: Kind, at: usize, quantity: Quantity) -> Option<Self> {
        let comparison = Self {
            old: measured.median(old, at)?,
            new: measured.median(Kind::Hub, at)?,
            ratio: measured.ratio(Kind::Hub, old, at)?,
            spread: measured.spread(Kind::Hub, old, at)?,
            quantity,
        };
        (comparison.ratio.is_finite() && comparison.spread.is_finite()).then_some(comparison)
    }

    /// How much worse than 1 the ratio is; negative if it is better.
    fn loss(&self) -> f64 {
        match self.quantity {
            Quantity::Rate => 1.0 - self.ratio,
            Quantity::Cpu | Quantity::Latency | Quantity::Memory => self.ratio - 1.0,
        }
    }

    fn allowed_loss(&self) -> f64 {
        let tolerance = match self.quantity {
            Quantity::Rate | Quantity::Cpu | Quantity::Memory => RATE_CPU_MEMORY_TOLERANCE,
            Quantity::Latency => LATENCY_TOLERANCE,
        };
        tolerance.max(self.spread)
    }

    fn is_no_worse(&self) -> bool {
        self.loss() <= self.allowed_loss()
    }
}

fn print_head() {
    let titles = [
        ("work", WHAT),
        ("old", CELL),
        ("new", CELL),
        ("new / old", CELL),
        ("spread", CELL),
        ("verdict", VERDICT),
    ];
    table::print_titles(&titles.map(|(title, width)| (String::from(title), width)));
}

fn print_figure(title: &str, figure: &Figure, comparison: Option<&Comparison>) {
    let number = |value: fn(&Comparison) -> f64, decimals: usize| {
        let text = comparison.map(|comparison| format!("{:.decimals$}", value(comparison)));
        table::cell(text, CELL)
    };
    let verdict = match comparison {
        None => "not measured",
        Some(comparison) if comparison.is_no_worse() => "no worse",
        Some(_) => "WORSE",
    };
    let cells = [
        format!("{title:WHAT$}"),
        number(|comparison| comparison.old, figure.decimals),
        number(|comparison| comparison.new, figure.decimals),
        number(|comparison| comparison.ratio, 3),
        number(|comparison| comparison.spread, 3),
        format!("{verdict:VERDICT$}"),
    ];
    println!("| {} |", cells.join(" | "));
}

/// The verdicts so far.
#[derive(Default)]
struct Summary {
    no_worse: Vec<String>,
    worse: Vec<String>,
    not_measured: Vec<String>,
}

impl Summary {
    fn add(&mut self, title: &str, comparison: Option<&Comparison>) {
        let Some(comparison) = comparison else {
            self.not_measured.push(String::from(title));
            return;
        };
        let (loss, allowed) = (comparison.loss(), comparison.allowed_loss());
        let line = format!("{title}: worse by {loss:.3}, allowed {allowed:.3}");
        if comparison.is_no_worse() { &mut self.no_worse } else { &mut self.worse }.push(line);
    }

    fn print(&self, rounds: usize) {
        println!(
            "\nA figure is no worse if the median of its ratios new / old is worse than 1 by at most \
             {RATE_CPU_MEMORY_TOLERANCE} (rate, CPU, memory)\nor {LATENCY_TOLERANCE} (latency), or \
             by at most the spread if that is larger. The spread is half the interquartile\nrange of \
             the rounds' ratios. A negative number is an improvement."
        );
        if rounds != usize::from(ROUNDS) {
            println!("The rule is meant for {ROUNDS} rounds; this run had {rounds}.");
        }
        for (verdict, figures) in [
            ("No worse", &self.no_worse),
            ("WORSE", &self.worse),
            ("Not measured", &self.not_measured),
        ] {
            println!("\n{verdict}: {}", figures.len());
            for figure in figures {
                println!("  {figure}");
            }
        }
    }
}
