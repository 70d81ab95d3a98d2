//! The method: new processes for every run, interleaved rounds, medians, and ratios within a round.
//!
//! The speed of a machine changes from minute to minute. So each round runs all contenders, and every
//! second round runs them in the opposite order. Ratios are taken within a round, and the result is
//! the median of the rounds' ratios.

use std::time::Duration;

use crate::contender::Kind;
use crate::rows::Work;
use crate::sample::{Load, Sample};

/// The samples of one piece of work: one per contender and round, none for a contender that failed.
pub(crate) struct Measured {
    samples: Vec<(Kind, Vec<Sample>)>,
}

impl Measured {
    /// Runs the rounds. A contender that fails once is reported on stderr and left out.
    pub(crate) fn measure(
        work: Work,
        contenders: &[Kind],
        rounds: usize,
        duration: Duration,
    ) -> Self {
        let mut samples: Vec<_> = contenders.iter().map(|&kind| (kind, Vec::new())).collect();
        let mut failed = Vec::new();
        for round in 0..rounds {
            for turn in 0..contenders.len() {
                let at = if round % 2 == 0 { turn } else { contenders.len() - 1 - turn };
                let (kind, results) = &mut samples[at];
                if failed.contains(kind) {
                    continue;
                }
                match work.run(*kind, duration) {
                    Ok(sample) => results.push(sample),
                    Err(error) => {
                        eprintln!("{work}: {kind} failed in round {}: {error}", round + 1);
                        failed.push(*kind);
                        results.clear();
                    }
                }
            }
        }
        Self { samples }
    }

    fn of(&self, kind: Kind) -> &[Sample] {
        let samples = self.samples.iter().find(|(of, _)| *of == kind);
        samples.map_or(&[], |(_, samples)| samples)
    }

    /// The median of a figure.
    pub(crate) fn median(&self, kind: Kind, figure: usize) -> Option<f64> {
        median(self.of(kind).iter().map(|sample| sample.values[figure]).collect())
    }

    /// The median of the rounds' ratios of a figure.
    pub(crate) fn ratio(&self, kind: Kind, against: Kind, figure: usize) -> Option<f64> {
        median(self.ratios(kind, against, figure))
    }

    /// Half the interquartile range of the rounds' ratios of a figure: half of the rounds lie in a
    /// range of twice this width. Unlike the smallest and the largest ratio, it does not grow because
    /// one round was disturbed.
    pub(crate) fn spread(&self, kind: Kind, against: Kind, figure: usize) -> Option<f64> {
        let ratios = sorted(self.ratios(kind, against, figure));
        Some((quantile(&ratios, 0.75)? - quantile(&ratios, 0.25)?) / 2.0)
    }

    fn ratios(&self, kind: Kind, against: Kind, figure: usize) -> Vec<f64> {
        let rounds = self.of(kind).iter().zip(self.of(against));
        rounds.map(|(one, other)| one.values[figure] / other.values[figure]).collect()
    }

    /// The median load of the generators in the runs of this contender.
    pub(crate) fn load(&self, kind: Kind) -> Option<Load> {
        let samples = self.of(kind);
        Some(Load {
            sending: median(samples.iter().map(|sample| sample.load.sending).collect())?,
            receiving: median(samples.iter().map(|sample| sample.load.receiving).collect())?,
        })
    }
}

fn median(values: Vec<f64>) -> Option<f64> {
    quantile(&sorted(values), 0.5)
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// The value below which `share` of the values lie, interpolated between the two nearest.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let at = share * last as f64;
    let below = at as usize;
    let above = (below + 1).min(last);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (at - below as f64))
}
