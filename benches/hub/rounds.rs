//! The method: fresh processes, interleaved rounds, medians, and ratios within a round.
//!
//! A machine is faster in one minute than in the next. So every round runs all contenders one after
//! the other, the ratio is taken within the round, and of the rounds' ratios the median counts.

use std::time::Duration;

use crate::contender::Kind;
use crate::rows::Work;
use crate::sample::{Load, Sample};

/// The samples of one piece of work: for each contender one a round, none if it failed.
pub(crate) struct Measured {
    samples: Vec<(Kind, Vec<Sample>)>,
}

impl Measured {
    /// Runs the rounds. A contender that fails says why on stderr and is left out.
    pub(crate) fn take(work: Work, contenders: &[Kind], rounds: usize, duration: Duration) -> Self {
        let mut samples: Vec<_> = contenders.iter().map(|&kind| (kind, Some(Vec::new()))).collect();
        for _ in 0..rounds {
            for (kind, taken) in &mut samples {
                let Some(so_far) = taken else { continue };
                match work.run(*kind, duration) {
                    Ok(sample) => so_far.push(sample),
                    Err(error) => {
                        eprintln!("{work}: {kind} failed: {error}");
                        *taken = None;
                    }
                }
            }
        }
        let samples = samples.into_iter().map(|(kind, taken)| (kind, taken.unwrap_or_default()));
        Self { samples: samples.collect() }
    }

    fn of(&self, kind: Kind) -> &[Sample] {
        let samples = self.samples.iter().find(|(of, _)| *of == kind);
        samples.map_or(&[], |(_, samples)| samples)
    }

    /// The median of a figure.
    pub(crate) fn median(&self, kind: Kind, figure: usize) -> Option<f64> {
        median(self.of(kind).iter().map(|sample| sample.values[figure]))
    }

    /// The median of the rounds' ratios of a figure.
    pub(crate) fn ratio(&self, kind: Kind, against: Kind, figure: usize) -> Option<f64> {
        let rounds = self.of(kind).iter().zip(self.of(against));
        median(rounds.map(|(one, other)| one.values[figure] / other.values[figure]))
    }

    /// The median shares of the generators while they worked on this contender.
    pub(crate) fn load(&self, kind: Kind) -> Option<Load> {
        let samples = self.of(kind);
        Some(Load {
            sending: median(samples.iter().map(|sample| sample.load.sending))?,
            receiving: median(samples.iter().map(|sample| sample.load.receiving))?,
        })
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[odd / 2]),
        even => Some(f64::midpoint(values[even / 2 - 1], values[even / 2])),
    }
}
